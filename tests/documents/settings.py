"""The settings of docs/configuration.md: key, type, default, bounds and meaning, from the sections' models and the rules of `[storage]`."""

from __future__ import annotations

import json
import typing
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, get_args, get_origin

from annotated_types import Ge, Le

from tests.documents import sources
from tests.documents.markdown import cell, code, table
from tests.documents.meanings import meanings
from tests.documents.sources import OneOf, Span, Whole, values

#: Most specific first: the first whose checks are all there names the type.
_TYPES: tuple[tuple[Any, str], ...] = (
    (values.Duration, "duration"),
    (values.Directory, "absolute path"),
    (values.Path, "absolute path"),
    (values.Group, "name of a group"),
    (values.Label, "label"),
    (values.OwnName, "label"),
    (values.Listen, "address and port"),
    (values.Url, "URL"),
    (values.Hosts, "list of hosts"),
    (values.LibvirtUri, "URI"),
    (values.MaintenanceWindow, "five cron fields and a time zone"),
    (values.Notices, "list of durations"),
    (values.Events, "list of kinds of notices"),
    (values.Percent, "share"),
    (float, "share"),
    (bool, "boolean"),
    (int, "whole number"),
    (str, "text"),
)
_STORAGE_TYPES: dict[Callable[[object], Any], str] = {
    sources.text_list: "list of texts",
    sources.host_device_classes: "list of `pci`, `usb`, `mdev`, `net`",
    sources.parse_verify: "`full`, or `sample:` and a share",
    sources.parse_rate: "rate",
    sources.parse_size: "size",
    sources.parse_truth: "boolean",
    sources.parse_profile_name: "name or absolute path",
}
_SIZES = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


@dataclass(frozen=True, slots=True)
class Setting:
    """One key as the document shows it. `default` is TOML, "" for a required key."""

    key: str
    kind: str
    default: str
    bounds: str
    meaning: str


def duration(seconds: int) -> str:
    """Seconds as an operator writes them, in the largest of h, m and s that leaves nothing over; nothing as `0s`."""
    for size, unit in ((3_600, "h"), (60, "m")):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _size(number: int) -> str:
    return next((f"{number // size}{unit}" for size, unit in _SIZES if number and number % size == 0), str(number))


def _toml(kind: str, value: Any) -> str:
    if value is None:
        return '""'
    if kind == "duration":
        value = duration(value)
    elif kind == "list of durations":
        value = [duration(each) for each in value]
    elif kind in ("size", "rate"):
        value = _size(value)
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def _checks(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    return (get_args(hint)[0], hint.__metadata__) if get_origin(hint) is Annotated else (hint, ())


def _type_of(hint: Any) -> str:
    plain, checks = _checks(hint)
    for kind, word in _TYPES:
        base, needed = _checks(kind)
        if base == plain and all(check in checks for check in needed):
            return word
    raise TypeError(f"no word for the type {hint}")


def _bounds_of(hint: Any, metadata: list[Any]) -> str:
    found = []
    for check in (*_checks(hint)[1], *metadata):
        bound = getattr(check, "func", None)
        if isinstance(bound, Span):
            found.append(f"{bound.low} to {bound.high}" if bound.high else f"at least {bound.low}")
        elif isinstance(bound, OneOf):
            found.append(" or ".join(code(f'"{word}"') for word in bound.words))
        elif isinstance(check, Ge):
            found.append(f"at least {check.ge}")
        elif isinstance(check, Le):
            found.append(f"at most {check.le}")
    return ", ".join(dict.fromkeys(found))


def _section(name: str, model: type[sources.Section]) -> Iterator[Setting]:
    said, hints = meanings(model), typing.get_type_hints(model, include_extras=True)
    for key, info in model.model_fields.items():
        kind = _type_of(hints[key])
        default = "" if info.is_required() else _toml(kind, info.default)
        yield Setting(f"{name}.{key}", kind, default, _bounds_of(hints[key], info.metadata), said.get(key, ""))


def _storage() -> Iterator[Setting]:
    said = meanings(sources.StorageRules)
    for field in fields(sources.StorageRules):
        parser = sources.PARSERS[field.name]
        kind = "whole number" if isinstance(parser, Whole) else _STORAGE_TYPES[parser]
        bounds = f"{parser.low} to {parser.high}" if isinstance(parser, Whole) else ""
        assert field.default is not MISSING
        yield Setting(f"storage.{field.name}", kind, "" if field.name == "roots" else _toml(kind, field.default), bounds, said.get(field.name, ""))


def settings() -> dict[str, list[Setting]]:
    """Section (`policy.NAME` for policies) -> its settings, in the order of the file."""
    found: dict[str, list[Setting]] = {}
    for name, info in sources.Tables.model_fields.items():
        if name == "storage":
            found[name] = list(_storage())
        elif name == "policy":
            found["policy.NAME"] = list(_section("policy.NAME", get_args(info.annotation)[1]))
        else:
            assert isinstance(info.annotation, type)
            found[name] = list(_section(name, info.annotation))
    return found


def planned() -> dict[str, str]:
    """Section or key of a later version -> what is so instead."""
    return {**{f"storage.{key}": why for key, why in sources.STORAGE_LATER.items()}, **sources.LATER}


def settings_block() -> str:
    """A table for each section."""
    parts = []
    for section, found in settings().items():
        rows = ((code(each.key), each.kind, code(each.default) if each.default else "required", each.bounds, cell(each.meaning)) for each in found)
        parts.append(f"### `[{section}]`\n\n" + table(("key", "type", "default", "bounds", "meaning"), rows))
    return "\n\n".join(parts)


def planned_block() -> str:
    """What is refused because a later version will have it."""
    rows = ((code(name if "." in name else f"[{name}]"), cell(instead)) for name, instead in planned().items())
    return table(("name", "instead"), rows)
