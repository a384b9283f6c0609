"""Python code for values, in the form that a formatter leaves unchanged."""

from __future__ import annotations

from textwrap import TextWrapper, indent

WIDTH = 96
LEAST = 20
"""Columns of a row of numbers, at any depth."""
STEP = " " * 4


def literal(value: object, used: int) -> str:
    """Return a value as code; use several lines if it does not fit behind `used` characters."""
    line = flat(value)
    if used + len(line) <= WIDTH or not isinstance(value, dict | list | tuple) or not value:
        return line
    inside = used + len(STEP)
    if isinstance(value, dict):
        return _block("{}", [f"{flat(k)}: {literal(v, inside)}" for k, v in value.items()])
    brackets = "[]" if isinstance(value, list) else "()"
    if all(isinstance(item, int) for item in value):
        rows = TextWrapper(
            max(LEAST, WIDTH - inside), break_long_words=False, break_on_hyphens=False
        )
        return _block(brackets, [rows.fill(", ".join(map(flat, value)))])
    return _block(brackets, [literal(item, inside) for item in value])


def flat(value: object) -> str:
    """Return a value as code in one line, with texts in double quotes if possible."""
    if isinstance(value, str):
        quoted = repr(value)
        return quoted if '"' in value or quoted[0] == '"' else f'"{quoted[1:-1]}"'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flat(k)}: {flat(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flat, value)) + "]"
    if isinstance(value, tuple):
        inside = ", ".join(map(flat, value))
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    return repr(value)


def _block(brackets: str, lines: list[str]) -> str:
    text = "".join(f"{line},\n" for line in lines)
    return f"{brackets[0]}\n{indent(text, STEP)}{brackets[1]}"
