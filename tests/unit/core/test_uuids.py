"""Ids in the forms that several providers use."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from upsim.core.uuids import uuid4_text


@given(st.integers(0, 2**128 - 1))
def test_a_uuid_of_version_4(bits: int) -> None:
    """The version and variant bits of a UUID match those of the standard library."""
    assert str(UUID(int=bits, version=4)) == uuid4_text(bits)
