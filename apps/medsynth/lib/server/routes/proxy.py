"""``/proxy/dicom``: OHIF's way to the DICOMweb server, pinned to DICOMweb's own resources.

Differences from MONAI Label's proxy: the query string is passed on (without it the study list's filters do
nothing), nothing but studies, series and instances can be reached with the server's credentials, and a slow
DICOMweb server does not stop the event loop.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import requests
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from medsynth_app.errors import NotFoundError, OverloadedError

SEGMENT = re.compile(r"[A-Za-z0-9_,.-]+")
RESOURCES = ("studies", "series", "instances")
PASSED_REQUEST_HEADERS = ("accept", "content-type")
PASSED_ANSWER_HEADERS = ("content-type", "etag", "last-modified", "cache-control")
TIMEOUT_SECONDS = (5, 120)


@dataclass(frozen=True)
class DicomWebServer:
    """Where the proxy leads.

    Attributes:
        url: root of the DICOMweb server, ``""`` where studies are a folder.
        prefixes: ``wado``, ``qido`` and ``stow`` -> path prefix of that service.
        credentials: user and password, or None.
    """

    url: str
    prefixes: dict[str, str]
    credentials: tuple[str, str] | None = None


def build_router(server: DicomWebServer) -> APIRouter:
    """The routes, bound to one DICOMweb server."""
    router = APIRouter(prefix="/proxy", tags=["Others"])

    @router.api_route("/dicom/{path:path}", methods=["GET", "POST"], include_in_schema=False)
    async def proxy(request: Request, path: str) -> Response:
        target = target_url(server, path)
        body = await request.body()
        return await run_in_threadpool(_forward, server, request, target, body)

    return router


def target_url(server: DicomWebServer, path: str) -> str:
    """The address of a proxied path ``[wado|qido|stow/]studies/...``.

    Raises:
        NotFoundError: there is no DICOMweb server, or the path is not one of its resources.
    """
    if not server.url:
        raise NotFoundError("proxy: the studies of this server are a folder, not a DICOMweb server")
    service, _, rest = path.partition("/")
    if service not in ("wado", "qido", "stow"):
        service, rest = "", path
    segments = rest.strip("/").split("/")
    if segments[0] not in RESOURCES or not all(
        SEGMENT.fullmatch(s) and s.strip(".") for s in segments
    ):
        raise NotFoundError(f"proxy: {rest[:60]!r} is no DICOMweb resource; allowed are {', '.join(RESOURCES)}")
    if service == "qido" and segments[-1] == "metadata":
        service = "wado"  # some versions of OHIF ask there
    prefix = (server.prefixes.get(service) or "").strip("/")
    return "/".join(part for part in (server.url.rstrip("/"), prefix, *segments) if part)


def _forward(server: DicomWebServer, request: Request, target: str, body: bytes) -> Response:
    headers = {name: request.headers[name] for name in PASSED_REQUEST_HEADERS if name in request.headers}
    try:
        answer = requests.request(
            request.method, target, params=request.url.query, data=body or None, headers=headers,
            auth=server.credentials, timeout=TIMEOUT_SECONDS, allow_redirects=False,
        )  # fmt: skip
    except requests.RequestException as error:
        raise OverloadedError("proxy: the DICOMweb server does not answer", code="archive_unavailable") from error
    passed = {name: answer.headers[name] for name in PASSED_ANSWER_HEADERS if name in answer.headers}
    return Response(answer.content, answer.status_code, passed)
