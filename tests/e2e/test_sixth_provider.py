"""A sixth provider, brought by another package: found, served and shown without a list of names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from upsim.media.mp4_measuring import measure_boxes

if TYPE_CHECKING:
    from tests.e2e.conftest import Server

ROOT = Path(__file__).parents[2]
FOLDERS = ROOT / "tests" / "fixtures" / "toy_provider"
PARTS = {
    "": "simulator/upsim/providers/toytown",
    "contract": "contracts/upsim_contracts/toytown",
    "scenarios": "scenarios/toytown",
}
"""Where the folders of the provider stand in a package of its own."""
POINTS = """\
[upsim.providers]
toytown = toytown:PROVIDER

[upsim.contract_folders]
toytown = toytown.contract
"""


TRIED = """
import httpx
from hypothesis import HealthCheck, given, settings
from upsim.client import connect
from upsim.kit import ClientMachine, invalid_orders, run_client
from upsim.kit.sandboxes import own_sandbox

FEW = settings(max_examples=20, stateful_step_count=5, database=None, derandomize=True,
               deadline=None, suppress_health_check=list(HealthCheck))
flaws = set()

@FEW
@given(invalid_orders("toytown"))
def tried(order):
    flaws.add(order.flaw)
    request = order.request(box.target.base_url)
    box.http("toytown").request(request.method, request.target, json=request.body)
    assert order.refused_by == box.journal[-1]["refused_by"], order

class Reference(ClientMachine):
    model = "toytown"

    def upscale(self, sandbox, source, options):
        http = httpx.Client(transport=sandbox.wire)
        with connect("toytown", http=http, api_key=sandbox.key("toytown"), seed=1,
                     base_url=sandbox.base_url("toytown"), sleeper=self.sleep) as client:
            return client.upscale(source, self.folder / "out.mp4").path

with own_sandbox() as box:
    tried()
    card = box.report_card
run_client(Reference, settings=FEW)
print(sorted(flaws), "clean" if card.clean else card.text)
"""


@pytest.fixture
def variables(tmp_path: Path) -> Mapping[str, str]:
    """The variables of a Python in which the package is installed."""
    folder = tmp_path / "installed"
    for part, own in PARTS.items():
        shutil.copytree(FOLDERS / own, folder / "toytown" / part, dirs_exist_ok=True)
    about = folder / "toytown-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toytown\nVersion: 1.0\n", "utf-8")
    (about / "entry_points.txt").write_text(POINTS, "utf-8")
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}


@pytest.fixture
def toytown(start_server: Callable[..., Server], variables: Mapping[str, str]) -> Server:
    """Return a server that knows the sixth provider."""
    return start_server("--clock", "manual", **variables)


def call(server: Server, method: str, path: str, body: object = None, key: str = "k") -> Any:  # noqa: ANN401
    """Call the API of the sixth provider."""
    url = f"{server.base_url}/toytown{path}"
    return server.http.request(method, url, json=body, headers={"x-toy": key} if key else {})


def test_a_job_goes_from_submit_to_download(toytown: Server) -> None:
    """Measured, charged, run on the clock, and given as a file of the promised size."""
    answer = call(toytown, "POST", "/upscale", {"clip": toytown.clip("30x20", "10", "2")})
    assert (answer.status_code, answer.json()["coins"]) == (201, "6")
    ticket = answer.json()["ticket"]
    toytown.admin("POST", "sandboxes/default/clock/advance", {"to": "idle"})
    done = call(toytown, "GET", f"/upscale/{ticket}").json()
    media = measure_boxes(toytown.download(done["file"]).content)
    assert media is not None
    assert (done["status"], media.width, media.height, media.frames) == ("played", 90, 60, 20)


@pytest.mark.parametrize(
    ("method", "path", "body", "key", "status", "oops"),
    [
        ("POST", "/upscale", {}, "", 401, "Who are you?"),
        ("POST", "/upscale", {}, "k", 422, "Where is the clip?"),
        ("POST", "/upscale", [], "k", 400, "That is no object."),
        ("POST", "/upscale", {"clip": "https://a.example/v.mp4", "x": 1}, "k", 201, None),
        ("GET", "/upscale/toy-0", None, "k", 404, "No such ticket."),
        ("GET", "/nonsense", None, "k", 404, "There is nothing here."),
        ("DELETE", "/upscale", None, "k", 405, "Not like that."),
    ],
)
def test_it_answers_in_its_own_form(
    toytown: Server,
    *,
    method: str,
    path: str,
    body: object,
    key: str,
    status: int,
    oops: str | None,
) -> None:
    """Refusals are those of the provider's own catalogue."""
    answer = call(toytown, method, path, body, key)
    assert (status, oops) == (answer.status_code, answer.json().get("oops"))


UPSCALE = """
import sys
from upsim.client import connect, sandbox_sleeper
base, token, clip, to = sys.argv[1:]
sleeper = sandbox_sleeper(base, token=token)
with connect(
    "toytown", api_key="k", base_url=f"{base}/toytown", cap=100, sleeper=sleeper
) as client:
    done = client.upscale(clip, to, factor=3)
    print(client.model, done.price, client.quote(clip).price, done.file.bytes > 0)
"""


