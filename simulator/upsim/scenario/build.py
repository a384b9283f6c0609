"""Build the frozen values of a scenario from its resolved and validated tree."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

from upsim.core.baseline import (
    AccountPlan,
    Auth,
    Baseline,
    BaselineFact,
    ErrorRule,
    Knob,
    Model,
    Option,
    Plain,
    RateLimit,
    Refund,
    SecondHeader,
)
from upsim.core.evidence import Evidence
from upsim.core.instants import seconds_to_micros
from upsim.core.lifecycle import JobDuration, Lifecycle, PhaseRule
from upsim.core.media import Media, Unmeasurable
from upsim.core.outputs import OutputRule
from upsim.core.polling_advice import PollingAdvice
from upsim.core.pricing import Billing, Quantity, Rate, Surcharge, Tier
from upsim.core.states import TERMINAL, JobState
from upsim.core.webhooks import WebhookRule
from upsim.scenario.durations import DURATION, seconds_of
from upsim.scenario.faults.fault_rules import build_faults
from upsim.scenario.model import AccountRule, JobRule, MediaRule, Scenario, word
from upsim.scenario.rule_vocabulary import body_fields_of

OK = 200
Node = Mapping[str, Any]
"""A validated mapping of the file; the schema has checked its values."""


def build_scenario(name: str, tree: Node, folder: Path) -> Scenario:
    """Return the scenario of a resolved tree; local files are relative to `folder`."""
    chosen = {k: v["chosen"] for k, v in tree["knobs"].items() if "chosen" in v}
    return Scenario(
        name=name,
        summary=tree.get("summary", ""),
        evidence=evidence(tree, tree["sources"]) if "evidence" in tree else None,
        baseline=build_baseline(tree),
        media=tuple(_media_rule(rule, folder) for rule in tree.get("media", ())),
        jobs=tuple(_job_rule(rule) for rule in tree.get("jobs", ())),
        accounts={k: _account_rule(v) for k, v in tree.get("accounts", {}).items()},
        knobs=chosen,
        dialect=tree.get("dialect"),
        clock=tree.get("clock"),
        seed=tree.get("seed"),
        faults=build_faults(tree),
        webhook_timestamp=tree.get("webhook_timestamp"),
        body_fields=body_fields_of(tree),
    )


def build_baseline(tree: Node) -> Baseline:
    """Return the facts of a resolved tree."""
    sources = tree["sources"]
    auth, account, refund = tree["auth"], tree["account"], tree["refund"]
    return Baseline(
        provider=tree["provider"],
        title=tree["title"],
        hosts={k: BaselineFact(v["role"], evidence(v, sources)) for k, v in tree["hosts"].items()},
        auth=Auth(
            header=auth["header"].lower(),
            scheme=auth.get("scheme", ""),
            key_prefix=auth["key"]["prefix"],
            key_alphabet=auth["key"]["alphabet"],
            key_length=auth["key"]["length"],
            evidence=evidence(auth, sources),
            second=SecondHeader(**auth["second"]) if "second" in auth else None,
        ),
        opening=Decimal(account["opening"]),
        unit=account["unit"],
        divisible=account.get("divisible", True),
        plan=account["plan"],
        plans={k: _plan(k, v, sources) for k, v in tree["plans"].items()},
        models={k: _model(k, v, sources) for k, v in tree["models"].items()},
        limits=_facts(tree["limits"], sources),
        facts=_facts(tree.get("facts", {}), sources),
        headers=_facts(tree.get("headers", {}), sources),
        retention={k: _lifetime(v, sources) for k, v in tree["retention"].items()},
        statuses=_facts(tree["statuses"], sources),
        errors={k: _error(k, v, sources) for k, v in tree["errors"].items()},
        failures={k: _failure(k, v, sources) for k, v in tree["failures"].items()},
        checks={k: tuple(v) for k, v in tree["checks"].items() if k != "evidence"},
        refund=Refund(
            states=tuple(refund["states"]),
            after=seconds_of(refund["after"]),
            evidence=evidence(refund, sources),
        ),
        default_media=media(tree["default_media"]),
        knobs={k: _knob(k, v, tree["dialects"], sources) for k, v in tree["knobs"].items()},
        dialects=tuple(tree["dialects"]),
        digest=digest(tree),
        webhooks=_webhooks(tree.get("webhooks"), sources),
        polling=_polling(tree.get("polling"), sources),
    )


def digest(tree: object) -> str:
    """Return a short hash of a resolved tree; the journal identifies rules by this hash."""
    return hashlib.sha256(repr(tree).encode()).hexdigest()[:12]


def evidence(node: Node, sources: Node) -> Evidence:
    """Return the evidence of an entry; without a date of its own, it has the date of its source."""
    found = node["evidence"]
    source = sources.get(found["source"])
    title = source["title"] if source else found["source"]
    date = found.get("date") or (source["date"] if source else "")
    return Evidence(grade=found["grade"], source=title, date=date)


def frozen(value: Any) -> Plain:  # noqa: ANN401 - the edge where YAML values come in
    """Return the value with tuples for lists and read-only mappings."""
    if isinstance(value, list):
        return tuple(frozen(item) for item in value)
    if isinstance(value, dict):
        return MappingProxyType({key: frozen(item) for key, item in value.items()})
    return value  # type: ignore[no-any-return]  # a scalar of the file


def media(node: Node) -> Media:
    """Return the video properties in a file; the default frame count is duration times rate."""
    width, height = map(int, node.get("size", "1280x720").split("x"))
    duration = _micros(node["duration"])
    rate = Fraction(str(node.get("fps", "30")))
    frames = node.get("frames") or max(1, round(rate * duration / 1_000_000))
    return Media(
        duration=duration,
        frame_rate=rate,
        width=width,
        height=height,
        frames=frames,
        container=node.get("container", "mp4"),
        audio=node.get("audio", True),
        size=node.get("bytes", 1_000_000),
    )


def _facts(nodes: Node, sources: Node) -> dict[str, BaselineFact]:
    return {k: BaselineFact(frozen(v.get("value")), evidence(v, sources)) for k, v in nodes.items()}


def _lifetime(node: Node, sources: Node) -> BaselineFact:
    """Return a lifetime in seconds (None: unlimited)."""
    value = node.get("value")
    timed = DURATION.match(str(value)) is not None
    seconds = f"{seconds_of(str(value)):f}" if timed else frozen(value)
    return BaselineFact(seconds, evidence(node, sources))


def _webhooks(node: Node | None, sources: Node) -> WebhookRule | None:
    if not node:
        return None
    facts = _facts(node, sources)
    return WebhookRule(
        states=tuple(JobState(name) for name in node["states"]["value"]),
        attempts=node["attempts"]["value"],
        pauses=tuple(_micros(pause) for pause in node["pauses"]["value"]),
        timeout=_micros(node["timeout"]["value"]),
        signing=node["signing"]["value"],
        headers=dict(node["headers"]["value"]),
        evidence={name: fact.evidence for name, fact in facts.items()},
    )


def _polling(node: Node | None, sources: Node) -> PollingAdvice | None:
    if not node:
        return None
    return PollingAdvice(
        every=_micros(node["every"]),
        evidence=evidence(node, sources),
        factor=str(node.get("factor", 1)),
        most=_micros(node["most"]) if "most" in node else None,
    )


def _plan(name: str, node: Node, sources: Node) -> AccountPlan:
    rates = tuple(
        RateLimit(name=f"{name}/{i}", limit=r["limit"], per=r["per"], counts=r["counts"])
        for i, r in enumerate(node.get("rates", ()))
    )
    return AccountPlan(
        name=name,
        access=node.get("access", True),
        rates=rates,
        concurrency=node.get("concurrency"),
        evidence=evidence(node, sources),
        facts=_facts(node.get("facts", {}), sources),
    )


def _model(name: str, node: Node, sources: Node) -> Model:
    options = {
        key: Option(
            name=key,
            default=value["default"],
            allowed=tuple(value["allowed"]),
            evidence=evidence(value, sources),
        )
        for key, value in node.get("options", {}).items()
    }
    lifecycle = node["lifecycle"]
    return Model(
        id=name,
        name=node["name"],
        options=options,
        billing=_billing(node["billing"], sources),
        lifecycle=Lifecycle(
            phases=tuple(_phase(phase) for phase in lifecycle["phases"]),
            evidence=evidence(lifecycle, sources),
        ),
        output=_output(node["output"], sources),
        facts=_facts(node.get("facts", {}), sources),
        evidence=evidence(node, sources),
    )


def _billing(node: Node, sources: Node) -> Billing:
    quantity, rate, extra = node["quantity"], node["rate"], node.get("surcharge")
    return Billing(
        unit=node["unit"],
        quantity=Quantity(
            of=quantity["of"],
            round=quantity.get("round", "exact"),
            minimum=_amount(quantity.get("minimum")),
            maximum=_amount(quantity.get("maximum")),
        ),
        rate=Rate(
            by=rate.get("by"),
            per=Decimal(rate.get("per", 1)),
            flat=_amount(rate.get("flat")),
            table=_table(rate.get("table", {})),
            tiers=tuple(
                Tier(t["name"], _amount(t.get("up_to")), Decimal(t["rate"]))
                for t in rate.get("tiers", ())
            ),
        ),
        evidence=evidence(node, sources),
        surcharge=extra
        and Surcharge(extra["of"], Decimal(extra["above"]), Decimal(extra["times"])),
        places=node.get("places"),
        unit_per=Decimal(node.get("unit_per", 1)),
    )


def _phase(node: Node) -> PhaseRule:
    timed = {k: _time(node.get(k)) for k in ("base", "per_second", "per_frame")}
    duration = None
    if any(value is not None for value in timed.values()):
        duration = JobDuration(
            **{key: value for key, value in timed.items() if value is not None},
            by=node.get("by"),
            table=_table(node.get("table", {})),
            at_least=_time(node.get("at_least")),
            at_most=_time(node.get("at_most")),
        )
    return PhaseRule(
        state=JobState(node["state"]),
        duration=duration,
        polls=node.get("polls"),
        failure=node.get("failure"),
    )


def _output(node: Node, sources: Node) -> OutputRule:
    kind = "scale" if "scale" in node else "short_side"
    chosen = node[kind]
    return OutputRule(
        kind=kind,
        by=chosen.get("by"),
        table=chosen.get("table") or {"": chosen["value"]},
        audio=node["audio"],
        evidence=evidence(node, sources),
    )


def _error(name: str, node: Node, sources: Node) -> ErrorRule:
    variants = tuple(
        (variant["when"], _error(name, {**node, "variants": (), **variant}, sources))
        for variant in node.get("variants", ())
    )
    return ErrorRule(
        name=name,
        status=node["status"],
        code=node.get("code"),
        message=node["message"],
        evidence=evidence(node, sources),
        extra=node.get("extra", {}),
        headers=node.get("headers", {}),
        variants=variants,
    )


def _failure(name: str, node: Node, sources: Node) -> ErrorRule:
    """Return the reason of a failed job; most providers report it with status 200."""
    return _error(name, {"status": OK, **node}, sources)


def _knob(name: str, node: Node, dialects: list[str], sources: Node) -> Knob:
    return Knob(
        name=name,
        values=tuple(node["values"]),
        by_dialect={dialect: node.get(dialect, node["guide"]) for dialect in dialects},
        summary=node["summary"],
        evidence=evidence(node, sources),
    )


def _media_rule(node: Node, folder: Path) -> MediaRule:
    found: Media | Unmeasurable | Path
    if node.get("unreachable"):
        found = Unmeasurable("unreachable", "the scenario says that this URL cannot be reached")
    elif node.get("not_a_video"):
        found = Unmeasurable("not_a_video", "the scenario says that this is not a video")
    elif "file" in node:
        found = folder / node["file"]
    else:
        found = media(node)
    return MediaRule(url=node["url"], found=found)


def _job_rule(node: Node) -> JobRule:
    when = tuple((key, word(value)) for key, value in node.get("when", {}).items())
    return JobRule(when=when, phases=tuple(_step(step) for step in node["lifecycle"]))


def _step(node: Node) -> PhaseRule:
    ((name, how),) = node.items()
    state = JobState(name)
    if how is None or (how == "command" and state not in TERMINAL):
        return PhaseRule(state=state, duration=None)
    if isinstance(how, dict):
        return PhaseRule(state=state, duration=None, polls=how["polls"])
    if state in TERMINAL or DURATION.match(str(how)) is None:
        return PhaseRule(state=state, duration=None, failure=str(how))
    return PhaseRule(state=state, duration=JobDuration(base=seconds_of(how)))


def _account_rule(node: Node) -> AccountRule:
    return AccountRule(balance=_amount(node.get("balance")), plan=node.get("plan"))


def _table(node: Node) -> tuple[tuple[str, Decimal], ...]:
    return tuple((key, Decimal(value)) for key, value in node.items())


def _amount(value: str | int | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def _time(value: str | int | None) -> Decimal | None:
    return None if value is None else seconds_of(value)


def _micros(value: str | int | Decimal) -> int:
    return seconds_to_micros(f"{seconds_of(value):f}")
