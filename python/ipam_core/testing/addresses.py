"""The checks of addresses and prefixes: given whole or not at all, never twice, and given back.

Sources: AssignPrivateIpAddresses, UnassignPrivateIpAddresses and AssignIpv6Addresses in the
EC2 API reference; "Error codes for the Amazon EC2 API".
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from ipam_core import effects as fx
from ipam_core.cloud.codes import (
    ADDRESS_LIMIT,
    ENI_NOT_FOUND,
    INSUFFICIENT_ADDRESSES,
    INSUFFICIENT_PREFIXES,
)
from ipam_core.errors import AddressLimitError, NotFoundError, SubnetFullError
from ipam_core.instances import ADDRESSES_PER_PREFIX
from ipam_core.testing.trial import UNKNOWN_ENI, held_by

if TYPE_CHECKING:
    from ipam_core.testing.trial import Trial


def secondary_ips(trial: Trial) -> None:
    """AssignPrivateIps gives as many new addresses of the subnet as asked for."""
    free = trial.free()
    first = trial.do(fx.AssignPrivateIps(trial.eni_id, 3))
    second = trial.do(fx.AssignPrivateIps(trial.eni_id, 2))
    trial.inside("AssignPrivateIps", first + second)
    trial.expect(
        len({*first, *second, trial.primary.primary_address}) == 6,
        f"AssignPrivateIps gave an address twice: {first + second}",
    )
    described = trial.describe(trial.eni_id)
    trial.equal("addresses that EC2 describes", sorted(described.addresses), sorted(first + second))
    trial.equal("free addresses after 5 were assigned", trial.free(), free - 5)
    trial.eventually(
        "metadata shows the addresses assigned",
        lambda: set(trial.shown(trial.eni_id).addresses) == {*first, *second},
    )


def secondary_ips_given_back(trial: Trial) -> None:
    """UnassignPrivateIps frees those addresses, and no other; once more changes nothing."""
    free = trial.free()
    kept, *gone = trial.do(fx.AssignPrivateIps(trial.eni_id, 3))
    give_back = fx.UnassignPrivateIps(trial.eni_id, tuple(gone))
    trial.do(give_back)
    trial.equal("addresses left", trial.describe(trial.eni_id).addresses, (kept,))
    trial.equal("free addresses after 2 of 3 were given back", trial.free(), free - 1)
    trial.unchanged_by(give_back)
    trial.eventually(
        "metadata no longer shows the addresses given back",
        lambda: trial.shown(trial.eni_id).addresses == (kept,),
    )


def prefixes(trial: Trial) -> None:
    """AssignPrefixes gives as many free /28s of the subnet as asked for; each is one slot."""
    free = trial.free()
    single = trial.do(fx.AssignPrivateIps(trial.eni_id, 2))
    given = trial.do(fx.AssignPrefixes(trial.eni_id, 3))
    trial.inside("AssignPrefixes", given)
    blocks = [ipaddress.IPv4Network(each) for each in given]
    for address in (trial.primary.primary_address, *single):
        trial.expect(
            not any(ipaddress.IPv4Address(address) in block for block in blocks),
            f"AssignPrefixes gave a /28 around {address}, which is in use: {given}",
        )
    described = trial.describe(trial.eni_id)
    trial.equal("prefixes that EC2 describes", sorted(described.prefixes), sorted(given))
    trial.equal("addresses next to the prefixes", sorted(described.addresses), sorted(single))
    expected = free - 2 - 3 * ADDRESSES_PER_PREFIX
    trial.equal("free addresses after 2 and 3 prefixes were assigned", trial.free(), expected)
    trial.eventually(
        "metadata shows the prefixes assigned",
        lambda: set(trial.shown(trial.eni_id).prefixes) == set(given),
    )


def prefixes_given_back(trial: Trial) -> None:
    """UnassignPrefixes frees those /28s, and nothing else; once more changes nothing."""
    free = trial.free()
    kept, gone = trial.do(fx.AssignPrefixes(trial.eni_id, 2))
    give_back = fx.UnassignPrefixes(trial.eni_id, (gone,))
    trial.do(give_back)
    trial.equal("prefixes left", trial.describe(trial.eni_id).prefixes, (kept,))
    expected = free - ADDRESSES_PER_PREFIX
    trial.equal("free addresses after 1 of 2 prefixes was given back", trial.free(), expected)
    trial.unchanged_by(give_back)
    again = trial.do(fx.AssignPrefixes(trial.eni_id, 1))
    trial.expect(kept not in again, f"AssignPrefixes gave {kept} twice")


def ipv6_prefix(trial: Trial) -> None:
    """AssignIpv6Prefix gives a /80 that no other ENI has."""
    other = trial.create()
    given = [*trial.do(fx.AssignIpv6Prefix(trial.eni_id)), *trial.do(fx.AssignIpv6Prefix(other))]
    trial.expect(len(set(given)) == len(given), f"AssignIpv6Prefix gave a /80 twice: {given}")
    for eni_id, expected in zip((trial.eni_id, other), given, strict=True):
        described = trial.describe(eni_id).ipv6_prefixes
        trial.equal(f"IPv6 prefixes of {eni_id}", described, (expected,))


def address_limit(trial: Trial) -> None:
    """An ENI takes as many addresses and prefixes as its type allows, and then none."""
    slots = trial.limits.slots
    too_many = fx.AssignPrivateIps(trial.eni_id, slots + 1)
    trial.refused(too_many, AddressLimitError, code=ADDRESS_LIMIT)
    trial.do(fx.AssignPrivateIps(trial.eni_id, slots - 1))
    trial.refused(fx.AssignPrivateIps(trial.eni_id, 2), AddressLimitError, code=ADDRESS_LIMIT)
    trial.do(fx.AssignPrivateIps(trial.eni_id, 1))
    held = held_by(trial.describe(trial.eni_id))
    trial.equal("slots that a full ENI holds", len(held), slots)
    trial.refused(fx.AssignPrivateIps(trial.eni_id, 1), AddressLimitError, code=ADDRESS_LIMIT)


def prefix_limit(trial: Trial) -> None:
    """Addresses and prefixes of an ENI share its slots."""
    slots = trial.limits.slots
    trial.refused(fx.AssignPrefixes(trial.eni_id, slots + 1), AddressLimitError, code=ADDRESS_LIMIT)
    trial.do(fx.AssignPrivateIps(trial.eni_id, slots - 1))
    trial.refused(fx.AssignPrefixes(trial.eni_id, 2), AddressLimitError, code=ADDRESS_LIMIT)
    trial.do(fx.AssignPrefixes(trial.eni_id, 1))
    trial.refused(fx.AssignPrivateIps(trial.eni_id, 1), AddressLimitError, code=ADDRESS_LIMIT)
    trial.refused(fx.AssignPrefixes(trial.eni_id, 1), AddressLimitError, code=ADDRESS_LIMIT)


def subnet_without_addresses(trial: Trial) -> None:
    """In a subnet with too few free addresses nothing is assigned, and no ENI created."""
    free = trial.free()
    trial.need(
        0 < free < trial.limits.slots,
        f"{trial.network} has {free} free addresses; expected fewer than one ENI's slots, "
        f"{trial.limits.slots}",
    )
    too_many = fx.AssignPrivateIps(trial.eni_id, free + 1)
    trial.refused(too_many, SubnetFullError, code=INSUFFICIENT_ADDRESSES)
    creation = fx.CreateEni(n_addresses=free)  # and its primary address
    trial.refused(creation, SubnetFullError, code=INSUFFICIENT_ADDRESSES)
    given = trial.do(fx.AssignPrivateIps(trial.eni_id, free))
    trial.equal("free addresses of a full subnet", trial.free(), 0)
    one = fx.AssignPrivateIps(trial.eni_id, 1)
    trial.refused(one, SubnetFullError, code=INSUFFICIENT_ADDRESSES)
    trial.refused(fx.CreateEni(), SubnetFullError, code=INSUFFICIENT_ADDRESSES)
    trial.do(fx.UnassignPrivateIps(trial.eni_id, given[:1]))
    again = trial.do(one)
    trial.equal("the only free address, assigned again", again, given[:1])


def subnet_without_prefixes(trial: Trial) -> None:
    """In a subnet without a free /28 no prefix is assigned, however many addresses are free.

    A /26 has four blocks of 16; EC2 keeps addresses of the first and of the last.
    """
    free = trial.free()
    too_many = fx.AssignPrefixes(trial.eni_id, 3)
    trial.refused(too_many, SubnetFullError, code=INSUFFICIENT_PREFIXES)
    trial.refused(fx.CreateEni(n_prefixes=3), SubnetFullError, code=INSUFFICIENT_PREFIXES)
    n_free = 1 if _in_middle(trial) else 2
    trial.do(fx.AssignPrefixes(trial.eni_id, n_free))
    one = fx.AssignPrefixes(trial.eni_id, 1)
    trial.refused(one, SubnetFullError, code=INSUFFICIENT_PREFIXES)
    left = free - ADDRESSES_PER_PREFIX * n_free
    trial.equal("free addresses next to the prefixes", trial.free(), left)
    trial.do(fx.AssignPrivateIps(trial.eni_id, 1))


def _in_middle(trial: Trial) -> bool:
    """Return whether the primary address is in one of a /26's two middle /28s."""
    offset = int(ipaddress.IPv4Address(trial.primary.primary_address)) - int(
        trial.network.network_address
    )
    return ADDRESSES_PER_PREFIX <= offset < 3 * ADDRESSES_PER_PREFIX


def unknown_enis(trial: Trial) -> None:
    """Addresses of an ENI that is not there are a NotFoundError."""
    for effect in (
        fx.AssignPrivateIps(UNKNOWN_ENI, 1),
        fx.AssignPrefixes(UNKNOWN_ENI, 1),
        fx.AssignIpv6Prefix(UNKNOWN_ENI),
        fx.UnassignPrivateIps(UNKNOWN_ENI, (trial.primary.primary_address,)),
        fx.UnassignPrefixes(UNKNOWN_ENI, (f"{trial.network.network_address}/28",)),
    ):
        trial.refused(effect, NotFoundError, code=ENI_NOT_FOUND)
