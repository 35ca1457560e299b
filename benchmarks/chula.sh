#!/usr/bin/env bash
# Red cells of the Chula data set, known by a point each, found on whole fields. Most fields mark only some of their cells,
# so only those with at least 70 marked ones are used: of these every fourth is for the threshold, and every fourth is
# looked at once. All types of cells are one class. Needs the data and the weights in $LOCAM_SHARED (default ../shared).
#
#   benchmarks/chula.sh [RUN_FOLDER]
#
# LOCAM names the program, where it is built already.
set -euo pipefail
cd "$(dirname "$0")/.."
shared="$(cd "${LOCAM_SHARED:-../shared}" && pwd)"
run="${1:-runs/chula}"
locam() { ${LOCAM:-cargo run --quiet --release --} "$@"; }

fields="$run-fields"
rm -rf "$fields"
mkdir -p "$fields"/{train,val,test}
number=0
for points in "$shared"/data/chula-rbc/*.txt; do
  if [ "$(grep -c . "$points")" -lt 70 ]; then continue; fi
  case $((number % 4)) in 0 | 1) split=train ;; 2) split=val ;; 3) split=test ;; esac
  number=$((number + 1))
  name="$(basename "$points" .txt)"
  ln -s "$shared/data/chula-rbc/$name.jpg" "$fields/$split/$name.jpg"
  awk 'NF { print $1, $2, "red-cell" }' "$points" >"$fields/$split/$name.txt"
done

# Cells are about 40 pixels wide; a hit is at most half of that from a point: 20 pixels.
locam train "$fields" --window 48 --background 60 --patch-size 225 --patch-object-size 40 --out "$run" \
  --weights "$shared/weights/resnet18_imagenet_f16.safetensors" --normalization imagenet \
  --epochs 3 --learning-rate 0.001 --schedule cosine --flips --turns
locam calibrate --model "$run" "$fields" --split val
locam evaluate --model "$run" "$fields" --split test --out "$run/test"
cargo xtask results chula "$run/test/evaluation.json"
