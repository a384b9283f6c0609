"""The snippets of the providers' documents, run for real over a socket.

Every snippet lies verbatim in `documents/`. Only the host, the key and the placeholders are filled
in. What a document itself gets wrong (no video, an empty key) gets that provider's error.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Sandbox, Video

    MakeSandbox = Callable[..., Sandbox]
    Probe = Callable[[str], Video]

DOCUMENTS = Path(__file__).parent / "documents"
HOSTS = {
    "wavespeed": "https://api.wavespeed.ai",
    "venice": "https://api.venice.ai",
    "piapi": "https://api.piapi.ai",
    "vicsee": "https://vicsee.com",
}
# curl is called exactly as printed; its settings file makes it tell the status after each answer.
CURLRC = 'silent\nshow-error\nmax-time = 60\nwrite-out = "\\n%{http_code}\\n"\n'
POLLS = 20


@dataclass(frozen=True, slots=True)
class Answer:
    """What curl got: the status, and the body read as JSON."""

    status: int
    body: Any


@dataclass(frozen=True, slots=True)
class Document:
    """A snippet as it is printed in a provider's document, with its placeholders filled in."""

    text: str
    sandbox: Sandbox
    folder: Path

    def replace(self, old: str, new: str) -> Document:
        """Return the snippet with one more placeholder filled in; it must be there."""
        assert old in self.text, f"the document does not say {old!r}"
        return Document(self.text.replace(old, new), self.sandbox, self.folder)

    def without_line(self, part: str) -> Document:
        """Return the snippet without the lines that contain `part`."""
        assert part in self.text, f"the document does not say {part!r}"
        lines = [line for line in self.text.splitlines() if part not in line]
        return Document("\n".join(lines), self.sandbox, self.folder)

    def part(self, number: int, separator: str) -> Document:
        """Return one part of a snippet that shows several calls."""
        return Document(self.text.split(separator)[number], self.sandbox, self.folder)

    def then(self, other: Document) -> Document:
        """Return this snippet followed by another one, as a reader types them."""
        return Document(f"{self.text}\n{other.text}", self.sandbox, self.folder)

    def curl(self, **variables: str) -> Answer:
        """Run one curl call through bash and return what was answered."""
        output = self.run("bash", "snippet.sh", **variables)
        body, _, status = output.rstrip("\n").rpartition("\n")
        return Answer(int(status), json.loads(body) if body.startswith(("{", "[")) else body)

    def run(self, program: str, name: str, **variables: str) -> str:
        """Run the snippet with a program and return its standard output."""
        (self.folder / ".curlrc").write_text(CURLRC, "utf-8")
        (self.folder / name).write_text(self.text, "utf-8")
        finished = subprocess.run(
            [program, name],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "CURL_HOME": str(self.folder), **variables},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stdout


if TYPE_CHECKING:
    Read = Callable[[str, Sandbox], Document]


@pytest.fixture
def document(tmp_path: Path) -> Read:
    """Return a function that reads a document's snippet, with host and key filled in."""

    def read(name: str, sandbox: Sandbox) -> Document:
        provider = name.partition("/")[0]
        text = (DOCUMENTS / name).read_text("utf-8")
        text = text.replace(HOSTS[provider], sandbox.base_url(provider))
        text = text.replace("YOUR_API_KEY", sandbox.keys[provider])
        return Document(text, sandbox, tmp_path)

    return read


@pytest.fixture(autouse=True)
def _tools(require_tool: Callable[[str], str]) -> None:
    """Skip where bash or curl is missing."""
    require_tool("bash")
    require_tool("curl")


