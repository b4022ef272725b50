"""What is taken for a text: `str`, what is one by inheritance, and objects of `ipaddress`."""

from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)

import numpy as np
import pytest

from ipam_core import DataStore, Sandbox, Subnet, errors


class Text(str):
    """A text of a class of its own, that lies about itself, and looks into the store."""

    __slots__ = ()

    def __str__(self):
        raise AssertionError("asked for its text")

    def __hash__(self):
        raise AssertionError("asked for its hash")

    def __eq__(self, other):
        raise AssertionError("asked whether it is equal")


@pytest.mark.parametrize("kind", [str, np.str_, Text])
def test_a_text_may_be_of_a_class_of_its_own(kind):
    """`numpy.str_` and an enum's members were once refused with TypeError."""
    store = DataStore("mixed")
    store.add_eni(kind("eni-1"), device_number=0, subnet_id=kind("subnet-1"))
    store.add_address(kind("eni-1"), kind("10.0.0.1"))
    store.add_prefix(kind("eni-1"), kind("10.0.0.16/28"))
    sandbox = Sandbox(kind("c"), kind("eth1"), kind("net"))
    assert sandbox == Sandbox("c", "eth1", "net")
    given = store.adopt(sandbox, kind("10.0.0.17"), kind("default/a"))
    assert (given.pod, given.eni_id) == ("default/a", "eni-1")
    assert store.find_address(kind("10.0.0.17")) is given
    assert store.assign(Sandbox("d"), kind("default/d")).pod == "default/d"
    store.cool(kind("10.0.0.1"), 1)
    for method in (
        store.addresses,
        store.prefixes,
        store.freeable_addresses,
        store.freeable_prefixes,
        store.freeable_cidrs,
        store.used_addresses,
        store.eni_stats,
        store.eni,
        store.exclude_eni,
        store.include_eni,
    ):
        method(kind("eni-1"))
    assert all(
        type(text) is str
        for text in (given.pod, given.eni_id, sandbox.container_id, store.eni("eni-1").subnet_id)
    )
    store.remove_address(kind("eni-1"), kind("10.0.0.1"))
    store.remove_prefix(kind("eni-1"), kind("10.0.0.16/28"), force=True)
    store.remove_eni(kind("eni-1"))
    subnet = Subnet("10.0.0.0/24", reservations=[("10.0.0.64/28", "prefix")])
    subnet.take_given(kind("10.0.0.9"))
    subnet.release_addresses([kind("10.0.0.9")])
    subnet.take_given_prefix(kind("10.0.0.16/28"))
    subnet.release_prefix(kind("10.0.0.16/28"))
    subnet.remove_reservation(kind("10.0.0.64/28"))
    subnet._check()
    store._check()


def test_objects_of_ipaddress_are_taken_as_their_texts():
    store = DataStore("mixed")
    store.add_eni("eni-1", device_number=0)
    store.add_address("eni-1", IPv4Address("10.0.0.1"))
    store.add_prefix("eni-1", IPv4Network("10.0.0.16/28"))
    store.add_prefix("eni-1", IPv6Network("2001:db8::/80"))
    store.adopt(Sandbox("a"), IPv4Address("10.0.0.17"))
    store.adopt(Sandbox("b"), IPv6Address("2001:db8::7"))
    assert store.find_address(IPv4Address("10.0.0.17")).sandbox == Sandbox("a")
    assert store.find_address(IPv6Address("2001:db8::7")).sandbox == Sandbox("b")
    store.cool(IPv6Address("2001:db8::8"), 1)
    with pytest.raises(errors.DuplicateError, match=r"prefix 10\.0\.0\.16/28 is there"):
        store.add_prefix("eni-1", IPv4Network("10.0.0.16/28"))
    store.remove_address("eni-1", IPv4Address("10.0.0.1"))
    store.remove_prefix("eni-1", IPv6Network("2001:db8::/80"), force=True)
    assert store.prefixes("eni-1") == ["10.0.0.16/28"]
    subnet = Subnet(
        IPv4Network("10.0.0.0/24"), reservations=[(IPv4Network("10.0.0.32/28"), "explicit")]
    )
    subnet.take_given(IPv4Address("10.0.0.5"))
    subnet.take_given_addresses([IPv4Address("10.0.0.6"), "10.0.0.7"])
    assert not subnet.is_free(IPv4Address("10.0.0.6"))
    assert subnet.offsets([IPv4Address("10.0.0.6")]).tolist() == [6]
    subnet.release_address(IPv4Address("10.0.0.5"))
    subnet.take_given_prefix(IPv4Network("10.0.0.48/28"))
    subnet.release_prefix(IPv4Network("10.0.0.48/28"))
    subnet.remove_reservation(IPv4Network("10.0.0.32/28"))
    assert subnet.reservations == ()
    subnet._check()


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("add_address", IPv4Interface("10.0.0.1/24")),
        ("add_address", IPv4Network("10.0.0.1/32")),
        ("add_address", IPv6Address("2001:db8::1")),
        ("add_prefix", IPv4Address("10.0.0.16")),
        ("add_prefix", IPv4Network("10.0.0.0/27")),
        ("add_prefix", IPv6Network("2001:db8::/64")),
        ("add_prefix", IPv6Interface("2001:db8::1/80")),
        ("add_prefix", "2001:db8::%eth0/80"),
        ("add_prefix", "2001:db8::%/80"),
        ("add_prefix", "2001:db8::%25eth0/80"),
    ],
)
def test_what_is_no_address_or_prefix_is_refused(method, value):
    """A zone id was once dropped: `2001:db8::%eth0/80` was attached as `2001:db8::/80`."""
    store = DataStore("mixed")
    store.add_eni("eni-1", device_number=0)
    before = store.snapshot()
    with pytest.raises(ValueError, match=r"is not an|is neither|has address bits"):
        getattr(store, method)("eni-1", value)
    assert store.snapshot() == before


@pytest.mark.parametrize("address", ["2001:db8::1%eth0", IPv6Address("fe80::1%eth0")])
def test_an_address_of_a_zone_is_refused(address):
    store = DataStore("ipv6")
    store.add_eni("eni-1", device_number=0)
    store.add_prefix("eni-1", "2001:db8::/80")
    for call in (
        lambda: store.find_address(address),
        lambda: store.adopt(Sandbox("a"), address),
        lambda: store.cool(address, 1),
    ):
        with pytest.raises(ValueError, match="is neither an IPv4 nor an IPv6 address"):
            call()


@pytest.mark.parametrize("value", [None, b"10.0.0.1", 7, ["10.0.0.1"]])
def test_what_is_no_text_is_refused(value):
    store = DataStore()
    store.add_eni("eni-1", device_number=0)
    for call in (
        lambda: store.add_address("eni-1", value),
        lambda: store.add_address(value, "10.0.0.1"),
        lambda: store.add_eni(value, device_number=1),
        lambda: store.eni_stats(value),
        lambda: store.find_address(value),
        lambda: Sandbox(value),
        lambda: Subnet("10.0.0.0/24").take_given(value),
        lambda: Subnet("10.0.0.0/24").take_given_prefix(value),
    ):
        with pytest.raises(TypeError, match="must be str, not"):
            call()
