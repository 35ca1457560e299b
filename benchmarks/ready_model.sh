#!/usr/bin/env bash
# The ready model of models/white-cells, from random weights: first on generated smears of six stains and three
# magnifications, then on the train list of BCCD. Threshold, temperature and displacement are chosen on BCCD's val list, and
# the test list is looked at once. Needs the data in $LOCAM_SHARED (default ../shared).
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

smears() { locam data smears --out "$run/smears" --stains all --cell-scales 0.55,0.8,1.1 "$@"; }
smears --boxes train --fields 108 --seed 1
smears --boxes val --fields 18 --seed 2

# Objects of a patch of 128 are about 110 pixels wide: BCCD's at 0.57 of their size, and 0.55 to 1.1 of a lymphocyte of 100.
recipe="--classes WBC --arch mobilenet_v2 --patch-size 128 --augment microscopy --schedule cosine --weight-decay 0.0001"
locam train "$run/smears" $recipe --window 128 --background 18 \
  --epochs 8 --learning-rate 0.05 --warmup-epochs 1 --out "$run/generated"
locam train "$bccd" $recipe --window 224 --background 2 \
  --weights "$run/generated/best/model.safetensors" --epochs 8 --learning-rate 0.02 --out "$run/bccd"

locam model compact "$run/bccd" "$model"
locam calibrate --model "$model" "$bccd" --split val
locam evaluate --model "$model" "$bccd" --split test --out "$run/test"