def get(sandbox: Sandbox, provider: str, path: str) -> Any:  # noqa: ANN401 - JSON
    """Read one of a provider's addresses that no snippet shows, with this sandbox's key."""
    key = sandbox.keys[provider]
    headers = {"x-api-key": key} if provider == "piapi" else {"Authorization": f"Bearer {key}"}
    url = f"{sandbox.base_url(provider)}/{path}"
    answer = httpx.get(url, headers=headers, trust_env=False, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def poll(ask: Callable[[], Any], done: Callable[[Any], bool]) -> list[Any]:
    """Ask until done and return every answer; the clock jumps from one to the next."""
    answers = []
    for _ in range(POLLS):
        answers.append(ask())
        if done(answers[-1]):
            return answers
    pytest.fail(f"not done after {POLLS} polls: {answers[-1]}")


# WaveSpeed ---------------------------------------------------------------------------------------

VIDEO_UPSCALER = "wavespeed/video-upscaler.sh"
UPSCALE_V1 = "wavespeed/upscale-v1.sh"
GET_THE_RESULT = "# Get the result"


def with_video(document: Document, url: str) -> Document:
    """Add the `video` that both of WaveSpeed's snippets lack."""
    if "--data-raw '{}'" in document.text:
        return document.replace("--data-raw '{}'", f"""--data-raw '{{"video": "{url}"}}'""")
    return document.replace("--data-raw '{", f"""--data-raw '{{"video": "{url}",""")


def submit(document: Document) -> Answer:
    """Run the first call of a WaveSpeed snippet."""
    sandbox = document.sandbox
    return document.part(0, GET_THE_RESULT).curl(WAVESPEED_API_KEY=sandbox.keys["wavespeed"])


def result(document: Document, request_id: str) -> Answer:
    """Run the second call of a WaveSpeed snippet."""
    key = document.sandbox.keys["wavespeed"]
    call = document.part(1, GET_THE_RESULT)
    return call.curl(WAVESPEED_API_KEY=key, requestId=request_id)


@pytest.mark.parametrize("snippet", [VIDEO_UPSCALER, UPSCALE_V1])
def test_wavespeed_snippets_as_printed_lack_the_video(
    snippet: str, sandbox: Sandbox, document: Read
) -> None:
    """Both snippets leave out the required `video`: 400 in the error envelope, nothing charged."""
    answer = submit(document(snippet, sandbox))

    assert answer.status == 400
    assert answer.body["code"] == 400
    assert "video" in answer.body["message"]
    assert "data" not in answer.body
    assert sandbox.charges("wavespeed") == []


@pytest.mark.parametrize(
    ("snippet", "model"),
    [(VIDEO_UPSCALER, "wavespeed-ai/video-upscaler"), (UPSCALE_V1, "runwayml/upscale-v1")],
)
def test_wavespeed_snippets_run_with_a_video(
    snippet: str, model: str, sandbox: Sandbox, document: Read
) -> None:
    """With a video, both snippets submit a task and read it until it is completed."""
    text = with_video(document(snippet, sandbox), "https://example.com/clip.mp4")
    submitted = submit(text)
    data = submitted.body["data"]

    assert submitted.status == 200
    assert submitted.body["code"] == 200
    assert submitted.body["message"] == "success"
    assert data["model"] == model
    assert data["status"] == "created"
    assert data["outputs"] == []
    assert data["error"] == ""

    answers = poll(
        lambda: result(text, data["id"]),
        lambda answer: answer.body["data"]["status"] == "completed",
    )
    last = answers[-1].body["data"]

    assert {answer.status for answer in answers} == {200}
    assert {answer.body["data"]["status"] for answer in answers} <= {
        "created",
        "processing",
        "completed",
    }
    assert last["id"] == data["id"]
    assert len(last["outputs"]) == 1
    assert last["has_nsfw_contents"] == [False]
    assert isinstance(last["timings"]["inference"], int)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", last["created_at"])


def test_wavespeed_output_is_as_the_snippet_asks(
    sandbox: Sandbox, document: Read, probe: Probe
) -> None:
    """The snippet asks for 1080p with copied audio, and gets such a file."""
    text = with_video(
        document(VIDEO_UPSCALER, sandbox), sandbox.server.clip("640x360", "30", "1.5")
    )
    request_id = submit(text).body["data"]["id"]
    answers = poll(
        lambda: result(text, request_id), lambda answer: bool(answer.body["data"]["outputs"])
    )
    video = probe(answers[-1].body["data"]["outputs"][0])

    assert (video.width, video.height) == (1920, 1080)
    assert video.fps == "30/1"
    assert video.audio


@pytest.mark.parametrize(
    ("seconds", "resolution", "price"),
    [
        ("3.2", "1080p", "0.025"),
        ("12", "1080p", "0.06"),
        ("23", "2k", "0.23"),
        ("121", "4k", "2.42"),
    ],
)
def test_wavespeed_video_upscaler_costs_what_its_page_says(
    seconds: str, resolution: str, price: str, sandbox: Sandbox, document: Read
) -> None:
    """The four worked examples of the page: rounded up, at least five seconds, by resolution."""
    clip = sandbox.server.clip("160x90", "10", seconds)
    text = with_video(document(VIDEO_UPSCALER, sandbox), clip).replace("1080p", resolution)

    assert submit(text).status == 200
    assert sandbox.charges("wavespeed") == [Decimal(price)]


@pytest.mark.parametrize(
    ("seconds", "price"),
    [("3", "0.10"), ("15", "0.30"), ("60", "1.20"), ("300", "6.00"), ("600", "12.00")],
)
def test_wavespeed_upscale_v1_costs_what_its_page_says(
    seconds: str, price: str, sandbox: Sandbox, document: Read
) -> None:
    """The five worked examples of the page: rounded down, at least five seconds."""
    clip = sandbox.server.clip("160x90", "10", seconds)

    assert submit(with_video(document(UPSCALE_V1, sandbox), clip)).status == 200
    assert sandbox.charges("wavespeed") == [Decimal(price)]


# Venice ------------------------------------------------------------------------------------------

QUEUE_ID = "abc123-def456-..."
INPUT_VIDEO = "https://example.com/input-video.mp4"


def venice(document: Document) -> Answer:
    """Run one of Venice's curl snippets."""
    return document.curl(VENICE_API_KEY=document.sandbox.keys["venice"])


def test_venice_queue_responds_as_printed(sandbox: Sandbox, document: Read) -> None:
    """The queue snippet gets exactly the two keys that the guide prints."""
    printed = json.loads((DOCUMENTS / "venice/queue-answer.json").read_text("utf-8"))
    answer = venice(document("venice/queue.sh", sandbox))

    assert answer.status == 200
    assert answer.body == {**printed, "queue_id": answer.body["queue_id"]}


def test_venice_curl_snippets_queue_poll_and_complete(
    sandbox: Sandbox, document: Read, probe: Probe
) -> None:
    """A reader of the guide queues, polls until completed, finalises, and has the video."""
    queue_id = venice(document("venice/queue.sh", sandbox)).body["queue_id"]
    poll_once = document("venice/poll.sh", sandbox).replace(QUEUE_ID, queue_id)
    answers = poll(
        lambda: venice(poll_once), lambda answer: answer.body.get("status") == "completed"
    )
    completed = venice(document("venice/complete.sh", sandbox).replace(QUEUE_ID, queue_id))
    video = probe(completed.body["url"])

    assert {answer.status for answer in answers} == {200}
    assert {answer.body["status"] for answer in answers[:-1]} == {"PROCESSING"}
    assert completed.status == 200
    assert completed.body["url"] == answers[-1].body["url"]
    assert (video.width, video.height, video.fps) == (2560, 1440, "30/1")


def test_venice_python_snippets_print_the_url_of_the_video(
    sandbox: Sandbox, document: Read, probe: Probe
) -> None:
    """The Python snippets, one after the other, end with a URL that can be downloaded."""
    program = document("venice/queue.py", sandbox).then(document("venice/poll.py", sandbox))
    printed = program.run(sys.executable, "snippet.py")

    assert_prints_a_video(printed, probe)


def test_venice_javascript_snippets_print_the_url_of_the_video(
    sandbox: Sandbox, document: Read, probe: Probe, require_tool: Callable[[str], str]
) -> None:
    """The Node.js snippets, one after the other, end with a URL that can be downloaded."""
    program = document("venice/queue.mjs", sandbox).then(document("venice/poll.mjs", sandbox))
    printed = program.run(require_tool("node"), "snippet.mjs")

    assert_prints_a_video(printed, probe)


def assert_prints_a_video(printed: str, probe: Probe) -> None:
    """Check the two lines that the guide's programs print."""
    lines = re.fullmatch(r"Queued: (\S+)\nVideo URL: (\S+)\n", printed)

    assert lines, printed

    video = probe(lines[2])

    assert (video.width, video.height) == (2560, 1440)


def test_venice_quote_is_that_of_the_table(sandbox: Sandbox, document: Read) -> None:
    """The quote snippet describes the row "720p, 2x, 10 s" and costs nothing itself."""
    answer = venice(document("venice/quote.sh", sandbox))

    assert answer.status == 200
    assert answer.body == {"quote": 1}
    assert sandbox.charges("venice") == []


@pytest.mark.parametrize(
    ("size", "fps", "factor", "seconds", "price"),
    [
        ("854x480", "30", "2", "10", "0.25"),
        ("1280x720", "30", "2", "10", "1.00"),
        ("1920x1080", "30", "2", "30", "3.00"),
        ("640x360", "24", "4", "10", "1.00"),
        ("854x480", "60", "2", "10", "0.50"),
    ],
)
def test_venice_jobs_cost_what_the_table_says(
    size: str,
    fps: str,
    factor: str,
    seconds: str,
    price: str,
    *,
    sandbox: Sandbox,
    document: Read,
) -> None:
    """The five rows of the guide's table are what the queue snippet charges for such files."""
    text = document("venice/queue.sh", sandbox).replace(
        INPUT_VIDEO, sandbox.server.clip(size, fps, seconds)
    )

    assert venice(text.replace('factor": 2', f'factor": {factor}')).status == 200
    assert sandbox.charges("venice") == [Decimal(price)]


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ('"resolution": "1080p"', "Use upscale_factor instead of resolution"),
        ('"prompt": "sharper"', ""),
    ],
)
def test_venice_refuses_what_the_guide_says_is_not_accepted(
    parameter: str, message: str, sandbox: Sandbox, document: Read
) -> None:
    """`resolution` and `prompt` return an error and cost nothing."""
    text = document("venice/queue.sh", sandbox)
    answer = venice(text.replace('"upscale_factor": 2', f'"upscale_factor": 2,\n    {parameter}'))

    assert answer.status == 400
    assert message in answer.body["error"]
    assert sandbox.charges("venice") == []


