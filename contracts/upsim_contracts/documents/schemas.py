"""JSON Schema 2020-12 with exact numbers; each violated rule is described by a short text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from upsim_contracts.documents.openapi import Document

ADDRESS = "urn:upsim:document"
SHOWN = 80


class SchemaViolation(NamedTuple):
    """A value that violates a rule: its path, the rule, the value, and the path of the rule."""

    path: tuple[str | int, ...]
    expected: str
    seen: str
    rule: tuple[str | int, ...]


class Schemas:
    """The validators of one document, each compiled when it is first needed."""

    def __init__(self, document: Document) -> None:
        """Keep the document, because references point into it."""
        resource = DRAFT202012.create_resource(document)
        self._registry: Registry[Any] = Registry().with_resource(ADDRESS, resource)
        self._validators: dict[str, Validator] = {}

    def differences(self, pointer: str, value: Any) -> Iterator[SchemaViolation]:  # noqa: ANN401 - JSON
        """Yield the violations of the schema at a JSON pointer: one violation for each place."""
        seen: set[tuple[str | int, ...]] = set()
        for found in self.all_differences(pointer, value):
            if found.path not in seen:
                seen.add(found.path)
                yield found

    def all_differences(self, pointer: str, value: Any) -> Iterator[SchemaViolation]:  # noqa: ANN401 - JSON
        """Yield every rule of the schema at a JSON pointer that a value violates."""
        validator = self._validators.get(pointer)
        if validator is None:
            schema = {"$ref": f"{ADDRESS}#{pointer}"}
            validator = self._validators[pointer] = _Exact(
                schema, registry=self._registry, format_checker=FORMATS
            )
        for error in validator.iter_errors(value):
            yield from _differences(error)


def shown(value: object) -> str:
    """Return a value as JSON, shortened."""
    text = json.dumps(value, default=float, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _is_integer(_checker: object, value: object) -> bool:
    if isinstance(value, Decimal | float):
        return value == int(value)
    return isinstance(value, int) and not isinstance(value, bool)


_Exact = extend(  # type: ignore[no-untyped-call]  # of a library
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)
FORMATS = FormatChecker(formats=())


@FORMATS.checks("date-time", raises=ValueError)
def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@FORMATS.checks("uri", raises=ValueError)
def _is_address(value: object) -> bool:
    return not isinstance(value, str) or bool(urlsplit(value).scheme)


@FORMATS.checks("uuid", raises=ValueError)
def _is_uuid(value: object) -> bool:
    return not isinstance(value, str) or str(UUID(value)) == value.lower()


def _differences(error: ValidationError) -> Iterator[SchemaViolation]:
    path, rule = tuple(error.absolute_path), tuple(error.absolute_schema_path)
    if error.validator == "required":
        # One error a missing field, and only the message says which.
        name = re.match(r"'(.*)' is a required property", error.message)
        where = (*path, name[1]) if name else path
        yield SchemaViolation(where, "this field", "none", rule)
    elif error.validator == "additionalProperties" and error.validator_value is False:
        for stranger, value in _strangers(error):
            yield SchemaViolation((*path, stranger), "no such field", shown(value), rule)
    elif error.validator in ("anyOf", "oneOf") and error.context:
        yield from _alternatives(error, path, rule)
    else:
        yield SchemaViolation(path, _expected(error), shown(error.instance), rule)


def _strangers(error: ValidationError) -> Iterator[tuple[str, object]]:
    """Yield the fields that a closed object does not define."""
    schema = error.schema if isinstance(error.schema, dict) else {}
    fields = error.instance if isinstance(error.instance, dict) else {}
    patterns = schema.get("patternProperties", {})
    for name, value in fields.items():
        known = name in schema.get("properties", {})
        if not known and not any(re.search(one, name) for one in patterns):
            yield name, value


def _alternatives(
    error: ValidationError, path: tuple[str | int, ...], rule: tuple[str | int, ...]
) -> Iterator[SchemaViolation]:
    """Yield the violations of a schema with alternatives (`anyOf`, `oneOf`).

    A plain value has one violation for all alternatives together. For an object, the violations
    of the nearest alternative are used.
    """
    context = error.context or []
    if all(not child.relative_path and child.validator != "required" for child in context):
        texts = dict.fromkeys(_expected(child) for child in context)
        yield SchemaViolation(path, " or ".join(texts), shown(error.instance), rule)
        return
    branches: dict[object, list[ValidationError]] = {}
    for child in context:
        branches.setdefault(child.relative_schema_path[0], []).append(child)
    nearest = min(branches.values(), key=lambda errors: (_shallow(errors), len(errors)))
    for child in nearest:
        yield from _differences(child)


def _shallow(errors: Iterable[ValidationError]) -> bool:
    """Return whether an alternative failed because the value itself has the wrong type."""
    return any(e.validator == "type" and not e.relative_path for e in errors)


def _expected(error: ValidationError) -> str:
    """Return a short text for the rule."""
    rule, value = str(error.validator), error.validator_value
    if error.schema is False:
        return "no such field"
    if rule in _SAID:
        return _SAID[rule].format(value)
    if rule == "type":
        return value if isinstance(value, str) else " or ".join(map(str, _listed(value)))
    if rule == "enum":
        return f"one of {', '.join(map(shown, _listed(value)))}"
    if rule == "const":
        return shown(value)
    return f"{rule} of the schema: {error.message[:SHOWN]}"


_SAID = {
    "multipleOf": "a multiple of {}",
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "pattern": "a text like {}",
    "format": "a {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
}


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
