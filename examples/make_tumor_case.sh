#!/usr/bin/env bash
# Make a labelled brain-tumour case that does not exist, keep it as a case, and download its label.
#   examples/make_tumor_case.sh 7 label.nii.gz [http://127.0.0.1:8000]   # seed 7
set -euo pipefail
seed=$1 target=$2 server=${3:-http://127.0.0.1:8000}

facts=$(curl --fail-with-body -sS -X POST "$server/infer/tumor_case_synthesis?image=_&output=json" \
    -F "params={\"seed\": $seed, \"side\": \"left\", \"volume_ml\": 40, \"grade\": 4, \"save\": true}")
case_name=$(grep -oE '"image": ?"[^"]+"' <<<"$facts" | cut -d '"' -f 4)
curl --fail-with-body -sS "$server/datastore/label?label=$case_name&tag=final" -o "$target"
echo "$facts"
