"""What is kept in a cache, and its form there: JSON, as a pickle out of a shared cache would run code of others."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from cachelib.serializers import JSONSerializer
from flask import Response
from werkzeug.exceptions import HTTPException, default_exceptions

Stored = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A kept value; after `fresh_until` (seconds since 1970) it is stale, and served only while a new one is made."""

    value: Any
    fresh_until: float


class AnswerSerializer(JSONSerializer):
    """Entries as JSON: responses of views, the errors they abort with, and plain values of functions."""

    def dumps(self, value: Entry, *_: Any, **__: Any) -> bytes:
        """The entry as it is kept. Raises TypeError for a value that JSON cannot hold."""
        return json.dumps({"fresh_until": value.fresh_until, **_stored(value.value)}, separators=(",", ":")).encode()

    def loads(self, bvalue: str | bytes | bytearray | None, *_: Any, **__: Any) -> Entry | None:
        """The entry; None for none, and for one that another version of the application wrote in another form."""
        if bvalue is None:
            return None
        try:
            stored = json.loads(bvalue)
            return Entry(_value(stored), float(stored["fresh_until"]))
        except (KeyError, TypeError, ValueError):
            return None


def status_of(value: Any) -> int | None:
    """The HTTP status of a view's answer; None for what is no answer of a view."""
    if isinstance(value, HTTPException):
        return value.code
    return value.status_code if isinstance(value, Response) else None


def _stored(value: Any) -> Stored:
    if isinstance(value, HTTPException):
        return {"error": value.code, "message": value.description}
    if isinstance(value, Response):
        body = base64.b64encode(value.get_data()).decode()
        return {"status": value.status_code, "headers": value.headers.to_wsgi_list(), "body": body}
    return {"value": value}


def _value(stored: Stored) -> Any:
    if "error" in stored:
        return default_exceptions[stored["error"]](stored["message"])
    if "status" in stored:
        return Response(base64.b64decode(stored["body"]), stored["status"], stored["headers"])
    return stored["value"]
