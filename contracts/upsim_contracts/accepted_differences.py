"""Known differences that a team accepts. A run that finds only known differences passes.

They are listed in a YAML file, each with the reason and the day on which it was accepted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from upsim.client.clocks import wall
from upsim_contracts.exceptions import ContractFileError, UsageError
from upsim_contracts.report_files import write_file
from upsim_contracts.yaml12 import read_given
from upsim_contracts.yaml_writer import quoted

HEAD = """\
# Differences from the documents that are known and accepted. `upsim verify --accept {name}` and
# `upsim drift --accept {name}` end well with these alone. `--accept-new REASON` adds to them.
known:
"""
TOOLS = ("verify", "drift")
_BLOCK = re.compile(r"(    \w+: \S.*|\s*(#.*)?)\Z")


@dataclass(frozen=True, slots=True)
class KnownDifference:
    """The text of a difference in `verify` or `drift`, the reason to accept it, and the date."""

    seen_by: str
    provider: str
    difference: str
    reason: str
    accepted: date

    def __str__(self) -> str:
        """Return the day and the reason."""
        return f"accepted on {self.accepted}: {self.reason}"


def today() -> date:
    """Return the day in UTC."""
    return datetime.fromtimestamp(wall(), UTC).date()


class AcceptedDifferences:
    """The differences that a run of one tool accepts, read from a YAML file."""

    def __init__(
        self, tool: str, file: Path | None = None, new: str | None = None, *, today: date
    ) -> None:
        """Read the file; `new` is the reason under which all unknown differences are accepted too.

        Raises UsageError if the file cannot be read, or if the reason is empty.
        """
        if new is not None and file is None:
            raise UsageError("--accept-new adds to a file: name it by --accept FILE")
        if new is not None and not new.strip():
            raise UsageError("--accept-new needs a reason, such as 'prices rose, ticket 123'")
        self._tool, self._file, self._reason, self._today = tool, file, new, today
        self._all = [] if file is None else read_known(file, is_made=new is not None)
        if new is not None and file is not None and self._all:
            _check_block(file)
        self._known = {
            (one.provider, one.difference): one for one in self._all if one.seen_by == tool
        }
        self._seen: set[KnownDifference] = set()
        self._new: list[KnownDifference] = []

    def find(self, provider: str, difference: str) -> KnownDifference | None:
        """Return the entry that accepts a difference; None if the difference is not accepted."""
        found = self._known.get((provider, difference))
        if found is None and self._reason is not None:
            found = KnownDifference(self._tool, provider, difference, self._reason, self._today)
            self._known[provider, difference] = found
            self._new.append(found)
        if found is not None:
            self._seen.add(found)
        return found

    def gone(self, providers: Iterable[str]) -> list[KnownDifference]:
        """Return the accepted differences of these providers that this run did not find."""
        whole = set(providers)
        return [
            one for one in self._known.values() if one.provider in whole and one not in self._seen
        ]

    def end(self, providers: Iterable[str], say: Callable[[str], None]) -> None:
        """Report accepted differences that were not found, and write new entries to the file.

        Only providers whose whole run is in `providers` are reported.

        Raises UsageError if the file cannot be written.
        """
        for one in self.gone(providers):
            say(f"no longer seen, so take it out of {self._file}: {one.provider}: {one.difference}")
        if self._file is None or not self._new:
            return
        before = ""
        if self._file.exists():
            before = self._file.read_text("utf-8").rstrip("\n") + "\n"
        text = before if self._all else before + HEAD.format(name=self._file.name)
        write_file(self._file, text + "".join(map(_written, self._new)))
        say(f"{len(self._new)} accepted from now on, in {self._file}")


def read_known(file: Path, *, is_made: bool = False) -> list[KnownDifference]:
    """Return the entries of a file of accepted differences; none if the file is still to be made.

    Raises UsageError with the place of the mistake.
    """
    if is_made and not file.exists():
        return []
    try:
        document = read_given(file)
    except ContractFileError as error:
        raise UsageError(f"--accept: {error}") from error
    if document is None:
        return []
    if not isinstance(document, dict) or document.keys() != {"known"}:
        raise UsageError(f"--accept: {file}: expected one key, known, with a list")
    entries = document["known"] or []
    if not isinstance(entries, list):
        raise UsageError(f"--accept: {file}: known: expected a list, found {_kind(entries)}")
    return [_known(f"{file}: known.{number}", one) for number, one in enumerate(entries)]


def _check_block(file: Path) -> None:
    """Check that an entry can be appended to a file. Raises UsageError if not."""
    last = file.read_text("utf-8").rstrip("\n").rpartition("\n")[2]
    if not _BLOCK.match(last):
        raise UsageError(
            f"--accept-new: cannot add to {file}: write its list with a line for each key, "
            f"indented by four spaces; the last line is {last!r:.80}"
        )


def _known(place: str, entry: Any) -> KnownDifference:  # noqa: ANN401 - any YAML
    names = [one.name for one in fields(KnownDifference)]
    if not isinstance(entry, dict) or entry.keys() != set(names):
        found = ", ".join(map(str, entry)) if isinstance(entry, dict) else _kind(entry)
        raise UsageError(f"--accept: {place}: expected the keys {', '.join(names)}; found {found}")
    for name, value in entry.items():
        if not isinstance(value, str) or not value.strip():
            raise UsageError(f"--accept: {place}.{name}: expected a text, found {_kind(value)}")
    if entry["seen_by"] not in TOOLS:
        expected = " or ".join(TOOLS)
        raise UsageError(
            f"--accept: {place}.seen_by: expected {expected}, found {entry['seen_by']!r}"
        )
    try:
        day = date.fromisoformat(entry["accepted"])
    except ValueError as error:
        text = f"expected a day such as 2026-11-30, found {entry['accepted']!r}"
        raise UsageError(f"--accept: {place}.accepted: {text}") from error
    return KnownDifference(**{**entry, "accepted": day})


def _kind(value: object) -> str:
    return "nothing" if value is None or value == "" else f"{value!r:.80}"


def _written(one: KnownDifference) -> str:
    values: Sequence[tuple[str, str]] = [
        ("seen_by", one.seen_by),
        ("provider", one.provider),
        ("difference", quoted(one.difference)),
        ("reason", quoted(one.reason)),
        ("accepted", one.accepted.isoformat()),
    ]
    (first, value), *rest = values
    return "\n".join(
        [f"  - {first}: {value}", *(f"    {name}: {value}" for name, value in rest), ""]
    )
