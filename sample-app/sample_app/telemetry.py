"""Traces by OpenTelemetry, for those who ask for them: the packages are an extra, the settings are its own variables.

Started in each worker after the fork: its exporter is a thread, and threads do not survive a fork.
"""

import logging
import os
from collections.abc import Mapping

from flask import Flask

from sample_app import __version__
from sample_app.observe import UNCOUNTED_ROUTES

VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

logger = logging.getLogger(__name__)


def start(app: Flask, environ: Mapping[str, str] = os.environ) -> bool:
    """Trace the requests to `app` if there is somewhere to send traces to; whether that is so.

    Never a reason not to serve: what is missing is said in the log.
    """
    if not any(environ.get(name) for name in VARIABLES):
        return False
    try:
        _instrument(app, environ)
    except ImportError as error:
        logger.warning(
            "no traces: %s is set, but %s is not installed: build the image with --build-arg EXTRAS=otel, "
            "or install requirements-otel.txt",
            " or ".join(name for name in VARIABLES if environ.get(name)),
            error.name,
        )
        return False
    logger.info("traces go to %s", next(environ[name] for name in VARIABLES if environ.get(name)))
    return True


def _instrument(app: Flask, environ: Mapping[str, str]) -> None:
    """Raises ImportError when the extra is not installed."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
    from opentelemetry.instrumentation.flask import FlaskInstrumentor  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an extra

    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over what is said here.
    resource = Resource({"service.version": __version__, "k8s.pod.name": app.config["POD"]}).merge(
        Resource.create({} if environ.get("OTEL_SERVICE_NAME") else {"service.name": "sample-app"})
    )
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    app.extensions["traces"] = provider
    FlaskInstrumentor().instrument_app(  # type: ignore[no-untyped-call]  # unannotated upstream
        app, tracer_provider=provider, excluded_urls=",".join(f"{route}$" for route in sorted(UNCOUNTED_ROUTES))
    )


def finish(app: Flask) -> None:
    """Send what has not been sent yet; called when a worker ends."""
    if provider := app.extensions.pop("traces", None):
        provider.shutdown()
