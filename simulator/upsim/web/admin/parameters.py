"""The query parameters of the admin API, with their limits and descriptions."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace
from starlette.requests import Request

from upsim.core.instants import LATEST, Instant, from_iso
from upsim.core.states import JobState
from upsim.web.admin.problems import AdminError, nearest, shown, whole


class Parameter(msgspec.Struct, frozen=True):
    """A query parameter: a whole number up to `most`, one of `choices`, or any text."""

    name: str
    means: str
    default: int = 0
    most: int | None = None
    choices: tuple[str, ...] = ()

    def whole(self, request: Request) -> int:
        """Return the number in the query, or the default. Raises AdminError."""
        return whole(request, self.name, self.default, self.most or 0)

    def text(self, request: Request) -> str | None:
        """Return the text in the query, or None. Raises AdminError for an invalid choice."""
        value = request.query_params.get(self.name)
        if value is not None and self.choices and value not in self.choices:
            message = f"{self.name}={shown(value)} is unknown; {nearest(value, self.choices)}"
            raise AdminError(400, "invalid", message)
        return value

    def instant(self, request: Request) -> Instant | None:
        """Return the requested instant or None. Raises AdminError for another text."""
        value = request.query_params.get(self.name)
        if value is None:
            return None
        return read_instant(value, f"{self.name}=", "an ISO 8601 instant")


def read_instant(text: str, what: str, allowed: str) -> Instant:
    """Return an instant from a text, between the years 1970 and 9000. Raises AdminError 400."""
    try:
        found = from_iso(text)
    except (ValueError, OverflowError):
        message = f"{what} {shown(text)} is not {allowed}"
        raise AdminError(400, "invalid", message) from None
    if not 0 <= found <= LATEST:
        raise AdminError(400, "invalid", f"{what} {text} is not between the years 1970 and 9000")
    return found


OFFSET = Parameter("offset", "Number of entries to skip.", most=10**9)
LIMIT = Parameter("limit", "Maximum number of entries.", default=100, most=1000)
MANY = replace(LIMIT, default=1000)
LINES = replace(LIMIT, default=1000, most=10_000)
SINCE = Parameter("since", "Only entries with a higher number, oldest first.", most=10**12)
PAGE = (OFFSET, LIMIT)
PROVIDER = Parameter("provider", "Only entries of this provider.")
STATE = Parameter(
    "state", "Only jobs in this state.", choices=tuple(state.value for state in JobState)
)
AT = Parameter("at", "The state at this instant of the sandbox clock (ISO 8601). Default: now.")
JOB = Parameter("job", "Only deliveries of this job.")
OUTCOME = Parameter(
    "outcome",
    "Only deliveries with this outcome, or pending ones.",
    choices=("pending", "delivered", "given_up", "lost", "refused"),
)
WHAT = Parameter(
    "what",
    "The part to reset. Default: all.",
    choices=("all", "jobs", "ledger", "faults", "journal"),
)
STATUS = Parameter("status", "The status of the inbox's response, from 200 to 599. Default: 200.")
TYPES = Parameter(
    "types", "Only these events: names or families, with commas (`job,ledger.entry`)."
)
PAUSES = Parameter(
    "pauses",
    "`all` also checks pauses between polls on an `auto` clock, where tests may omit them.",
    choices=("certain", "all"),
)
