"""Every shipped scenario × every model: a correct result or the right exception, as in matrix.yaml.

Three upscales in a row under each scenario; the table says how each of them ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.client.client_targets import MODELS, World, hand, in_process
from upsim.client import ClientError, JobFailedError
from upsim.client.adapter_discovery import library
from upsim.core.media import Media
from upsim.media.probe import measure_file
from upsim.scenario.yaml_tree import read_tree

TABLE = Path(__file__).parent / "matrix.yaml"
TIMES = 3
KINDS = ("sync", "async")
"""The models take turns: what differs between the two is tested for every model elsewhere."""
SOURCE = "https://example.com/clip.mp4"
WORDS = {True: "refunded", False: "not refunded", None: "refund unknown"}


def table() -> dict[str, dict[str, list[str]]]:
    """Return the expected endings: by model, then by scenario."""
    value = read_tree(TABLE).value
    assert isinstance(value, dict)
    found: dict[str, Any] = value
    return {
        model: {name: [word.strip() for word in text.split("|")] for name, text in rows.items()}
        for model, rows in found.items()
    }


EXPECTED = table()
ANY = "any model"
FIRST = {model.partition("/")[0]: model for model in reversed(MODELS)}
"""The first model of each provider."""


def expected(model: str, scenario: str) -> list[str]:
    """Return how three upscales end: as for any model, where the model has no line of its own."""
    common = EXPECTED[ANY].get(scenario, ["done"] * TIMES)
    return EXPECTED.get(model, {}).get(scenario, common)


def cells() -> Iterator[Any]:
    """Yield each model with each scenario of its provider.

    Where a provider's second model is to end as the first one does, it runs at night only.
    """
    for model, name in product(MODELS, library().names()):
        provider, _, short = name.partition("/")
        if provider == model.partition("/")[0]:
            first = FIRST[provider]
            again = first != model and expected(first, short) == expected(model, short)
            marks = pytest.mark.nightly if again else ()
            yield pytest.param(model, name, id=f"{model}-{short}", marks=marks)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Return the stack that closes the sandboxes of a test."""
    with ExitStack() as entered:
        yield entered


def ending(world: World, client: Any, to: Path) -> str:  # noqa: ANN401 - either client
    """Return how one upscale ends, in a word of the table; a file must be whole and as promised."""
    try:
        done = client.upscale(SOURCE, to)
    except JobFailedError as error:
        return f"JobFailedError ({WORDS[error.refunded]})"
    except ClientError as error:
        return f"{type(error).__name__}{' WITH KEY' if world.key in str(error) else ''}"
    found = measure_file(to)
    assert isinstance(found, Media), found
    assert (found.size, done.file.bytes) == (to.stat().st_size, to.stat().st_size)
    to.unlink()
    return "done"


@pytest.mark.parametrize(("model", "name"), [*cells()])
def test_scenario(stack: ExitStack, tmp_path: Path, model: str, name: str) -> None:
    """Each upscale ends as the table says, is charged once at most, and leaves no partial file."""
    world = in_process(stack, model, scenario=name, clock="auto")
    client = hand(world, kind=KINDS[MODELS.index(model) % 2])
    endings = [ending(world, client, tmp_path / "out.mp4") for _ in range(TIMES)]
    charges = [Decimal(entry["amount"]) for entry in world.entries("charge")]
    accepted = [word for word in endings if word == "done" or word.startswith("JobFailed")]

    assert endings == expected(model, name.partition("/")[2])
    assert len(accepted) <= len(charges) <= TIMES
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("model", [ANY, *MODELS])
def test_table_names_only_shipped_scenarios(model: str) -> None:
    """The table of results contains only scenarios that are shipped."""
    names = {name.partition("/")[2] for name in library().names()}

    assert EXPECTED.get(model, {}).keys() - names == set()
