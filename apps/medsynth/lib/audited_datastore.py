"""Datastores that note who changed what, whichever way the change came: a viewer, a generator, a batch, the clinic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib.datastore import OWN_FOLDER, SENDING, CaseDatastore
from lib.dicom_datastore import DicomCaseDatastore
from medsynth_app.audit import AuditTrail

AUDIT_FILE = "audit.jsonl"


class _Audited(CaseDatastore):
    """Mixed in before a datastore; what is refused is not noted, what cannot be noted does not happen."""

    @property
    def audit(self) -> AuditTrail:
        """The trail beside the studies, in a folder that no client reaches."""
        if not hasattr(self, "_audit"):
            self._audit = AuditTrail(self.root / OWN_FOLDER / AUDIT_FILE)
        return self._audit

    def _note(self, action: str, case: str, change: str, facts: Mapping[str, Any]) -> None:
        self.audit.record(action, case=case, **facts, change=change)

    def _is_noted(self, change: str) -> bool:
        rows = self.audit.find(change=change)
        if any(row["action"] != SENDING for row in rows):
            return True
        return any(self._has_arrived(str(row.get("segmentation", ""))) for row in rows)


class AuditedCases(_Audited):
    """Cases of a folder."""


class AuditedDicomCases(_Audited, DicomCaseDatastore):
    """Series of a DICOMweb server."""
