"""``/auth`` as 3D Slicer asks it, and a small page for browsers, whose viewers send no header."""

from __future__ import annotations

from html import escape
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from medsynth_app.accounts import Account, Role
from medsynth_app.api.access.credentials import COOKIE, Credentials, TooManyFailuresError
from medsynth_app.api.access.gate import LOGIN_PAGE
from medsynth_app.api.access.sessions import LIFETIME_SECONDS, open_session
from medsynth_app.api.error_handlers import error_response
from medsynth_app.errors import NotFoundError
from medsynth_app.vocabulary import RESEARCH_NOTICE

FIRST_PAGE = "/medsynth/"
_Word = Annotated[str, Form(max_length=1024)]


def build_router(credentials: Credentials | None) -> APIRouter:
    """The routes, bound to what recognises callers; None = the server has no login."""
    router = APIRouter(tags=["Auth"])

    @router.get("/auth/", summary="Whether a login is needed")
    def enabled() -> dict[str, Any]:
        if credentials is None:
            raise NotFoundError("auth: this server has no login")  # as MONAI Label answers where there is none
        return {"enabled": True, "client_id": "medsynth", "realm": "MedSynth"}

    @router.post("/auth/token", summary="Exchange user name and password (or token) for an access token")
    def token(request: Request, username: _Word = "", password: _Word = "", grant_type: _Word = "password") -> Response:
        if credentials is None:
            return JSONResponse({"access_token": None, "token_type": None})
        if grant_type != "password":
            return error_response(400, f"grant_type: {grant_type[:40]!r} must be 'password'", "malformed")
        account = credentials.log_in(username, password, _address(request))
        if account is None:
            return error_response(401, "login: user name or password is wrong", "unauthorized")
        return JSONResponse(
            {
                "access_token": open_session(credentials.accounts.book(), account),
                "token_type": "bearer",
                "expires_in": LIFETIME_SECONDS,
            },
            headers={"Cache-Control": "no-store"},
        )

    @router.get("/auth/token/valid", summary="Who the caller is")
    def valid(request: Request) -> dict[str, Any]:
        account: Account | None = getattr(request.state, "account", None)
        if account is None:
            return {"enabled": False, "username": None, "role": Role.ADMIN.value, "roles": [r.value for r in Role]}
        roles = [role.value for role in Role if account.role.includes(role)]
        return {"enabled": True, "username": account.name, "role": account.role.value, "roles": roles}

    @router.get(LOGIN_PAGE, include_in_schema=False)
    def login_page(next_page: Annotated[str, Query(alias="next")] = FIRST_PAGE) -> HTMLResponse:
        return _page(_safe(next_page), "")

    @router.post(LOGIN_PAGE, include_in_schema=False)
    def log_in(
        request: Request,
        username: _Word = "",
        password: _Word = "",
        next_page: Annotated[str, Form(alias="next", max_length=2048)] = FIRST_PAGE,
    ) -> Response:
        if credentials is None:
            return RedirectResponse(_safe(next_page), 303)
        try:
            account = credentials.log_in(username, password, _address(request))
        except TooManyFailuresError as error:
            page = _page(_safe(next_page), f"Too many failures. Try again in {error.retry_after} seconds.", 429)
            page.headers["Retry-After"] = str(error.retry_after)
            return page
        if account is None:
            return _page(_safe(next_page), "User name or password is wrong.", 401)
        answer = RedirectResponse(_safe(next_page), 303)
        answer.set_cookie(
            COOKIE, open_session(credentials.accounts.book(), account), max_age=LIFETIME_SECONDS, httponly=True,
            samesite="lax", secure=request.url.scheme == "https", path="/",
        )  # fmt: skip
        return answer

    @router.post("/medsynth/logout", include_in_schema=False)
    def log_out(request: Request) -> Response:
        if credentials is not None:
            credentials.log_out(dict(request.scope["headers"]))
        answer = RedirectResponse(LOGIN_PAGE, 303)
        answer.delete_cookie(COOKIE, path="/")
        return answer

    return router


def _safe(page: str) -> str:
    """A page of this server; another site's address becomes the first page."""
    inside = page.startswith("/") and not page.startswith("//") and "\\" not in page and page.isprintable()
    return page if inside else FIRST_PAGE


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _page(next_page: str, message: str, status: int = 200) -> HTMLResponse:
    complaint = f'<p role="alert">{escape(message)}</p>' if message else ""
    text = _PAGE.format(next=escape(next_page, quote=True), complaint=complaint, notice=escape(RESEARCH_NOTICE))
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
        "frame-ancestors 'none'",
        "Referrer-Policy": "same-origin",
    }
    return HTMLResponse(text, status, headers)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>MedSynth: log in</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; background: #f4f6f8; color: #17212b; margin: 0 }}
main {{ max-width: 22rem; margin: 12vh auto; padding: 2rem; background: #fff; border-radius: 8px }}
label, button {{ display: block; width: 100%; margin-top: 1rem }}
input {{ width: 100%; box-sizing: border-box; padding: .5rem; font: inherit; border: 1px solid #5b6b7a }}
button {{ padding: .6rem; font: inherit; background: #0b5394; color: #fff; border: 0; border-radius: 4px }}
[role=alert] {{ color: #a40000 }}
small {{ color: #46545f }}
</style></head><body><main>
<h1>MedSynth</h1>{complaint}
<form method="post" action="login">
<label>User name<input name="username" autocomplete="username" autofocus required></label>
<label>Password or token
<input name="password" type="password" autocomplete="current-password" required></label>
<input type="hidden" name="next" value="{next}">
<button>Log in</button></form>
<p><small>{notice}</small></p>
</main></body></html>
"""
