#!/usr/bin/env bash
# Does a model of BCCD alone carry over? ResNet-18 from ImageNet weights with the microscopy preset, and with all of it but pasted crowds,
# on generated smears of three stains and two magnifications that they never saw. In five folds: each of five models is trained on BCCD's
# train list without a fifth of it, has its levels chosen on the val list, and searches that fifth, eight fields of each set and 24 without
# white cells, at the scale of training and at the one that the red cells of each image tell. Writes its table, of all folds together,
# into docs/results.md. Needs the data and weights in $LOCAM_SHARED (default ../shared).
#
#   benchmarks/ablation.sh [RUN_FOLDER]
#
# LOCAM names the program, where it is built already. PRECISION=bf16 trains and searches in bfloat16, for CPUs with AMX.
set -euo pipefail
shopt -s inherit_errexit # a failed training in $(...) ends the script
cd "$(dirname "$0")/.."
shared="$(realpath "${LOCAM_SHARED:-../shared}")"
bccd="$shared/data/bccd/BCCD"
run="${1:-runs/ablation}"
locam() { ${LOCAM:-cargo run --quiet --release --} "$@"; }
folds="1 2 3 4 5"
precision="--precision ${PRECISION:-f32}"

# BCCD's images with other lists.
lists() { mkdir -p "$1/ImageSets/Main" && ln -sfn "$bccd/JPEGImages" "$bccd/Annotations" "$1"; }
lists "$run/bccd"
cp "$bccd/ImageSets/Main/train.txt" "$run/bccd/ImageSets/Main/test.txt"
for fold in $folds; do
  lists "$run/bccd-$fold"
  main="$run/bccd-$fold/ImageSets/Main"
  awk "NR % 5 != $fold % 5" "$bccd/ImageSets/Main/train.txt" > "$main/train.txt"
  awk "NR % 5 == $fold % 5" "$bccd/ImageSets/Main/train.txt" > "$main/test.txt"
  cp "$bccd/ImageSets/Main/val.txt" "$main/val.txt"
done

# So many fields for each fold, and all of them as one data set. A lymphocyte is 200 pixels wide at 2, as BCCD's white cells are.
smears() {
  mkdir -p "$run/$1"
  for fold in $folds; do
    locam data smears --out "$run/$1-$fold" --boxes test --fields "$2" --stains "$3" --cell-scales "$4" --seed "$5$fold" "${@:6}" >&2
    cp -r "$run/$1-$fold/JPEGImages" "$run/$1-$fold/Annotations" "$run/$1-$fold/ImageSets" "$run/$1"
  done
  cat "$run/$1"-?/ImageSets/Main/test.txt > "$run/$1/ImageSets/Main/test.txt"
}
smears wright 8 wright 2 1
smears alkaline 8 alkaline 2 2
smears giemsa 8 may-grunwald-giemsa 2 3
smears small 8 leishman 0.9 4
smears large 8 leishman 4.8 5
smears empty 24 all 0.9,2,4.8 6 --white-cells 0

models() {
  for fold in $folds; do
    locam train "$run/bccd-$fold" --classes WBC --window 224 --background 3 --weights "$shared/weights/resnet18_imagenet_f16.safetensors" \
      --normalization imagenet --epochs 6 --learning-rate 0.003 --schedule cosine $precision --augment "$2" --out "$run/$1-$fold" >&2
    locam calibrate --model "$run/$1-$fold" "$run/bccd-$fold" --split val >&2
  done
}
models without microscopy,-copy-paste
models with microscopy

# A figure with its interval, of what each model finds on its own images of a set.
measured() {
  local recipe="$1" set="$2" figure="$3"
  local found="$run/found-$recipe-$set${4:+-scaled}"
  for fold in $folds; do
    local images="$run/$set-$fold/JPEGImages" list="$run/$set-$fold/ImageSets/Main/test.txt"
    locam locate --model "$run/$recipe-$fold" --out "$found-$fold" --write none $precision "${@:4}" $(sed "s|.*|$images/&.jpg|" "$list") >&2
  done
  awk 'NR == 1 || FNR > 1' "$found"-?/regions.csv > "$found.csv"
  locam evaluate --predictions "$found.csv" "$run/$set" --classes WBC --split test |
    sed -n "s/^  $figure  *\([0-9.]* ([^)]*)\).*/\1/p"
}
row() {
  local cells="| $1 |"
  for recipe in without with; do
    cells+=" $(measured "$recipe" "$2" "${3:-F1}") | $(measured "$recipe" "$2" "${3:-F1}" --object-size auto) |"
  done
  echo "$cells"
}
table() {
  echo "| F1 on | microscopy,-copy-paste | and scale by red cells | microscopy | and scale by red cells |"
  echo "|---|---|---|---|---|"
  row "BCCD, the fifths left out" bccd
  row "stain Wright" wright
  row "stain too alkaline" alkaline
  row "stain May-Grünwald-Giemsa" giemsa
  row "cells at 0.45 of BCCD's size, Leishman" small
  row "cells at 2.4 of BCCD's size, Leishman" large
  row "false alarms a field without white cells" empty "false alarms per empty image"
}
table > "$run/table.md"
cargo xtask results ablation "$run/table.md"
cat "$run/table.md"
