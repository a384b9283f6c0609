"""Messages about a wrong shape show the right one, and sections that a provider lacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from upsim.providers import discover
from upsim.scenario.expected_shapes import shape_of
from upsim.scenario.loader import Library
from upsim.scenario.schema import resolved_schema
from upsim.scenario.yaml_tree import mapping

LIBRARY = Library()
NESTED = ({"object"}, {"array"}, {"object", "array"})


def nodes(node: Any = None) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - JSON
    """Yield every schema inside the schema of scenario files."""
    node = resolved_schema() if node is None else node
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node:
        if isinstance(inner, dict | list):
            yield from nodes(inner)


def messages(folder: Path, provider: str, text: str) -> list[str]:
    """Return the mistakes of a scenario of a provider, without their positions."""
    path = folder / "mine.yaml"
    path.write_text(f"extends: {provider}/baseline\n{text}\n", "utf-8")
    found = LIBRARY.mistakes_in(LIBRARY.resolve(path), discover())
    return [f"{mistake.place}: {mistake.message}" for mistake in found]


def test_shape_of_every_mapping_and_list_is_yaml_of_the_right_kind() -> None:
    """The shape of each section is YAML that a user can copy; it leaves out `evidence`."""
    shown = 0
    for node in nodes():
        kinds = node.get("type", ())
        if {kinds} in NESTED if isinstance(kinds, str) else set(kinds) in NESTED:
            shape = shape_of(node)
            kind = list if kinds == "array" else dict
            assert isinstance(yaml.safe_load(shape), kind), shape
            assert "evidence" not in shape
            shown += 1
    assert shown > 50


def test_examples_of_the_schema_are_valid() -> None:
    """Each example in the schema is valid by the schema itself."""
    found = [node for node in nodes() if isinstance(node.get("examples"), list)]
    for node in found:
        rule = {**node, "$defs": resolved_schema()["$defs"]}
        for example in node["examples"]:
            jsonschema.validate(example, rule)
    assert len(found) > 10


SHAPES = {
    "checks: [x]": "checks: a mapping is needed here, not a list; write {NAME: [TEXT, …]}",
    "checks: {credits: x}": "checks.credits: a list is needed here, not 'x'; write [TEXT, …]",
    "jobs: {when: {}}": (
        "jobs: a list is needed here, not a mapping; "
        "write [{lifecycle: [{processing: 90s}, …], when: {NAME: TEXT}}, …]"
    ),
    "faults: {at: poll}": (
        "faults: a list is needed here, not a mapping; write [{at: poll, do: drop_connection}, …]"
    ),
    "faults: [x]": "faults[0]: a fault is a mapping such as {at: poll, do: drop_connection}",
    "faults: [{at: poll, do: [x]}]": (
        "faults[0].do: a fault has exactly one action: a name or {name: argument}, "
        "such as drop_connection or {delay: 90s}"
    ),
    "faults: [{at: poll, do: {trickle: 5}}]": "write {trickle: {chunk: 64, pause: 250ms}}",
    "media: [x]": (
        "media[0]: a mapping is needed here, not 'x'; "
        'write {url: https://example.com/*.mp4, duration: "12.5"}'
    ),
    "accounts: [x]": '; write {NAME: {balance: "5.00", plan: TEXT}}',
    "account: 5": 'not 5; write {opening: "5.00", unit: TEXT}',
    "knobs: [x]": "; write {NAME: TEXT}",
    "changes: soon": "; write [{set: {NAME: VALUE}, after: 10m}, …]",
    "plans: {free: x}": "; write {access: true, rates: [{limit: NUMBER, per: half_minute}, …]}",
    "limits: [x]": "; write {NAME: {value: VALUE}}",
    "errors: {missing_video: 400}": "not 400; write {message: TEXT, status: NUMBER}",
}


@pytest.mark.parametrize("text", SHAPES)
def test_message_of_a_wrong_shape_shows_the_correct_one(tmp_path: Path, text: str) -> None:
    """The error for a wrong short form of a section shows the correct form."""
    assert any(SHAPES[text] in message for message in messages(tmp_path, "vicsee", text))


SECTIONS = {
    "webhooks": ["{}", "3", "{attempts: {value: 3}}", "{states: [completed]}"],
    "headers": ["{}", "3", "{limit: {value: x}}"],
}


@pytest.mark.parametrize("provider", LIBRARY.providers())
@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_that_a_provider_lacks_is_refused(
    tmp_path: Path, provider: str, section: str
) -> None:
    """If a provider documents no such section, one error says so, also for a planned change."""
    said = f"{section}: {provider} documents no"
    lacked = section not in mapping(LIBRARY.tree_of(provider))
    for value in SECTIONS[section]:
        found = messages(tmp_path, provider, f"{section}: {value}")
        assert lacked == any(message.startswith(said) for message in found)
        assert not lacked or len(found) == 1
    planned = f"changes: [{{after: 3h, set: {{{section}: {SECTIONS[section][-1]}}}}}]"
    found = messages(tmp_path, provider, planned)
    assert lacked == any(message.startswith(f"changes[0].set.{said}") for message in found)
