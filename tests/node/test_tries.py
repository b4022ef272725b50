"""How often each call is tried that EC2 always refuses, and how long the agent waits between.

The numbers are upstream's: `maxENIEC2APIRetries` is 12 and TagENI tries 5 times
(pkg/awsutils/awsutils.go); nodeInit sets an ENI up 6 times, 10 s apart (pkg/ipamd/ipamd.go).
"""

from __future__ import annotations

import pytest

from ipam_core import VPC_CNI
from ipam_core import effects as fx
from ipam_core.cloud import drive
from ipam_core.cloud.codes import error_for
from ipam_core.errors import CloudError
from ipam_core.node import tries
from support.node_world import World


class Refused:
    """Every call is refused with one error; waits are noted in seconds."""

    def __init__(self, error):
        self.error = error
        self.n_calls = 0
        self.waits = []

    def perform(self, _):
        self.n_calls += 1
        raise self.error

    def run(self, effect, how):
        node = World(policy=VPC_CNI).node
        with pytest.raises(CloudError):
            drive(tries.persist(node, effect, how), self, sleep=self.waits.append)
        return self


DENIED = error_for("x", "UnauthorizedOperation")
GONE = error_for("DeleteNetworkInterface", "InvalidNetworkInterfaceID.NotFound")


@pytest.mark.parametrize(
    ("effect", "how", "n_calls", "first_s", "last_s", "jitter"),
    [
        (fx.TagEni("eni-1"), tries.TAG, 5, 0.5, 4, 0.3),
        (fx.DetachEni("eni-1", "attach-1"), tries.DETACH, 12, 0.2, 60, 0.15),
        (fx.DeleteEni("eni-1"), tries.DELETE, 12, 0.5, 60, 0.15),
    ],
    ids=["tag", "detach", "delete"],
)
def test_a_refused_call_is_tried_so_often_and_no_oftener(
    effect, how, n_calls, first_s, last_s, jitter
):
    cloud = Refused(DENIED).run(effect, how)
    assert cloud.n_calls == n_calls
    assert len(cloud.waits) == n_calls - 1
    assert first_s <= cloud.waits[0] <= first_s * (1 + jitter)
    assert last_s <= cloud.waits[-1] <= last_s * (1 + jitter)


def test_a_delete_of_what_is_gone_is_tried_once_any_other_call_as_ever():
    assert Refused(GONE).run(fx.DeleteEni("eni-1"), tries.DELETE).n_calls == 1
    assert Refused(GONE).run(fx.DetachEni("eni-1", "attach-1"), tries.DETACH).n_calls == 12


@pytest.mark.parametrize("n_enis", [1, 2])
def test_each_eni_that_is_there_at_the_start_is_set_up_six_times_ten_seconds_apart(n_enis):
    """Setting an ENI up asks whether its subnet is excluded, which EC2 refuses."""
    world = World("m5.large", ENABLE_SUBNET_DISCOVERY="true")
    for number in range(1, n_enis):
        world.instance.attach(world.region.place_eni(f"eni-{number}", "primary"), number)
    refused_ns, waits = [], []

    class DescribeSubnetsRefused:
        def perform(self, effect):
            if isinstance(effect, fx.DescribeSubnets):
                refused_ns.append(world.now_ns)
                raise DENIED
            return world.instance.perform(effect)

    def sleep(seconds):
        waits.append(seconds)
        world.sleep(seconds)

    drive(world.node.start(), DescribeSubnetsRefused(), sleep=sleep)
    assert waits.count(10) == 5 * n_enis
    assert refused_ns[0] == 10**15
    assert refused_ns[-1] >= 10**15 + 5 * n_enis * 10 * 10**9
    assert world.node.ready
