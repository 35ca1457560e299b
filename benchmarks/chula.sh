#!/usr/bin/env bash
# Red cells of the Chula data set, known by a point each, found on whole fields (chula_fields.sh tells which). Needs the data and the
# weights in $LOCAM_SHARED (default ../shared).
#
#   benchmarks/chula.sh [RUN_FOLDER]
#
# LOCAM names the program, where it is built already.
set -euo pipefail
cd "$(dirname "$0")/.."
shared="${LOCAM_SHARED:-../shared}"
run="${1:-runs/chula}"
locam() { ${LOCAM:-cargo run --quiet --release --} "$@"; }

fields="$run-fields"
benchmarks/chula_fields.sh "$fields"

# Cells are about 40 pixels wide; a hit is at most half of that from a point: 20 pixels.
locam train "$fields" --window 48 --background 60 --patch-size 225 --patch-object-size 40 --out "$run" \
  --weights "$shared/weights/resnet18_imagenet_f16.safetensors" --normalization imagenet \
  --epochs 3 --learning-rate 0.001 --schedule cosine --augment flips,turns
locam calibrate --model "$run" "$fields" --split val
locam evaluate --model "$run" "$fields" --split test --out "$run/test"
cargo xtask results chula "$run/test/evaluation.json"
