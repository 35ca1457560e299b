#!/usr/bin/env bash
# Blasts and healthy cells on generated patches in ALL-IDB2's layout, 200 to train and 60 to test, at three difficulties: the
# lab's plain recipe (ResNet-18 from ImageNet weights, SGD, no changes to patches) beside the same with the microscopy
# preset. Test patches come from fields of other seeds, and are looked at once. Writes its table into docs/results.md.
# Needs the weights in $LOCAM_SHARED (default ../shared).
#
#   benchmarks/all_idb2.sh [RUN_FOLDER]
#
# LOCAM names the program, where it is built already.
set -euo pipefail
cd "$(dirname "$0")/.."
shared="${LOCAM_SHARED:-../shared}"
run="${1:-runs/all-idb2}"
locam() { ${LOCAM:-cargo run --quiet --release --} "$@"; }
mkdir -p "$run"

# NAME STAINS_TO_TRAIN SCALES_TO_TRAIN STAINS_TO_TEST SCALES_TO_TEST
sets="easy wright 1 wright 1
middle all 0.8,1,1.25 all 0.8,1,1.25
hard wright,leishman,may-grunwald-giemsa 1 acid,alkaline,faded 0.7,1.4"

patches() { locam data smears --out "$run/$1" --fields 0 --patches "$2" --stains "$3" --cell-scales "$4" --seed "$5" >&2; }
while read -r name stains scales test_stains test_scales; do
  patches "$name-train" 200 "$stains" "$scales" 21
  patches "$name-test" 60 "$test_stains" "$test_scales" 22
  for preset in none microscopy; do
    locam train "$run/$name-train/ALL_IDB2" --weights "$shared/weights/resnet18_imagenet_f16.safetensors" --epochs 15 \
      --learning-rate 0.001 --test-fraction 0 --augment "$preset" --out "$run/$name-$preset" >&2 </dev/null
  done
done <<<"$sets"

# Accuracy with its interval.
accuracy() {
  locam evaluate --model "$run/$1-$2" "$run/$1-test/ALL_IDB2" --split all </dev/null |
    awk '$1 == "accuracy" { $1 = ""; print substr($0, 2); exit }'
}
{
  echo "| accuracy on 60 patches | plain recipe | with the microscopy preset |"
  echo "|---|---|---|"
  while read -r name _; do
    echo "| $name | $(accuracy "$name" none) | $(accuracy "$name" microscopy) |"
  done <<<"$sets"
} > "$run/table.md"
cargo xtask results all-idb2 "$run/table.md"
