"""What a provider told a caller's webhook: the posts that came to an inbox, as facts speak of them.

A signature is worked out once more from the provider's document; nothing of the simulator helps.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from upsim_contracts.matching import ABSENT, Mismatch, at, mismatches, shown


@dataclass(frozen=True, slots=True)
class Telling:
    """How a provider's notifications are read: where the Unix second of their making stands.

    Where they are signed, `signature` names the header, `id` the header that is signed before the
    second and the body, `version` what stands before the comma, and `prefix` what the secret loses.
    `secret` is the call that tells the key of the signature, and where it stands in the answer.
    """

    stamp: str = ""
    signature: str = ""
    id: str = ""
    version: str = ""
    prefix: str = ""
    secret: Mapping[str, str] | None = None


def as_seen(message: Mapping[str, Any], how: Telling, secret: str) -> dict[str, object]:
    """The parts of a post that a fact may speak of.

    `genuine` is whether it is signed as documented, `age` how many seconds it was under way.
    """
    headers = {name.lower(): value for name, value in message["headers"].items()}
    body = str(message["body"])
    try:
        document: object = json.loads(body, parse_float=Decimal)
    except ValueError:
        document = ABSENT
    seen: dict[str, object] = {"headers": headers, "json": document, "text": body}
    if how.signature:
        seen["genuine"] = headers.get(how.signature) == _signature(headers, body, how, secret)
    stamp = at(seen, how.stamp) if how.stamp else ABSENT
    if isinstance(stamp, int | str) and str(stamp).isdecimal():
        arrived = datetime.fromisoformat(str(message["at"])).timestamp()
        seen["age"] = int(arrived) - int(stamp)
    return seen


def told_differently(
    messages: Sequence[object], *, same: Iterable[str] = (), differ: Iterable[str] = ()
) -> list[Mismatch]:
    """The places at which posts should agree and do not, or should not and do."""
    found = []
    for path in (*same, *differ):
        values = [shown(at(message, path)) for message in messages]
        if path in tuple(same) and len(set(values)) > 1:
            found.append(Mismatch(f"told.{path}", "the same in each", ", ".join(values)))
        if path in tuple(differ) and len(set(values)) < len(values):
            found.append(Mismatch(f"told.{path}", "another in each", ", ".join(values)))
    return found


def mismatches_of(
    messages: list[dict[str, object]], step: Mapping[str, Any], wanted: object
) -> list[Mismatch]:
    """How what was told differs from a step `told`, whose names are filled in as `wanted`."""
    found = list(mismatches(wanted, messages, "told"))
    same, differ = step.get("same", ()), step.get("differ", ())
    return found + told_differently(messages, same=same, differ=differ)


def _signature(headers: Mapping[str, str], body: str, how: Telling, secret: str) -> str:
    stamp = headers.get(how.stamp.removeprefix("headers."), "")
    signed = f"{headers.get(how.id, '')}.{stamp}.{body}".encode()
    key = secret.removeprefix(how.prefix).encode()
    return f"{how.version},{hmac.new(key, signed, hashlib.sha256).hexdigest()}"
