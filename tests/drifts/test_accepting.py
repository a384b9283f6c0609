"""Differences that a team accepts: a run with them alone ends well, any other still fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import pytest

from tests.drifts.stand_in import stand_in
from tests.drifts.test_causes import Alter, Altered, header, renamed, unaltered
from tests.drifts.verify_and_record import drifted as drifted_at
from upsim.cli.verify import LOCAL
from upsim_contracts import accepted_differences
from upsim_contracts.accepted_differences import read_known
from upsim_contracts.drift.command import run as run_drift
from upsim_contracts.exceptions import UsageError
from upsim_contracts.verify.command import run

RENAMED = renamed("creditsUsed", "credits_used")
REASON = "The new name is in our client since 2.1, ticket \U0001f600 #7: 'fine'"
Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `upsim verify` at an altered VicSee: exit code and lines."""
    monkeypatch.setattr(accepted_differences, "today", lambda: date(2026, 11, 30))
    monkeypatch.setattr("upsim_contracts.verify.command.today", lambda: date(2026, 11, 30))

    def verify(alter: Alter, **asked: object) -> tuple[int, list[str]]:
        @contextmanager
        def lent() -> Iterator[tuple[str, httpx.BaseTransport, str]]:
            with LOCAL["sim"]() as (url, transport, token):
                yield url, Altered(transport, alter), token

        said: list[str] = []
        code = run({"providers": ("vicsee",), **asked}, {"sim": lent}, said.append)
        return code, [line for text in said for line in text.splitlines()]

    return verify


def test_a_run_passes_until_something_changes(verified: Run, tmp_path: Path) -> None:
    """An accepted difference passes; a new one fails the run; a vanished one is reported."""
    known, junit, page = tmp_path / "known.yaml", tmp_path / "junit.xml", tmp_path / "page.html"
    some = "credits-at-1*"  # a few facts are enough until the whole run that finds them gone
    first, _ = verified(RENAMED, pattern=some)
    new, said = verified(RENAMED, accept=known, accept_new=REASON, pattern=some)
    (entry,) = read_known(known)
    files = {"junit": junit, "html": page, "json": tmp_path / "run"}
    again, lines = verified(RENAMED, accept=known, pattern=some, **files)
    (suite,) = ET.parse(junit).getroot()  # noqa: S314 - our own text
    (document,) = json.loads((tmp_path / "run").read_text("utf-8"))["reports"]

    assert (1, 0, 0) == (first, new, again)
    assert f"1 accepted from now on, in {known}" in said
    assert (REASON, date(2026, 11, 30)) == (entry.reason, entry.accepted)
    assert lines[0].startswith("KNOWN `creditsUsed` is now `credits_used` in POST ")
    assert f"        accepted on 2026-11-30: {REASON}" == lines[1]
    assert [REASON] == [one["accepted"]["reason"] for one in document["causes"]]
    assert (0, document["accepted"]) == (document["broken"], len(document["causes"][0]["broken"]))
    assert "0" == suite.get("failures")
    assert int(suite.get("skipped", "")) == sum(one.find("skipped") is not None for one in suite)
    assert '<summary class="accepted">' in page.read_text("utf-8")

    both = _both(RENAMED, header("x-new", "1"))
    assert 1 == verified(both, accept=known, pattern=some)[0]
    code, said = verified(both, accept=known, accept_new="A second one", pattern=some)
    assert (0, [REASON, "A second one"]) == (code, [one.reason for one in read_known(known)])
    assert 0 == verified(both, accept=known, pattern=some)[0]

    code, said = verified(unaltered, accept=known)
    gone = [line for line in said if line.startswith("no longer seen, so take it out of")]
    assert (0, 2) == (code, len(gone))
    code, said = verified(unaltered, accept=known, pattern="rate-*")
    assert [] == [line for line in said if "no longer" in line]


def _both(*alters: Alter) -> Alter:
    def alter(request: httpx.Request, answer: httpx.Response) -> httpx.Response | None:
        for one in alters:
            answer = one(request, answer) or answer
        return answer

    return alter


BAD: dict[str, str] = {
    "": "",
    "- a": "expected one key, known, with a list",
    "known: 3": "known: expected a list, found 3",
    "known: [3]": "known.0: expected the keys seen_by, provider, difference, reason, accepted; f",
    "known: [{seen_by: verify}]": "known.0: expected the keys",
    "known: [{seen_by: a, provider: b, difference: c, reason: d, accepted: e}]": (
        "known.0.seen_by: expected verify or drift, found 'a'"
    ),
    "known: [{seen_by: drift, provider: b, difference: c, reason: d, accepted: e}]": (
        "known.0.accepted: expected a day such as 2026-11-30, found 'e'"
    ),
    "known: [{seen_by: drift, provider: b, difference: c, reason: '', accepted: 2026-11-30}]": (
        "known.0.reason: expected a text, found nothing"
    ),
    "known: [": ":2:1: not YAML: did not find",
}


