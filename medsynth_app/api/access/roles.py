"""Which role each route needs: one table, read from the top; what it does not name, only an admin may call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medsynth_app.accounts import Role

READING = ("GET", "HEAD")
CHANGING = ("POST", "PUT", "DELETE", "PATCH")


@dataclass(frozen=True)
class Rule:
    """One row.

    Attributes:
        methods: HTTP methods it is about.
        path: pattern of the whole path.
        role: what the caller must be at least; None = anybody, even without a login.
    """

    methods: tuple[str, ...]
    path: re.Pattern[str]
    role: Role | None


def _rule(methods: tuple[str, ...], path: str, role: Role | None) -> Rule:
    return Rule(methods, re.compile(path), role)


ALL = (*READING, *CHANGING)
RULES = (
    # The way in, and what a load balancer asks.
    _rule(READING, r"/auth/?", None),
    _rule(("POST",), r"/auth/token", None),
    _rule(("GET", "POST"), r"/medsynth/login", None),
    _rule(("POST",), r"/medsynth/logout", None),
    _rule(READING, r"/medsynth/api/health/(live|ready)", None),
    _rule(READING, r"/favicon\.ico", None),
    # MONAI Label's routes.
    _rule(READING, r"/|/docs|/openapi\.json|/static/.*|/ohif|/ohif/.*|/info/?|/auth/token/valid", Role.VIEWER),
    _rule(READING, r"/datastore/dataset", Role.ANNOTATOR),
    _rule(READING, r"/datastore/.*", Role.VIEWER),
    _rule(("PUT",), r"/datastore/.*", Role.ANNOTATOR),
    _rule(("POST",), r"/infer/[^/]+", Role.ANNOTATOR),
    _rule(("POST",), r"/activelearning/[^/]+", Role.ANNOTATOR),
    _rule(READING, r"/(batch/infer|train|scoring)/?", Role.VIEWER),
    _rule(("POST", "DELETE"), r"/scoring/.*", Role.ANNOTATOR),
    _rule(READING, r"/proxy/dicom/.*", Role.VIEWER),
    _rule(("POST",), r"/proxy/dicom/.*", Role.ANNOTATOR),
    # MedSynth's own.
    _rule(READING, r"/medsynth/api/audit(/.*)?", Role.ADMIN),
    _rule(CHANGING, r"/medsynth/api/cross-check/[^/]+/(decision|free-text)", Role.REVIEWER),
    _rule(CHANGING, r"/medsynth/api/reviews/.*", Role.REVIEWER),
    _rule(CHANGING, r"/medsynth/api/rounds/.*", Role.ADMIN),
    _rule(("POST",), r"/medsynth/api/symptoms/.*", Role.VIEWER),
    _rule(READING, r"/medsynth|/medsynth/.*", Role.VIEWER),
    _rule(CHANGING, r"/medsynth/.*", Role.ANNOTATOR),
)
"""Deleting cases and labels, training, batch inference, weights and logs are an admin's: no row names them."""


def path_of(scope: Mapping[str, Any]) -> str:
    """The path of a request below the application's root."""
    path, root = scope["path"], scope.get("root_path", "")
    return path[len(root) :] or "/" if root and path.startswith(root) else path


def needed_role(method: str, path: str) -> Role | None:
    """The role that a request needs; None = anybody."""
    for rule in RULES:
        if method in rule.methods and rule.path.fullmatch(path):
            return rule.role
    return Role.ADMIN
