"""Who changed what: one kind of chain of hashes, two stores of it (a file, the database), one way to verify."""

from medsynth_app.audit.chain import GENESIS, ChainVerification
from medsynth_app.audit.file_store import AuditTrail, broken_lines, verify_file

__all__ = ["GENESIS", "AuditTrail", "ChainVerification", "broken_lines", "verify_file"]
