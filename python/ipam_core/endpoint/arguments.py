"""What actions read of their parameters: resources by id, security groups, tags, addresses.

Each raises EC2's own error for what it cannot read.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any, TypeVar

from ipam_core.cloud import refusals
from ipam_core.endpoint.resources import has_form_of_id
from ipam_core.endpoint.tables import Row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipam_core.cloud.refusals import Refusal
    from ipam_core.endpoint.account import Account
    from ipam_core.endpoint.resources import (
        Instance,
        Interface,
        SecurityGroup,
        VirtualNetwork,
        VpcSubnet,
    )
    from ipam_core.endpoint.tables import Table

T = TypeVar("T", bound=Row)

MOST_TAGS = 50
"""Tags of a resource. Source: "Tag restrictions" in the EC2 user guide; so the lengths."""
MOST_GROUPS = 16
"""Security groups of an interface. Source: "Amazon VPC quotas", the most that may be had."""
MOST_KEY, MOST_VALUE = 128, 256
_SHOWN = 200
"""So many characters of what was given are repeated."""


def eni_of(account: Account, eni_id: str) -> Interface:
    """Return an interface by id."""
    return _by_id(account.enis, eni_id, "eni", refusals.ENI_NOT_FOUND, refusals.ENI_ID_MALFORMED)


def subnet_of(account: Account, subnet_id: str) -> VpcSubnet:
    """Return a subnet by id."""
    return _by_id(
        account.subnets,
        subnet_id,
        "subnet",
        refusals.SUBNET_NOT_FOUND,
        refusals.SUBNET_ID_MALFORMED,
    )


def instance_of(account: Account, instance_id: str) -> Instance:
    """Return an instance by id, a terminated one too."""
    return _by_id(
        account.instances,
        instance_id,
        "i",
        refusals.INSTANCE_NOT_FOUND,
        refusals.INSTANCE_ID_MALFORMED,
    )


def vpc_of(account: Account, vpc_id: str) -> VirtualNetwork:
    """Return a VPC by id."""
    return _by_id(account.vpcs, vpc_id, "vpc", refusals.VPC_NOT_FOUND, refusals.VPC_NOT_FOUND)


def group_of(account: Account, group_id: str) -> SecurityGroup:
    """Return a security group by id."""
    return _by_id(
        account.groups, group_id, "sg", refusals.GROUP_NOT_FOUND, refusals.GROUP_ID_MALFORMED
    )


def attached_eni_of(account: Account, attachment_id: str) -> Interface:
    """Return the interface of an attachment."""
    eni = account.enis.first_of("attachment.attachment-id", attachment_id)
    if eni is None:
        known = has_form_of_id(attachment_id, "eni-attach")
        refusal = refusals.ATTACHMENT_NOT_FOUND if known else refusals.ATTACHMENT_ID_MALFORMED
        raise refusal(attachment_id[:_SHOWN])
    return eni


def _by_id(table: Table[T], key: str, prefix: str, not_found: Refusal, malformed: Refusal) -> T:
    row = table.by_key.get(key)
    if row is None:
        raise (not_found if has_form_of_id(key, prefix) else malformed)(key[:_SHOWN])
    return row


def groups_of(account: Account, group_ids: Iterable[str], vpc_id: str) -> tuple[str, ...]:
    """Return security groups of a VPC, each once; its default one where none is given."""
    chosen = tuple(dict.fromkeys(group_ids))
    if len(chosen) > MOST_GROUPS:
        raise refusals.TOO_MANY_GROUPS()
    for group_id in chosen:
        group = group_of(account, group_id)
        if group.vpc_id != vpc_id:
            raise refusals.GROUP_ELSEWHERE()
    return chosen or (account.default_group(vpc_id).group_id,)


# --- tags -----------------------------------------------------------------------------------


def tags_for(params: dict[str, Any], resource_type: str) -> dict[str, str]:
    """Return the tags of a TagSpecification for a type of resource, checked."""
    tags: dict[str, str] = {}
    for specification in params.get("TagSpecifications", ()):
        if specification.get("ResourceType") == resource_type:
            for tag in specification.get("Tags", ()):
                key, value = checked_tag(tag)
                if key in tags:
                    raise refusals.DUPLICATE_TAG(key)
                tags[key] = value
    check_tag_count(len(tags))
    return tags


def check_specifications(params: dict[str, Any], *allowed: str) -> None:
    """Raise `Ec2Error` where tags are given for a type that the action does not make."""
    for specification in params.get("TagSpecifications", ()):
        kind = specification.get("ResourceType", "")
        if kind not in allowed:
            raise refusals.INVALID_VALUE(
                kind[:_SHOWN], "ResourceType", "The given resource type is not created here."
            )


def checked_tag(tag: dict[str, Any]) -> tuple[str, str]:
    """Return a tag's key and value."""
    key, value = tag.get("Key", ""), tag.get("Value", "")
    if not key:
        raise refusals.INVALID_VALUE("", "tagKey", "Tag keys cannot be empty.")
    if len(key) > MOST_KEY:
        raise refusals.INVALID_VALUE(key[:_SHOWN], "tagKey", f"At most {MOST_KEY} characters.")
    if len(value) > MOST_VALUE:
        raise refusals.INVALID_VALUE(value[:_SHOWN], "tagValue", f"At most {MOST_VALUE}.")
    if key.startswith("aws:"):
        raise refusals.RESERVED_TAG()
    return key, value


def check_tag_count(count: int) -> None:
    """Raise `Ec2Error` where a resource would have more tags than it may."""
    if count > MOST_TAGS:
        raise refusals.TOO_MANY_TAGS()


# --- addresses ------------------------------------------------------------------------------


def given_address(subnet: VpcSubnet, text: str) -> str:
    """Return an address of a subnet that a request names, whoever holds it."""
    try:
        address = IPv4Address(text)
    except ValueError:
        raise refusals.BAD_ADDRESS(text[:_SHOWN]) from None
    network = IPv4Network(subnet.subnet.cidr)
    if address not in network:
        raise refusals.ADDRESS_OUTSIDE()
    if int(address) - int(network[0]) < 4 or address == network[-1]:
        raise refusals.ADDRESS_RESERVED(address)
    return str(address)


def given_prefix(subnet: VpcSubnet, text: str) -> str:
    """Return a /28 of a subnet that a request names, whoever holds it."""
    try:
        prefix = IPv4Network(text)
    except ValueError:
        raise refusals.BAD_ADDRESS(text[:_SHOWN]) from None
    if prefix.prefixlen != 28:
        raise refusals.BAD_ADDRESS(text[:_SHOWN])
    if not prefix.subnet_of(IPv4Network(subnet.subnet.cidr)):
        raise refusals.ADDRESS_OUTSIDE()
    return str(prefix)


def positive(params: dict[str, Any], name: str) -> int:
    """Return a count that a request may have, 0 where it has none."""
    count: int = params.get(name, 0)
    if name in params and count < 1:
        label = name[0].lower() + name[1:]
        raise refusals.INVALID_VALUE(count, label, "Value must be a positive number.")
    return count
