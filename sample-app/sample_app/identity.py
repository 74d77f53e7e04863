"""Who serves a request: the pod and, in it, the worker process."""

import os

from flask import current_app


def served_by() -> dict[str, str | int]:
    """The pod's name and the worker's process id."""
    return {"pod": current_app.config["POD"], "worker": os.getpid()}
