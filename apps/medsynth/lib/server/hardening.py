"""Puts MedSynth's protections on MONAI Label's running FastAPI application.

Called when the application has started, so it works the same under ``medsynth serve`` and under the stock
``monailabel start_server``. What stays of the stock routes is moved off the event loop.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.utils import get_dependant
from fastapi.routing import APIRoute, request_response
from monailabel.config import settings as monailabel_settings
from monailabel.interfaces.exception import MONAILabelException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from lib.clinical_service import mount_clinic
from lib.datastore import CaseDatastore
from lib.server.readiness import readiness
from lib.server.routes import (
    activelearning,
    background,
    cases,
    datastore,
    infer,
    info,
    logs,
    model,
    proxy,
    scoring,
    train,
)
from lib.settings import Settings
from medsynth_app.api.access import login
from medsynth_app.api.access.account_source import AccountSource
from medsynth_app.api.access.credentials import Credentials
from medsynth_app.api.access.gate import Gate
from medsynth_app.api.bounded_request import BoundedRequest
from medsynth_app.api.dependencies import get_audit, get_readiness, get_upload_limits
from medsynth_app.api.error_handlers import add_error_handlers, error_response
from medsynth_app.api.json_logs import write_json_logs
from medsynth_app.api.metrics import Metrics, get_metrics
from medsynth_app.api.request_record import RequestRecord
from medsynth_app.api.router import build_router as build_clinic_router
from medsynth_app.api.routes import page
from medsynth_app.api.screen import RequestScreen
from medsynth_app.errors import InvalidValueError

if TYPE_CHECKING:
    from main import MedSynthApp

REMOVED_ROUTES = {
    "/reload", "/infer/wsi/{model}", "/infer/wsi_v2/{model}", "/session/", "/session/{session_id}",
    "/proxy/dicom/wado/{path:path}", "/proxy/dicom/qido/{path:path}", "/proxy/dicom/stow/{path:path}",
    "/proxy/dicom/{path:path}",
}  # fmt: skip
"""``/reload`` lets anybody restart the application; whole-slide inference has no model here; sessions store any
file and unpack archives; the proxy is replaced by one that stays within DICOMweb."""


def harden(server: FastAPI, app: MedSynthApp) -> None:
    """Replace unsafe routes, free the event loop, unify errors, screen requests."""
    server.router.routes[:] = [
        r for r in server.router.routes if getattr(r, "path", "") not in REMOVED_ROUTES
    ]
    credentials = _credentials(app.settings, app.studies)
    metrics = Metrics()
    for router in (login.build_router(credentials), *_own_routers(app, metrics)):
        _replace(server, router)
    mount_clinic(server, app.clinic, app.datastore())
    server.dependency_overrides[get_audit] = lambda: app.audit
    server.dependency_overrides[get_upload_limits] = lambda: app.settings.upload_limits
    server.dependency_overrides[get_metrics] = lambda: metrics
    server.dependency_overrides[get_readiness] = functools.partial(readiness, app)
    for route in server.router.routes:
        if isinstance(route, APIRoute):
            if not _needs_event_loop(route):
                _off_event_loop(route)
            _bound(route)
    add_error_handlers(server)
    server.add_exception_handler(MONAILabelException, _answer_monailabel)
    server.middleware_stack = RequestRecord(_protected(server, app.settings, credentials), metrics)
    server.openapi_schema = None
    write_json_logs()


def _credentials(settings: Settings, studies: str) -> Credentials | None:
    """What recognises callers, where there is a users file.

    Raises:
        InvalidValueError: MONAI Label's own login is on, or the users file lies where clients can read.
        MedSynthError: the file is broken, or others can read it.
    """
    if monailabel_settings.MONAI_LABEL_AUTH_ENABLE:
        raise InvalidValueError(
            "MONAI_LABEL_AUTH_ENABLE: MONAI Label's own login refuses every token; use `medsynth users add`"
        )
    if settings.users is None:
        return None
    if not studies.startswith(("http://", "https://")):
        if settings.users.resolve().is_relative_to(Path(studies).resolve()):
            raise InvalidValueError("--conf users: the file lies in the studies folder; keep it elsewhere")
    return Credentials(AccountSource(settings.users))


def _protected(server: FastAPI, settings: Settings, credentials: Credentials | None) -> ASGIApp:
    """The application behind its protections, outermost last.

    The stack was built when start-up began; it is built again with the handlers, without MONAI Label's CORS rule,
    which lets every site in.
    """
    origins = (*settings.cors_origins, *(str(o).rstrip("/") for o in monailabel_settings.MONAI_LABEL_CORS_ORIGINS))
    server.user_middleware[:] = [m for m in server.user_middleware if m.cls is not CORSMiddleware]
    stack: ASGIApp = server.build_middleware_stack()
    stack = Gate(stack, credentials, settings.insecure, origins)
    if origins:
        stack = CORSMiddleware(
            stack, allow_origins=origins, allow_credentials=True, allow_methods=("GET", "POST", "PUT", "DELETE"),
            allow_headers=("Authorization", "Content-Type"),
        )  # fmt: skip
    return RequestScreen(stack, settings.maximum_upload_mb)


def _own_routers(app: MedSynthApp, metrics: Metrics) -> list[APIRouter]:
    routers = [
        info.build_router(app),
        infer.build_router(app, metrics),
        train.build_router(app.trainers(), app.audit, app.training_runs),
        activelearning.build_router(app.strategies(), app.datastore(), app.rounds),
        model.build_router(app.networks(), app.settings, app.audit),
        background.build_router(app.case_models(), app.audit),
        scoring.build_router(app.rounds),
        logs.build_router(Path(app.app_dir) / "logs" / "app.log"),
        proxy.build_router(_dicomweb_server(app.studies), stopping=app.stopping),
        build_clinic_router(),
        page.router,
    ]
    store = app.datastore()
    if isinstance(store, CaseDatastore):
        routers.append(datastore.build_router(store, app.settings, app.on_save_label))
        routers.append(cases.build_router(store, app.settings))
    return routers


def _dicomweb_server(studies: str) -> proxy.DicomWebServer:
    if not studies.startswith(("http://", "https://")):
        return proxy.DicomWebServer("", {})
    given = monailabel_settings
    user, password = given.MONAI_LABEL_DICOMWEB_USERNAME, given.MONAI_LABEL_DICOMWEB_PASSWORD
    return proxy.DicomWebServer(
        studies,
        {
            "wado": given.MONAI_LABEL_WADO_PREFIX or "",
            "qido": given.MONAI_LABEL_QIDO_PREFIX or "",
            "stow": given.MONAI_LABEL_STOW_PREFIX or "",
        },
        (user, password) if user and password else None,
    )


def _replace(server: FastAPI, router: APIRouter) -> None:
    """Put a router's routes where the stock ones of the same path and method are."""
    own = {
        (route.path, method)
        for route in router.routes
        if isinstance(route, Route)
        for method in route.methods or ()
    }
    server.router.routes[:] = [
        route
        for route in server.router.routes
        if not (isinstance(route, Route) and any((route.path, m) in own for m in route.methods or ()))
    ]
    server.include_router(router)


