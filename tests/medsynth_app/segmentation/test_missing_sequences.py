"""Sequences that are missing: names, blanks, and what is said of the answer."""

from __future__ import annotations

import numpy as np
import pytest

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.volume import Volume
from medsynth_app.segmentation.missing_sequences import (
    KIND_OF_CORE_WARNING,
    blanked_sequences,
    missing_warnings,
    without_sequences,
)

FOUR = ("flair", "t1", "t1ce", "t2")


def test_names_are_read() -> None:
    assert blanked_sequences("") == ()
    assert blanked_sequences("FLAIR, t1,flair") == ("flair", "t1")


@pytest.mark.parametrize(
    ("text", "message"),
    [("dwi", "missing: 'dwi' is no sequence, known are flair, t1, t1ce, t2"), ("flair,t1,t1ce,t2", "one must be left")],
)
def test_bad_names_are_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        blanked_sequences(text)


def test_channels_are_blanked_in_a_copy() -> None:
    volume = Volume(np.ones((4, 2, 2, 2), dtype=np.float32), np.eye(4))
    found = without_sequences(volume, FOUR, ("t1", "t2"))
    assert found.array.sum(axis=(1, 2, 3)).tolist() == [8, 0, 8, 0]
    assert volume.array.all()
    assert without_sequences(volume, FOUR, ()) is volume


def test_what_is_said() -> None:
    notes = {"validation_by_sequences": {"flair+t2": {"WT": 0.917, "TC": 0.5}}, "validation_cases": 7}
    assert missing_warnings((), FOUR, notes) == []
    said = missing_warnings(("t1", "t1ce"), FOUR, notes)
    assert said[0] == "t1 is missing and was taken as blank: expect a worse result"
    assert said[2] == "with flair, t2 alone, mean Dice on 7 held-out cases was WT 0.92, TC 0.50"
    assert said[3] == KIND_OF_CORE_WARNING
    assert len(missing_warnings(("t1",), FOUR, {})) == 1
