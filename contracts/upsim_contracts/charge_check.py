"""Compare a charge with the documented price, and report a difference as a finding."""

from __future__ import annotations

from decimal import Decimal

from upsim_contracts.amounts import counted
from upsim_contracts.cassettes.cassette import Charge
from upsim_contracts.findings import Finding

_SUCCESS = range(200, 300)
CHARGE = "charge"
MAX_PLACES = 30


def price_finding(
    provider: str, operation: str, status: int, charge: Charge, source: str
) -> Finding | None:
    """Return a finding if a charge differs from the document. A refused request must be free."""
    if charge.actual is None or (charge.documented is None and status in _SUCCESS):
        return None
    if status in _SUCCESS and charge.documented is not None:
        wanted, name = charge.documented, operation
    else:
        wanted, name = charge.actual * 0, f"{operation} {status or 'lost'}"
    if wanted == charge.actual or status == 0:
        return None
    told, seen = (amount_text(amount, charge.unit) for amount in (wanted, charge.actual))
    return Finding(provider, name, CHARGE, told, seen, source)


def amount_text(amount: Decimal, unit: str) -> str:
    """Return an amount with its unit, such as `48 credits`."""
    return counted(plain(amount), unit)


def plain(amount: Decimal) -> str:
    """Return an amount without zeros at its end; a very large or small one stays unchanged."""
    if not amount.is_finite() or abs(amount.adjusted()) > MAX_PLACES:
        return str(amount)
    return f"{amount.normalize():f}"