@pytest.mark.parametrize("text", BAD)
def test_invalid_accepted_file_is_reported_with_the_place(
    verified: Run, tmp_path: Path, text: str
) -> None:
    """The command reports the place of the mistake in the file and sends nothing."""
    known = tmp_path / "known.yaml"
    known.write_text(text, "utf-8")
    if not text:
        assert [] == read_known(known)
        return
    with pytest.raises(UsageError) as caught:
        verified(unaltered, accept=known)
    assert str(caught.value).startswith(f"--accept: {known}")
    assert BAD[text] in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"accept_new": "why"}, "--accept-new adds to a file: name it by --accept FILE"),
        ({"accept": "none.yaml", "accept_new": " "}, "--accept-new needs a reason"),
        ({"accept": "none.yaml"}, "none.yaml"),
        ({"accept": "flow.yaml", "accept_new": "why"}, "--accept-new: cannot add to"),
        ({"compare": "none.json"}, "--compare: cannot read"),
        ({"compare": "flow.yaml"}, "is not what `upsim verify --json` writes"),
        ({"compare": "other.json"}, 'is not what `upsim verify --json` writes: it has no "reports'),
    ],
)
def test_impossible_options_are_reported_first(
    verified: Run, tmp_path: Path, asked: dict[str, str], message: str
) -> None:
    """The command reports impossible options before it sends anything."""
    flow = "{seen_by: drift, provider: b, difference: c, reason: d, accepted: 2026-11-30}"
    (tmp_path / "flow.yaml").write_text(f"known: [{flow}]\n", "utf-8")
    (tmp_path / "other.json").write_text("{}", "utf-8")
    wanted: dict[str, object] = {
        name: value if name == "accept_new" else tmp_path / value for name, value in asked.items()
    }
    with pytest.raises(UsageError) as caught:
        verified(unaltered, **wanted)
    assert message in str(caught.value)


def test_two_runs_are_compared(verified: Run, tmp_path: Path) -> None:
    """The comparison lists new and vanished causes, changed outcomes of facts, and money spent."""
    earlier = tmp_path / "earlier.json"
    verified(unaltered, json=earlier, pattern="r*")
    _, same = verified(unaltered, compare=earlier, pattern="r*")
    _, said = verified(RENAMED, compare=earlier)
    lines = [line for line in said if line.startswith("since then")]

    assert "since then: vicsee: nothing changed" in same
    assert lines[0].startswith("since then: vicsee: new: `creditsUsed` is now `credits_used`")
    assert any("facts held before, broken now: rate-factor-1" in line for line in lines)
    assert any("facts not there before, held now: " in line for line in lines)

    verified(RENAMED, json=earlier, pattern="r*")
    _, said = verified(unaltered, compare=earlier, pattern="r*")
    assert any("vicsee: gone: `creditsUsed` is now" in line for line in said)
    (tmp_path / "none.json").write_text('{"reports": []}', "utf-8")
    _, said = verified(unaltered, compare=tmp_path / "none.json", pattern="rate-factor-1")
    assert "since then: vicsee: the earlier run did not check it" in said


def test_drift_accepts_known_differences(tmp_path: Path) -> None:
    """`upsim drift` passes if all differences are accepted, and prints the reason of each."""
    known, order = tmp_path / "known.yaml", {"cassettes": [tmp_path / "cassette.jsonl"]}
    alter = [{"on": "submit", "status": 200, "rename": {"data.creditsUsed": "credits_used"}}]
    with stand_in("vicsee", alter) as made:
        drifted_at(made, tmp_path)

    def drifted(**more: object) -> tuple[int, str]:
        said: list[str] = []
        return run_drift({**order, **more}, LOCAL["sim"], said.append), "\n".join(said)

    before, _ = drifted()
    new, _ = drifted(accept=known, accept_new="Asked them, it stays")
    code, text = drifted(accept=known, json=tmp_path / "d.json", html=tmp_path / "d.html")
    (report,) = json.loads((tmp_path / "d.json").read_text("utf-8"))

    assert (1, 0, 0) == (before, new, code)
    assert "no differences, and " in text
    assert "(accepted on " in text
    assert {"Asked them, it stays"} == {one["accepted"]["reason"] for one in report["findings"]}
    assert "Asked them, it stays" in (tmp_path / "d.html").read_text("utf-8")


def test_pattern_without_a_fact_suggests_the_nearest(verified: Run) -> None:
    """The error shows the pattern, the nearest fact, and where all facts are listed."""
    with pytest.raises(UsageError) as caught:
        verified(unaltered, pattern="rate-limitz*")
    assert "vicsee has a name like 'rate-limitz*'; did you mean refusal-rate" in str(caught.value)
    with pytest.raises(UsageError, match=r"a name like 'rat-\*'; did you mean rate-\*\?"):
        verified(unaltered, pattern="rat-*")
    assert "--plan lists all names" in str(caught.value)
