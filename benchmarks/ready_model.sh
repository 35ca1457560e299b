#!/usr/bin/env bash
# The ready model of models/white-cells, from random weights: first on generated smears of six stains and three
# magnifications, then on the train list of BCCD beside generated fields with and without white cells. Threshold, contour,
# probabilities and displacement are chosen on BCCD's val list beside more of these, and its test list is looked at once.
# Then the second training in five folds: each of five models is trained without a fifth of BCCD's train list, and searches that fifth
# and generated fields of its own. Writes all tables into docs/results.md. Needs the data in $LOCAM_SHARED (default ../shared).
#
#   benchmarks/ready_model.sh [RUN_FOLDER] [MODEL_FOLDER]
#
# LOCAM names the program, where it is built already.
set -euo pipefail
cd "$(dirname "$0")/.."
bccd="$(realpath "${LOCAM_SHARED:-../shared}")/data/bccd/BCCD"
run="${1:-runs/ready}"
model="${2:-models/white-cells}"
locam() { ${LOCAM:-cargo run --quiet --release --} "$@"; }

smears() { locam data smears --out "$run/$1" --stains all --boxes "$2" --fields "$3" --cell-scales "$4" --seed "$5" "${@:6}"; }
smears generated train 108 0.55,0.8,1.1 1
smears generated val 18 0.55,0.8,1.1 2

# BCCD's white cells are as large as a generator's at 1.6. Its two lists (not the third), fields with few white cells of about that
# size and fields without any become one data set.
smears joint train 36 1.3,1.6,2 58 --white-cells 6
smears joint val 12 1.3,1.6,2 59 --white-cells 6
smears joint train 72 1,1.4,1.9 52 --white-cells 0
smears joint val 36 1,1.4,1.9 54 --white-cells 0
lists="$run/joint/ImageSets/Main"
cp "$lists/train.txt" "$run/generated-train.txt"
for list in train val; do
  while read -r image; do
    cp "$bccd/Annotations/$image.xml" "$run/joint/Annotations"
    cp "$bccd/JPEGImages/$image.jpg" "$run/joint/JPEGImages"
    echo "$image" >> "$lists/$list.txt"
  done <"$bccd/ImageSets/Main/$list.txt"
done

# Objects of a patch of 128 are about 110 pixels wide: BCCD's at 0.57 of their size, and 0.55 to 1.1 of a lymphocyte of 100. The
# second training changes their scale a little, since images come at that: so small white cells and clumps of platelets differ. It
# has clumps of its own, so that none are pasted in: with them it found as much, and less on pale and noisy pictures.
recipe="--classes WBC --arch mobilenet_v2 --patch-size 128 --schedule cosine --weight-decay 0.0001 --warmup-epochs 1"
locam train "$run/generated" $recipe --window 128 --background 18 --augment microscopy \
  --epochs 8 --learning-rate 0.05 --out "$run/first"
# The second training: on which data, into which run, and the folder of the model that comes of it.
second() {
  locam train "$1" $recipe --window 224 --background 3 \
    --augment microscopy,-scale,zoom,-copy-paste --weights "$run/first/best/model.safetensors" --epochs 12 --learning-rate 0.01 \
    --ema 0.99 --out "$2"
  locam model compact "$2" "$3"
  locam calibrate --model "$3" "$1" --split val
}
second "$run/joint" "$run/second" "$model"
locam evaluate --model "$model" "$bccd" --split test --object-size auto --stain-normalization --out "$run/test"
cargo xtask results ready "$run/test/evaluation.json"

# Images of each fold, at the scale and in the light and stain that the program gives them, and what all five models found.
search() { locam locate --model "$run/model-$1" --out "$run/found-$2-$1" --write none --object-size auto --stain-normalization "${@:3}"; }
pooled() {
  awk 'NR == 1 || FNR > 1' "$run/found-$1"-?/regions.csv > "$run/found-$1.csv"
  locam evaluate --predictions "$run/found-$1.csv" "$2" --classes WBC --split "$3" --out "$run/folds-$1"
  cargo xtask results "ready-$1-folds" "$run/folds-$1/evaluation.json"
}
for fold in 1 2 3 4 5; do
  data="$run/joint-$fold"
  mkdir -p "$data/ImageSets/Main"
  ln -sfn "$(realpath "$run/joint/JPEGImages")" "$(realpath "$run/joint/Annotations")" "$data"
  awk "NR % 5 != $fold % 5" "$bccd/ImageSets/Main/train.txt" | cat "$run/generated-train.txt" - > "$data/ImageSets/Main/train.txt"
  cp "$lists/val.txt" "$data/ImageSets/Main"
  second "$data" "$run/second-$fold" "$run/model-$fold"
  search "$fold" bccd $(awk "NR % 5 == $fold % 5" "$bccd/ImageSets/Main/train.txt" | sed "s|.*|$bccd/JPEGImages/&.jpg|")
  smears fresh test 12 0.6,1.2,2.4 "91$fold"
  smears fresh test 24 0.8,1.5,2.4 "92$fold" --white-cells 0
  search "$fold" fresh "$run/fresh/JPEGImages/smear-9?$fold-*.jpg"
done
pooled bccd "$bccd" train
pooled fresh "$run/fresh" test
