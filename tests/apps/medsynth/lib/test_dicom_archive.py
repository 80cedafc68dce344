"""DICOMweb servers that page wrongly, never end, or hold entries that cannot be read: none of them stops the rest."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from lib import dicom_archive
from lib.dicom_archive import DicomArchive

from medsynth_app.errors import OverloadedError

Answer = Callable[[str, int], Any]
"""Path and offset of a request -> JSON of the answer."""
PAGE = 3


def series(number: int, modality: str = "MR") -> dict[str, Any]:
    """A row of a list of series."""
    return {
        "0020000D": {"vr": "UI", "Value": ["1.2.3"]}, "0020000E": {"vr": "UI", "Value": [f"1.2.3.{number}"]},
        "00080060": {"vr": "CS", "Value": [modality]}, "0008103E": {"vr": "LO", "Value": [f"series {number}"]},
    }  # fmt: skip


@contextmanager
def dicomweb(answer: Answer) -> Iterator[tuple[DicomArchive, list[str]]]:
    """An archive on a server that answers as told, and the requests that it got."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            parts = urlsplit(self.path)
            body = json.dumps(answer(parts.path, int(parse_qs(parts.query).get("offset", ["0"])[0]))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield DicomArchive(f"http://127.0.0.1:{server.server_address[1]}/dicom-web"), asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def numbers(archive: DicomArchive) -> list[int]:
    return [int(found.uid.rpartition(".")[2]) for found in archive.series({"Modality": "MR"})]


def test_a_server_that_pages_is_read_to_its_end() -> None:
    rows = [series(n) for n in range(1, 8)]
    with dicomweb(lambda _, offset: rows[offset : offset + PAGE]) as (archive, asked):
        assert numbers(archive) == list(range(1, 8))
        assert len(asked) == 4


def test_a_server_that_ignores_offset_is_asked_twice(caplog: pytest.LogCaptureFixture) -> None:
    rows = [series(n) for n in range(1, 8)]
    with dicomweb(lambda *_: rows) as (archive, asked), caplog.at_level(logging.WARNING):
        assert numbers(archive) == list(range(1, 8))
        assert len(asked) == 2
        assert numbers(archive) == list(range(1, 8))
    assert [r.message for r in caplog.records if "ignores the search parameter offset: 7 series" in r.message] != []
    assert len(caplog.records) == 1


def test_pages_that_overlap_are_joined() -> None:
    rows = [series(n) for n in range(1, 8)]
    with dicomweb(lambda _, offset: rows[max(0, offset - 1) : offset + PAGE]) as (archive, _asked):
        assert numbers(archive) == list(range(1, 8))


def test_an_endless_list_is_cut(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(dicom_archive, "LARGEST_LISTING", 20)
    with (
        dicomweb(lambda _, offset: [series(n) for n in range(offset + 1, offset + PAGE + 1)]) as (archive, asked),
        caplog.at_level(logging.WARNING),
    ):
        assert numbers(archive) == list(range(1, 22))
        assert len(asked) == 7
    assert "has no end: the first 21 are taken" in caplog.text


def test_an_endless_list_is_given_up_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_archive, "LISTING_SECONDS", 0.3)
    with dicomweb(lambda _, offset: [series(n) for n in range(offset + 1, offset + PAGE + 1)]) as (archive, asked):
        assert 0 < len(numbers(archive)) == PAGE * len(asked)


@pytest.mark.parametrize(
    "spoiled",
    [{}, {"0020000E": {"vr": "UI", "Value": ["1.2.3.5"]}}, {"0020000D": 7}, "text", {"zz": {"vr": "QQ"}},
     {**series(9), "00201209": {"vr": "IS", "Value": ["many"]}},
     {**series(9), "0020000E": {"vr": "UI", "Value": ["../../etc"]}}],
)  # fmt: skip
def test_an_entry_that_cannot_be_read_stops_no_other(spoiled: Any) -> None:
    rows = [series(1), spoiled, series(2)]
    with dicomweb(lambda _, offset: rows[offset:]) as (archive, _asked):
        assert numbers(archive) == [1, 2]


@pytest.mark.parametrize("answer", ["text", 5, None])
def test_an_answer_that_is_no_list_is_no_defect(answer: Any) -> None:
    complaint = pytest.raises(OverloadedError, match="the DICOMweb server answered no list")
    with dicomweb(lambda *_: answer) as (archive, _asked), complaint:
        archive.series({})


@pytest.mark.parametrize("metadata", [[], {}, [{"0020000D": 7}], [{"00620002": {"vr": "SQ", "Value": [3]}}]])
def test_a_segmentation_without_readable_metadata_is_no_label(metadata: Any) -> None:
    def answer(path: str, offset: int) -> Any:
        return metadata if path.endswith("/metadata") else [series(4, "SEG")][offset:]

    with dicomweb(answer) as (archive, asked):
        assert archive.segmentations() == {}
        before = len(asked)
        assert archive.segmentations() == {}
        assert sum("metadata" in path for path in asked[before:]) == 0


def test_a_series_without_readable_metadata_is_passed_over() -> None:
    def answer(path: str, offset: int) -> Any:
        if path.endswith("/metadata"):
            return [] if "1.2.3.1/" in path else [{**series(2), "00080018": {"vr": "UI", "Value": ["1.2.9"]}}]
        if path.endswith("/instances"):
            return [{"00080018": {"vr": "UI", "Value": ["1.2.9"]}}]
        return [series(1), series(2)][offset:]

    with dicomweb(answer) as (archive, _asked):
        assert [facts.uid for facts in archive.study_facts("1.2.3")] == ["1.2.3.2"]
