"""The interface of a provider: its operations, checks and error format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from upsim.core.call import Call, Carried, Content, FileReply, Hold, Reply
from upsim.core.check_inputs import CheckUses
from upsim.core.checks import Check, Violation
from upsim.core.jobs import Job
from upsim.core.random_source import RandomSource
from upsim.core.secrets import NONE, Secrets
from upsim.core.unread_fields import NO_FIELDS, Reads

Kind = Literal["submit", "poll", "read", "write", "upload"]
"""`submit` creates jobs and `poll` reads one; both count for rate limits and for `auto` clocks."""


def _none_idle(_call: Call) -> Mapping[str, str]:
    return NO_FIELDS


class Operation(msgspec.Struct, frozen=True):
    """One method and path of a provider, named as in its documentation.

    `{name}` in the path is one segment, `{name*}` the remaining path.

    * `refuses`: the operation only returns a refusal; `Allow` does not list its method.
    * `file`: finds the file in a body. The file is stored before the checks run, which find
      it in `Call.file`. The function may take long and runs outside of the event loop, so it
      may use only the call and its body.
    * `reads`: the fields of a JSON body besides the options of its model; `query`: the
      parameters of the query. The log names all other fields and parameters.
    * `idle`: returns the fields that the provider accepts without effect, in the form of
      `core/unread_fields.py`.
    * `answers`: the dotted paths of the fields that the response may have, with 0 for a list
      index and `.*` for any field below; empty if they are not known.
    * `options_at`: the path of the object that holds the options of the model.
    """

    name: str
    method: str
    path: str
    handle: Callable[[Call], Reply | FileReply | Hold]
    kind: Kind = "read"
    secrets: Secrets = NONE
    refuses: bool = False
    file: Callable[[Call, Content], Carried | None] | None = None
    reads: Reads = msgspec.field(default_factory=dict)
    query: frozenset[str] = frozenset()
    idle: Callable[[Call], Mapping[str, str]] = _none_idle
    answers: frozenset[str] = frozenset()
    options_at: tuple[str, ...] = ()

    @property
    def reads_options(self) -> bool:
        """Whether the options of a model are fields of the body."""
        return self.kind in ("submit", "read")


class Attempt(msgspec.Struct, frozen=True):
    """The input for the headers of one attempt: its id, secret, Unix second and content."""

    delivery: str
    secret: str
    seconds: int
    content: bytes


class Notice(msgspec.Struct, frozen=True):
    """The webhooks that a provider posts.

    `body` is created once for all attempts, at this Unix second; `headers` for each attempt.
    `call` is not a client request; it only carries the job's rules, sandbox and base URL.
    """

    body: Callable[[Call, Job, int], object]
    headers: Callable[[Call, Job, Attempt], Mapping[str, str]]
    secrets: Secrets = NONE


class Provider(msgspec.Struct, frozen=True):
    """A company whose API is emulated.

    `scenarios` is the folder of the baseline if the provider comes from another package.
    `failure` is the failure of a job that is made to fail without a reason; by default the
    first failure of the catalogue. `uses` lists which checks depend on other checks.
    """

    name: str
    operations: tuple[Operation, ...]
    checks: Mapping[str, Check]
    problem: Callable[[Call, Violation], Reply]
    draw_id: Callable[[RandomSource], str]
    headers: Callable[[Call, Reply], tuple[tuple[bytes, bytes], ...]] | None = None
    aliases: Mapping[str, str] = msgspec.field(default_factory=dict)
    scenarios: Path | None = None
    notice: Notice | None = None
    failure: str = ""
    uses: CheckUses = msgspec.field(default_factory=CheckUses)
