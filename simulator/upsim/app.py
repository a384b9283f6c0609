"""The composition root: join providers, scenarios and the engine in one Starlette application."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from threading import RLock
from typing import TYPE_CHECKING, Self

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from upsim.client.argument_checks import Numbers, check_choice, check_kind, check_number, check_text
from upsim.client.exceptions import ArgumentError
from upsim.core.baseline import BaselineError
from upsim.core.hosts import IN_PROCESS_NAME
from upsim.core.instants import SECOND
from upsim.engine.clock import ClockError
from upsim.engine.registry import Registry
from upsim.engine.sandbox import Sandbox
from upsim.engine.settings import ServerSettings
from upsim.engine.settings_check import check_settings
from upsim.engine.store import Store
from upsim.pipe_event_loop import new_loop
from upsim.providers import discover, folders, kinds
from upsim.scenario.durations import parse_seconds
from upsim.scenario.loader import Library
from upsim.store.address import opened
from upsim.web.admin import probes
from upsim.web.admin.events import Streams
from upsim.web.admin.guard import guarded
from upsim.web.admin.problems import AdminError, on_admin_error, on_http_error, problem, shown
from upsim.web.admin_access import PREFIX, AdminRule
from upsim.web.allowed_hosts import Door, Observer, OwnHosts
from upsim.web.clock_driver import move, until
from upsim.web.deliverer import Deliverer
from upsim.web.dispatch import Dispatch
from upsim.web.held_requests import HeldRequests
from upsim.web.landing_page import landing
from upsim.web.media_files import MediaApp
from upsim.web.media_safety_headers import ALWAYS, safely
from upsim.web.media_service import MediaService
from upsim.web.missing_prefix import MissingPrefix
from upsim.web.non_provider_log import reporting
from upsim.web.resource_shortages import on_shortage, short
from upsim.web.unwritable_store import ALWAYS_SERVED, is_unwritable
from upsim.web.url_parsing import ParsedUrl, UrlParser
from upsim.web.wrong_token import WrongToken

if TYPE_CHECKING:
    import httpx

    from upsim.transport import Transport
    from upsim.web.replay.export_document import Document
    from upsim.web.replay.session import ReplaySession

LIVEZ = f"{PREFIX}/livez"
"""The probe that needs no other admin call."""
UNSTORED = frozenset(f"{PREFIX}{path}" for path in ALWAYS_SERVED)
IN_PROCESS_HOST = f"http://{IN_PROCESS_NAME}"
_ADVANCES = Numbers("90", minimum=-(10**10), maximum=10**10)
ASYNC_CALL = (
    "a sync client cannot call an in-process simulator while an event loop runs in this thread; "
    "give its transport to an httpx.AsyncClient, or use `upsim serve` or the pytest plug-in"
)


class App(Starlette):
    """The whole simulator. Requests for providers and media bypass Starlette's own routing."""

    def __init__(
        self,
        settings: ServerSettings,
        *,
        store: Store | None = None,
        webhook_transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Connect the layers; files are read and workers started on first use.

        The sandboxes of `store` continue. Raises StoreError.
        """
        self.registry = Registry(
            settings,
            library=Library(folders=folders, kinds=kinds),
            providers=discover(),
            store=store,
        )
        self._url_parser = UrlParser(self.registry)
        self._media_service = MediaService(self.registry)
        self._media = MediaApp(self.registry, self._media_service)
        self.deliverer = Deliverer(self.registry, self, transport=webhook_transport)
        holds = HeldRequests(
            self.deliverer.clock_driver, settings.hold_seconds, in_process=settings.in_process
        )
        self.dispatch = Dispatch(
            registry=self.registry,
            url_parser=self._url_parser,
            media_service=self._media_service,
            held_requests=holds,
            media=self._media,
        )
        self._own = OwnHosts(settings)
        self.missing_prefix = MissingPrefix(self.registry, self._own)
        self._rule = AdminRule(settings.admin_token, local=settings.loopback)
        self.wrong_token = WrongToken(self._rule)
        super().__init__(
            routes=[Route("/", landing), Route(LIVEZ, probes.live)],
            exception_handlers={
                AdminError: on_admin_error,
                HTTPException: on_http_error,
                OSError: on_shortage,
            },
            lifespan=self._lifespan,
        )
        self.state.registry = self.registry
        self.state.deliverer = self.deliverer
        self.streams = self.state.streams = Streams()
        self._has_admin_calls = False

    def add_hosts(self, *hosts: str) -> None:
        """Accept these `host:port` forms too, because a socket was opened after the start."""
        self.registry.add_hosts(hosts)
        self.deliverer.add_hosts(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        try:
            place = self._url_parser.parse(scope)
        except OSError as error:
            await short(scope, error)(scope, receive, send)
            return
        if place.provider:
            await self.dispatch(scope, receive, send, place)
            return
        if is_unwritable(self.registry.store, scope) and place.path not in UNSTORED:
            text = f"{self.registry.store.problem}; try again later"
            await problem(503, "store_unavailable", text)(scope, receive, send)
            return
        try:
            await self._beside(scope, receive, send, place)
        except ClientDisconnect:
            return  # the client closed the connection before its body was complete
        except Exception:
            self.registry.crashes += 1  # the server around this application logs it and responds
            raise

    async def _beside(self, scope: Scope, receive: Receive, send: Send, place: ParsedUrl) -> None:
        """Serve requests that belong to no provider: files, pages and the admin API."""
        if place.path.startswith("/media/"):
            await self._serve_media(scope, receive, send, place.path[7:], place.sandbox)
            return
        reported = reporting(send, scope, self._media.reporters)
        if place.sandbox is not None:
            above = f"/sandbox/{place.sandbox[:80]}"
            hint = self.missing_prefix.hint(scope["method"], place.path, above)
            text = f"{above}/ serves only providers and /media/{hint}"
            await problem(404, "not_found", text)(scope, receive, reported)
        elif not (
            await self.missing_prefix.respond(scope, receive, send)
            or await guarded(self._rule, scope, receive, reported)
        ):
            if (scope["method"], scope["path"], scope["query_string"]) != ("GET", LIVEZ, b""):
                try:
                    self._add_admin_calls()
                except OSError as error:
                    await short(scope, error)(scope, receive, reported)
                    return
            await super().__call__(scope, receive, self.wrong_token.noting(scope, reported))

    def _add_admin_calls(self) -> None:
        """Import the admin API before the first request for it, not at the start."""
        if not self._has_admin_calls:
            from upsim.web.admin.app import routes

            self._has_admin_calls = True
            self.router.routes[:] = [Route("/", landing), *routes()]

    def fast_path(self, scope: Scope, body: bytes) -> ASGIApp:
        """Return the application for a complete request: an `HttpResponse` if nothing must wait."""
        try:
            place = self._url_parser.parse(scope)
        except OSError as error:
            return short(scope, error)
        return self.dispatch.fast_path(scope, body, place) if place.provider else self

    def door(self, base: str, *observers: Observer) -> Door:
        """Return this application with the URL of a loopback socket, `base`."""
        return Door(self, self._own, self._url_parser.provider_at, base, self.fast_path, observers)

    def close(self) -> None:
        """Stop workers and remove files."""
        for desk in {self._media_service, self.dispatch.media_service}:  # a replay has its own
            desk.close()
        self.registry.close()

    async def _serve_media(
        self, scope: Scope, receive: Receive, send: Send, path: str, name: str | None
    ) -> None:
        sandbox = self.registry.default if name is None else self.registry.sandboxes.get(name)
        if sandbox is None:
            text = f"there is no sandbox {shown(name)}"
            reported = reporting(send, scope, self._media.reporters)
            await problem(404, "unknown_sandbox", text)(scope, receive, safely(reported, ALWAYS))
            return
        await self._media(scope, receive, send, path=path, sandbox=sandbox)

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self.registry.store.flush()
        self.deliverer.rouse_all(self.registry.sandboxes.values())
        yield
        self.streams.close()
        await self.deliverer.close()
        self.close()


def app_for(document: Document) -> App:
    """Return an application in which an export can be replayed. Raises ExportError."""
    from upsim.web.replay.export_document import ExportError
    from upsim.web.replay.recorded_parts import settings_of

    try:
        return App(settings_of(document))
    except BaselineError as error:
        raise ExportError(f"the server of this export cannot be recreated: {error}") from error


class Simulator:
    """The simulator in this process: no socket, no thread.

    Use it in a `with` block and pass `transport()` to an httpx client, sync or async.
    """

    def __init__(  # noqa: PLR0913 - one argument for each option
        self,
        scenario: str | os.PathLike[str] | Mapping[str, object] | None = None,
        *,
        clock: str = "auto",
        seed: int = 0,
        start: int | None = None,
        strict_keys: bool = False,
        dialect: str | None = None,
        render: str = "synthetic",
        jobs_max: int = 100_000,
        webhook_timestamp: str = "wall",
        webhook_seconds: float | None = None,
        webhook_transport: httpx.AsyncBaseTransport | None = None,
        store: str = "memory:",
    ) -> None:
        """Start a server with one sandbox, `default`; the admin API can create more.

        `scenario` is a name, a path, or a mapping with the content of a scenario file.
        `webhook_seconds` is the real time to wait for a receiver, by default the provider's limit.
        `webhook_transport` sends every webhook that is not for an inbox, instead of a socket.
        `store` is `sqlite:PATH` for sandboxes that continue when a simulator opens the file again.
        Raises ArgumentError for a wrong argument, StoreError for a store that cannot be opened.
        """
        settings = ServerSettings(
            hosts=(IN_PROCESS_HOST.removeprefix("http://"),),
            scenario=os.fspath(scenario) if isinstance(scenario, os.PathLike) else scenario,
            clock=clock,
            pace=1,
            seed=seed,
            start=start,
            strict_keys=strict_keys,
            dialect=dialect,
            render=render,
            jobs_max=jobs_max,
            admin_token="in-process",  # noqa: S106 - no other process can reach this server
            in_process=True,
            webhook_timestamp=webhook_timestamp,
            webhook_seconds=webhook_seconds,
        )
        check_settings(settings)
        check_text("store", store, "'sqlite:upsim.db'")
        if webhook_transport is not None:
            _check_transport(webhook_transport)
        kept = opened(store, seed=seed)
        try:
            self.app = App(settings, store=kept, webhook_transport=webhook_transport)
        except BaseException:
            kept.abandon()
            raise
        self._runner: asyncio.Runner | None = None
        self._one_thread = RLock()

    @property
    def registry(self) -> Registry:
        """The registry of all sandboxes."""
        return self.app.registry

    @property
    def sandbox(self) -> Sandbox:
        """The sandbox `default`."""
        return self.app.registry.default

    def base_url(self, provider: str, dialect: str = "", *, sandbox: str = "") -> str:
        """Return the URL prefix of a provider's own paths, or of the server for an empty name.

        Raises ArgumentError for an unknown provider or dialect.
        """
        if provider != "":
            check_choice("provider", provider, self.registry.providers)
        if provider and dialect != "":
            known = self.registry.library.baseline(provider).baseline.dialects
            check_choice("dialect", dialect, known)
        check_kind("sandbox", sandbox, str, "the id of a sandbox")
        named = f"/sandbox/{sandbox}" if sandbox else ""
        return f"{IN_PROCESS_HOST}{named}/{provider}" + (f"/{dialect}" if dialect else "")

    def transport(self) -> Transport:
        """Return a transport for `httpx.Client` and `httpx.AsyncClient`."""
        from upsim.transport import Transport

        return Transport(self._settled, self._run)

    async def _settled(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request; nothing is sent before what it changed is kept."""

        async def kept(message: Message) -> None:
            self.registry.store.flush()
            await send(message)

        await self.app(scope, receive, kept)

    @staticmethod
    def replaying(session: object) -> ReplaySession:
        """Return a step-by-step replay of an export, as `upsim replay --pytest` writes it.

        Raises ExportError if `session` is not an export.
        """
        from upsim.web.replay.export_document import known
        from upsim.web.replay.session import ReplaySession

        document = known(session, name="the session")
        return ReplaySession(app_for(document), document)

    def advance(self, seconds: float | str) -> None:
        """Advance the clock of the sandbox `default`, and run everything that becomes due.

        `seconds` is a number, or a duration with a unit such as `3h`. Webhooks that became due are
        delivered before this returns. If an event loop is running (use `advance_async` then), the
        loop delivers them soon after.
        """
        sandbox = self.sandbox
        if _loop_is_running():
            move(sandbox, sandbox.run_due() + _micros(seconds))
        else:
            self._run(lambda: self.advance_async(seconds))

    async def advance_async(self, seconds: float | str) -> None:
        """Advance the clock like `advance`, for programs with an event loop."""
        micros = _micros(seconds)
        timeline = self.app.deliverer.clock_driver
        await timeline.advance(self.sandbox, lambda box: until(box, box.run_due() + micros))

    def close(self) -> None:
        """Stop workers and remove files."""
        if self._runner is not None:
            self._runner.close()
            self._runner = None
        self.app.close()

    def __enter__(self) -> Self:
        """Return the simulator itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the simulator."""
        self.close()

    def _run(self, call: Callable[[], Coroutine[None, None, object]]) -> object:
        if _loop_is_running():
            raise RuntimeError(ASYNC_CALL)
        with self._one_thread, self.app.deliverer.by_hand():
            if self._runner is None:
                self._runner = asyncio.Runner(loop_factory=new_loop)
            loop = self._runner.get_loop()
            task = loop.create_task(self._and_deliver(call))
            try:  # not `Runner.run`: setting its signal handler takes most of the time of a call
                return loop.run_until_complete(task)
            finally:
                task.cancel()  # Ctrl-C came first

    async def _and_deliver(self, call: Callable[[], Coroutine[None, None, object]]) -> object:
        """Run a request, then deliver its webhooks: nothing else runs between sync requests."""
        found = await call()
        await self.app.deliverer.flush_all()
        self.registry.store.flush()
        return found


def _micros(seconds: float | str) -> int:
    """Return the seconds of an advance in microseconds.

    Raises ArgumentError if `seconds` is no duration, ClockError if it is negative.
    """
    if isinstance(seconds, str):
        try:
            return round(parse_seconds(seconds) * SECOND)
        except ValueError as error:
            raise ArgumentError(f"seconds: {error}") from None
    check_number("seconds", seconds, _ADVANCES)
    if seconds < 0:
        msg = f"a clock never goes back (asked for {seconds} s)"
        raise ClockError(msg)
    return round(seconds * SECOND)


def _check_transport(transport: object) -> None:
    """Raise ArgumentError for a webhook transport that httpx cannot use."""
    import httpx  # not at every start of a simulator

    form = "an httpx.AsyncBaseTransport"
    check_kind("webhook_transport", transport, httpx.AsyncBaseTransport, form)


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
