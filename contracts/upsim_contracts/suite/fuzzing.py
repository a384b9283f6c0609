"""Run schemathesis over one document: examples, coverage, fuzzing and sequences by links.

Every case gets its own sandbox; in a sequence, every scenario. The provider's
`schemathesis.toml` lists the failures that no schema can prevent. schemathesis is imported only
when it runs, since its import is slow.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from secrets import randbelow
from typing import TYPE_CHECKING, Any

from upsim_contracts.documents.openapi import without_retired
from upsim_contracts.documents.response_checks import contract
from upsim_contracts.suite.fuzzing_formats import HOST, formats
from upsim_contracts.suite.fuzzing_rules import described, exceptions, operation_of, rules
from upsim_contracts.suite.sandbox_pool import PooledSandbox, SandboxPool

if TYPE_CHECKING:
    from schemathesis import Response
    from schemathesis.schemas import BaseSchema

    from upsim_contracts.suite.fuzzing_rules import Case

MAX_SEED = 2**32
# Nothing is taken over from other answers: they belong to other sandboxes.
SOURCES: Mapping[str, Mapping[str, object]] = {
    name: {"extra-data-sources": {"responses": False}}
    for name in ("examples", "coverage", "fuzzing")
}


@dataclass(frozen=True, slots=True)
class Profile:
    """The amount of searching: examples of an operation, scenarios and their steps, and the seed.

    Without a seed, a random seed is used and printed with the failures.
    """

    examples: int = 10
    scenarios: int = 8
    steps: int = 6
    seed: int | None = 1


PROFILES = {
    "ci": Profile(),
    "nightly": Profile(examples=300, scenarios=200, steps=12, seed=None),
}


@dataclass(slots=True)
class FuzzingResult:
    """The findings of a run: failures, and responses by operation and status."""

    seed: int
    failures: dict[str, None] = field(default_factory=dict)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)

    def report(self) -> str:
        """Return the failures with the seed that reproduces them; empty if there are none."""
        return "\n\n".join([f"seed {self.seed}", *self.failures]) if self.failures else ""

    def accepted(self, operation: str) -> int:
        """Return how often an operation succeeded."""
        return sum(
            n
            for (name, status), n in self.answers.items()
            if (name, status // 100) == (operation, 2)
        )


class Fuzzing:
    """Fuzzing runs of one document against one application."""

    def __init__(
        self,
        app: Any,  # noqa: ANN401 - an ASGI application
        provider: str,
        dialect: str,
        part: str = "",
        profile: Profile | None = None,
    ) -> None:
        """Prepare to fuzz `app`, which serves a provider below `/<provider>/<dialect>`."""
        self._contract = contract(provider, dialect, part)
        self._rules = rules(provider)
        self._places = SandboxPool(app, provider, self._rules.key)
        self._profile = profile or Profile()
        self._exceptions = exceptions(provider)
        self._app = app
        self._prefix = f"/{provider}/{dialect}"
        seed = self._profile.seed
        self.result = FuzzingResult(seed=randbelow(MAX_SEED) if seed is None else seed)

    def calls(self) -> FuzzingResult:
        """Run examples, coverage and fuzzing of single requests."""
        from schemathesis.engine import events, from_schema

        schema = self._schema(phases=("examples", "coverage", "fuzzing"))
        with _sandboxes_while_drawing(), self._formats():
            for event in from_schema(schema).execute():
                if isinstance(event, events.ScenarioFinished):
                    self._take(event.recorder)
                elif isinstance(event, events.NonFatalError):
                    self.result.failures[f"{event.label}: {event.info.format()}"] = None
                elif isinstance(event, events.FatalError):
                    raise event.exception
        return self.result

    def sequences(self) -> FuzzingResult:
        """Run sequences of requests along the links of the document, if it has any."""
        import hypothesis
        from schemathesis.core.errors import NoLinksFound
        from schemathesis.core.failures import FailureGroup

        schema = self._schema(phases=("stateful",))
        fuzzing = self

        class Machine(schema.as_state_machine()):  # type: ignore[misc]  # made at run time
            def setup(self) -> None:
                fuzzing._places.enter()

            def after_call(self, response: Response, case: Case) -> None:
                super().after_call(response, case)
                fuzzing._judge(case, response)

        settings = hypothesis.settings(
            max_examples=self._profile.scenarios,
            stateful_step_count=self._profile.steps,
            deadline=None,
            database=None,
            derandomize=self._profile.seed is not None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        if self._profile.seed is None:
            hypothesis.seed(self.result.seed)(Machine)
        try:
            with _sandboxes_while_drawing(), self._formats(), suppress(NoLinksFound):
                Machine.run(settings=settings)
        except FailureGroup as group:
            self.result.failures |= dict.fromkeys(map(str, group.exceptions))
        return self.result

    def _judge(self, case: Case, response: Response) -> None:
        """Count a response, and check it against the document with our own checks too."""
        name = operation_of(case)
        self.result.answers[name, response.status_code] += 1
        operation = self._contract.operations[name]
        if response.request.method == operation.method:
            headers = {header: values[0] for header, values in response.headers.items()}
            found = self._contract.check(operation, response.status_code, headers, response.content)
            self.result.failures |= dict.fromkeys(map(str, found))

    def _formats(self) -> AbstractContextManager[None]:
        return formats(self._places.clip(), data_urls=self._rules.data_urls)

    def _schema(self, phases: tuple[str, ...]) -> BaseSchema:
        import schemathesis

        raw = as_floats(
            without_retired(self._contract.document)
        )  # a copy, which schemathesis changes
        raw["servers"] = [{"url": f"{HOST}{self._prefix}"}]
        schema = schemathesis.openapi.from_dict(raw, config=self._config(phases))
        schema.app = self._app
        per_case = phases != ("stateful",)
        places = self._places

        class Key:
            def get(self, _case: Case, _context: object) -> PooledSandbox:
                return places.enter() if per_case else places.here

            def set(self, case: Case, data: PooledSandbox, _context: object) -> None:
                case.headers[data.header] = data.value

        schema.auth(refresh_interval=None)(Key)

        return schema

    def _config(self, phases: tuple[str, ...]) -> Any:  # noqa: ANN401 - schemathesis is not here yet
        import schemathesis

        generation = {
            "deterministic": self._profile.seed is not None,
            "database": "none",
            "allow-x00": True,
        }
        return schemathesis.Config.from_dict(
            {
                "seed": self.result.seed,
                "generation": {**generation, "max-examples": self._profile.examples},
                "phases": {
                    name: {"enabled": name in phases, **SOURCES.get(name, {})}
                    for name in ("examples", "coverage", "fuzzing", "stateful")
                },
                "analysis": {"constants": {"enabled": False}},
                **self._exceptions,
            }
        )

    def _take(self, recorder: Any) -> None:  # noqa: ANN401 - schemathesis is not here yet
        for name, interaction in recorder.interactions.items():
            if interaction.response is not None:
                self._judge(recorder.cases[name].value, interaction.response)
        for name, checks in recorder.checks.items():
            for check in checks:
                if check.failure_info is not None:
                    failure = check.failure_info.failure
                    text = f"{check.name}: {failure}\n{described(recorder.cases[name].value)}\n"
                    self.result.failures[text + check.failure_info.code_sample] = None


def unmet(result: FuzzingResult, provider: str, part: str = "") -> Iterator[str]:
    """Yield the operations with fewer accepted requests than the provider's rules require."""
    for operation, floor in rules(provider).accepted.items():
        if operation not in contract(provider, part=part).operations:
            continue
        seen = result.accepted(operation)
        if seen < floor:
            yield f"{operation}: accepted {seen} times, at least {floor} are needed"


@contextmanager
def _sandboxes_while_drawing() -> Iterator[None]:
    """Give a case its key while it is generated; the application makes a sandbox for the key.

    The application may use the module `random` at this time, for example for a file name.
    Hypothesis would warn about that, although no generated value depends on it.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Do not use the `random` module")
        yield


def as_floats(node: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a copy with floats instead of Decimals, which schemathesis does not support."""
    if isinstance(node, dict):
        return {name: as_floats(value) for name, value in node.items()}
    if isinstance(node, list):
        return [as_floats(value) for value in node]
    return float(node) if isinstance(node, Decimal) else node