def test_venice_ignores_duration(sandbox: Sandbox, document: Read) -> None:
    """The server measures the file: a `duration` in the request changes nothing."""
    text = document("venice/queue.sh", sandbox)
    text = text.replace('"upscale_factor": 2', '"upscale_factor": 2,\n    "duration": "250"')

    assert venice(text).status == 200
    assert sandbox.charges("venice") == [Decimal("1.00")]


def test_venice_says_insufficient_balance(sandbox: Sandbox, document: Read) -> None:
    """An account that cannot pay gets the words of the guide's troubleshooting table."""
    sandbox.set_balance("venice", "0.99")
    answer = venice(document("venice/queue.sh", sandbox))

    assert answer.status == 402
    assert answer.body["error"] == "Insufficient balance"
    assert sandbox.charges("venice") == []


# PiAPI -------------------------------------------------------------------------------------------

CREATE = "piapi/create.sh"


def with_key(document: Document) -> Document:
    """Fill in the key that PiAPI's snippet leaves empty."""
    return document.replace("x-api-key;", f"x-api-key: {document.sandbox.keys['piapi']}")


def piapi_done(sandbox: Sandbox, task_id: str) -> Any:  # noqa: ANN401 - JSON
    """Read a task until it is over and return it."""
    answers = poll(
        lambda: get(sandbox, "piapi", f"api/v1/task/{task_id}"),
        lambda answer: answer["data"]["status"] in {"completed", "failed"},
    )
    return answers[-1]["data"]


