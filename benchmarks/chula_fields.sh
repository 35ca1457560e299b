#!/usr/bin/env bash
# The fields of the Chula data set that benchmarks use, as links with a file of points each, in three lists. Most fields mark only
# some of their cells, so only those with at least 70 marked ones are taken: of these every fourth is for the threshold (val), and
# every fourth is looked at once (test). All types of cells are one class. Needs the data in $LOCAM_SHARED (default ../shared).
#
#   benchmarks/chula_fields.sh FOLDER
set -euo pipefail
fields="$(realpath -m "${1:?name the folder to write}")"
cd "$(dirname "$0")/.."
shared="$(cd "${LOCAM_SHARED:-../shared}" && pwd)"

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
