"""Property tests of your own client code, with Hypothesis.

It contains strategies, fault plans and a state machine:

    from upsim.kit import ClientMachine

    class MyClient(ClientMachine):
        model = "vicsee"

        def upscale(self, sandbox, source, options):
            return my_code(sandbox.base_url("vicsee"), sandbox.key("vicsee"), source, options)

    TestMyClient = MyClient.TestCase

Needs the extra `upsim[kit]`.
"""

from upsim.kit.client_machine import ClientMachine, run_client
from upsim.kit.client_sleep import RunawayError
from upsim.kit.clips import Clip, clips
from upsim.kit.faults import FaultPlan, fault_plans
from upsim.kit.upscale_orders import Order, invalid_orders, valid_orders

__all__ = [
    "ClientMachine",
    "Clip",
    "FaultPlan",
    "Order",
    "RunawayError",
    "clips",
    "fault_plans",
    "invalid_orders",
    "run_client",
    "valid_orders",
]
