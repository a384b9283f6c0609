"""Where requests may go, and what they may cost."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.hosts import ELSEWHERE, LOOPBACK, LOOPBACK_IN_UNICODE, ODD_PORTS
from upsim.client import connect, sandbox_sleeper
from upsim.client.adapter import Request
from upsim.client.exceptions import (
    ArgumentError,
    AuthenticationError,
    CapReachedError,
    UnknownModelError,
    UnpricedError,
    UnsafeTargetError,
    UnsupportedError,
)
from upsim.client.request_guard import Budget, RequestGuard, is_local
from upsim.client.results import Job, Money

CAP = Money(Decimal("0.50"), "USD")
HOME = "http://127.0.0.1:4747/venice"
REAL = "https://api.venice.ai"


def money(amount: str) -> Money:
    """Return so many dollars."""
    return Money(Decimal(amount), "USD")


def guard(base_url: str = HOME, *, cap: Money | None = None, live: bool = False) -> RequestGuard:
    """Return a guard that knows one provider's host."""
    budget = Budget(cap)
    return RequestGuard(base_url, budget=budget, live=live, public_hosts=lambda: {"api.venice.ai"})


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.8.8.8", True),
        ("::1", True),
        ("LOCALHOST.", True),
        ("upsim.test", True),
        *((host, True) for host in (*LOOPBACK, *LOOPBACK_IN_UNICODE)),
        *((host, False) for host in ELSEWHERE),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("127.0.0.1.nip.example", False),
        ("test", False),
        ("", False),
    ],
)
def test_local_hosts(host: str, local: bool) -> None:  # noqa: FBT001 - a table
    """Loopback and names that public DNS never has count as local."""
    assert is_local(host) is local


# -- hosts


def test_real_host_needs_live() -> None:
    """A provider's own host is refused without `live`, and the error says what to do."""
    with pytest.raises(UnsafeTargetError, match=r"api\.venice\.ai is not this machine.*live=True"):
        guard(REAL)


