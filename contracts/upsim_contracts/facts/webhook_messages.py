"""Read the webhook messages in an inbox as facts describe them.

A signature is computed again from the provider's document, without code of the simulator.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from upsim_contracts.matching import ABSENT, Mismatch, at, mismatches, shown

Checked = Literal["", "valid", "invalid", "missing", "unchecked"]


@dataclass(frozen=True, slots=True)
class WebhookFormat:
    """The form of a provider's notifications: the place of the Unix second when each was made.

    If they are signed, `signature` names the header, and `id` the header that is signed before the
    second and the body. `version` is the text before the comma, and `prefix` what the secret loses.
    `secret` is the call that returns the signature's key, and its place in the response.
    If the secret itself is a header, `verbatim` names it, and `chosen` the field of the request
    in which the client chose it.
    """

    stamp: str = ""
    signature: str = ""
    id: str = ""
    version: str = ""
    prefix: str = ""
    secret: Mapping[str, str] | None = None
    verbatim: str = ""
    chosen: str = ""

    @property
    def proof(self) -> str:
        """The header that proves who sent a notification."""
        return self.signature or self.verbatim

    def checked(self, headers: Mapping[str, str], body: bytes, secrets: Iterable[str]) -> Checked:
        """Return `valid`, `invalid`, `missing` or `unchecked`; an empty text if none is due.

        `secrets` are those that may have been used; the names of `headers` are in lower case.
        """
        known, seen = [one for one in secrets if one], headers.get(self.proof)
        if not self.proof or (self.verbatim and not known):
            return ""
        if seen is None:
            return "missing"
        if not known:
            return "unchecked"
        proofs = known if self.verbatim else [signed(headers, body, self, one) for one in known]
        found = [hmac.compare_digest(_raw(one), _raw(seen)) for one in proofs]
        return "valid" if any(found) else "invalid"


def message_parts(message: Mapping[str, Any], how: WebhookFormat, secret: str) -> dict[str, object]:
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
        seen["genuine"] = headers.get(how.signature) == signed(headers, body.encode(), how, secret)
    stamp = at(seen, how.stamp) if how.stamp else ABSENT
    if isinstance(stamp, int | str) and str(stamp).isdecimal():
        arrived = datetime.fromisoformat(str(message["at"])).timestamp()
        seen["age"] = int(arrived) - int(stamp)
    return seen


def disagreements(
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
    """Return how the messages differ from a step `told`, with its names filled in as `wanted`."""
    found = list(mismatches(wanted, messages, "told"))
    same, differ = step.get("same", ()), step.get("differ", ())
    return found + disagreements(messages, same=same, differ=differ)


def signed(headers: Mapping[str, str], body: bytes, how: WebhookFormat, secret: str) -> str:
    """Return the signature that the document gives to a notification."""
    stamp = headers.get(how.stamp.removeprefix("headers."), "")
    content = f"{headers.get(how.id, '')}.{stamp}.".encode() + body
    key = _raw(secret.removeprefix(how.prefix))
    return f"{how.version},{hmac.new(key, content, hashlib.sha256).hexdigest()}"


def _raw(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
