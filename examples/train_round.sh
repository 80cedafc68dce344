#!/usr/bin/env bash
# Start a training round on a running server's labelled cases and follow it to its end.
#   examples/train_round.sh 2 [http://127.0.0.1:8000]   # 2 epochs
set -euo pipefail
epochs=$1 server=${2:-http://127.0.0.1:8000}

curl --fail-with-body -sS -X POST "$server/train/brain_tumor_segmentation" -H 'content-type: application/json' \
    -d "{\"max_epochs\": $epochs}" >/dev/null
while curl --fail-with-body -sS "$server/train/" | grep -qE '"status": ?"(SUBMITTED|RUNNING)"'; do
    sleep 2
done
curl --fail-with-body -sS "$server/train/"
echo
