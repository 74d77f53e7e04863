"""Kubernetes quantities: CPU in cores (float), memory in bytes (int), durations in seconds."""

import math
import re
from decimal import Decimal

_QUANTITY = re.compile(
    r"^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d{1,3})|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?$", re.ASCII
)
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)(ms|s|m|h)$", re.ASCII)
_SUFFIX = {
    **{suffix: Decimal(10) ** power for suffix, power in zip("num", (-9, -6, -3), strict=True)},
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}
# What resource.Quantity of Kubernetes can hold: it rounds up what is smaller and cuts what is larger.
_SMALLEST, _LARGEST = Decimal("1e-9"), Decimal(2**63 - 1)
# Longer than any quantity in use; Decimal would take its time with a megabyte of digits.
_MOST_CHARACTERS = 64
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_quantity(text: str | float) -> float:
    """Number that a Kubernetes quantity stands for ("250m" -> 0.25, "1Gi" -> 2**30).

    Raises ValueError when `text` is not a quantity, or one that Kubernetes cannot hold.
    """
    value = _parse(str(text))
    if value and not _SMALLEST <= abs(value) <= _LARGEST:
        raise ValueError(f"{text} is outside of what a quantity can hold; write an amount from 1n to 7Ei")
    return float(value)


def _parse(text: str) -> Decimal:
    match = _matched(_QUANTITY, text)
    if match is None:
        raise ValueError(f"{_shown(text)} is not a quantity such as 250m, 1.5 or 512Mi")
    number, exponent, suffix = match.groups()
    return Decimal(number + (exponent or "")) * _SUFFIX.get(suffix or "", Decimal(1))


def _matched(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return pattern.match(text.strip()) if len(text) <= _MOST_CHARACTERS else None


def _shown(text: str) -> str:
    return repr(text) if len(text) <= _MOST_CHARACTERS else f"a text of {len(text)} characters"


def canonical_quantity(text: str) -> str:
    """The quantity as the API server writes it back in built-in objects ("0.5" -> "500m", "1024Mi" -> "1Gi").

    Rounded up to a thousandth and cut to 2**63-1, as the server does for resources. Raises ValueError when `text` is
    not a quantity.
    """
    value = min(_parse(text), _LARGEST)
    # Bytes that are no whole Ki lose their suffix, and the server then writes them in powers of ten.
    if "i" in text and math.ceil(value) % 1024 == 0:
        return _with_suffix(math.ceil(value), 1024, ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))
    return _with_suffix(math.ceil(value * 1000), 1000, ("m", "", "k", "M", "G", "T", "P", "E"))


def _with_suffix(number: int, base: int, suffixes: tuple[str, ...]) -> str:
    if number == 0:
        return "0"
    power = 0
    while number % base == 0 and power < len(suffixes) - 1:
        number, power = number // base, power + 1
    return f"{number}{suffixes[power]}"


def parse_duration(text: str) -> float:
    """Seconds in "250ms", "1.5s", "2m" or "1h". Raises ValueError otherwise."""
    match = _matched(_DURATION, text)
    if match is None:
        raise ValueError(f"{_shown(text)} is not a duration such as 250ms, 1.5s or 2m")
    return float(match[1]) * _SECONDS[match[2]]


_LATENCY = re.compile(r"^\d+(?:\.\d+)?m?s$")


def is_duration(text: str) -> bool:
    """Whether it is written with a unit of time that no quantity has: "250ms", "1.5s"."""
    return _matched(_LATENCY, text) is not None


def parse_target(text: str) -> float:
    """A metric's target as a number: a quantity, or a duration in seconds. Raises ValueError when it is neither."""
    return parse_duration(text) if is_duration(text) else parse_quantity(text)


_PERCENT = re.compile(r"^(\d+(?:\.\d+)?)%$", re.ASCII)


def percent_of(text: str) -> float | None:
    """The number in "60%"; None for a text that is no percentage."""
    match = _matched(_PERCENT, text)
    return float(match[1]) if match else None


def format_cpu(cores: float) -> str:
    """Cores as the API server writes them back: "250m", "2"."""
    millis = math.ceil(round(cores * 1000, 6))
    return str(millis // 1000) if millis % 1000 == 0 else f"{millis}m"


def format_number(value: float) -> str:
    """A measured number as people read it: at most three significant decimals, no exponent."""
    if 1e-3 <= value < 999.5:
        return f"{value:.3g}"
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if abs(value) < 100 else 0
    text = f"{value:.{min(digits, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
