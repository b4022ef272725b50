"""The report of a /16 with 50,000 addresses on 2,000 interfaces, next to the parsing of it.

The budget: under 25 % of parsing and report together in our own code, which is under a
third of the parsing. The text is as the AWS command line prints it: indented, with every field.
"""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path

import pytest

from bench_store import measure
from ipam_core.subnet.drains import plan_drains
from ipam_core.subnet.inventory import Inventory
from ipam_core.subnet.placing import plan_reservation
from ipam_core.subnet.quick import quick_document
from ipam_core.subnet.report import report_on

GROUP = "report of a /16, 50,000 addresses"


@cache
def generator():
    path = Path(__file__).parents[1] / "examples" / "subnet" / "generate.py"
    spec = importlib.util.spec_from_file_location("subnet_example", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def texts():
    """Return the documents of the /16 as the AWS command line prints them."""
    made = generator().documents()
    interfaces = made["interfaces.json"]["NetworkInterfaces"]
    for interface in interfaces:
        interface |= {
            "AvailabilityZone": "eu-west-1a",
            "Groups": [{"GroupName": "nodes", "GroupId": "sg-0c0ffee0000000000"}],
            "Ipv6Addresses": [],
            "MacAddress": "02:1b:2c:3d:4e:5f",
            "OwnerId": "123456789012",
            "SourceDestCheck": True,
            "TagSet": [{"Key": "cluster.k8s.amazonaws.com/name", "Value": "example"}],
        }
        for address in interface["PrivateIpAddresses"]:
            host = address["PrivateIpAddress"].replace(".", "-")
            address["PrivateDnsName"] = f"ip-{host}.eu-west-1.compute.internal"
    return [json.dumps(document, indent=4) for document in made.values()]


def read():
    return [json.loads(text) for text in texts()]


def report(documents):
    """Do all that `ipam-core subnet report` does up to the counts, map and owners."""
    inventory = Inventory()
    for at, document in enumerate(documents):
        inventory.add(document, str(at))
    found = report_on(inventory, generator().LARGE)
    return found, found.to_json()


def advice(found):
    """Do the advice without the solver, whose time the caller sets."""
    plan_reservation(found)
    plan_drains(found, 8, exact=False)


@pytest.mark.parametrize(
    "name", ["floor", "msgspec", "report", "advice, greedy", "whole, without solver"]
)
def test_report(benchmark, name):
    """The floor is the standard library's parsing of the same text."""
    documents = read()
    found, _ = report(documents)

    def whole():
        made, _ = report(read())
        made.pods_of  # noqa: B018 - computed once a report
        advice(made)

    made = {
        "floor": read,
        "msgspec": lambda: [quick_document(text) for text in texts()],
        "report": lambda: report(documents),
        "advice, greedy": lambda: advice(report(documents)[0]),
        "whole, without solver": whole,
    }[name]
    assert found.n_used == 50_000
    measure(benchmark, GROUP, name, 1, made)
