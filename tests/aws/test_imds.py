"""IMDSv2 over HTTP, against a server of the documented paths."""

from __future__ import annotations

import select
import socket
import time

import pytest

from ipam_core.cloud.imds import Imds
from ipam_core.cloud.metadata import Instance
from ipam_core.effects import AttachedEni
from ipam_core.errors import CloudError, DeniedError, InputError, NotFoundError, UnreachableError
from support.servers import InstanceMetadata, serving, trickling

MACS = "network/interfaces/macs"
PRIMARY, SECOND, EFA = "0e:49:61:0f:c3:11", "0e:49:61:0f:c3:12", "0e:49:61:0f:c3:13"
TREE = {
    "instance-id": "i-1",
    "instance-type": "p4d.24xlarge",
    "placement/availability-zone": "eu-west-1a",
    "mac": PRIMARY,
    f"{MACS}/{PRIMARY}/interface-id": "eni-1",
    f"{MACS}/{PRIMARY}/device-number": "0",
    f"{MACS}/{PRIMARY}/network-card": "0",
    f"{MACS}/{PRIMARY}/subnet-id": "subnet-1",
    f"{MACS}/{PRIMARY}/vpc-id": "vpc-1",
    f"{MACS}/{PRIMARY}/security-group-ids": "sg-1\nsg-2",
    f"{MACS}/{PRIMARY}/local-ipv4s": "10.0.0.4\n10.0.0.9\n10.0.0.5",
    # No network-card: card 0.
    f"{MACS}/{SECOND}/interface-id": "eni-2",
    f"{MACS}/{SECOND}/device-number": "1",
    f"{MACS}/{SECOND}/subnet-id": "subnet-2",
    f"{MACS}/{SECOND}/local-ipv4s": "10.0.1.4",
    f"{MACS}/{SECOND}/ipv4-prefix": "10.0.1.16/28\n10.0.1.64/28",
    f"{MACS}/{SECOND}/ipv6-prefix": "2001:db8:0:1:2::/80",
    # An EFA-only ENI: no address at all.
    f"{MACS}/{EFA}/interface-id": "eni-3",
    f"{MACS}/{EFA}/device-number": "1",
    f"{MACS}/{EFA}/network-card": "1",
    f"{MACS}/{EFA}/subnet-id": "subnet-1",
}


@pytest.fixture
def tree():
    return dict(TREE)


@pytest.fixture
def served(tree):
    metadata = InstanceMetadata(lambda: tree)
    with serving(metadata) as metadata.url:
        yield metadata


@pytest.fixture
def imds(served):
    return Imds(served.url, timeout_s=0.5)


def logged(caplog):
    return [each.getMessage() for each in caplog.records if each.name.startswith("ipam_core")]


def test_the_instance_and_its_groups(imds):
    assert imds.instance() == Instance(
        instance_id="i-1",
        instance_type="p4d.24xlarge",
        zone="eu-west-1a",
        vpc_id="vpc-1",
        subnet_id="subnet-1",
    )
    assert imds.security_groups() == ("sg-1", "sg-2")


def test_enis_by_card_and_device_with_all_that_they_hold(imds):
    assert imds.attached_enis() == (
        AttachedEni(
            eni_id="eni-1",
            device_number=0,
            primary_address="10.0.0.4",
            subnet_id="subnet-1",
            mac=PRIMARY,
            addresses=("10.0.0.9", "10.0.0.5"),
        ),
        AttachedEni(
            eni_id="eni-2",
            device_number=1,
            primary_address="10.0.1.4",
            subnet_id="subnet-2",
            mac=SECOND,
            prefixes=("10.0.1.16/28", "10.0.1.64/28"),
            ipv6_prefixes=("2001:db8:0:1:2::/80",),
        ),
        AttachedEni(eni_id="eni-3", device_number=1, network_card=1, subnet_id="subnet-1", mac=EFA),
    )


def test_the_blocks_of_subnets_are_read_where_they_are_asked_for(served, tree):
    tree[f"{MACS}/{PRIMARY}/subnet-ipv4-cidr-block"] = "10.0.0.0/24"
    tree[f"{MACS}/{SECOND}/subnet-ipv4-cidr-block"] = "10.0.1.0/24"
    enis = Imds(served.url, timeout_s=0.5, subnet_cidrs=True).attached_enis()
    assert [eni.subnet_cidr for eni in enis] == ["10.0.0.0/24", "10.0.1.0/24", ""]


