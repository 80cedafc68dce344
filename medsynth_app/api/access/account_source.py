"""The users file as the running server sees it: read again when it changes, so that a removed user is out at once."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from medsynth_app.accounts import AccountBook, load_accounts
from medsynth_app.errors import MedSynthError, OverloadedError

logger = logging.getLogger(__name__)


class AccountSource:
    """Gives the accounts of a file.

    Args:
        path: the users file.

    Raises:
        MedSynthError: it is not there, others can read it, or it is broken.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mutex = threading.Lock()
        if not path.is_file():
            raise MedSynthError(f"users: there is no file {path.name!r}; `medsynth users add NAME` makes it")
        self._signature = self._look()
        self._book = load_accounts(path)

    def book(self) -> AccountBook:
        """The accounts as they are now.

        Raises:
            OverloadedError: the file cannot be read any more; nobody gets in until it can (503).
        """
        with self._mutex:
            try:
                signature = self._look()
                if signature != self._signature:
                    self._book = load_accounts(self.path)
                    self._signature = signature
            except (OSError, MedSynthError) as error:
                logger.error("the users file %s cannot be read: %s", self.path.name, type(error).__name__)
                raise OverloadedError("login: the server cannot read its users", code="login_unavailable") from error
            return self._book

    def _look(self) -> tuple[int, int, int]:
        facts = self.path.stat()
        return facts.st_mtime_ns, facts.st_size, facts.st_ino
