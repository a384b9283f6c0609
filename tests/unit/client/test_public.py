"""The public names of the client, what importing them loads, and how long that takes."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import upsim.client


def modules_after(code: str) -> list[str]:
    """Return the modules that a fresh Python has loaded after this code."""
    program = f"import sys; {code}; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize("name", upsim.client.__all__)
def test_every_public_name_exists(name: str) -> None:
    """Every name in `__all__` can be imported."""
    assert getattr(upsim.client, name).__name__ == name


def test_names_are_sorted() -> None:
    """`__all__` is sorted and has no duplicates."""
    assert sorted(set(upsim.client.__all__)) == upsim.client.__all__


def test_no_public_name_is_that_of_a_module() -> None:
    """No public name is also a module of the package, which would replace it once imported."""
    modules = {module.name for module in pkgutil.iter_modules(upsim.client.__path__)}

    assert set() == modules & set(upsim.client.__all__)


def test_unknown_name() -> None:
    """An unknown attribute of `upsim.client` raises an AttributeError."""
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = upsim.client.nonsense


def test_importing_the_package_loads_none_of_its_modules() -> None:
    """Importing the package loads no module of it until a name is used."""
    found = modules_after("import upsim.client")

    assert [name for name in found if name.startswith("upsim.client.")] == []


def test_connecting_loads_no_server() -> None:
    """`connect` loads neither the server, nor PyAV, nor code of other providers."""
    code = (
        "from upsim.client import connect; connect('venice', api_key='k', base_url='http://a.test')"
    )
    found = modules_after(code)
    heavy = ("upsim.web", "upsim.engine", "upsim.app", "starlette", "uvicorn", "av")
    providers = [name for name in found if name.startswith("upsim.providers.")]

    assert [name for name in found if name.startswith(heavy)] == []
    assert [name for name in providers if not name.endswith(".client")] == []


LOGIC = (
    "callbacks",
    "upscaling",
    "sending",
    "downloading",
    "request_guard",
    "options_and_prices",
    "video_input",
    "webhooks",
)


@pytest.mark.parametrize("module", LOGIC)
def test_the_logic_imports_no_httpx(module: str) -> None:
    """The modules that make decisions import neither httpx nor `upsim.client.http`."""
    found = modules_after(f"import upsim.client.{module}")

    assert [name for name in found if name.startswith(("httpx", "upsim.client.http"))] == []
