"""Check a live API before a run spends anything: each mistake is one sentence.

All requests are free. The balance is read with the given key and with a key that was never
issued. Facts that differ between dialects show which dialect the server has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from urllib.parse import urlsplit

import httpx

from upsim.client.request_guard import is_loopback
from upsim_contracts.amounts import amount_of, counted
from upsim_contracts.clip_properties import ClipProperties, clip
from upsim_contracts.exceptions import UnreadableVideoError, UsageError
from upsim_contracts.expected_responses import at
from upsim_contracts.facts.account_client import FactResponse, Pricer
from upsim_contracts.facts.fact_files import Book, CallForm, Fact, filled
from upsim_contracts.facts.fact_runner import Sleep, check_fact
from upsim_contracts.target import Target, TargetSettings
from upsim_contracts.verify.planning import VerifyPlan, plan
from upsim_contracts.video_probe import probe_video

SAMPLE = "320x240 10fps 1s"
REFUSED = (401, 403)
LIMITED = 429
BROKEN = 500
MAX_LENGTH = 200
ROTATED = str.maketrans("0123456789abcdefABCDEF", "1032547698badcfeBADCFE")
CHANGED = 8
"""How many characters at the end of a key make it another one."""


def check(book: Book, planned: VerifyPlan, target: Target, price: Pricer, sleep: Sleep) -> None:
    """Check the key, the balance, the dialect and the clips before anything is spent.

    Raises UsageError for the first mistake. `book` has the facts as documented, without a dialect.
    """
    if book.balance is not None:
        form, place = book.calls[book.balance[0]], book.balance[1]
        balance = _balance(book, form, place, target)
        _check_keys(book, form, place, target)
        if balance < planned.worst:
            has, worst = (counted(one, book.unit) for one in (balance, planned.worst))
            raise UsageError(
                f"the balance of {has} does not cover the plan, which could cost {worst}: "
                "top it up, or choose fewer facts by --model, --fact or --tier"
            )
    _check_dialect(book, target, price, sleep)
    _check_media(planned, target)


def _balance(book: Book, form: CallForm, place: str, target: Target) -> Decimal:
    """Return the balance of the account. Raises UsageError if the server does not return it."""
    request = f"{form.method} {target.url}{form.path}"
    try:
        answer = _ask(book, form, target, target.key)
    except httpx.HTTPError as error:
        text = f"{target.url} does not answer ({error}): is this the base URL of {book.provider}?"
        raise UsageError(text) from error
    found = _amount(answer, place)
    if found is not None:
        return found
    status = answer.response.status_code
    said = ascii(answer.text[:MAX_LENGTH])[1:-1]
    if status in REFUSED:
        mistake = f"the key is refused ({status} {said}): give a valid one by --api-key"
    elif status == LIMITED:
        wait = answer.response.headers.get("retry-after")
        later = f"in {wait} s" if wait else "later"
        mistake = f"a rate limit is in the way ({status} {said}): try again {later}"
    elif status >= BROKEN:
        mistake = f"{request} is answered with {status} {said}: try again later"
    else:
        mistake = (
            f"{target.url} does not answer as {book.provider}: {request} gave no {place} but "
            f"{status} {said}; is this the base URL, and is --provider right?"
        )
    raise UsageError(mistake)


def _check_keys(book: Book, form: CallForm, place: str, target: Target) -> None:
    """Check that the server rejects an invented key, since facts about keys need that.

    Raises UsageError if the server accepts the key.
    """
    known, end = target.key[:-CHANGED], target.key[-CHANGED:]
    invented = known + (end.translate(ROTATED) if end.translate(ROTATED) != end else end[::-1])
    if _amount(_ask(book, form, target, invented), place) is not None:
        raise UsageError(
            f"{target.url} accepts a key that was never issued, so facts about keys cannot be "
            "checked: start the simulator with --strict-keys and give an issued key"
        )


def _ask(book: Book, form: CallForm, target: Target, key: str) -> FactResponse:
    """Return the response to a balance request with this key."""
    headers = {**book.auth, **form.headers}
    sent = {name: str(filled(value, {"key": key})) for name, value in headers.items()}
    return FactResponse(target.http.request(form.method, f"{target.url}{form.path}", headers=sent))


def _amount(answer: FactResponse, place: str) -> Decimal | None:
    """Return the balance in a response; None if it has none."""
    return amount_of(at(answer.as_seen, place))


def _check_dialect(book: Book, target: Target, price: Pricer, sleep: Sleep) -> None:
    """Check that the dialect option matches the server's dialect.

    The facts that are false in a dialect show which dialect the server has. All of them must agree,
    because a single fact may have changed. Raises UsageError.
    """
    for name in book.dialects:
        probes = [*_probes(book, name, target, price)]
        held = [check_fact(book, one, target, price, sleep).outcome == "held" for one in probes]
        spoken = target.dialect == name
        if probes and spoken and all(held):
            raise UsageError(
                f"{target.url} does not speak the dialect {name}: leave out --dialect {name}"
            )
        if probes and not spoken and not any(held):
            text = f"{target.url} speaks the dialect {name}: add --dialect {name}"
            raise UsageError(text)


def _probes(book: Book, dialect: str, target: Target, price: Pricer) -> Iterator[Fact]:
    """Yield facts that are not true in the dialect and that free requests can check."""
    departing = [
        replace(fact, departs=None)
        for fact in book.facts
        if book.dialects[dialect].reason(fact.id) is not None and fact.given == TargetSettings()
    ]
    for one in plan(book, departing, target, price).planned:
        if one.tier == "free" and not any("video" in step for step in one.fact.steps):
            yield one.fact


def _check_media(planned: VerifyPlan, target: Target) -> None:
    """Check that clips are available for paid jobs, and that the server can download them."""
    needed = [one.fact.id for one in planned.planned if one.tier == "paid" and _needs(one.fact)]
    if not needed:
        return
    if target.media is None:
        raise UsageError(
            f"{len(needed)} facts need a clip: give by --media a public address that serves what "
            "a simulator serves below /media/synthetic/, or choose --tier free"
        )
    host, own = (urlsplit(url).hostname or "" for url in (target.media, target.url))
    if is_loopback(host) and not is_loopback(own):
        raise UsageError(f"{own} cannot fetch clips from {target.media}: give a public address")
    wanted = clip(SAMPLE)
    address = f"{target.media}{wanted.path}"
    try:
        answer = target.http.get(address)
        content = answer.raise_for_status().content
    except httpx.HTTPError as error:
        text = f"--media {target.media} serves no clips ({str(error).splitlines()[0]})"
        raise UsageError(f"{text}: {address} has to be a video") from error
    if not _is(wanted, content):
        raise UsageError(f"--media {target.media} serves another file than {wanted} at {address}")


def _needs(fact: Fact) -> bool:
    videos = [step["video"] for step in fact.steps if "video" in step]
    return any("://" not in (one if isinstance(one, str) else one["data"]) for one in videos)


def _is(wanted: ClipProperties, content: bytes) -> bool:
    try:
        seen = probe_video(content)
    except UnreadableVideoError:
        return False
    size: Sequence[object] = (seen["width"], seen["height"], seen["frames"])
    return size == (wanted.width, wanted.height, wanted.frames)
