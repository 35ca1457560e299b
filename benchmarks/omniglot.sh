#!/usr/bin/env bash
# One handwritten character of Omniglot, found on composed pages of 35 characters each, of which about one in six is it.
# Nobody who drew for the pages of one split drew for those of another. Needs the data and the weights in $LOCAM_SHARED
# (default ../shared), and python3 to unpack them.
#
#   benchmarks/omniglot.sh [RUN_FOLDER] [ALPHABET/CHARACTER]
#
# LOCAM names the program, where it is built already.
set -euo pipefail
cd "$(dirname "$0")/.."
shared="${LOCAM_SHARED:-../shared}"
run="${1:-runs/omniglot}"
character="${2:-Greek/character20}"
locam() { ${LOCAM:-cargo run --quiet --release --} "$@"; }

pages="$run-pages"
rm -rf "$pages"
mkdir -p "$pages"
python3 -m zipfile -e "$shared/data/omniglot/images_background_small1.zip" "$run-drawings"
cargo run --quiet --release -p locam-data --example omniglot_pages -- \
  "$run-drawings/images_background_small1" "$character" "$pages"

locam train "$pages" --window 129 --background 20 --patch-size 129 --out "$run" \
  --weights "$shared/weights/resnet18_imagenet_f16.safetensors" --normalization imagenet \
  --epochs 4 --learning-rate 0.002 --schedule cosine --augment none
locam calibrate --model "$run" "$pages" --split val
locam evaluate --model "$run" "$pages" --split test --out "$run/test"
cargo xtask results omniglot "$run/test/evaluation.json"