def test_piapi_snippet_sends_the_printed_body() -> None:
    """The separately printed request is the one in the page's snippet."""
    snippet = (DOCUMENTS / CREATE).read_text("utf-8")
    printed = json.loads((DOCUMENTS / "piapi/create-request.json").read_text("utf-8"))

    assert json.loads(snippet[snippet.index("{") : snippet.rindex("}") + 1]) == printed


def test_piapi_snippet_as_printed_has_no_key(sandbox: Sandbox, document: Read) -> None:
    """`x-api-key;` makes curl send an empty header, which gets a 401."""
    answer = document(CREATE, sandbox).curl()

    assert answer.status == 401
    assert answer.body["code"] == 401
    assert answer.body["data"] is None


def test_piapi_snippet_with_a_key_has_no_video(sandbox: Sandbox, document: Read) -> None:
    """The literal "string" is neither a URL nor a video, so it gets a 400 without a charge."""
    answer = with_key(document(CREATE, sandbox)).curl()

    assert answer.status == 400
    assert answer.body["code"] == 400
    assert "failed to get valid video" in answer.body["message"]
    assert sandbox.charges("piapi") == []


def test_piapi_snippet_runs_with_a_video(sandbox: Sandbox, document: Read, probe: Probe) -> None:
    """With a video, the task is created with the printed fields, and it succeeds."""
    printed = json.loads((DOCUMENTS / "piapi/create-answer.json").read_text("utf-8"))
    text = with_key(document(CREATE, sandbox))
    answer = text.replace('"video": "string"', '"video": "https://example.com/clip.mp4"').curl()
    done = piapi_done(sandbox, answer.body["task_id"])
    video = probe(done["output"]["video_url"])

    assert answer.status == 200
    assert answer.body.keys() >= printed.keys()
    assert done["status"] == "completed"
    assert (video.width, video.height) == (1280, 720)


