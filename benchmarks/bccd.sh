#!/usr/bin/env bash
# White cells of the BCCD data set, found without a box: patches are cut from the train list, thresholds chosen on the
# val list, and the test list is looked at once. Needs the data and the weights in $LOCAM_SHARED (default ../shared).
#
#   benchmarks/bccd.sh [RUN_FOLDER]
#
# LOCAM names the program, where it is built already.
set -euo pipefail
cd "$(dirname "$0")/.."
shared="${LOCAM_SHARED:-../shared}"
run="${1:-runs/bccd}"
locam() { ${LOCAM:-cargo run --quiet --release --} "$@"; }

locam train "$shared/data/bccd/BCCD" --classes WBC --window 224 --background 3 --out "$run" \
  --weights "$shared/weights/resnet18_imagenet_f16.safetensors" --normalization imagenet \
  --epochs 6 --learning-rate 0.003 --schedule cosine --augment microscopy,-copy-paste
locam calibrate --model "$run" "$shared/data/bccd/BCCD" --split val
locam evaluate --model "$run" "$shared/data/bccd/BCCD" --split test --out "$run/test"
cargo xtask results bccd "$run/test/evaluation.json"
