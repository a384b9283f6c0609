"""What options take: names that a shell completes, amounts, sizes, rates, addresses, settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
from click.shell_completion import CompletionItem

from upsim.core.hosts import MAX_PORT, port_of, public_url_flaw, scheme_flaw, split_authority
from upsim.core.numbers import DECIMAL_FORM, plain_decimal
from upsim.testing.running import at_running_server

SIZE = re.compile(r"([0-9]{1,6})[xX×]([0-9]{1,6})")
RATE = re.compile(r"([0-9]{1,9})(?:[/-]([0-9]{1,9})|(\.[0-9]{1,6}))?")
WHOLE = re.compile(r"(?!-0+\Z)-?[0-9]{1,40}")
TOKEN = re.compile(r"[!-~]{1,512}")
FASTEST = 100_000
"""Frames per second; no clip has more."""
_MICROSECONDS = Decimal("0.000001")
_Names = Callable[[], Iterable[str]]


if TYPE_CHECKING:
    from click import ParamType
else:

    class ParamType(click.ParamType):
        """Let older versions of click, whose class is not generic, take a type in brackets, too."""

        def __class_getitem__(cls, _: object) -> type[ParamType]:
            return cls


class Name(ParamType[str]):
    """A name out of a list that is read when a shell asks for it; any text is taken."""

    def __init__(self, name: str, names: _Names) -> None:
        """`name` stands in help texts."""
        self.name = name
        self._names = names

    def shell_complete(
        self, _ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The names that begin like this, and files, where the names may also be paths."""
        found = [CompletionItem(n) for n in self._names() if n.startswith(incomplete)]
        return found or [CompletionItem(incomplete, type="file")]


def _scenarios() -> Iterable[str]:
    from upsim.providers import folders
    from upsim.scenario.loader import Library

    return Library(folders=folders).names()


def _providers() -> Iterable[str]:
    from upsim.client.discovery import providers

    return providers()


def model_words() -> Iterable[str]:
    """Every way to name a model that is not ambiguous: in full, and by its provider."""
    from upsim.client.exceptions import UnknownModelError
    from upsim.client.models import find_model, model_names

    names = model_names()
    short = dict.fromkeys(part for name in names for part in (name, *name.split("/")))
    for word in short:
        try:
            find_model(word)
        except UnknownModelError:
            continue
        yield word


SCENARIO = Name("name", _scenarios)
PROVIDER = Name("name", _providers)


class ModelName(Name):
    """A model, in full or by a part of its name that no other has; its full name is given on."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The full name of the model."""
        from upsim.client.exceptions import UnknownModelError
        from upsim.client.models import find_model

        try:
            return find_model(value).name
        except UnknownModelError as error:
            self.fail(str(error), param, ctx)


MODEL = ModelName("model", model_words)


