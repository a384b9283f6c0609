"""The query parameters of the admin API: each with its bounds, and with what it means."""

from __future__ import annotations

from dataclasses import dataclass, replace

from starlette.requests import Request

from upsim.core.states import JobState
from upsim.web.admin.problems import AdminError, nearest, shown, whole


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter: a whole number up to `most`, one of `choices`, or any text."""

    name: str
    means: str
    default: int = 0
    most: int | None = None
    choices: tuple[str, ...] = ()

    def whole(self, request: Request) -> int:
        """What was asked for, or the default. Raises AdminError."""
        return whole(request, self.name, self.default, self.most or 0)

    def text(self, request: Request) -> str | None:
        """What was asked for, if anything. Raises AdminError for what is no choice."""
        value = request.query_params.get(self.name)
        if value is not None and self.choices and value not in self.choices:
            message = f"{self.name}={shown(value)} is unknown; {nearest(value, self.choices)}"
            raise AdminError(400, "invalid", message)
        return value


OFFSET = Parameter("offset", "How many to leave out at the beginning.", most=10**9)
LIMIT = Parameter("limit", "How many to show at the most.", default=100, most=1000)
MANY = replace(LIMIT, default=1000)
LINES = replace(LIMIT, default=1000, most=10_000)
SINCE = Parameter(
    "since", "Only what has a higher number; the oldest of those come first.", most=10**12
)
PAGE = (OFFSET, LIMIT)
PROVIDER = Parameter("provider", "Only what belongs to this provider.")
STATE = Parameter(
    "state", "Only jobs in this state.", choices=tuple(state.value for state in JobState)
)
JOB = Parameter("job", "Only deliveries of this job.")
OUTCOME = Parameter(
    "outcome",
    "Only deliveries that ended so, or are still pending.",
    choices=("pending", "delivered", "given_up", "lost", "refused"),
)
WHAT = Parameter(
    "what",
    "Which part is made as it was when new; by default all of it.",
    choices=("all", "jobs", "ledger", "faults", "journal"),
)
STATUS = Parameter("status", "The status that the inbox answers, from 200 to 599; 200 by default.")
TYPES = Parameter(
    "types", "Only these happenings: names or families, with commas (`job,ledger.entry`)."
)
PAUSES = Parameter(
    "pauses",
    "`all` judges pauses between polls also on an `auto` clock, where a test may leave them out.",
    choices=("certain", "all"),
)