def test_piapi_sixty_frames_cost_what_the_page_says(sandbox: Sandbox, document: Read) -> None:
    """A 60-frame video costs 60 × 0.0003 = 0.018 dollars, 180,000 units."""
    text = with_key(document(CREATE, sandbox))
    clip = sandbox.server.clip("640x360", "30", "2")
    answer = text.replace('"video": "string"', f'"video": "{clip}"').curl()

    assert answer.body["data"]["meta"]["usage"]["consume"] == 180_000


@pytest.mark.parametrize(
    ("size", "doubled"),
    [("854x480", (1708, 960)), ("640x360", (1280, 720)), ("1280x720", (2560, 1440))],
)
def test_piapi_doubles_both_sides(
    size: str, doubled: tuple[int, int], sandbox: Sandbox, document: Read, probe: Probe
) -> None:
    """The outputs of the page's three sizes are twice as wide and twice as high."""
    text = with_key(document(CREATE, sandbox))
    clip = sandbox.server.clip(size, "30", "1")
    answer = text.replace('"video": "string"', f'"video": "{clip}"').curl()
    video = probe(piapi_done(sandbox, answer.body["task_id"])["output"]["video_url"])

    assert (video.width, video.height) == doubled


@pytest.mark.parametrize(
    ("clip", "status"),
    [
        ("640x360_30fps_0.3s.mp4", 400),
        ("640x360_30fps_8s.mp4", 200),
        ("640x360_10fps_24.1s.mp4", 400),
        ("1282x720_30fps_1s.mp4", 400),
        ("640x360_30fps_1s.mov", 400),
        ("640x360_30fps_1s.mp4?bytes=10485760", 200),
        ("640x360_30fps_1s.mp4?bytes=10485761", 413),
    ],
    ids=["9-frames", "240-frames", "241-frames", "too-wide", "not-mp4", "10-MB", "over-10-MB"],
)
def test_piapi_keeps_the_limits_of_the_page(
    clip: str, status: int, sandbox: Sandbox, document: Read
) -> None:
    """PiAPI accepts 10 to 240 frames, 1280×720, 10 MB, and MP4; a larger file is a 413."""
    text = with_key(document(CREATE, sandbox))
    url = f"{sandbox.server.base_url}/media/synthetic/{clip}"
    answer = text.replace('"video": "string"', f'"video": "{url}"').curl()

    assert answer.status == status
    assert answer.body["code"] == status


# VicSee ------------------------------------------------------------------------------------------

UPSCALE_VIDEO = "vicsee/upscale-video.sh"
GENERATE = "vicsee/generate.sh"
CLIP = "https://example.com/clip.mp4"


