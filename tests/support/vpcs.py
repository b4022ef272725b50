"""What tests of the served VPC share."""

import pytest

from ipam_core.cloud.refusals import Ec2Error
from ipam_core.units import NS


class Clock:
    """A clock that moves when told."""

    def __init__(self):
        self.now_ns = 0

    def __call__(self):
        return self.now_ns

    def move(self, seconds):
        self.now_ns += round(seconds * NS)


def refusal_of(vpc, action, params):
    """Return the code and the text with which a call is refused."""
    known = ("NetworkInterfaceId", "AttachmentId")
    if "NetworkInterfaceId" in params and "MacAddress" in params:  # a described interface
        params = {name: params[name] for name in known if name in params}
    with pytest.raises(Ec2Error) as caught:
        vpc.call("ec2", action, params)
    return caught.value.code, caught.value.message


def launch(vpc, clock, **params):
    """Launch an instance, let it come up, and return its id."""
    asked = {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 1, "InstanceType": "m5.large"} | params
    (first, *_) = vpc.call("ec2", "RunInstances", asked)["Instances"]
    clock.move(60)
    return first["InstanceId"]
