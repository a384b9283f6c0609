"""Types of options: names with shell completion, amounts, sizes, rates, URLs and settings."""

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

from upsim.core.hosts import MAX_PORT, port_of, split_authority
from upsim.core.numbers import DECIMAL_FORM, plain_decimal
from upsim.core.url_flaws import public_url_flaw, scheme_flaw
from upsim.testing.running_server import at_running_server

SIZE = re.compile(r"([0-9]{1,6})[xX×]([0-9]{1,6})")
RATE = re.compile(r"([0-9]{1,9})(?:[/-]([0-9]{1,9})|(\.[0-9]{1,6}))?")
WHOLE = re.compile(r"(?!-0+\Z)-?[0-9]{1,40}")
TOKEN = re.compile(r"[!-~]{1,512}")
FASTEST = 100_000
"""Maximum frames per second of a clip."""
_MICROSECONDS = Decimal("0.000001")
_Names = Callable[[], Iterable[str]]


if TYPE_CHECKING:
    from click import ParamType
else:

    class ParamType(click.ParamType):
        """Makes older versions of click, whose class is not generic, accept a type in brackets."""

        def __class_getitem__(cls, _: object) -> type[ParamType]:
            return cls


class Name(ParamType[str]):
    """A name from a list that is read only for shell completion; any text is accepted."""

    def __init__(self, name: str, names: _Names) -> None:
        """Show `name` in help texts, and offer the result of `names` for completion."""
        self.name = name
        self._names = names

    def shell_complete(
        self, _ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the names with this beginning, and files if a name may also be a path."""
        found = [CompletionItem(n) for n in self._names() if n.startswith(incomplete)]
        return found or [CompletionItem(incomplete, type="file")]


def _scenarios() -> Iterable[str]:
    from upsim.providers import folders
    from upsim.scenario.loader import Library

    return Library(folders=folders).names()


def _providers() -> Iterable[str]:
    from upsim.client.adapter_discovery import providers

    return providers()


def model_words() -> Iterable[str]:
    """Return every unambiguous name of a model: its full name, and its provider's name for it."""
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
    """A model, by its full name or an unambiguous part of it; the value is the full name."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the full name of the model."""
        from upsim.client.exceptions import UnknownModelError
        from upsim.client.models import find_model

        try:
            return find_model(value).name
        except UnknownModelError as error:
            self.fail(str(error), param, ctx)


MODEL = ModelName("model", model_words)


class WholeNumber(click.IntRange):
    """A whole number within a range; the error message names the range."""

    def _describe_range(self) -> str:
        """Return the range for `--help`, or an empty string if the number is unlimited."""
        return "" if self.min is None and self.max is None else super()._describe_range()

    def convert(
        self,
        value: Any,  # noqa: ANN401 - a text, or a default
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        """Return the number."""
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
        """Return the exact amount."""
        found = plain_decimal(str(value))
        if found is None:
            self.fail(f"{value!r} is not an amount, {DECIMAL_FORM}", param, ctx)
        if found < 0:
            self.fail(f"{value!r} is not 0 or more", param, ctx)
        return found


class DurationType(ParamType[Decimal]):
    """A duration such as `90s`, `10m`, `2m30s`, or a plain number; the value is seconds."""

    name = "time"

    def __init__(self, *, minimum: str = "0", maximum: str = "1000000000") -> None:
        """Accept durations from `minimum` to `maximum` seconds with at most six decimal places."""
        self._minimum, self._maximum = Decimal(minimum), Decimal(maximum)

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        """Return the seconds."""
        from upsim.scenario.durations import parse_seconds

        try:
            found = parse_seconds(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not self._minimum <= found <= self._maximum:
            bounds = f"{self._minimum:f} to {self._maximum:,f} seconds"
            self.fail(f"{str(value)!r} is not a duration of {bounds}", param, ctx)
        if found != found.quantize(_MICROSECONDS):
            self.fail(f"{value!r} has more than six decimal places", param, ctx)
        return found


class FrameSize(ParamType[tuple[int, int]]):
    """Width and height in pixels."""

    name = "WxH"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Return width and height from a text such as 1920x1080."""
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
        """Return the exact rate."""
        text = str(value)
        found = RATE.fullmatch(text)
        if found is None or (found[2] is not None and not int(found[2])):
            self.fail(f"{text!r} is not a frame rate such as 30, 29.97 or 30000/1001", param, ctx)
        rate = Fraction(text.replace("-", "/"))
        if not 0 < rate <= FASTEST:
            self.fail(f"{text!r} must be above 0 and at most {FASTEST} fps", param, ctx)
        return rate


class Setting(ParamType[tuple[str, str]]):
    """A provider-specific parameter, `name=value`."""

    name = "name=value"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return the name and the value."""
        if isinstance(value, tuple):
            return value
        name, sign, chosen = str(value).partition("=")
        if not (name and sign):
            self.fail(f"{value!r} is not name=value", param, ctx)
        return name, chosen


class Port(ParamType[int]):
    """A port to listen on, in plain digits; 0 picks a free port."""

    name = "integer"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the port number."""
        port = 0 if str(value) == "0" else port_of(str(value))
        if port is None:
            self.fail(
                f"{value!r} is not a port: use 0 or a number from 1 to {MAX_PORT}", param, ctx
            )
        return port


def target_url(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    """Return the target URL; `server` means the base URL of the running server."""
    flaw = scheme_flaw(value)
    if flaw:
        raise click.BadParameter(f"{value[:200]!r} {flaw}")
    try:
        return at_running_server(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def base_url(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Check a public URL: http or https, a host, and no path."""
    if value is None:
        return None
    flaw = public_url_flaw(value)
    if flaw:
        raise click.BadParameter(f"{value[:200]!r} {flaw}")
    return value.rstrip("/")


def host_names(
    _ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    """Check names or addresses of hosts, without scheme and port."""
    for name in value:
        if split_authority(name) != (name, None):
            told = f"{name!r} is not the name of a host, such as sim.example"
            raise click.BadParameter(f"{told}; {_host_hint(name)}")
    return value


def _host_hint(name: str) -> str:
    if "*" in name:
        return "wildcards are not supported: name each host in full"
    try:
        host = urlsplit(name if "//" in name else f"//{name}").hostname
    except ValueError:
        host = None
    alone = host and split_authority(host) == (host, None)
    return (
        f"use the host only, without scheme, port and path: {host}"
        if alone
        else ("use the host only, without scheme, port and path")
    )


def token(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Check that a token can be sent in a header."""
    if value is None or TOKEN.fullmatch(value):
        return value
    raise click.BadParameter("a token is 1 to 512 visible ASCII characters without spaces")
