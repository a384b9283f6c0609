"""The admin API: making, showing, resetting and deleting sandboxes."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from upsim.providers import discover
from upsim.scenario.loader import shipped_root

if TYPE_CHECKING:
    from tests.http.conftest import Admin, Start

START = "2026-01-01T00:00:00.000000Z"


def test_a_new_sandbox_shows_what_its_user_needs(admin: Admin) -> None:
    """The response has id, scenario, seed and clock, and a key and a base URL for each provider."""
    made = admin.post("sandboxes", {"id": "mine", "seed": 7, "clock": "auto", "pace": 3})

    shown = {name: made[name] for name in ("id", "scenario", "seed", "clock", "base_urls")}
    expected = {
        "id": "mine",
        "scenario": "baseline",
        "seed": 7,
        "clock": {"mode": "auto", "now": START, "pace": None},
        "base_urls": {name: f"http://127.0.0.1:4747/{name}" for name in discover()},
    }
    assert (expected, set(discover())) == (shown, set(made["keys"]))


def test_a_new_sandbox_is_a_201(admin: Admin) -> None:
    """Creating a sandbox returns the status 201."""
    assert admin.call("POST", "sandboxes", {}).status_code == 201


def test_a_body_may_be_missing(admin: Admin) -> None:
    """A POST without a body makes a sandbox with the settings of the server."""
    assert admin.call("POST", "sandboxes").json()["clock"]["mode"] == "manual"


def test_a_sandbox_without_a_seed_gets_its_own(admin: Admin) -> None:
    """The seed follows from the server's seed and the id: repeatable, and different for each id."""
    made = [admin.post("sandboxes", {"id": name})["seed"] for name in ("one", "two")]
    again = admin.post("sandboxes/one/reset", {})["seed"]

    assert (len({*made, 1}), again) == (3, made[0])


@pytest.mark.parametrize("provider", list(discover()))
def test_the_key_of_a_deleted_sandbox_opens_nothing(admin: Admin, provider: str) -> None:
    """The key of a deleted sandbox does not open an account in `default`."""
    key = admin.sandbox(id="gone")["keys"][provider]
    admin.call("DELETE", "sandboxes/gone")
    header = admin.sim.registry.library.baseline(provider).baseline.auth
    value = f"{header.scheme} {key}".strip()
    headers = {header.header.encode(): value.encode()}
    resolved = admin.sim.registry.resolve(provider, headers, None)

    assert (resolved.credential, resolved.account) == ("unknown", None)


@pytest.mark.parametrize("provider", list(discover()))
def test_issued_keys_have_the_real_form(admin: Admin, provider: str) -> None:
    """A key has the provider's prefix, length and alphabet."""
    key = admin.sandbox()["keys"][provider]

    auth = admin.sim.registry.library.baseline(provider).baseline.auth
    body = key.removeprefix(auth.key_prefix)
    assert key.startswith(auth.key_prefix)
    assert (len(body), set(body) <= set(auth.key_alphabet)) == (auth.key_length, True)


def test_a_sandbox_without_an_id_gets_the_next_free_one(admin: Admin) -> None:
    """A sandbox without an id gets the next free id."""
    admin.sandbox(id="sb1")
    assert admin.sandbox()["id"] == "sb2"


def test_the_list_pages(admin: Admin) -> None:
    """`offset` and `limit` cut the list, and `total` counts all of it."""
    for name in ("a", "b", "c"):
        admin.sandbox(id=name)
    found = admin.get("sandboxes?offset=1&limit=2")
    assert ([box["id"] for box in found["sandboxes"]], found["total"]) == (["a", "b"], 4)


def test_a_sandbox_is_shown(admin: Admin) -> None:
    """A sandbox shows its settings, its clock, and how many jobs and accounts it has."""
    knobs = {"vicsee": {"funds_text": "amounts"}}
    admin.sandbox(id="box", seed=1, strict_keys=True, knobs=knobs)
    shown = admin.get("sandboxes/box")
    assert shown == {
        "id": "box",
        "scenario": "baseline",
        "seed": 1,
        "clock": {"mode": "manual", "now": START, "pace": None},
        "strict_keys": True,
        "dialects": {},
        "knobs": {"vicsee": {"funds_text": "amounts"}},
        "accounts": 0,
        "jobs": 0,
        "requests": 0,
        "deadlines": 0,
    }


