"""A simulator and its admin API in process, and callers that know no provider by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.samples import Place, model_calls, path_of, place_of
from upsim import Simulator
from upsim_contracts.facts.fact_files import CallForm, filled

LOCAL = "http://127.0.0.1:4747"
VICSEE_SUBMIT = "/api/v1/tools/upscale-video"


@dataclass(frozen=True, slots=True)
class Admin:
    """A simulator, and a caller of its admin API who sits at the same machine."""

    sim: Simulator
    http: httpx.Client

    def call(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Call below `/__sim/` with a JSON body, if there is one."""
        return self.http.request(method, f"/__sim/{path}", json=body)

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Return what a GET answers, which must succeed."""
        return self._done(self.call("GET", path))

    def post(self, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Return what a POST answers, which must succeed."""
        return self._done(self.call("POST", path, body))

    def put(self, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        """Return what a PUT answers, which must succeed."""
        return self._done(self.call("PUT", path, body))

    def refusal(self, method: str, path: str, body: object = None) -> tuple[int, str, str]:
        """Return status, code and message of a call that must be refused."""
        return refusal_of(self.call(method, path, body))

    def caller(self, provider: str, key: str, *, base: str = LOCAL) -> httpx.Client:
        """Return a client of a provider's API with this key."""
        auth = self.sim.registry.library.baseline(provider).baseline.auth
        value = f"{auth.scheme} {key}" if auth.scheme else key
        return httpx.Client(
            transport=self.sim.transport(),
            base_url=f"{base}/{provider}",
            headers={auth.header: value},
        )

    def vicsee(self, key: str = "sk-any", *, base: str = LOCAL) -> httpx.Client:
        """Return a client of the provider that the tests of the engine use."""
        return self.caller("vicsee", key, base=base)

    def job(self, key: str = "sk-any", video: str = "https://clips.example/8.mp4") -> str:
        """Submit a video with this key and return the id of the job."""
        answer = self.vicsee(key).post(VICSEE_SUBMIT, json={"video_url": video})
        assert answer.status_code == 200, answer.text
        found: str = answer.json()["data"]["id"]
        return found

    def sandbox(self, **order: object) -> dict[str, Any]:
        """Make a sandbox whose clock moves when told and return what the call answers."""
        made: dict[str, Any] = self.post("sandboxes", {"clock": "manual", **order})
        return made

    def _done(self, answer: httpx.Response) -> Any:  # noqa: ANN401 - JSON
        assert answer.is_success, answer.text
        return answer.json()


def refusal_of(answer: httpx.Response) -> tuple[int, str, str]:
    """Return status, code and message of an answer in the one error shape."""
    body = answer.json()
    assert list(body) == ["error"], body
    assert list(body["error"]) == ["code", "message"], body
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, body["error"]["code"], body["error"]["message"]


Start = Callable[..., Admin]
ScenarioFile = Callable[[Mapping[str, object]], str]


@pytest.fixture(scope="session")
def scenario_file(tmp_path_factory: pytest.TempPathFactory) -> ScenarioFile:
    """Return a function that writes a scenario and returns its path, the same for the same one.

    The simulators of all tests then judge it once.
    """
    folder = tmp_path_factory.mktemp("scenarios")

    def write(document: Mapping[str, object]) -> str:
        text = json.dumps(document)  # every JSON text is YAML
        path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.yaml"
        if not path.exists():
            path.write_text(text, "utf-8")
        return str(path)

    return write


@pytest.fixture
def start_admin() -> Iterator[Start]:
    """Return a function that starts a simulator with these options and its admin API."""
    with ExitStack() as stack:

        def start(**options: Any) -> Admin:  # noqa: ANN401 - options of the simulator
            sim = stack.enter_context(Simulator(**{"clock": "manual", "seed": 1, **options}))
            http = httpx.Client(transport=sim.transport(), base_url=LOCAL)
            return Admin(sim, stack.enter_context(http))

        yield start


@pytest.fixture
def admin(start_admin: Start) -> Admin:
    """Return a simulator whose clock moves when told."""
    return start_admin()


@pytest.fixture
def both_keys(admin: Admin) -> Mapping[str, str]:
    """Return two issued keys of one sandbox: of the account of its first key, and of another."""
    box = admin.sandbox(id="box")
    path = "sandboxes/box/accounts/vicsee/keys"
    other = admin.post(path, {"account": "other"})
    return {"main": box["keys"]["vicsee"], "other": other["key"]}


@dataclass(frozen=True, slots=True)
class Sample:
    """How one model is asked for an upscale and where its answers hold what."""

    provider: str
    model: str
    path: str
    body: Mapping[str, Any]
    video_at: tuple[str, ...]
    id_at: Place
    poll: CallForm
    output_at: Place

    def submit(self, http: httpx.Client, video: str, **inputs: object) -> httpx.Response:
        """Submit a video."""
        body: Any = deepcopy(self.body)
        inner = _at(body, self.video_at[:-1])
        inner.update(inputs)
        inner[self.video_at[-1]] = video
        return http.post(self.path, json=body)

    def job(self, http: httpx.Client, video: str, **inputs: object) -> str:
        """Submit a video that must be accepted, and return the id."""
        answer = self.submit(http, video, **inputs)
        assert answer.is_success, answer.text
        found: str = _at(answer.json(), self.id_at)
        return found

    def status(self, http: httpx.Client, job: str) -> httpx.Response:
        """Ask how a job is."""
        body = filled(self.poll.body, {"job": job})
        return http.request(self.poll.method, self.poll.path.replace("$job", job), json=body)

    def output(self, http: httpx.Client, job: str) -> str:
        """Return the URL of the finished file."""
        answer = self.status(http, job)
        assert answer.status_code == 200, answer.text
        found: str = _at(answer.json(), self.output_at)
        return found


def _at(document: Any, path: tuple[str | int, ...]) -> Any:  # noqa: ANN401 - JSON
    for step in path:
        document = document[step]
    return document


def _samples() -> Iterator[tuple[str, Sample]]:
    """Yield a sample for each model, under the provider's name where it has but one."""
    for made in model_calls():
        alone = len(made.table.book.models) == 1
        yield (
            made.provider if alone else made.model.rpartition("/")[2],
            Sample(
                provider=made.provider,
                model=made.model,
                path=made.call.path,
                body=made.body,
                video_at=place_of(made.body, "$video"),
                id_at=path_of(str(made.call.job)),
                poll=made.poll,
                output_at=made.output_at,
            ),
        )


SAMPLES = dict(_samples())
"""One way to every model, for what holds for all of them."""
