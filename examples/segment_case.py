"""Segment a case of a running server and print the tumour's volumes.

    python examples/segment_case.py MedSynth_001 mask.nii.gz [http://127.0.0.1:8000]
"""

import json
import sys

import requests
from requests_toolbelt import MultipartDecoder


def main() -> None:
    case, target, *rest = sys.argv[1:]
    server = rest[0] if rest else "http://127.0.0.1:8000"
    answer = requests.post(
        f"{server}/infer/brain_tumor_segmentation",
        params={"image": case},
        data={"params": json.dumps({"result_extension": ".nii.gz"})},
        timeout=600,
    )
    if not answer.ok:
        raise SystemExit(f"{answer.status_code}: {answer.json()['detail']}")
    facts, mask = MultipartDecoder.from_response(answer).parts
    with open(target, "wb") as file:
        file.write(mask.content)
    for name, volume in json.loads(facts.text)["volumes_ml"].items():
        print(f"{name:20} {volume:8.2f} ml")


if __name__ == "__main__":
    main()