def test_a_deleted_sandbox_is_gone(admin: Admin) -> None:
    """A deleted sandbox is unknown afterwards."""
    admin.sandbox(id="box")
    assert admin.call("DELETE", "sandboxes/box").json() == {"deleted": "box", "emptied": False}
    assert admin.refusal("GET", "sandboxes/box")[:2] == (404, "unknown_sandbox")


def test_the_keys_of_a_deleted_sandbox_are_unknown(start_admin: Start) -> None:
    """With strict keys, the keys of a deleted sandbox are unknown."""
    admin = start_admin(strict_keys=True)
    key = admin.sandbox(id="box")["keys"]["vicsee"]
    admin.call("DELETE", "sandboxes/box")
    assert admin.vicsee(key).get("/api/v1/credits").status_code == 401


def test_an_id_can_be_used_again_after_deleting(admin: Admin) -> None:
    """A new sandbox with the id of a deleted one starts empty."""
    key = admin.sandbox(id="box")["keys"]["vicsee"]
    admin.job(key)
    admin.call("DELETE", "sandboxes/box")
    again = admin.sandbox(id="box")
    assert (again["jobs"], again["accounts"], again["requests"]) == (0, 0, 0)


def test_deleting_the_default_sandbox_empties_it(admin: Admin) -> None:
    """A deletion of `default` resets it."""
    admin.job()
    assert admin.call("DELETE", "sandboxes/default").json() == {
        "deleted": "default",
        "emptied": True,
    }
    assert admin.get("sandboxes/default/jobs")["total"] == 0


@pytest.mark.parametrize(
    ("what", "left"),
    [
        ("all", {"jobs": 0, "spent": False, "requests": 0, "now": "00:00:00"}),
        ("jobs", {"jobs": 0, "spent": True, "requests": 1, "now": "00:00:10"}),
        ("ledger", {"jobs": 1, "spent": False, "requests": 1, "now": "00:00:10"}),
        ("journal", {"jobs": 1, "spent": True, "requests": 1, "now": "00:00:10"}),
    ],
)
def test_a_reset_affects_the_named_part(admin: Admin, what: str, left: dict[str, object]) -> None:
    """A reset of one part leaves the other parts; a reset of everything also resets the clock."""
    key = admin.sandbox(id="box")["keys"]["vicsee"]
    admin.job(key)
    admin.post("sandboxes/box/clock/advance", {"seconds": 10})

    shown = admin.post(f"sandboxes/box/reset?what={what}")

    accounts = admin.get("sandboxes/box/accounts")["accounts"]
    found = {
        "jobs": shown["jobs"],
        "spent": any(Decimal(a["balance"]) < 100000000 for a in accounts),
        "requests": shown["requests"],
        "now": shown["clock"]["now"][11:19],
    }
    assert left == found


def test_a_reset_of_the_journal_removes_its_entries(admin: Admin) -> None:
    """After a reset of the journal, the list is empty, but the number of requests remains."""
    admin.job()
    admin.post("sandboxes/default/reset?what=journal")
    found = admin.get("sandboxes/default/journal")
    assert found == {"exchanges": [], "kept": 0, "total": 1}


def test_keys_outlive_a_reset(admin: Admin) -> None:
    """A key still leads to its sandbox after everything in the sandbox was reset."""
    key = admin.sandbox(id="box")["keys"]["vicsee"]
    admin.post("sandboxes/box/reset")
    admin.job(key)
    assert admin.get("sandboxes/box/jobs")["total"] == 1


def test_a_reset_repeats_the_seed(admin: Admin) -> None:
    """The same requests after a reset give the same ids."""
    before = admin.job()
    admin.post("sandboxes/default/reset")
    assert admin.job() == before


def test_a_reset_forgets_measurements(admin: Admin) -> None:
    """After a reset, an output with a name that was used before is measured again."""
    sizes = []
    for size in ("64x36", "128x72"):
        name = f"http://127.0.0.1:4747/media/synthetic/{size}_10fps_1s.mp4"
        first = admin.job(video=name)
        admin.sim.advance(1000)
        again = admin.job(video=f"http://127.0.0.1:4747/media/outputs/{first}.mp4")
        sizes.append(admin.get(f"sandboxes/default/jobs/{again}")["media"]["size"])
        admin.post("sandboxes/default/reset")
    assert sizes == ["128x72", "256x144"]


