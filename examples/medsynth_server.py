"""What the other examples share: how a running server is asked. Needs only requests and requests_toolbelt."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import requests
from requests_toolbelt import MultipartDecoder

DEFAULT_SERVER = "http://127.0.0.1:8000"
TIMEOUT_SECONDS = 600


class Server:
    """A MedSynth server.

    Args:
        url: where it is. A token, where there is a login, is read from ``MEDSYNTH_TOKEN``.
    """

    def __init__(self, url: str = DEFAULT_SERVER) -> None:
        self.url = url.rstrip("/")
        self.session = requests.Session()
        if token := os.environ.get("MEDSYNTH_TOKEN"):
            self.session.headers["Authorization"] = f"Bearer {token}"

    def infer(
        self, model: str, params: dict[str, Any], image: str = "_", **files: str
    ) -> tuple[dict[str, Any], bytes]:
        """Run a model; answers what it says and the file it made.

        Args:
            model: ``brain_tumor_segmentation``, ``volume_synthesis`` ...
            params: its options.
            image: a case; generators work on none (``_``).
            files: paths of uploads, ``file`` or ``label``.
        """
        uploads = {name: (Path(path).name, Path(path).read_bytes()) for name, path in files.items()}
        answer = self._call(
            "POST", f"/infer/{model}", params={"image": image}, data={"params": json.dumps(params)}, files=uploads
        )
        facts, made = MultipartDecoder.from_response(answer).parts
        return json.loads(facts.text), made.content

    def get(self, path: str, **query: Any) -> Any:
        """What a route answers as JSON."""
        return self._call("GET", path, params=query).json()

    def download(self, path: str, target: str, **query: Any) -> None:
        """Keep the file that a route answers."""
        Path(target).write_bytes(self._call("GET", path, params=query).content)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """What a route answers to a JSON body."""
        return self._call("POST", path, json=body).json()

    def submit_label(self, case: str, path: str, annotator: str) -> dict[str, Any]:
        """Hand in a final label; answers case, label and version."""
        answer = self._call(
            "PUT", "/datastore/label", params={"image": case}, data={"params": json.dumps({"client_id": annotator})},
            files={"label": (Path(path).name, Path(path).read_bytes())},
        )  # fmt: skip
        return dict(answer.json())

    def _call(self, method: str, path: str, **arguments: Any) -> requests.Response:
        answer = self.session.request(method, self.url + path, timeout=TIMEOUT_SECONDS, **arguments)
        if not answer.ok:
            raise SystemExit(f"{answer.status_code}: {answer.json()['detail']}")
        return answer


def command_line(usage: str, least: int) -> tuple[list[str], Server]:
    """The words of a command and the server that its last word may name.

    Args:
        usage: shown where words are missing.
        least: how many words are needed.
    """
    words = sys.argv[1:]
    url = words.pop() if words and words[-1].startswith(("http://", "https://")) else DEFAULT_SERVER
    if len(words) < least:
        raise SystemExit(usage)
    return words, Server(url)
