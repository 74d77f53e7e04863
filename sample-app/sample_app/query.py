"""What a query string or a form may hold, checked."""

import re

from flask import abort, request


def number(name: str, default: int, low: int, high: int, unit: str) -> int:
    """A whole number within bounds; answers 400 to anything else."""
    text = request.values.get(name, str(default))
    # At most nine digits: int() would refuse thousands of them by an exception of its own.
    if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
        abort(400, f"{name}={text[:40]!r} is not a whole number of {unit} from {low} to {high}")
    return int(text)
