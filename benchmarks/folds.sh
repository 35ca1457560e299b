#!/usr/bin/env bash
# Five-fold cross-validation, so that every annotated image is tested on once, by a model that never saw it: white cells of BCCD, red
# cells of Chula and number plates by the recipes of bccd.sh, chula.sh and plates.sh (the test lists of the first two take no part),
# and generated patches in ALL-IDB2's layout, the easy and middle ones of all_idb2.sh and those of six laboratories that have nothing in
# common, by the lab's plain recipe, the last with the microscopy preset, too. Thresholds are chosen on a seventh of each fold's other
# images. Writes its tables into docs/results.md. Needs the data and the weights in $LOCAM_SHARED (default ../shared).
#
#   benchmarks/folds.sh [RUN_FOLDER]
#
# LOCAM names the program, where it is built already. PRECISION=bf16 trains the first three in bfloat16, for CPUs with AMX.
set -euo pipefail
cd "$(dirname "$0")/.."
shared="${LOCAM_SHARED:-../shared}"
run="${1:-runs/folds}"
locam() { ${LOCAM:-cargo run --quiet --release --} "$@"; }
imagenet="--weights $shared/weights/resnet18_imagenet_f16.safetensors"
tuned="$imagenet --normalization imagenet --schedule cosine --precision ${PRECISION:-f32}"

locam train "$shared/data/bccd/BCCD" --folds 5 --classes WBC --window 224 --background 3 $tuned --learning-rate 0.003 \
  --augment microscopy,-copy-paste --epochs 6 --out "$run/bccd"
cargo xtask results bccd-folds "$run/bccd/cross-validation.json"

benchmarks/chula_fields.sh "$run-fields"
rm -r "$run-fields/test"
locam train "$run-fields" --folds 5 --window 48 --background 60 --patch-size 225 --patch-object-size 40 $tuned --learning-rate 0.001 \
  --augment flips,turns --epochs 3 --out "$run/chula"
cargo xtask results chula-folds "$run/chula/cross-validation.json"

locam train "$shared/data/plates" --folds 5 --background 2 --window 112 --jitter 0.2 $tuned --learning-rate 0.001 --augment flips \
  --epochs 8 --out "$run/plates"
cargo xtask results plates-folds "$run/plates/cross-validation.json"

patches() { locam data smears --out "$run-$1" --fields 0 --patches "$2" --stains "$3" --cell-scales "$4" --seed "$5"; }
classified() {
  locam train "$2" --folds 5 $imagenet --learning-rate 0.001 --epochs 15 --augment "$3" --out "$run/$1"
  cargo xtask results "$1-folds" "$run/$1/cross-validation.json"
}
patches easy 260 wright 1 24
classified easy "$run-easy/ALL_IDB2" none
patches middle 260 all 0.8,1,1.25 23
classified middle "$run-middle/ALL_IDB2" none

# Six laboratories, whose stain and magnification none of the others has: all patches of one are in the same fold.
laboratories="$run-laboratories"
mkdir -p "$laboratories"
echo "path,label,group" > "$laboratories/patches.csv"
seed=25
for laboratory in wright:1 leishman:0.7 may-grunwald-giemsa:1.4 acid:0.8 alkaline:1.2 faded:0.9; do
  stain="${laboratory%:*}"
  patches "laboratories/$stain" 44 "$stain" "${laboratory#*:}" "$((seed++))"
  for patch in "$laboratories/$stain/ALL_IDB2/img"/*_[01].tif; do
    case "$patch" in *_1.tif) label=blast ;; *) label=healthy ;; esac
    echo "${patch#"$laboratories/"},$label,$stain"
  done >> "$laboratories/patches.csv"
done
classified laboratories "$laboratories" none
classified laboratories-microscopy "$laboratories" microscopy