def test_the_client_speaks_to_it(
    toytown: Server, variables: Mapping[str, str], tmp_path: Path
) -> None:
    """Its adapter is found beside it: quoted by its own rule, capped, waited for, downloaded."""
    clip, to = toytown.clip("30x20", "10", "2"), str(tmp_path / "out.mp4")
    command = [sys.executable, "-c", UPSCALE, toytown.base_url, toytown.admin_token, clip, to]
    done = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    media = measure_boxes(Path(to))
    assert (done.stdout, done.stderr) == ("toytown/toy-upscale 6 coins 90 coins True\n", "")
    assert media is not None
    assert (media.width, media.height) == (90, 60)


def test_the_kit_tries_it(variables: Mapping[str, str]) -> None:
    """Orders follow from its baseline, and the machine runs a client of it."""
    done = subprocess.run(
        [sys.executable, "-c", TRIED],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("['nothing there', 'too long'] clean\n", "") == (done.stdout, done.stderr)


def test_its_files_expire_as_it_says(toytown: Server) -> None:
    """A link lives as long as the baseline of the provider says."""
    clip = toytown.clip("30x20", "10", "2")
    ticket = call(toytown, "POST", "/upscale", {"clip": clip}).json()["ticket"]
    toytown.admin("POST", "sandboxes/default/clock/advance", {"to": "idle"})
    url = call(toytown, "GET", f"/upscale/{ticket}").json()["file"]
    toytown.admin("POST", "sandboxes/default/clock/advance", {"seconds": 86400})
    assert toytown.http.get(url).status_code == 410


def test_sandboxes_have_a_key_and_a_place_for_it(toytown: Server) -> None:
    """A new sandbox issues a key in its form and names its base URL."""
    made = toytown.admin("POST", "sandboxes", {})
    key, url = made["keys"]["toytown"], made["base_urls"]["toytown"]
    assert (key[:4], len(key), url) == ("toy_", 12, f"{toytown.base_url}/toytown")


def test_its_host_name_is_known(toytown: Server) -> None:
    """The provider's own host name needs no prefix."""
    headers = {"host": "api.toytown.example", "x-toy": "k"}
    answer = toytown.http.get(f"{toytown.base_url}/upscale/toy-0", headers=headers)
    assert (answer.status_code, answer.json()) == (404, {"oops": "No such ticket."})


def test_it_is_listed_wherever_providers_are(toytown: Server) -> None:
    """Health, its scenario and the landing page name it."""
    health = toytown.admin("GET", "health")
    page = httpx.get(toytown.base_url, trust_env=False).text
    found = (health["providers"].get("toytown"), "toytown/baseline" in health["scenarios"])
    assert (*found, "Toytown" in page) == ("2026-01-01", True, True)


def test_its_document_is_served(toytown: Server) -> None:
    """The contract folder of its package is found like the provider itself."""
    answer = toytown.http.get(f"{toytown.base_url}/toytown/openapi.json").json()
    servers = [{"url": f"{toytown.base_url}/toytown"}]
    assert (["/upscale", "/upscale/{id}", "/purse"], servers) == (
        list(answer["paths"]),
        answer["servers"],
    )


@pytest.mark.slow
def test_the_contract_suite_judges_it(variables: Mapping[str, str]) -> None:
    """Document, facts, properties and machine of it are tried, by the data of its folder alone."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "contracts",
        "-k",
        "toytown",
        "-v",
        "-p",
        "no:cacheprovider",
    ]
    env = {**os.environ, **variables}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    tried = ("sequences", "fact", "charge_is", "earlier_check", "ended_jobs", "machine")
    passed = [line for line in done.stdout.splitlines() if "PASSED" in line]
    seen = [name for name in tried if any(name in line for line in passed)]
    assert (0, list(tried)) == (done.returncode, seen), done.stdout


def test_a_scenario_can_extend_it(
    start_server: Callable[..., Server], variables: Mapping[str, str], tmp_path: Path
) -> None:
    """A scenario of somebody else's extends its baseline by name."""
    scenario = tmp_path / "poor.yaml"
    accounts = {"toytown": {"balance": "1"}}
    scenario.write_text(json.dumps({"extends": "toytown/baseline", "accounts": accounts}), "utf-8")
    server = start_server("--clock", "manual", "--scenario", str(scenario), **variables)
    answer = call(server, "POST", "/upscale", {"clip": "https://a.example/v.mp4"})
    assert answer.json() == {"oops": "12 coins, you have 1."}


def test_the_doctor_looks_at_it(variables: Mapping[str, str]) -> None:
    """The command line judges its baseline like the others."""
    command = [sys.executable, "-m", "upsim", "doctor"]
    env = {**os.environ, **variables}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, "toytown 2026-01-01" in done.stdout) == (0, True)
