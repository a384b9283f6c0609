"""Flaws of a submit: each one turns a valid request into one that must be refused."""

import json
from collections.abc import Callable
from dataclasses import replace

from hypothesis import strategies as st

from tests.stateful.asgi_client import Request
from tests.stateful.provider_calls import Face
from tests.stateful.strategies import videos

Flaw = Callable[[Face], Request]


def _right(face: Face, video: str = videos.SMALL) -> Request:
    return face.submit(video, face.options[0])


def no_video(face: Face) -> Request:
    """Every text of the body that names the video is empty."""
    return _right(face, "")


def wrong_video_type(face: Face) -> Request:
    """The video is a number."""
    request = _right(face)
    body = json.dumps(request.body).replace(json.dumps(videos.SMALL), "42")
    return replace(request, body=body.encode())


def too_long(face: Face) -> Request:
    """The video is above every limit."""
    return _right(face, videos.TOO_LONG)


def not_json(face: Face) -> Request:
    """The body ends too early."""
    return replace(_right(face), body=b'{"video": ')


def not_an_object(face: Face) -> Request:
    """The body is a list."""
    return replace(_right(face), body=[1, 2, 3])


def deeply_nested(face: Face) -> Request:
    """The body is nested deeper than anybody reads."""
    return replace(_right(face), body=b"[" * 100_000)


def wrong_method(face: Face) -> Request:
    """The path of a submit takes POST."""
    return replace(_right(face), method="PUT")


def unknown_path(face: Face) -> Request:
    """There is nothing there."""
    return Request("GET", f"/{face.name}/api/no/such/thing")


FLAWS: tuple[Flaw, ...] = (
    no_video,
    wrong_video_type,
    too_long,
    not_json,
    not_an_object,
    deeply_nested,
    wrong_method,
    unknown_path,
)
any_flaw = st.sampled_from(FLAWS)
