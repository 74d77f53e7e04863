"""How far a long piece of work has come."""

import sys


class Bar:
    """Progress on standard error: a bar that moves on a terminal, a line at every tenth else."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._moves = sys.stderr.isatty()
        self._shown = -1

    def __call__(self, share: float) -> None:
        """Show that `share` of the work is done."""
        step = int(share * (100 if self._moves else 10))
        if step == self._shown:
            return
        self._shown = step
        bar = "#" * int(share * 30)
        line = f"{self._what} [{bar:<30}] {share:4.0%}"
        end = "" if self._moves and share < 1 else "\n"
        sys.stderr.write(("\r" if self._moves else "") + line + end)
        sys.stderr.flush()
