"""The policy of docs/aws.md on a server that enforces it: what the code calls, and no more."""

from __future__ import annotations

import json
import re
from pathlib import Path
from unittest import mock

import boto3
import pytest

from ipam_core import Sandbox
from ipam_core import effects as fx
from ipam_core.cloud.aws import AwsCloud
from ipam_core.cloud.host import HOST_EFFECTS
from ipam_core.errors import CloudError, DeniedError
from support.servers import REGION

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "aws.md"
ENI = "eni-0123456789abcdef0"
EFFECTS = {
    type(effect): effect
    for effect in (
        fx.AssignPrivateIps(ENI, 1),
        fx.AssignPrefixes(ENI, 1),
        fx.AssignIpv6Prefix(ENI),
        fx.UnassignPrivateIps(ENI, ("10.0.0.9",)),
        fx.UnassignPrefixes(ENI, ("10.0.0.16/28",)),
        fx.CreateEni(n_addresses=1),
        fx.FindFreeDevice(),
        fx.AttachEni(ENI, 1),
        fx.DeleteWithInstance(ENI, "eni-attach-1"),
        fx.SetSecurityGroups(ENI, ("sg-1",)),
        fx.DetachEni(ENI, "eni-attach-1"),
        fx.DeleteEni(ENI),
        fx.TagEni(ENI),
        fx.TagCreatedAt(ENI),
        fx.DescribeEnis((ENI,)),
        fx.FindNodelessEnis(),
        fx.DescribeSubnets(),
        fx.ReadAttachedEnis(),
        fx.ReadNodeTags(),
        fx.ReadSecurityGroups(),
        fx.ReadUnschedulable(),
        fx.ReadEniConfig(),
        fx.ReadCheckpoint(),
        fx.ForgetAssignments((("10.0.0.9", Sandbox("c0")),)),
    )
}


def documented():
    """Return the actions of the document's policy."""
    (text,) = re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    actions = []
    for statement in json.loads(text)["Statement"]:
        assert statement["Effect"] == "Allow"
        found = statement["Action"]
        actions += [found] if isinstance(found, str) else found
    assert len(set(actions)) == len(actions)
    return actions


@pytest.fixture
def denied(world, session, moto_url):
    """Return a function: which effects a user with these actions is denied."""
    import moto.settings  # a fifth of a second: only for the process that serves

    iam = session.client("iam", endpoint_url=moto_url)
    iam.create_user(UserName="agent")
    key = iam.create_access_key(UserName="agent")["AccessKey"]
    user = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=REGION)
    cloud = AwsCloud(
        user,
        instance_id=world.instance_id,
        endpoint_url=moto_url,
        attempts=1,
        eni_config=lambda: fx.EniConfig(subnet_id="subnet-1"),
    )

    def ask(actions):
        # moto asks for each action on "*", whatever the call names: resources are left out.
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName="agent", PolicyName="p", PolicyDocument=policy)
        found = set()
        with mock.patch.object(moto.settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0):
            for effect in EFFECTS.values():
                try:
                    cloud.perform(effect)
                except DeniedError:
                    found.add(type(effect))
                except CloudError:
                    continue  # allowed, and then refused for what it names
        return found

    return ask


def test_every_effect_is_tried():
    found = {each for each in vars(fx).values() if isinstance(each, type)}
    known = {each for each in found if issubclass(each, fx.Effect)}
    assert set(EFFECTS) == known - {fx.Effect, fx.Sleep, *HOST_EFFECTS}


def test_the_policy_allows_every_call_and_none_of_it_is_idle(denied):
    actions = documented()
    assert denied(actions) == set()
    beside = {
        "ec2:DescribeInstances": {  # the security groups of the primary ENI
            fx.CreateEni,
            fx.ReadSecurityGroups,
        },
        "ec2:DescribeNetworkInterfaces": {fx.ReadAttachedEnis},
    }
    for action in actions:
        without = denied([each for each in actions if each != action])
        asking = {kind for kind in EFFECTS if f"ec2:{kind.api}" == action}
        assert without == asking | beside.get(action, set()) != set()
