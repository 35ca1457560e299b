#!/usr/bin/env bash
# The ready model of models/white-cells, from random weights: first on generated smears of six stains and three
# magnifications, then on the train list of BCCD beside generated fields with and without white cells, and once more with what was
# wrongly found on these. Threshold, contour, probabilities and displacement are chosen on BCCD's val list, and its
# test list is looked at once. Needs the data in $LOCAM_SHARED (default ../shared).
#
#   benchmarks/ready_model.sh [RUN_FOLDER] [MODEL_FOLDER]
#
# LOCAM names the program, where it is built already.
set -euo pipefail
cd "$(dirname "$0")/.."
bccd="${LOCAM_SHARED:-../shared}/data/bccd/BCCD"
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
for list in train val; do
  while read -r image; do
    cp "$bccd/Annotations/$image.xml" "$run/joint/Annotations"
    cp "$bccd/JPEGImages/$image.jpg" "$run/joint/JPEGImages"
    echo "$image" >> "$run/joint/ImageSets/Main/$list.txt"
  done <"$bccd/ImageSets/Main/$list.txt"
done

# Objects of a patch of 128 are about 110 pixels wide: BCCD's at 0.57 of their size, and 0.55 to 1.1 of a lymphocyte of 100. The
# second training leaves patches at their scale, since images come at that: so small white cells and clumps of platelets differ.
recipe="--classes WBC --arch mobilenet_v2 --patch-size 128 --schedule cosine --weight-decay 0.0001 --warmup-epochs 1"
locam train "$run/generated" $recipe --window 128 --background 18 --augment microscopy \
  --epochs 8 --learning-rate 0.05 --out "$run/first"
locam train "$run/joint" $recipe --window 224 --background 3 --mine 200 \
  --augment flips,rotation,shift,stain,colour,light,blur,noise,jpeg,cut-out \
  --weights "$run/first/best/model.safetensors" --epochs 12 --learning-rate 0.01 --ema 0.99 --out "$run/second"

locam model compact "$run/second/mined" "$model"
locam calibrate --model "$model" "$bccd" --split val
locam evaluate --model "$model" "$bccd" --split test --object-size auto --out "$run/test"
