"""One run: send the load, watch the app, keep what is seen."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from queue import Empty, Queue
from typing import Any

from kubernetes.client import ApiClient

from demo.errors import DemoError
from demo.kube import watching
from demo.load import load
from demo.plan import Plan
from demo.recording import LoadSample, Recording, Usage
from demo.usage import measuring
from demo.verdict import settled

TICK_SECONDS = 1.0
# Some minutes' worth of samples and versions: never reached while somebody reads.
MOST_UNREAD = 10_000
# The first answer of a watch takes a fraction of a second.
FIRST_SEEN_SECONDS = 15.0

Show = Callable[[Recording, float], None]
Settled = Callable[[Recording, Plan, float], bool]


@dataclass(frozen=True, slots=True)
class App:
    """The app under load: its ScalableApp, and where its ingress answers (as `host`, if given)."""

    namespace: str
    name: str
    url: str
    host: str | None = None


def run(app: App, plan: Plan, api: ApiClient, show: Show, settled: Settled = settled) -> Recording:
    """Put the app under the plan's load; `show` is called every second with what was seen, and when.

    Ends with the plan, or earlier when all has been back for a while, as `settled` says. Raises DemoError when the load
    cannot be sent or the app cannot be seen.
    """
    seen: Queue[Any] = Queue(MOST_UNREAD)
    recording = Recording(started=datetime.now(UTC).isoformat(timespec="seconds"))
    with watching(api, app.namespace, app.name, seen), measuring(api, app.namespace, app.name, seen):
        with load(app.url, app.host, plan, seen) as sending:
            at = 0.0
            while sending.running and not settled(recording, plan, at):
                at += TICK_SECONDS
                _take(seen, recording, sending.began, at)
                _check_seen(app, recording, at)
                show(recording, at)
        _take(seen, recording, sending.began, 0.0)
    return recording


def _take(seen: Queue[Any], recording: Recording, began: float, until: float) -> None:
    """Move what was seen into the recording: all there is, and what comes `until` a moment of the run."""
    while True:
        patience = began + until - time.monotonic()
        try:
            item = seen.get(timeout=patience) if patience > 0 else seen.get_nowait()
        except Empty:
            return
        if isinstance(item, LoadSample):
            recording.load.append(item)
        elif isinstance(item[1], Usage):
            recording.usages.append(replace(item[1], at=item[0] - began))
        else:
            recording.see(item[0] - began, item[1])


def _check_seen(app: App, recording: Recording, at: float) -> None:
    if at > FIRST_SEEN_SECONDS and not recording.states:
        raise DemoError(
            f"no data about ScalableApp {app.namespace}/{app.name} in {at:.0f} s: the API server does not "
            "answer, or the app is gone; see `make cluster-status`"
        )
