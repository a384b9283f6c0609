"""How a request finds its provider, dialect, sandbox and account, and which URLs answers hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.http.conftest import LOCAL, SAMPLES, refusal_of
from upsim.app import App
from upsim.core.baseline import BaselineError
from upsim.engine.settings import ServerSettings
from upsim.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.http.conftest import Admin, Sample, Start

CLIP = f"{LOCAL}/media/synthetic/320x180_10fps_2s.mp4"
BOTH = pytest.mark.parametrize("name", list(SAMPLES))
CREDITS = "/api/v1/credits"


# -- sandboxes and keys


@BOTH
def test_an_issued_key_leads_to_its_sandbox(admin: Admin, name: str) -> None:
    """A job that is submitted with an issued key is created in the key's sandbox."""
    sample = SAMPLES[name]
    box = admin.sandbox(id="box")
    job = sample.job(admin.caller(sample.provider, box["keys"][sample.provider]), CLIP)
    found = [job["id"] for job in admin.get("sandboxes/box/jobs")["jobs"]]
    assert (found, admin.get("sandboxes/default/jobs")["total"]) == ([job], 0)


@BOTH
def test_a_job_of_another_sandbox_is_unknown(admin: Admin, name: str) -> None:
    """A poll for a job of another sandbox gets the response for an unknown job."""
    sample = SAMPLES[name]
    keys = [admin.sandbox()["keys"][sample.provider] for _ in range(2)]
    job = sample.job(admin.caller(sample.provider, keys[0]), CLIP)
    other = admin.caller(sample.provider, keys[1])
    unknown = "0" * len(job) if "-" not in job else "00000000-0000-4000-8000-000000000000"
    expected = sample.status(other, unknown)
    found = sample.status(other, job)
    assert (expected.status_code, expected.text) == (found.status_code, found.text)
    assert found.status_code in (400, 404)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("video-upscaler", 404),
        ("upscale-v1", 404),
        ("venice", 400),
        ("piapi", 404),
        ("vicsee", 403),
    ],
)
def test_a_job_of_another_account_is_refused(admin: Admin, name: str, status: int) -> None:
    """A poll for a job of another account in the same sandbox gets the provider's refusal."""
    sample = SAMPLES[name]
    job = sample.job(admin.caller(sample.provider, "key-a"), CLIP)
    assert sample.status(admin.caller(sample.provider, "key-b"), job).status_code == status


@BOTH
def test_every_key_has_its_own_account_in_the_default_sandbox(admin: Admin, name: str) -> None:
    """In the default sandbox any key works, and each key has its own account."""
    sample = SAMPLES[name]
    for key in ("key-a", "key-b", "key-a"):
        sample.job(admin.caller(sample.provider, key), CLIP)
    accounts = admin.get("sandboxes/default/accounts")["accounts"]
    assert [account["entries"] for account in accounts] == [2, 1]


@BOTH
def test_equal_seeds_give_equal_ids(admin: Admin, name: str) -> None:
    """Two sandboxes with the same seed give the same id to the job of the same request."""
    sample = SAMPLES[name]
    boxes = [admin.sandbox(seed=5)["keys"][sample.provider] for _ in range(2)]
    jobs = [sample.job(admin.caller(sample.provider, key), CLIP) for key in boxes]
    assert jobs[0] == jobs[1]


@BOTH
def test_outputs_with_equal_ids_do_not_collide(admin: Admin, name: str) -> None:
    """If jobs in two sandboxes have the same id, each job has its own output."""
    sample = SAMPLES[name]
    urls: list[str] = []
    for box in ("a", "b"):
        key = admin.sandbox(id=box, seed=5)["keys"][sample.provider]
        http = admin.caller(sample.provider, key)
        job = sample.job(http, f"{LOCAL}/media/synthetic/320x180_10fps_{2 + len(urls)}s.mp4")
        admin.post(f"sandboxes/{box}/clock/advance", {"seconds": 2000})
        urls.append(sample.output(http, job))
    assert urls == [f"{LOCAL}/sandbox/{box}/media/outputs/{job}.mp4" for box in ("a", "b")]
    assert len({len(admin.http.get(url).content) for url in urls}) == 2


