#!/usr/bin/env bash
# Does a model of BCCD alone carry over? MobileNetV2 from random weights, trained on BCCD's train list with and without the
# microscopy preset, on generated smears of three stains and two magnifications that it never saw, and on BCCD's val list.
# Each is searched at the scale of training and at the one that the red cells of each image tell. Writes its table into
# docs/results.md. Needs the data in $LOCAM_SHARED (default ../shared).
#
#   benchmarks/ablation.sh [RUN_FOLDER]
#
# LOCAM names the program, where it is built already.
set -euo pipefail
cd "$(dirname "$0")/.."
bccd="${LOCAM_SHARED:-../shared}/data/bccd/BCCD"
run="${1:-runs/ablation}"
locam() { ${LOCAM:-cargo run --quiet --release --} "$@"; }
mkdir -p "$run"

# A lymphocyte is 200 pixels wide at 2, as BCCD's white cells are.
smears() { locam data smears --out "$run/$1" --boxes test --fields 8 --stains "$2" --cell-scales "$3" --seed "$4" >&2; }
smears wright wright 2 11
smears alkaline alkaline 2 12
smears giemsa may-grunwald-giemsa 2 13
smears small leishman 0.9 14
smears large leishman 4.8 15

for preset in none microscopy; do
  locam train "$bccd" --classes WBC --arch mobilenet_v2 --window 224 --patch-size 128 --background 3 --augment "$preset" \
    --schedule cosine --weight-decay 0.0001 --learning-rate 0.05 --warmup-epochs 1 --epochs 12 --out "$run/$preset" >&2
  locam calibrate --model "$run/$preset" "$bccd" --split val >&2
done

# F1 with its interval.
f1() { locam evaluate --model "$run/$1" "$2" --split "$3" "${@:4}" | awk '$1 == "F1" { $1 = ""; print substr($0, 2); exit }'; }
row() {
  local cells="| $1 |"
  for preset in none microscopy; do
    cells+=" $(f1 "$preset" "$2" "$3") | $(f1 "$preset" "$2" "$3" --object-size auto) |"
  done
  echo "$cells"
}
table() {
  echo "| F1 on | no changes | and scale by red cells | microscopy | and scale by red cells |"
  echo "|---|---|---|---|---|"
  row "BCCD val" "$bccd" val
  row "stain Wright" "$run/wright" test
  row "stain too alkaline" "$run/alkaline" test
  row "stain May-Grünwald-Giemsa" "$run/giemsa" test
  row "cells at 0.45 of BCCD's size, Leishman" "$run/small" test
  row "cells at 2.4 of BCCD's size, Leishman" "$run/large" test
}
table > "$run/table.md"
cargo xtask results ablation "$run/table.md"
cat "$run/table.md"
