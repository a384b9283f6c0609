"""Every Python file that a page prints is written down, and its tests pass."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.plugin.conftest import PLAIN, PLUGIN

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
FILE = re.compile(r"^```python\n# (\w+)\.py\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""A block that begins with the name of a file."""
SCENARIO = re.compile(r"^```yaml\n# (\w+)\.yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def files_of(page: Path) -> Mapping[str, str]:
    """Return the files that a page prints."""
    return dict(FILE.findall(page.read_text("utf-8")))


def scenarios_of(page: Path) -> Mapping[str, str]:
    """Return the scenario files that a page prints."""
    return dict(SCENARIO.findall(page.read_text("utf-8")))


PAGES = [page for page in sorted(ROOT.glob("docs/**/*.md")) if files_of(page)]


@pytest.mark.parametrize("page", [pytest.param(page, id=page.stem) for page in PAGES])
def test_tests_of_the_page_pass(page: Path, pytester: pytest.Pytester) -> None:
    """The files of a page, in one folder, pass as printed, with warnings as errors."""
    files = files_of(page)
    pytester.makepyfile(**files)
    for name, text in scenarios_of(page).items():
        (pytester.path / f"{name}.yaml").write_text(text, "utf-8")
    expected = sum(len(re.findall(r"^def test_", text, re.MULTILINE)) for text in files.values())
    result = pytester.runpytest_subprocess(*PLUGIN, *PLAIN)

    result.assert_outcomes(passed=expected)
    assert expected > 0


def test_pages_print_test_files() -> None:
    """The tutorial and the pages on the plug-in and on interception print files."""
    assert {"first-upscale", "pytest", "intercept"} <= {page.stem for page in PAGES}


RETRYING_APP = """
import httpx


def upscale(video):
    transport = httpx.HTTPTransport()
    with httpx.Client(transport=transport, headers={"Authorization": "Bearer any"}) as http:
        for _ in range(2):
            try:
                body = {"video_url": video}
                return http.post("https://vicsee.com/api/v1/tools/upscale-video", json=body)
            except httpx.TransportError:
                pass
"""


def test_the_readme_shows_what_a_retrying_app_gets(pytester: pytest.Pytester) -> None:
    """The README's test fails for a retrying app and prints the lines that the README shows."""
    text = (ROOT / "README.md").read_text("utf-8")
    pytester.makepyfile(my_app=RETRYING_APP, **files_of(ROOT / "README.md"))
    result = pytester.runpytest_subprocess(*PLUGIN, *PLAIN)
    shown = re.findall(r"^(?:charge|error:|    Never) .*$", text, re.MULTILINE)
    job = re.compile(r"task_\w+")

    result.assert_outcomes(failed=1)
    assert len(shown) == 4
    assert {job.sub("", line) for line in shown} <= {job.sub("", line) for line in result.outlines}
