"""Every argument of every public function: a wrong one is a ClientError that names it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, get_type_hints

import httpx
import pytest

import upsim.client
from upsim.client import (
    AsyncClient,
    Client,
    ClientError,
    Job,
    Money,
    OutcomeUnknownError,
    Polling,
    Retries,
    Timeouts,
    connect,
    connect_async,
    receive_webhook,
    sandbox_sleeper,
    verify_webhook,
)
from upsim.client.clients import ClientSettings, UpscaleOptions

HOME = "http://api.test/vicsee"
URL = "https://clips.example/clip.mp4"
JOB = Job("task_1", "topaz-video-upscale")
FIRST = {"quote": "source", "submit": "source", "upscale": "source"}
OTHERS: list[tuple[object, str]] = [
    (Job("q", "venise"), "no model 'venise'; did you mean venice/"),
    (Job("q", "m", "venise"), "no model 'venise/m'; did you mean venice/"),
    (Job("q", "upscale-v1", "wavespeed"), "belongs to wavespeed/runwayml.* this client to vicsee/"),
]
SCHEMES: list[tuple[object, str]] = [
    ("ftp://a.example/b.mp4", "has the scheme ftp: give a path, or a URL that begins with http"),
    ("S3://bucket/b.mp4", "has the scheme S3: give"),
    ("http:/a.example/b.mp4", "lacks http://: give http://a.example/b.mp4"),
    ("https:///b.mp4", "names no host"),
    ("file:///tmp/b.mp4", "is a file URL: use the path, /tmp/b.mp4"),
]
WRONG: Mapping[str, list[tuple[object, str]]] = {
    "api_key": [(5, "api_key is a text, not int"), ("a b", "key contains a space")],
    "attempts": [("5", "attempts is .* not '5'; did you mean 5"), (0, "from 1 to .* not 0")],
    "answer": [("2m", "answer is .* did you mean 120"), (0, "not 0")],
    "base_url": [(5, "base_url .* not 5"), ("127.0.0.1:80/x", "give http://127.0.0.1:80/x")],
    "body": [("{}", "body is the raw bytes"), (5, "body .* not 5")],
    "cap": [(0.5, "cap .* not 0.5"), ("-1", "cap .* not -1"), (Money("1", "USD"), "not '1'")],  # type: ignore[arg-type]
    "connect": [(None, "connect is .* not null"), (-1, "not -1")],
    "factor": [("2x", "factor .* not '2x'; did you mean 2"), (0, "factor .* not 0")],
    "file": [("1h", "file .* did you mean 3600"), (-1, "not -1")],
    "first": [("1s", "first .* did you mean 1"), (-1, "first .* not -1")],
    "headers": [([(b"a", b"b")], "headers is .* not this list"), ({"a": 1}, "not this dict")],
    "http": [("x", "http is an httpx.* not 'x'"), (object(), "http .* not object")],
    "jitter": [("10%", "jitter .* not '10%'"), (2, "jitter is a number from 0 to 1.* not 2")],
    "job": [
        ("task_1", "job is what submit.* not 'task_1'"),
        (Job("", "m"), "Job.id .* not ''"),
        *OTHERS,
    ],
    "limit": [("5", "limit .* did you mean 5"), (0, "limit .* not 0")],
    "live": [("yes", "live is True or False, not 'yes'"), (1, "live .* not 1")],
    "longest": [("2m", "longest .* did you mean 120"), (float("nan"), "longest .* not nan")],
    "lost": [("x", "lost is the OutcomeUnknownError.* not 'x'"), (None, "lost .* not null")],
    "model": [(5, "model is a text.* not 5"), ("vicsea", "no model 'vicsea'; did you mean vicsee")],
    "most": [("1s", "most .* did you mean 1"), (10**400, "most .* not 1000")],
    "now": [("now", "now is a number.* not 'now'"), (-1, "now .* not -1")],
    "options": [
        ("x=1", "options is a mapping.* not 'x=1'"),
        ({"upscale_factor": 2.5}, r"options\['upscale_factor'\] is .* not 2.5"),
        ({"upscale_facto": "2"}, "unknown option 'upscale_facto'; did you mean upscale_factor"),
    ],
    "outage": [("5 min", "outage .* did you mean 300"), (-1, "not -1")],
    "polling": [(60, "polling is a Polling.* not 60"), ({}, "polling .* not {}")],
    "progress": [("print", "progress is a function.* not 'print'"), (5, "progress .* not 5")],
    "provider": [(5, "provider is a text.* not 5"), ("vicsea", "'vicsea'; did you mean vicsee")],
    "read": [("5", "read .* did you mean 5"), (0, "not 0")],
    "retries": [(3, "retries is a Retries.* not 3"), ({}, "retries .* not {}")],
    "sandbox": [(5, "sandbox is a text.* not 5"), ("", "sandbox .* not ''")],
    "secret": [(b"s", "secret is a text, not bytes"), ("", "the secret is empty")],
    "seed": [("7", "seed .* did you mean 7"), (0.5, "seed .* not 0.5")],
    "settling": [("3", "settling .* did you mean 3"), (0.5, "settling .* not 0.5")],
    "sleeper": [(5, "sleeper is a function.* not 5"), ("fast", "sleeper .* not 'fast'")],
    "source": [
        (5, "a video must be a path.* not int"),
        ("no-such.mp4", "no-such.mp4 cannot be read"),
        *SCHEMES,
    ],
    "target_height": [
        ("1080p", "target_height .* not '1080p'; did you mean 1080"),
        (Fraction(3, 2), "target_height .* not 3/2"),
        (True, "target_height .* not true"),
    ],
    "timeout": [("5s", "timeout .* not '5s'; did you mean 5"), (Decimal(5), "timeout .* not 5")],
    "timeouts": [(60, "timeouts is a Timeouts.* not 60"), ({}, "timeouts .* not {}")],
    "to": [(5, "to is the path.* not 5"), ("", "to .* not ''")],
    "token": [(5, "token is a text, not int")],
    "tolerance": [("5m", "tolerance .* did you mean 300"), (-1, "tolerance .* not -1")],
    "webhook_secret": [(5, "webhook_secret is a text, not int")],
    "webhook_url": [(5, "webhook_url .* not 5"), ("localhost:1/h", "give http://localhost:1/h")],
    "what": [("task_1", "job is what submit.* not 'task_1'"), (None, "job .* not null"), *OTHERS],
    "admin_base_url": [
        (5, "admin_base_url .* not 5"),
        ("localhost:1", "give http://localhost:1"),
        ("http://a.test/venice/live", "the URL of venice; that of the server is http://a.test"),
        ("http://a.test/__sim", "URL of the admin API; that of the server is http://a.test"),
        ("http://a.test/sandbox/x", "URL of a sandbox; that of the server is http://a.test"),
    ],
}
"""By parameter: wrong kinds and wrong values, each with what the message says of them."""
SAFE: dict[str, Any] = {
    "model": "venice",
    "provider": "wavespeed",
    "headers": {},
    "body": b"{}",
    "secret": "s",
    "admin_base_url": "http://127.0.0.1:1",
    "source": URL,
    "job": JOB,
    "what": JOB,
    "to": "out.mp4",
    "lost": OutcomeUnknownError("x", how="y", order=None, reserved=None),  # type: ignore[arg-type]
}
"""Right values for parameters without a default."""
WEBHOOKS = ("verify_webhook", "receive_webhook")
METHODS = ("quote", "submit", "poll", "wait", "download", "upscale", "cancel", "jobs", "find")


class NothingSent(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Fails a test whose client sends something."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Fail."""
        raise AssertionError(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Fail."""
        raise AssertionError(request)


def parameters(function: Callable[..., Any]) -> Iterator[inspect.Parameter]:
    """Return the parameters of a function, those of its keyword dictionary one by one."""
    for one in inspect.signature(function).parameters.values():
        if one.kind is not inspect.Parameter.VAR_KEYWORD:
            yield one
            continue
        many = ClientSettings if one.name == "settings" else UpscaleOptions
        for name in get_type_hints(many):
            yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None)


def public_functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Return all that users call, the methods of both clients with a client of their own."""
    settings: dict[str, Any] = {"api_key": "k", "base_url": HOME}
    for name in ("connect", "connect_async"):
        opened: Callable[..., Any] = SIGNATURES[name]
        yield name, lambda _f=opened, **given: _f(**{**settings, **given})
    for name in ("Polling", "Retries", "Timeouts", "sandbox_sleeper", *WEBHOOKS):
        yield name, SIGNATURES[name]
    sync = connect("vicsee", http=httpx.Client(transport=NothingSent()), **settings)
    both = connect_async("vicsee", http=httpx.AsyncClient(transport=NothingSent()), **settings)
    for name in METHODS:
        yield f"Client.{name}", getattr(sync, name)
        method = getattr(both, name)
        yield (
            f"AsyncClient.{name}",
            lambda _m=method, **given: asyncio.run(_m(**given)),
        )


SIGNATURES: Mapping[str, Callable[..., Any]] = {
    **{f.__name__: f for f in (connect, connect_async, Polling, Retries, Timeouts)},
    **{f.__name__: f for f in (sandbox_sleeper, verify_webhook, receive_webhook)},
    **{f"{c.__name__}.{n}": getattr(c, n) for c in (Client, AsyncClient) for n in METHODS},
}


def test_each_wrong_argument_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong type or value of any parameter is reported by name, and no request is sent."""
    monkeypatch.chdir(tmp_path)
    tried = 0
    for name, function in public_functions():
        own = [one for one in parameters(SIGNATURES[name]) if one.name != "self"]
        needed = {one.name: SAFE[one.name] for one in own if one.default is inspect.Parameter.empty}
        for one in own:
            for value, told in WRONG[one.name]:
                given = needed | {one.name: value}
                with pytest.raises(ClientError, match=told):
                    function(**given)
                tried += 1
    assert tried > 200


def test_each_public_function_is_tested() -> None:
    """The argument tests cover every public class and function with user arguments."""
    plain = {"model_names"}
    frozen = {"Billed", "Download", "Job", "Money", "Progress", "Quote", "Size", "Upscaled"}
    other = {"WebhookEvent", "SandboxSleeper", "Client", "AsyncClient"}
    public = {n for n in upsim.client.__all__ if not n.endswith(("Error", "Warning"))}
    assert public - plain - frozen - other == {n for n in SIGNATURES if "." not in n}
    for kind in (Client, AsyncClient):
        methods = {n for n, _ in inspect.getmembers(kind, inspect.isfunction) if n[0] != "_"}
        assert methods - {"balance", "close"} == set(METHODS)


def test_misspelt_argument_of_an_upscale() -> None:
    """The error for an unknown keyword of `upscale` suggests the nearest keyword."""
    client = connect("venice", api_key="k", base_url=HOME)
    with client, pytest.raises(ClientError, match=r"target_hight; did you mean target_height\?"):
        client.quote(URL, target_hight=1080)  # type: ignore[call-arg]


def test_unknown_value_of_an_option_is_named_with_the_allowed_ones() -> None:
    """A quote without a price names the option with an unknown value and the allowed values."""
    client = connect("vicsee", api_key="k", base_url=HOME)
    with client, pytest.raises(ClientError, match="upscale_factor is one of 1, 2, 4, not '3'"):
        client.quote(URL, options={"upscale_factor": "3"})
