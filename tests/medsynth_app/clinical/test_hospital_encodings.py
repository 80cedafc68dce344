"""A hospital file's characters are read as they were written, or the file is refused with what to do."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medsynth_app.clinical.hospitals.table_import import CsvConfiguration, decode, read_hospital_csv
from medsynth_app.errors import UnsupportedKindError

latin = st.sampled_from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
accented = st.sampled_from("ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿŠšŽžŒœ’")
western_word = st.lists(st.tuples(st.booleans(), accented, latin, latin), min_size=2, max_size=6).map(
    lambda parts: "".join(f"{mark}{a}" if odd else f"{a}{b}" for odd, mark, a, b in parts)
)
korean_word = st.builds(
    lambda prefix, syllables, suffix: f"{prefix}{''.join(syllables)}{suffix}",
    st.sampled_from(["", "MH", "CHA", "e", "The", "365"]),
    st.lists(st.sampled_from("가나다라마바사아자차카타파하서울부산대학교병원우리중앙성모한림의료센터내과"), min_size=1,
             max_size=8),
    st.sampled_from(["", "(주)", "MRI", " A동"]),
)  # fmt: skip


def table(names: list[str]) -> str:
    return "".join(["name,address\n", *(f'"{name}","{name} 1"\n' for name in names)])


@settings(max_examples=250, derandomize=True, deadline=None)
@given(names=st.lists(western_word, min_size=1, max_size=4))
def test_western_windows_is_never_read_as_something_else(names: list[str]) -> None:
    text = table(names)
    content = text.encode("cp1252")
    with suppress(UnsupportedKindError):
        assert decode(content)[0] == text
    assert decode(content, "cp1252") == (text, "cp1252")


@settings(max_examples=250, derandomize=True, deadline=None)
@given(
    names=st.lists(st.one_of(korean_word, western_word), min_size=1, max_size=4),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_unicode_is_read_whatever_it_holds(names: list[str], encoding: str) -> None:
    assert decode(table(names).encode(encoding))[0] == table(names)


@settings(max_examples=250, derandomize=True, deadline=None)
@given(names=st.lists(korean_word, min_size=1, max_size=4))
def test_korean_windows_is_read_by_itself(names: list[str]) -> None:
    assert decode(table(names).encode("cp949")) == (table(names), "cp949")


@pytest.mark.parametrize("name", ["Århus Universitetshospital", "Hôpital Ägeri", "St. John’s", "ÅLBORG"])
def test_danish_hospital_does_not_become_korean(tmp_path: Path, name: str) -> None:
    (tmp_path / "hospitals.csv").write_bytes(table([name]).encode("cp1252"))
    with pytest.raises(UnsupportedKindError, match="encoding"):
        read_hospital_csv(tmp_path / "hospitals.csv")
    parsed = read_hospital_csv(tmp_path / "hospitals.csv", CsvConfiguration(encoding="cp1252"))
    assert name in [record.name for record in parsed.records] or parsed.quarantined