def test_one_token_serves_all_and_is_fetched_anew_when_it_expires(imds, served):
    imds.attached_enis()
    assert served.tokens == 1
    served.expire()
    imds.attached_enis()
    assert served.tokens == 3


@pytest.mark.parametrize(
    "last", ["local-ipv4s", "ipv4-prefix", "network-card", "interface-id", "subnet-id"]
)
def test_an_eni_that_goes_while_it_is_read_is_left_out(imds, served, tree, last):
    """It must not appear with half of its addresses: pods would lose theirs."""

    def going():
        if served.reads[-1] == f"{MACS}/{SECOND}/{last}":
            for path in [each for each in tree if SECOND in each]:
                del tree[path]
        return tree

    served.tree = going
    assert {eni.eni_id for eni in imds.attached_enis()} == {"eni-1", "eni-3"}


def test_a_server_error_and_half_a_reply_are_tried_again(imds, served, caplog):
    served.statuses = [500]
    served.half = 1
    assert imds.instance().instance_id == "i-1"
    assert logged(caplog) == []


@pytest.mark.parametrize(
    ("statuses", "kind", "code"),
    [
        ([503] * 3, CloudError, "503"),
        ([403], DeniedError, "403"),  # metadata is switched off
        ([401] * 4, DeniedError, "401"),
    ],
)
def test_a_refusal_is_typed_and_logged_once(imds, served, caplog, statuses, kind, code):
    served.statuses = statuses
    with pytest.raises(kind) as caught:
        imds.instance()
    assert type(caught.value) is kind
    assert (caught.value.api, caught.value.code) == ("instance metadata", code)
    assert logged(caplog) == [str(caught.value)]


def test_half_a_reply_again_and_again_is_no_answer(imds, served, caplog):
    served.half = 100
    with pytest.raises(UnreachableError):
        imds.instance()
    assert len(logged(caplog)) == 1


def test_nobody_there_is_no_answer(caplog):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(UnreachableError, match="instance metadata"):
        Imds(f"http://127.0.0.1:{port}", timeout_s=0.2).attached_enis()
    assert len(logged(caplog)) == 1


def test_silence_ends_after_the_attempts():
    """As with a hop limit of 1 in a container: the token's packets never come back."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(UnreachableError):
            Imds(f"http://127.0.0.1:{port}", attempts=2, timeout_s=0.1).instance()


@pytest.mark.parametrize("headers", [True, False])
def test_an_answer_in_small_parts_ends_after_the_attempts(headers):
    """Each part came in time: an agent that started would have waited for ever."""
    before = time.monotonic()
    timed_out = pytest.raises(UnreachableError, match="TimeoutError: timed out")
    with trickling(headers=headers) as url, timed_out:
        Imds(url, attempts=2, timeout_s=0.2).instance()
    assert 0.4 <= time.monotonic() - before < 5


def test_an_answer_that_is_too_large_is_not_read_on(imds, tree):
    tree["instance-id"] = "i" * ((1 << 20) + 1)
    with pytest.raises(CloudError, match="TooLarge: meta-data/instance-id: an answer of more"):
        imds.instance()
    del tree["instance-id"]
    with pytest.raises(NotFoundError):  # the next answer is its own
        imds.instance()


def test_a_connection_that_the_service_closed_is_opened_again_without_a_try(served):
    reader = Imds(served.url, attempts=1, timeout_s=0.5)
    served.closing = True
    for _ in range(3):
        assert reader.local_ipv4() == ""
        assert select.select([reader._connection.sock], [], [], 5)[0]  # the end has come


def test_an_address_that_is_none_is_refused():
    with pytest.raises(InputError, match="instance metadata is http://HOST:PORT, not 'nowhere'"):
        Imds("nowhere")


def test_what_must_be_there_and_is_not(imds, tree):
    del tree["mac"]
    with pytest.raises(NotFoundError, match="mac"):
        imds.instance()


def test_a_number_that_is_none(imds, tree):
    tree[f"{MACS}/{SECOND}/device-number"] = "<html>"
    with pytest.raises(CloudError, match=r"device-number: '<html>' is no number"):
        imds.attached_enis()
