"""`GET /` in a browser: base URLs, an example call for each provider, where the admin API is."""

from __future__ import annotations

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from upsim.engine.registry import Registry

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>upsim</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
 body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
        color: #1c2330; background: #fff; }}
 pre {{ background: #f3f5f8; padding: .75rem 1rem; overflow-x: auto; border-radius: 6px; }}
 h2 {{ margin-top: 2rem; }} code {{ font: 14px/1.5 ui-monospace, monospace; }}
 @media (prefers-color-scheme: dark) {{
   body {{ color: #e4e8ef; background: #14181f; }} pre {{ background: #1f2530; }}
   a {{ color: #8ab4ff; }} }}
</style>
<h1>upsim</h1>
<p>A simulator of video-upscaling APIs. Any key works here; nothing is billed.
Time is <strong>{mode}</strong>, {pace}.</p>
{providers}
<h2>Test videos</h2>
<p>Real, playable files with exactly the properties of their name:</p>
<pre><code>{base}/media/synthetic/640x360_30fps_2s.mp4</code></pre>
<h2>Admin API</h2>
<p><a href="/__sim/health">/__sim/health</a> · <a href="/__sim/sandboxes">/__sim/sandboxes</a> ·
<a href="/__sim/sandboxes/default/jobs">jobs</a> ·
<a href="/__sim/sandboxes/default/ledger">ledger</a> ·
<a href="/__sim/sandboxes/default/journal">journal</a></p>
</html>
"""


def example(registry: Registry, provider: str, base: str) -> str:
    """A first call that works as printed, from the provider's own baseline."""
    baseline = registry.library.baseline(provider).baseline
    fact = baseline.facts.get("example")
    text = str(fact.value) if fact else ""
    return text.replace("{base}", f"{base}/{provider}").replace("{media}", f"{base}/media")


async def landing(request: Request) -> Response:
    """The page."""
    registry: Registry = request.app.state.registry
    base = registry.settings.public_url or str(request.base_url).rstrip("/")
    clock = registry.default.clock
    paces = f"jobs run {clock.pace} times as fast as documented"
    page = _PAGE.format(
        base=escape(base),
        mode=escape(clock.label),
        pace=paces if clock.mode == "real" else "moved by its own rule",
        providers="".join(_section(registry, name, base) for name in registry.providers),
    )
    return HTMLResponse(page)


def _section(registry: Registry, provider: str, base: str) -> str:
    baseline = registry.library.baseline(provider).baseline
    dialects = [f"{base}/{provider}/{name}" for name in baseline.dialects[1:]]
    others = "".join(f"<li><code>{escape(url)}</code>" for url in dialects)
    models = ", ".join(baseline.models)
    return (
        f"<h2>{escape(baseline.title)}</h2><p>{escape(models)}</p>"
        f"<ul><li><code>{escape(base)}/{escape(provider)}</code>{others}</ul>"
        f"<pre><code>{escape(example(registry, provider, base))}</code></pre>"
    )
