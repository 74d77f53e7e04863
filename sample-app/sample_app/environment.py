"""How a variable of the environment becomes a value, or an error that says what to correct."""

import re
from collections.abc import Mapping

Environment = Mapping[str, str]
SHORTEST_TOKEN = 16


class SettingsError(ValueError):
    """A variable of the environment cannot be used; the message names it, its value and what is allowed."""


def integer(environ: Environment, name: str, default: int, low: int, high: int) -> int:
    """A whole number within bounds; unset or empty means the default. Raises SettingsError."""
    text = environ.get(name) or str(default)
    if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
        raise SettingsError(f"{name}={text!r} is not a whole number from {low} to {high}: correct or unset it")
    return int(text)


def choice(environ: Environment, name: str, default: str, allowed: tuple[str, ...]) -> str:
    """One of `allowed`; unset or empty means the default. Raises SettingsError."""
    text = environ.get(name) or default
    if text not in allowed:
        raise SettingsError(f"{name}={text!r} is not one of {', '.join(allowed)}: correct or unset it")
    return text


def token(environ: Environment, name: str) -> str:
    """A secret that is long enough; "" when unset. Raises SettingsError, whose message doesn't hold it."""
    text = environ.get(name, "")
    if text and (len(text) < SHORTEST_TOKEN or not text.isascii()):
        raise SettingsError(f"{name} is not {SHORTEST_TOKEN} or more ASCII characters: correct or unset it")
    return text


def switch(environ: Environment, name: str) -> bool:
    """Whether a feature that is off by default is on: 1 or 0. Raises SettingsError."""
    return choice(environ, name, "0", ("0", "1")) == "1"
