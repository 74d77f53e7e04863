"""What is known of the size of an app's pods, and where it is read from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scalableapp.core.children.resources import CONTAINER
from scalableapp.core.size import Size, read_size
from scalableapp.core.vertical.change import Change
from scalableapp.core.vertical.usage import SizeHistory


@dataclass(slots=True)
class Sized:
    """What is known of the size of an app's pods, in the modes that decide on it.

    `size` is what the template should have, None until the Deployment has been seen; `change` is in progress.
    `history` is None until a first decision, `recommended` the size that bounds alone would allow.
    """

    size: Size | None = None
    history: SizeHistory | None = None
    change: Change | None = None
    recommended: Size | None = None


def template_size(body: Mapping[str, Any]) -> Size | None:
    """What the template of a Deployment gives the app's container."""
    containers = ((body.get("spec") or {}).get("template") or {}).get("spec", {}).get("containers") or ()
    return next((read_size(entry.get("resources")) for entry in containers if entry.get("name") == CONTAINER), None)
