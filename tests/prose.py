"""Find words and docstrings that a reader must read twice: `python -m tests.prose [FILE...]`.

Prose is the text of Markdown pages, the docstrings, comments and messages of Python files, and the
comments, summaries, reasons and statements of YAML files. `prose.tsv` lists words to avoid, each
with what to write instead. Provider error messages are facts, so other YAML values are not read.
A line that must quote a provider's own words ends with `# prose: ok, REASON`.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
READ = (
    *("*.md", "docs/**/*.md", "simulator/**/*.py", "simulator/**/*.md", "scenarios/**/*.yaml"),
    *("contracts/**/*.py", "contracts/**/*.yaml", "tests/**/*.py", "scripts/*", ".ci/**/*"),
    *("Makefile", "pyproject.toml"),
)
UNREAD = ("tests/fixtures", "tests/e2e/documents", "tests/prose.py", "tests/unit/test_prose.py")
NOT_YET: tuple[str, ...] = (
    *(f"tests/{name}" for name in ("bench", "browser", "drifts", "e2e", "http")),
    *(f"tests/{name}" for name in ("recording", "unit/cli", "unit/client")),
    *(f"tests/unit/{name}" for name in ("contracts", "providers", "scenario")),
    "tests/unit/test_wiring.py",
)
"""Folders and files whose prose is still to be rewritten; the list may only become shorter."""

CONDITIONS = frozenset({"For", "If", "Unless", "When", "While", "With", "Without"})
"""A sentence may open with these if a main clause follows after a comma."""
OPENERS = re.compile(
    "(Again|Also|And|As|At|Because|But|Either|Even|For|If|Instead|Like|Neither|Nor|Not|Only|Or"
    "|Otherwise|So|Some|Still|Than|Then|Therefore|Though|Too|Unless|Until|What|Whatever|When"
    "|Whenever|Where|Which|While|Who|Whoever|Whose|With|Without|Yet)"
)
"""First words of a sentence that needs the name or the sentence before it."""

LOWER_CASE_NAMES = re.compile(
    "(aiohttp|ffmpeg|httpcore|httpx|mypy|pip|pytest|pytest-socket|requests|schemathesis|ruff|upsim"
    "|urllib3|uvicorn|uvloop)('s)?"
)
"""Names that begin with a small letter, also at the beginning of a sentence."""

YAML_PROSE = re.compile(
    r"^\s*(?:(?:- )?\{?(?:summary|reason|why|notes?|description)"
    r"|(?:- )?(?:\{.*, )?(?:says|wrong|because)): (.+)$"
)
QUIET = re.compile(r"`[^`]*`|https?://\S+|\]\([^)]*\)|\{[^{}]*\}|<[^>]*>|\"[^\"]*\"")
"""Code, URLs, placeholders, tags and quotations inside prose."""

EXCUSED = re.compile(r"# prose: ok, \S")


class Finding(NamedTuple):
    """A word or docstring to rewrite, and the advice that the reader of the report needs."""

    line: int
    what: str
    advice: str


class Prose(NamedTuple):
    """A piece of text that people read, with the line where it starts."""

    line: int
    text: str
    is_docstring: bool


@cache
def words() -> list[tuple[re.Pattern[str], str]]:
    """The patterns of `prose.tsv`, each with what to write instead."""
    rows = Path(__file__).with_suffix(".tsv").read_text("utf-8").splitlines()
    pairs = (row.split("\t") for row in rows if row and not row.startswith("#"))
    return [(re.compile(rf"\b(?:{word})\b", re.IGNORECASE), advice) for word, advice in pairs]


def findings(path: Path, text: str) -> list[Finding]:
    """Everything in a file's prose that has to be rewritten, in the order of its lines."""
    lines = text.splitlines()
    found = [
        finding
        for prose in _prose_of(path, text)
        for finding in (*_words_in(prose), *_opening_of(prose))
        if not EXCUSED.search(lines[finding.line - 1])
    ]
    return sorted(set(found))


def _prose_of(path: Path, text: str) -> Iterator[Prose]:
    if path.suffix == ".md":
        yield from _markdown(text)
    elif path.suffix == ".py" or text.startswith("#!/usr/bin/env python"):
        yield from _python(text)
    else:
        yield from _comments_and_summaries(text)


def _markdown(text: str) -> Iterator[Prose]:
    in_code = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            in_code = not in_code
        elif not in_code:
            yield Prose(number, line, is_docstring=False)


def _comments_and_summaries(text: str) -> Iterator[Prose]:
    for number, line in enumerate(text.splitlines(), 1):
        if comment := re.search(r"(?:^|\s)#+ (.*)$", line):
            yield Prose(number, comment.group(1), is_docstring=False)
        if summary := YAML_PROSE.match(line):
            yield Prose(number, summary.group(1).partition(" # ")[0], is_docstring=False)


def _python(text: str) -> Iterator[Prose]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield Prose(token.start[0], token.string.lstrip("# "), is_docstring=False)
    tree = ast.parse(text)
    docstrings = {id(_docstring(node)) for node in ast.walk(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            is_docstring = id(node) in docstrings
            if is_docstring or node.value.count(" ") > 1:
                yield Prose(node.lineno, node.value, is_docstring=is_docstring)


def _docstring(node: ast.AST) -> ast.expr | None:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    if isinstance(node, kinds) and ast.get_docstring(node) is not None:
        first = node.body[0]
        return first.value if isinstance(first, ast.Expr) else None
    return None


def _words_in(prose: Prose) -> Iterator[Finding]:
    for offset, line in enumerate(prose.text.splitlines()):
        bare = QUIET.sub(lambda quiet: " " * len(quiet.group()), line)
        for word, advice in words():
            for match in word.finditer(bare):
                yield Finding(prose.line + offset, f"'{match.group()}'", f"write {advice}")


def _opening_of(prose: Prose) -> Iterator[Finding]:
    """A docstring reads alone if it opens with a noun phrase or a verb and has three words."""
    if not prose.is_docstring:
        return
    sentence = prose.text.strip().partition("\n\n")[0]
    first = sentence.split(" ", 1)[0].strip(",:;.")
    if first in CONDITIONS and ", " in sentence:
        return
    if OPENERS.fullmatch(first):
        advice = "begin with a verb or a noun phrase, so that it can be read alone"
        yield Finding(prose.line, f"docstring opens with '{first}'", advice)
    elif first[:1].islower() and not LOWER_CASE_NAMES.fullmatch(first):
        advice = "begin with a capital letter, or put code in backticks"
        yield Finding(prose.line, f"docstring opens with '{first}'", advice)
    if len(sentence.split()) < 3:
        advice = "write a sentence with the noun that it is about"
        yield Finding(prose.line, f"docstring '{sentence}' is shorter than three words", advice)
    if sentence[-1:] not in set(".:?!`"):
        yield Finding(prose.line, "docstring's first paragraph is no sentence", "end it with '.'")


def _files() -> list[Path]:
    found = {path for pattern in READ for path in ROOT.glob(pattern) if path.is_file()}
    skipped = tuple(ROOT / name for name in (*UNREAD, *NOT_YET))
    return sorted(path for path in found if not any(path.is_relative_to(top) for top in skipped))


def main(names: list[str]) -> int:
    """Print what to rewrite in the named files, or in all; return 1 if there is anything."""
    reported = 0
    for path in [Path(name).resolve() for name in names] or _files():
        for line, what, advice in findings(path, path.read_text("utf-8")):
            name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
            print(f"{name}:{line}: {what}: {advice}")  # noqa: T201  # the report
            reported += 1
    return int(reported > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
