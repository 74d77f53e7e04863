"""The keyboard of a terminal while something is shown on it: keys come at once, and all is as before afterwards."""

import asyncio
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import Iterator

# Ctrl-C and Ctrl-D too, for terminals that send them as keys; an arrow key begins as Escape does, and is longer.
_LEAVE = set(b"qQ\x03\x04")
_ESCAPE = b"\x1b"


@contextlib.contextmanager
def until_left() -> Iterator[asyncio.Event]:
    """An event that is set when somebody presses q, Escape or Ctrl-C, or a signal asks to end."""
    loop, leave = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, leave.set)
    try:
        with _keys(loop, leave):
            yield leave
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)


@contextlib.contextmanager
def _keys(loop: asyncio.AbstractEventLoop, leave: asyncio.Event) -> Iterator[None]:
    if not sys.stdin.isatty():
        yield
        return
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)

    def pressed() -> None:
        keys = os.read(number, 64)
        if not keys or keys == _ESCAPE or set(keys) & _LEAVE:
            leave.set()

    tty.setcbreak(number)
    loop.add_reader(number, pressed)
    try:
        yield
    finally:
        loop.remove_reader(number)
        termios.tcsetattr(number, termios.TCSADRAIN, before)
