"""Find scenarios by common words, including words that no name or summary contains."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import msgspec

from upsim.scenario.yaml_tree import items, mapping, read_tree

SYNONYMS = Path(__file__).with_name("synonyms.yaml")
Synonyms = Mapping[str, tuple[str, ...]]
_ENDING = r"(s|es|d|ed|ing|er)?"
_ENDINGS = ("ings", "ures", "ying", "ure", "ies", "ied", "ing", "ed", "es", "s", "e", "y")
_WORD = re.compile(r"[a-z0-9]+")
_SMALL = frozenset({"a", "an", "and", "for", "in", "is", "no", "not", "of", "on", "the", "with"})
"""Words without a meaning alone: they count only within a term such as `no money`."""
_MIN_STEM = 4
"""Minimum length of a word after its ending is removed."""


class Listed(msgspec.Struct, frozen=True):
    """The name, provider and summary of one scenario."""

    name: str
    provider: str
    summary: str
    template: str | None = None
    """The file in `scenarios` that this scenario of every provider comes from (None: its own)."""

    @property
    def short(self) -> str:
        """The name of the scenario without its provider."""
        return self.name.partition("/")[2]


class Term(msgspec.Struct, frozen=True):
    """One search term: the typed words and their synonyms.

    `parts` are the words of a typed `one-name`. They are searched if no scenario has the full name.
    """

    typed: str
    meant: tuple[str, ...] = ()
    parts: tuple[Term, ...] = ()

    def is_in(self, item: Listed) -> bool:
        """Return whether a scenario contains the typed words or a synonym."""
        text = f"{item.name} {item.summary}".lower()
        if all(_is_in(word, text) for word in self.typed.split()):
            return True
        if self.parts and re.search(rf"\b{re.escape(_spaced(self.typed))}\b", _spaced(text)):
            return True
        return any(re.search(rf"\b{re.escape(one)}\b", _spaced(text)) for one in self.meant)


class Search(msgspec.Struct, frozen=True):
    """The terms of a search, in any order; a term may consist of several consecutive words."""

    terms: tuple[Term, ...]

    def of(self, everything: Iterable[Listed]) -> tuple[list[Listed], int]:
        """Return the scenarios that match the most terms, and the number of terms they match.

        If only the provider's name matches, and another term is not found, there is no match.
        """
        items = list(everything)
        having = [_having(term, items) for term in self.terms]
        providers = {item.provider for item in items}
        others = [
            found
            for term, found in zip(self.terms, having, strict=True)
            if term.typed not in providers
        ]
        asked = set().union(*others) if others else set(items)
        counted = [
            (item, sum(item in found for found in having)) for item in items if item in asked
        ]
        most = max((count for _, count in counted), default=0)
        return [item for item, count in counted if count == most], most


def searched(words: Sequence[str], synonyms: Synonyms) -> Search:
    """Return the terms of the typed words; upper and lower case are equal."""
    terms = tuple(_terms(" ".join(words).lower().split(), synonyms))
    telling = tuple(term for term in terms if term.typed not in _SMALL)
    return Search(telling or terms)


def former_names(aliases: Mapping[str, str]) -> Synonyms:
    """Return the former names of scenarios, as synonyms of their present names."""
    short = {old.partition("/")[2]: new.partition("/")[2] for old, new in aliases.items()}
    return {_spaced(old): (_spaced(new),) for old, new in short.items()}


def meant_names(name: str, names: Iterable[str], aliases: Mapping[str, str]) -> list[str]:
    """Return the names of the same provider that the synonyms of an unknown name point to."""
    provider, _, rest = name.lower().partition("/")
    meant = _meant(_spaced(rest), {**known_synonyms(), **former_names(aliases)})
    term = Term(rest, meant)
    own = [Listed(one, provider, "") for one in names if one.startswith(f"{provider}/")]
    return [one.name for one in own if term.is_in(one)] if meant else []


def known_synonyms() -> Synonyms:
    """Return the words that people type, each with the words that scenarios use."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in items(read_tree(SYNONYMS).value):
        meant = tuple(map(str, items(mapping(entry).get("meant"))))
        for asked in items(mapping(entry).get("asked")):
            found[str(asked)] = (*found.get(str(asked), ()), *meant)
    return found


def vocabulary(everything: Iterable[Listed], synonyms: Synonyms) -> tuple[str, ...]:
    """Return names, providers, words of names and words with synonyms, for suggestions."""
    words: dict[str, None] = {}
    for item in everything:
        parts = (item.short, item.provider, *_spaced(item.short).split())
        words |= dict.fromkeys(parts)
    return (*words, *synonyms)


def _terms(words: list[str], synonyms: Synonyms) -> Iterator[Term]:
    """Yield the words as terms; the longest sequence that has synonyms is one term."""
    while words:
        for length in range(len(words), 0, -1):
            row = " ".join(words[:length])
            meant = _meant(_spaced(row), synonyms)
            if meant or length == 1:
                yield Term(row, meant, () if meant else _parts(row, synonyms))
                words = words[length:]
                break


def _parts(row: str, synonyms: Synonyms) -> tuple[Term, ...]:
    words = _spaced(row).split()
    return tuple(_terms(words, synonyms)) if len(words) > 1 and " " not in row else ()


def _having(term: Term, items: Sequence[Listed]) -> set[Listed]:
    """Return the scenarios that match a term, or else the scenarios that match all its parts."""
    found = {item for item in items if term.is_in(item)}
    if found or not term.parts:
        return found
    return {item for item in items if all(part.is_in(item) for part in term.parts)}


def _meant(row: str, synonyms: Synonyms) -> tuple[str, ...]:
    """Return the synonyms of a sequence of words, in any order."""
    for asked, meant in synonyms.items():
        if re.fullmatch(asked + _ENDING, row):
            return meant
    words = sorted(map(_stem, row.split()))
    return next((synonyms[asked] for asked in synonyms if words == _stems(asked)), ())


@cache
def _stems(row: str) -> list[str]:
    return sorted(map(_stem, row.split()))


def _is_in(word: str, text: str) -> bool:
    """Return whether a text contains a word in any form, or as part of another word."""
    if word.isascii() and word.isdigit():  # 402 must not match 1402
        return re.search(rf"(?<![0-9]){word}(?![0-9])", text) is not None
    return word in text or _stem(word) in map(_stem, _WORD.findall(text))


@cache
def _stem(word: str) -> str:
    """Return the word without an English ending, so that `refunded` finds `refund`.

    A doubled letter at the end becomes a single letter: `stopping` doubles the letter of `stop`,
    but the doubled letter of `polling` belongs to `poll`.
    """
    if not word.isalpha():
        return word
    ending = next((one for one in _ENDINGS if word.endswith(one)), "")
    stem = word.removesuffix(ending)
    stem = word if len(stem) < _MIN_STEM else stem
    return stem[:-1] if len(stem) >= _MIN_STEM and stem[-1] == stem[-2] else stem


def _spaced(text: str) -> str:
    """Return the text with hyphens replaced by spaces."""
    return re.sub(r"[-_/]", " ", text)