@pytest.mark.parametrize("snippet", [UPSCALE_VIDEO, GENERATE])
def test_vicsee_snippets_get_the_printed_responses(
    snippet: str, make_sandbox: MakeSandbox, document: Read
) -> None:
    """With 1,000 credits, both snippets get the printed responses, except id and time."""
    sandbox = make_sandbox(scenario="vicsee/documented-sample")
    printed = json.loads((DOCUMENTS / snippet.replace(".sh", "-answer.json")).read_text("utf-8"))
    answer = document(snippet, sandbox).curl()
    printed["data"] |= {key: answer.body["data"][key] for key in ("id", "createdAt")}

    assert answer.status == 200
    assert answer.body == printed
    assert re.fullmatch(r"task_[0-9a-z]+", answer.body["data"]["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer.body["data"]["createdAt"])


def test_vicsee_output_is_the_input_times_the_factor(
    sandbox: Sandbox, document: Read, probe: Probe
) -> None:
    """480p at 2x produces 960p."""
    task_id = document(UPSCALE_VIDEO, sandbox).curl().body["data"]["id"]
    answers = poll(
        lambda: get(sandbox, "vicsee", f"api/v1/tasks/{task_id}"),
        lambda answer: answer["data"]["status"] == "completed",
    )
    video = probe(answers[-1]["data"]["result"]["url"])

    assert (video.width, video.height) == (1708, 960)


@pytest.mark.parametrize(
    ("seconds", "factor", "credits_used"),
    [("4.5", "2", 80), ("4.5", "1", 80), ("4.5", "4", 140)],
)
def test_vicsee_costs_what_the_page_says(
    seconds: str, factor: str, credits_used: int, sandbox: Sandbox, document: Read
) -> None:
    """Credits per second times the seconds rounded up: 4.5 s at 2x are 80."""
    clip = sandbox.server.clip("854x480", "30", seconds)
    text = document(UPSCALE_VIDEO, sandbox).replace(CLIP, clip)
    answer = text.replace('factor": "2"', f'factor": "{factor}"').curl()

    assert answer.body["data"]["creditsUsed"] == credits_used
    assert sandbox.charges("vicsee") == [Decimal(credits_used)]


def assert_vicsee_refuses(answer: Answer, status: int, code: str) -> None:
    """Check one row of the page's error table."""
    assert answer.status == status
    assert answer.body["success"] is False
    assert answer.body["error"]["code"] == code


def test_vicsee_needs_a_video_url(sandbox: Sandbox, document: Read) -> None:
    """A submit without `video_url` gets MISSING_VIDEO_URL."""
    text = document(UPSCALE_VIDEO, sandbox).without_line('"video_url"')

    assert_vicsee_refuses(text.curl(), 400, "MISSING_VIDEO_URL")


def test_vicsee_accepts_three_factors(sandbox: Sandbox, document: Read) -> None:
    """A factor other than 1, 2 and 4 gets INVALID_UPSCALE_FACTOR."""
    text = document(UPSCALE_VIDEO, sandbox).replace('factor": "2"', 'factor": "3"')

    assert_vicsee_refuses(text.curl(), 400, "INVALID_UPSCALE_FACTOR")


def test_vicsee_must_be_able_to_read_the_video(sandbox: Sandbox, document: Read) -> None:
    """A URL without a readable video gets PROBE_FAILED."""
    gone = f"{sandbox.server.base_url}/media/uploads/gone/clip.mp4"
    text = document(UPSCALE_VIDEO, sandbox).replace(CLIP, gone)

    assert_vicsee_refuses(text.curl(), 422, "PROBE_FAILED")


def test_vicsee_accepts_sixty_seconds_at_most(sandbox: Sandbox, document: Read) -> None:
    """A video of 60.1 seconds gets VIDEO_TOO_LONG."""
    clip = sandbox.server.clip("854x480", "10", "60.1")
    text = document(UPSCALE_VIDEO, sandbox).replace(CLIP, clip)

    assert_vicsee_refuses(text.curl(), 422, "VIDEO_TOO_LONG")


def test_vicsee_needs_enough_credits(sandbox: Sandbox, document: Read) -> None:
    """An account that lacks one credit gets INSUFFICIENT_CREDITS."""
    sandbox.set_balance("vicsee", "143")

    assert_vicsee_refuses(document(UPSCALE_VIDEO, sandbox).curl(), 402, "INSUFFICIENT_CREDITS")
    assert sandbox.charges("vicsee") == []
