"""Ask whether the site of a case's tumour explains a weak left arm, and decide on the answer.

    python examples/cross_check.py MedSynth_002 report.pdf [http://127.0.0.1:8000]

The case needs a label; ``segment_case.py`` does not keep one, submitting one (``annotate_round.py``) does.
"""

from medsynth_server import command_line

ROUTE = "/medsynth/api/cross-check"


def main() -> None:
    (case, target), server = command_line(__doc__, 2)
    symptoms = [
        {"id": "arm_weakness", "state": "present", "side": "left", "onset": "weeks"},
        {"id": "headache", "state": "denied"},
    ]
    record = server.post(ROUTE, {"case": case, "handedness": "right", "age": 52, "symptoms": symptoms})
    print(f"{case}: {record['concordance']}")
    server.download(record["links"]["pdf"], target, lang="en")
    decision = {"action": "accept", "user": "Example Reader", "reason": "the site was seen on FLAIR"}
    decided = server.post(f"{ROUTE}/{record['id']}/decision", decision)
    print(f"decided: {decided['status']}")


if __name__ == "__main__":
    main()
