#!/usr/bin/env bash
# Number plates on photographs from a car, found without a box: patches are cut from the train list, the threshold is
# chosen there, too, and the valid list is looked at once. Needs the data and the weights in $LOCAM_SHARED (default
# ../shared).
#
#   benchmarks/plates.sh [RUN_FOLDER]
#
# LOCAM names the program, where it is built already.
set -euo pipefail
cd "$(dirname "$0")/.."
shared="${LOCAM_SHARED:-../shared}"
run="${1:-runs/plates}"
locam() { ${LOCAM:-cargo run --quiet --release --} "$@"; }

locam train "$shared/data/plates" --background 2 --window 112 --jitter 0.2 --out "$run" \
  --weights "$shared/weights/resnet18_imagenet_f16.safetensors" --normalization imagenet \
  --epochs 8 --learning-rate 0.001 --schedule cosine --augment flips
locam calibrate --model "$run" "$shared/data/plates" --split train
locam evaluate --model "$run" "$shared/data/plates" --split val --out "$run/valid"
cargo xtask results plates "$run/valid/evaluation.json"