@BOTH
def test_strict_keys_refuse_an_unissued_key(start_admin: Start, name: str) -> None:
    """With strict keys, a key that was not issued gets the provider's own 401."""
    admin = start_admin(strict_keys=True)
    sample = SAMPLES[name]
    answer = sample.submit(admin.caller(sample.provider, "sk-unknown"), CLIP)
    assert answer.status_code == 401


@BOTH
def test_strict_keys_accept_an_issued_key(start_admin: Start, name: str) -> None:
    """With strict keys, an issued key of the default sandbox works."""
    admin = start_admin(strict_keys=True)
    sample = SAMPLES[name]
    key = admin.post(f"sandboxes/default/accounts/{sample.provider}/keys")["key"]
    assert sample.submit(admin.caller(sample.provider, key), CLIP).is_success


def test_strict_keys_of_one_sandbox_do_not_affect_the_default_sandbox(admin: Admin) -> None:
    """An unknown key belongs to the default sandbox, even if another sandbox has strict keys."""
    admin.sandbox(id="box", strict_keys=True)
    assert admin.vicsee("sk-anybody").get(CREDITS).status_code == 200


def test_a_sandbox_in_the_path_accepts_only_its_keys(admin: Admin) -> None:
    """Below `/sandbox/<id>/` only the keys of that sandbox are accepted."""
    key = admin.sandbox(id="box")["keys"]["vicsee"]
    base = f"{LOCAL}/sandbox/box"
    statuses = [admin.vicsee(k, base=base).get(CREDITS).status_code for k in (key, "sk-other")]
    assert statuses == [200, 401]


def test_a_key_of_another_sandbox_is_unknown_in_the_path(admin: Admin) -> None:
    """If the path names one sandbox and the key belongs to another, the request gets a 401."""
    admin.sandbox(id="box")
    other = admin.sandbox(id="other")["keys"]["vicsee"]
    answer = admin.vicsee(other, base=f"{LOCAL}/sandbox/box").get(CREDITS)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "INVALID_API_KEY")


def test_the_default_sandbox_in_the_path_accepts_only_issued_keys(admin: Admin) -> None:
    """Below `/sandbox/default/` a key that was not issued gets a 401."""
    answer = admin.vicsee("sk-any", base=f"{LOCAL}/sandbox/default").get(CREDITS)
    assert answer.status_code == 401


def test_a_key_is_valid_for_one_provider(admin: Admin) -> None:
    """A key of Venice does not lead a VicSee request to the key's sandbox."""
    box = admin.sandbox(id="box", keys={"vicsee": "same", "venice": "other"})
    admin.caller("vicsee", box["keys"]["venice"]).get(CREDITS)
    shown = [admin.get(f"sandboxes/{name}")["accounts"] for name in ("box", "default")]
    assert shown == [0, 1]


@pytest.mark.parametrize("sandbox", ["nobody", "", "%2e%2e", "x" * 5000, "%00", "%FF", "DEFAULT"])
@pytest.mark.parametrize("path", ["/vicsee/api/v1/credits", "/media/synthetic/16x16_1fps_1s.mp4"])
def test_an_unknown_sandbox_in_the_path_is_a_404(admin: Admin, sandbox: str, path: str) -> None:
    """A path with an unknown sandbox gets a 404 `unknown_sandbox`, also for files."""
    answer = admin.http.get(f"/sandbox/{sandbox}{path}")
    status, code, message = refusal_of(answer)
    assert (404, "unknown_sandbox", True) == (status, code, len(message) < 500)


