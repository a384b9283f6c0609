"""The admin API: jobs, accounts, keys, ledger and journal of a sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from upsim.providers import discover

if TYPE_CHECKING:
    from tests.http.conftest import Admin

BOX = "sandboxes/default"
ACCOUNT = f"{BOX}/accounts/vicsee"
FORMULA = "9 seconds × 16 = 144 credits"


# -- jobs


def test_a_job_is_shown_with_its_timeline(admin: Admin) -> None:
    """A job shows its account, its input, its price, and the time of each state."""
    job = admin.job()
    admin.sim.advance(100)

    shown = admin.get(f"{BOX}/jobs/{job}")

    rules = shown.pop("rules")
    assert rules == admin.sim.registry.library.baseline("vicsee").baseline.digest
    assert shown == {
        "id": job,
        "provider": "vicsee",
        "model": "topaz-video-upscale",
        "account": 1,
        "state": "completed",
        "failure": None,
        "timeline": [
            {"at": "2026-01-01T00:00:00.000000Z", "state": "waiting"},
            {"at": "2026-01-01T00:00:02.000000Z", "state": "processing"},
            {"at": "2026-01-01T00:01:08.500000Z", "state": "completed"},
        ],
        "options": {"upscale_factor": "2"},
        "media": {
            "duration": "8.5",
            "size": "854x480",
            "fps": "30",
            "frames": 255,
            "container": "mp4",
            "audio": True,
            "bytes": 1000000,
        },
        "output": {"size": "1708x960", "audio": True, "substitutes": []},
        "charged": "144",
        "refunded": None,
        "unit": "credit",
        "formula": FORMULA,
        "marks": [],
    }


@pytest.mark.parametrize(
    ("query", "places", "total"),
    [
        ("", [0, 1, 2], 3),
        ("?limit=1", [0], 3),
        ("?offset=1&limit=1", [1], 3),
        ("?offset=9", [], 3),
        ("?limit=0", [], 3),
        ("?state=waiting", [0, 1, 2], 3),
        ("?state=completed", [], 0),
        ("?provider=vicsee", [0, 1, 2], 3),
        ("?provider=venice", [], 0),
    ],
)
def test_jobs_are_listed(admin: Admin, query: str, places: list[int], total: int) -> None:
    """Jobs are listed oldest first, one page at a time, with filters for provider and state."""
    made = [admin.job() for _ in range(3)]
    found = admin.get(f"{BOX}/jobs{query}")
    expected = ([made[place] for place in places], total)
    assert expected == ([job["id"] for job in found["jobs"]], found["total"])


PAGED = [
    ("jobs", "offset", 10**9),
    ("jobs", "limit", 1000),
    ("ledger", "offset", 10**9),
    ("ledger", "limit", 10_000),
    ("journal", "since", 10**12),
    ("journal", "limit", 1000),
]


@pytest.mark.parametrize(("path", "name", "most"), PAGED)
@pytest.mark.parametrize(
    "value", ["-1", "x", "", "1.5", "1e3", "٣", "9" * 5000, "0" * 18 + "9" * 20, "%00", " 1", "1 "]
)
def test_pages_have_whole_numbers(
    admin: Admin, path: str, name: str, most: int, value: str
) -> None:
    """A page number that is no whole number is refused, and the error names the bounds."""
    status, code, message = admin.refusal("GET", f"{BOX}/{path}?{name}={value}")
    assert (400, "invalid") == (status, code)
    assert message.endswith(f"is not a number from 0 to {most}")


@pytest.mark.parametrize(("path", "name", "most"), PAGED)
def test_pages_have_bounds(admin: Admin, path: str, name: str, most: int) -> None:
    """The largest allowed page number is accepted, and the next number is refused."""
    statuses = [
        admin.call("GET", f"{BOX}/{path}?{name}={value}").status_code for value in (most, most + 1)
    ]
    assert statuses == [200, 400]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("jobs?provider=vicse", "provider='vicse' is unknown; did you mean vicsee?"),
        ("jobs?state=done", "state='done' is unknown; allowed: waiting, processing, "),
        ("jobs?state=complete", "state='complete' is unknown; did you mean completed?"),
        ("ledger?provider=vicse", "provider='vicse' is unknown; did you mean vicsee?"),
    ],
)
def test_a_misspelt_filter_is_refused(admin: Admin, query: str, message: str) -> None:
    """A filter with a misspelt value gets an error, not an empty list."""
    found = admin.refusal("GET", f"{BOX}/{query}")
    assert found[:2] == (400, "invalid")
    assert found[2].startswith(message)


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("job", ["task_none", "x" * 5000, "%F0%9F%90%9F", "%00", "%FF"])
def test_an_unknown_job_is_refused(admin: Admin, method: str, job: str) -> None:
    """An unknown job gets a 404 with a short message, even if its id is long."""
    path = f"{BOX}/jobs/{job}" + ("/state" if method == "PUT" else "")
    status, code, message = admin.refusal(method, path, {"state": "failed"})
    assert (status, code, len(message) < 500) == (404, "unknown_job", True)


@pytest.mark.parametrize("state", ["processing", "completed", "failed", "cancelled", "timeout"])
def test_a_job_is_forced(admin: Admin, state: str) -> None:
    """An admin request can move a waiting job into any later state."""
    job = admin.job()
    assert admin.put(f"{BOX}/jobs/{job}/state", {"state": state})["state"] == state


def test_a_forced_failure_has_the_named_error(admin: Admin) -> None:
    """A forced failure has the named catalogue error, and the charge is refunded."""
    job = admin.job()
    shown = admin.put(f"{BOX}/jobs/{job}/state", {"state": "failed", "error": "timeout"})
    failure = {"name": "timeout", "code": "GENERATION_FAILED", "message": "Generation timed out"}
    assert (shown["failure"], shown["refunded"]) == (failure, "144")


def test_a_forced_job_leaves_its_plan(admin: Admin) -> None:
    """The planned states of a job do not happen after the job was forced into another state."""
    job = admin.job()
    admin.put(f"{BOX}/jobs/{job}/state", {"state": "processing"})
    admin.sim.advance(10_000)
    assert admin.get(f"{BOX}/jobs/{job}")["state"] == "processing"


@pytest.mark.parametrize(
    ("body", "status", "code", "message"),
    [
        ({}, 400, "invalid", "missing required field `state`"),
        ({"state": 1}, 400, "invalid", "state: found"),
        ({"state": "fialed"}, 400, "invalid", "state 'fialed' is unknown; did you mean failed?"),
        ({"state": "done"}, 400, "invalid", "allowed: waiting, processing, completed, failed"),
        ({"state": "failed", "error": "timeuot"}, 400, "invalid", "did you mean timeout?"),
        ({"state": "failed", "error": "x"}, 400, "invalid", "allowed: generation_failed, cancel"),
        ({"state": "completed", "error": "timeout"}, 400, "invalid", "completed has no error"),
        ({"state": "waiting"}, 409, "illegal_move", "it cannot become waiting"),
        ({"state": "failed", "erorr": "x"}, 400, "invalid", "did you mean error?"),
    ],
)
def test_an_impossible_force_is_refused(
    admin: Admin, body: dict[str, object], status: int, code: str, message: str
) -> None:
    """An unknown state, an unknown error and an illegal move are refused."""
    found = admin.refusal("PUT", f"{BOX}/jobs/{admin.job()}/state", body)
    assert (status, code) == found[:2]
    assert message in found[2]


@pytest.mark.parametrize("state", ["waiting", "processing", "completed", "failed", "timeout"])
def test_an_ended_job_can_only_be_deleted(admin: Admin, state: str) -> None:
    """A finished job cannot be forced into another state, but it can be deleted."""
    path = f"{BOX}/jobs/{admin.job()}/state"
    admin.put(path, {"state": "cancelled"})
    assert admin.refusal("PUT", path, {"state": state})[:2] == (409, "illegal_move")


# -- accounts and keys


def test_accounts_are_shown(admin: Admin) -> None:
    """An account shows its opening balance, its present balance, and its unfinished jobs."""
    admin.job()
    assert admin.get(f"{BOX}/accounts") == {
        "accounts": [
            {
                "account": 1,
                "name": "vicsee-1",
                "provider": "vicsee",
                "plan": "unlimited",
                "unit": "credit",
                "opening": "100000000",
                "balance": "99999856",
                "entries": 1,
                "running": 1,
                "queued": 0,
            }
        ],
        "total": 1,
    }


@pytest.mark.parametrize(
    ("balance", "kind"), [("100", "adjustment"), (300000000, "top_up"), ("99999856", None)]
)
def test_a_balance_is_set_by_one_entry(admin: Admin, balance: str, kind: str | None) -> None:
    """Setting a balance adds one ledger entry, or none if the balance is the same."""
    admin.job()
    shown = admin.put(ACCOUNT, {"balance": balance})
    kinds = [entry["kind"] for entry in admin.get(f"{BOX}/ledger")["entries"]]
    expected = (str(balance), ["charge"] + ([kind] if kind else []))
    assert expected == (shown["balance"], kinds)


def test_exact_amounts_stay_exact(admin: Admin) -> None:
    """A large balance keeps its twelve decimal places."""
    admin.sandbox(id="box")
    path = "sandboxes/box/accounts/venice"
    shown = admin.put(path, {"balance": "999999999999999.000000000001"})
    assert shown["balance"] == "999999999999999.000000000001"


def test_a_plan_is_set(admin: Admin) -> None:
    """A new plan of an account applies from the next request on."""
    admin.job()
    admin.put(ACCOUNT, {"plan": "free"})
    assert admin.vicsee().get("/api/v1/credits").status_code == 403


def test_the_first_key_decides_the_account(admin: Admin, both_keys: Mapping[str, str]) -> None:
    """Without a number, a change applies to the account of the sandbox's first key."""
    admin.job(both_keys["other"])
    admin.put("sandboxes/box/accounts/vicsee", {"balance": "5"})
    answer = admin.vicsee(both_keys["main"]).get("/api/v1/credits")
    assert answer.json()["data"]["credits"] == 5


