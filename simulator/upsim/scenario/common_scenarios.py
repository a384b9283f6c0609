"""Scenarios that every provider has: one template for each scenario, in `scenarios/_common`.

In a template, `$provider` means the name of the provider. Any other `$word` means the entry
`word` of the provider's baseline: the value of that fact, or else the status of that error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from upsim.scenario.yaml_tree import Mark, Mistake, Tree, Value, mapping, read_tree

COMMON = "_common"
_PROVIDER = "provider"
_WORD = re.compile(r"^#.*$|\$(?P<word>[a-z][a-z0-9_]*)", re.MULTILINE)
"""A word of a template. Comments are matched first, so that nothing in them counts as one."""


class Template:
    """The template of a scenario, for one provider."""

    def __init__(
        self, path: Path, provider: str, baseline: Callable[[], Mapping[str, Value] | None]
    ) -> None:
        """Use a file; `baseline` is called when a word needs the baseline of the provider."""
        self._path = path
        self._provider = provider
        self._baseline = baseline

    def fill(self, text: str) -> str:
        """Return a text of the template with the provider's words; unknown `$words` stay."""
        return _WORD.sub(self._filled, text)

    def tree(self) -> Tree:
        """Return the tree of the filled file; a word that the baseline lacks is a mistake."""
        mistakes: list[Mistake] = []

        def filled(text: str) -> str:
            text = self.fill(text)
            mistakes.extend(self._unknown_words(text))
            return text

        tree = read_tree(self._path, filled)
        tree.mistakes += mistakes
        tree.whole = tree.whole and not mistakes
        return tree

    def _filled(self, found: re.Match[str]) -> str:
        word = found["word"]
        if word is None:
            return found[0]
        value = self._provider if word == _PROVIDER else self._entry(word)
        return found[0] if value is None else str(value)

    def _entry(self, word: str) -> Value:
        baseline = mapping(self._baseline())
        fact = mapping(mapping(baseline.get("facts")).get(word)).get("value")
        if fact is not None:
            return fact
        return mapping(mapping(baseline.get("errors")).get(word)).get("status")

    def _unknown_words(self, text: str) -> Iterator[Mistake]:
        for found in _WORD.finditer(text):
            if found["word"] is not None:
                before = text[: found.start()]
                line, column = before.count("\n") + 1, found.start() - before.rfind("\n")
                message = f"{self._provider}/baseline has no fact and no error {found['word']}"
                yield Mistake(Mark(str(self._path), line, column), "", message)
