"""Every bash block of the README and the docs runs as printed, page by page, in one shell."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.conftest import Server, running

ROOT = Path(__file__).parents[2]
ALL_PAGES = [
    "README.md",
    *sorted(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/**/*.md")),
]
BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
REFUSED = re.compile(r"# ([345][0-9]{2})$", re.MULTILINE)
"""How a page says that a call is refused on purpose."""
PRINTED = "http://127.0.0.1:4747"
STATUS_OF_EACH_CALL = """
set -euo pipefail
curl() {
  command curl --silent --show-error --noproxy '*' --write-out '%{stderr}%{http_code} %{url}\\n' \\
    "$@" 2>>"$STATUSES"
}
export STATUSES
upsim() { "$PYTHON" -m upsim "$@"; }
python() { "$PYTHON" "$@"; }
"""
PAGES = [page for page in ALL_PAGES if BLOCK.search((ROOT / page).read_text("utf-8"))]
each_page = pytest.mark.parametrize("page", PAGES)

pytestmark = pytest.mark.xdist_group("how-to")  # each worker would follow all pages once more


@dataclass(frozen=True, slots=True)
class Followed:
    """The result of following a page: exit code, output, and each call's status."""

    code: int
    text: str
    calls: tuple[str, ...]

    @property
    def unsuccessful(self) -> list[str]:
        """The calls that were not answered with success."""
        return [call for call in self.calls if not call.startswith("2")]