@pytest.mark.parametrize("setting", ["argument", "variable"])
def test_url_without_a_scheme_is_refused(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`connect` refuses a base URL without a host, and its error shows the correct form."""
    local = "127.0.0.1:4871/vicsee"
    form = "is not http(s)://host[:port][/path]"
    told = {
        local: f"'{local}' lacks http://: give http://{local}",
        "localhost:4871/vicsee": "'localhost:4871/vicsee' lacks http://: give http://localhost:",
        "localhost": "'localhost' lacks http://: give http://localhost",
        "[::1]:4871": "'[::1]:4871' lacks http://: give http://[::1]:4871",
        f"http:/{local}": f"'http:/{local}' lacks http://: give http://{local}",
        f"HTTPS:{local}": f"'HTTPS:{local}' lacks https://: give https://{local}",
        "/vicsee": f"'/vicsee' {form}",
        "http:///vicsee": f"'http:///vicsee' {form}",
        "ftp://127.0.0.1/vicsee": f"'ftp://127.0.0.1/vicsee' {form}",
        f"me:secret@{local}": f"'{local}' lacks http://: give http://{local}",
    }
    for url, message in told.items():
        monkeypatch.setenv("VICSEE_BASE_URL", url)
        given = url if setting == "argument" else None
        with pytest.raises(UnsafeTargetError) as found:
            connect("vicsee", api_key="k", base_url=given)
        assert str(found.value).startswith(message)
        with pytest.raises(UnsafeTargetError) as found:
            sandbox_sleeper(url)
        assert str(found.value).startswith(message)


def test_live_needs_a_cap() -> None:
    """`connect` refuses `live` without a cap."""
    with pytest.raises(UnsafeTargetError, match="live=True needs a cap"):
        guard(REAL, live=True)


def test_live_with_a_cap() -> None:
    """With `live` and a cap, the client may connect to a provider's host."""
    assert guard(REAL, live=True, cap=CAP).budget.cap == CAP


def test_keys_go_over_https_only() -> None:
    """The client refuses to send a key over http to another machine."""
    with pytest.raises(UnsafeTargetError, match="a key is sent over https only"):
        guard("http://api.venice.ai", live=True, cap=CAP)


def test_trusted_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client connects to a simulator on another host if that host is named as trusted."""
    monkeypatch.setenv("UPSIM_TRUSTED_HOSTS", "sim.example, other.example")

    assert guard("https://sim.example/venice").budget.cap is None


@pytest.mark.parametrize("port", ODD_PORTS)
def test_odd_port_is_refused(port: str) -> None:
    """The client connects to no URL whose port is not a plain number."""
    with pytest.raises(UnsafeTargetError, match="is not a plain number from 1 to 65535"):
        guard(f"http://127.0.0.1:{port}/venice")


def test_provider_is_never_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider's own host is not trusted, even if the user names it as trusted."""
    monkeypatch.setenv("UPSIM_TRUSTED_HOSTS", "api.venice.ai")
    with pytest.raises(UnsafeTargetError, match=r"api\.venice\.ai is not this machine"):
        guard(REAL)


@pytest.mark.parametrize("model", ["venice", "piapi", "vicsee", "wavespeed/upscale-v1"])
def test_no_provider_can_be_trusted(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every provider's default host is refused, even when it is named as trusted."""
    hosts = "api.venice.ai api.piapi.ai upload.theapi.app vicsee.com api.wavespeed.ai"
    monkeypatch.setenv("UPSIM_TRUSTED_HOSTS", hosts)
    for variable in ("VENICE", "PIAPI", "VICSEE", "WAVESPEED"):
        monkeypatch.delenv(f"{variable}_BASE_URL", raising=False)
    with pytest.raises(UnsafeTargetError, match="is not this machine"):
        connect(model, api_key="k")


@pytest.mark.parametrize(
    "link", ["https://cdn.example/a.mp4", "ftp://127.0.0.1/a", "file:///etc/passwd", "http://[", ""]
)
def test_links_stay_local(link: str) -> None:
    """Without `live`, the client follows no link to another machine or another protocol."""
    with pytest.raises(UnsafeTargetError):
        guard().admit_link(link)


@pytest.mark.parametrize("host", [*LOOPBACK, *LOOPBACK_IN_UNICODE, "10.0.0\u30021"])
def test_no_spelling_leads_inside(host: str) -> None:
    """A link of a live provider to this machine or a private address is refused in any spelling."""
    live = guard(REAL, cap=money("1"), live=True)
    with pytest.raises(UnsafeTargetError, match="is inside this network"):
        live.admit_link(f"https://{host}/a.mp4")


@pytest.mark.parametrize(
    ("link", "fine"), [("https://cdn.example/a.mp4", True), ("http://cdn.example/a.mp4", False)]
)
def test_live_links_are_https(link: str, fine: bool) -> None:  # noqa: FBT001 - a table
    """With `live`, outputs may be on any host, but only over https."""
    made = guard(REAL, live=True, cap=CAP)
    if fine:
        made.admit_link(link)
    else:
        with pytest.raises(UnsafeTargetError, match="not followed: http://cdn"):
            made.admit_link(link)
    assert made.budget.spent == 0


# -- money


def test_unknown_request_is_denied_under_a_cap() -> None:
    """Under a cap, a possibly paid request without a reservation is not sent."""
    with pytest.raises(UnpricedError, match="POST /x may cost money"):
        guard(cap=CAP).admit(Request("POST", "/x"), None)


@pytest.mark.parametrize(
    "request_", [Request("GET", "/x"), Request("POST", "/x", cost="free")], ids=["get", "free"]
)
def test_free_requests_pass(request_: Request) -> None:
    """Read requests and other free requests need no reservation."""
    made = guard(cap=CAP)
    made.admit(request_, None)

    assert made.budget.reserved == 0


def test_unpriced_is_denied_under_a_cap() -> None:
    """Under a cap, a request with an unknown price gets no reservation."""
    with pytest.raises(UnpricedError, match="the price is unknown"):
        Budget(CAP).reserve(None)


def test_other_unit_is_denied() -> None:
    """A price in credits cannot be reserved under a cap in dollars."""
    with pytest.raises(
        UnpricedError, match=r"5 credits cannot be compared with a cap of 0\.50 USD"
    ):
        Budget(CAP).reserve(Money(Decimal(5), "credit"))


def test_cap_counts_reservations() -> None:
    """Two running requests both count against the cap before they are settled."""
    budget = Budget(CAP)
    budget.reserve(money("0.30"))
    with pytest.raises(CapReachedError, match=r"it may cost 0\.30 USD.*0\.20 are left"):
        budget.reserve(money("0.30"))
    assert budget.reserved == Decimal("0.30")


def test_exactly_the_cap_is_allowed() -> None:
    """A request whose price is exactly the cap is allowed."""
    assert Budget(CAP).reserve(CAP).open


def test_settling_counts_the_real_price() -> None:
    """After a request, the charged price counts once instead of the reserved price."""
    budget = Budget(CAP)
    held = budget.reserve(money("0.50"))
    held.settle(money("0.10"))
    held.settle(money("0.10"))

    assert (budget.spent, budget.reserved) == (Decimal("0.10"), Decimal(0))


def test_settling_without_a_price_counts_the_highest() -> None:
    """If the response has no price, the highest possible price counts as spent."""
    budget = Budget(CAP)
    budget.reserve(money("0.50")).settle(None)

    assert budget.spent == Decimal("0.50")


def test_releasing_costs_nothing() -> None:
    """The reservation of a request that was not accepted is released."""
    budget = Budget(CAP)
    budget.reserve(money("0.50")).release()

    assert budget.spent + budget.reserved == 0


def test_refund_counts_once() -> None:
    """A job's refund is credited once, however often the client reads it."""
    budget = Budget(CAP)
    budget.reserve(CAP).settle(CAP)
    job = Job("j", "m", price=CAP)
    budget.give_back(job)
    budget.give_back(job)

    assert budget.spent == 0


# -- what connect refuses


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("venise", r"did you mean venice/"),
        ("upscale-v2", r"did you mean wavespeed/runwayml/upscale-v1\?"),
        (
            "topaz-video-upscale",
            r"is ambiguous: use venice/topaz-video-upscale or vicsee/topaz-video-upscale",
        ),
        ("wavespeed", r"use wavespeed/wavespeed-ai/video-upscaler or wavespeed/runwayml"),
        ("zzzzzz", r"available: piapi/"),
    ],
)
def test_unknown_model(name: str, told: str) -> None:
    """The error for an unknown model suggests the nearest name.

    If a name fits several models, the error lists all of them.
    """
    with pytest.raises(UnknownModelError, match=told):
        connect(name, api_key="k", base_url=HOME)


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("venice", "venice/topaz-video-upscale"),
        ("vicsee/topaz-video-upscale", "vicsee/topaz-video-upscale"),
        ("Qubico/video-toolkit", "piapi/Qubico/video-toolkit"),
        ("video-upscaler", "wavespeed/wavespeed-ai/video-upscaler"),
        ("wavespeed/upscale-v1", "wavespeed/runwayml/upscale-v1"),
        ("wavespeed/runwayml/upscale-v1", "wavespeed/runwayml/upscale-v1"),
    ],
)
def test_short_names(name: str, full: str) -> None:
    """A model can be named by its id, by the end of its id, or by a provider with one model."""
    with connect(name, api_key="k", base_url=HOME) as client:
        assert client.model == full


