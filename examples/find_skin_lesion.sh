#!/usr/bin/env bash
# Find a dermatoscopic photograph in the generator: photograph, reconstruction and difference side by side.
#   examples/find_skin_lesion.sh photograph.png comparison.png [http://127.0.0.1:8000]
set -euo pipefail
photograph=$1 target=$2 server=${3:-http://127.0.0.1:8000}

curl --fail-with-body -sS -X POST "$server/infer/skin_lesion_inversion?image=_&output=image" \
    -F "file=@$photograph" -F 'params={"seed": 0, "picture": "comparison"}' -o "$target"