def test_a_sandbox_starts_at_the_instant_of_its_clock(admin: Admin) -> None:
    """A clock may be an object with mode and instant, with or without an offset."""
    made = admin.sandbox(clock={"mode": "manual", "now": "2031-05-06T07:08:09.5+02:00"})
    assert made["clock"]["now"] == "2031-05-06T05:08:09.500000Z"


def test_a_sandbox_has_the_balances_of_its_order(admin: Admin) -> None:
    """Balances are exact strings or whole numbers, for the accounts of the sandbox."""
    key = admin.sandbox(balances={"vicsee": "17"})["keys"]["vicsee"]
    assert admin.vicsee(key).get("/api/v1/credits").json()["data"] == {"credits": 17}


def test_a_sandbox_may_bring_its_keys(admin: Admin) -> None:
    """A brought key leads to the sandbox; the other providers get issued keys."""
    made = admin.sandbox(id="box", keys={"vicsee": "sk-brought"})
    admin.job("sk-brought")
    assert (made["keys"]["vicsee"], admin.get("sandboxes/box")["jobs"]) == ("sk-brought", 1)


def test_one_text_can_be_a_key_of_several_providers(admin: Admin) -> None:
    """Keys of different providers are independent, even if they are the same text."""
    made = admin.sandbox(keys=dict.fromkeys(discover(), "one-for-all"))
    assert set(made["keys"].values()) == {"one-for-all"}


