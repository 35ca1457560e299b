#!/usr/bin/env bash
# White cells, red cells and platelets of BCCD by one model: trained on its train list, thresholds chosen on val, located on test.
# Writes its table into docs/results.md. Needs the data and the weights in $LOCAM_SHARED (default ../shared).
#
#   benchmarks/three_kinds.sh [RUN_FOLDER]
#
# LOCAM names the program, where it is built already.
set -euo pipefail
cd "$(dirname "$0")/.."
shared="${LOCAM_SHARED:-../shared}"
run="${1:-runs/three-kinds}"
locam() { ${LOCAM:-cargo run --quiet --release --} "$@"; }
fields="$shared/data/bccd/BCCD"

locam train "$fields" --arch mobilenet_v2 --out "$run" \
  --weights "$shared/weights/mobilenet_v2_features.pth" --normalization imagenet \
  --epochs 4 --learning-rate 0.003 --schedule cosine
locam calibrate --model "$run" "$fields" --split val
locam evaluate --model "$run" "$fields" --split test --out "$run/test"
cargo xtask results three-kinds "$run/test/evaluation.json"
