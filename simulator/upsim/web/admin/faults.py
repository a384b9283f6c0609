"""Admin calls on the faults of a sandbox."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from upsim.core.baseline import ErrorRule
from upsim.core.faults import Armed, spoken_of
from upsim.core.json_bodies import MAX_DEPTH, depth_over
from upsim.engine.command_log import CURRENT
from upsim.engine.faults import FaultTakenError, arm, disarm, disarm_all, free_id
from upsim.engine.registry import Registry
from upsim.engine.replay_command_log import ReplayedCommand
from upsim.engine.sandbox import Sandbox
from upsim.scenario.code_references import BODILESS, answered_fields
from upsim.scenario.faults.fault_rules import build_fault, fault_mistakes
from upsim.scenario.faults.size_limits import too_much
from upsim.scenario.faults.vocabulary import FaultVocabulary, needed, options_in
from upsim.scenario.loader import join_mistakes
from upsim.scenario.yaml_tree import dotted
from upsim.web.admin import sandbox_shapes, shape_fields
from upsim.web.admin.admin_call import Text
from upsim.web.admin.parameters import MANY, OFFSET
from upsim.web.admin.problems import AdminError, answer, nearest, read, shown
from upsim.web.admin.request_sandbox import registry_of, sandbox_of

MOST = 1_000
"""Maximum number of armed faults in a sandbox."""


class FaultOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST …/faults`: a fault as in scenarios, and the provider that it affects."""

    at: Any
    do: Any
    provider: Text | None = None
    id: Any = msgspec.UNSET
    on: Any = msgspec.UNSET
    account: Any = msgspec.UNSET
    when: Any = msgspec.UNSET
    state: Any = msgspec.UNSET
    first: Any = msgspec.UNSET
    every: Any = msgspec.UNSET
    after: Any = msgspec.UNSET
    probability: Any = msgspec.UNSET


async def listing(request: Request) -> Response:
    """`GET …/faults`: list the armed faults, and how often each matched and fired."""
    sandbox = sandbox_of(request)
    offset, limit = OFFSET.whole(request), MANY.whole(request)
    found = list(sandbox.state.faults.values())
    page = [view(registry_of(request), armed) for armed in found[offset : offset + limit]]
    return answer({"faults": page, "total": len(found)})


async def arm_one(request: Request) -> Response:
    """`POST …/faults`: arm a fault; return 201 with the fault, or an error with all mistakes."""
    sandbox = sandbox_of(request)
    asked = await read(request, FaultOrder)
    provider = _provider(request, sandbox, asked.provider)
    node = await asyncio.to_thread(_validated, asked, _known(sandbox, provider))
    sandbox = sandbox_of(request)
    if len(sandbox.state.faults) >= MOST:
        raise AdminError(409, "too_many", f"a sandbox has at most {MOST} faults; disarm some")
    name = str(node.get("id") or free_id(sandbox.state.faults))
    rule = build_fault(node, provider=provider, name=name)
    excess = too_much([armed.rule for armed in sandbox.state.faults.values()], rule)
    if excess:
        raise AdminError(409, "too_many", f"{excess}; disarm some")
    try:
        armed = arm(sandbox, rule)
    except FaultTakenError as error:
        raise AdminError(409, "taken", str(error)) from error
    return answer(view(registry_of(request), armed), 201)


def _validated(asked: FaultOrder, known: FaultVocabulary) -> dict[str, Any]:
    """Return the fault in the format of scenarios. Raises AdminError with all mistakes."""
    given = msgspec.structs.asdict(asked)
    del given["provider"]
    if depth_over(given, MAX_DEPTH):
        raise AdminError(400, "not_json", f"the body is nested more than {MAX_DEPTH} deep")
    node = {name: _exact(value) for name, value in given.items() if value is not msgspec.UNSET}
    mistakes = [_sentence(*found) for found in fault_mistakes(node, known)]
    if mistakes:
        raise AdminError(400, "invalid", join_mistakes(mistakes))
    return node