def test_another_account_is_named_by_its_number(admin: Admin, both_keys: Mapping[str, str]) -> None:
    """A change applies to the account whose number is given."""
    admin.put("sandboxes/box/accounts/vicsee", {"balance": "5", "account": 1})
    balances = [
        admin.vicsee(key).get("/api/v1/credits").json()["data"]["credits"]
        for key in both_keys.values()
    ]
    assert balances == [100000000, 5]


@pytest.mark.parametrize("count", [2, 12])
def test_default_needs_a_number_for_several_accounts(admin: Admin, count: int) -> None:
    """In `default`, a change needs the number of one of several accounts; each listed one works."""
    for number in range(count):
        admin.caller("piapi", f"key-{number}").get("/account/info")
        admin.vicsee(f"key-{number}").get("/api/v1/credits")
    some = ", ".join(str(2 * number) for number in range(1, min(count, 10) + 1))
    listed = some if count == 2 else f"{some}, … (GET …/accounts lists 12)"

    for body in ({"balance": "5"}, {"plan": "pro"}, {}):
        found = admin.refusal("PUT", ACCOUNT, body)
        message = f"vicsee has several accounts in sandbox 'default'; give account: {listed}"
        assert found == (409, "several_accounts", message)
    assert admin.put(ACCOUNT, {"balance": "5", "account": 4})["balance"] == "5"
    assert [
        shown["account"]
        for shown in admin.get(f"{BOX}/accounts")["accounts"]
        if shown["balance"] == "5"
    ] == [4]


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "message"),
    [
        ("venice", {"balance": "1"}, 409, "no_account", "venice has no account in sandbox"),
        ("vicsee", {"plan": "goold"}, 400, "invalid", "vicsee has no plan 'goold'; allowed: unlim"),
        ("vicsee", {"plan": "profi"}, 400, "invalid", "did you mean pro?"),
        ("vicsee", {"balance": "1,5"}, 400, "invalid", "balance '1,5' is not a decimal number"),
        ("vicsee", {"balance": "Infinity"}, 400, "invalid", "balance 'Infinity'"),
        ("vicsee", {"balance": 10**30}, 400, "invalid", "up to 1000000000000000"),
        ("vicsee", {"balance": 1.5}, 400, "invalid", "balance: found"),
        ("vicsee", {"account": 99}, 404, "unknown_account", "vicsee has no account 99"),
        ("venice", {"account": 1}, 404, "unknown_account", "venice has no account 1"),
        ("vicsee", {"account": 10**300}, 404, "unknown_account", "vicsee has no account 1000"),
        ("vicse", {}, 404, "unknown_provider", "there is no provider 'vicse'; did you mean vic"),
        ("vicsee", {"balanse": "1"}, 400, "invalid", "did you mean balance?"),
    ],
)
def test_an_impossible_change_is_refused(
    admin: Admin, path: str, body: dict[str, object], status: int, code: str, message: str
) -> None:
    """An unknown account, plan or amount is refused, and the error names what is allowed."""
    admin.job()
    found = admin.refusal("PUT", f"{BOX}/accounts/{path}", body)
    assert (status, code) == found[:2]
    assert message in found[2]


