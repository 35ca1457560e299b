#!/usr/bin/env bash
# What the ready model finds on BCCD's val fields as other microscopes, cameras and files would show them: enlarged and reduced, in less
# light, through haze, by lamps of other colours, with other hues, out of focus, with noise, and on what is around each white cell alone.
# Its thresholds were chosen on these fields as they are, so the figures are for comparison with the first line. Writes its table into
# docs/results.md. Needs the data in $LOCAM_SHARED (default ../shared).
#
#   benchmarks/changed_fields.sh [RUN_FOLDER] [MODEL_FOLDER]
#
# LOCAM names the program, where it is built already.
set -euo pipefail
shopt -s inherit_errexit # a failed evaluation in $(...) ends the script
cd "$(dirname "$0")/.."
run="${1:-runs/changed}"
model="${2:-models/white-cells}"
locam() { ${LOCAM:-cargo run --quiet --release --} "$@"; }

cargo run --quiet --release -p locam-data --example changed_fields -- "${LOCAM_SHARED:-../shared}/data/bccd/BCCD" "$run"
row() {
  locam evaluate --model "$model" "$run/$1" --split val --object-size auto --stain-normalization --upscale |
    awk -v words="$2" '
      $1 == "hits" { hits = $2 }
      /^ *false alarms  / { alarms = $3 }
      $1 == "F1" { f1 = $2 " " $3 " " $4 " " $5 }
      /average precision/ { ap = $3 }
      END { print "| " words " | " hits " | " alarms " | " f1 " | " ap " |" }'
}
{
  echo "| the same 87 fields | hits of 87 | false alarms | F1 | average precision |"
  echo "|---|---|---|---|---|"
  row as-they-are "as they are"
  for factor in 0.4 0.6 1.7 2.5 4; do row "size-$factor" "$factor times as large"; done
  row half-the-light "half the light"
  row haze "haze: half the contrast"
  row yellow-lamp "a yellow lamp"
  row blue-lamp "a blue lamp"
  row gamma-0.6 "a gamma of 0.6"
  row gamma-1.7 "a gamma of 1.7"
  row pale "pale: 0.4 of the colour"
  row hues-forward "hues turned by 30 degrees, reds to yellow"
  row hues-back "hues turned by 30 degrees, reds to purple"
  row out-of-focus "blurred by 3 pixels"
  row noise "noise of 20 of 255"
  row jpeg-15 "as JPEG files of quality 15"
  row cut-out "each white cell cut out, a square of 1.6 times its width"
  row cut-out-257 "a square of 2.3 times its width, as 257 pixels (89 cells)"
  row cut-out-700 "the same as 700 pixels (89 cells)"
} > "$run/table.md"
cargo xtask results changed "$run/table.md"
cat "$run/table.md"
