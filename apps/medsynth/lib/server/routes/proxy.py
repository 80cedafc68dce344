"""``/proxy/dicom``: OHIF's way to the DICOMweb server, pinned to DICOMweb's own resources.

Differences from MONAI Label's proxy: the query string is passed on (without it the study list's filters do
nothing), nothing but studies, series and instances can be reached with the server's credentials, and a slow
DICOMweb server does not stop the event loop.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from fastapi import APIRouter, Request
from fastapi.responses import Response

from lib.server.stopping import Stopping
from medsynth_app.errors import NotFoundError, OverloadedError

SEGMENT = re.compile(r"[A-Za-z0-9_,.-]+")
RESOURCES = ("studies", "series", "instances")
PASSED_REQUEST_HEADERS = ("accept", "content-type")
PASSED_ANSWER_HEADERS = ("content-type", "etag", "last-modified", "cache-control")
TIMEOUT = httpx.Timeout(120.0, connect=5.0)
AT_ONCE = 24
WAITING = 96
"""A browser asks for six frames at once; sixteen readers."""


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


class Places:
    """How many requests a DICOMweb server is asked at once, and how many wait for that; one more is refused.

    Args:
        at_once: requests.
        waiting: further ones.
    """

    def __init__(self, at_once: int = AT_ONCE, waiting: int = WAITING) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._left = at_once + waiting

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a place and hold it.

        Raises:
            OverloadedError: too many wait already (503).
        """
        if not self._left:
            raise OverloadedError("proxy: too many requests wait for the DICOMweb server; try again in a few seconds")
        self._left -= 1
        try:
            async with self._free:
                yield
        finally:
            self._left += 1


def build_router(server: DicomWebServer, places: Places | None = None, stopping: Stopping | None = None) -> APIRouter:
    """The routes, bound to one DICOMweb server. They hold no thread while it thinks: everybody else has those.

    Args:
        server: where they lead.
        places: how much they ask at once.
        stopping: when it is said there, waiting requests end.
    """
    router = APIRouter(prefix="/proxy", tags=["Others"])
    places, stopping = places or Places(), stopping or Stopping()

    @router.api_route("/dicom/{path:path}", methods=["GET", "POST"], include_in_schema=False)
    async def proxy(request: Request, path: str) -> Response:
        target = target_url(server, path)
        async with places.one():
            body = await request.body()
            return await stopping.unless_stopping(_forward(server, request, target, body))

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


async def _forward(server: DicomWebServer, request: Request, target: str, body: bytes) -> Response:
    headers = {name: request.headers[name] for name in PASSED_REQUEST_HEADERS if name in request.headers}
    address = httpx.URL(target).copy_with(query=request.scope.get("query_string") or None)
    try:
        async with httpx.AsyncClient(auth=server.credentials, timeout=TIMEOUT) as client:
            answer = await client.request(request.method, address, content=body or None, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OverloadedError("proxy: the DICOMweb server does not answer", code="archive_unavailable") from error
    passed = {name: answer.headers[name] for name in PASSED_ANSWER_HEADERS if name in answer.headers}
    return Response(answer.content, answer.status_code, passed)
