"""`upsim replay` refuses an export that is broken in any way with its place, never a traceback."""

from __future__ import annotations

import copy
import json
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.http.replay.conftest import Start
from tests.http.replay.test_command import session
from tests.mutations import GONE, VALUES, places, replaced
from tests.uploads import put_file
from upsim import Simulator
from upsim.cli import main
from upsim.web.replay.export_document import ExportError

EXPORT_VALUES: Sequence[object] = (
    *VALUES,
    *("9999-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"),
    *(2**63, -(2**70), "\ud800"),
)
WHOLE = ("is no export", "is an export of version", "cannot be recreated")
ENTRY = re.compile(r"entry \d+ (\(.*\) )?(does not replay|gets another answer|cannot be sent)")


@pytest.fixture
def export(start: Start) -> dict[str, Any]:
    """Return an export with a job, a fault, a webhook, advances, an upload and a clock's change.

    The body of the upload is shortened, as an export shortens a body above 1 MiB.
    """
    run = start(clock="manual")
    session(run)
    upload = run.call(
        "POST", "/vicsee/api/v1/upload", "k", json={"contentType": "video/mp4", "sizeBytes": 36}
    )
    assert put_file(run.http, upload.json()["data"]["uploadUrl"], b"clip" * 9).is_success
    run.admin("PATCH", "clock", {"mode": "auto"})
    found = run.export()
    (sent,) = (one["request"] for one in requests(found) if one["request"]["method"] == "PUT")
    sent["body"] = {"text": "clip", "bytes": 36, "sha256": "", "cut": True}
    return found


def requests(export: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the entries of an export that are requests."""
    return [one for one in export["commands"] if "request" in one]


def replay(file: Path, *options: str) -> Result:
    """Return what came of `upsim replay`."""
    return CliRunner().invoke(main, ["replay", str(file), *options])


def located(message: str) -> bool:
    """Return whether a refusal names a path or an entry, or is about the export as a whole."""
    by_place = "at `$." in message or ENTRY.search(message) is not None
    return by_place or any(one in message for one in WHOLE)


def mutations(export: dict[str, Any], step: int) -> Iterator[tuple[tuple[Any, ...], object]]:
    """Yield each place with some of the values: every instant is tried with all of them."""
    number = 0
    for place in list(places(export))[1:]:
        for value in (GONE, *EXPORT_VALUES):
            number += 1
            if place[-1] in ("at", "start", "wall", "public_url", "bytes") or number % step == 0:
                yield place, value


@pytest.mark.parametrize(("options", "step"), [((), 2), (("--pytest",), 4)])
def test_replay_of_a_mutated_export_never_prints_a_traceback(
    export: dict[str, Any],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    options: tuple[str, ...],
    step: int,
) -> None:
    """For each mutated export, `upsim replay` exits with 0, 1 or 2 and logs no error.

    With exit code 2 it prints what is invalid, or where.
    """
    file = tmp_path / "session.json"
    count = 0
    for place, value in [*mutations(export, 29)][::step]:
        file.write_text(json.dumps(replaced(export, place, value)), "utf-8")
        done = replay(file, *options)
        what = (place, value, done.output)
        assert done.exception is None or isinstance(done.exception, SystemExit), what
        assert done.exit_code in (0, 1, 2), what
        assert "Traceback" not in done.output, what
        assert not [one for one in caplog.records if one.levelno >= logging.ERROR], what
        if done.exit_code == 2:
            assert located(done.stderr), what
        count += 1
    assert count > 100


@pytest.mark.parametrize(
    ("place", "named"),
    [
        (("sandbox", "clock", "start"), "$.sandbox.clock.start"),
        (("commands", 1, "at"), "$.commands[1].at"),
        (("commands", -1, "wall"), "].wall`"),
    ],
)
@pytest.mark.parametrize("text", ["9999-01-01T00:00:00Z", "1960-01-01T00:00:00Z", "soon", "\x1b"])
def test_a_time_that_no_clock_reaches_is_refused_with_its_place(
    export: dict[str, Any], tmp_path: Path, place: tuple[Any, ...], named: str, text: str
) -> None:
    """If an export has an invalid time, or a year outside 1970 to 9000, the place is named."""
    file = tmp_path / "session.json"
    file.write_text(json.dumps(replaced(export, place, text)), "utf-8")
    done = replay(file)

    assert 2 == done.exit_code
    assert named in done.stderr
    assert "between the years" in done.stderr or "is not an ISO 8601 instant" in done.stderr


def test_a_replayed_request_after_the_last_possible_time_is_refused(export: dict[str, Any]) -> None:
    """A session request with a time after the year 9000 raises `ExportError`.

    This can happen in an edited test that `upsim replay --pytest` wrote.
    """
    with (
        Simulator.replaying(copy.deepcopy(export)) as replayed,
        pytest.raises(ExportError, match="between the years 1970 and 9000"),
    ):
        replayed.request("GET", "/vicsee/api/v1/credits", at="9999-01-01T00:00:00Z")


@pytest.mark.parametrize("size", [-1, 512 * 1024 * 1024 + 1, 10**12, 9 * 10**18])
@pytest.mark.parametrize("options", [(), ("--pytest",)])
def test_a_length_that_no_upload_has_is_refused_with_its_place(
    export: dict[str, Any], tmp_path: Path, size: int, options: tuple[str, ...]
) -> None:
    """If the length of a shortened upload is negative or above 512 MiB, its place is named."""
    (number,) = (
        n
        for n, one in enumerate(export["commands"])
        if one.get("request", {}).get("method") == "PUT"
    )
    export["commands"][number]["request"]["body"]["bytes"] = size
    file = tmp_path / "session.json"
    file.write_text(json.dumps(export), "utf-8")
    done = replay(file, *options)

    assert 2 == done.exit_code
    assert f"at `$.commands[{number}].request.body.bytes`" in done.stderr


@pytest.mark.parametrize("size", [-1, 512 * 1024 * 1024 + 1])
def test_a_replayed_request_with_an_impossible_length_is_refused(
    export: dict[str, Any], size: int
) -> None:
    """A session request whose `size` is negative or above 512 MiB raises `ExportError`."""
    with (
        Simulator.replaying(export) as replayed,
        pytest.raises(ExportError, match=f"size is {size}"),
    ):
        replayed.request(
            "PUT", "/media/uploads/a/a.mp4", at="2026-01-02T00:00:00Z", text="x", size=size
        )


@pytest.mark.parametrize("balance", ["x", "1e3", "9" * 5_000, "NaN", ""])
@pytest.mark.parametrize("options", [(), ("--pytest",)])
def test_an_export_with_an_invalid_balance_is_refused(
    export: dict[str, Any], tmp_path: Path, balance: str, options: tuple[str, ...]
) -> None:
    """If a balance in an export is no amount, `upsim replay` exits with 2 and names it."""
    export["sandbox"]["balances"] = {"vicsee": balance}
    file = tmp_path / "export.json"
    file.write_text(json.dumps(export), "utf-8")
    result = replay(file, *options)

    assert (2, True) == (result.exit_code, isinstance(result.exception, SystemExit))
    assert "cannot be recreated: vicsee" in result.output
