"""Strategic merge of a patch onto a pod's template, as the API server does it for `kubectl patch`.

It differs in three points, in which the API server's own way gives an object that it then refuses or that nobody meant:
`{$patch: delete}` removes a field instead of leaving it empty; another probe handler, volume source or source of a
variable replaces the one before; and ports are told apart by their protocol as well.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from scalableapp.core.api.pod_template import DELETE, KEYS, PATCH, REPLACE

_DEFAULTS = {"protocol": "TCP"}
_REMOVED = object()

# Of the fields of one of these, only one may be there.
_HANDLERS = frozenset({"exec", "grpc", "httpGet", "sleep", "tcpSocket"})
_ONE_OF = {
    **dict.fromkeys(("startupProbe", "livenessProbe", "readinessProbe", "preStop", "postStart"), _HANDLERS),
    "env": frozenset({"value", "valueFrom"}),
}
# A volume has its name and one source.
_VOLUMES = "volumes"


def merged(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """What the patch makes of `base`. Neither is changed; the patch is one that pod_template.py lets pass."""
    return _maps(base, patch, "")


def _maps(base: Mapping[str, Any], patch: Mapping[str, Any], place: str) -> dict[str, Any]:
    """`place` is the field that holds both, or whose list does."""
    kept = {} if patch.get(PATCH) == REPLACE else _without_rivals(base, patch, place)
    changed = {field: _value(kept.get(field), value, field) for field, value in patch.items() if field != PATCH}
    return {field: value for field, value in (kept | changed).items() if value is not _REMOVED}


def _without_rivals(base: Mapping[str, Any], patch: Mapping[str, Any], place: str) -> dict[str, Any]:
    given = {field for field, value in patch.items() if value is not None}
    rivals = frozenset(base.keys() | given) - {"name"} if place == _VOLUMES else _ONE_OF.get(place, frozenset())
    return {field: value for field, value in base.items() if field not in rivals - given or not rivals & given}


def _value(base: Any, patch: Any, field: str) -> Any:
    if patch is None or (isinstance(patch, Mapping) and patch.get(PATCH) == DELETE):
        return _REMOVED
    if isinstance(patch, Mapping):
        return _maps(base if isinstance(base, Mapping) else {}, patch, field)
    if isinstance(patch, list) and field in KEYS:
        return _lists(base if isinstance(base, list) else [], patch, field)
    if isinstance(patch, list):
        return [_maps({}, item, field) if isinstance(item, Mapping) else item for item in patch]
    return patch


def _lists(base: list[Any], patch: list[Any], field: str) -> list[Any]:
    if {PATCH: REPLACE} in patch:
        base, patch = [], [item for item in patch if item != {PATCH: REPLACE}]
    order = [_key(item, field) for item in base]
    found = dict(zip(order, base, strict=True))
    stated: dict[Any, None] = {}
    for item in patch:
        key = _key(item, field)
        if item.get(PATCH) == DELETE:
            found.pop(key, None)
            stated.pop(key, None)
        else:
            found[key], stated[key] = _maps(found.get(key, {}), item, field), None
    left = [key for key in order if key in found and key not in stated]
    return [found[key] for key in _interleaved(left, list(stated), order)]


def _interleaved(left: list[Any], stated: list[Any], order: list[Any]) -> Iterator[Any]:
    """Both in their own order; what is left comes before the first stated one that stood behind it."""
    places = {key: place for place, key in enumerate(order)}
    while left and stated:
        before = stated[0] in places and places[left[0]] < places[stated[0]]
        yield (left if before else stated).pop(0)
    yield from left or stated


def _key(item: Mapping[str, Any], field: str) -> tuple[Any, ...]:
    return tuple(item.get(key, _DEFAULTS.get(key)) for key in KEYS[field])
