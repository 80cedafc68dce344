"""Puts MedSynth's protections on MONAI Label's running FastAPI application.

Called when the application has started, so it works the same under ``medsynth serve`` and under the stock
``monailabel start_server``. What stays of the stock routes is moved off the event loop.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.utils import get_dependant
from fastapi.routing import APIRoute, request_response
from monailabel.interfaces.exception import MONAILabelException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lib.datastore import CaseDatastore
from lib.server.routes import activelearning, datastore, infer, model, train
from lib.server.screen import RequestScreen
from medsynth_app.api.error_handlers import add_error_handlers, error_response

if TYPE_CHECKING:
    from main import MedSynthApp

REMOVED_ROUTES = {"/reload", "/infer/wsi/{model}", "/infer/wsi_v2/{model}"}
"""``/reload`` lets anybody restart the application; whole-slide inference has no model here."""


def harden(server: FastAPI, app: MedSynthApp) -> None:
    """Replace unsafe routes, free the event loop, unify errors, screen requests."""
    server.router.routes[:] = [
        r for r in server.router.routes if getattr(r, "path", "") not in REMOVED_ROUTES
    ]
    for router in _own_routers(app):
        _replace(server, router)
    for route in server.router.routes:
        if isinstance(route, APIRoute) and not _needs_event_loop(route):
            _off_event_loop(route)
    add_error_handlers(server)
    server.add_exception_handler(MONAILabelException, _answer_monailabel)
    # The stack was built when start-up began; build it again with the handlers and the screen.
    server.middleware_stack = RequestScreen(server.build_middleware_stack(), app.settings.maximum_upload_mb)
    server.openapi_schema = None


def _own_routers(app: MedSynthApp) -> list[APIRouter]:
    routers = [
        infer.build_router(app),
        train.build_router(app.trainers()),
        activelearning.build_router(app.strategies(), app.datastore()),
        model.build_router(app.networks(), app.settings),
    ]
    store = app.datastore()
    if isinstance(store, CaseDatastore):
        routers.append(datastore.build_router(store, app.settings, app.on_save_label))
    return routers


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
    """The DICOMweb proxy awaits the request's body."""
    return not inspect.iscoroutinefunction(route.endpoint) or route.path.startswith("/proxy/")


def _off_event_loop(route: APIRoute) -> None:
    """Run a stock ``async def`` endpoint, which blocks and awaits nothing, in the thread pool."""
    dependencies = route.dependant.dependencies[: len(route.dependencies)]
    route.endpoint = _synchronous(route.endpoint)
    route.dependant = get_dependant(path=route.path_format, call=route.endpoint)
    route.dependant.dependencies[:0] = dependencies
    route.app = request_response(route.get_route_handler())


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
