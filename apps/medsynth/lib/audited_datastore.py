"""Datastores that note who changed what, whichever way the change came: a viewer, a generator, a batch, the clinic."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib.datastore import OWN_FOLDER, CaseDatastore, check_tag
from lib.dicom_datastore import DicomCaseDatastore
from medsynth_app.audit import AuditTrail

AUDIT_FILE = "audit.jsonl"


class _Audited(CaseDatastore):
    """Mixed in before a datastore; what is refused is not noted."""

    @property
    def audit(self) -> AuditTrail:
        """The trail beside the studies, in a folder that no client reaches."""
        if not hasattr(self, "_audit"):
            self._audit = AuditTrail(self.root / OWN_FOLDER / AUDIT_FILE)
        return self._audit

    def save_label(
        self, image_id: str, label_filename: str, label_tag: str, label_info: Mapping[str, Any]
    ) -> str:
        """As the datastore; noted with the file's SHA-256."""
        label_id = super().save_label(image_id, label_filename, label_tag, label_info)
        tag = check_tag(label_tag)
        digest = hashlib.sha256(self.label_file(image_id, tag).read_bytes()).hexdigest()
        self.audit.record("label.stored", case=image_id, tag=tag, sha256=digest)
        return label_id

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """As the datastore; noted."""
        super().remove_label(label_id, label_tag)
        self.audit.record("label.removed", case=label_id, tag=check_tag(label_tag))

    def update_label_info(self, label_id: str, label_tag: str, info: Mapping[str, Any]) -> None:
        """As the datastore; noted with the names of the entries."""
        super().update_label_info(label_id, label_tag, info)
        self.audit.record("label.described", case=label_id, tag=check_tag(label_tag), entries=sorted(map(str, info)))

    def add_image(self, image_id: str, image_filename: str, image_info: Mapping[str, Any]) -> str:
        """As the datastore; noted."""
        name = super().add_image(image_id, image_filename, image_info)
        self.audit.record("case.stored", case=name)
        return name

    def add_case(
        self, image_id: str, sequences: Mapping[str, Path], label: Path | None, info: Mapping[str, Any]
    ) -> str:
        """As the datastore; noted."""
        name = super().add_case(image_id, sequences, label, info)
        self.audit.record("case.stored", case=name, generated=True, with_label=label is not None)
        return name

    def remove_image(self, image_id: str) -> None:
        """As the datastore; noted."""
        super().remove_image(image_id)
        self.audit.record("case.removed", case=image_id)


class AuditedCases(_Audited):
    """Cases of a folder."""


class AuditedDicomCases(_Audited, DicomCaseDatastore):
    """Series of a DICOMweb server."""
