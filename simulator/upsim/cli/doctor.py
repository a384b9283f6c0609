"""`upsim doctor`: list what is installed and what is missing."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

import click

from upsim.providers import folders
from upsim.scenario.loader import Library
from upsim.scenario.versions import latest_date, own_version

NEEDED = (
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "httpx",
    "msgspec",
    "PyYAML",
    "jsonschema",
    "av",
    "click",
    "rich",
)
TOOLS = {
    "ffprobe": "checks output files in the tests",
    "curl": "runs the sample requests of the documents",
}


@click.command("doctor")
@click.option("--json", "as_data", is_flag=True, help="For programs.")
def command(*, as_data: bool) -> None:
    """List what is installed and what is missing; exit with 1 if something required is missing."""
    if as_data:
        _print_json()
    click.echo(version_text())
    click.echo(f"Python {platform.python_version()} on {platform.platform()}")
    missing = [line for line in map(_package, NEEDED) if line.endswith("missing")]
    for name in NEEDED:
        click.echo(f"  {_package(name)}")
    for tool, use in TOOLS.items():
        found = shutil.which(tool)
        click.echo(f"  {tool}: {found or f'missing (optional: {use})'}")
    problems = _baseline_problems()
    for problem in problems:
        click.echo(f"  {problem}")
    click.echo(
        "Everything is installed." if not missing and not problems else "Something is missing."
    )
    sys.exit(1 if missing or problems else 0)


def _print_json() -> NoReturn:
    packages = {name: _version(name) for name in NEEDED}
    problems = _baseline_problems()
    well = None not in packages.values() and not problems
    found = {
        "well": well,
        "version": own_version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
        "tools": {name: shutil.which(name) for name in TOOLS},
        "problems": problems,
    }
    click.echo(json.dumps(found, indent=2))
    sys.exit(0 if well else 1)


def version_text() -> str:
    """Return the version, and the date of the newest evidence of each baseline."""
    library = Library(folders=folders)
    dates = [f"{name} {latest_date(library.baseline(name))}" for name in library.providers()]
    return f"upsim {own_version()} (baselines: {', '.join(dates)})"


def _package(name: str) -> str:
    return f"{name} {_version(name) or 'missing'}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _baseline_problems() -> list[str]:
    from upsim.core.baseline import BaselineError
    from upsim.core.knobs_and_dialects import rules
    from upsim.engine.bound_provider import bind
    from upsim.providers import discover
    from upsim.scenario.loader import ScenarioError

    library = Library(folders=folders)
    problems = []
    for name, provider in discover().items():
        try:
            scenario = library.baseline(name)
            for dialect in scenario.baseline.dialects:
                bind(provider, rules(scenario.baseline, dialect, {}), scenario)
        except (ScenarioError, BaselineError) as error:
            problems.append(f"{name}: {error}")
    return problems
