#!/usr/bin/env bash
# Walk from a dermatoscopic photograph towards melanoma: a simulation, nobody's lesion was ever seen to do this.
#   examples/walk_skin_lesion.sh photograph.png contact_sheet.png [http://127.0.0.1:8000]
set -euo pipefail
photograph=$1 target=$2 server=${3:-http://127.0.0.1:8000}

curl --fail-with-body -sS -X POST "$server/infer/skin_lesion_progression?image=_&output=image" \
    -F "file=@$photograph" -F 'params={"seed": 0, "steps": 5, "alpha_to": 3}' -o "$target"
