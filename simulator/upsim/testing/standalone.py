"""Interception without pytest: a simulator, a sandbox and the changed libraries in one block."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from decimal import Decimal
from functools import wraps
from inspect import isasyncgenfunction, isclass, iscoroutinefunction, isgeneratorfunction
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from upsim.testing.sandboxes import SandboxHandle
from upsim.testing.session import PytestSession

__tracebackhide__ = True  # for pytest: a failing test shows its own line, not ours
Amount = Decimal | str | int
NAME = "intercept"
_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


class StandaloneInterception(AbstractContextManager[SandboxHandle]):
    """A block, or a decorator; each time it begins it has a sandbox of its own."""

    def __init__(self, asked: Mapping[str, Any]) -> None:
        """Made by `intercept`."""
        self._asked = asked
        self._lasting: list[ExitStack] = []

    def __enter__(self) -> SandboxHandle:
        """Make the sandbox, and lead calls to it."""
        with ExitStack() as stack:
            session = PytestSession("sim", seed=0, token="", protocol=lambda: asyncio.Protocol)
            stack.callback(session.close)
            sandbox = stack.enter_context(session.sandbox(NAME, self._asked))
            stack.enter_context(sandbox.intercept())
            self._lasting.append(stack.pop_all())
        return sandbox

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Put everything back, and remove the sandbox."""
        self._lasting.pop().close()

    def __call__(self, function: Callable[_Given, _Result]) -> Callable[_Given, _Result]:
        """The function, sync or async, within such a block.

        Raises TypeError for what would do its work when the block is over.
        """
        if isgeneratorfunction(function) or isasyncgenfunction(function) or isclass(function):
            raise TypeError(
                f"{function!r} is no plain function, and would do its work when the interception"
                " is over; write `with upsim.intercept():` within it"
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
    """While the block lasts, calls to the providers' own hosts reach a sandbox in this process.

    Those of httpx, requests and aiohttp, sync and async, from any thread; with any key. As a
    decorator it is such a block around each call of a function, sync or async.
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