def _needs_event_loop(route: APIRoute) -> bool:
    """Our own coroutines await what they should; MONAI Label's block and await nothing."""
    is_stock = route.endpoint.__module__.startswith("monailabel.")
    return not (is_stock and inspect.iscoroutinefunction(route.endpoint))


def _off_event_loop(route: APIRoute) -> None:
    """Run a stock ``async def`` endpoint, which blocks and awaits nothing, in the thread pool."""
    dependencies = route.dependant.dependencies[: len(route.dependencies)]
    route.endpoint = _synchronous(route.endpoint)
    route.dependant = get_dependant(path=route.path_format, call=route.endpoint)
    route.dependant.dependencies[:0] = dependencies
    route.app = request_response(route.get_route_handler())


def _bound(route: APIRoute) -> None:
    """Have a route's body parsed by ``BoundedRequest``, whether the route is ours or stock."""
    handler = route.get_route_handler()

    async def call(request: Request) -> Response:
        return await handler(BoundedRequest(request.scope, request.receive))

    route.app = request_response(call)


def _synchronous(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(endpoint)
    def call(**arguments: Any) -> Any:
        coroutine = endpoint(**arguments)
        try:
            coroutine.send(None)
        except StopIteration as result:
            return result.value
        coroutine.close()
        raise RuntimeError(f"{endpoint.__name__} awaits something; keep it on the event loop")

    # FastAPI asks the wrapped function too whether it is a coroutine function.
    del call.__wrapped__
    call.__signature__ = inspect.signature(endpoint)  # type: ignore[attr-defined]
    return call


def _answer_monailabel(request: Request, error: Exception) -> Response:
    """Stock errors say neither status nor code; all of them are the client's."""
    message = str(getattr(error, "msg", error))
    missing = "not found" in message.lower() or "no such" in message.lower() or "no model" in message.lower()
    return error_response(404 if missing else 400, message, "not_found" if missing else "malformed")
