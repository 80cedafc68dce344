"""Start a training round on a running server's labelled cases and follow it to its end.

    python examples/train_round.py [epochs] [http://127.0.0.1:8000]
"""

import sys
import time

import requests


def main() -> None:
    epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    server = sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:8000"
    model = "brain_tumor_segmentation"
    answer = requests.post(f"{server}/train/{model}", json={"max_epochs": epochs}, timeout=60)
    if not answer.ok:
        raise SystemExit(f"{answer.status_code}: {answer.json()['detail']}")
    while True:
        time.sleep(5)
        status = requests.get(f"{server}/train/", timeout=60).json()["status"]
        stats = requests.get(f"{server}/info/", timeout=60).json()["train_stats"][model]
        print(f"{status:10} epoch {stats.get('epoch')} of {stats.get('total_epochs')}, "
              f"{stats.get('eta_seconds')} s left, Dice before {stats.get('before')}, after {stats.get('after')}")
        if status not in ("SUBMITTED", "RUNNING"):
            break


if __name__ == "__main__":
    main()