def test_a_refused_change_changes_nothing(admin: Admin) -> None:
    """A change with an unknown plan leaves the balance as it was."""
    admin.job()
    admin.refusal("PUT", ACCOUNT, {"balance": "1", "plan": "nothing-like-it"})
    assert admin.get(f"{BOX}/accounts")["accounts"][0]["balance"] == "99999856"


def test_two_keys_of_one_owner_share_an_account(admin: Admin) -> None:
    """Keys of one owner share one account."""
    made = admin.sandbox(id="box")
    more = admin.post("sandboxes/box/accounts/vicsee/keys", {})
    admin.job(made["keys"]["vicsee"])
    shown = admin.vicsee(more["key"]).get("/api/v1/credits").json()["data"]
    assert (shown, more["account"]) == ({"credits": 99999856}, 1)


def test_keys_of_two_owners_have_two_accounts(admin: Admin, both_keys: Mapping[str, str]) -> None:
    """Keys of different owners have separate balances."""
    admin.job(both_keys["main"])
    shown = admin.vicsee(both_keys["other"]).get("/api/v1/credits").json()["data"]
    assert shown == {"credits": 100000000}


def test_a_key_can_be_issued_twice_to_its_owner(admin: Admin) -> None:
    """Issuing the same key to the same owner twice is accepted."""
    path = f"{BOX}/accounts/vicsee/keys"
    keys = [admin.post(path, {"key": "sk-mine"})["key"] for _ in range(2)]
    assert keys == ["sk-mine", "sk-mine"]


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "message"),
    [
        ("vicsee", {"key": "sk-taken"}, 409, "refused", "already belongs to sandbox 'box'"),
        ("vicsee", {"key": ""}, 400, "refused", "a vicsee key is 1 to 512 visible ASCII"),
        ("vicsee", {"key": "a b"}, 400, "refused", "visible ASCII characters without spaces"),
        ("vicsee", {"key": "x" * 513}, 400, "refused", "a vicsee key is 1 to 512 visible"),
        ("vicsee", {"key": 5}, 400, "invalid", "key: found"),
        ("vicsee", {"owner": "x"}, 400, "invalid", "unknown field `owner`"),
        ("nobody", {}, 404, "unknown_provider", "there is no provider 'nobody'; allowed: "),
    ],
)
def test_an_invalid_key_is_refused(
    admin: Admin, path: str, body: dict[str, object], status: int, code: str, message: str
) -> None:
    """A key that no header can carry, and a key of another owner, are refused."""
    admin.sandbox(id="box", keys={"vicsee": "sk-taken"})
    found = admin.refusal("POST", f"{BOX}/accounts/{path}/keys", body)
    assert (status, code) == found[:2]
    assert message in found[2]


