"""What Prometheus reads at ``/medsynth/api/metrics``: counts and times, no names of cases or users."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from medsynth_app.errors import OverloadedError

_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
_REQUEST_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)
_INFERENCE_SECONDS = (0.1, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 900)


class Metrics:
    """The server's numbers; one object a server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "medsynth_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self.request_seconds = Histogram(
            "medsynth_request_seconds", "Seconds to the last byte of the answer.", ("route",),
            buckets=_REQUEST_SECONDS, registry=self.registry,
        )  # fmt: skip
        self.inferences = Counter(
            "medsynth_inferences", "Inferences by how they ended.", ("model", "outcome"), registry=self.registry
        )
        self.inference_seconds = Histogram(
            "medsynth_inference_seconds", "Seconds an inference ran, waiting not counted.", ("model",),
            buckets=_INFERENCE_SECONDS, registry=self.registry,
        )  # fmt: skip

    def watch(self, name: str, description: str, value: Callable[[], float]) -> None:
        """A number that is asked for when it is read."""
        Gauge(name, description, registry=self.registry).set_function(value)

    def note_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request was answered.

        Args:
            method: HTTP method; unknown ones count as OTHER, or a client could make up any number of rows.
            route: template of the path, ``/infer/{model}``.
            status: HTTP status.
            seconds: to the last byte.
        """
        self.requests.labels(method if method in _METHODS else "OTHER", route, str(status)).inc()
        self.request_seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)


def get_metrics() -> Metrics:
    """The server's numbers; the application puts its own in place."""
    raise OverloadedError("metrics: this server counts nothing", code="metrics_unavailable")
