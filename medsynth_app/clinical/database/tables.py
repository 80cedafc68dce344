"""The SQL tables of the clinic: knowledge base, hospitals, cross-checks and the audit chain.

Times are UTC in ISO 8601 text, so that SQLite and PostgreSQL keep, sort and hash the same characters. JSON is
stored as text for the same reason. `migrations/` creates these tables; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
"""Constraint names: the same on both engines, so that a later migration can find them."""


class Base(DeclarativeBase):
    """Common base of all tables."""

    metadata = MetaData(naming_convention=NAMING)


# ---- knowledge base ----


class SeedState(Base):
    """Which version of the project's seed files the database holds (one row)."""

    __tablename__ = "seed_state"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    manifest_checksum: Mapped[str] = mapped_column(String(64))
    content_checksum: Mapped[str] = mapped_column(String(64))
    applied_at: Mapped[str] = mapped_column(String(32))


class SymptomRow(Base):
    """A symptom with its codes and its side rule."""

    __tablename__ = "symptom"
    __table_args__ = (CheckConstraint("strength >= 0 AND strength <= 1", name="strength"),)
    id: Mapped[str] = mapped_column(String(60), primary_key=True)
    name_en: Mapped[str] = mapped_column(String(200))
    name_ko: Mapped[str] = mapped_column(String(200))
    hpo_id: Mapped[str] = mapped_column(String(20))
    hpo_label: Mapped[str] = mapped_column(String(200))
    icd10_cm: Mapped[str] = mapped_column(String(12))
    icd10_cm_label: Mapped[str] = mapped_column(String(300))
    icd10_category: Mapped[str] = mapped_column(String(4))
    kind: Mapped[str] = mapped_column(String(20))
    laterality_rule: Mapped[str] = mapped_column(String(30))
    side_asked: Mapped[str] = mapped_column(String(30))
    strength: Mapped[float] = mapped_column(Float)
    frequency_percent: Mapped[str] = mapped_column(String(100))
    evidence_status: Mapped[str] = mapped_column(String(20))
    source: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(20))
    version: Mapped[int] = mapped_column(Integer)
    reviewer: Mapped[str] = mapped_column(String(100))
    reviewed_on: Mapped[str] = mapped_column(String(10))


class SynonymRow(Base):
    """One way of naming a symptom."""

    __tablename__ = "symptom_synonym"
    __table_args__ = (UniqueConstraint("symptom_id", "language", "text"),)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    symptom_id: Mapped[str] = mapped_column(ForeignKey("symptom.id"), index=True)
    language: Mapped[str] = mapped_column(String(2))
    text: Mapped[str] = mapped_column(String(200))


class LayTermRow(Base):
    """Words of one language that mean the same part or quality."""

    __tablename__ = "lay_term"
    concept: Mapped[str] = mapped_column(String(40), primary_key=True)
    language: Mapped[str] = mapped_column(String(2), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    forms: Mapped[str] = mapped_column(Text)


class RegionRow(Base):
    """A brain region; the table mirrors `imaging.brain_regions`, which is its source."""

    __tablename__ = "brain_region"
    code: Mapped[str] = mapped_column(String(20), primary_key=True)
    name_en: Mapped[str] = mapped_column(String(100))
    name_ko: Mapped[str] = mapped_column(String(100))
    lobe: Mapped[str] = mapped_column(String(30))
    eloquence: Mapped[str] = mapped_column(String(20))
    icd10_site: Mapped[str] = mapped_column(String(8))
    two_sided: Mapped[int] = mapped_column(Integer)


class LinkRow(Base):
    """How much a symptom points to a region."""

    __tablename__ = "symptom_region"
    __table_args__ = (CheckConstraint("weight > 0 AND weight <= 1", name="weight"),)
    symptom_id: Mapped[str] = mapped_column(ForeignKey("symptom.id"), primary_key=True)
    region_code: Mapped[str] = mapped_column(ForeignKey("brain_region.code"), primary_key=True, index=True)
    weight: Mapped[float] = mapped_column(Float)
    laterality_rule: Mapped[str] = mapped_column(String(30))
    side_override: Mapped[str] = mapped_column(String(30))
    strength: Mapped[float] = mapped_column(Float)
    evidence_status: Mapped[str] = mapped_column(String(20))
    source: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(20))
    version: Mapped[int] = mapped_column(Integer)


class RedFlagRow(Base):
    """A combination of answers that calls for urgent care whatever the score says."""

    __tablename__ = "red_flag"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    all_of: Mapped[str] = mapped_column(Text)
    onset: Mapped[str] = mapped_column(String(100))
    rapidly_worse: Mapped[int] = mapped_column(Integer)
    text_en: Mapped[str] = mapped_column(String(300))
    text_ko: Mapped[str] = mapped_column(String(300))


# ---- hospitals ----


class SourceRow(Base):
    """Where hospital data come from and under which licence."""

    __tablename__ = "hospital_source"
    id: Mapped[str] = mapped_column(String(60), primary_key=True)
    title: Mapped[str] = mapped_column(String(300))
    licence: Mapped[str] = mapped_column(String(300))
    url: Mapped[str] = mapped_column(String(500))
    retrieved: Mapped[str] = mapped_column(String(10))
    checksum: Mapped[str] = mapped_column(String(64))


