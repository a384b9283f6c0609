"""Interception without pytest: one block with a simulator, a sandbox and patched libraries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from decimal import Decimal
from functools import wraps
from inspect import isasyncgenfunction, isclass, iscoroutinefunction, isgeneratorfunction
from typing import Any, ParamSpec, TypeVar, cast

from upsim.testing.sandboxes import SandboxHandle
from upsim.testing.simulator_session import PytestSession

__tracebackhide__ = True  # for pytest: a failing test shows its own line, not ours
Amount = Decimal | str | int
NAME = "intercept"
_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


class StandaloneInterception(AbstractContextManager[SandboxHandle]):
    """A context manager that is also a decorator; each use creates a new sandbox."""

    def __init__(self, asked: Mapping[str, Any]) -> None:
        """Keep the options; call `intercept` instead of this."""
        self._asked = asked
        self._lasting: list[ExitStack] = []

    def __enter__(self) -> SandboxHandle:
        """Create the sandbox, and redirect requests to it."""
        with ExitStack() as stack:
            session = PytestSession("sim", seed=0, token="", protocol=lambda: asyncio.Protocol)
            stack.callback(session.close)
            sandbox = stack.enter_context(session.sandbox(NAME, self._asked))
            stack.enter_context(sandbox.intercept())
            self._lasting.append(stack.pop_all())
        return sandbox

    def __exit__(self, *_error: object) -> None:
        """Restore the libraries, and remove the sandbox."""
        self._lasting.pop().close()

    def __call__(self, function: Callable[_Given, _Result]) -> Callable[_Given, _Result]:
        """Return the function, sync or async, wrapped in such a block.

        Raises TypeError for generators, and for functions whose work continues after they return.
        """
        if isgeneratorfunction(function) or isasyncgenfunction(function) or isclass(function):
            raise TypeError(
                f"{function!r} is not a plain function: it would run after the interception"
                " is over; write `with upsim.intercept():` inside it"
            )
        if iscoroutinefunction(function):

            @wraps(function)
            async def waited(*args: _Given.args, **kwargs: _Given.kwargs) -> Any:  # noqa: ANN401 - what the function gives
                with StandaloneInterception(self._asked):
                    return await function(*args, **kwargs)

            return cast("Callable[_Given, _Result]", waited)

        @wraps(function)
        def called(*args: _Given.args, **kwargs: _Given.kwargs) -> _Result:
            with StandaloneInterception(self._asked):
                return function(*args, **kwargs)

        return called


def intercept(
    scenario: str | Mapping[str, object] | None = None,
    *,
    balance: Amount | Mapping[str, Amount] | None = None,
    clock: str | Mapping[str, str] | None = None,
    seed: int | None = None,
    dialect: str | Mapping[str, str] | None = None,
    strict_keys: bool | None = None,
) -> StandaloneInterception:
    """Redirect requests for the providers' own hosts to a sandbox in this process.

    The redirection works for httpx, requests and aiohttp, sync and async, in any thread, with any
    key. Use it in a `with` block, or as a decorator of a sync or async function.
    """
    asked = {
        "scenario": scenario,
        "balance": balance,
        "clock": clock,
        "seed": seed,
        "dialect": dialect,
        "strict_keys": strict_keys,
    }
    return StandaloneInterception(asked)
