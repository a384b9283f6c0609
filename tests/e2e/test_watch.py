"""`upsim serve --watch`: what an edited scenario file changes, seen from outside."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Server

SECONDS = 300
SUBMIT = "vicsee/api/v1/tools/upscale-video"
TEXT = """extends: {base}
summary: A price that somebody edits.
models:
  topaz-video-upscale:
    billing: {{rate: {{table: {{"1": "{rate}", "2": "{rate}", "4": "{rate}"}}}}}}
"""


@dataclass(frozen=True, slots=True)
class Watched:
    """A server in a scenario whose file can be edited."""

    server: Server
    file: Path
    log: Path

    def write(self, rate: str, base: str = "vicsee/baseline") -> None:
        """Write the file in place, with this price a second."""
        self.file.write_text(TEXT.format(base=base, rate=rate), "utf-8")

    def submit(self) -> dict[str, Any]:
        """Submit a video of 8.5 seconds; the job as the admin API shows it."""
        answer = self.server.http.post(
            f"{self.server.base_url}/{SUBMIT}",
            json={"video_url": "https://example.com/clip.mp4"},
            headers={"Authorization": "Bearer sk-any"},
        )
        return self.job(answer.raise_for_status().json()["data"]["id"])

    def answer(self, path: str) -> httpx.Response:
        """What a submit at a path is answered."""
        body = {"video": "https://example.com/clip.mp4", "video_url": "https://example.com/a.mp4"}
        headers = {"Authorization": "Bearer sk-any"}
        return self.server.http.post(f"{self.server.base_url}/{path}", json=body, headers=headers)

    def job(self, name: str) -> dict[str, Any]:
        """Return a job as the admin API shows it."""
        found: dict[str, Any] = self.server.admin("GET", f"sandboxes/default/jobs/{name}")
        return found

    def charged(self, amount: str) -> bool:
        """Whether a submit is charged this before long."""
        return until(lambda: self.submit()["charged"] == amount)

    def printed(self, text: str) -> bool:
        """Whether the server prints this before long."""
        return until(lambda: text in self.log.read_text("utf-8"))


def until(holds: Callable[[], bool]) -> bool:
    """Whether something holds before long."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def watched(tmp_path: Path, start_server: Callable[..., Server]) -> Watched:
    """Return a server that watches a file in which a second costs 10 credits."""
    file = tmp_path / "mine.yaml"
    file.write_text(TEXT.format(base="vicsee/baseline", rate="10"), "utf-8")
    server = start_server("--watch", "--scenario", str(file), "--clock", "manual")
    return Watched(server, file, tmp_path / "server.log")


def test_an_edit_a_mistake_and_its_mending(watched: Watched) -> None:
    """A new price holds for new jobs; a broken file changes nothing and is told of once."""
    before = watched.submit()
    watched.write("20")
    edited = watched.charged("180")
    with watched.file.open("a", encoding="utf-8") as file:
        file.write("refund: {sates: []}\n")
    told = watched.printed(f"{watched.file}:6:10: refund.sates: unknown key; did you mean states?")
    kept = watched.submit()["charged"]
    watched.write("30")

    assert ("90", True, True, "180") == (before["charged"], edited, told, kept)
    assert watched.charged("270")
    assert 1 == watched.log.read_text("utf-8").count("did you mean states?")


def test_jobs_keep_their_rules(watched: Watched) -> None:
    """A job that was accepted before an edit gets back what it paid, under the rules it names."""
    before = watched.submit()
    watched.write("20")
    watched.charged("180")
    path = f"sandboxes/default/jobs/{before['id']}/state"
    watched.server.admin("PUT", path, {"state": "failed", "error": "generation_failed"})
    after = watched.job(before["id"])
    exchanges = watched.server.admin("GET", "sandboxes/default/journal")["exchanges"]

    assert ("90", "90", before["rules"]) == (after["charged"], after["refunded"], after["rules"])
    assert exchanges[0]["rules"] == before["rules"] != exchanges[-1]["rules"]


def test_a_file_that_is_renamed_or_gone_for_a_moment(watched: Watched) -> None:
    """Editors that replace the file, or take it away first, are followed without a complaint."""
    new = watched.file.with_suffix(".new")
    new.write_text(TEXT.format(base="vicsee/baseline", rate="20"), "utf-8")
    new.replace(watched.file)
    renamed = watched.charged("180")
    watched.file.unlink()
    time.sleep(0.5)  # real time: the server looks at real files
    watched.write("30")

    assert renamed
    assert watched.charged("270")
    assert "stay in force" not in watched.log.read_text("utf-8")


def test_a_file_that_stays_away(watched: Watched) -> None:
    """A file that is gone for seconds is told of, and the rules stay."""
    watched.file.unlink()

    assert watched.printed("the previous rules stay in effect")
    assert "90" == watched.submit()["charged"]


def test_the_whole_chain_is_watched(watched: Watched) -> None:
    """So is a file that an edit brings in, even while it is broken."""
    base = watched.file.with_name("base.yaml")
    base.write_text("extends: vicsee/baseline\nrefnd: {}\n", "utf-8")
    text = "extends: base.yaml\nsummary: As the file below says.\n"
    watched.file.write_text(text, "utf-8")
    told = watched.printed("base.yaml:2:1: refnd: unknown key; did you mean refund?")
    base.write_text(TEXT.format(base="vicsee/baseline", rate="40"), "utf-8")
    mended = watched.charged("360")
    base.write_text(TEXT.format(base="vicsee/baseline", rate="50"), "utf-8")

    assert (True, True) == (told, mended)
    assert watched.charged("450")


FAILING = """extends: {provider}/baseline
faults:
  - {{at: before_accept, do: {{respond: 500}}}}
clock: auto
"""


def test_an_edit_before_the_first_request(watched: Watched) -> None:
    """What changes is printed, and what needs a reset by its key, though nobody has asked yet."""
    watched.file.write_text(FAILING.format(provider="vicsee"), "utf-8")
    told = watched.printed("clock waits for a reset of the sandbox, or a restart")
    text = watched.log.read_text("utf-8")

    assert (True, True) == (told, f"scenario {watched.file} reloaded\n  vicsee has" in text)
    assert ", faults" in text
    assert 500 == watched.answer("vicsee/api/v1/tools/upscale-video").status_code


def test_another_provider_after_a_breakage(watched: Watched) -> None:
    """A mended file that is of another provider tells of both, used or not."""
    watched.file.write_text("extends: vicsee/basline\n", "utf-8")
    broken = watched.printed("did you mean vicsee/baseline")
    watched.file.write_text(FAILING.format(provider="wavespeed"), "utf-8")
    told = watched.printed("wavespeed has new rules (")
    path = "wavespeed/api/v3/wavespeed-ai/video-upscaler"

    assert (True, True) == (broken, told)
    assert "vicsee has new rules (" in watched.log.read_text("utf-8")
    assert 500 == watched.answer(path).status_code


def test_a_comment(watched: Watched) -> None:
    """An edit that changes nothing is told of, too."""
    with watched.file.open("a", encoding="utf-8") as file:
        file.write("# Nothing.\n")

    assert watched.printed("reloaded: nothing in it has changed")
