"""Turn a provider's reply into the final response, with the headers that the provider adds."""

from __future__ import annotations

from upsim.core.call import Call, Reply
from upsim.engine.bound_provider import BoundProvider
from upsim.web.request_bodies import encode
from upsim.web.whole_responses import Headers, HttpResponse


def whole(bound: BoundProvider, call: Call, reply: Reply) -> HttpResponse:
    """Return the encoded response to a request, with the provider's headers."""
    body = reply.body if isinstance(reply.body, bytes) else encode(reply.body)
    of_all = bound.provider.headers
    headers = reply.headers if of_all is None else reply.headers + of_all(call, reply)
    return HttpResponse(reply.status, body, headers, reply.content_type)


def response_headers(bound: BoundProvider, call: Call, reply: Reply) -> Headers:
    """Return the headers that the provider adds to every response."""
    headers = bound.provider.headers
    return headers(call, reply) if headers is not None else ()
