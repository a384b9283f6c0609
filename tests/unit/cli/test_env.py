"""`upsim env`, `upsim verify` and servers that are no simulator, or a hostile one."""

from __future__ import annotations

import gzip
import tracemalloc

import httpx
import pytest
from click.testing import CliRunner

from upsim.cli import main
from upsim.cli.env import SHELLS
from upsim.client.http.admin import MAX_BYTES
from upsim.client.http.connections import SyncTransport

HOSTILE = [
    "$(touch x)",
    "'; touch x; '",
    "a\\",
    "a\ntouch x",
    "a b",
    "`x`",
    "\u2019;x",
    "a#",
    "a&b",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("shell", SHELLS)
def test_env_prints_no_code_of_a_server(
    monkeypatch: pytest.MonkeyPatch, text: str, shell: str
) -> None:
    """`env` refuses a key that is not a plain word, in the syntax of every shell.

    Providers that this upsim does not have are skipped, and no key is requested for them.
    """
    paths: list[str] = []

    def answer(_transport: object, request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        names = ["vicsee", f"x{text}", *(f"p{number}" for number in range(20_000))]
        found = {"providers": dict.fromkeys(names, 1)}
        return httpx.Response(200, json=found if request.method == "GET" else {"key": text})

    monkeypatch.setattr(SyncTransport, "handle_request", answer)
    done = CliRunner().invoke(main, ["env", "--shell", shell])

    assert (1, "") == (done.exit_code, done.stdout)
    assert "gave no setting for a shell" in done.stderr
    assert "/__sim/sandboxes/default/accounts/vicsee/keys" == paths[-1]
    assert 2 == len(paths)
    skipped, _ = done.stderr.splitlines()
    assert skipped.endswith("p0, p1, p2, p3 and 19996 more")


def test_a_server_without_a_known_provider_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """`env` reports that a server without a known provider is no simulator, and stops there."""
    answer = httpx.Response(200, json={"providers": {"nobody": {}}})
    monkeypatch.setattr(SyncTransport, "handle_request", lambda *_: answer)
    done = CliRunner().invoke(main, ["env"])
    assert (1, "") == (done.exit_code, done.stdout)
    assert "it names no provider known here" in done.stderr


HEALTH = {"status": "ok", "providers": {"venice": {}}, "scenarios": 1}
GZIP = {"content-encoding": "gzip"}
ODD: dict[str, tuple[int, dict[str, str], bytes]] = {
    "nothing": (200, {}, b""),
    "an empty object": (200, {}, b"{}"),
    "no JSON": (200, {}, b"<html>"),
    "a list": (200, {}, b"[]"),
    "no UTF-8": (200, {}, b"\xff\xfe\xfa"),
    "deep": (200, {}, b"[" * 200_000),
    "digits": (200, {}, b'{"providers": ' + b"9" * 5000 + b"}"),
    "other types": (200, {}, b'{"providers": 1, "key": 2, "keys": [], "id": {}, "accounts": 3}'),
    "providers of other types": (200, {}, b'{"providers": [1, null]}'),
    "refusal in words": (403, {}, b'{"error": "no"}'),
    "refusal of other types": (403, {}, b'{"error": {"message": [1]}}'),
    "refusal without JSON": (500, {}, b"oops"),
    "redirect": (302, {"location": "http://["}, b""),
    "too long": (200, {}, b" " * (MAX_BYTES + 1)),
    "bomb": (200, GZIP, gzip.compress(b" " * 100_000_000, 1)),
    "deflated": (200, {"content-encoding": "deflate"}, b"x"),
}
COMMANDS = {
    "env": ["env"],
    "new": ["env", "--new"],
    "verify": ["verify", "--target", "http://127.0.0.1:9", "--provider", "venice", "--tier=free"],
}


@pytest.mark.parametrize("name", ODD)
def test_odd_admin_responses_are_one_line(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """An invalid admin response ends the command with one line and bounded memory use."""
    status, headers, body = ODD[name]

    for command, line in COMMANDS.items():
        for begins_well in (False, True):

            def answer(
                _transport: object, request: httpx.Request, *, well: bool = begins_well
            ) -> httpx.Response:
                assert request.headers["accept-encoding"] == "identity"
                if well and request.url.path.endswith("/health"):
                    return httpx.Response(200, json=HEALTH)
                return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))

            monkeypatch.setattr(SyncTransport, "handle_request", answer)
            is_long = name in ("too long", "bomb")
            if is_long:
                tracemalloc.start()
            done = CliRunner().invoke(main, line)
            peak = tracemalloc.get_traced_memory()[1] if is_long else 0
            tracemalloc.stop()

            case = (command, begins_well, done.output, done.exception)
            assert done.exit_code in (1, 2), case
            assert isinstance(done.exception, SystemExit), case
            if command != "verify" or not begins_well:
                assert done.stdout == "", case
                assert len(done.stderr.splitlines()) == 1 or "Usage: " in done.stderr, case
            assert peak < 4 * MAX_BYTES, case


def test_refused_token_names_option_and_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A 401 of the admin API ends `env` and `verify` with the server's reason and the remedy."""

    def answer(_transport: object, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/health"):
            return httpx.Response(200, json=HEALTH)
        return httpx.Response(401, json={"error": {"message": "the bearer token is wrong"}})

    monkeypatch.setattr(SyncTransport, "handle_request", answer)
    for command in ("env", "verify"):
        done = CliRunner().invoke(main, COMMANDS[command])
        said = " ".join(done.stderr.split())
        assert done.exit_code in (1, 2)
        assert "the bearer token is wrong; pass" in said
        assert "--admin-token or" in said
        assert "UPSIM_ADMIN_TOKEN" in said
