"""Validate a resolved file by the JSON Schema, with messages for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from upsim.core.suggestions import shown, suggest, unknown
from upsim.scenario.durations import near_form
from upsim.scenario.error_recovery import Broken
from upsim.scenario.expected_shapes import shape_of
from upsim.scenario.schema import Schema, resolved_schema
from upsim.scenario.yaml_tree import Place, Value

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator


class Sections:
    """A validator of the sections of a file; it caches the results of unchanged sections.

    A change of a scenario leaves most sections of the file as they were.
    """

    def __init__(self) -> None:
        """Start with an empty cache."""
        self._judged: dict[str, tuple[Value, list[Broken]]] = {}

    def mistakes(self, value: Value) -> list[Broken]:
        """Return all violations of the schema in a resolved file."""
        if not isinstance(value, dict):
            return _broken(_validator().iter_errors(jsonable(value)))
        found = _broken(_outline().iter_errors(dict.fromkeys(value)))
        for name, section in value.items():
            found += self._of_section(name, section)
        return found

    def _of_section(self, name: str, section: Value) -> list[Broken]:
        judged = self._judged.get(name)
        if judged is None or judged[0] is not section:
            judged = self._judged[name] = section, self._validated(name, section)
        return judged[1]

    @staticmethod
    def _validated(name: str, section: Value) -> list[Broken]:
        rule = resolved_schema()["properties"].get(name, True)
        return _broken(_validator().descend(jsonable(section), rule, path=name))  # type: ignore[attr-defined]  # not in its protocol


def _broken(errors: Iterable[ValidationError]) -> list[Broken]:
    return [
        Broken(place, message, str(error.validator))
        for error in errors
        for place, message in _told(error)
    ]


def jsonable(value: Value) -> Any:  # noqa: ANN401 - JSON
    """Return a value that the schema can check; numbers with a decimal point become `Digits`."""
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [jsonable(item) for item in value]
    return Digits(value) if isinstance(value, Decimal) else value


class Digits(str):
    """A number with a decimal point as its exact digits; the schema accepts it only as a number."""

    __slots__ = ()


@cache
def _validator() -> Validator:
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend

    def of_type(
        validator: Validator,
        types: str | list[str],
        instance: object,
        schema: Schema,
    ) -> Iterator[ValidationError]:
        if isinstance(instance, Digits) and types == "string":
            yield ValidationError("a number")
        else:
            yield from Draft202012Validator.VALIDATORS["type"](validator, types, instance, schema)

    made: Validator = extend(  # type: ignore[no-untyped-call]  # its stubs have no types
        Draft202012Validator, {"type": of_type}
    )(resolved_schema())
    return made


@cache
def _outline() -> Validator:
    """Return a validator of the section names only, without the contents of the sections."""
    from jsonschema import Draft202012Validator

    schema = resolved_schema()
    return Draft202012Validator({**schema, "properties": dict.fromkeys(schema["properties"], True)})


def _told(error: ValidationError) -> Iterator[tuple[Place, str]]:
    place: Place = tuple(error.absolute_path)
    rule, instance = error.validator, error.instance
    wanted: Any = error.validator_value
    if rule == "additionalProperties" and isinstance(error.schema, Mapping):
        allowed = list(error.schema.get("properties", {}))
        given: Any = instance
        for key in sorted(set(given) - set(allowed)):
            inner = None if place else _INNER.get(key)
            hint = suggest(key, allowed, "allowed: ") if inner is None else f"it belongs in {inner}"
            yield (*place, key), f"unknown key; {hint}"
    elif rule == "required":
        yield place, f"lacks {error.message.split(chr(39))[1]}"
    elif rule == "enum" and isinstance(instance, str):
        yield place, unknown("value", instance, map(str, wanted))
    elif rule == "type":
        yield place, _wrong_kind(wanted, instance, error.schema)
    elif rule == "const":
        yield place, f"the value must be {_seen(wanted)}, not {_seen(instance)}"
    elif rule == "pattern" and isinstance(error.schema, Mapping):
        near = near_form(str(instance))
        hint = f" Did you mean {near}?" if near and re.search(wanted, near) else ""
        form = f"{error.schema.get('description', wanted)}{hint}"
        yield place, f"{shown(instance)} does not match: {form}"
    else:
        yield place, error.message


_INNER = {
    "lifecycle": "a rule of jobs: [{lifecycle: […]}]",
    "when": "a rule of jobs, or a fault",
    "at": "a fault: [{at: …, do: …}] below faults",
    "do": "a fault: [{at: …, do: …}] below faults",
    "url": "a rule of media: [{url: …}]",
    "set": "one of the changes: [{after: …, set: …}]",
    "balance": "account, or in accounts.<provider>",
    "rates": "a plan: plans.<name>",
    "concurrency": "a plan: plans.<name>",
}
"""Keys that people put at the top of a file, and the place where they belong."""
_NESTED = frozenset({"object", "array"})
_KINDS = {
    "string": "a text",
    "integer": "a whole number",
    "object": "a mapping",
    "array": "a list",
    "boolean": "true or false",
    "null": "nothing",
}


def _wrong_kind(wanted: str | list[str], found: object, schema: object) -> str:
    """Return a message with the allowed type of a value, and the value that was found."""
    kinds = [wanted] if isinstance(wanted, str) else wanted
    told = f"{' or '.join(_KINDS[kind] for kind in kinds)} is needed here, not {_seen(found)}"
    properties = schema.get("properties", {}) if isinstance(schema, Mapping) else {}
    if isinstance(found, dict | list) or found is None:
        return f"{told}{_shape(kinds, schema)}"
    if "object" in kinds and "value" in properties:
        return f"{told}; write {{value: {_seen(found)}}}"
    if "string" in kinds and isinstance(found, int | Digits) and isinstance(schema, Mapping):
        if not re.search(schema.get("pattern", ""), str(found)):
            return f"{told}: {schema.get('description', schema['pattern'])}"
        return f'{told}; write "{_seen(found)}" if it is meant as a text'
    return f"{told}{_shape(kinds, schema)}"


def _shape(kinds: Iterable[str], schema: Any) -> str:  # noqa: ANN401 - JSON
    """Return an example of the mapping or list allowed here; empty if a single value is allowed."""
    return f"; write {shape_of(schema)}" if _NESTED.issuperset(kinds) else ""


def _seen(value: object) -> str:
    """Return a value as a file would contain it."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return str(value) if isinstance(value, int | Digits) else shown(value)
