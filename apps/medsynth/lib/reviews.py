"""Reviews of the labels in a datastore of cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lib.datastore import FINAL, KEY_VERSION, CaseDatastore
from lib.infers.segmentation import temporary_file
from medsynth_app.active_learning.label_versions import LabelVersion
from medsynth_app.active_learning.reviews import ReviewStatus, new_review, reviews_of, status_of
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.label_writing import write_result
from medsynth_app.imaging.reading import read_volume
from medsynth_app.request_context import NOBODY, acting_user
from medsynth_app.segmentation.evaluation.label_comparison import compare_labels, difference_map


class LabelReviews:
    """What the routes of ``/medsynth/api/reviews`` ask for; see ``medsynth_app.api.routes.reviews.Reviews``.

    Args:
        datastore: where labels and their versions are.
    """

    def __init__(self, datastore: CaseDatastore) -> None:
        self._store = datastore

    def queue(self, status: ReviewStatus | None, author: str) -> list[dict[str, Any]]:
        """Newest version of every labelled case, the one that waits longest first."""
        rows = []
        for case in self._store.list_images():
            versions = self._store.versions.versions(case)
            if versions and not versions[-1].deleted:
                row = self._row(case, versions)
                if status in (None, ReviewStatus(row["status"])) and author in ("", row["author"]):
                    rows.append(row)
        return sorted(rows, key=lambda row: (row["status"] != ReviewStatus.WAITING.value, row["ts"], row["case"]))

    def history(self, case: str) -> dict[str, Any]:
        """All versions of a case with their reviews."""
        versions = self._store.label_versions(case)
        return {
            "case": case,
            "versions": [
                {**v.shown(), "reviews": [r.shown() for r in reviews_of(self._store.versions, case, v.number)]}
                for v in versions
            ],
            "status": self._status(case).value if versions else None,
        }

    def decide(self, case: str, version: int, decision: object, note: object) -> dict[str, Any]:
        """Keep a decision about the newest version.

        Raises:
            NotFoundError: no such case or version.
            StaleError: a newer version is there.
            InvalidValueError: an unfit decision or note.
        """
        user = acting_user.get()
        self._store.review_label(case, new_review(version, decision, note, "" if user == NOBODY else user))
        return self.history(case)

    def compare(self, case: str, first: int, second: int) -> dict[str, Any]:
        """Figures of two versions."""
        one, other, affine = self._both(case, first, second)
        return {"case": case, "first": first, "second": second, **compare_labels(one, other, affine)}

    def difference(self, case: str, first: int, second: int) -> Path:
        """A temporary file with the difference of two versions on their grid."""
        one, other, affine = self._both(case, first, second)
        path = temporary_file(".nii.gz")
        write_result(difference_map(one, other), affine, path)
        return path

    def _row(self, case: str, versions: list[LabelVersion]) -> dict[str, Any]:
        newest = versions[-1]
        decided = reviews_of(self._store.versions, case, newest.number)
        return {
            "case": case, **newest.shown(), "versions": len(versions), "status": self._status(case).value,
            "note": decided[-1].note if decided else "", "reviewer": decided[-1].reviewer if decided else "",
        }  # fmt: skip

    def _status(self, case: str) -> ReviewStatus:
        return status_of(self._store.get_label_info(case, FINAL), KEY_VERSION)

    def _both(self, case: str, first: int, second: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        volumes = [read_volume(self._store.label_version_file(case, number), case) for number in (first, second)]
        if not np.allclose(volumes[0].affine, volumes[1].affine, atol=1e-3):
            raise InvalidValueError(f"second: versions {first} and {second} of {case!r} lie on grids of their own")
        one, other = (np.rint(volume.array[0]).astype(np.uint8) for volume in volumes)
        return one, other, volumes[0].affine
