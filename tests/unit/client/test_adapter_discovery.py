"""Adapters are found in the providers' folders, and no list names them."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

import upsim.providers
from upsim.client.adapter_discovery import adapter, library, providers
from upsim.client.exceptions import UnknownAdapterError
from upsim.core.instants import SECOND

FOLDERS = sorted(p.parent.name for p in Path(upsim.providers.__path__[0]).glob("*/client.py"))


def test_every_folder_with_a_client_is_found() -> None:
    """Each provider folder with a module `client` supplies an adapter."""
    assert sorted(providers()) == FOLDERS


@pytest.mark.parametrize("provider", FOLDERS)
def test_the_adapter_has_the_name_of_its_folder(provider: str) -> None:
    """An adapter's provider name is the name of its folder."""
    assert provider == adapter(provider).provider


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    """The error for an unknown adapter lists the known adapters."""
    with pytest.raises(UnknownAdapterError, match=f"no client adapter for 'nobody'.*{FOLDERS[0]}"):
        adapter("nobody")


def test_an_adapter_imports_no_server() -> None:
    """Loading every adapter imports neither the web layer nor the engine nor PyAV."""
    code = (
        "import sys; from upsim.client.adapter_discovery import adapter, providers;"
        "[adapter(p) for p in providers()];"
        "print([m for m in sys.modules if m.split('.')[:2] in"
        " (['upsim', 'web'], ['upsim', 'engine'], ['upsim', 'app'], ['av'])])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_finding_the_adapters_imports_no_provider() -> None:
    """Listing the adapters, or loading one adapter, imports no code of another provider."""
    code = (
        "import sys; from upsim.client.adapter_discovery import adapter, providers;"
        "first = providers()[0]; adapter(first);"
        "print(first, {m.split('.')[2] for m in sys.modules if m.startswith('upsim.providers.')})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == f"{FOLDERS[0]} {{'{FOLDERS[0]}'}}\n"


@pytest.mark.parametrize("provider", FOLDERS)
def test_cadence_is_the_advice_of_the_baseline(provider: str) -> None:
    """The client polls at the intervals that the provider's baseline advises."""
    advised, cadence = library().baseline(provider).baseline.polling, adapter(provider).cadence

    assert advised is not None
    assert (advised.every, Decimal(advised.factor)) == (
        cadence.first * SECOND,
        Decimal(str(cadence.factor)),
    )
    assert advised.most in (None, cadence.most * SECOND)