def test_a_key_is_not_moved_to_another_account(admin: Admin) -> None:
    """A key that is in use keeps its account."""
    made = admin.sandbox(id="box")
    body = {"key": made["keys"]["vicsee"], "account": "other"}
    found = admin.refusal("POST", "sandboxes/box/accounts/vicsee/keys", body)
    assert found[:2] == (409, "refused")


@pytest.mark.parametrize("provider", list(discover()))
def test_every_provider_issues_keys(admin: Admin, provider: str) -> None:
    """The admin API issues a key for each provider."""
    made = admin.post(f"{BOX}/accounts/{provider}/keys", {})
    assert made["provider"] == provider


# -- ledger


def test_a_ledger_entry_shows_its_formula(admin: Admin) -> None:
    """A ledger entry has job, formula and inputs, and an exact signed amount as a string."""
    job = admin.job()
    assert admin.get(f"{BOX}/ledger?provider=vicsee") == {
        "entries": [
            {
                "number": 1,
                "at": "2026-01-01T00:00:00.000000Z",
                "account": 1,
                "kind": "charge",
                "amount": "-144",
                "unit": "credit",
                "job": job,
                "formula": FORMULA,
                "inputs": {
                    "frame_rate": "30",
                    "frames": "255",
                    "output_height": "960",
                    "seconds": "8.5",
                    "upscale_factor": "2",
                },
            }
        ],
        "total": 1,
    }


