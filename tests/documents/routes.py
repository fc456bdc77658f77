"""The routes of docs/api.md, and the fields of every body and answer, from the table of routes and the OpenAPI description."""

from __future__ import annotations

import json
from typing import Any

from tests.documents import sources
from tests.documents.markdown import cell, code, prose, table


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _roles(operation: sources.Operation) -> str:
    return ", ".join(str(role) for role in operation.roles) or "everyone who can connect"


def _body(operation: sources.Operation) -> str:
    if operation.body is not None:
        return _link(operation.body.__name__)
    return "" if operation.body_media == "application/json" else " or ".join(map(code, operation.body_media.split(",")))


def _answer(operation: sources.Operation) -> str:
    if operation.answer is None:
        return code(operation.media)
    return f"list of {_link(operation.answer.__name__)}" if operation.lists else _link(operation.answer.__name__)


def routes_block() -> str:
    """Every route: roles, query, body, status and answer, and what it does."""
    rows = (
        (
            code(f"{each.method} {each.path}"),
            cell(each.summary),
            _roles(each),
            ", ".join(f"{code(name)} ({cell(what)})" for name, _, what in each.query),
            _body(each),
            f"{each.status} {_answer(each)}",
        )
        for each in sources.OPERATIONS
    )
    return table(("route", "what it does", "roles (any of)", "query", "body", "answer"), rows)


def schemas() -> dict[str, Any]:
    """Name -> JSON schema of every body and answer."""
    found: dict[str, Any] = sources.openapi(sources.OPERATIONS)["components"]["schemas"]
    return found


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        known = schemas()[name]
        return _link(name) if "properties" in known else _type(known)
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(code(word) for word in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    more = schema.get("additionalProperties")
    if schema.get("type") == "object" and isinstance(more, dict):
        return f"object of {_type(more)}" if more else "object"
    return str(schema.get("type", "anything"))


def _bounds(schema: dict[str, Any]) -> str:
    shown = [f"{word} {schema[key]}" for key, word in (("minLength", "at least"), ("maxLength", "at most")) if key in schema]
    found = [f"{' and '.join(shown)} characters"] if shown else []
    if "pattern" in schema:
        found.append(f"matches {code(schema['pattern'])}")
    found += [bounds for each in schema.get("anyOf", ()) if (bounds := _bounds(each))]
    return ", ".join(found)


def _description(schema: dict[str, Any]) -> str:
    return str(schema.get("description") or next((each["description"] for each in schema.get("anyOf", ()) if "description" in each), ""))


def _fields(schema: dict[str, Any], *, body: bool) -> str:
    required = set(schema.get("required", ()))
    rows = []
    for name, field in schema["properties"].items():
        row = [code(name), _type(field)]
        if body:
            row += ["required" if name in required else code(json.dumps(field.get("default")))]
            row += ["; ".join(part for part in (_description(field), _bounds(field)) if part)]
        rows.append(row)
    return table(("field", "type", "default", "meaning and bounds") if body else ("field", "type"), rows)


def documents_block() -> str:
    """Every body (`...In`) and answer (`...Out`) by name, with its fields."""
    parts = []
    for name, schema in sorted(schemas().items()):
        if "properties" in schema:
            parts.append(f"#### {name}\n\n{prose(schema.get('description', ''))}\n\n{_fields(schema, body=name.endswith('In'))}")
    return "\n\n".join(parts)


def flat(name: str, *, stop: frozenset[str] = frozenset()) -> set[str]:
    """The paths of all fields of the document `name`, such as `steps[].artefact.id`; a field in `stop` is not looked into."""
    found: set[str] = set()

    def walk(schema: dict[str, Any], path: str) -> None:
        if "$ref" in schema:
            schema = schemas()[schema["$ref"].rsplit("/", 1)[1]]
        options = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
        if options:
            walk(options[0], path)
        elif schema.get("type") == "array" and path not in stop:
            walk(schema["items"], f"{path}[]")
        elif "properties" in schema and path.removesuffix("[]") not in stop:
            for key, value in schema["properties"].items():
                walk(value, f"{path}.{key}" if path else key)
        else:
            found.add(path if path not in stop or schema.get("type") != "array" else f"{path}[]")

    walk({"$ref": f"#/components/schemas/{name}"}, "")
    return found
