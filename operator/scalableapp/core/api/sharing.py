"""Equal parts of specs held once: most apps differ in little, and a spec with its defaults takes 28 kB."""

import json
from weakref import WeakValueDictionary

from scalableapp.core.api.fields import Model

_KNOWN: "WeakValueDictionary[tuple[object, ...], Model]" = WeakValueDictionary()


def share_parts(model: Model) -> None:
    """Replace parts of a model by equal ones of models that are in use. Models are never changed otherwise."""
    values = model.__dict__
    for name in type(model).__pydantic_fields__:
        values[name] = _shared(values[name])


def _shared(value: object) -> object:
    if isinstance(value, Model):
        share_parts(value)
        key = (type(value), *(_key(value.__dict__[name]) for name in type(value).__pydantic_fields__))
        return _KNOWN.setdefault(key, value)
    return tuple(map(_shared, value)) if isinstance(value, tuple) else value


def _key(value: object) -> object:
    """What tells a part from others: of a model that is shared itself, that it is the same one."""
    if isinstance(value, Model):
        return id(value)
    if isinstance(value, tuple):
        return tuple(map(_key, value))
    # As text 1, 1.0 and true differ, and what is nested is hashable.
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value
