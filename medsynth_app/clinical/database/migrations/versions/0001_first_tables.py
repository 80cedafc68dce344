"""The first tables: knowledge base, hospitals, cross-checks, and an audit chain that refuses to change."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "audit",
    "brain_region",
    "cross_check",
    "hospital_source",
    "import_run",
    "lay_term",
    "red_flag",
    "seed_state",
    "service",
    "symptom",
    "cross_check_free_text",
    "decision",
    "hospital",
    "region_service",
    "symptom_region",
    "symptom_synonym",
    "hospital_service",
)
"""In the order in which foreign keys allow them to be made."""


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "audit",
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("time", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit")),
        sa.UniqueConstraint("previous_hash", name=op.f("uq_audit_previous_hash")),
    )
    op.create_table(
        "brain_region",
        sa.Column("code", sa.String(length=20), nullable=False),
        sa.Column("name_en", sa.String(length=100), nullable=False),
        sa.Column("name_ko", sa.String(length=100), nullable=False),
        sa.Column("lobe", sa.String(length=30), nullable=False),
        sa.Column("eloquence", sa.String(length=20), nullable=False),
        sa.Column("icd10_site", sa.String(length=8), nullable=False),
        sa.Column("two_sided", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_brain_region")),
    )
    op.create_table(
        "cross_check",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("case_id", sa.String(length=200), nullable=False),
        sa.Column("label_version", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("intake", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("versions", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cross_check")),
    )
    op.create_index(op.f("ix_cross_check_case_id"), "cross_check", ["case_id"], unique=False)
    op.create_table(
        "hospital_source",
        sa.Column("id", sa.String(length=60), nullable=False),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("licence", sa.String(length=300), nullable=False),
        sa.Column("url", sa.String(length=500), nullable=False),
        sa.Column("retrieved", sa.String(length=10), nullable=False),
        sa.Column("checksum", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hospital_source")),
    )
    op.create_table(
        "import_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.String(length=60), nullable=False),
        sa.Column("finished_at", sa.String(length=32), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("quarantined", sa.Integer(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_run")),
    )
    op.create_table(
        "lay_term",
        sa.Column("concept", sa.String(length=40), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("forms", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("concept", "language", name=op.f("pk_lay_term")),
    )
    op.create_table(
        "red_flag",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("all_of", sa.Text(), nullable=False),
        sa.Column("onset", sa.String(length=100), nullable=False),
        sa.Column("rapidly_worse", sa.Integer(), nullable=False),
        sa.Column("text_en", sa.String(length=300), nullable=False),
        sa.Column("text_ko", sa.String(length=300), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_red_flag")),
    )
    op.create_table(
        "seed_state",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("manifest_checksum", sa.String(length=64), nullable=False),
        sa.Column("content_checksum", sa.String(length=64), nullable=False),
        sa.Column("applied_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_seed_state")),
    )
    op.create_table(
        "service",
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("name_en", sa.String(length=100), nullable=False),
        sa.Column("name_ko", sa.String(length=100), nullable=False),
        sa.Column("parent", sa.String(length=40), nullable=False),
        sa.Column("general", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_service")),
    )
    op.create_table(
        "symptom",
        sa.Column("id", sa.String(length=60), nullable=False),
        sa.Column("name_en", sa.String(length=200), nullable=False),
        sa.Column("name_ko", sa.String(length=200), nullable=False),
        sa.Column("hpo_id", sa.String(length=20), nullable=False),
        sa.Column("hpo_label", sa.String(length=200), nullable=False),
        sa.Column("icd10_cm", sa.String(length=12), nullable=False),
        sa.Column("icd10_cm_label", sa.String(length=300), nullable=False),
        sa.Column("icd10_category", sa.String(length=4), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("laterality_rule", sa.String(length=30), nullable=False),
        sa.Column("side_asked", sa.String(length=30), nullable=False),
        sa.Column("strength", sa.Float(), nullable=False),
        sa.Column("frequency_percent", sa.String(length=100), nullable=False),
        sa.Column("evidence_status", sa.String(length=20), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("reviewer", sa.String(length=100), nullable=False),
        sa.Column("reviewed_on", sa.String(length=10), nullable=False),
        sa.CheckConstraint("strength >= 0 AND strength <= 1", name=op.f("ck_symptom_strength")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_symptom")),
    )
    op.create_table(
        "cross_check_free_text",
        sa.Column("cross_check_id", sa.String(length=36), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cross_check_id"], ["cross_check.id"], name=op.f("fk_cross_check_free_text_cross_check_id")
        ),
        sa.PrimaryKeyConstraint("cross_check_id", name=op.f("pk_cross_check_free_text")),
    )
    op.create_table(
        "decision",
        sa.Column("cross_check_id", sa.String(length=36), nullable=False),
        sa.Column("action", sa.String(length=10), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.String(length=32), nullable=False),
        sa.Column("amended_label_version", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["cross_check_id"], ["cross_check.id"], name=op.f("fk_decision_cross_check_id")
        ),
        sa.PrimaryKeyConstraint("cross_check_id", name=op.f("pk_decision")),
    )
    op.create_table(
        "hospital",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("source_id", sa.String(length=60), nullable=False),
        sa.Column("external_id", sa.String(length=120), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("name_ko", sa.String(length=300), nullable=False),
        sa.Column("name_en", sa.String(length=300), nullable=False),
        sa.Column("level", sa.String(length=10), nullable=False),
        sa.Column("emergency", sa.Integer(), nullable=True),
        sa.Column("phone", sa.String(length=60), nullable=False),
        sa.Column("url", sa.String(length=500), nullable=False),
        sa.Column("address", sa.String(length=500), nullable=False),
        sa.Column("province", sa.String(length=100), nullable=False),
        sa.Column("district", sa.String(length=100), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("latitude", sa.Float(), nullable=True),
        sa.Column("longitude", sa.Float(), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("updated", sa.String(length=10), nullable=False),
        sa.Column("invented", sa.Integer(), nullable=False),
        sa.Column("active", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "latitude IS NULL OR (latitude >= -90 AND latitude <= 90)", name=op.f("ck_hospital_latitude")
        ),
        sa.CheckConstraint(
            "longitude IS NULL OR (longitude >= -180 AND longitude <= 180)",
            name=op.f("ck_hospital_longitude"),
        ),
        sa.ForeignKeyConstraint(["source_id"], ["hospital_source.id"], name=op.f("fk_hospital_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hospital")),
        sa.UniqueConstraint("source_id", "external_id", name=op.f("uq_hospital_source_id_external_id")),
    )
    op.create_index("ix_hospital_latitude_longitude", "hospital", ["latitude", "longitude"], unique=False)
    op.create_table(
        "region_service",
        sa.Column("region_code", sa.String(length=20), nullable=False),
        sa.Column("service_code", sa.String(length=40), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("reason_en", sa.String(length=300), nullable=False),
        sa.Column("reason_ko", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(
            ["service_code"], ["service.code"], name=op.f("fk_region_service_service_code")
        ),
        sa.PrimaryKeyConstraint("region_code", "service_code", name=op.f("pk_region_service")),
    )
    op.create_table(
        "symptom_region",
        sa.Column("symptom_id", sa.String(length=60), nullable=False),
        sa.Column("region_code", sa.String(length=20), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("laterality_rule", sa.String(length=30), nullable=False),
        sa.Column("side_override", sa.String(length=30), nullable=False),
        sa.Column("strength", sa.Float(), nullable=False),
        sa.Column("evidence_status", sa.String(length=20), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("weight > 0 AND weight <= 1", name=op.f("ck_symptom_region_weight")),
        sa.ForeignKeyConstraint(
            ["region_code"], ["brain_region.code"], name=op.f("fk_symptom_region_region_code")
        ),
        sa.ForeignKeyConstraint(["symptom_id"], ["symptom.id"], name=op.f("fk_symptom_region_symptom_id")),
        sa.PrimaryKeyConstraint("symptom_id", "region_code", name=op.f("pk_symptom_region")),
    )
    op.create_index(op.f("ix_symptom_region_region_code"), "symptom_region", ["region_code"], unique=False)
    op.create_table(
        "symptom_synonym",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("symptom_id", sa.String(length=60), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("text", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["symptom_id"], ["symptom.id"], name=op.f("fk_symptom_synonym_symptom_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_symptom_synonym")),
        sa.UniqueConstraint(
            "symptom_id", "language", "text", name=op.f("uq_symptom_synonym_symptom_id_language_text")
        ),
    )
    op.create_index(op.f("ix_symptom_synonym_symptom_id"), "symptom_synonym", ["symptom_id"], unique=False)
    op.create_table(
        "hospital_service",
        sa.Column("hospital_id", sa.String(length=36), nullable=False),
        sa.Column("service_code", sa.String(length=40), nullable=False),
        sa.Column("source_id", sa.String(length=60), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("updated", sa.String(length=10), nullable=False),
        sa.ForeignKeyConstraint(
            ["hospital_id"], ["hospital.id"], name=op.f("fk_hospital_service_hospital_id")
        ),
        sa.ForeignKeyConstraint(
            ["service_code"], ["service.code"], name=op.f("fk_hospital_service_service_code")
        ),
        sa.ForeignKeyConstraint(
            ["source_id"], ["hospital_source.id"], name=op.f("fk_hospital_service_source_id")
        ),
        sa.PrimaryKeyConstraint("hospital_id", "service_code", name=op.f("pk_hospital_service")),
        sqlite_with_rowid=False,
    )
    _make_audit_append_only()


def downgrade() -> None:
    """Drop everything, the audit chain included."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER audit_append_only ON audit")
        op.execute("DROP FUNCTION audit_refuses()")
    for name in reversed(TABLES):
        op.drop_table(name)


def _make_audit_append_only() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION audit_refuses() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the audit chain is append-only'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuses()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_refuses_{verb.lower()} BEFORE {verb} ON audit "
            "BEGIN SELECT RAISE(ABORT, 'the audit chain is append-only'); END"
        )
