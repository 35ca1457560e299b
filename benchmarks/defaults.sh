#!/usr/bin/env bash
# What `locam train` does where nothing is said, beside what it did before: windows of 224 pixels with one of background an image,
# patches as they are, a learning rate of 0.001. On four small sets, none of which is a test set: two thirds of the training
# photographs of plates against the last third, every other training field of BCCD against the rest, eight composed pages of characters
# (omniglot.sh) against their validation pages, and 120 generated patches of three stains at one magnification against 120 of these
# stains and 120 of three others at two others. Thresholds are chosen on the images that are searched, so figures are for comparison
# alone. Writes its table into docs/results.md. Needs the data and the weights in $LOCAM_SHARED (default ../shared), and python3.
#
#   benchmarks/defaults.sh [RUN_FOLDER]
#
# LOCAM names the program, where it is built already.
set -euo pipefail
shopt -s inherit_errexit # a failed training in $(...) ends the script
cd "$(dirname "$0")/.."
shared="$(realpath "${LOCAM_SHARED:-../shared}")"
run="${1:-runs/defaults}"
imagenet="--weights $shared/weights/resnet18_imagenet_f16.safetensors"
before="--window 224 --background 1 --augment none --learning-rate 0.001"
locam() { ${LOCAM:-cargo run --quiet --release --} "$@"; }

mkdir -p "$run"/{plates,pages}/{train,valid} "$run/bccd/ImageSets/Main" "$run/all-pages"
run="$(realpath "$run")"
number=0
for photograph in "$shared"/data/plates/train/*.jpg; do
  part=train
  if [ $((number++ % 3)) = 2 ]; then part=valid; fi
  ln -sf "$photograph" "${photograph%.jpg}.xml" "$run/plates/$part"
done
bccd="$shared/data/bccd/BCCD"
ln -sfn "$bccd/JPEGImages" "$bccd/Annotations" "$run/bccd"
awk 'NR % 2' "$bccd/ImageSets/Main/train.txt" > "$run/bccd/ImageSets/Main/train.txt"
awk 'NR % 2 == 0' "$bccd/ImageSets/Main/train.txt" > "$run/bccd/ImageSets/Main/val.txt"
python3 -m zipfile -e "$shared/data/omniglot/images_background_small1.zip" "$run/drawings"
cargo run --quiet --release -p locam-data --example omniglot_pages -- \
  "$run/drawings/images_background_small1" Greek/character20 "$run/all-pages"
ln -sf "$run"/all-pages/train/train-0[0-7].* "$run/pages/train"
ln -sf "$run"/all-pages/valid/* "$run/pages/valid"
patches() { locam data smears --out "$run/$1" --fields 0 --patches 120 --stains "$2" --cell-scales "$3" --seed "$4"; }
patches learned wright,leishman,may-grunwald-giemsa 1 26
patches same wright,leishman,may-grunwald-giemsa 1 27
patches other acid,alkaline,faded 0.7,1.4 28

# F1 and average precision on whole images, and accuracy on patches.
on_images() {
  local set="$1" model="$run/model-$2-$1"
  locam train "$run/$set" "${@:3}" --out "$model" >&2
  locam calibrate --model "$model" "$run/$set" --split val >&2
  locam evaluate --model "$model" "$run/$set" --split val |
    sed -n 's/^  F1  *\([0-9.]*\).*/\1/p; s/^  average precision  *\([0-9.]*\).*/, \1/p' | tr -d '\n'
}
on_patches() { locam evaluate --model "$1" "$run/$2/ALL_IDB2" --split all | awk '$1 == "accuracy" { print $2; exit }'; }
row() {
  local name="$1" words="$2" settings=("${@:3}")
  locam train "$run/learned/ALL_IDB2" --test-fraction 0 "${settings[@]}" --out "$run/model-$name" >&2
  echo "| $words | $(on_images plates "$name" "${settings[@]}") | $(on_images bccd "$name" --classes WBC "${settings[@]}") |" \
    "$(on_images pages "$name" "${settings[@]}") |" \
    "$(on_patches "$run/model-$name" same) | $(on_patches "$run/model-$name" other) |"
}
{
  echo "| | plates: F1, average precision | white cells | characters | patches of stains that were learned: accuracy | of others |"
  echo "|---|---|---|---|---|---|"
  row before-imagenet "ImageNet weights, before" $imagenet $before
  row fitting-imagenet "windows that fit" $imagenet --augment none
  row now-imagenet "and \`--augment photo\`: now" $imagenet
  row before-random "random weights, before" $before
  row now-random "now" --weights none
} > "$run/table.md"
cargo xtask results defaults "$run/table.md"
cat "$run/table.md"
