"""The example's generator, and inventories made with it."""

import importlib.util
from functools import partial
from pathlib import Path

import pytest

from support.commands import called

EXAMPLES = Path(__file__).parents[2] / "examples" / "subnet"
_spec = importlib.util.spec_from_file_location("subnet_example", EXAMPLES / "generate.py")
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)


@pytest.fixture
def examples():
    return sorted(EXAMPLES.glob("*.json"))


@pytest.fixture
def make_inventory():
    """Return a maker of inventories: a subnet, interfaces as the example's maker adds them."""
    from ipam_core.subnet.inventory import Inventory

    def make(subnet, fill, subnet_id="subnet-1", **known):
        region = generate.Region(1)
        fill(region, subnet, subnet_id)
        inventory = Inventory()
        inventory.add(
            {
                "Subnets": [
                    {
                        "SubnetId": subnet_id,
                        "CidrBlock": subnet.cidr,
                        "AvailableIpAddressCount": subnet.n_free,
                    }
                    | known
                ],
                "NetworkInterfaces": region.interfaces,
                "Reservations": [{"Instances": region.instances}],
                "SubnetIpv4CidrReservations": [
                    {"SubnetId": subnet_id, "Cidr": cidr, "ReservationType": kind}
                    for cidr, kind in subnet.reservations
                ],
            },
            "test",
        )
        return inventory

    return make


@pytest.fixture
def generator():
    return generate


@pytest.fixture
def run_subnet(capsys):
    """Return what calls `ipam-core subnet`: its status, output and errors."""
    return partial(called, capsys, "subnet")
