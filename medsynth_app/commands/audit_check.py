"""``medsynth doctor --audit``: whether the records of who changed what are whole, without a server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from medsynth_app.audit.chain import ChainVerification, check_anchor
from medsynth_app.audit.file_store import verify_file
from medsynth_app.clinical.database.engine import open_to_read
from medsynth_app.clinical.record.audit import verify_chain
from medsynth_app.commands.cross_check import default_database
from medsynth_app.errors import InvalidValueError, MedSynthError

OWN_FOLDER = ".medsynth"
SERVER_FILE = "audit.jsonl"
CLINIC_FILE = "clinical.db"


def check_audits(studies: Path | None, database: str, anchors: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Verify the server's audit of a studies folder and the clinic's audit of a database.

    Args:
        studies: folder that is served, or the cache folder of a DICOMweb server's studies; None = no server's audit.
        database: URL or SQLite file of the clinic; that beside the studies, else the user's own, where empty.
        anchors: hashes that were noted outside, each of one of the two.

    Returns:
        What was found by chain, and one line for each fault.

    Raises:
        InvalidValueError: there is nothing to verify, or an anchor is no hash.
    """
    wanted = [check_anchor(text) for text in anchors]
    found: dict[str, Callable[[str | None], ChainVerification]] = {}
    if studies is not None:
        if not studies.is_dir():
            raise InvalidValueError(f"--studies: {studies.name!r} is no folder")
        trail = studies / OWN_FOLDER / SERVER_FILE
        if trail.is_file():
            found["server"] = lambda anchor: verify_file(trail, anchor)
    place = database or _clinic_file(studies)
    if "://" in place or Path(place).is_file():
        found["clinic"] = lambda anchor: _verify_database(place, anchor)
    if not found:
        raise InvalidValueError("--audit: nothing is kept there yet; give the served folder with --studies")
    return _verified(found, wanted)


def _clinic_file(studies: Path | None) -> str:
    return default_database() if studies is None else str(studies / OWN_FOLDER / CLINIC_FILE)


def _verified(
    chains: dict[str, Callable[[str | None], ChainVerification]], anchors: list[str]
) -> tuple[dict[str, Any], list[str]]:
    rows: dict[str, Any] = {}
    faults, placed = [], set()
    for name, verify in chains.items():
        try:
            found = verify(None)
            placed |= {anchor for anchor in anchors if verify(anchor).anchor_found}
        except (OSError, SQLAlchemyError, MedSynthError) as error:
            rows[name] = {"intact": False, "reason": f"it cannot be read: {type(error).__name__}"}
        else:
            rows[name] = found.as_dict()
        if not rows[name]["intact"]:
            faults.append(f"{name}: record {rows[name].get('broken_at')}: {rows[name]['reason']}")
    missing = [anchor for anchor in anchors if anchor not in placed]
    faults += [f"no audit holds {anchor}: the newest records were altered or cut off" for anchor in missing]
    return rows, faults


def _verify_database(place: str, anchor: str | None) -> ChainVerification:
    with open_to_read(place) as database, database.reading() as session:
        return verify_chain(session, anchor)