class WholeNumber(click.IntRange):
    """A whole number within bounds, which a message about another value names."""

    def _describe_range(self) -> str:
        """What `--help` shows of the bounds; any whole number has none."""
        return "" if self.min is None and self.max is None else super()._describe_range()

    def convert(
        self,
        value: Any,  # noqa: ANN401 - a text, or a default
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        """The number that a text spells."""
        found: int | None = None
        with suppress(click.BadParameter):
            if WHOLE.fullmatch(str(value)):
                found = int(super().convert(int(str(value)), param, ctx))
        if found is None:
            bounds = f"{self.min} or more" if self.max is None else f"{self.min} to {self.max}"
            bounds = "plain digits" if self.min is None else bounds
            self.fail(f"{str(value)[:80]!r} is not a whole number of {bounds}", param, ctx)
        return found


class Amount(ParamType[Decimal]):
    """An exact amount of money."""

    name = "amount"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        """The amount that a text spells."""
        found = plain_decimal(str(value))
        if found is None:
            self.fail(f"{value!r} is not an amount, {DECIMAL_FORM}", param, ctx)
        if found < 0:
            self.fail(f"{value!r} is not 0 or more", param, ctx)
        return found


class DurationType(ParamType[Decimal]):
    """A time, `90s`, `10m`, `2m30s`, or a plain number of seconds; a command gets seconds."""

    name = "time"

    def __init__(self, *, minimum: str = "0", maximum: str = "1000000000") -> None:
        """Take no shorter and no longer times, in seconds, and none finer than a microsecond."""
        self._minimum, self._maximum = Decimal(minimum), Decimal(maximum)

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        """The seconds of a time."""
        from upsim.scenario.durations import parse_seconds

        try:
            found = parse_seconds(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not self._minimum <= found <= self._maximum:
            bounds = f"{self._minimum:f} to {self._maximum:,f} seconds"
            self.fail(f"{str(value)!r} is not a time of {bounds}", param, ctx)
        if found != found.quantize(_MICROSECONDS):
            self.fail(f"{value!r} has more than six places of a second", param, ctx)
        return found


class FrameSize(ParamType[tuple[int, int]]):
    """Width and height in pixels."""

    name = "WxH"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """The two numbers of a text such as 1920x1080."""
        if isinstance(value, tuple):
            return value
        found = SIZE.fullmatch(str(value))
        if found is None or not int(found[1]) or not int(found[2]):
            self.fail(f"{value!r} is not a size such as 1920x1080", param, ctx)
        return int(found[1]), int(found[2])


class FrameRate(ParamType[Fraction]):
    """Frames per second: a number, or a fraction such as 30000/1001."""

    name = "fps"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Fraction:
        """The exact rate of a text."""
        text = str(value)
        found = RATE.fullmatch(text)
        if found is None or (found[2] is not None and not int(found[2])):
            self.fail(f"{text!r} is not a frame rate such as 30, 29.97 or 30000/1001", param, ctx)
        rate = Fraction(text.replace("-", "/"))
        if not 0 < rate <= FASTEST:
            self.fail(f"{text!r} is not above 0 and at most {FASTEST} fps", param, ctx)
        return rate


class Setting(ParamType[tuple[str, str]]):
    """A parameter of the provider's own, `name=value`."""

    name = "name=value"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """The name and the value."""
        if isinstance(value, tuple):
            return value
        name, sign, chosen = str(value).partition("=")
        if not (name and sign):
            self.fail(f"{value!r} is not name=value", param, ctx)
        return name, chosen


class Port(ParamType[int]):
    """A port to listen on, in plain digits; 0 takes a free one."""

    name = "integer"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """The number."""
        port = 0 if str(value) == "0" else port_of(str(value))
        if port is None:
            self.fail(f"{value!r} is not 0 or a plain number from 1 to {MAX_PORT}", param, ctx)
        return port


def target_url(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    """The target; `server` is the base URL of the running server."""
    flaw = scheme_flaw(value)
    if flaw:
        raise click.BadParameter(f"{value[:200]!r} {flaw}")
    try:
        return at_running_server(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def base_url(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """A URL before others are put: http or https, a host, nothing after the path."""
    if value is None:
        return None
    flaw = public_url_flaw(value)
    if flaw:
        raise click.BadParameter(f"{value[:200]!r} {flaw}")
    return value.rstrip("/")


def host_names(
    _ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    """Names or addresses of hosts, without scheme and port."""
    for name in value:
        if split_authority(name) != (name, None):
            told = f"{name!r} is not the name of a host, such as sim.example"
            raise click.BadParameter(f"{told}; {_host_hint(name)}")
    return value


def _host_hint(name: str) -> str:
    if "*" in name:
        return "wildcards are not read: give each host by its full name"
    try:
        host = urlsplit(name if "//" in name else f"//{name}").hostname
    except ValueError:
        host = None
    alone = host and split_authority(host) == (host, None)
    return (
        f"give the host alone, without scheme, port and path: {host}"
        if alone
        else ("give the host alone, without scheme, port and path")
    )


def token(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """A token that can be sent in a header."""
    if value is None or TOKEN.fullmatch(value):
        return value
    raise click.BadParameter("a token is 1 to 512 visible ASCII characters without spaces")
