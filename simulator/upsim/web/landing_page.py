"""`GET /` in a browser: URLs and requests of each provider, dialects, test videos, admin API."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import cast

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from upsim.core.baseline import Baseline
from upsim.engine.registry import Registry

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>upsim</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
 body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
        color: #1c2330; background: #fff; }}
 pre {{ background: #f3f5f8; padding: .75rem 1rem; overflow-x: auto; border-radius: 6px; }}
 h2 {{ margin-top: 2rem; }} code {{ font: 14px/1.5 ui-monospace, monospace; }}
 td, th {{ text-align: left; padding-right: 1rem; }}
 summary {{ cursor: pointer; }} p.call {{ margin-bottom: -.75rem; }}
 @media (prefers-color-scheme: dark) {{
   body {{ color: #e4e8ef; background: #14181f; }} pre {{ background: #1f2530; }}
   a {{ color: #8ab4ff; }} }}
</style>
<h1>upsim</h1>
<p>A simulator of video-upscaling APIs. {keys}; nothing is billed.
Time is <strong>{mode}</strong>, {pace}. {chosen}</p>
<p>The <strong>guide</strong> dialect answers as the provider's documentation says. Where the
documentation and today's service differ, <strong>live</strong> answers as the service. The first
URL of each provider below is its default: guide, but for Venice <strong>auto</strong>, which
answers as guide and sends the file itself to a poll that names the model. What each dialect changes
is listed for each provider; a sandbox may also choose each point alone.</p>
{providers}
<h2>Test videos</h2>
<p>Real, playable files with exactly the properties of their name, also .mov, .mkv and .webm:</p>
<pre><code>{base}/media/synthetic/640x360_30fps_2s.mp4</code></pre>
<h2>Admin API</h2>
<p><a href="/__sim">/__sim lists every call</a> · <a href="/__sim/health">health</a> ·
<a href="/__sim/scenarios">scenarios</a> · <a href="/__sim/sandboxes">sandboxes</a> ·
<a href="/__sim/sandboxes/default/jobs">jobs</a> ·
<a href="/__sim/sandboxes/default/ledger">ledger</a> ·
<a href="/__sim/sandboxes/default/journal">journal</a></p>
</html>
"""


def example(registry: Registry, provider: str, base: str, *, key: str | None = None) -> str:
    """Return a first request that works as printed, from the provider's baseline.

    If only issued keys are accepted, `key` must be an issued key.
    """
    baseline = registry.library.baseline(provider).baseline
    fact = baseline.facts.get("example")
    return _filled(str(fact.value) if fact else "", baseline, base, key)


def further_examples(
    registry: Registry, provider: str, base: str, *, key: str | None = None
) -> Mapping[str, str]:
    """Return the requests that follow the first request, by purpose."""
    baseline = registry.library.baseline(provider).baseline
    fact = baseline.facts.get("further_examples")
    texts = cast("Mapping[str, str]", fact.value) if fact else {}  # a table, as its schema says
    return {title: _filled(text, baseline, base, key) for title, text in texts.items()}


def _filled(text: str, baseline: Baseline, base: str, key: str | None) -> str:
    provider = baseline.provider
    filled = text.replace("{base}", f"{base}/{provider}").replace("{media}", f"{base}/media")
    if key is None:
        return filled
    value = " ".join(filter(None, (baseline.auth.scheme, key)))
    header = re.compile(rf'"({re.escape(baseline.auth.header)}): [^"]*"', re.IGNORECASE)
    return header.sub(lambda found: f'"{found[1]}: {value}"', filled)


async def landing(request: Request) -> Response:
    """Return the landing page."""
    registry: Registry = request.app.state.registry
    settings = registry.settings
    base = settings.public_url or str(request.base_url).rstrip("/")
    clock = registry.default.clock
    paces = f"jobs run {clock.pace} times faster than documented"
    chosen = [f"scenario {registry.default.scenario}"] if settings.scenario else []
    chosen += [f"dialect {settings.dialect}"] if settings.dialect else []
    strict = "Only issued keys work here: those that the server printed, or a sandbox's own"
    page = _PAGE.format(
        base=escape(base),
        keys=strict if settings.strict_keys else "Any key works here",
        mode=escape(clock.label),
        pace=paces if clock.mode == "real" else "moved by its own rule",
        chosen=escape(f"It was started with {' and '.join(chosen)}." if chosen else ""),
        providers="".join(_section(registry, name, base) for name in registry.providers),
    )
    return HTMLResponse(page)


def _section(registry: Registry, provider: str, base: str) -> str:
    baseline = registry.library.baseline(provider).baseline
    dialects = [f"{base}/{provider}/{name}" for name in baseline.dialects[1:]]
    others = "".join(f"<li><code>{escape(url)}</code>" for url in dialects)
    models = ", ".join(baseline.models)
    key = "YOUR_KEY" if registry.settings.strict_keys else None
    calls = further_examples(registry, provider, base, key=key)
    return (
        f"<h2>{escape(baseline.title)}</h2><p>{escape(models)}</p>"
        f"<ul><li><code>{escape(base)}/{escape(provider)}</code>{others}"
        f'<li><a href="/{escape(provider)}/openapi.json">OpenAPI document</a></ul>'
        f"<pre><code>{escape(example(registry, provider, base, key=key))}</code></pre>"
        + "".join(_call(title, text) for title, text in calls.items())
        + _clients(baseline, base)
        + "".join(_dialect(baseline, name) for name in baseline.dialects[1:])
    )


def clients_of(baseline: Baseline) -> Iterable[Mapping[str, str]]:
    """Return the known clients of a provider: name, version, base URL, and evidence.

    Some clients have a `note`, and the environment `variable` for the client's base URL.
    """
    fact = baseline.facts.get("clients")
    return cast("Iterable[Mapping[str, str]]", fact.value) if fact else ()


def _clients(baseline: Baseline, base: str) -> str:
    rows = [
        f"<tr><td>{escape(one['client'])}<td>{escape(one['version'])}"
        f"<td><code>{escape(base + one['base'])}</code>"
        f"<td><code>{escape(one.get('variable', ''))}</code>"
        f"<td>{escape('; '.join(filter(None, (one['how'], one.get('note')))))}"
        for one in clients_of(baseline)
    ]
    head = "<tr><th>client<th>version<th>base URL<th>its variable<th>how that is known"
    return f"<table>{head}{''.join(rows)}</table>" if rows else ""


def _call(title: str, text: str) -> str:
    return f'<p class="call">{escape(title)}:</p><pre><code>{escape(text)}</code></pre>'


def _dialect(baseline: Baseline, dialect: str) -> str:
    """Return the knobs that a dialect changes, compared with the first dialect."""
    usual = baseline.dialects[0]
    changed = [
        f"<li><code>{escape(knob.name)}</code> is {escape(knob.by_dialect[dialect])}, not"
        f" {escape(knob.by_dialect[usual])}: {escape(knob.summary)}"
        for knob in baseline.knobs.values()
        if knob.by_dialect[dialect] != knob.by_dialect[usual]
    ]
    points = "point" if len(changed) == 1 else "points"
    return (
        f"<details><summary>{escape(dialect)} changes {len(changed)} {points}</summary>"
        f"<ul>{''.join(changed)}</ul></details>"
    )
