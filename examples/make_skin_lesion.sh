#!/usr/bin/env bash
# Make a skin lesion that nobody has.
#   examples/make_skin_lesion.sh 7 melanoma lesion.png [http://127.0.0.1:8000]   # seed 7
set -euo pipefail
seed=$1 lesion_class=$2 target=$3 server=${4:-http://127.0.0.1:8000}

curl --fail-with-body -sS -X POST "$server/infer/skin_lesion_synthesis?image=_&output=image" \
    -F "params={\"seed\": $seed, \"lesion_class\": \"$lesion_class\"}" -o "$target"
