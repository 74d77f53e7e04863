"""Records what an exporter at its defaults serves after ten requests: one fails, two take 0.3 s.

python record.py NAME, in an environment with the packages that the README beside this file names.
"""

# mypy: ignore-errors
# Runs alone, in an environment that has these packages.
# ruff: noqa: ANN001, ANN201, ANN202, PLC0415
import asyncio
import importlib
import os
import sys
import time
from pathlib import Path

SLOW, FAILED, GOOD = ("/slow",) * 2, ("/failed",), ("/good",) * 7
PATHS = (*SLOW, *FAILED, *GOOD)


def answer(path: str) -> tuple[str, int]:
    if path == "/slow":
        time.sleep(0.3)
    return ("no", 500) if path == "/failed" else ("yes", 200)


def flask_app():
    from flask import Flask

    app = Flask("app")
    for path in set(PATHS):
        app.add_url_rule(path, path, lambda path=path: answer(path))
    return app


def flask() -> str:
    app = flask_app()
    importlib.import_module("prometheus_flask_exporter").PrometheusMetrics(app)
    client = app.test_client()
    for path in PATHS:
        client.get(path)
    return client.get("/metrics").text


def otel_flask(opt_in: str) -> str:
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = opt_in
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    from opentelemetry.sdk.metrics import MeterProvider
    from prometheus_client import generate_latest

    app = flask_app()
    FlaskInstrumentor().instrument_app(app, meter_provider=MeterProvider([PrometheusMetricReader()]))
    for path in PATHS:
        app.test_client().get(path)
    return generate_latest().decode()


def asgi(app) -> str:
    from starlette.testclient import TestClient

    with TestClient(app, raise_server_exceptions=False) as client:
        for path in PATHS:
            client.get(path)
        return client.get("/metrics").text


def starlette() -> str:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from starlette_exporter import PrometheusMiddleware, handle_metrics

    def serve(request):
        return PlainTextResponse(*answer(request.url.path))

    app = Starlette(routes=[*(Route(path, serve) for path in set(PATHS)), Route("/metrics", handle_metrics)])
    app.add_middleware(PrometheusMiddleware)
    return asgi(app)


def fastapi() -> str:
    from fastapi import FastAPI, Request, Response
    from prometheus_fastapi_instrumentator import Instrumentator

    app = FastAPI()

    def serve(request: Request) -> Response:
        text, status = answer(request.url.path)
        return Response(text, status)

    for path in set(PATHS):
        app.get(path)(serve)
    Instrumentator().instrument(app).expose(app)
    return asgi(app)


def django() -> str:
    from django.conf import settings
    from django.http import HttpResponse
    from django.urls import include, path, re_path

    names = ("PrometheusBeforeMiddleware", "PrometheusAfterMiddleware")
    settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="x",
        ROOT_URLCONF="urls",
        INSTALLED_APPS=["django_prometheus"],
        MIDDLEWARE=[f"django_prometheus.middleware.{name}" for name in names],
    )

    def serve(request):
        text, status = answer(request.path)
        return HttpResponse(text, status=status)

    urls = type(sys)("urls")
    urls.urlpatterns = [path("", include("django_prometheus.urls")), re_path("slow|failed|good", serve)]
    sys.modules["urls"] = urls
    importlib.import_module("django").setup()
    client = importlib.import_module("django.test").Client(raise_request_exception=False)
    for each in PATHS:
        client.get(each)
    return client.get("/metrics").content.decode()


async def otel_aiohttp() -> str:
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http"
    from aiohttp import ClientSession, web
    from opentelemetry import metrics
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from opentelemetry.instrumentation.aiohttp_server import AioHttpServerInstrumentor
    from opentelemetry.sdk.metrics import MeterProvider
    from prometheus_client import generate_latest

    metrics.set_meter_provider(MeterProvider([PrometheusMetricReader()]))
    AioHttpServerInstrumentor().instrument()

    async def serve(request):
        text, status = answer(request.path)
        return web.Response(text=text, status=status)

    app = web.Application()
    for path in set(PATHS):
        app.router.add_get(path, serve)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 8099).start()
    async with ClientSession() as session:
        for path in PATHS:
            await session.get(f"http://127.0.0.1:8099{path}")
    await runner.cleanup()
    return generate_latest().decode()


RECORDERS = {
    "flask": flask,
    "starlette": starlette,
    "fastapi": fastapi,
    "django": django,
    "otel": lambda: otel_flask("http"),
    "otel-ms": lambda: otel_flask(""),
    "otel-aiohttp": lambda: asyncio.run(otel_aiohttp()),
}
WANTED = ("http", "flask", "starlette", "django_http_re")

if __name__ == "__main__":
    name = sys.argv[1]
    lines = RECORDERS[name]().splitlines()
    kept = [line for line in lines if line.removeprefix("# TYPE ").startswith(WANTED) and "_created" not in line]
    Path(__file__).with_name(f"{name}.txt").write_text("\n".join(kept) + "\n")
