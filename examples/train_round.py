"""Start a training round on a running server's labelled cases and follow it to its end.

    python examples/train_round.py 2 [http://127.0.0.1:8000]        # 2 epochs
"""

import time

from medsynth_server import command_line

MODEL = "brain_tumor_segmentation"


def main() -> None:
    (epochs,), server = command_line(__doc__, 1)
    server.post(f"/train/{MODEL}", {"max_epochs": int(epochs)})
    status = "SUBMITTED"
    while status in ("SUBMITTED", "RUNNING"):
        time.sleep(2)
        status = server.get("/train/")["status"]
        stats = server.get("/info/")["train_stats"].get(MODEL, {})
        print(f"{status:10} epoch {stats.get('epoch')} of {stats.get('total_epochs')}, "
              f"{stats.get('eta_seconds')} s left, Dice before {stats.get('before')}, after {stats.get('after')}")


if __name__ == "__main__":
    main()
