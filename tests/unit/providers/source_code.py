"""What a provider's code names: its texts, and the entries of the catalogue that it refuses by."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

FRAMEWORK_ERRORS = frozenset(
    {
        "missing_key",
        "unknown_key",
        "no_access",
        "rate_limited",
        "body_too_large",
        "wrong_content_type",
        "not_json",
        "not_an_object",
        "unreachable",
        "not_a_video",
        "not_decodable",
        "beyond_own_limits",
        "too_large",
        "too_long",
        "output_too_large",
        "insufficient_funds",
        "unknown_job",
        "no_route",
        "wrong_method",
        "internal",
        "file_gone",
        "no_room",
    }
)
"""Entries that the engine and the web layer refuse by, whatever the provider."""
UPLOAD_ERRORS = frozenset(
    {"upload_expired", "upload_bad_signature", "upload_taken", "upload_wrong_size"}
)
"""Entries that the web layer refuses by where a provider takes uploads."""
SIGNED_UPLOAD_ERRORS = frozenset({"upload_wrong_headers", "upload_with_key"})
"""Entries that the web layer refuses by where the knob `upload_headers` is."""


def texts_in(provider: str) -> set[str]:
    """Return every plain text that stands in the provider's code, but not in its client adapter.

    An adapter knows a refusal by its words, as a caller of the real API must.
    """
    return {
        node.value
        for node in _nodes(provider, without="client.py")
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def named_in(provider: str, called: str) -> set[str]:
    """Return the plain texts that the provider's code gives a function as first argument."""
    return {
        text
        for node in _nodes(provider)
        if isinstance(node, ast.Call) and node.args
        if called in (getattr(node.func, "id", ""), getattr(node.func, "attr", ""))
        for text in _texts_of(node.args[0])
    }


def looked_up_in(provider: str, table: str) -> set[str]:
    """Return the plain texts under which the provider's code looks things up in a table."""
    return {
        text
        for node in _nodes(provider)
        if isinstance(node, ast.Subscript)
        if table in (getattr(node.value, "id", ""), getattr(node.value, "attr", ""))
        for text in _texts_of(node.slice)
    }


def _texts_of(node: ast.AST) -> Iterator[str]:
    """Yield a text, or the texts that a conditional chooses from."""
    if isinstance(node, ast.IfExp):
        yield from _texts_of(node.body)
        yield from _texts_of(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def _nodes(provider: str, *, without: str = "") -> Iterator[ast.AST]:
    folder = Path(str(import_module(f"upsim.providers.{provider}").__file__)).parent
    for path in folder.glob("*.py"):
        if path.name == without:
            continue
        yield from ast.walk(ast.parse(path.read_text("utf-8")))
