#!/usr/bin/env bash
# Make a CT or MR volume that does not exist.
#   examples/make_volume.sh 7 mri_brain volume.nii.gz [http://127.0.0.1:8000]   # seed 7
set -euo pipefail
seed=$1 volume_type=$2 target=$3 server=${4:-http://127.0.0.1:8000}

curl --fail-with-body -sS -X POST "$server/infer/volume_synthesis?image=_&output=image" \
    -F "params={\"seed\": $seed, \"volume_type\": \"$volume_type\"}" -o "$target"
