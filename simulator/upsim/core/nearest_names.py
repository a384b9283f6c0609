"""Find the known name that a user most likely meant; all suggestions use this module."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches
from functools import lru_cache

CLOSE = 0.65
"""How alike two names must be (`difflib`) for one to be meant by the other."""
PART_CLOSE = 0.5
"""How alike their ends must be, behind the parts with which both begin, such as `UPSIM_`.

Ends that begin with different letters must be more alike than that.
"""
MAX_COMPARED_LENGTH = 200
"""Characters of a value of any length that are compared with names."""
_LEAST = 3
"""Letters that a name has at least which counts as a part of another."""
_END_OF_PART = re.compile(r"(?<=[_/.-])")
_COMPARED = 8
"""Names that are looked at again: more than are ever asked for, as some are not near after all."""


def closest(name: str, known: Iterable[str]) -> str:
    """Return the nearest of the known names; empty if none is near.

    >>> closest("UPSIM_TOKEN", ["UPSIM_ADMIN_TOKEN", "UPSIM_URL"])
    'UPSIM_ADMIN_TOKEN'
    >>> closest("UPSIM_FOO", ["UPSIM_ADMIN_TOKEN", "UPSIM_URL"])
    ''
    """
    return next(iter(_near(name[:MAX_COMPARED_LENGTH], tuple(known))), "")


def near_names(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Return the known names that are near, the nearest first."""
    return list(_near(name[:MAX_COMPARED_LENGTH], tuple(known))[:most])


@lru_cache(maxsize=4096)
def _near(name: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the similar names; only names of a similar length are compared."""
    least, most = CLOSE * len(name) / (2 - CLOSE) - 1, (2 - CLOSE) * len(name) / CLOSE + 1
    fitting = [known for known in names if least < len(known) < most]
    found = get_close_matches(name, fitting, n=_COMPARED, cutoff=CLOSE)
    near = [one for one in found if _ends_alike(name, one)]
    return tuple(near or [one for one in names if _is_last_part(name, one)])


def _ends_alike(name: str, known: str) -> bool:
    """Return whether two names are alike after their common first parts, or one name is longer."""
    ours, theirs = _END_OF_PART.split(name), _END_OF_PART.split(known)
    while ours and theirs and ours[0] == theirs[0]:
        del ours[0], theirs[0]
    if not (ours and theirs):
        return True
    known_end, end = "".join(theirs), "".join(ours)
    alike = SequenceMatcher(None, known_end, end).ratio()
    return alike > PART_CLOSE or (alike == PART_CLOSE and known_end[:1] == end[:1])


def _is_last_part(name: str, known: str) -> bool:
    """Whether a name is the last part of a longer one, as `factor` of `upscale_factor`.

    >>> _is_last_part("factor", "upscale_factor"), _is_last_part("actor", "upscale_factor")
    (True, False)
    """
    return len(name) >= _LEAST and known.endswith((f"_{name}", f"-{name}", f"/{name}", f".{name}"))


def nearest_of(name: str, known: Iterable[str]) -> str:
    """Return the nearest dotted name by its last part; empty if no name is near.

    The last part equals the name, is spelt like it, or contains it.
    """
    lasts = {one.rpartition(".")[2]: one for one in reversed([*known])}
    cut = name[:MAX_COMPARED_LENGTH]
    near = closest(cut, lasts)
    holding = [one for one in sorted(lasts) if len(cut) >= _LEAST and cut.lower() in one.lower()]
    return next((lasts[one] for one in (near, *holding) if one), "")
