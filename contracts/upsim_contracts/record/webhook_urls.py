"""Replace webhook URLs in requests by URLs of the recorder, so that deliveries pass it too.

Each webhook URL is replaced by a URL with a token that only the provider gets. A delivery to it
is forwarded only to the client's URL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlsplit

import httpx

from upsim.client.request_guard import canonical, is_loopback
from upsim_contracts.cassettes.bounded_json import encoded, has_repeats, parsed
from upsim_contracts.cassettes.text_windows import substituted
from upsim_contracts.documents.webhook_checks import Callback, callbacks_of
from upsim_contracts.expected_responses import at
from upsim_contracts.facts.fact_files import Book
from upsim_contracts.facts.webhook_messages import Checked
from upsim_contracts.record.link_rewriting import MAX_KEPT_LENGTH, remember
from upsim_contracts.record.upstream import Upstream

STEP = "/upsim-webhooks/"
"""The path before the token in a URL of the recording."""
TOKEN_BYTES, TOKEN_LENGTH = 32, 43
MAX_SECRETS = 20
"""Webhook secrets that are tried: the latest in the provider's responses."""
MAX_NOTED = 100
"""Lines about webhooks that are not recorded, or not delivered."""
_PORTS = range(1, 2**16)
_USUAL = {"http": 80, "https": 443}


@dataclass(slots=True)
class WebhookUrl:
    """A client's webhook URL.

    `number` is the same in the lines of a request and its deliveries.
    """

    number: int
    url: str
    callback: Callback
    path: str
    secret: str
    taken: int = 0


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """A request as the provider gets it; `hook` is the number of its webhooks, if it has any."""

    path: str
    body: bytes
    hook: int | None = None


