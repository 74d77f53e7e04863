"""A bucket of tokens: how often something may be done."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class TokenBucket:
    """At most `rate` tokens a second, `burst` at once."""

    rate: float
    burst: float
    _tokens: float = field(init=False)
    _at: float | None = None

    def __post_init__(self) -> None:
        self._tokens = self.burst

    def take(self, now: float) -> bool:
        """Whether there is a token for the caller; it is spent then."""
        elapsed = 0.0 if self._at is None else max(0.0, now - self._at)
        self._at = now
        self._tokens = min(self.burst, self._tokens + elapsed * self.rate)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def put_back(self) -> None:
        """The last token was not needed after all."""
        self._tokens = min(self.burst, self._tokens + 1.0)
