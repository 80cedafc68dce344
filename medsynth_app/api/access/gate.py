"""The gate: every request passes it before anything else of the application sees it.

With users: known callers only, each with the role that the route needs. Without users: this machine only, unless
the operator said ``insecure`` aloud. In both cases no page of another site may change anything.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from fastapi.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from medsynth_app.accounts import Role
from medsynth_app.api.access.credentials import Caller, Credentials
from medsynth_app.api.access.roles import CHANGING, needed_role, path_of
from medsynth_app.api.error_handlers import error_response
from medsynth_app.errors import MedSynthError
from medsynth_app.request_context import acting_role, acting_user

LOGIN_PAGE = "/medsynth/login"
_LOCAL_NAMES = ("localhost", "localhost.localdomain")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Gate:
    """ASGI wrapper.

    Args:
        application: what is protected.
        credentials: recognises callers; None = no login.
        insecure: without a login, answer other machines too.
        origins: other sites whose pages may call this server, ``https://viewer.example.org``.
    """

    def __init__(
        self,
        application: ASGIApp,
        credentials: Credentials | None,
        insecure: bool = False,
        origins: tuple[str, ...] = (),
    ) -> None:
        self.application = application
        self.credentials = credentials
        self.insecure = insecure
        self.origins = frozenset(origin.rstrip("/").lower() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 303 (to the login page), 401, 403, 429 or 503."""
        if scope["type"] == "lifespan":
            await self.application(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # there are no web sockets here
        try:
            answer = await self._refusal(scope)
        except MedSynthError as error:
            answer = error_response(error.status, error.message, error.code, error.retry_after)
        await (answer or self.application)(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Response | None:
        headers = dict(scope["headers"])
        if self.credentials is None:
            return self._refuse_stranger(scope, headers) or self._refuse_other_site(scope, headers, False)
        needed = needed_role(scope["method"], path_of(scope))
        if needed is None:
            return self._refuse_other_site(scope, headers, False)
        # Checking a password takes some 50 ms of computing: not on the event loop.
        caller = await run_in_threadpool(self.credentials.caller, headers, _address(scope))
        if caller.account is None:
            return _ask_to_log_in(scope, headers, caller)
        scope.setdefault("state", {})["account"] = caller.account
        acting_user.set(caller.account.name)
        acting_role.set(caller.account.role.value)
        return self._refuse_other_site(scope, headers, caller.by_cookie) or _refuse_role(caller, needed)

    def _refuse_stranger(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Response | None:
        if self.insecure:
            return None
        if not is_loopback(_address(scope)):
            return error_response(
                403,
                "login: this server has no users and answers its own machine only; "
                "add users (`medsynth users add`) or start it with `insecure true`",
                "login_required",
            )
        host = _host_name(headers.get(b"host", b"").decode("latin-1"))
        if host and host not in _LOCAL_NAMES and not is_loopback(host):
            # A page whose name was made to point here (DNS rebinding) sends its own name.
            return error_response(403, f"host: {host[:60]!r} is not this machine's name", "wrong_host")
        return None

    def _refuse_other_site(
        self, scope: Scope, headers: Mapping[bytes, bytes], by_cookie: bool
    ) -> Response | None:
        """Pages of other sites must not change anything with the browser's rights (CSRF)."""
        if scope["method"] not in CHANGING:
            return None
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        if not origin and by_cookie:
            origin = _origin_of(headers.get(b"referer", b"").decode("latin-1")) or "none"
        if not origin or origin in self.origins:
            return None
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if _same_place(origin, host):
            return None
        return error_response(403, f"origin: {origin[:60]!r} may not change anything here", "wrong_origin")


def is_loopback(address: str) -> bool:
    """Whether an IP address is this machine's own; a Unix socket has none and counts as such."""
    try:
        parsed = ipaddress.ip_address(address.strip("[]") or "127.0.0.1")
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def _ask_to_log_in(scope: Scope, headers: Mapping[bytes, bytes], caller: Caller) -> Response:
    wants_page = scope["method"] == "GET" and b"text/html" in headers.get(b"accept", b"")
    if wants_page and (not caller.sent_something or caller.by_cookie):
        query = scope.get("query_string", b"").decode("latin-1")
        here = path_of(scope) + (f"?{query}" if query else "")
        return RedirectResponse(f"{scope.get('root_path', '')}{LOGIN_PAGE}?next={quote(here, safe='')}", 303)
    text = "login: the credentials are wrong or over" if caller.sent_something else "login: credentials are needed"
    answer = error_response(401, text, "unauthorized")
    answer.headers["WWW-Authenticate"] = 'Bearer realm="MedSynth"'
    return answer


def _refuse_role(caller: Caller, needed: Role) -> Response | None:
    if caller.account is None or caller.account.role.includes(needed):
        return None
    return error_response(
        403, f"role: {caller.account.role.value!r} may not do this, needed is {needed.value!r}", "forbidden"
    )


def _address(scope: Scope) -> str:
    """The caller's address; a Unix socket has none and is this machine, an empty one is nobody's."""
    client = scope.get("client")
    return (client[0] or "?") if client else ""


def _host_name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "") if host else ""
    except ValueError:
        return "?"


def _origin_of(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.netloc else ""


def _same_place(origin: str, host: str) -> bool:
    """Whether an origin names the host that the request was sent to, default ports left out or not."""
    try:
        parts = urlsplit(origin)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
        asked = urlsplit(f"//{host}")
        return bool(parts.hostname) and parts.hostname == asked.hostname and port == (
            asked.port or _DEFAULT_PORTS.get(parts.scheme)
        )
    except ValueError:
        return False
