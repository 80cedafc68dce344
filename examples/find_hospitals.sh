#!/usr/bin/env bash
# List hospitals for a tumour in a region of the brain. Those shipped are invented.
#   examples/find_hospitals.sh BROCA 37.5 127.0 [http://127.0.0.1:8000]
set -euo pipefail
region=$1 latitude=$2 longitude=$3 server=${4:-http://127.0.0.1:8000}

curl --fail-with-body -sS "$server/medsynth/api/hospitals?region=$region&lat=$latitude&lon=$longitude&limit=5"
echo
