"""The official clients, each unmodified in an environment of its own."""

import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
DRIVERS = Path(__file__).parent / "drivers"
ENVIRONMENTS = ROOT / ".cache" / "clients"


@dataclass(frozen=True, slots=True)
class Client:
    """An official client, installed unmodified in an environment of its own."""

    python: Path
    home: Path

    def run(self, driver: str, request: Mapping[str, object]) -> Any:  # noqa: ANN401 - JSON
        """Run a driver; it reads `request` as JSON and answers with its last line."""
        finished = subprocess.run(
            [self.python, DRIVERS / driver, json.dumps(request)],
            cwd=self.home,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home)},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return json.loads(finished.stdout.splitlines()[-1])


@pytest.fixture
def client(tmp_path: Path) -> Callable[[str], Client]:
    """Return a function that installs a client, pinned by requirements/clients, once for all."""

    def install(name: str) -> Client:
        folder = ENVIRONMENTS / name
        pins = ROOT / "requirements" / "clients" / f"{name}.txt"
        with _locked(ENVIRONMENTS / f"{name}.lock"):
            stamp = folder / "installed.txt"
            if not stamp.exists() or stamp.read_bytes() != pins.read_bytes():
                _install(folder, group=f"clients/{name}")
                stamp.write_bytes(pins.read_bytes())
        return Client(python=folder / "bin" / "python", home=tmp_path)

    return install


def _install(folder: Path, *, group: str) -> None:
    """Make one environment, or skip the test with a sentence that says why there is none."""
    finished = subprocess.run(
        [ROOT / "scripts" / "venv", folder, group],
        cwd=ROOT,
        env={**os.environ, "PYTHON": sys.executable},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode:
        reason = re.sub(r"\s+", " ", finished.stderr)[-300:]
        pytest.skip(f"This test needs the client {group}, which could not be installed: {reason}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one test process at a time through."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
