"""ResourceQuotas as admission reads them: which pods they count, and what they leave."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from scalableapp.core.size import Resource, parse_amount

Manifest = Mapping[str, Any]
Left = tuple[float | None, float | None]


class Quota(NamedTuple):
    """What a quota leaves of requests and limits, None where it bounds none; `classes` are the pods it counts."""

    whose: str
    left: Mapping[Resource, Left]
    classes: tuple[Manifest, ...] = ()

    def counts(self, priority_class: str) -> bool:
        """Whether pods of that priority class ("" for none) are among those that it counts."""
        return all(_OPERATORS.get(str(rule.get("operator")), _always)(rule, priority_class) for rule in self.classes)


def _always(_rule: Manifest, _priority_class: str) -> bool:
    return True


_OPERATORS: dict[str, Callable[[Manifest, str], bool]] = {
    "Exists": lambda _, name: bool(name),
    "DoesNotExist": lambda _, name: not name,
    "In": lambda rule, name: name in (rule.get("values") or ()),
    "NotIn": lambda rule, name: name not in (rule.get("values") or ()),
}
_PRIORITY_CLASS = "PriorityClass"
# Our pods have requests and no deadline, and their affinity is the same namespace's.
_NEVER_OURS = {"Terminating", "BestEffort", "CrossNamespacePodAffinity", "VolumeAttributesClass"}


def quota_of(quota: Manifest, unread: list[str]) -> Quota | None:
    """The quota, unless it counts no pods of ours. What cannot be read is noted in `unread`."""
    spec, status = quota.get("spec") or {}, quota.get("status") or {}
    rules = list((spec.get("scopeSelector") or {}).get("matchExpressions") or ())
    rules += [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()]
    if any(rule.get("scopeName") in _NEVER_OURS for rule in rules):
        return None
    whose = f"ResourceQuota {(quota.get('metadata') or {}).get('name')}"
    hard, used = status.get("hard") or {}, status.get("used") or {}

    def left(resource: Resource, name: str) -> float | None:
        most = amount_of(resource, hard, name, unread, f"{whose}: hard")
        taken = amount_of(resource, used, name, unread, f"{whose}: used")
        return None if most is None else most - (taken or 0.0)

    found: dict[Resource, Left] = {}
    for resource in Resource:
        # `cpu` and `requests.cpu` both bound the requests.
        requests = [left(resource, name) for name in (f"requests.{resource}", resource.value)]
        known = [value for value in requests if value is not None]
        found[resource] = min(known, default=None), left(resource, f"limits.{resource}")
    return Quota(whose, found, tuple(rule for rule in rules if rule.get("scopeName") == _PRIORITY_CLASS))


def amount_of(resource: Resource, amounts: Manifest, name: str, unread: list[str], whose: str = "") -> float | None:
    """The amount of that name, None where there is none or it cannot be read; the latter is noted."""
    if amounts.get(name) is None:
        return None
    try:
        return parse_amount(resource, amounts[name])
    except (ValueError, OverflowError) as error:  # 1e999 is a quantity, and no number of bytes
        unread.append(f"{whose} {name}: {error}")
        return None
