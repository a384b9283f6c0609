"""Views of requests and responses in the admin API: with reasons, and with secrets hidden."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from upsim.core.faults import FaultRule
from upsim.core.printable_text import printable
from upsim.core.secrets import NONE, Secrets, hidden, hidden_fragment, hidden_target, hidden_text
from upsim.engine.request_records import Record
from upsim.engine.sandbox import Sandbox
from upsim.web.admin import exchange_shapes
from upsim.web.admin.server_shapes import Evidence
from upsim.web.admin.shape_fields import exact, show

MAX_VALUE_LENGTH = 300
MAX_CAUSE_LENGTH = 500


class ShownExchange(NamedTuple):
    """A request, with the data of its sandbox at one time."""

    found: Record
    secrets: Secrets
    acted: list[exchange_shapes.Acted]


def seen(box: Sandbox, found: Record) -> ShownExchange:
    """Return a request that can be shown later, in any thread."""
    return ShownExchange(
        found, secrets_of(box, found), [acted(box, fault) for fault in found.faults]
    )


def exchange(shown: ShownExchange) -> exchange_shapes.Exchange:
    """Return a request and its response with reasons, without secrets. Slow for long bodies."""
    found, secrets, _ = shown
    rule = found.rule
    return show(
        exchange_shapes.Exchange,
        found,
        target=hidden_target(found.target, secrets),
        request=body(found.body, found.body_size, secrets),
        answer=body(found.reply, found.reply_size, secrets),
        refused_by=rule.name if rule else None,
        evidence=show(Evidence, rule.evidence) if rule else None,
        why=why(shown),
    )


def why(shown: ShownExchange) -> exchange_shapes.Why:
    """Return the reasons for a response."""
    found = shown.found
    model = found.model
    return show(
        exchange_shapes.Why,
        found,
        cause=cause_of(found),
        compared=compared(found),
        model=model.id if model else None,
        price=show(Evidence, model.billing.evidence) if model else None,
        assumed=found.assumed is not None,
        faults=shown.acted,
    )


def cause_of(found: Record) -> str | None:
    """Return the sentence that names the mistake in a request; None if there is none."""
    return printable(hidden_text(found.cause)[:MAX_CAUSE_LENGTH]) or None


def reason(check: str | None, cause: str | None, values: Mapping[str, str]) -> str:
    """Return the check that refused and its cause, for the log and for test reports.

    The compared `values` are shown if no cause names the part of the request.
    """
    found = cause or ", ".join(f"{name} {value}" for name, value in values.items())
    return ": ".join(part for part in (check, found) if part)


def compared(found: Record) -> dict[str, str]:
    """Return the values that the refusing check compared."""
    return {name: value_text(value) for name, value in (found.compared or {}).items()}


def value_text(value: object) -> str:
    """Return a value of a check in a readable form."""
    text = exact(value) if isinstance(value, Decimal) and value.is_finite() else str(value)
    return hidden_text(text[:MAX_VALUE_LENGTH])


def acted(box: Sandbox, fault: FaultRule) -> exchange_shapes.Acted:
    """Return a fault that fired; if the scenario defines the fault, with its evidence."""
    planned = fault in box.planned_faults
    source = box.scenario_for(fault.provider).evidence if planned else None
    evidence = show(Evidence, source) if source else None
    return show(exchange_shapes.Acted, fault, evidence=evidence)


def secrets_of(box: Sandbox, found: Record) -> Secrets:
    """Return the secrets that the operation of a request declares."""
    if not found.provider:
        return NONE
    operations = box.bound(found.provider).provider.operations
    return next((one.secrets for one in operations if one.name == found.operation), NONE)


def body(content: bytes, size: int, secrets: Secrets) -> exchange_shapes.Body:
    """Return the beginning of a body, with secrets hidden."""
    return {"size": size, "truncated": size > len(content), "text": _shown(content, secrets)}


def _shown(content: bytes, secrets: Secrets) -> str:
    """Return the text of a body; in other than usual JSON, secrets are found by pattern.

    A body may be refused and still be shown: half a surrogate pair stays the escape that it was.
    """
    text = content.decode("utf-8", "replace")
    try:
        document = json.loads(content)
        safe = hidden(document, secrets)
        if safe == document:
            return text
        shown_text = json.dumps(safe, ensure_ascii=False)
    except (ValueError, RecursionError):
        return hidden_fragment(text, secrets)
    return shown_text.encode("utf-8", "backslashreplace").decode()
