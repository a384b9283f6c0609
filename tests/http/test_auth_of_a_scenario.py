"""Where a request carries its key is a fact of the scenario, as every other one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from upsim import Simulator
from upsim.engine.reload import reload

ELSEWHERE = """\
extends: piapi/baseline
summary: The key stands in another header.
auth: {header: x-other-key, scheme: Token, key: {prefix: pk-}}
"""
SWAPPED = """\
extends: vicsee/baseline
summary: The scheme has another name.
auth: {scheme: Key, key: {prefix: vk-}}
"""


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Return a simulator that knows issued keys only."""
    with Simulator(clock="manual", strict_keys=True) as made:
        yield made


def account(simulator: Simulator, **headers: str) -> int:
    """Ask PiAPI for the account, and return the status."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    with httpx.Client(transport=simulator.transport()) as http:
        url = f"{simulator.base_url('piapi')}/account/info"
        return http.get(url, headers=names).status_code


def made(simulator: Simulator, path: Path | None = None) -> str:
    """Make a sandbox, of a scenario or of the baseline, and return its PiAPI key."""
    order = {} if path is None else {"scenario": str(path)}
    token = simulator.app.registry.settings.admin_token
    with httpx.Client(transport=simulator.transport()) as http:
        url = f"{simulator.base_url('').rstrip('/')}/__sim/sandboxes"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = http.post(url, json=order, headers=headers)
    key: str = answer.json()["keys"]["piapi"]
    return key


def test_a_key_in_another_header(tmp_path: Path, simulator: Simulator) -> None:
    """A sandbox reads its key from the header of its scenario, and other sandboxes from theirs."""
    file = tmp_path / "elsewhere.yaml"
    file.write_text(ELSEWHERE, encoding="utf-8")
    plain, other = made(simulator), made(simulator, file)

    assert other.startswith("pk-")
    assert account(simulator, x_other_key=f"Token {other}") == 200
    assert account(simulator, x_api_key=other) == 401
    assert account(simulator, x_other_key=f"Bearer {other}") == 401
    assert account(simulator, x_api_key=plain) == 200
    assert account(simulator, x_other_key=f"Token {plain}") == 401


def test_the_scenario_of_the_server_decides_the_key_header(tmp_path: Path) -> None:
    """The default sandbox takes any key, in the header and scheme of the server's scenario."""
    file = tmp_path / "swapped.yaml"
    file.write_text(SWAPPED, encoding="utf-8")
    with (
        Simulator(scenario=str(file), clock="manual") as simulator,
        httpx.Client(transport=simulator.transport()) as http,
    ):
        url = f"{simulator.base_url('vicsee')}/api/v1/credits"
        told = [
            http.get(url, headers={"Authorization": value}).json()
            for value in ("Key vk-1", "Bearer vk-1")
        ]

    assert told[0]["success"] is True
    assert told[1]["error"]["code"] == "INVALID_AUTH_FORMAT"


def test_reload_moves_the_key(tmp_path: Path, simulator: Simulator) -> None:
    """After a reload of `auth`, only the new header counts, for valid and invalid keys."""
    file = tmp_path / "elsewhere.yaml"
    file.write_text("extends: piapi/baseline\nsummary: As the baseline.\n", encoding="utf-8")
    key = made(simulator, file)
    assert account(simulator, x_api_key=key) == 200

    file.write_text(ELSEWHERE, encoding="utf-8")
    registry = simulator.app.registry
    reload(registry, registry.library.renewed())

    assert account(simulator, x_other_key=f"Token {key}") == 200
    assert account(simulator, x_other_key="Token wrong") == 401
    assert account(simulator) == 401
    assert account(simulator, x_api_key=key) == 401


def test_headers_of_deleted_sandboxes_are_not_read(tmp_path: Path, simulator: Simulator) -> None:
    """The server no longer reads a key from a header that only a deleted sandbox used."""
    keys = simulator.app.registry._keys
    account(simulator, x_api_key="any")
    before = keys.forms("piapi")
    file = tmp_path / "elsewhere.yaml"
    file.write_text(ELSEWHERE, encoding="utf-8")
    key = made(simulator, file)
    assert len(keys.forms("piapi")) > len(before)

    (name,) = set(simulator.app.registry.sandboxes) - {"default"}
    simulator.app.registry.delete(name)

    assert keys.forms("piapi") == before
    assert account(simulator, x_other_key=f"Token {key}") == 401
