#!/usr/bin/env bash
# One step of a round: take the proposed case, have it segmented, submit the label, see the round.
#   examples/annotate_round.sh kim mask.nii.gz [http://127.0.0.1:8000]   # the annotator's name
set -euo pipefail
annotator=$1 mask=$2 server=${3:-http://127.0.0.1:8000}

proposed=$(curl --fail-with-body -sS "$server/activelearning/uncertain_and_diverse" \
    -H 'content-type: application/json' -d "{\"client_id\": \"$annotator\"}")
case_name=$(sed -nE 's/^\{"id": ?"([^"]+)".*/\1/p' <<<"$proposed")
[ -n "$case_name" ] || { echo "every case is labelled or in somebody's hands" >&2; exit 1; }
curl --fail-with-body -sS -X POST "$server/infer/brain_tumor_segmentation?image=$case_name&output=image" \
    -F 'params={"result_extension": ".nii.gz"}' -o "$mask"
# between the two a person corrects the mask
curl --fail-with-body -sS -X PUT "$server/datastore/label?image=$case_name" \
    -F "label=@$mask" -F "params={\"client_id\": \"$annotator\"}"
curl --fail-with-body -sS "$server/medsynth/api/rounds"
echo
