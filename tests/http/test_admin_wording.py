"""Sentences of the admin API about paths and bodies that are wrong."""

from __future__ import annotations

import pytest

from upsim.web.admin import body_mistakes
from upsim.web.admin.sandboxes import SandboxOrder


@pytest.mark.parametrize(
    ("body", "said", "message"),
    [
        (
            b'{"webhook_timestamp": "real"}',
            "Invalid enum value 'real' - at `$.webhook_timestamp`",
            'webhook_timestamp: unknown value "real"; allowed: wall, virtual',
        ),
        (
            b'{"strict_keys": "yes"}',
            "Expected `bool | null`, got `str` - at `$.strict_keys`",
            'strict_keys: found the text "yes", expected true or false',
        ),
        (b"[]", "Expected `object`, got `array`", "the body: found a list, expected an object"),
        (
            b'{"balances": {"vicsee": 1.5}}',
            "Expected `int | str`, got `float` - at `$.balances[...]`",
            "balances.vicsee: found the number 1.5, expected a whole number or a text",
        ),
        (
            b'{"clock": {"mod": "auto"}}',
            "Object contains unknown field `mod` - at `$.clock`",
            "Object contains unknown field `mod` - at `$.clock`; did you mean mode?",
        ),
        (
            b'{"seed": -1}',
            "Expected `int` >= 0 - at `$.seed`",
            "seed: found the number -1, expected a",
        ),
        (
            b"[" * 5000,
            "Expected `float | int | null`, got `array` - at `$.pace`",
            "pace: found a list, expected a number",
        ),
        (
            b'{"id": "abcdef"}',
            "Expected `str` of length <= 3 - at `$.id`",
            "id: found 6 characters, at most 3 are allowed",
        ),
        (
            b'{"keys": {"venice": "abcdef"}}',
            "Expected `str` of length <= 3 - at `$.keys[...]`",
            "keys[...]: found more than 3 characters, at most 3 are allowed",
        ),
        (
            b"{}",
            "Expected `str` of length <= 3 - at `key` in `$.keys`",
            "a name in keys: found more than 3 characters, at most 3 are allowed",
        ),
        (
            b'{"keys": {"a": "1", "b": "2"}}',
            "Expected `object` of length <= 1 - at `$.keys`",
            "keys: found 2 entries, at most 1 are allowed",
        ),
        (b"{}", "Expected `str` of length >= 3", "Expected `str` of length >= 3"),
    ],
)
def test_a_wrong_type_is_reported_with_value_and_choices(
    body: bytes, said: str, message: str
) -> None:
    """The message names the field, the value with its type, and what is allowed."""
    assert body_mistakes.of(said, body, SandboxOrder).startswith(message)