@pytest.mark.parametrize("path", ["nonsense", "", "__sim/livez", "__sim/sandboxes", "sandbox/x/y"])
def test_only_providers_and_files_are_below_a_sandbox(admin: Admin, path: str) -> None:
    """Below `/sandbox/<id>/`, any path that is no provider and no file gets a 404."""
    admin.sandbox(id="box")
    found = refusal_of(admin.http.get(f"/sandbox/box/{path}"))
    assert found == (404, "not_found", "/sandbox/box/ serves only providers and /media/")


@pytest.mark.parametrize("path", ["/sandbox", "/media", "/nonsense", "/Vicsee/api/v1/credits"])
def test_other_paths_are_404(admin: Admin, path: str) -> None:
    """A path without a provider gets a 404 in the server's own error format."""
    assert refusal_of(admin.http.get(path))[:2] == (404, "not_found")


# -- dialects and knobs


def first_status(http: httpx.Client) -> str:
    """Return the status of a submit: it differs between the dialects of VicSee."""
    answer = SAMPLES["vicsee"].submit(http, CLIP)
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["data"]["status"]
    return found


def scenario(folder: Path, **content: object) -> str:
    """Write a scenario of VicSee and return its path."""
    path = folder / "scenario.yaml"
    path.write_text(json.dumps({"extends": "vicsee/baseline", **content}), "utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("path", "box", "file", "option", "status"),
    [
        ("", None, None, None, "pending"),
        ("", None, None, "live", "processing"),
        ("", None, "guide", "live", "pending"),
        ("", None, "live", None, "processing"),
        ("", "guide", "live", "live", "pending"),
        ("", "live", "guide", "guide", "processing"),
        ("/guide", "live", "live", "live", "pending"),
        ("/live", "guide", "guide", "guide", "processing"),
    ],
)
def test_the_most_specific_choice_of_a_dialect_wins(
    start_admin: Start,
    tmp_path: Path,
    *,
    path: str,
    box: str | None,
    file: str | None,
    option: str | None,
    status: str,
) -> None:
    """A dialect in the path wins over one of the sandbox, the scenario or the server option.

    The sandbox wins over the scenario, and the scenario wins over the server option.
    """
    named = scenario(tmp_path, dialect=file) if file else None
    admin = start_admin(scenario=named, dialect=option)
    made = admin.sandbox(dialects={"vicsee": box} if box else {})
    http = admin.caller(f"vicsee{path}".partition("/")[0], made["keys"]["vicsee"])
    http.base_url = f"{LOCAL}/vicsee{path}"
    assert first_status(http) == status


def test_a_dialect_option_applies_only_to_providers_that_have_it(start_admin: Start) -> None:
    """If only one provider has the option's dialect, the other providers use their default."""
    admin = start_admin(dialect="auto")
    assert first_status(admin.vicsee()) == "pending"


def test_an_unknown_dialect_option_is_refused(start_admin: Start) -> None:
    """If no provider has the dialect of the server option, the start fails with `BaselineError`."""
    with pytest.raises(BaselineError, match="no provider has a dialect 'slang'; allowed: guide"):
        start_admin(dialect="slang")


