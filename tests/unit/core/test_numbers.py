"""Numbers of foreign texts are plain digits, everywhere."""

from __future__ import annotations

from decimal import Decimal

import httpx
import pytest
from click.testing import CliRunner

from upsim import Simulator
from upsim.cli import main
from upsim.core.numbers import counted, plain_count, plain_decimal
from upsim.scenario.durations import EXAMPLES, parse_seconds
from upsim.scenario.faults.numbers_and_durations import decimal_of, wait_of

COUNTED = {
    (1, "credit"): "1 credit",
    ("-1", "point"): "-1 point",
    (Decimal(48), "credit"): "48 credits",
    ("0.5", "USD"): "0.5 USD",
    (1, "USD"): "1 USD",
    (2, "entry"): "2 entries",
    (2, "box"): "2 boxes",
    (0, "fact"): "0 facts",
    (2, ""): "2",
}
ODD = (
    "1_000",
    " 5 ",
    "5\n",
    "\u0663",
    "1e3",
    "NaN",
    "Infinity",
    "-0",
    "+5",
    "0x5",
    "",
    "\u00b2",
    ".5",
)
COMMANDS = (
    "quote --size 2x2 --duration",
    "quote --duration 5 --size 2x2 --bytes",
    "serve --port 0 --seed",
    "serve --port 0 --pace",
    "upscale x --model venice --to o.mp4 --cap",
    "verify --provider x --patience",
    "drift x --stale-after",
)


@pytest.mark.parametrize("text", ODD)
def test_odd_numbers_are_refused(text: str) -> None:
    """Unusual number spellings are refused, although Python accepts most of them."""
    assert (None, None, None) == (plain_count(text), plain_decimal(text), decimal_of(text))
    assert wait_of(text) is None
    with pytest.raises(ValueError, match=EXAMPLES):
        parse_seconds(text)


def test_plain_numbers_are_exact() -> None:
    """A number without an exponent is read exactly, without rounding."""
    assert (7, Decimal("-0.50")) == (plain_count("007"), plain_decimal("-0.50"))
    assert [Decimal(150), Decimal("1E-7")] == [parse_seconds("2m30s"), parse_seconds(1e-7)]
    assert wait_of({"real": "1s500ms"}) == wait_of({"real": "1500ms"})


@pytest.mark.parametrize("text", ODD)
def test_commands_take_plain_numbers(text: str) -> None:
    """For an invalid number, each option reports the value as a usage error."""
    for line in COMMANDS:
        done = CliRunner().invoke(main, [*line.split(), text], prog_name="upsim")

        assert 2 == done.exit_code, line
        assert "is not a" in done.output, line


@pytest.mark.parametrize("text", ODD)
def test_admin_takes_plain_amounts_and_times(text: str) -> None:
    """The admin API refuses an invalid number, names the allowed form and changes nothing."""
    with Simulator(clock="manual") as sim:
        root = f"{sim.base_url('').rstrip('/')}/__sim/sandboxes"
        token = {"Authorization": f"Bearer {sim.app.registry.settings.admin_token}"}
        with httpx.Client(transport=sim.transport(), headers=token) as http:
            account = http.post(root, json={"balances": {"venice": text}})
            advance = http.post(f"{root}/{sim.sandbox.id}/clock/advance", json={"seconds": text})

    assert (400, 400) == (account.status_code, advance.status_code)
    assert "is not a decimal number in plain digits, such as 5 or 0.50" in account.text
    assert "is not a duration such as" in advance.text


def test_a_huge_retry_header_is_ignored() -> None:
    """A `Retry-After` with 5,000 digits reaches the client and raises no error."""
    refusal = {"status": 429, "body": {}, "headers": {"Retry-After": "9" * 5000}}
    rule = {"at": "before_accept", "do": {"respond": refusal}}
    scenario = {"extends": "vicsee/baseline", "faults": [rule]}
    key = {"Authorization": "Bearer k"}
    with (
        Simulator(scenario=scenario, clock="manual") as sim,
        httpx.Client(transport=sim.transport(), base_url=sim.base_url("vicsee")) as http,
    ):
        video = {"video_url": "https://a.example/b.mp4"}
        found = http.post("/api/v1/tools/upscale-video", json=video, headers=key)

    assert "9" * 5000 == found.headers["retry-after"]


@pytest.mark.parametrize(("number", "noun"), COUNTED)
def test_a_number_has_its_noun_in_the_right_form(number: Decimal | int | str, noun: str) -> None:
    """The unit of 1 is singular, of other numbers plural; a currency has one form."""
    assert COUNTED[number, noun] == counted(number, noun)
