"""Keys of every form: any works that its header can carry, and a request without one is refused."""

from __future__ import annotations

import httpx
import pytest

from tests.http.conftest import Admin

READS = {
    "wavespeed": "/api/v3/balance",
    "venice": "/api/v1/billing/balance",
    "piapi": "/account/info",
    "vicsee": "/api/v1/credits",
}
KEYS = [
    b"k",
    b"0",
    b"null",
    b"k" * 10_000,
    b"with spaces inside",
    b"tab\tinside",
    b"Bearer twice",
    b"Basic dXNlcjpwYXNz",
    b"comma,semicolon;colon:equals=",
    b'"quoted"',
    b"../../etc/passwd",
    b"%00%0a",
    b"{}",
    "größe".encode("latin-1"),
    "ключ🔑".encode(),
    b"VENICE_ADMIN_KEY_x",
    b"VENICE_INFERENCE_KEY_x",
    b"sk-x",
]
BEARER = [name for name in READS if name != "piapi"]
SCHEMELESS = [
    b"k",
    b"Basic dXNlcjpwYXNz",
    b"Token k",
    b"Bearer",
    b"Bearer  ",
    b"Bearer:k",
    b"Bearerk",
]


def ask(admin: Admin, provider: str, value: bytes | None, path: str = "") -> httpx.Response:
    """Read the account with this value of the provider's key header."""
    header = b"x-api-key" if provider == "piapi" else b"authorization"
    with httpx.Client(transport=admin.sim.transport()) as http:
        url = f"{admin.sim.base_url(provider)}{path or READS[provider]}"
        return http.get(url, headers=[] if value is None else [(header, value)])


def as_header(provider: str, key: bytes) -> bytes:
    """Return the value of the header that carries a key."""
    return key if provider == "piapi" else b"Bearer " + key


def accounts(admin: Admin) -> int:
    """Count the accounts that were made."""
    found: int = admin.get("sandboxes/default/accounts")["total"]
    return found


@pytest.mark.parametrize("provider", READS)
@pytest.mark.parametrize("key", KEYS, ids=lambda key: ascii(key)[:30])
def test_any_key_works(admin: Admin, provider: str, key: bytes) -> None:
    """Each key has its own account, and the same key finds it again."""
    assert ask(admin, provider, as_header(provider, key)).status_code == 200
    made = accounts(admin)
    assert ask(admin, provider, as_header(provider, key) + b" ").status_code == 200
    assert accounts(admin) == made
    assert ask(admin, provider, as_header(provider, key + b"2")).status_code == 200
    assert accounts(admin) == made + 1


@pytest.mark.parametrize("provider", READS)
@pytest.mark.parametrize("value", [None, b"", b"   ", b"\t"], ids=ascii)
def test_request_without_a_key_is_refused(admin: Admin, provider: str, value: bytes | None) -> None:
    """A missing key header and an empty one are refused, and make no account."""
    made = accounts(admin)
    assert ask(admin, provider, value).status_code == 401
    assert accounts(admin) == made


@pytest.mark.parametrize("provider", BEARER)
@pytest.mark.parametrize("value", SCHEMELESS, ids=ascii)
def test_key_needs_its_scheme(admin: Admin, provider: str, value: bytes) -> None:
    """A value without `Bearer ` is no key; the journal says so and hides the value."""
    response = ask(admin, provider, value)
    why = admin.get("sandboxes/default/journal")["exchanges"][-1]["why"]
    assert response.status_code == 401
    assert why["cause"].startswith("Authorization: ")
    assert "dXNlcjpwYXNz" not in why["cause"]


@pytest.mark.parametrize("scheme", [b"bearer", b"BEARER", b"Bearer "])
def test_scheme_has_any_case(admin: Admin, scheme: bytes) -> None:
    """The scheme may be in any case, and several spaces may follow."""
    assert ask(admin, "vicsee", scheme + b" k").status_code == 200


@pytest.mark.parametrize(
    ("key", "status"), [(b"VENICE_ADMIN_KEY_x", 200), (b"VENICE_INFERENCE_KEY_x", 401), (b"k", 401)]
)
def test_billing_of_the_live_dialect_needs_an_admin_key(
    admin: Admin, key: bytes, status: int
) -> None:
    """The live dialect of Venice refuses a key without the prefix of admin keys at billing."""
    response = ask(admin, "venice", b"Bearer " + key, "/live/api/v1/billing/balance")
    assert response.status_code == status
    assert ask(admin, "venice", b"Bearer " + key, "/live/api/v1/models").status_code == 200