def blocks_of(page: str) -> list[str]:
    """Return the bash blocks of a page."""
    return BLOCK.findall((ROOT / page).read_text("utf-8"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server as a reader starts it, on a free port."""
    with running(tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture(scope="module")
def followed(
    server: Server, tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[[str], str]
) -> Mapping[str, Followed]:
    """Return what came of each page, followed in an empty folder."""
    for tool in ("bash", "curl", "base64", "python3"):
        require_tool(tool)
    return {page: follow(page, server, tmp_path_factory.mktemp("page")) for page in PAGES}


def follow(page: str, server: Server, folder: Path) -> Followed:
    """Run the blocks of a page, with the ports that are free here instead of the printed ones."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = "\n".join(blocks_of(page)).replace(PRINTED, server.base_url)
    statuses = folder / "statuses.txt"
    statuses.touch()
    done = subprocess.run(
        ["bash", "-c", STATUS_OF_EACH_CALL + text.replace("8765", str(port))],
        cwd=folder,
        env={**os.environ, "STATUSES": str(statuses), "PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return Followed(done.returncode, done.stdout, tuple(statuses.read_text("utf-8").splitlines()))


@each_page
def test_bash_blocks_succeed(followed: Mapping[str, Followed], page: str) -> None:
    """Every command of the page exits with code 0."""
    assert (0, "") == (followed[page].code, "" if not followed[page].code else followed[page].text)


@each_page
def test_calls_of_a_page_succeed(followed: Mapping[str, Followed], page: str) -> None:
    """Each call of a page succeeds, or is refused where the page says so; no call is missing."""
    text = "\n".join(blocks_of(page))
    printed, refused = text.count("curl "), [call[:3] for call in followed[page].unsuccessful]

    assert (True, REFUSED.findall(text)) == (len(followed[page].calls) >= printed, refused)


def test_readme_is_short() -> None:
    """The README has at most 120 lines, without the generated matrix."""
    before, _, rest = (ROOT / "README.md").read_text("utf-8").partition("<!-- matrix: ")
    after = rest.partition("<!-- end of matrix -->")[2]
    assert len((before + after).splitlines()) <= 120


def test_own_file_is_measured(followed: Mapping[str, Followed]) -> None:
    """The server fetches the file that the page serves on loopback, and returns its length."""
    answers = followed["docs/how-to/your-own-video.md"].text

    assert ["4", "4"] == re.findall(r'"detected_duration":"?(\d+)', answers)


def test_failure_is_refunded(followed: Mapping[str, Followed]) -> None:
    """The page on the admin API shows two charges and one refund, as it says."""
    text = followed["docs/how-to/control-a-sandbox.md"].text
    kinds = re.findall(r'"kind":"(charge|refund)"', text)

    assert ["charge", "charge", "refund"] == kinds


def test_the_faults_page_shows_a_fault(followed: Mapping[str, Followed]) -> None:
    """The page on faults names the fault that fired, and ends with an undocumented status."""
    text = followed["docs/how-to/faults.md"].text

    assert ["f1", "reviewing"] == re.findall(r"(?:^|\})(f1|reviewing)$", text, re.MULTILINE)


def test_the_webhooks_page_checks_signatures(followed: Mapping[str, Followed]) -> None:
    """The page on webhooks accepts a valid signature and rejects the signature of a fault."""
    text = followed["docs/how-to/webhooks.md"].text

    found = re.findall(r"(good|bad)$", text, re.MULTILINE)
    assert ["good", "good", "good", "bad"] == found


def test_scenarios_of_a_page_exist() -> None:
    """Each scenario in a table of the pages on faults and webhooks exists."""
    tables = [
        row.rpartition(" | ")[2]
        for page in ("faults", "webhooks")
        for row in (ROOT / f"docs/how-to/{page}.md").read_text("utf-8").splitlines()
        if row.startswith("| ")
    ]
    named = set(re.findall(r"`([a-z0-9-]+-[a-z0-9-]+)`", "\n".join(tables)))
    shipped = {path.stem for path in ROOT.glob("scenarios/*/*.yaml")}

    assert len(named) > 15
    assert set() == named - shipped


def test_the_admin_page_explains_a_refusal(followed: Mapping[str, Followed]) -> None:
    """The page on the admin API shows the compared values and finds the refused request again."""
    text = followed["docs/how-to/control-a-sandbox.md"].text

    assert "'compared': {'max': '60', 'found': '61.5'}" in text
    assert "\n1\n" in text


def test_the_admin_page_follows_events(followed: Mapping[str, Followed]) -> None:
    """The page on the admin API shows the events of a job in the order in which they happen."""
    text = followed["docs/how-to/control-a-sandbox.md"].text
    told = re.findall(r"event: ([a-z.]+)$", text, re.MULTILINE)

    assert ["job.accepted", "ledger.entry", "job.moved", "job.moved"] == told


def test_session_replays(followed: Mapping[str, Followed]) -> None:
    """The page on bugs ends with an identical replay and a test that passes."""
    text = followed["docs/how-to/reproduce-a-bug.md"].text

    assert ("none differ" in text, "1 passed" in text) == (True, True)


@pytest.mark.parametrize(("dialect", "audio"), [("in the path", False), ("with a knob", True)])
def test_live_venice_drops_sound(
    server: Server, followed: Mapping[str, Followed], dialect: str, *, audio: bool
) -> None:
    """The live job has no audio, unless the sandbox's knob keeps it."""
    assert followed["docs/reference/dialects.md"].code == 0
    boxes = [box["id"] for box in server.admin("GET", "sandboxes")["sandboxes"]]
    jobs = {
        "in the path": server.admin("GET", "sandboxes/default/jobs?provider=venice")["jobs"],
        "with a knob": [
            job
            for box in boxes
            if box != "default"
            for job in server.admin("GET", f"sandboxes/{box}/jobs?provider=venice")["jobs"]
        ],
    }

    assert audio in [job["output"]["audio"] for job in jobs[dialect]]


PYTHON = re.compile(r"^```python\n(?!# \w+\.py\n)(.*?)^```$", re.MULTILINE | re.DOTALL)
WITH_PYTHON = [page for page in PAGES if PYTHON.search((ROOT / page).read_text("utf-8"))]


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_python_blocks_run(tmp_path: Path, require_tool: Callable[[str], str], page: str) -> None:
    """The Python blocks of a page run in order, after its bash blocks, on an `auto` clock."""
    require_tool("curl")
    blocks = PYTHON.findall((ROOT / page).read_text("utf-8"))
    with running(tmp_path, "--clock", "auto") as server:
        follow(page, server, tmp_path)
        program = "\n".join(blocks).replace(PRINTED, server.base_url)
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
