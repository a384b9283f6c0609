"""A simulator that opens the file of an earlier one shows the same hostile values."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import httpx
from hypothesis import example, given, settings
from hypothesis import strategies as st

from upsim.app import Simulator

ADMIN = {"authorization": "Bearer in-process"}
LISTS = ("jobs", "accounts", "ledger", "journal", "faults", "webhooks", "report-card", "clock")
INBOX_PATH = "__sim/sandboxes/default/inbox/mine"

TEXTS = st.text(max_size=6) | st.sampled_from(["$decimal", "$over", "\0", "\ud800", "é\udfff"])
NUMBERS = st.sampled_from(
    ["-0", "0.10", "1e400", "-1e-400", "18446744073709551616", "9" * 4000, "1." + "3" * 60, "1E3"]
)


def _object(items: dict[str, str]) -> str:
    return "{" + ",".join(f"{name}:{value}" for name, value in items.items()) + "}"


JSON_TEXTS: st.SearchStrategy[str] = st.recursive(
    st.sampled_from(["null", "true", "false"])
    | NUMBERS
    | st.integers(-(2**70), 2**70).map(str)
    | TEXTS.map(json.dumps),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")
        | st.dictionaries(TEXTS.map(json.dumps), inner, max_size=3).map(_object)
        | inner.map(lambda one: "[" * 40 + one + "]" * 40)
    ),
    max_leaves=5,
)
"""JSON as text, with numbers and strings that Python's own encoder would not write."""
HEADERS = st.binary(min_size=1, max_size=12).map(
    lambda data: bytes(byte for byte in data if 0x20 < byte != 0x7F) or b"k"
)
QUERIES = st.binary(max_size=6).map(lambda data: quote_from_bytes(data, safe=""))
NAMES = st.binary(max_size=8).map(lambda data: data.translate(None, b'\r\n"'))


