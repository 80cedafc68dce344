#!/usr/bin/env bash
# Ask whether the site of a labelled case explains a weak left arm, fetch the report, decide on the answer.
#   examples/cross_check.sh MedSynth_002 report.pdf [http://127.0.0.1:8000]
set -euo pipefail
case_name=$1 target=$2 server=${3:-http://127.0.0.1:8000}

record=$(curl --fail-with-body -sS "$server/medsynth/api/cross-check" -H 'content-type: application/json' -d "{
  \"case\": \"$case_name\", \"handedness\": \"right\", \"age\": 52, \"symptoms\": [
    {\"id\": \"arm_weakness\", \"state\": \"present\", \"side\": \"left\", \"onset\": \"weeks\"},
    {\"id\": \"headache\", \"state\": \"denied\"}]}")
identifier=$(grep -oE '"id": ?"[0-9a-f-]{32,36}"' <<<"$record" | head -1 | grep -oE '[0-9a-f-]{32,36}')
curl --fail-with-body -sS "$server/medsynth/api/cross-check/$identifier.pdf?lang=en" -o "$target"
curl --fail-with-body -sS "$server/medsynth/api/cross-check/$identifier/decision" -H 'content-type: application/json' \
    -d '{"action": "accept", "user": "Example Reader", "reason": "the site was seen on FLAIR"}'
echo
