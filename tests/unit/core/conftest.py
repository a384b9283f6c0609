"""Small valid values of core's types, for tests that care about one field of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from msgspec.structs import replace

from upsim.core.baseline import AccountPlan, Baseline, BaselineFact, ErrorRule, Knob, RateLimit
from upsim.core.call import Call, Window
from upsim.core.events import JobAccepted, OutputPlan
from upsim.core.evidence import Evidence
from upsim.core.instants import DAY
from upsim.core.job_spec import JobSpec
from upsim.core.jobs import Job
from upsim.core.knobs_and_dialects import Rules, rules
from upsim.core.ledger import Account
from upsim.core.lifecycle import Lifecycle
from upsim.core.media import Measured, Media
from upsim.core.outputs import OutputRule
from upsim.core.pricing import Billing, PriceQuote, Quantity, Rate
from upsim.core.states import JobState, Phase
from upsim.core.url_builder import UrlBuilder
from upsim.scenario.loader import Library

WHY = Evidence("assumed", "this test", "2026-01-01")
VIDEO = Media(
    duration=8_500_000,
    frame_rate=Fraction(30),
    width=854,
    height=480,
    frames=255,
    container="mp4",
    audio=True,
    size=1_000_000,
)
BILLING = Billing(
    unit="credit",
    quantity=Quantity(of="seconds", round="up"),
    rate=Rate(flat=Decimal(16)),
    evidence=WHY,
)
QUOTE = PriceQuote(
    Decimal(144), "credit", Decimal(9), Decimal(16), "flat", "9 seconds × 16 = 144 credits"
)
SCALE = OutputRule("scale", "factor", {"1": 1, "2": 2, "4": 4}, "keep", WHY)
PLAN = (Phase(JobState.WAITING, 2), Phase(JobState.PROCESSING, 60), Phase(JobState.COMPLETED))
BASELINE: Baseline = Library().baseline("vicsee").baseline


def video(seconds: str | Decimal = "8.5", *, width: int = 854, height: int = 480) -> Media:
    """Return a video of this length and size."""
    duration = int(Decimal(seconds) * 1_000_000)
    return replace(VIDEO, duration=duration, width=width, height=height)


def error(name: str, message: str = "", **fields: object) -> ErrorRule:
    """Return an entry of an error catalogue."""
    found = ErrorRule(name, 400, name.upper(), message, WHY, {}, {})
    return replace(found, **fields)


def knob(name: str, *values: str, **by_dialect: str) -> Knob:
    """Return a knob whose first value holds in every dialect that is not named."""
    chosen = {"guide": values[0], "live": values[0], **by_dialect}
    return Knob(name, values, chosen, "What a test turns.", WHY)


def limited(*rates: RateLimit, access: bool = True) -> Mapping[str, AccountPlan]:
    """Return the plans of a baseline with one plan, `unlimited`, that is limited after all."""
    return {"unlimited": AccountPlan("unlimited", access, rates, None, WHY, {})}


def fact(value: object) -> BaselineFact:
    """Return a fact of this value."""
    return BaselineFact(value, WHY)  # type: ignore[arg-type]  # a test may hold anything


def ruled(**changes: object) -> Rules:
    """Return the rules of VicSee's baseline after these changes of its fields."""
    changed = replace(BASELINE, **changes)
    return rules(changed, "guide", {})


def accepted(phases: tuple[Phase, ...] = PLAN) -> JobAccepted:
    """Return an accepted job."""
    return JobAccepted(
        at=1_000,
        job="task_1",
        account=1,
        provider="vicsee",
        model="topaz-video-upscale",
        operation="generate",
        inputs={},
        options={"upscale_factor": "2"},
        media=VIDEO,
        output=OutputPlan(1708, 960, audio=True),
        quote=QUOTE,
        phases=phases,
        origin=UrlBuilder("http://upsim.test"),
        rules="digest",
        source="https://example.com/clip.mp4",
    )


def job(**fields: object) -> Job:
    """Return a job that was just accepted, but for these fields."""
    return Job(accepted(), **fields)  # type: ignore[arg-type]  # the fields of a Job


def account(balance: int = 1000) -> Account:
    """Return an account of VicSee with this balance."""
    return Account(
        number=1,
        provider="vicsee",
        name="vicsee-1",
        opening=Decimal(balance),
        unit="credit",
        plan="unlimited",
        balance=Decimal(balance),
    )


def lifecycle() -> Lifecycle:
    """Return a lifecycle without steps."""
    return Lifecycle((), WHY)


@dataclass
class FakeWorld:
    """A sandbox that gives checks the values that a test sets."""

    found: Measured | None = VIDEO
    offer: JobSpec | None = None
    used: Mapping[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def measured(self, _call: Call, source: str) -> Measured | None:
        """Return what the test says is known."""
        self.asked.append(source)
        return self.found

    def terms(self, _call: Call) -> JobSpec:
        """Return the test's offer, or nine seconds at sixteen credits."""
        output = OutputPlan(1708, 960, audio=True)
        return self.offer or JobSpec(QUOTE, -QUOTE.amount, {}, output, PLAN)

    def window(self, account: Account, limit: str) -> Window | None:
        """Return a window of three places that ends at midnight, if the test has used it."""
        used = self.used.get(limit)
        return None if used is None else Window(3, used, account.opened_at + DAY)


def call(world: FakeWorld | None = None, **fields: object) -> Call:
    """Return a call of VicSee's `credits` with a known key, but for these fields."""
    usual: dict[str, object] = {
        "operation": "credits",
        "kind": "read",
        "rules": ruled(),
        "sandbox": world or FakeWorld(),
        "urls": UrlBuilder("http://upsim.test"),
        "method": "GET",
        "path": "/api/v1/credits",
        "params": {},
        "query_string": b"",
        "headers": {},
        "body": b"",
        "credential": "known",
        "account": account(),
    }
    return Call(**{**usual, **fields})  # type: ignore[arg-type]  # the fields of a Call
