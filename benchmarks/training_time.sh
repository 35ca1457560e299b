#!/usr/bin/env bash
# How long a whole training run takes beside PyTorch: 260 generated patches in ALL-IDB2's layout, `locam train` with its defaults from
# ImageNet weights, and the lab's plain recipe in PyTorch on the same patches (plain_recipe.py), in turn, three times each, from start to
# exit. Prints each pair's ratio. Needs the weights in $LOCAM_SHARED (default ../shared) and the Python environment
# that `cargo xtask bench-peers` makes. Let the machine do nothing else.
#
#   benchmarks/training_time.sh [RUN_FOLDER]
#
# LOCAM names the program, where it is built already.
set -euo pipefail
cd "$(dirname "$0")/.."
weights="${LOCAM_SHARED:-../shared}/weights/resnet18_imagenet_f16.safetensors"
run="${1:-runs/training-time}"
epochs=15
locam() { ${LOCAM:-cargo run --quiet --release --} "$@"; }
seconds() { local before=$EPOCHREALTIME; "$@" >&2; echo "${EPOCHREALTIME/./} ${before/./}" | awk '{ print ($1 - $2) / 1e6 }'; }
ours() { locam train "$run/patches/ALL_IDB2" --weights "$weights" --epochs $epochs --out "$run/ours-$1"; }
theirs() {
  PYTHONPATH=xtask/peers target/peers-venv/bin/python benchmarks/plain_recipe.py \
    "$run/patches/ALL_IDB2" "$run/ours-$1/images.json" "$weights" $epochs
}

locam data smears --out "$run/patches" --fields 0 --patches 260 --stains all --cell-scales 0.8,1,1.25 --seed 21 >&2
for pair in 1 2 3; do
  echo "$(seconds ours $pair) $(seconds theirs $pair)" |
    awk '{ printf "ours %.1f s, PyTorch %.1f s, ratio %.2f\n", $1, $2, $2 / $1 }'
done
