"""Add members to the corpus of exports: `python -m tests.exports.make [GROUP...]`.

Run it in the root folder of the tree after you added a scenario or a history. It writes the members
that are missing and leaves all others as they are. To write the members of a group again, delete
the file of the group first; CONTRIBUTING.md says when one may.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping

from tests.exports.concurrency import concurrent
from tests.exports.corpus import Member, played, read_group, texts, write_group
from tests.exports.histories import SEQUENCES, Histories, History
from tests.exports.machines import machines

GROUPS: Mapping[str, Callable[[], Histories]] = {
    **SEQUENCES,
    "concurrency": concurrent,
    "machines": machines,
}


def made(name: str, history: History) -> Member:
    """Run a history and return its member. Raises RuntimeError if its export does not replay."""
    member = Member(name, json.loads(json.dumps(history())))
    report, bodies = played(member.document)
    if not report.same or report.unanswered or not report.compared:
        raise RuntimeError(f"{name} does not replay: {report}")
    return Member(name, member.export, texts(bodies))


def add(group: str) -> str:
    """Add what is missing in a group, and return a line about the group."""
    members = {member.name: member for member in read_group(group)}
    missing = [(name, history) for name, history in GROUPS[group]() if name not in members]
    for name, history in missing:
        members[name] = made(name, history)
    size = write_group(group, members.values())
    return f"{group}: {len(members)} members, {len(missing)} of them new, {size} bytes"


def main(chosen: list[str]) -> None:
    """Add what is missing in these groups, or in all groups."""
    for group in chosen or GROUPS:
        sys.stdout.write(f"{add(group)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
