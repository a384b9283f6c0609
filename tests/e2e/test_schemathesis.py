"""`schemathesis run`, as somebody at a shell uses it, against a running `upsim serve`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Server
from upsim_contracts.documents.openapi import dialects, folders, parts, providers
from upsim_contracts.suite.fuzzing_rules import EXCEPTIONS
from upsim_contracts.suite.sandbox_pool import key_header

DOCUMENTS = [
    pytest.param(provider, dialect, part, id="-".join(filter(None, (provider, dialect, part))))
    for provider in providers()
    for part in parts(provider)
    for dialect in ("", *dialects(provider, part))
]


@pytest.mark.nightly
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("provider", "dialect", "part"), DOCUMENTS)
def test_the_plain_command_finds_nothing(
    start_server: Callable[..., Server], tmp_path: Path, *, provider: str, dialect: str, part: str
) -> None:
    """With the package's exceptions and an issued key, no default check of schemathesis fails."""
    server = start_server("--strict-keys")
    key = server.admin("POST", "sandboxes", {})["keys"][provider]
    header, scheme = key_header(provider)
    name = f"openapi.{part}.json" if part else "openapi.json"
    address = "/".join(filter(None, (server.base_url, provider, dialect, name)))
    command = ["--config-file", str(folders()[provider] / EXCEPTIONS), "run", address]
    command += ["--header", f"{header}: {scheme} {key}", "--max-examples", "50"]
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:]
