"""Admin calls on the jobs of a sandbox: list them, show one, and force a state."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from upsim.core.jobs import IllegalMoveError, Job
from upsim.core.states import UNSUCCESSFUL, Failure, JobState
from upsim.engine.sandbox import Sandbox
from upsim.engine.sandbox_state import SandboxState
from upsim.web.admin import sandbox_views
from upsim.web.admin.admin_call import Text
from upsim.web.admin.earlier_states import state_at
from upsim.web.admin.long_lists import chosen, listed
from upsim.web.admin.parameters import LIMIT, OFFSET, STATE
from upsim.web.admin.problems import AdminError, answer, nearest, shown
from upsim.web.admin.request_sandbox import one_provider, sandbox_and, sandbox_of


class StateChange(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `PUT …/jobs/<job>/state`; `error` names an entry of the failure catalogue."""

    state: Text
    error: Text | None = None


async def jobs(request: Request) -> Response:
    """`GET …/jobs`: list the jobs, oldest first, each with its timeline."""
    sandbox = sandbox_of(request)
    offset, limit = OFFSET.whole(request), LIMIT.whole(request)
    provider, phase = one_provider(request), STATE.text(request)
    state = await state_at(request, sandbox)
    found = await chosen(
        list(state.jobs.values()),
        lambda one: provider in (None, one.accepted.provider) and phase in (None, one.state.value),
    )
    page = [sandbox_views.paid(state, one) for one in found[offset : offset + limit]]
    return await listed("jobs", page, sandbox_views.job, total=len(found))


async def job(request: Request) -> Response:
    """`GET …/jobs/<job>`: return one job with its timeline, media, output and money."""
    sandbox = sandbox_of(request)
    state = await state_at(request, sandbox)
    return answer(sandbox_views.job(sandbox_views.paid(state, _job(sandbox, request, state))))


async def set_state(request: Request) -> Response:
    """`PUT …/jobs/<job>/state`: force an allowed state change."""
    sandbox, asked = await sandbox_and(request, StateChange)
    found = _job(sandbox, request, sandbox.state)
    if asked.state not in list(JobState):
        message = f"state {shown(asked.state)} is unknown; {nearest(asked.state, JobState)}"
        raise AdminError(400, "invalid", message)
    state = JobState(asked.state)
    if asked.error is not None and state not in UNSUCCESSFUL:
        raise AdminError(400, "invalid", f"a job that is {state} has no error")
    if asked.state == JobState.COMPLETED and found.accepted.output is None:
        message = f"job {found.id} has no output: its video was never measured"
        raise AdminError(409, "no_output", message)
    failure = _failure(sandbox, found.accepted.provider, asked, state)
    try:
        moved = sandbox.jobs.move(found, state, failure)
    except IllegalMoveError as error:
        raise AdminError(409, "illegal_move", str(error)) from error
    return answer(sandbox_views.job(sandbox_views.paid(sandbox.state, moved)))


def _job(sandbox: Sandbox, request: Request, state: SandboxState) -> Job:
    name = request.path_params["job"]
    found = state.jobs.get(name)
    if found is None:
        message = f"there is no job {shown(name)} in sandbox {sandbox.id!r}"
        raise AdminError(404, "unknown_job", message)
    return found


def _failure(
    sandbox: Sandbox, provider: str, asked: StateChange, state: JobState
) -> Failure | None:
    """Return the named failure, or the provider's usual failure for this state."""
    bound = sandbox.bound(provider)
    known = bound.failures
    if asked.error is None:
        usual = bound.provider.failure if state is JobState.FAILED else state.value
        first = next(iter(known.values()), None)
        return known.get(usual, first) if state in UNSUCCESSFUL else None
    if asked.error not in known:
        message = f"error {shown(asked.error)} is unknown; {nearest(asked.error, known)}"
        raise AdminError(400, "invalid", message)
    return known[asked.error]
