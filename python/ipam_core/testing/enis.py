"""The checks of ENIs: created, attached, detached and deleted, their limits and their tags.

Sources: CreateNetworkInterface, AttachNetworkInterface, DetachNetworkInterface,
DeleteNetworkInterface and CreateTags in the EC2 API reference.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from ipam_core import effects as fx
from ipam_core.cloud.codes import ATTACHMENT_LIMIT, ENI_NOT_FOUND
from ipam_core.errors import NotFoundError
from ipam_core.instances import ADDRESSES_PER_PREFIX
from ipam_core.tags import CREATED_AT_TAG, DESCRIPTION_PREFIX, NODE_TAG
from ipam_core.testing.trial import UNKNOWN_ENI

if TYPE_CHECKING:
    from ipam_core.testing.trial import Trial


def creation(trial: Trial) -> None:
    """CreateEni makes an available ENI in the primary's subnet, with what was asked for."""
    free = trial.free()
    plain = trial.create()
    full = trial.create(fx.CreateEni(n_addresses=3))
    trial.expect(plain != full, f"CreateEni gave {plain} twice")
    trial.equal("free addresses after ENIs of 1 and 1 + 3 addresses", trial.free(), free - 5)
    for eni_id, n_addresses in ((plain, 0), (full, 3)):
        described = trial.describe(eni_id)
        trial.equal(f"status of the new {eni_id}", described.status, "available")
        trial.equal(f"attachment of the new {eni_id}", described.attachment_id, None)
        trial.equal(f"instance of the new {eni_id}", described.instance_id, None)
        trial.equal(f"type of the new {eni_id}", described.interface_type, "interface")
        held = f"addresses next to the primary one of {eni_id}"
        trial.equal(held, len(described.addresses), n_addresses)
        trial.inside("CreateEni", described.addresses)
    named = fx.CreateEni(subnet_id=trial.subnet_id)
    trial.create(named)
    trial.equal("free addresses after an ENI in the subnet by name", trial.free(), free - 6)


def creation_with_prefixes(trial: Trial) -> None:
    """CreateEni gives a new ENI the /28s asked for."""
    free = trial.free()
    eni_id = trial.create(fx.CreateEni(n_prefixes=2))
    given = trial.describe(eni_id).prefixes
    trial.equal("prefixes of an ENI created with two", len(given), 2)
    trial.inside("CreateEni", given)
    trial.equal("free addresses after it", trial.free(), free - 1 - 2 * ADDRESSES_PER_PREFIX)


def creation_with_ipv6(trial: Trial) -> None:
    """CreateEni makes an ENI of an IPv6 node without a /80; AssignIpv6Prefix gives it one.

    Source: createENIInput and assignIPv6Prefix in pkg/awsutils/awsutils.go of
    aws/amazon-vpc-cni-k8s.
    """
    eni_id = trial.create(fx.CreateEni(ipv6=True))
    trial.equal("IPv6 prefixes of a new ENI", trial.describe(eni_id).ipv6_prefixes, ())
    given = trial.do(fx.AssignIpv6Prefix(eni_id))
    trial.equal("IPv6 prefixes of an ENI", trial.describe(eni_id).ipv6_prefixes, given)


def creation_in_no_subnet(trial: Trial) -> None:
    """CreateEni in a subnet that is not there is a NotFoundError."""
    nowhere = fx.CreateEni(subnet_id="subnet-00000000000000bad")
    trial.refused(nowhere, NotFoundError, code="InvalidSubnetID.NotFound")


def born_with_tags(trial: Trial) -> None:
    """A new ENI has its tags and description at once: the leak task finds it by them."""
    tags = trial.do(fx.ReadNodeTags())
    described = trial.describe(trial.create())
    for key, value in tags.items():
        trial.equal(f"tag {key} of a new ENI", described.tags.get(key), value)
    _expect_date(trial, described.tags.get(CREATED_AT_TAG))
    trial.equal(
        "description of a new ENI", described.description, DESCRIPTION_PREFIX + tags[NODE_TAG]
    )


def tags(trial: Trial) -> None:
    """TagEni and TagCreatedAt add tags, and keep those that are there."""
    own = trial.do(fx.ReadNodeTags())
    before = trial.describe(trial.eni_id).tags
    for effect in (fx.TagEni(trial.eni_id), fx.TagCreatedAt(trial.eni_id)):
        trial.do(effect)
        trial.do(effect)  # again: the same tags
    found = trial.describe(trial.eni_id).tags
    for key, value in {**before, **own}.items():
        trial.equal(f"tag {key} after TagEni and TagCreatedAt", found.get(key), value)
    _expect_date(trial, found.get(CREATED_AT_TAG))


