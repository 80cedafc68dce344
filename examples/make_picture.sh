#!/usr/bin/env bash
# Make a radiograph, slice, mammogram, sonogram or fundus picture that shows nobody.
#   examples/make_picture.sh 7 chest_xray pneumonia picture.png [http://127.0.0.1:8000]   # seed 7
set -euo pipefail
seed=$1 modality=$2 pathology=$3 target=$4 server=${5:-http://127.0.0.1:8000}

params="{\"seed\": $seed, \"modality\": \"$modality\", \"pathology\": \"$pathology\", \"generator\": \"phantom\"}"
curl --fail-with-body -sS -X POST "$server/infer/image_synthesis?image=_&output=image" -F "params=$params" -o "$target"
