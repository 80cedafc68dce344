"""Which annotator works on which case: a case in somebody's hands is not handed to another until it comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medsynth_app.active_learning.storage import Storage


@dataclass(frozen=True)
class Lease:
    """A case in an annotator's hands.

    Attributes:
        case: case name.
        examination: what is leased: the case, or the DICOM study whose series it is.
        annotator: who has it.
        since: UNIX seconds, when it was handed out first.
        until: UNIX seconds, when it may be handed to another.
    """

    case: str
    examination: str
    annotator: str
    since: float
    until: float


class Leases:
    """All leases of a studies folder; they survive a restart.

    Args:
        storage: where they are kept.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def current(self, now: float) -> dict[str, Lease]:
        """Leases that have not ended, by examination."""
        with self.storage.reading() as connection:
            rows = connection.execute(
                "SELECT case_name, examination, annotator, since, until FROM leases WHERE until > ?", (now,)
            ).fetchall()
        return {row[1]: Lease(*row) for row in rows}

    def take(
        self, wanted: Sequence[tuple[str, str]], annotator: str, count: int, now: float, until: float
    ) -> list[Lease]:
        """Hand out cases in one step, so that two annotators who ask at once never get the same.

        Args:
            wanted: (case, examination), the most wanted first.
            annotator: who asks. A case of their own is handed out again, its lease prolonged.
            count: how many.
            now: UNIX seconds.
            until: when the leases end.
        """
        taken: list[Lease] = []
        with self.storage.writing() as connection:
            connection.execute("DELETE FROM leases WHERE until <= ?", (now,))
            query = "SELECT examination, annotator, since FROM leases"
            held = {examination: (owner, since) for examination, owner, since in connection.execute(query)}
            for case, examination in wanted:
                owner, since = held.get(examination, (annotator, now))
                if len(taken) == count:
                    break
                if owner != annotator:
                    continue
                lease = Lease(case, examination, annotator, since, until)
                connection.execute(
                    "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?)",
                    (examination, case, annotator, since, until),
                )
                held[examination] = (annotator, since)
                taken.append(lease)
        return taken

    def give_back(self, examination: str) -> Lease | None:
        """End a lease; answers it, or None where there was none."""
        query = "SELECT case_name, examination, annotator, since, until FROM leases WHERE examination = ?"
        with self.storage.writing() as connection:
            row = connection.execute(query, (examination,)).fetchone()
            connection.execute("DELETE FROM leases WHERE examination = ?", (examination,))
        return Lease(*row) if row else None