@pytest.mark.parametrize(
    ("query", "numbers"),
    [("?limit=2", [1, 2]), ("?offset=2", [3]), ("?offset=1&limit=1", [2]), ("?limit=0", [])],
)
def test_the_ledger_pages(admin: Admin, query: str, numbers: list[int]) -> None:
    """Entries of all accounts are listed by their numbers, one page at a time."""
    for key in ("sk-a", "sk-b", "sk-a"):
        admin.job(key)
    found = admin.get(f"{BOX}/ledger{query}")
    assert (numbers, 3) == ([entry["number"] for entry in found["entries"]], found["total"])


# -- journal


@pytest.fixture
def talk(admin: Admin) -> str:
    """A job that was submitted, a refused submit, and a poll; the job's id."""
    job = admin.job()
    admin.vicsee().post("/api/v1/generate", json={})
    admin.vicsee().get(f"/api/v1/tasks/{job}?verbose=1")
    return job


def test_the_journal_says_what_was_refused_and_why(admin: Admin, talk: str) -> None:
    """The journal entry of a refusal names the catalogue entry and its evidence."""
    assert talk
    found = admin.get(f"{BOX}/journal")["exchanges"][1]
    shown = {name: found[name] for name in ("operation", "status", "refused_by", "evidence")}
    assert shown == {
        "operation": "generate",
        "status": 400,
        "refused_by": "missing_model",
        "evidence": {
            "grade": "documented",
            "source": "https://vicsee.com/docs/api/errors",
            "date": "2026-11-01",
        },
    }


def test_the_journal_shows_request_and_response(admin: Admin, talk: str) -> None:
    """The journal shows both bodies with their sizes, and hides the key."""
    found = admin.get(f"{BOX}/journal")
    request = found["exchanges"][0]["request"]
    text = '{"video_url":"https://clips.example/8.mp4"}'
    assert request == {"size": len(text), "truncated": False, "text": text}
    assert ("sk-any" in str(found), talk in found["exchanges"][0]["answer"]["text"]) == (
        False,
        True,
    )


