#!/usr/bin/env bash
# Segment a case of a running server with curl: the mask as a file, or the figures as JSON.
#   examples/segment_case.sh MedSynth_001 mask.nii.gz [http://127.0.0.1:8000]
set -euo pipefail
case_name=$1 target=$2 server=${3:-http://127.0.0.1:8000}

curl --fail-with-body -sS -X POST "$server/infer/brain_tumor_segmentation?image=$case_name&output=image" \
    -F 'params={"result_extension": ".nii.gz"}' -o "$target"
curl --fail-with-body -sS -X POST "$server/infer/brain_tumor_segmentation?image=$case_name&output=json" -F 'params={}'
echo
