"""Write docs/api.md from the CRD and the tables of reasons; with --check, fail when it is not current.

Run as a module, `python -m tools.generate_api`, with the operator on PYTHONPATH.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from scalableapp.core.api.crd import crd, source_crd
from scalableapp.settings import Settings
from tools.reasons import CONDITIONS, DECISIONS, EVENTS, Reason

Schema = dict[str, Any]

TARGET = Path(__file__).resolve().parent.parent / "docs" / "api.md"
_HEAD = """\
<!-- Generated from operator/scalableapp/core/ and tools/reasons.py by `make docs`. Edit those instead. -->
# API reference

`{group}/{version}`, kind `{kind}`, plural `{plural}`, short name `{short}`, namespaced. In the cluster,
`kubectl explain` shows the same descriptions:

```console cluster
$ kubectl explain sapp.spec.scaling.horizontal
```

- [spec](#spec): what you write; `spec.image` alone is enough. [status](#status): what the operator reports.
- [RequestSource](#requestsource): what counts the requests of apps, where no preset fits.
- Reasons: [conditions](#conditions), [decisions](#decisions), [Events](#events).
- [Settings](#settings) of the operator's process.

A *quantity* is a number in Kubernetes notation: `50`, `0.5`, `300m`, `200Mi`, from `1n` to below `8Ei`. Rules across
fields (minReplicas not above maxReplicas, ...) are checked by the API server, which rejects invalid objects, and again
by the operator; only the operator can check the values of quantities. If a ScalableApp breaks a rule nevertheless, or
was stored before the rule existed, its `Ready` condition is False with reason `InvalidSpec`, and the running app stays
as it is.

**Subresources**: `status`, and `scale` (`kubectl scale sapp web --replicas=3` sets `spec.replicas`, which pins the
replicas).
**Columns** of `kubectl get sapp`: {columns}; with `-o wide` also {wide}.
"""


def rendered() -> str:
    """The file's whole content."""
    definition = crd()["spec"]
    version = definition["versions"][0]
    properties = version["schema"]["openAPIV3Schema"]["properties"]
    names = definition["names"]
    columns = {priority: _columns(version["additionalPrinterColumns"], priority) for priority in (0, 1)}
    head = _HEAD.format(
        group=definition["group"],
        version=version["name"],
        kind=names["kind"],
        plural=names["plural"],
        short=names["shortNames"][0],
        columns=columns[0],
        wide=columns[1],
    )
    parts = [
        head,
        *_section("spec", properties["spec"], with_bounds=True),
        *_section("status", properties["status"], with_bounds=False),
        *_section("RequestSource", _spec_of(source_crd()), with_bounds=True),
        *_reasons(),
        *_settings(),
    ]
    return "\n".join(parts) + "\n"


def _spec_of(definition: Schema) -> Schema:
    schema: Schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    about = "The `spec` of the second kind, which is cluster-scoped ([requests.md](requests.md)). "
    return schema | {"description": about + schema["description"]}


def _columns(columns: Iterable[Schema], priority: int) -> str:
    return ", ".join(column["name"] for column in columns if column.get("priority", 0) == priority)


def _section(path: str, schema: Schema, *, with_bounds: bool) -> Iterator[str]:
    """The object at `path` as a table of its fields, then each object in it as a section of its own."""
    yield f"{'#' * min(path.count('.') + 2, 4)} {path}\n"
    if schema.get("description") and "." not in path:
        yield f"{schema['description']}\n"
    titles = ("Field", "Type", "Default", "Bounds", "Meaning") if with_bounds else ("Field", "Type", "Meaning")
    required = schema.get("required", ())
    rows = [_row(path, name, field, name in required, len(titles)) for name, field in schema["properties"].items()]
    yield _table(titles, rows)
    for name, field in schema["properties"].items():
        inner = _inner(field)
        if inner:
            yield from _section(_path(path, name, field), inner, with_bounds=with_bounds)


def _path(path: str, name: str, field: Schema) -> str:
    return f"{path}.{name}{'[]' if field.get('type') == 'array' else ''}"


def _inner(field: Schema) -> Schema | None:
    """The object with named fields that the field is, or is a list of."""
    node = field.get("items", field)
    return node if node.get("properties") else None


def _row(path: str, name: str, field: Schema, required: bool, columns: int) -> tuple[str, ...]:
    meaning = field.get("description", "").partition(" Default: ")[0]
    if _inner(field):
        anchor = "".join(letter for letter in _path(path, name, field).lower() if letter.isalnum() or letter in "-_")
        meaning += f" [Fields](#{anchor})."
    shown = f"`{name}`{' (required)' if required else ''}"
    if columns == 3:
        return shown, _type(field), meaning
    return shown, _type(field), _default(field), _bounds(field), meaning


def _type(field: Schema) -> str:
    kind = field.get("type")
    if kind == "array":
        return f"list of {_type(field['items'])}"
    if kind is None:
        return "quantity" if "pattern" in field else "any"
    if kind == "object" and "additionalProperties" in field:
        return f"map of {_type(field['additionalProperties'])}"
    return {"string": "text", "number": "number"}.get(kind, str(kind)) if "format" not in field else _formatted(field)


def _formatted(field: Schema) -> str:
    return "time" if field["format"] == "date-time" else str(field["type"])


def _default(field: Schema) -> str:
    described = field.get("description", "").partition(" Default: ")[2].removesuffix(".")
    default = field.get("default", described)
    if default in ({}, [], "") or "properties" in field:
        return ""
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _bounds(field: Schema) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    node = field.get("items", {})
    parts = [
        _range(field.get("minimum"), field.get("maximum"), "more than 0" if field.get("exclusiveMinimum") else ""),
        _range(field.get("minLength"), field.get("maxLength"), "", " characters"),
        _range(field.get("minItems"), field.get("maxItems") or None, "", " entries"),  # 0 says that it is no list
        _range(None, field.get("maxProperties") or None, "", " entries"),
        ", ".join(f"`{value}`" for value in node.get("enum", ())),
    ]
    return "; ".join(filter(None, parts))


def _range(least: float | None, most: float | None, above: str, unit: str = "") -> str:
    if above:
        return above
    if least is not None and most is not None:
        return f"{least:g} to {most}{unit}"
    if most is not None:
        return f"at most {most}{unit}"
    return "" if least is None else f"at least {least:g}{unit}"


def _reasons() -> Iterator[str]:
    yield "## Conditions\n"
    yield (
        "`kubectl describe sapp web` shows them, each with a message that names what happened, to what, and what to "
        "do. [Troubleshooting](troubleshooting.md) lists problems by symptom.\n"
    )
    for condition, reasons in CONDITIONS.items():
        yield f"### {condition}\n"
        yield _table(("Reason", "Meaning", "What to do"), reasons)
    yield "## Decisions\n"
    yield (
        "`status.decision.reason` is the reason given by the last rule that changed the number: one of the reasons of "
        "MetricsAvailable, ScalingActive and ScalingLimited, or one of these:\n"
    )
    yield _table(("Reason", "Meaning", "What to do"), DECISIONS)
    yield "## Events\n"
    yield (
        "In addition, there is a Warning with the condition's reason when Ready or MetricsAvailable becomes False, or "
        "Conflicted becomes True.\n"
    )
    yield _table(("Reason", "Meaning", "What to do"), EVENTS)


def _settings() -> Iterator[str]:
    yield "## Settings\n"
    yield (
        "Environment variables of the operator's Deployment. With an invalid one, the process exits immediately with a "
        "message that names it.\n"
    )
    prefix = Settings.model_config["env_prefix"]
    rows = [
        (f"`{prefix}{name.upper()}`", _setting(field.get_default()), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    yield _table(("Variable", "Default", "Meaning"), rows)


def _setting(default: object) -> str:
    if default is None or default == ():
        return ""
    return f"`{','.join(default) if isinstance(default, tuple) else default}`"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str] | Reason]) -> str:
    lines = [titles, ["---"] * len(titles), *(_named(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _named(row: Sequence[str] | Reason) -> Sequence[str]:
    cells = (f"`{row.name}`", row.meaning, row.fix) if isinstance(row, Reason) else row
    return [cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells]


def main() -> int:
    """Write or check the file. Returns the exit code."""
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(rendered())
        print(f"wrote {TARGET.name}")
        return 0
    if TARGET.exists() and TARGET.read_text() == rendered():
        return 0
    print("docs/api.md is out of date; run `make docs`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
