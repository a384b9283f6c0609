"""From a provider's reply to the answer that goes out, with the headers that it always sends."""

from __future__ import annotations

from upsim.core.call import Call, Reply
from upsim.engine.bound_provider import BoundProvider
from upsim.web.bodies import encode
from upsim.web.whole_responses import Headers, HttpResponse


def whole(bound: BoundProvider, call: Call, reply: Reply) -> HttpResponse:
    """The answer to a call, encoded, with the headers that the provider sends with every one."""
    body = reply.body if isinstance(reply.body, bytes) else encode(reply.body)
    of_all = bound.provider.headers
    headers = reply.headers if of_all is None else reply.headers + of_all(call, reply)
    return HttpResponse(reply.status, body, headers, reply.content_type)


def response_headers(bound: BoundProvider, call: Call, reply: Reply) -> Headers:
    """The headers that the provider sends with every answer."""
    headers = bound.provider.headers
    return headers(call, reply) if headers is not None else ()
