"""The support matrix of the README is the one that the code gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_matrix_is_current() -> None:
    """The matrix in the README equals the output of `scripts/matrix`."""
    command = [sys.executable, str(ROOT / "scripts" / "matrix"), "--check"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (0, "") == (told.returncode, told.stderr), "run scripts/matrix"
