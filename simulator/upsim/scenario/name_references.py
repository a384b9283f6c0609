"""Check names in a resolved scenario that refer to other entries of the same scenario."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter

from upsim.core.suggestions import shown, unknown
from upsim.scenario.job_rules import wrong_order
from upsim.scenario.yaml_tree import Found, Place, Value, items, mapping

_MEASURES = ("output_height",)


def reference_mistakes(value: Value) -> Found:
    """Yield every name in a schema-valid file that refers to a missing entry."""
    root = mapping(value)
    yield from _knobs(mapping(root["knobs"]))
    yield from _second_header(root)
    yield from _dialect(root)
    yield from _plans(root)
    yield from _models(root)
    yield from _messages(root)


def _knobs(knobs: dict[str, Value]) -> Found:
    for name, knob in knobs.items():
        values = [str(item) for item in items(mapping(knob).get("values"))]
        for key in ("guide", "live", "auto", "chosen"):
            if key in mapping(knob) and mapping(knob)[key] not in values:
                yield ("knobs", name), unknown("value", str(mapping(knob)[key]), values)


def _second_header(root: dict[str, Value]) -> Found:
    """Yield mistakes in the knob that allows a key in a second header, and in its value."""
    second = mapping(mapping(root["auth"]).get("second"))
    if not second:
        return
    name, knobs = str(second["knob"]), mapping(root["knobs"])
    if name not in knobs:
        yield ("auth", "second", "knob"), unknown("knob", name, knobs)
        return
    values = [str(item) for item in items(mapping(knobs[name]).get("values"))]
    if second["value"] not in values:
        yield ("auth", "second", "value"), unknown("value", str(second["value"]), values)


def choice_mistakes(knobs: Value, defined: Mapping[str, Value]) -> Found:
    """Yield choices of unknown knobs, and choices that are not strings."""
    for name, chosen in mapping(knobs).items():
        values = [str(item) for item in items(mapping(defined.get(name)).get("values"))]
        if isinstance(chosen, dict):
            continue
        if name not in defined:
            yield ("knobs", name), unknown("knob", name, defined)
        elif str(chosen) in values:
            yield ("knobs", name), f'the value of a knob must be a text: write {name}: "{chosen}"'
        else:
            yield (
                ("knobs", name),
                f"{shown(chosen)} is not a value of this knob; allowed: {', '.join(values)}",
            )


def _dialect(root: dict[str, Value]) -> Found:
    dialects = [str(item) for item in items(root["dialects"])]
    if "dialect" in root and root["dialect"] not in dialects:
        yield ("dialect",), unknown("dialect", str(root["dialect"]), dialects)


def _plans(root: dict[str, Value]) -> Found:
    plans = mapping(root["plans"])
    own = mapping(mapping(root.get("accounts")).get(str(root["provider"])))
    places: tuple[Place, ...] = (("account",), ("accounts", str(root["provider"])))
    for place, holder in zip(places, (mapping(root["account"]), own), strict=True):
        if "plan" in holder and holder["plan"] not in plans:
            yield (*place, "plan"), unknown("plan", str(holder["plan"]), plans)


def _models(root: dict[str, Value]) -> Found:
    for name, model in mapping(root["models"]).items():
        place: Place = ("models", name)
        options = mapping(mapping(model).get("options"))
        for option, found in options.items():
            values = [str(item) for item in items(mapping(found)["allowed"])]
            default = str(mapping(found)["default"])
            if default not in values:
                yield (*place, "options", option, "default"), unknown("value", default, values)
        yield from _phases(root, mapping(model), place)
        yield from _rates(mapping(model), options, place)
        yield from _outputs(mapping(model), options, place)


def _phases(root: dict[str, Value], model: dict[str, Value], place: Place) -> Found:
    phases = items(mapping(model["lifecycle"])["phases"])
    here: Place = (*place, "lifecycle", "phases")
    for i, phase in enumerate(phases):
        failure, failures = mapping(phase).get("failure"), mapping(root["failures"])
        if failure is not None and failure not in failures:
            yield (*here, i, "failure"), unknown("failure", str(failure), failures)
    for i, message in wrong_order([str(mapping(phase)["state"]) for phase in phases]):
        yield (*here, i, "state"), message


def _rates(model: dict[str, Value], options: dict[str, Value], place: Place) -> Found:
    rate = mapping(mapping(model["billing"])["rate"])
    here: Place = (*place, "billing", "rate")
    by = rate.get("by")
    if by is None:
        if "flat" not in rate:
            yield here, "a rate needs either flat or by"
    elif by not in options and by not in _MEASURES:
        yield (*here, "by"), unknown("option", str(by), [*options, *_MEASURES])
    elif by in options and not rate.get("tiers"):
        yield from _lacking(mapping(rate.get("table")), options, str(by), place, "the rate")
    elif by in _MEASURES and (
        not (tiers := items(rate.get("tiers"))) or "up_to" in mapping(tiers[-1])
    ):
        yield (*here, "tiers"), "the last tier must not have up_to, so that every number has a rate"


def _outputs(model: dict[str, Value], options: dict[str, Value], place: Place) -> Found:
    output = mapping(model["output"])
    kinds = [kind for kind in ("scale", "short_side") if kind in output]
    if len(kinds) != 1:
        yield (*place, "output"), "an output needs either scale or short_side"
        return
    rule = mapping(output[kinds[0]])
    here: Place = (*place, "output", kinds[0])
    by = rule.get("by")
    if by is None:
        if "value" not in rule:
            yield here, "a size needs either a value or by"
    elif by not in options:
        yield (*here, "by"), unknown("option", str(by), options)
    else:
        yield from _lacking(mapping(rule.get("table")), options, str(by), place, "the output")


def _lacking(
    table: dict[str, Value], options: dict[str, Value], by: str, model: Place, what: str
) -> Found:
    """Yield allowed values of an option that have no entry in a table."""
    for i, value in enumerate(items(mapping(options[by])["allowed"])):
        if value not in table:
            yield (*model, "options", by, "allowed", i), f"{what} has no entry for {value!r}"


def _messages(root: dict[str, Value]) -> Found:
    """Yield messages with invalid braces, and messages of failed jobs that have placeholders."""
    for section in ("errors", "failures"):
        for name, entry in mapping(root[section]).items():
            forms: list[tuple[Place, dict[str, Value]]] = [((section, name), mapping(entry))]
            for i, variant in enumerate(items(mapping(entry).get("variants"))):
                forms.append(((section, name, "variants", i), mapping(variant)))
            for place, form in forms:
                message = _wrong_text(str(form.get("message", "")), filled=section == "errors")
                if message is not None:
                    yield (*place, "message"), message


def _wrong_text(text: str, *, filled: bool) -> str | None:
    try:
        names = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
    except ValueError as error:
        return f"{error}; write a literal brace twice"
    if not filled and names:
        return f"{{{names[0]}}} is not a placeholder here; write a literal brace twice"
    wrong = [name for name in names if not name.isidentifier()]
    return (
        f"{{{wrong[0]}}} is not a valid placeholder; write a literal brace twice" if wrong else None
    )
