"""Compare the charge of a job with its quote and with the spending cap."""

from __future__ import annotations

import warnings

from upsim.client.exceptions import OverchargedError, OverchargedWarning
from upsim.client.request_guard import Budget
from upsim.client.results import Job


def check_charge(job: Job, budget: Budget) -> None:
    """Warn about a charge above the quote. Raises OverchargedError if it exceeds the cap."""
    if job.overcharge is None:
        return
    text = f"job {job.id} was charged {job.price}; the quote was {job.quoted}"
    if budget.cap is not None and budget.spent > budget.cap.amount:
        raise OverchargedError(
            f"{text}, and the cap of {budget.cap} is exceeded: {budget.spent:f} spent. "
            "The job continues; ask the provider about the charge"
        )
    warnings.warn(text, OverchargedWarning, stacklevel=2)
