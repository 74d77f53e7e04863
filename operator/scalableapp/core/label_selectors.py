"""Label selectors as text, the way a scale subresource has them in status.selector (k8s.io/apimachinery/pkg/labels)."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

Labels = Mapping[str, str]
_Test = Callable[[Labels], bool]

_BETWEEN = re.compile(r",(?![^()]*\))")
_SET = re.compile(r"^(\S+) (in|notin) \(([^()]*)\)$")
_EQUALITY = re.compile(r"^([^=!\s]+)\s*(!=|==?)\s*([^=!\s]*)$")
_EXISTS = re.compile(r"^(!?)([^=!\s()]+)$")
_OPERATORS = {
    "In": "{key} in ({values})",
    "NotIn": "{key} notin ({values})",
    "Exists": "{key}",
    "DoesNotExist": "!{key}",
}


def selector_of(stated: Mapping[str, Any]) -> str:
    """The text of the selector in the spec of a workload: matchLabels and matchExpressions."""
    equal = [f"{key}={value}" for key, value in sorted((stated.get("matchLabels") or {}).items())]
    others = [
        _OPERATORS[entry["operator"]].format(key=entry["key"], values=",".join(sorted(entry.get("values") or ())))
        for entry in stated.get("matchExpressions") or ()
    ]
    return ",".join(equal + others)


def matches(selector: str, labels: Labels) -> bool:
    """Whether labels match. An empty selector matches nothing, nor does one that cannot be read."""
    tests = _parsed(selector)
    return bool(tests) and all(test(labels) for test in tests)


@lru_cache(maxsize=4096)
def _parsed(selector: str) -> tuple[_Test, ...]:
    return tuple(_test(term.strip()) for term in _BETWEEN.split(selector)) if selector.strip() else ()


def _test(term: str) -> _Test:
    if found := _SET.match(term):
        key, operator, values = found[1], found[2], {value.strip() for value in found[3].split(",")}
        if operator == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _EQUALITY.match(term):
        key, operator, value = found[1], found[2], found[3]
        if operator == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _EXISTS.match(term):
        negated, key = bool(found[1]), found[2]
        return lambda labels: (key in labels) is not negated
    return lambda _labels: False