class ServiceRow(Base):
    """A clinical service that hospitals offer."""

    __tablename__ = "service"
    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    name_en: Mapped[str] = mapped_column(String(100))
    name_ko: Mapped[str] = mapped_column(String(100))
    parent: Mapped[str] = mapped_column(String(40))
    general: Mapped[int] = mapped_column(Integer)


class RegionServiceRow(Base):
    """What the care of a tumour in a region wants."""

    __tablename__ = "region_service"
    region_code: Mapped[str] = mapped_column(String(20), primary_key=True)
    service_code: Mapped[str] = mapped_column(ForeignKey("service.code"), primary_key=True)
    weight: Mapped[float] = mapped_column(Float)
    reason_en: Mapped[str] = mapped_column(String(300))
    reason_ko: Mapped[str] = mapped_column(String(300))


class HospitalRow(Base):
    """A hospital at a place. Imports never delete: ``active`` turns to 0."""

    __tablename__ = "hospital"
    __table_args__ = (
        UniqueConstraint("source_id", "external_id"),
        Index("ix_hospital_latitude_longitude", "latitude", "longitude"),
        CheckConstraint("latitude IS NULL OR (latitude >= -90 AND latitude <= 90)", name="latitude"),
        CheckConstraint("longitude IS NULL OR (longitude >= -180 AND longitude <= 180)", name="longitude"),
    )
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    source_id: Mapped[str] = mapped_column(ForeignKey("hospital_source.id"))
    external_id: Mapped[str] = mapped_column(String(120))
    name: Mapped[str] = mapped_column(String(300))
    name_ko: Mapped[str] = mapped_column(String(300))
    name_en: Mapped[str] = mapped_column(String(300))
    level: Mapped[str] = mapped_column(String(10))
    emergency: Mapped[int | None] = mapped_column(Integer)
    phone: Mapped[str] = mapped_column(String(60))
    url: Mapped[str] = mapped_column(String(500))
    address: Mapped[str] = mapped_column(String(500))
    province: Mapped[str] = mapped_column(String(100))
    district: Mapped[str] = mapped_column(String(100))
    country: Mapped[str] = mapped_column(String(2))
    latitude: Mapped[float | None] = mapped_column(Float)
    longitude: Mapped[float | None] = mapped_column(Float)
    confidence: Mapped[float] = mapped_column(Float)
    updated: Mapped[str] = mapped_column(String(10))
    invented: Mapped[int] = mapped_column(Integer)
    active: Mapped[int] = mapped_column(Integer)


class HospitalServiceRow(Base):
    """That a hospital offers a service, who says so and how sure that is."""

    __tablename__ = "hospital_service"
    # the largest table by far: in SQLite its key is the table, not a second tree beside it
    __table_args__ = {"sqlite_with_rowid": False}
    hospital_id: Mapped[str] = mapped_column(ForeignKey("hospital.id"), primary_key=True)
    service_code: Mapped[str] = mapped_column(ForeignKey("service.code"), primary_key=True)
    source_id: Mapped[str] = mapped_column(ForeignKey("hospital_source.id"))
    confidence: Mapped[float] = mapped_column(Float)
    updated: Mapped[str] = mapped_column(String(10))


class ImportRunRow(Base):
    """One import: how many rows came in and which were refused, with their numbers."""

    __tablename__ = "import_run"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    source_id: Mapped[str] = mapped_column(String(60))
    finished_at: Mapped[str] = mapped_column(String(32))
    accepted: Mapped[int] = mapped_column(Integer)
    quarantined: Mapped[int] = mapped_column(Integer)
    report: Mapped[str] = mapped_column(Text)


# ---- cross-checks ----


class CrossCheckRow(Base):
    """A comparison of symptoms and mask, from its proposal to its final record."""

    __tablename__ = "cross_check"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    case_id: Mapped[str] = mapped_column(String(200), index=True)
    label_version: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[str] = mapped_column(String(32))
    status: Mapped[str] = mapped_column(String(20))
    intake: Mapped[str] = mapped_column(Text)
    result: Mapped[str] = mapped_column(Text)
    versions: Mapped[str] = mapped_column(Text)


class FreeTextRow(Base):
    """A patient's own words, kept apart because they may hold a name; deleted without touching the result."""

    __tablename__ = "cross_check_free_text"
    cross_check_id: Mapped[str] = mapped_column(ForeignKey("cross_check.id"), primary_key=True)
    text: Mapped[str] = mapped_column(Text)


class DecisionRow(Base):
    """What a named clinician decided on a cross-check."""

    __tablename__ = "decision"
    cross_check_id: Mapped[str] = mapped_column(ForeignKey("cross_check.id"), primary_key=True)
    action: Mapped[str] = mapped_column(String(10))
    actor: Mapped[str] = mapped_column(String(100))
    reason: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[str] = mapped_column(String(32))
    amended_label_version: Mapped[str] = mapped_column(String(200))


class AuditRow(Base):
    """One link of the audit chain; triggers refuse to change or delete it."""

    __tablename__ = "audit"
    __table_args__ = (UniqueConstraint("previous_hash"),)
    sequence: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    time: Mapped[str] = mapped_column(String(32))
    actor: Mapped[str] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str] = mapped_column(String(200))
    payload: Mapped[str] = mapped_column(Text)
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
