#!/usr/bin/env bash
# What each change to patches is worth where a model meets another laboratory: red cells of BCCD, of Chula and of generated smears of
# six stains, each set left out in turn. SqueezeNet 1.1, which learns fast and whose maps tell cells that touch apart, learns from the
# two others from ImageNet weights, has its threshold chosen on other fields of these two, and searches all of the third: without
# changes, with the microscopy preset (twice, to tell what is chance), with the preset less each of its changes, and with blends of
# patches beside it. All sets are brought to one scale. Writes its table into docs/results.md. Needs the data and the weights in
# $LOCAM_SHARED (default ../shared).
#
#   benchmarks/leave_one_out.sh [RUN_FOLDER]
#
# LOCAM names the program, where it is built already.
set -euo pipefail
shopt -s inherit_errexit # a failed training in $(...) ends the script
cd "$(dirname "$0")/.."
shared="$(realpath "${LOCAM_SHARED:-../shared}")"
run="${1:-runs/leave-one-out}"
locam() { ${LOCAM:-cargo run --quiet --release --} "$@"; }
sets="bccd chula generated"

cargo run --quiet --release -p locam-data --example red_cell_fields -- "$shared/data" "$run/fields"
for left in $sets; do
  for split in train val; do
    mkdir -p "$run/without-$left/$split"
    for other in ${sets/$left/}; do
      ln -sf "$(realpath "$run/fields/$other/$split")"/* "$run/without-$left/$split"
    done
  done
done

# F1 with its interval, and average precision, of a set by a model that never saw it.
measured() {
  local left="$1" changes="$2" seed="$3" model="$run/model-$2-$3-without-$1"
  locam train "$run/without-$left" --window 72 --patch-size 128 --patch-object-size 60 --background 40 --augment "$changes" \
    --arch squeezenet1_1 --weights "$shared/weights/squeezenet1_1.safetensors" --normalization imagenet \
    --epochs 4 --learning-rate 0.003 --schedule cosine --seed "$seed" --out "$model" >&2
  locam calibrate --model "$model" "$run/without-$left" --split val >&2
  locam evaluate --model "$model" "$run/fields/$left" --split all |
    sed -n 's/^  F1  *\([0-9.]* ([^)]*)\).*/\1/p; s/^  average precision  *\([0-9.]*\).*/, \1/p' | tr -d '\n'
}
row() {
  local cells="| $1 |"
  for left in $sets; do cells+=" $(measured "$left" "$2" "${3:-0}") |"; done
  echo "$cells"
}
{
  echo "| F1 (95 % interval), average precision of the set left out | BCCD | Chula | generated |"
  echo "|---|---|---|---|"
  row "no changes" none
  row "microscopy" microscopy
  row "microscopy, of another seed" microscopy 1
  row "without mirroring and turning" microscopy,-flips,-rotation
  row "without other sizes" microscopy,-scale
  row "without moving" microscopy,-shift
  row "without other dyes" microscopy,-stain
  row "without other colours" microscopy,-colour
  row "without uneven light" microscopy,-light
  row "without blur, noise and JPEG" microscopy,-blur,-noise,-jpeg
  row "without hidden boxes" microscopy,-cut-out
  row "and MixUp" microscopy,mixup
  row "and CutMix" microscopy,cutmix
} > "$run/table.md"
cargo xtask results leave-one-out "$run/table.md"
cat "$run/table.md"
