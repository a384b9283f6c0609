"""Files of accepted differences, of uses and of earlier runs that somebody made to do harm."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from upsim_contracts.accepted_differences import read_known
from upsim_contracts.exceptions import UsageError
from upsim_contracts.used_fields import read_uses
from upsim_contracts.verify.earlier_run import read_earlier

BOMB = "\n".join(["a: &a0 [x, x]", *(f"b{n}: &a{n + 1} [*a{n}, *a{n}]" for n in range(30))])
MERGE = "a: &m0 {x: 1}\n" + "\n".join(
    f"b{n}: &m{n + 1} {{<<: [{', '.join([f'*m{n}'] * 9)}]}}" for n in range(9)
)
TEXTS = {
    "nested lists": b"[" * 200_000,
    "nested mappings": b"{a: " * 100_000,
    "nested blocks": b"- " * 200_000,
    "no UTF-8": b"known: \xff\xfe\xfa",
    "UTF-16": "known: []".encode("utf-16"),
    "a list for a key": b"? [a, b]\n: c",
    "a mapping for a key": b"? {a: b}\n: c",
    "a long number": b"known: " + b"9" * 5_000,
    "a wrong int": b"known: !!int abc",
    "a wrong float": b"known: !!float abc",
    "a wrong bool": b"known: !!bool maybe",
    "a wrong time": b"known: !!timestamp 2026-99-99",
    "base 60": b"known: !!int '1:1:1'",
    "a Python object": b"known: !!python/object/apply:os.system [true]",
    "aliases of aliases": BOMB.encode(),
    "merges of merges": MERGE.encode(),
    "a file that is long": b"known: " + b"x" * 2_000_000,
    "a key that is long": b"x" * 900_000 + b": 1",
    "itself": b"known: &a [*a]",
    "a tab": b"known:\n\t- a",
    "control characters": b"known: \x00",
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("read", [read_known, read_uses])
def test_hostile_file_gives_one_short_error(
    tmp_path: Path, name: str, read: Callable[[Path], object]
) -> None:
    """For a hostile file the command prints one short error with its name, without a delay."""
    file = tmp_path / "given.yaml"
    file.write_bytes(TEXTS[name])
    with pytest.raises(UsageError) as caught:
        read(file)
    assert str(file) in str(caught.value)
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize("spent", ["sNaN", "NaN", "Infinity", "1e999999999999", "x", "1e99"])
def test_an_earlier_run_spent_an_amount(tmp_path: Path, spent: str) -> None:
    """An earlier run with an invalid amount is reported before the run."""
    file = tmp_path / "earlier.json"
    report = f'{{"provider": "vicsee", "causes": [], "facts": [], "spent": "{spent}"}}'
    file.write_text(f'{{"reports": [{report}]}}', "utf-8")
    with pytest.raises(UsageError, match="is not what `upsim verify --json` writes"):
        read_earlier(file)


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """A full disk leaves the file of accepted differences as it was."""
    file = tmp_path / "known.yaml"
    file.write_text("before", "utf-8")
    file.chmod(0o640)
    code = (
        "import sys; from pathlib import Path\n"
        "from upsim_contracts.report_files import write_file\n"
        "write_file(Path(sys.argv[1]), 'x' * 10_000)\n"
    )

    def narrow() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    command = [sys.executable, "-B", "-c", code, str(file)]
    failed = subprocess.run(command, preexec_fn=narrow, capture_output=True, check=False)
    assert b"cannot write" in failed.stderr
    assert ("before", [file]) == (file.read_text("utf-8"), list(tmp_path.iterdir()))
    subprocess.run(command, check=True)
    assert (10_000, 0o640) == (file.stat().st_size, file.stat().st_mode & 0o777)