def _expect_date(trial: Trial, text: str | None) -> None:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        found = None
    trial.expect(
        found is not None and found.tzinfo is not None,
        f"tag {CREATED_AT_TAG}: {text!r}; expected a time with its zone, as 2026-01-02T03:04:05Z",
    )


def attachment(trial: Trial) -> None:
    """AttachEni attaches at the device number asked for; EC2 and metadata show it."""
    eni_id = trial.create(fx.CreateEni(n_addresses=2))
    card = trial.limits.default_network_card
    device = trial.do(fx.FindFreeDevice(card))
    trial.expect(device > 0, f"FindFreeDevice({card}) replied {device}, which the primary has")
    attachment_id = trial.do(fx.AttachEni(eni_id, device, card))
    described = trial.describe(eni_id)
    trial.equal("status of an attached ENI", described.status, "in-use")
    trial.equal("its attachment", described.attachment_id, attachment_id)
    trial.equal("its instance", described.instance_id, trial.do(fx.ReadNodeTags())[NODE_TAG])
    trial.await_attached(eni_id)
    shown = trial.shown(eni_id)
    trial.equal("its device number in metadata", shown.device_number, device)
    trial.equal("its network card in metadata", shown.network_card, card)
    trial.equal("its subnet in metadata", shown.subnet_id, trial.subnet_id)
    trial.equal("its addresses in metadata", sorted(shown.addresses), sorted(described.addresses))
    trial.inside("primary address", [shown.primary_address])
    trial.expect(
        shown.primary_address not in shown.addresses,
        f"metadata shows the primary address {shown.primary_address} among the secondary ones",
    )


def free_devices(trial: Trial) -> None:
    """FindFreeDevice gives the lowest free device number: a gap before a new one."""
    card = trial.limits.default_network_card
    trial.equal("first free device", trial.do(fx.FindFreeDevice(card)), 1)
    first = trial.create()
    trial.attach(first)
    trial.equal("free device after one ENI", trial.do(fx.FindFreeDevice(card)), 2)
    trial.attach(trial.create())
    _detach(trial, first)
    trial.equal("free device after the first is detached", trial.do(fx.FindFreeDevice(card)), 1)


def detachment(trial: Trial) -> None:
    """DetachEni makes an ENI available, with all that it holds; once more is no error."""
    eni_id = trial.create(fx.CreateEni(n_addresses=1))
    trial.attach(eni_id)
    held = trial.describe(eni_id).addresses
    attachment_id = trial.describe(eni_id).attachment_id or ""
    detach = fx.DetachEni(eni_id, attachment_id)
    trial.do(detach)
    trial.await_available(eni_id)
    described = trial.describe(eni_id)
    trial.equal("attachment of a detached ENI", described.attachment_id, None)
    trial.equal("instance of a detached ENI", described.instance_id, None)
    trial.equal("addresses of a detached ENI", described.addresses, held)
    trial.do(detach)
    trial.attach(eni_id)  # and it can be attached again


def deletion(trial: Trial) -> None:
    """DeleteEni frees all that an available ENI holds; it is not found any more."""
    free = trial.free()
    eni_id = trial.create(fx.CreateEni(n_addresses=2))
    trial.do(fx.DeleteEni(eni_id))
    trial.enis.remove(eni_id)
    trial.equal("free addresses after an ENI is deleted", trial.free(), free)
    for effect in (
        fx.DescribeEnis((eni_id,)),
        fx.DeleteEni(eni_id),
        fx.AssignPrivateIps(eni_id, 1),
    ):
        trial.refused(effect, NotFoundError, code=ENI_NOT_FOUND)


def attached_is_kept(trial: Trial) -> None:
    """An ENI that is attached cannot be deleted; the primary cannot be detached."""
    eni_id = trial.create()
    trial.attach(eni_id)
    trial.refused(fx.DeleteEni(eni_id))
    trial.refused(fx.DeleteEni(trial.eni_id))
    primary = trial.describe(trial.eni_id)
    if primary.attachment_id is not None:
        trial.refused(fx.DetachEni(trial.eni_id, primary.attachment_id))