@pytest.mark.parametrize(
    ("order", "status", "code", "message"),
    [
        ({"id": "box"}, 409, "refused", "there is already a sandbox 'box'"),
        ({"id": "default"}, 409, "refused", "there is already a sandbox 'default'"),
        ({"id": ""}, 400, "invalid", "id: at most 64 letters, digits, - and _"),
        ({"id": "../x"}, 400, "invalid", "id: at most 64 letters, digits, - and _"),
        ({"id": "x y"}, 400, "invalid", "digits, - and _, such as ci-1, not 'x y'"),
        ({"id": "a/b"}, 400, "invalid", "id: at most 64 letters, digits, - and _"),
        ({"id": "x" * 65}, 400, "invalid", "id: at most 64 letters, digits, - and _"),
        ({"id": "ключ"}, 400, "invalid", "id: at most 64 letters, digits, - and _"),
        ({"id": "box\n"}, 400, "invalid", "id: at most 64 letters, digits, - and _"),
        ({"sceanrio": "x"}, 400, "invalid", "did you mean scenario?"),
        ({"scenario": "vicsee/basline"}, 400, "unknown_scenario", "did you mean vicsee/baseline"),
        ({"scenario": "../README"}, 400, "unknown_scenario", "no scenario file '../README'"),
        (
            {"scenario": "nosuch.yaml"},
            400,
            "unknown_scenario",
            "must exist on the server's machine",
        ),
        ({"scenario": "x" * 5000}, 400, "unknown_scenario", "there is no scenario 'xxx"),
        ({"scenario": "a\0b.yaml"}, 400, "unknown_scenario", "'a\\x00b.yaml'"),
        ({"clock": "fast"}, 400, "refused", "allowed: real, manual, auto, scaled:"),
        ({"clock": "scaled:0"}, 400, "refused", "clock 'scaled:0' is unknown"),
        ({"clock": "scaled:" + "9" * 5000}, 400, "refused", "whole number from 1 to 1000000"),
        ({"clock": {"mode": "manual", "now": "soon"}}, 400, "invalid", "clock.now 'soon' is not"),
        ({"clock": {"mode": "manual", "now": "9999-01-01"}}, 400, "invalid", "1970 and 9000"),
        (
            {"clock": {"mode": "manual", "now": "0001-01-01T00:00+23:59"}},
            400,
            "invalid",
            "clock.no",
        ),
        ({"pace": 0}, 400, "refused", "pace 0 is not a whole number of 1 or more"),
        ({"pace": 1.5}, 400, "invalid", "pace: found"),
        ({"seed": "x"}, 400, "invalid", "seed: found"),
        ({"seed": 2**70}, 400, "invalid", "seed: found"),
        ({"ttl": -1}, 400, "invalid", "ttl -1.0 is not 0 or more seconds"),
        (
            {"dialects": {"venice": "slang"}},
            400,
            "refused",
            "has no dialect 'slang'; it has auto, guide",
        ),
        ({"dialects": {"nobody": "live"}}, 400, "refused", "there is no provider 'nobody'"),
        ({"knobs": {"vicsee": {"fun": "x"}}}, 400, "refused", "vicsee has no knob 'fun'"),
        ({"knobs": {"vicsee": {"funds_text": "x"}}}, 400, "refused", "allowed: plain, amounts"),
        ({"knobs": {"nobody": {}}}, 400, "refused", "there is no provider 'nobody'"),
        ({"balances": {"nobody": "1"}}, 400, "refused", "there is no provider 'nobody'"),
        (
            {"balances": {"vicsee": "much"}},
            400,
            "invalid",
            "balances.vicsee 'much' is not a decimal",
        ),
        ({"balances": {"vicsee": "NaN"}}, 400, "invalid", "balances.vicsee 'NaN'"),
        (
            {"balances": {"vicsee": "1e999"}},
            400,
            "invalid",
            "is not a decimal number in plain digits",
        ),
        ({"balances": {"vicsee": "9" * 5000}}, 400, "invalid", "up to 1000000000000000"),
        ({"balances": {"vicsee": "0.0000000000001"}}, 400, "invalid", "12 decimal places"),
        ({"balances": {"vicsee": 1.5}}, 400, "invalid", "balances.vicsee: found the number 1.5"),
        ({"keys": {"nobody": "x"}}, 400, "refused", "there is no provider 'nobody'"),
        ({"keys": {"vicsee": "taken"}}, 409, "refused", "already belongs to sandbox 'box'"),
        ({"keys": {"vicsee": ""}}, 400, "refused", "a vicsee key is 1 to 512 visible ASCII"),
        (
            {"keys": {"vicsee": "two words"}},
            400,
            "refused",
            "a vicsee key is 1 to 512 visible ASCII",
        ),
        ({"keys": {"vicsee": "ключ"}}, 400, "refused", "a vicsee key is 1 to 512 visible ASCII"),
        ({"strict_keys": "yes"}, 400, "invalid", "strict_keys: found"),
        ({"render": "slowly"}, 400, "invalid", "render: unknown value"),
    ],
)
def test_an_impossible_sandbox_is_refused(
    admin: Admin, order: dict[str, object], status: int, code: str, message: str
) -> None:
    """A refusal names the field, its value and what is allowed."""
    admin.sandbox(id="box", keys={"vicsee": "taken"})
    found = admin.refusal("POST", "sandboxes", order)
    assert (status, code) == found[:2]
    assert message in found[2]


def test_a_sandbox_with_unknown_checks_is_refused(admin: Admin, tmp_path: Path) -> None:
    """A scenario file with an unknown check is refused when the sandbox is created."""
    file = tmp_path / "checks.yaml"
    file.write_text(
        "extends: vicsee/baseline\nsummary: A check too many.\nchecks: {upload: [has_keyx]}\n",
        encoding="utf-8",
    )

    found = admin.refusal("POST", "sandboxes", {"id": "box", "scenario": str(file)})

    assert found[:2] == (400, "refused")
    assert "checks.upload names an unknown check 'has_keyx'; did you mean has_key?" in found[2]
    assert admin.sandbox(id="box")["id"] == "box"


