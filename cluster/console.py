"""What the person at the terminal sees: one line per step, with the elapsed time, and one sentence per failure."""

import os
import sys
import time

# Given to processes that we start, so that all lines count from one moment.
STARTED_VARIABLE = "SCALABLEAPP_CLUSTER_STARTED"
STARTED = float(os.environ.get(STARTED_VARIABLE) or time.monotonic())


class ClusterError(Exception):
    """Something that stops us. The message says what happened, to what, and how to fix it."""


class EngineMissingError(ClusterError):
    """No Docker engine runs, and none can be started for this user on this machine."""


def say(topic: str, message: str) -> None:
    """Prints one progress line: seconds since the start, what it is about, what was done and why."""
    print(f"[{time.monotonic() - STARTED:4.0f} s] {topic}: {message}", flush=True)


def warn(message: str) -> None:
    """Prints a failure to standard error."""
    print(f"cluster: {message}", file=sys.stderr, flush=True)