@pytest.mark.parametrize("key", ["two words", "line\n", "ключ"])
def test_unusable_key_is_refused(key: str) -> None:
    """A key that no HTTP header can contain is refused and not shown."""
    with pytest.raises(AuthenticationError) as caught:
        connect("venice", api_key=key, base_url=HOME)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "settings", "told"),
    [
        ("venice", {"webhook_url": "http://h"}, "venice sends no webhooks"),
        ("piapi", {"webhook_secret": "s"}, "webhook_secret needs a webhook_url"),
        (
            "video-upscaler",
            {"webhook_url": "http://h", "webhook_secret": "s"},
            "wavespeed makes the secret of its webhooks itself",
        ),
        ("vicsee", {"cap": Money(Decimal(1), "USD")}, "charged in credit, the cap is in USD"),
    ],
)
def test_unsupported_settings_are_refused(
    model: str, settings: dict[str, object], told: str
) -> None:
    """`connect` refuses a setting that the provider does not support."""
    with pytest.raises(UnsupportedError, match=told):
        connect(model, api_key="k", base_url=HOME, **settings)  # type: ignore[arg-type]


def test_misspelt_setting() -> None:
    """An unknown setting raises an ArgumentError that suggests the nearest setting."""
    with pytest.raises(ArgumentError, match=r"apikey; did you mean api_key\?"):
        connect("venice", apikey="k")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("model", "cap", "told"),
    [
        ("piapi", "0.50", "5000000 points"),
        ("piapi", Money(Decimal("0.5"), "USD"), "5000000 points"),
        ("piapi", Money(Decimal(7), "point"), "7 points"),
        ("vicsee", 100, "100 credits"),
        ("venice", "0.50", "0.50 USD"),
    ],
    ids=["dollars", "money", "points", "credits", "usd"],
)
def test_cap_in_the_unit_of_the_charge(model: str, cap: Money | str | int, told: str) -> None:
    """A plain number as cap is in the unit of the published price.

    The client converts it to the unit of the charges.
    """
    with connect(model, api_key="k", base_url=HOME, cap=cap) as client:
        assert str(client._logic.guard.budget.cap) == told


@pytest.mark.parametrize("cap", ["abc", "NaN", "Infinity", "-1", 0.1, True, "1e999999999"])
def test_cap_is_an_exact_amount(cap: str) -> None:
    """A cap that is not an exact amount of 0 or more is refused before any request."""
    with pytest.raises(ArgumentError, match="cap is a"):
        connect("venice", api_key="k", base_url=HOME, cap=cap)
