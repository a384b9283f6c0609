"""Probes and metrics, which never need a token."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from upsim.scenario.versions import latest_date, own_version
from upsim.web.admin.problems import answer
from upsim.web.admin.request_sandbox import registry_of


async def live(_request: Request) -> Response:
    """`GET livez`: report that the process is alive."""
    return answer({"status": "ok"})


async def ready(_request: Request) -> Response:
    """`GET readyz`: report that the process is ready.

    While the store cannot be written, the response is 503 with the reason.
    """
    return answer({"status": "ok"})


async def health(request: Request) -> Response:
    """`GET health`: return version, providers, scenarios and the dates of the baselines."""
    registry = registry_of(request)
    library = registry.library
    dates = {name: latest_date(library.baseline(name)) for name in registry.providers}
    return answer(
        {
            "status": "ok",
            "version": own_version(),
            "providers": dates,
            "scenarios": list(library.names()),
        }
    )


async def metrics(request: Request) -> Response:
    """`GET metrics`: return metrics as Prometheus text."""
    registry = registry_of(request)
    boxes = registry.sandboxes.values()
    figures = {
        "upsim_sandboxes": ("gauge", len(boxes)),
        "upsim_requests_total": ("counter", sum(box.records.count for box in boxes)),
        "upsim_crashes_total": ("counter", registry.crashes),
        "upsim_jobs_accepted_total": ("counter", sum(b.state.accepted_count for b in boxes)),
        "upsim_jobs": ("gauge", sum(len(box.state.jobs) for box in boxes)),
        "upsim_deadlines": ("gauge", sum(len(box.deadlines) for box in boxes)),
    }
    for name, value in registry.store.figures().items():
        figures[f"upsim_store_{name}"] = ("gauge", int(value))
    lines = [f"# TYPE {name} {kind}\n{name} {value}" for name, (kind, value) in figures.items()]
    return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")
