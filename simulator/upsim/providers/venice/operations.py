"""The four video endpoints of Venice, after their checks have passed."""

from __future__ import annotations

from upsim.core.call import Call, FileReply, Reply
from upsim.core.jobs import DELETE_AFTER_DOWNLOAD, REVOKED
from upsim.core.states import UNSUCCESSFUL, JobState
from upsim.providers.venice import headers, quotes, wire


def queue(call: Call) -> Reply:
    """`POST /video/queue`: charge and queue a job; the response has exactly two keys."""
    before = headers.balance_before(call)
    job = call.sandbox.accept(call, inputs=call.inputs)
    return Reply(200, {"model": job.accepted.model, "queue_id": job.id}, headers=before)


def retrieve(call: Call) -> Reply | FileReply:
    """`POST /video/retrieve`: progress, the recorded failure, or the result."""
    job = call.target
    if job.state in UNSUCCESSFUL:
        return wire.failed(call, job)
    if not job.ended:
        return Reply(200, wire.processing(call, job))
    delete = call.inputs.get("delete_media_on_completion") is True
    if _as_file(call):
        return FileReply(job.id, mark=REVOKED if delete else None)
    if delete:
        # The answer carries a URL, which must still work once.
        call.sandbox.mark(job, DELETE_AFTER_DOWNLOAD)
    return Reply(200, wire.completed(call, job))


def complete(call: Call) -> Reply:
    """`POST /video/complete`: finalise a finished job; a running job continues."""
    job = call.target
    if not job.ended:
        return Reply(200, {"success": False})
    if job.state is JobState.COMPLETED:
        job = call.sandbox.mark(job, "finalised")
        if call.rules.knobs["complete_effect"] == "delete":
            job = call.sandbox.mark(job, REVOKED)
    return Reply(200, wire.finalised(call, job))


def quote(call: Call) -> Reply:
    """`POST /video/quote`: the price of the file, or of the described clip."""
    if call.source:
        return Reply(200, {"quote": call.sandbox.terms(call).quote.amount})
    return Reply(200, {"quote": quotes.estimate(call).amount})


def _as_file(call: Call) -> bool:
    form = call.rules.knobs["retrieve_form"]
    named = call.inputs.get("model") is not None
    return form == "binary" or (form == "by_model" and named)