async def clear(request: Request) -> Response:
    """`DELETE …/faults`: disarm all faults, including the faults of the scenario."""
    sandbox = sandbox_of(request)
    return answer({"disarmed": disarm_all(sandbox)})


async def show(request: Request) -> Response:
    """`GET …/faults/<fault>`: return one armed fault."""
    return answer(view(registry_of(request), _armed(sandbox_of(request), request)))


async def disarm_one(request: Request) -> Response:
    """`DELETE …/faults/<fault>`: disarm this fault."""
    sandbox = sandbox_of(request)
    armed = _armed(sandbox, request)
    disarm(sandbox, armed.rule.id)
    return answer({"disarmed": [armed.rule.id]})


def view(registry: Registry, armed: Armed) -> sandbox_shapes.Fault:
    """Return an armed fault as the admin API shows it."""
    rule = armed.rule
    kinds = {op.name: op.kind for op in registry.providers[rule.provider].operations}
    return shape_fields.show(sandbox_shapes.Fault, armed, operations=list(spoken_of(rule, kinds)))


def _armed(sandbox: Sandbox, request: Request) -> Armed:
    name = request.path_params["fault"]
    found = sandbox.state.faults.get(name)
    if found is None:
        hint = nearest(name, sandbox.state.faults)
        message = f"there is no fault {shown(name)} in sandbox {sandbox.id!r}; {hint}"
        raise AdminError(404, "unknown_fault", message)
    return found


def _provider(request: Request, sandbox: Sandbox, name: object) -> str:
    """Return the named provider, or the provider of the sandbox's scenario."""
    registry = registry_of(request)
    providers, main = registry.providers, registry.main_of(sandbox)
    if name is None and main is not None:
        name = main.baseline.provider
    if name is None:
        message = f"provider is missing; use one of {', '.join(providers)}"
        raise AdminError(400, "invalid", message)
    if not isinstance(name, str) or name not in providers:
        message = f"provider {shown(name)} is unknown; {nearest(str(name), providers)}"
        raise AdminError(400, "invalid", message)
    return name


def _known(sandbox: Sandbox, provider: str) -> FaultVocabulary:
    bound = sandbox.bound(provider)
    hooks = bound.rules.baseline.webhooks
    extra = [key for rule in bound.rules.baseline.failures.values() for key in rule.extra]
    return FaultVocabulary(
        provider=provider,
        operations={operation.name: operation.kind for operation in bound.provider.operations},
        errors={name: _placeholders(rule) for name, rule in bound.rules.errors.items()},
        variants={
            name: frozenset().union(*map(_placeholders, (rule, *(one for _, one in rule.variants))))
            for name, rule in bound.rules.baseline.errors.items()
            if rule.variants
        },
        fields=sandbox.scenario_for(provider).body_fields,
        told=hooks.under(bound.rules.knobs).states if hooks else (),
        signing=hooks.signing if hooks else "",
        bodiless=frozenset(op.name for op in bound.provider.operations if op.method in BODILESS),
        options=options_in(bound.rules.baseline),
        statuses={name: str(fact.value) for name, fact in bound.rules.baseline.statuses.items()},
        answers={} if _was_armed() else answered_fields(bound.provider, extra),
    )


def _was_armed() -> bool:
    """Return whether a replay arms a fault that its recording armed.

    Earlier versions armed patches of unknown fields, and a replay must arm them too.
    """
    command = CURRENT.get()
    return isinstance(command, ReplayedCommand) and command.accepted


def _placeholders(rule: ErrorRule) -> frozenset[str]:
    return needed(rule.message, rule.headers, rule.extra)


def _sentence(place: tuple[str | int, ...], message: str) -> str:
    return f"{dotted(place)}: {message}" if place else message


def _exact(value: object) -> object:
    """Return a number with a decimal point in the form that scenarios use."""
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, list):
        return [_exact(item) for item in value]
    return {k: _exact(v) for k, v in value.items()} if isinstance(value, dict) else value