@pytest.mark.parametrize("dialect", ["slang", "GUIDE", "auto"])
def test_an_unknown_dialect_in_the_path_is_an_unknown_path(admin: Admin, dialect: str) -> None:
    """A path segment that is no dialect of the provider leads to the provider's 404."""
    answer = admin.vicsee().get(f"/{dialect}{CREDITS}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


def test_a_knob_of_a_sandbox_applies_only_to_this_sandbox(admin: Admin) -> None:
    """A knob of one sandbox wins over the dialect there, and does not affect other sandboxes."""
    made = admin.sandbox(knobs={"vicsee": {"initial_status": "processing"}})
    keys = (made["keys"]["vicsee"], "sk-any")
    assert [first_status(admin.vicsee(key)) for key in keys] == ["processing", "pending"]


def test_a_knob_wins_over_the_dialect_of_the_path(admin: Admin) -> None:
    """A knob of a sandbox wins over the dialect in the path."""
    made = admin.sandbox(knobs={"vicsee": {"initial_status": "pending"}})
    http = admin.vicsee(made["keys"]["vicsee"])
    http.base_url = f"{LOCAL}/vicsee/live"
    assert first_status(http) == "pending"


def test_a_knob_of_a_sandbox_wins_over_the_scenario(start_admin: Start, tmp_path: Path) -> None:
    """A knob of a sandbox wins over the same knob in the scenario."""
    admin = start_admin(scenario=scenario(tmp_path, knobs={"initial_status": "pending"}))
    made = admin.sandbox(knobs={"vicsee": {"initial_status": "processing"}})
    assert first_status(admin.vicsee(made["keys"]["vicsee"])) == "processing"


# -- host names

HOSTS = {
    "video-upscaler": ["api.wavespeed.ai"],
    "venice": ["api.venice.ai"],
    "piapi": ["api.piapi.ai", "upload.theapi.app"],
    "vicsee": ["vicsee.com"],
}


@pytest.mark.parametrize(
    ("name", "host"), [(name, host) for name, hosts in HOSTS.items() for host in hosts]
)
@pytest.mark.parametrize("form", ["{}", "{}:443", "{}:4747", "{}."])
def test_a_provider_host_name_needs_no_prefix(
    admin: Admin, name: str, host: str, form: str
) -> None:
    """A request to a provider's own host name works without the provider's prefix."""
    sample = SAMPLES[name]
    http = admin.caller(sample.provider, "key")
    http.base_url = LOCAL
    http.headers["host"] = form.format(host)
    assert sample.submit(http, "https://clips.example/v.mp4").is_success


@pytest.mark.parametrize("host", ["API.Venice.AI", "api.venice.ai:80"])
def test_host_names_are_case_insensitive(admin: Admin, host: str) -> None:
    """A provider's host name works in capital letters too."""
    assert admin.http.get("/api/v1/models", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["venice.ai", "xapi.venice.ai", "api.venice.ai.example"])
def test_a_similar_host_name_is_no_provider(admin: Admin, host: str) -> None:
    """A host name that only resembles a provider's does not reach the provider."""
    assert admin.http.get("/api/v1/models", headers={"host": host}).status_code == 401


@pytest.mark.parametrize("path", ["/", "/x", "/media", "/sandbox"])
def test_an_unknown_path_of_a_provider_host_gets_the_provider_404(admin: Admin, path: str) -> None:
    """An unknown path under a provider's host name gets that provider's own 404."""
    answer = admin.http.get(path, headers={"host": "vicsee.com"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


def test_the_admin_api_needs_a_token_under_a_provider_host(admin: Admin) -> None:
    """Under a provider's host name, an admin request without a token gets a 401."""
    assert admin.http.get("/__sim/sandboxes", headers={"host": "vicsee.com"}).status_code == 401


# -- absolute URLs


def finished(admin: Admin, sample: Sample, http: httpx.Client, box: str = "default") -> str:
    """Let a job end and return the URL of its file."""
    job = sample.job(http, "https://clips.example/v.mp4")
    admin.post(f"sandboxes/{box}/clock/advance", {"seconds": 2000})
    return sample.output(http, job).replace(job, "JOB")


@BOTH
@pytest.mark.parametrize(
    ("base", "host", "media"),
    [
        ("http://127.0.0.1:4747/{}", None, "http://127.0.0.1:4747/media"),
        ("http://localhost:9/{}", None, "http://localhost:9/media"),
        ("https://sim.example/{}", None, "https://sim.example/media"),
        ("http://[::1]:4747/{}", None, "http://[::1]:4747/media"),
        ("http://127.0.0.1:4747/{}/guide", None, "http://127.0.0.1:4747/media"),
        ("https://127.0.0.1:4747", "HOST", "https://HOST/media"),
    ],
)
def test_output_urls_keep_scheme_and_host(
    admin: Admin, name: str, base: str, host: str | None, media: str
) -> None:
    """The URL of an output has the scheme and the host of the request."""
    sample = SAMPLES[name]
    own = next(iter(admin.sim.registry.library.baseline(sample.provider).baseline.hosts))
    http = admin.caller(sample.provider, "key")
    http.base_url = base.format(sample.provider)
    if host is not None:
        http.headers["host"] = own
    assert finished(admin, sample, http) == f"{media.replace('HOST', own)}/outputs/JOB.mp4"


@BOTH
@pytest.mark.parametrize("in_path", [False, True])
def test_output_urls_name_the_sandbox(admin: Admin, name: str, *, in_path: bool) -> None:
    """The URL of an output contains the sandbox, because a download sends no key."""
    sample = SAMPLES[name]
    key = admin.sandbox(id="box")["keys"][sample.provider]
    base = f"{LOCAL}/sandbox/box" if in_path else LOCAL
    found = finished(admin, sample, admin.caller(sample.provider, key, base=base), "box")
    assert found == f"{LOCAL}/sandbox/box/media/outputs/JOB.mp4"


@pytest.mark.parametrize(
    "base",
    [
        f"{LOCAL}/wavespeed",
        f"{LOCAL}/wavespeed/live",
        f"{LOCAL}/sandbox/box/wavespeed",
        f"{LOCAL}/sandbox/box/wavespeed/live",
        "https://sim.example/wavespeed",
    ],
)
def test_api_urls_in_responses_keep_the_whole_base_url(admin: Admin, base: str) -> None:
    """A URL in a response has the request's scheme, host, sandbox, prefix and dialect.

    The URL works.
    """
    key = admin.sandbox(id="box")["keys"]["wavespeed"]
    http = admin.caller("wavespeed", key)
    http.base_url = base
    record = SAMPLES["video-upscaler"].submit(http, CLIP).json()["data"]
    assert record["urls"]["get"].startswith(f"{base}/api/v3/predictions/{record['id']}")
    assert http.get(record["urls"]["get"]).status_code == 200


@pytest.fixture
def behind_proxy() -> Iterator[App]:
    """A server that is reached under another address than its own."""
    app = App(
        ServerSettings(public_url="https://sim.example/base", clock="manual", admin_token="t")
    )
    yield app
    app.close()


def ask(app: App, method: str, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401
    """Send one request to an application."""
    import asyncio

    run = Transport(app, lambda call: asyncio.run(call()))
    with httpx.Client(transport=run, base_url=LOCAL) as http:
        return http.request(method, path, **more)


def test_a_public_url_is_used_in_responses(behind_proxy: App) -> None:
    """With `--public-url`, the URLs in a provider's response begin with the public URL."""
    answer = ask(
        behind_proxy,
        "POST",
        "/wavespeed/api/v3/wavespeed-ai/video-upscaler",
        headers={"authorization": "Bearer key"},
        json={"video": "https://clips.example/v.mp4"},
    )
    job = answer.json()["data"]
    expected = f"https://sim.example/base/wavespeed/api/v3/predictions/{job['id']}"
    assert job["urls"]["get"].startswith(expected)


def test_a_public_url_is_used_by_the_admin_api(behind_proxy: App) -> None:
    """With `--public-url`, the base URLs of a new sandbox begin with the public URL."""
    made = ask(behind_proxy, "POST", "/__sim/sandboxes", json={}).json()
    assert made["base_urls"]["vicsee"] == "https://sim.example/base/vicsee"


def test_a_video_below_the_public_url_is_measured(behind_proxy: App) -> None:
    """The server measures a video below its public URL, like any video that it serves."""
    answer = ask(
        behind_proxy,
        "POST",
        "/vicsee/api/v1/tools/upscale-video",
        headers={"authorization": "Bearer sk-key"},
        json={"video_url": "https://sim.example/base/media/synthetic/320x180_10fps_2s.mp4"},
    )
    assert answer.json()["data"]["input"]["detected_duration"] == "2s"
