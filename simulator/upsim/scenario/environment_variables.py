"""Environment variables in scenario files: `${NAME}` and `${NAME:-default}` in a value."""

from __future__ import annotations

import re
from collections.abc import Mapping

_VARIABLE = re.compile(
    r"(?P<escaped>\$\$\{)|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{"
)
_SPELLING = "write a variable as ${NAME} or ${NAME:-default}, and $${ for a literal ${"


def replace_variables(text: str, variables: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return a text with the values of its variables, and a message for each mistake.

    A variable without a value is replaced by its default; `$${` is a literal `${`.
    """
    mistakes: list[str] = []

    def value_of(found: re.Match[str]) -> str:
        name, default = found["name"], found["default"]
        if found["escaped"]:
            return "${"
        if name is None or "${" in (default or ""):  # a default contains no variable
            mistakes.append(_SPELLING)
            return ""
        value = variables.get(name)
        if default is not None:
            return value or default
        if value is None:
            mistakes.append(f"variable {name} is not set; set it, or write ${{{name}:-default}}")
            return ""
        return value

    return _VARIABLE.sub(value_of, text), mistakes