class Client:
    """A client of one simulator, which sends what it likes."""

    def __init__(self, simulator: Simulator) -> None:
        """Send requests to a simulator."""
        self.sim = simulator
        self.http = httpx.Client(transport=simulator.transport(), base_url=simulator.base_url(""))

    def submit_wavespeed(self, key: bytes, value: str, query: str, more: bytes) -> None:
        """Submit with a strange field, key, header and webhook URL."""
        hook = f"http://upsim.test/{INBOX_PATH}?x={query}"
        body = f'{{"video":"https://example.com/{query}.mp4","strange":{value}}}'
        path = f"/wavespeed/api/v3/wavespeed-ai/video-upscaler?webhook={hook}&{query}={query}"
        self._post(path, body.encode(), authorization=b"Bearer " + key, x_strange=more)

    def submit_piapi(self, key: bytes, value: str, query: str, more: bytes) -> None:
        """Submit with strange fields in each object."""
        named = json.dumps(query)
        hook = f'{{"endpoint":"http://upsim.test/{INBOX_PATH}","secret":{named}}}'
        config = f'{{"webhook_config":{hook},"strange":{value}}}'
        video = f'{{"video":"https://example.com/a.mp4","strange":{value}}}'
        task = '"model":"Qubico/video-toolkit","task_type":"upscale"'
        body = f'{{{task},{named}:{value},"input":{video},"config":{config}}}'
        self._post("/piapi/api/v1/task", body.encode(), x_api_key=key, x_strange=more)

    def submit_anything(self, key: bytes, value: str, query: str, more: bytes) -> None:
        """Send JSON that is no request."""
        bearer = b"Bearer sk-" + key
        path = f"/vicsee/api/v1/tools/upscale-video?{query}"
        self._post(path, value.encode(), authorization=bearer, x_strange=more)
        fields = f'"video_url":{value},"upscale_factor":{value}'
        body = f'{{"model":"topaz-video-upscale",{fields}}}'
        self._post("/venice/api/v1/video/queue", body.encode(), authorization=bearer)

    def upload(self, key: bytes, value: str, query: str, name: bytes) -> None:
        """Upload a file with a strange name."""
        part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="'
        body = (
            part
            + name
            + b'.mp4"\r\n'
            + b"Content-Type: video/mp4\r\n\r\n"
            + value.encode()
            + b"\r\n--b--\r\n"
        )
        self._post(
            f"/wavespeed/api/v3/media/upload/binary?{query}",
            body,
            authorization=b"Bearer " + key,
            content_type=b"multipart/form-data; boundary=b",
        )

    def admin(self, key: bytes, value: str, query: str, _more: bytes) -> None:
        """Arm faults, make sandboxes and keys, and fill the inbox with strange values."""
        box = "/__sim/sandboxes/default"
        answer = f'{{"status":503,"body":{value},"headers":{{"x-a":{json.dumps(query)}}}}}'
        fault = f'"at":"before_accept","after":9,"do":{{"respond":{answer}}}'
        self._post(f"{box}/faults", f'{{"provider":"piapi",{fault}}}'.encode(), **ADMIN)
        patch = f'"provider":"piapi","at":"poll","do":{{"patch":{{"data.x":{value}}}}}'
        self._post(f"{box}/faults", f"{{{patch}}}".encode(), **ADMIN)
        self._post(f"{box}/inbox/mine?{query}", value.encode(), x_strange=key)
        issued = json.dumps({"key": key.decode("latin-1")})
        self._post(f"{box}/accounts/vicsee/keys", issued.encode(), **ADMIN)
        scenario = f'{{"extends":"piapi/baseline","summary":"s","faults":[{{{fault}}}]}}'
        for order in (f'{{"scenario":{scenario}}}', f'{{"id":{value},"seed":{value}}}'):
            self._post("/__sim/sandboxes", order.encode(), **ADMIN)

    def _post(self, path: str, body: bytes, **headers: bytes | str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        wire = {
            name.encode(): value if isinstance(value, bytes) else value.encode()
            for name, value in {"content-type": "application/json", **named}.items()
        }
        self.http.post(path, content=body, headers=list(wire.items()))

    def view(self) -> dict[str, Any]:
        """Return everything that the admin API shows, except for what differs by design."""
        return {
            f"{box}/{name}": self.http.get(f"/__sim/sandboxes/{box}/{name}", headers=ADMIN).json()
            for box in self.sim.registry.sandboxes
            for name in LISTS
        }


CALLS: tuple[Callable[..., None], ...] = (
    Client.submit_wavespeed,
    Client.submit_piapi,
    Client.submit_anything,
    Client.upload,
    Client.admin,
)
STEPS = st.tuples(st.sampled_from(CALLS), HEADERS, JSON_TEXTS, QUERIES, NAMES)


@settings(max_examples=25)
@example(steps=[(Client.submit_piapi, b"k", '"\\ud800"', "%FF", b"")], seconds=0)
@example(steps=[(Client.admin, b"k", '{"\\ud800":null}', "", b"")], seconds=0)
@given(steps=st.lists(STEPS, min_size=1, max_size=5), seconds=st.sampled_from([0, 1, 400]))
def test_hostile_values_are_the_same_after_a_restart(
    steps: list[tuple[Callable[..., None], bytes, str, str, bytes]], seconds: int
) -> None:
    """Surrogates, NUL, long numbers, odd keys and file names neither stop nor change a store."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:{Path(folder) / 'store.db'}"
        with Simulator(clock="manual", store=store) as simulator:
            client = Client(simulator)
            for call, key, value, query, name in steps:
                call(client, key, value, query, name)
            advance = f'{{"seconds":{seconds}}}'.encode()
            client._post("/__sim/sandboxes/default/clock/advance", advance, **ADMIN)
            before = client.view()
            assert not simulator.registry.store.problem
        with Simulator(clock="manual", store=store) as simulator:
            assert Client(simulator).view() == before