def test_long_bodies_are_cut(admin: Admin) -> None:
    """The journal keeps a long body up to a size, and marks it as cut."""
    admin.vicsee().post("/api/v1/generate", content=b'"' + b"x" * 50_000 + b'"')
    request = admin.get(f"{BOX}/journal")["exchanges"][0]["request"]
    assert (request["size"], request["truncated"], len(request["text"])) == (50_002, True, 16_384)


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [1, 2, 3]),
        ("?since=1", [2, 3]),
        ("?since=3", []),
        ("?limit=2", [2, 3]),
        ("?limit=0", []),
        ("?since=1&limit=1", [2]),
        ("?since=0&limit=1", [1]),
    ],
)
def test_the_journal_pages(admin: Admin, talk: str, query: str, numbers: list[int]) -> None:
    """The journal returns the newest requests; after a number, the oldest of the later ones."""
    assert talk
    found = admin.get(f"{BOX}/journal{query}")
    expected = (numbers, 3, 3)
    shown = [exchange["number"] for exchange in found["exchanges"]]
    assert expected == (shown, found["kept"], found["total"])


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({}, [1, 2, 3]),
        ({"provider": "vicsee"}, [1, 2, 3]),
        ({"provider": "venice"}, []),
        ({"operation": "generate"}, [2]),
        ({"method": "GET"}, [3]),
        ({"status": 400}, [2]),
        ({"status": 200, "method": "POST"}, [1]),
        ({"refused_by": "missing_model"}, [2]),
        ({"job": "JOB"}, [1, 3]),
        ({"target": "*/tasks/*"}, [3]),
        ({"target": "*verbose=1"}, [3]),
        ({"target": "[!/]*"}, []),
        ({"target": "*[*"}, []),
        ({"since": 2}, [3]),
        ({"since": 10**40}, []),
    ],
)
def test_the_journal_is_searched(
    admin: Admin, talk: str, query: dict[str, Any], numbers: list[int]
) -> None:
    """All conditions of a search must match, `target` is a pattern, and count agrees with find."""
    asked = {name: talk if value == "JOB" else value for name, value in query.items()}
    found = [item["number"] for item in admin.post(f"{BOX}/journal/find", asked)["exchanges"]]
    counted = admin.post(f"{BOX}/journal/count", asked)
    assert (numbers, {"count": len(numbers)}) == (found, counted)


@pytest.mark.parametrize("call", ["find", "count"])
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"status": "200"}, 'status: found the text "200", expected a whole number'),
        ({"statsu": 200}, "did you mean status?"),
        ({"provider": "vicse"}, "provider 'vicse' is unknown; did you mean vicsee?"),
        ({"operation": "genrate"}, "operation 'genrate' is unknown; did you mean generate?"),
        (
            {"provider": "vicsee", "refused_by": "unknwn_key"},
            "refused_by 'unknwn_key' is unknown; did you mean unknown_key?",
        ),
        ({"target": "*" * 1001}, "target has more than 1000 characters"),
        ([], "the body: found a list, expected an object"),
        ("x", "the body: found a text, expected an object"),
        (5, "the body: found a whole number, expected an object"),
    ],
)
def test_a_malformed_search_is_refused(
    admin: Admin, call: str, query: object, message: str
) -> None:
    """A search with a wrong field or type is refused."""
    found = admin.refusal("POST", f"{BOX}/journal/{call}", query)
    assert found[:2] == (400, "invalid")
    assert message in found[2]


def test_signatures_are_hidden_in_the_journal(admin: Admin) -> None:
    """The journal replaces everything that looks like a secret in a URL or a body."""
    body = {"model": "x", "secret": "s3cret", "webhook_secret": "s3cret"}
    admin.vicsee().post("/api/v1/generate?token=s3cret&a=b&sig=s3cret", json=body)
    (found,) = admin.get(f"{BOX}/journal")["exchanges"]
    assert found["target"] == "/api/v1/generate?token=<redacted>&a=b&sig=<redacted>"
    assert ("s3cret" in str(found)) is False
