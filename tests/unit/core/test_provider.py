"""The interface between a provider and the rest of the program."""

from upsim.core.call import Reply, SandboxApi
from upsim.core.call import SandboxApi as Defined
from upsim.core.provider import Operation, Provider


def test_an_operation_reads_unless_it_says_otherwise() -> None:
    """An operation is a read unless it declares another kind."""
    operation = Operation("credits", "GET", "/credits", handle=lambda _call: Reply(200, None))

    assert operation.kind == "read"


def test_a_provider_needs_few_parts() -> None:
    """A provider needs no response headers, aliases or folder of its own."""
    provider = Provider(
        "toy", (), {}, problem=lambda _call, _violation: Reply(400, None), draw_id=lambda _s: "id"
    )

    assert (provider.headers, provider.aliases, provider.scenarios) == (None, {}, None)


def test_the_sandbox_has_one_definition() -> None:
    """Operations and calls use the same type for the sandbox."""
    assert SandboxApi is Defined