def devices_are_kept(trial: Trial) -> None:
    """A device number that is taken is refused; nothing is attached twice."""
    first, second = trial.create(), trial.create()
    device = trial.attach(first)
    card = trial.limits.default_network_card
    trial.refused(fx.AttachEni(second, device, card))
    trial.refused(fx.AttachEni(second, 0, card))
    trial.unchanged_by(fx.AttachEni(first, device + 1, card))
    trial.equal("device number of an ENI", trial.shown(first).device_number, device)


def network_cards(trial: Trial) -> None:
    """Device numbers are of one network card; FindFreeDevice and AttachEni keep to it."""
    eni_id = trial.create()
    device = trial.do(fx.FindFreeDevice(1))
    trial.do(fx.AttachEni(eni_id, device, 1))
    trial.await_attached(eni_id)
    shown = trial.shown(eni_id)
    trial.equal("network card of an ENI on card 1", shown.network_card, 1)
    trial.equal("its device number", shown.device_number, device)
    after = trial.do(fx.FindFreeDevice(1))
    trial.equal("free device of card 1 after it", after, device + 1)
    trial.equal("free device of card 0 after it", trial.do(fx.FindFreeDevice(0)), 1)


def attachment_limit(trial: Trial) -> None:
    """An instance takes as many ENIs as its type allows, and then none."""
    card = trial.limits.default_network_card
    most = trial.limits.enis_per_network_card[card]
    for _ in range(most - 1):
        trial.attach(trial.create())
    one_more = trial.create()
    device = trial.do(fx.FindFreeDevice(card))
    trial.refused(fx.AttachEni(one_more, device, card), code=ATTACHMENT_LIMIT)
    trial.equal("ENIs of a full instance", len(trial.do(fx.ReadAttachedEnis())), most)


def with_the_instance(trial: Trial) -> None:
    """DeleteWithInstance can be said of what is attached, and again, and changes nothing else."""
    eni_id = trial.create()
    trial.attach(eni_id)
    effect = fx.DeleteWithInstance(eni_id, trial.describe(eni_id).attachment_id or "")
    before = trial.state()
    trial.do(effect)
    trial.do(effect)
    trial.equal("what EC2 describes after DeleteWithInstance", trial.state(), before)


def security_groups(trial: Trial) -> None:
    """SetSecurityGroups gives an ENI groups, as those of the primary; again it is no error."""
    groups = trial.do(fx.ReadSecurityGroups())
    trial.need(groups, "ReadSecurityGroups() replied (); expected the primary ENI's groups")
    effect = fx.SetSecurityGroups(trial.create(), groups)
    before = trial.state()
    trial.do(effect)
    trial.do(effect)
    trial.equal("what EC2 describes after SetSecurityGroups", trial.state(), before)
    trial.equal("groups of the primary ENI", trial.do(fx.ReadSecurityGroups()), groups)
    unknown = fx.SetSecurityGroups(UNKNOWN_ENI, groups)
    trial.refused(unknown, NotFoundError, code=ENI_NOT_FOUND)


def unknown_enis(trial: Trial) -> None:
    """Whatever is asked of an ENI that is not there is a NotFoundError."""
    trial.refused(fx.DeleteEni(UNKNOWN_ENI), NotFoundError, code=ENI_NOT_FOUND)
    trial.refused(fx.AttachEni(UNKNOWN_ENI, 1), NotFoundError, code=ENI_NOT_FOUND)
    trial.refused(fx.DescribeEnis((UNKNOWN_ENI,)), NotFoundError, code=ENI_NOT_FOUND)
    trial.refused(fx.DescribeEnis((trial.eni_id, UNKNOWN_ENI)), NotFoundError, code=ENI_NOT_FOUND)
    trial.refused(fx.TagEni(UNKNOWN_ENI), NotFoundError, code=ENI_NOT_FOUND)
    trial.refused(fx.TagCreatedAt(UNKNOWN_ENI), NotFoundError, code=ENI_NOT_FOUND)
    attachment_id = "eni-attach-00000000000000bad"
    trial.refused(
        fx.DeleteWithInstance(UNKNOWN_ENI, attachment_id), NotFoundError, code=ENI_NOT_FOUND
    )


def _detach(trial: Trial, eni_id: str) -> None:
    trial.do(fx.DetachEni(eni_id, trial.describe(eni_id).attachment_id or ""))
    trial.await_available(eni_id)
