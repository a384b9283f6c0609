"""The reader of upload forms: what it finds, and what it takes for no form."""

from dataclasses import dataclass

import pytest

from upsim.providers.wavespeed import multipart


@dataclass(frozen=True)
class Body:
    """A body in memory, seen as the reader sees those that are not."""

    data: bytes

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return len(self.data)

    def find(self, sought: bytes, start: int, end: int) -> int:
        """Where some bytes begin."""
        return self.data.find(sought, start, end)

    def read(self, start: int, end: int) -> bytes:
        """Some of the bytes."""
        return self.data[start:end]


@dataclass(frozen=True)
class FilePart:
    """What was found in a form."""

    file_name: str
    content_type: str
    data: bytes


def file_part(content_type: str, body: bytes, name: str) -> FilePart | None:
    """Look for a part of a form."""
    found = multipart.file_part(content_type, Body(body), name)
    if found is None:
        return None
    return FilePart(found.file_name, found.content_type, b"".join(found.pieces))


FORM = "multipart/form-data; boundary=XX"


def form(*parts: bytes) -> bytes:
    """Return a form with the boundary `XX`."""
    return b"".join(b"--XX\r\n" + part + b"\r\n" for part in parts) + b"--XX--\r\n"


def part(data: bytes, *, disposition: str = 'form-data; name="file"; filename="a.mp4"') -> bytes:
    """Return one part with a content type."""
    head = f"Content-Disposition: {disposition}\r\nContent-Type: video/mp4\r\n\r\n"
    return head.encode() + data


FIELD = b'Content-Disposition: form-data; name="note"\r\n\r\nhello'


@pytest.mark.parametrize(
    "data", [b"abc", b"", b"\r\n\r\n", b"x--XX", b"\r\n--X", bytes(range(256)) * 9]
)
def test_the_file_bytes_are_unchanged(data: bytes) -> None:
    """The bytes of an uploaded form file are read unchanged."""
    found = file_part(FORM, form(FIELD, part(data)), "file")

    assert FilePart("a.mp4", "video/mp4", data) == found


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/form-data; boundary="XX"',
        "Multipart/Form-Data; charset=utf-8; BOUNDARY=XX",
    ],
)
def test_the_boundary_is_a_parameter_of_the_content_type(content_type: str) -> None:
    """The form boundary may be quoted, and parameter names are case-insensitive."""
    found = file_part(content_type, form(part(b"abc")), "file")

    assert found is not None
    assert found.data == b"abc"


@pytest.mark.parametrize(
    ("disposition", "expected"),
    [
        ('form-data; name="file"', ""),
        ('form-data; name=file; filename="b c.mov"', "b c.mov"),
        ('form-data; name=file; filename="Z\u00fcrich.mp4"', "Z\u00fcrich.mp4"),
        ("form-data; name=file; filename*=UTF-8''Z%C3%BCrich.mp4", "Z\u00fcrich.mp4"),
    ],
)
def test_the_file_name_is_optional(disposition: str, expected: str) -> None:
    """The file name of a form part may be missing, quoted, in UTF-8 or in the extended format."""
    found = file_part(FORM, form(part(b"abc", disposition=disposition)), "file")

    assert found is not None
    assert expected == found.file_name


def test_a_preamble_is_skipped() -> None:
    """Bytes before the first boundary are ignored."""
    found = file_part(FORM, b"preamble\r\n" + form(part(b"abc")), "file")

    assert found is not None
    assert found.data == b"abc"


def test_a_part_may_lack_a_content_type_and_contain_odd_lines() -> None:
    """Lines in a part that are not headers are skipped; a missing type counts as empty."""
    odd = b'odd line\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc'

    assert FilePart("", "", b"abc") == file_part(FORM, form(odd), "file")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("", form(part(b"abc"))),
        ("application/json", form(part(b"abc"))),
        ("multipart/form-data", form(part(b"abc"))),
        ('multipart/form-data; boundary=""', form(part(b"abc"))),
        ("multipart/form-data; boundary=YY", form(part(b"abc"))),
        (FORM, b""),
        (FORM, b"--XX--\r\n"),
        (FORM, form(FIELD)),
        (FORM, form(part(b"abc", disposition="attachment"))),
        (FORM, form(b"no blank line")),
        (FORM, b"--XX\r\n" + part(b"the end is missing")),
        (FORM, form(*[FIELD] * 16, part(b"too late"))),
        (FORM + "; x=" + "y" * 1_024, form(part(b"abc"))),
        (FORM, form(part(b"abc", disposition=f'form-data; name="file"; filename="{"a" * 9_000}"'))),
        (FORM, form(part(b"abc", disposition='form-data; name="file"' + "; a=b" * 32))),
    ],
)
def test_an_invalid_form_has_no_file(content_type: str, body: bytes) -> None:
    """A body without a form, boundary, matching part or end has no file.

    The same applies to a body with too many bytes before the part.
    """
    assert file_part(content_type, body, "file") is None