def test_a_refused_sandbox_leaves_nothing(admin: Admin) -> None:
    """A sandbox whose key is taken does not exist afterwards, nor do its other keys."""
    first = next(iter(discover()))
    admin.sandbox(id="box", keys={"vicsee": "taken"})
    admin.refusal("POST", "sandboxes", {"id": "x", "keys": {first: "mine", "vicsee": "taken"}})
    again = admin.sandbox(id="x", keys={first: "mine"})
    assert again["keys"][first] == "mine"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("boxx", "there is no sandbox 'boxx'; did you mean box?"),
        ("x" * 5000, "there is no sandbox 'xxx"),
        ("%D0%BA%D0%BB%D1%8E%D1%87", "there is no sandbox 'ключ'; allowed: default, box"),
        ("%00", "there is no sandbox '\\x00'"),
        ("%FF", "there is no sandbox '\ufffd'"),
    ],
)
@pytest.mark.parametrize(
    "call",
    [
        "GET sandboxes/{}",
        "DELETE sandboxes/{}",
        "POST sandboxes/{}/reset",
        "GET sandboxes/{}/clock",
        "PATCH sandboxes/{}/clock",
        "POST sandboxes/{}/clock/advance",
        "GET sandboxes/{}/jobs",
        "GET sandboxes/{}/jobs/x",
        "PUT sandboxes/{}/jobs/x/state",
        "GET sandboxes/{}/accounts",
        "PUT sandboxes/{}/accounts/vicsee",
        "POST sandboxes/{}/accounts/vicsee/keys",
        "GET sandboxes/{}/ledger",
        "GET sandboxes/{}/journal",
        "POST sandboxes/{}/journal/find",
        "POST sandboxes/{}/journal/count",
    ],
)
def test_every_request_needs_an_existing_sandbox(
    admin: Admin, call: str, name: str, hint: str
) -> None:
    """An unknown sandbox gets a 404 with the nearest id, in every request."""
    admin.sandbox(id="box")
    method, path = call.split()
    status, code, message = admin.refusal(method, path.format(name), {})
    assert (404, "unknown_sandbox") == (status, code)
    assert message.startswith(hint)
    assert len(message) < 500


@pytest.mark.parametrize("name", ["..%2Fx", "../x", "a%2Fb", "%2e%2e"])
def test_ids_with_slashes_are_unknown(admin: Admin, name: str) -> None:
    """A path with `..` is an unknown path or an unknown sandbox, and never a file."""
    assert admin.refusal("GET", f"sandboxes/{name}")[0] == 404


def test_an_unknown_reset_is_refused(admin: Admin) -> None:
    """The refusal lists the parts that can be reset."""
    found = admin.refusal("POST", "sandboxes/default/reset?what=time")
    message = "what='time' is unknown; allowed: all, jobs, ledger, faults, journal"
    assert found == (400, "invalid", message)


def test_idle_sandboxes_are_removed(admin: Admin) -> None:
    """A sandbox that was unused for longer than its time to live is removed at the next request."""
    admin.sandbox(id="short", ttl=0)
    admin.sandbox(id="long")
    ids = [box["id"] for box in admin.get("sandboxes")["sandboxes"]]
    assert ids == ["default", "long"]


def test_a_request_with_a_key_counts_as_use(admin: Admin) -> None:
    """A sandbox that is used through its keys alone is not idle."""
    key = admin.sandbox(id="box")["keys"]["vicsee"]
    box = admin.sim.registry.sandboxes["box"]
    box.last_used = before = 0.0
    admin.job(key)
    assert before < box.last_used


def test_the_number_of_sandboxes_is_limited(admin: Admin) -> None:
    """Above the limit of sandboxes, a new one is refused, with what to do."""
    registry = admin.sim.registry
    limit = registry.settings.sandboxes_max
    registry.sandboxes.update({f"f{n}": registry.default for n in range(limit)})
    found = admin.refusal("POST", "sandboxes", {})
    assert found == (400, "refused", "there are already 10000 sandboxes; delete some")


def test_no_refusal_of_a_scenario_has_a_path_of_the_server(admin: Admin) -> None:
    """A mistake in a shipped file names the scenario and the line; a given path stays as given."""
    knobs = {"duplicate_keys": {"values": ["zz"], "guide": "zz"}, "bearer": {"values": ["zz"]}}
    orders: list[object] = [
        {"extends": "piapi/plan-free", "knobs": knobs},
        {"extends": "nowhere.yaml"},
        "nowhere.yaml",
        "../x.yaml",
        "no/such",
    ]
    found = [admin.http.post("/__sim/sandboxes", json={"scenario": one}).text for one in orders]

    assert "\\npiapi/baseline:" in found[0]
    for text in found:
        assert '"message"' in text
        assert str(shipped_root()) not in text
        assert str(Path.cwd().parent) not in text