class WebhookUrls:
    """The webhooks of a recording, by the tokens in their URLs. Thread-safe."""

    def __init__(
        self,
        target: Upstream,
        book: Book,
        base: str | None,
        say: Callable[[str], None],
        *,
        receivers: frozenset[str] | None = None,
        own: frozenset[str] = frozenset(),
        secret: str = "",
    ) -> None:
        """Receive webhooks at `base`, the recorder's URL for the provider; None receives none.

        `receivers` are the allowed hosts of receivers besides loopback; None allows all.
        `own` are the recorder's own `host:port` forms, which are not allowed as receivers.
        """
        self.telling = book.telling
        self.public = base is not None and urlsplit(base).netloc not in own
        """Whether clients on other machines can reach the URL for webhooks."""
        self._target = target
        self._base = base
        self._say = say
        self._receivers = receivers
        hosts = (urlsplit(url).netloc for url in (target.base, *target.hosts.values()))
        self._upstream = {door for netloc in hosts for door in _doors(netloc)}
        self._own = {door for netloc in own for door in _doors(netloc)}
        self._secret = secret
        self._asked = book.calls.get((book.telling.secret or {}).get("call", ""))
        self._kept: dict[str, WebhookUrl] = {}
        self._told: dict[str, None] = {}
        self._numbers = count(1)
        self._noted: set[str] = set()
        form = re.escape(f"{base}{STEP}").replace("/", r"\\?/")
        self._form = re.compile(rf"{form}([\w-]{{{TOKEN_LENGTH}}})".encode())

    def outgoing(self, method: str, path: str, body: bytes) -> OutgoingRequest:
        """Return a request in which the recorder's URLs replace the webhook URLs."""
        found = OutgoingRequest(path, body)
        for callback in callbacks_of(self._target.provider, self._target.dialect, method, path):
            found = self._replaced(callback, found)
        return found

    def find(self, path: str) -> WebhookUrl | None:
        """Return the webhook of a delivery's path; None for a token that was never issued."""
        return self._kept.get(path.rpartition(STEP)[2])

    def answered(self, method: str, path: str, body: bytes) -> bytes:
        """Return a response with the client's webhook URLs; remember a webhook secret in it."""
        self._learn(method, path, body)
        return self.restored(body)

    def restored(self, body: bytes) -> bytes:
        """Return a provider's body in which the client's URLs replace the recorder's URLs."""
        if not self._kept or STEP.strip("/").encode() not in body:
            return body
        return substituted(self._form, self._original, body)

    def checked(self, hook: WebhookUrl, headers: Mapping[str, str], body: bytes) -> Checked:
        """Return the result of the signature check, such as `valid` or `unchecked`."""
        known = [hook.secret] if self.telling.chosen else [self._secret] if self._secret else None
        return self.telling.checked(headers, body, [*self._told] if known is None else known)

    def note(self, line: str) -> None:
        """Print a line, unless it was printed before."""
        if line not in self._noted and len(self._noted) < MAX_NOTED:
            self._noted.add(line)
            self._say(line)

    def _replaced(self, callback: Callback, given: OutgoingRequest) -> OutgoingRequest:
        document = None if callback.query else _document(given.body)
        urls = dict.fromkeys(callback.urls(given.path, document))
        named = [url for url in urls if self._is_taken(url)]
        if self._base is None or not named:
            return given
        number = next(self._numbers)
        new = {url: self._add(number, url, callback, given.path, document) for url in named}
        path, changed = callback.renamed(given.path, document, new)
        return OutgoingRequest(path, given.body if callback.query else encoded(changed), number)

    def _is_taken(self, url: str) -> bool:
        """Return whether deliveries for this URL are recorded; invalid URLs stay unchanged."""
        parts = http_url(url)
        if parts is None:
            return False
        if self._base is None:
            self.note("webhooks are not recorded: the provider needs --webhooks URL to reach this")
            return False
        host, listed = parts.host, self._receivers
        port = parts.port or _USUAL[parts.scheme]
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        why = self._no_receiver((canonical(host), port))
        if not why and listed is not None and host not in listed and not is_loopback(host):
            shown = host
            why = (
                "they are passed on to loopback and to hosts of UPSIM_TRUSTED_HOSTS alone; "
                f"add {host} there"
            )
        if why:
            self.note(f"webhooks for {shown} are not recorded: {why}")
        return not why

    def _no_receiver(self, door: tuple[str, int]) -> str:
        """Return why an address cannot be a receiver, and a remedy; empty if it can be one."""
        if door in self._own:
            return "that is the recorder itself; name a receiver at another port"
        if door not in self._upstream:
            return ""
        if self._receivers is None:
            return "that is the provider itself; name a receiver of your own"
        return (
            "that is the upstream itself, and a simulator's own inbox is not a receiver for "
            "record; name a receiver at another port, such as an inbox of a second "
            "`upsim serve --port PORT`"
        )

    def _add(self, number: int, url: str, callback: Callback, path: str, document: object) -> str:
        """Return a URL of the recorder that replaces the client's webhook URL."""
        chosen = at(document, self.telling.chosen) if self.telling.chosen else ""
        secret = chosen if isinstance(chosen, str) else ""
        token = token_urlsafe(TOKEN_BYTES)
        bare = path.partition("?")[0]
        remember(self._kept, token, WebhookUrl(number, url, callback, bare, secret))
        return f"{self._base}{STEP}{token}"

    def _original(self, found: re.Match[bytes]) -> bytes:
        """Return the client's URL, as JSON text writes it."""
        hook = self._kept.get(found[1].decode())
        return found[0] if hook is None else json.dumps(hook.url)[1:-1].encode()

    def _learn(self, method: str, path: str, body: bytes) -> None:
        """Remember the webhook secret in a response."""
        form, told = self._asked, self.telling.secret
        if (
            form is None
            or told is None
            or (method, path.partition("?")[0]) != (form.method, form.path)
        ):
            return
        document = parsed(body)
        found = at({"json": document[0] if document else None}, told["read"])
        if isinstance(found, str) and len(found) <= MAX_KEPT_LENGTH:
            remember(self._told, found, None, most=MAX_SECRETS)


def is_delivery(path: str) -> bool:
    """Return whether a path is for webhook deliveries, with a known or an unknown token."""
    return path.rpartition("/")[0].endswith(STEP.rstrip("/"))


def _doors(netloc: str) -> Iterator[tuple[str, int]]:
    """Yield the normalized host and the port of an address; without a port, both usual ports."""
    parts = urlsplit(f"//{netloc}")
    for port in [parts.port] if parts.port else _USUAL.values():
        yield canonical(parts.hostname or ""), port


def _document(body: bytes) -> Any:  # noqa: ANN401 - JSON
    """Return a JSON body without repeated keys; None for any other body."""
    found = parsed(body)
    return None if found is None or has_repeats(body) else found[0]


def http_url(text: str) -> httpx.URL | None:
    """Return a URL to which a connection is possible; None for any other text."""
    if len(text) > MAX_KEPT_LENGTH:
        return None
    try:
        found = httpx.URL(text)
        usual = found.scheme in ("http", "https") and found.host and (found.port or 80) in _PORTS
    except (httpx.InvalidURL, ValueError):  # also of a host name that none can be
        return None
    return found if usual else None
