"""Read the webhook messages in an inbox in the form that facts use.

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

from upsim_contracts.expected_responses import ABSENT, Mismatch, at, mismatches, shown

Checked = Literal["", "valid", "invalid", "missing", "unchecked"]


@dataclass(frozen=True, slots=True)
class WebhookFormat:
    """The format of a provider's webhooks: `stamp` is the place of the time in Unix seconds.

    - `signature`: the header with the signature, if the webhooks are signed
    - `id`: the header that is signed together with the second and the body
    - `version`: the text before the comma in a signature
    - `prefix`: the beginning of the secret that is removed before signing
    - `secret`: the request that returns the key of the signature, and its place in the response
    - `verbatim`: the header that contains the secret itself, if the webhooks are not signed
    - `chosen`: the request field in which the client chose that secret
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
        """The header that proves the sender of a webhook."""
        return self.signature or self.verbatim

    def checked(self, headers: Mapping[str, str], body: bytes, secrets: Iterable[str]) -> Checked:
        """Return `valid`, `invalid`, `missing` or `unchecked`; "" if no signature is expected.

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
    """Return the parts of a webhook message that a fact can check.

    `genuine` is whether it is signed as documented, `age` its delivery time in seconds.
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
    """Return the places where messages should be equal (`same`) or different (`differ`).

    Only places that break this rule are returned.
    """
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
    """Return how the messages differ from a step `told`.

    `wanted` is the step with its names filled in.
    """
    found = list(mismatches(wanted, messages, "told"))
    same, differ = step.get("same", ()), step.get("differ", ())
    return found + disagreements(messages, same=same, differ=differ)


def signed(headers: Mapping[str, str], body: bytes, how: WebhookFormat, secret: str) -> str:
    """Return the documented signature of a webhook message."""
    stamp = headers.get(how.stamp.removeprefix("headers."), "")
    content = f"{headers.get(how.id, '')}.{stamp}.".encode() + body
    key = _raw(secret.removeprefix(how.prefix))
    return f"{how.version},{hmac.new(key, content, hashlib.sha256).hexdigest()}"


def _raw(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
