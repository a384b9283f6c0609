"""Addresses of stores: which files they name, and what the messages about wrong ones say."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from upsim.app import Simulator
from upsim.cli import main, verify
from upsim.engine.exceptions import StoreError
from upsim.store.address import sqlite_path

WRONG = {
    "x": r"'x' is unknown; allowed: memory: or sqlite:PATH",
    "sqlit:x": r"is unknown; did you mean sqlite:\?; allowed",
    "sqlite": r"did you mean sqlite:PATH\?",
    "memory": r"did you mean memory:\?",
    "memory:x": r"memory: takes no path",
    "sqlite:": r"the file is missing; write for example sqlite:upsim.db",
    "sqlite::memory:": r"use memory: for a store without a file",
    "sqlite:///tmp/x.db": r"write sqlite:/tmp/x.db or sqlite:tmp/x.db",
    "upsim.db": r"is unknown; for a file, write sqlite:upsim.db",
    "postgresql://me@db/upsim": r"PostgreSQL is not supported yet; allowed: memory:",
    "sqlite:none/upsim.db": r"the folder .*/none does not exist; create it first",
    "sqlite:folder": r"it names a folder; name a file in it, such as sqlite:folder.upsim.db",
    "sqlite:new/": r"it names a folder",
    "sqlite:~nobody-here/x.db": r"no file has this name",
    "sqlite:a\0b": r"no file has this name",
}


@pytest.mark.parametrize("address", WRONG)
def test_wrong_addresses_get_one_message_everywhere(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`Simulator` and `--store` say what is wrong and what to do, and make no file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreError, match=WRONG[address]) as caught, Simulator(store=address):
        pass
    assert sorted(tmp_path.rglob("*")) == before
    if "\0" in address:
        return  # no argument or variable can have it
    typed = CliRunner().invoke(main, ["serve", "--port", "0", "--store", address])
    assert (typed.exit_code, str(caught.value) in typed.stderr) == (2, True), typed.stderr
    read = CliRunner().invoke(main, ["serve", "--port", "0"], env={"UPSIM_STORE": address})
    assert (read.exit_code, str(caught.value) in read.stderr) == (2, True), read.stderr
    assert "UPSIM_STORE" in read.stderr


@pytest.mark.skipif(os.name == "nt", reason="a drive is a part of a path there")
def test_windows_paths_are_refused_elsewhere() -> None:
    """On a machine without drives, such a path is a mistake and not the name of a file."""
    with pytest.raises(StoreError, match="path of Windows"):
        sqlite_path(r"sqlite:C:\data\upsim.db")
    with pytest.raises(StoreError, match=re.escape(r"write sqlite:C:\data\upsim.db")):
        sqlite_path(r"C:\data\upsim.db")


@pytest.mark.parametrize("name", ["a b.db", "what?.db", "50%.db", "a#b.db", "ü.db"])
def test_file_names_are_used_as_they_are(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No character of a path means anything else; relative paths begin at the current folder."""
    monkeypatch.chdir(tmp_path)
    with Simulator(store=f"sqlite:{name}"):
        assert (tmp_path / name).is_file()


def test_links_and_the_home_folder_are_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link and its target are one store, which one simulator at a time can open."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    assert sqlite_path("sqlite:~/link.db") == (tmp_path / "real.db").resolve()
    with (
        Simulator(store=f"sqlite:{tmp_path}/real.db"),
        pytest.raises(StoreError, match=f"in use by process {os.getpid()}"),
    ):
        Simulator(store=f"sqlite:{tmp_path}/link.db")


def test_fsync_without_a_file_is_wrong_usage() -> None:
    """A store in memory survives no power loss, so the option would promise what is not true."""
    found = CliRunner().invoke(main, ["serve", "--port", "0", "--fsync"])
    assert found.exit_code == 2
    assert "--fsync needs a store in a file; add --store sqlite:PATH" in found.stderr


@pytest.mark.parametrize("command", ["quote --duration 5 --size 2x2", "demo --help", "doctor"])
def test_other_commands_ignore_the_variable(command: str) -> None:
    """Commands other than `upsim serve` do not read UPSIM_STORE."""
    found = CliRunner().invoke(main, command.split(), env={"UPSIM_STORE": "no store"})
    plain = CliRunner().invoke(main, command.split())
    assert (found.exit_code, found.output) == (plain.exit_code, plain.output)


def test_the_server_of_verify_gets_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """`upsim verify --target socket` must not fill the user's store with its test jobs."""
    seen: dict[str, str] = {}

    def popen(_arguments: list[str], *, env: dict[str, str], **_: object) -> None:
        seen.update(env)
        raise ChildProcessError

    for name in ("UPSIM_STORE", "UPSIM_SERVE_STORE", "UPSIM_SERVE_DIALECT"):
        monkeypatch.setenv(name, "mine")
    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(ChildProcessError), verify._own_server():
        pass
    assert seen["PATH"] == os.environ["PATH"]
    assert not [name for name in seen if name.startswith("UPSIM_")]
