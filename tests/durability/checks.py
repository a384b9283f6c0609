"""Compare what a restarted server has with what its clients know."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from decimal import Decimal
from typing import Any

from .load import BALANCES, key_headers
from .raw_http import Connection, Request
from .receiver import Receiver
from .record import Box, Record, seconds_between
from .server import Server

OPTIONS = {"wavespeed": "target_resolution", "venice": "upscale_factor", "vicsee": "upscale_factor"}
WEBHOOK_SECONDS = 60
SAMPLE = 40
"""Tasks of PiAPI whose inputs are read again; the other providers do not show them."""


async def check(server: Server, record: Record) -> None:
    """Compare everything. Raises AssertionError; afterwards, what was unanswered is known."""
    assert not record.wrong, record.wrong[:5]
    await _check_sandboxes(server, record)
    for box in record.boxes.values():
        if box.status == "made":
            jobs = await _check_jobs(server, record, box)
            await _check_ledger(server, box, jobs)
            await _check_deliveries(server, record, box, jobs)
            await _check_clock(server, box)
    await _check_keys(server, record)
    await _check_uploads(server, record)
    await _check_inputs(server, record)
    record.unanswered.clear()


async def _check_sandboxes(server: Server, record: Record) -> None:
    """Answered sandboxes are there, and deleted ones are gone with their keys."""
    there = {box["id"] for box in await server.listed("sandboxes", "sandboxes")}
    for box in list(record.boxes.values()):
        exists = box.name in there
        if box.status == "made":
            assert exists, f"the sandbox {box.name} is lost"
        elif box.status == "deleted":
            assert not exists, f"the deleted sandbox {box.name} is back"
            key = box.keys["wavespeed"]
            found = await server.send("GET", BALANCES["wavespeed"], **key_headers("wavespeed", key))
            assert found.status == 401, f"a key of the deleted {box.name} gets {found}"
            del record.boxes[box.name]
        elif exists:
            box.status = "made"
        else:
            record.forget(box.name)
            del record.boxes[box.name]
    unknown = there - set(record.boxes)
    assert not unknown, f"no request made {unknown}"


async def _check_jobs(server: Server, record: Record, box: Box) -> list[Any]:
    """Every answered job is there, and every other one belongs to an unanswered submit."""
    jobs = await server.listed(f"sandboxes/{box.name}/jobs", "jobs")
    found = {(box.name, job["id"]): job for job in jobs}
    assert len(found) == len(jobs), f"{box.name} has two jobs of one id"
    extra: Counter[tuple[str, str, str]] = Counter()
    for place, job in found.items():
        option = job["options"].get(OPTIONS.get(job["provider"], ""), "")
        shown = (job["provider"], job["account"], option, job["charged"])
        assert record.seen.setdefault(place, shown) == shown, f"{place} was {record.seen[place]}"
        submit = record.submits.get(place)
        if submit is not None:
            assert (job["provider"], option) == (submit.provider, submit.option), (submit, job)
            assert Decimal(job["charged"]) == submit.price, (submit, job)
    known = {place for place in (*record.submits, *record.states) if place[0] == box.name}
    lost = known - set(found)
    assert not lost, f"{len(lost)} answered jobs of {box.name} are lost: {sorted(lost)[:3]}"
    for place, state in record.states.items():
        if place in found:
            ended = {state, "deleted"} if state == "completed" else {state}
            assert found[place]["state"] in ended, (state, found[place])
    for place in record.marked & set(found):
        assert "finalised" in found[place]["marks"], found[place]
    for place in set(found) - set(record.submits) - record.adopted:
        job = found[place]
        extra[box.name, job["provider"], record.seen[place][2]] += 1  # type: ignore[index]  # a text
        record.adopted.add(place)
    unanswered = Counter(one.kind for one in record.unanswered if one.sandbox == box.name)
    assert not extra - unanswered, f"no submit was sent for {extra - unanswered}"
    return jobs


async def _check_ledger(server: Server, box: Box, jobs: list[Any]) -> None:
    """Each job is charged once, each refund has a charge, and balances are exact."""
    path = f"sandboxes/{box.name}"
    entries = await server.listed(f"{path}/ledger", "entries", 10_000)
    numbers = [entry["number"] for entry in entries]
    assert numbers == list(range(1, len(entries) + 1)), f"the ledger of {box.name} has gaps"
    charges = Counter(entry["job"] for entry in entries if entry["kind"] == "charge")
    assert charges == Counter(job["id"] for job in jobs), f"charges of {box.name} and jobs differ"
    refunds = Counter(entry["job"] for entry in entries if entry["kind"] == "refund")
    assert not refunds - charges, f"{box.name} has refunds without charge"
    prices = {job["id"]: Decimal(job["charged"]) for job in jobs}
    for entry in entries:
        amount = Decimal(entry["amount"])
        assert abs(amount) == prices[entry["job"]], entry
    for account in await server.listed(f"{path}/accounts", "accounts"):
        amounts = [Decimal(e["amount"]) for e in entries if e["account"] == account["account"]]
        due = Decimal(account["opening"]) + sum(amounts)
        assert Decimal(account["balance"]) == due, (account, due)


async def _check_deliveries(server: Server, record: Record, box: Box, jobs: list[Any]) -> None:
    """A job and a state have one delivery, whose id never changes."""
    there = {job["id"] for job in jobs}
    for one in await server.listed(f"sandboxes/{box.name}/webhooks", "deliveries"):
        key = (box.name, one["job"], one["job_state"])
        assert record.deliveries.setdefault(key, one["id"]) == one["id"], one
        assert one["job"] in there, one


async def _check_clock(server: Server, box: Box) -> None:
    """No clock is before a time in a response; a manual one moved only by what was sent."""
    now = (await server.admin("GET", f"sandboxes/{box.name}/clock")).json["now"]
    assert now >= box.now, f"the clock of {box.name} went back from {box.now} to {now}"
    if box.clock == "manual":
        passed = seconds_between(box.base, now) if box.base else Decimal(0)
        assert passed <= box.sent, f"the clock of {box.name} moved by more than was sent: {passed}"
        box.base, box.sent = now, Decimal(0)
    box.saw(now)


async def _check_keys(server: Server, record: Record) -> None:
    """Issued keys are accepted."""
    made = [box for box in record.boxes.values() if box.status == "made"]
    keys = [(box.name, of, key) for box in made for of, key in box.keys.items()]
    headers = [(of, key_headers(of, key)) for _, of, key in (*keys, *record.keys)]
    requests = [Request("GET", BALANCES[of], named) for of, named in headers]
    connection = await Connection.open(server.base_url)
    for response in await connection.send(requests):
        assert response.status == 200, response
    connection.close()


async def _check_uploads(server: Server, record: Record) -> None:
    """Uploaded files are served with the same bytes."""
    connection = await Connection.open(server.base_url)
    for path, data in record.uploads.items():
        (response,) = await connection.send([Request("GET", path)])
        assert (response.status, response.body) == (200, data), f"the upload {path} is lost"
    connection.close()


async def _check_inputs(server: Server, record: Record) -> None:
    """Tasks of PiAPI still have the video with which they were submitted."""
    tasks = [item for item in record.submits.items() if item[1].provider == "piapi"]
    for (name, job), submit in tasks[-SAMPLE:]:
        key = record.key_of.get((name, job))
        if key is None or (name, job) in record.states:
            continue
        path = f"/piapi/api/v1/task/{job}"
        response = await server.send("GET", path, **key_headers("piapi", key))
        assert response.json["data"]["input"] == {"video": submit.video}, (submit, response)


async def check_webhooks(server: Server, record: Record, receiver: Receiver) -> None:
    """Every ended job's webhook arrives, if necessary after some time."""
    for box in record.boxes.values():
        if box.clock == "manual" and box.status == "made":
            path = f"sandboxes/{box.name}/clock/advance"
            idle = await server.admin("POST", path, {"to": "idle"})
            assert idle.status == 200, idle
    began = time.monotonic()
    while missing := await _missing(server, record, receiver):
        assert time.monotonic() - began < WEBHOOK_SECONDS, f"no webhook for {sorted(missing)[:5]}"
        receiver.arrived.clear()
        try:
            async with asyncio.timeout(1):
                await receiver.arrived.wait()
        except TimeoutError:
            continue


async def _missing(server: Server, record: Record, receiver: Receiver) -> set[tuple[str, str]]:
    """Return the jobs with an end of which the receiver has not heard."""
    heard = {job for job, _ in receiver.got}
    missing = set()
    for box in record.boxes.values():
        if box.status != "made":
            continue
        path = f"sandboxes/{box.name}"
        for job in await server.listed(f"{path}/jobs", "jobs"):
            submit = record.submits.get((box.name, job["id"]))
            if submit is None or not submit.hooked or job["state"] == "deleted":
                continue
            if job["id"] not in heard:  # it has ended, or will soon
                missing.add((box.name, job["id"]))
        for one in await server.listed(f"{path}/webhooks", "deliveries"):
            key = (box.name, one["job"], one["job_state"])
            assert record.deliveries.setdefault(key, one["id"]) == one["id"], one
            if one["job"] not in heard:
                missing.add((box.name, one["job"]))
    return missing
