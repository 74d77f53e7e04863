"""How gunicorn serves the application; it reads the names below as its settings and hooks.

gunicorn --config python:sample_app.gunicorn_conf "sample_app.app:create_app()"
"""

import os
import sys
from pathlib import Path
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

from sample_app import multiprocess

multiprocess.prepare(os.environ)  # before the imports below, which load prometheus_client

from prometheus_client import multiprocess as prometheus_files  # noqa: E402 - see above

from sample_app import cgroup, drain, logs, resize, telemetry, worker_files  # noqa: E402 - see above
from sample_app.settings import Settings, SettingsError, worker_count  # noqa: E402 - see above
from sample_app.worker import hand_over_with_data  # noqa: E402 - see above


def _wanted_workers() -> int:
    container = cgroup.container(_settings.serving.cgroup_folder)
    return worker_count(container.cpu_limit(), len(os.sched_getaffinity(0)), container.memory_limit())


try:
    _settings = Settings.from_env(os.environ)
except SettingsError as error:
    sys.exit(f"sample-app does not start: {error}")
logs.configure()

bind = f"0.0.0.0:{_settings.port}"
worker_class = "sample_app.worker.Worker"
workers = _settings.workers or _wanted_workers()
threads = _settings.threads
# The application is loaded once, before the fork: a new worker is there in milliseconds and shares its memory.
preload_app = True
# Longer than the 60 s for which proxies keep an idle connection (nginx's default): the side that sends the next
# request should be the one that closes, or a request meets a closed connection.
keepalive = 75
# Requests in flight when the draining is over may take this long. With the pod's preStop sleep and the draining
# it must stay below terminationGracePeriodSeconds: 5 + 3 + 25 < 40.
graceful_timeout = 25
timeout = 30
# The heartbeat file: in memory, as a slow disk would block the worker and get it killed.
_memory = Path("/dev/shm")  # noqa: S108 - gunicorn makes a private file there and unlinks it at once
worker_tmp_dir = str(_memory) if _memory.is_dir() else None
control_socket_disable = True  # it wants to write in the home folder, and nothing here uses it
logger_class = "sample_app.logs.ServerLogger"


def when_ready(server: Arbiter) -> None:
    """The server listens and has set its signal handlers: SIGTERM may be ours now."""
    hand_over_with_data(server)
    drain.install(server, _settings.drain_seconds)
    if not _settings.workers:
        resize.Follower(server, _wanted_workers).start()


def post_worker_init(worker: Worker) -> None:
    """In the new process: threads started before the fork would not be there."""
    telemetry.start(_application(worker))


def worker_exit(_server: Arbiter, worker: Worker) -> None:
    """In the process that ends."""
    telemetry.finish(_application(worker))


def child_exit(server: Arbiter, worker: Worker) -> None:
    """A worker is gone: what it counted stays, what it was doing is forgotten."""
    prometheus_files.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # unannotated upstream
    worker_files.add_up({server.pid, *server.WORKERS} - {worker.pid})
    if len(server.WORKERS) < server.num_workers and not drain.draining():  # not asked to go
        _application(server).extensions["metrics"].restarts.inc()


def _application(process: Any) -> Any:
    """The Flask that this process has loaded before the fork."""
    return process.app.wsgi()
