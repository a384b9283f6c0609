"""Keys and secrets show neither in tracebacks with their variables, nor in logs, nor elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from traceback import TracebackException
from typing import Any

import httpx
import pytest

from tests.client.client_targets import MODELS, Hand, World, clip, hand, in_process
from upsim.client import ArgumentError, ClientError, Polling, connect

KEY = "sk-this-is-the-secret-key"
HOOK_SECRET = "the-secret-of-the-hook"


@pytest.fixture(params=MODELS, ids=lambda model: str(model).replace("/", "-"))
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Return a sandbox for each model, whose key is in the environment."""
    model = str(request.param)
    monkeypatch.setenv(f"{model.partition('/')[0].upper()}_API_KEY", KEY)
    with ExitStack() as stack:
        yield in_process(stack, model, dialect="guide")


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest, world: World) -> Hand:
    """Return a client that has its key from the environment."""
    polling = Polling(first=10, timeout=600, outage=60)
    return hand(world, kind=str(request.param), api_key=None, cap=None, polling=polling)


def shown(error: BaseException) -> str:
    """Return a traceback with the variables of every frame, as reporters of errors show it."""
    return "".join(TracebackException.from_exception(error, capture_locals=True).format())


def lost(world: World) -> None:
    """The answer of the submit is lost."""
    world.arm(at="after_accept", do="reset_connection")


def refused(world: World) -> None:
    """The submit is refused."""
    answer = {"status": 401, "content_type": "text/plain", "body": "no"}
    world.arm(at="before_accept", do={"respond": answer})


def broken(world: World) -> None:
    """Polls are broken."""
    answer = {"status": 502, "content_type": "text/plain", "body": "no"}
    world.arm(at="poll", do={"respond": answer})


def unwatched(world: World) -> None:
    """The job never gets anywhere."""
    world.arm(at="poll", do={"patch": {"data.status": "odd", "status": "odd"}})


@pytest.mark.parametrize("trouble", [lost, refused, broken, unwatched])
def test_traceback_shows_no_key_and_no_video(
    client: Hand, world: World, trouble: Callable[[World], None]
) -> None:
    """The whole traceback of an error, with all variables, contains no key and no video."""
    trouble(world)
    content = clip("64x36_10fps_1s.mp4")
    with pytest.raises(ClientError) as caught:
        client.upscale(content, "unused.mp4")
    text = shown(caught.value)

    assert (KEY in text, "base64," in text, "Traceback" in text) == (False, False, True)


def test_refused_connection_shows_no_key() -> None:
    """The error for a refused connection does not show the key that was given as an argument."""
    settings = {"base_url": "https://api.venice.ai"}
    with pytest.raises(ClientError) as caught:
        _connect_with_a_key(settings)
    frames = TracebackException.from_exception(caught.value, capture_locals=True).stack
    ours = [frame for frame in frames if "upsim/client" in frame.filename]

    assert KEY not in "".join(str(frame.locals) for frame in ours)
    assert ours != []


def _connect_with_a_key(settings: dict[str, str]) -> None:
    connect("venice", api_key=KEY, **settings)  # type: ignore[arg-type]  # a base URL


def test_webhook_secret_is_not_shown(tmp_path: Path) -> None:
    """The client sends the webhook secret, but no text form of an object shows it."""
    with ExitStack() as stack:
        world = in_process(stack, "piapi/Qubico/video-toolkit")
        client = hand(world, webhook_url="http://hook.test/", webhook_secret=HOOK_SECRET)
        refused(world)
        with pytest.raises(ClientError) as caught:
            client.upscale(clip("64x36_10fps_1s.mp4"), tmp_path / "o.mp4")
        frames = TracebackException.from_exception(caught.value, capture_locals=True).stack
        ours = [frame for frame in frames if "upsim/client" in frame.filename]

    assert HOOK_SECRET not in "".join(str(frame.locals) for frame in ours) + repr(caught.value)


def test_logs(client: Hand, world: World, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """A debug log of all modules does not contain the key."""
    with caplog.at_level(logging.DEBUG):
        client.upscale(clip("64x36_10fps_1s.mp4"), tmp_path / "out.mp4")

    assert (KEY in caplog.text, world.key in caplog.text, caplog.text != "") == (
        False,
        False,
        True,
    )


def test_storage_never_gets_the_key(client: Hand, world: World, tmp_path: Path) -> None:
    """Uploads and downloads do not send the key to the storage."""
    seen: list[httpx.Request] = []
    if isinstance(http := client.client._runner._http, httpx.Client):
        http.event_hooks["request"].append(seen.append)
        client.upscale(clip("64x36_10fps_1s.mp4"), tmp_path / "out.mp4")
        storage = [request for request in seen if request.url.path.startswith("/media/")]
        assert storage != []
        assert KEY not in str([request.headers.raw for request in storage])
    else:

        async def note(request: httpx.Request) -> None:
            seen.append(request)

        http.event_hooks["request"].append(note)
        client.upscale(clip("64x36_10fps_1s.mp4"), tmp_path / "out.mp4")
        keyed = [r.url.path for r in seen if KEY in str(r.headers.raw)]
        assert [path for path in keyed if world.provider not in path] == []


def test_misspelt_setting_shows_no_key() -> None:
    """The error for an unknown setting lists the valid settings and does not show the key."""
    settings: dict[str, Any] = {"api_key": KEY, "webhook_secret": HOOK_SECRET, "capp": 1}
    with pytest.raises(
        ArgumentError, match=r"no such setting of a client: capp; did you mean cap\?"
    ) as e:
        connect("vicsee", **settings)
    error = e.value
    del settings

    assert KEY not in shown(error)
    assert HOOK_SECRET not in shown(error)
