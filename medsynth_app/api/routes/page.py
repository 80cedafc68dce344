"""``/medsynth/``: the page. Its files are those of one folder; NiiVue comes from the installed nilearn package."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response

from medsynth_app.errors import NotFoundError

router = APIRouter(prefix="/medsynth", tags=["Page"], include_in_schema=False)

FOLDER = Path(__file__).parents[2] / "web"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
}
PARTS = (".css", ".js", ".png")
FILES = {path.name: path for path in (*FOLDER.iterdir(), *(FOLDER / "cards").iterdir()) if path.suffix in PARTS}
"""Looked up once: a request names one of these or nothing."""
NIIVUE = ("nilearn", "_assets/js/niivue.umd.js")

CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'", "worker-src 'self' blob:", "style-src 'self'",
        "img-src 'self' data: blob:", "font-src 'self' data:", "connect-src 'self' data: blob:", "form-action 'self'",
        "base-uri 'none'", "frame-ancestors 'none'",
    )
)  # fmt: skip
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@router.get("", summary="To the page")
def without_slash() -> RedirectResponse:
    return RedirectResponse("/medsynth/")


@router.get("/", summary="The page")
def page() -> Response:
    return _answer(FOLDER / "index.html")


@router.get("/page/{name}", summary="A part of the page")
def part(name: str) -> Response:
    if name == "niivue.js":
        return _answer(_niivue())
    if name not in FILES:
        raise NotFoundError(f"name: no part of the page is called {name[:60]!r}")
    return _answer(FILES[name])


def _answer(path: Path) -> Response:
    return Response(_content(path), media_type=KINDS[path.suffix], headers=HEADERS)


@lru_cache(maxsize=64)
def _content(path: Path) -> bytes:
    return path.read_bytes()


def _niivue() -> Path:
    package = find_spec(NIIVUE[0])
    for folder in (package.submodule_search_locations or []) if package else []:
        if (path := Path(folder) / NIIVUE[1]).is_file():
            return path
    raise NotFoundError("niivue: the viewer is missing; install the package nilearn (0.14), which carries it")
