"""Alembic's history of the tables: one file per change, applied in order by `clinical.database`."""
