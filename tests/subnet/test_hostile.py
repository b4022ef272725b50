"""A Subnet under callers, finalizers and views that should not be: refused, and nothing lost."""

from __future__ import annotations

import contextlib
import gc
import ipaddress

import numpy as np
import pytest

from ipam_core import Subnet, errors


def state_of(subnet):
    """Return all that can be asked of a subnet."""
    return (
        subnet.cidr,
        subnet.placement,
        subnet.n_free,
        subnet.n_free_unreserved,
        subnet.n_free_prefixes,
        subnet.reservations,
        subnet.find_free_prefix(),
        subnet.free_masks().tolist(),
        subnet.free_counts().tolist(),
        subnet.block_states().tolist(),
    )


# --- made once ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {"seed": 1.5},
        {"seed": None},
        {"placement": "best"},
        {"placement": ["lowest"]},
        {"reservations": 5},
        {"cidr": "10.0.0.0/8"},
        {"cidr": None},
        {"cidr": "10.0.0.0/16"},
        {"cidr": "10.0.0.0/28", "placement": "lowest", "seed": 3},
    ],
)
def test_a_subnet_that_is_made_is_not_made_again(arguments):
    """Memory was once given back before the arguments were read: the next call crashed."""
    subnet = Subnet("10.0.0.0/24", reservations=[("10.0.0.64/28", "prefix")])
    subnet.take_given("10.0.0.5")
    before, masks = state_of(subnet), subnet.free_masks()
    with pytest.raises((TypeError, ValueError)):
        subnet.__init__(**{"cidr": "10.0.0.0/20"} | arguments)
    assert state_of(subnet) == before
    assert masks.tolist() == subnet.free_masks().tolist()
    subnet._check()


@pytest.mark.parametrize("is_refused", [True, False])
def test_a_subnet_that_is_not_made_answers_and_does_not_crash(is_refused):
    subnet = Subnet.__new__(Subnet)
    if is_refused:
        with pytest.raises(TypeError):
            subnet.__init__("10.0.0.0/24", seed=1.5)
    assert (subnet.n_blocks, subnet.n_free, subnet.reservations) == (0, 0, ())
    assert subnet.find_free_prefix() is None
    for call in (
        lambda: subnet.take_given("10.0.0.5"),
        lambda: subnet.take_given_addresses(["10.0.0.5"]),
        lambda: subnet.take_given_prefix("10.0.0.0/28"),
        lambda: subnet.release_address("10.0.0.5"),
        subnet.take_address,
        lambda: subnet.take_addresses(1),
        subnet.take_prefix,
        lambda: subnet.take_prefixes(1),
        lambda: subnet.add_reservation("10.0.0.0/28", "prefix"),
        lambda: subnet.remove_reservation("10.0.0.0/28"),
        lambda: subnet.is_free("10.0.0.5"),
        subnet.free_masks,
    ):
        with pytest.raises((errors.IpamError, ValueError, TypeError)):
            call()
    assert subnet.copy().n_blocks == 0
    assert subnet.take_addresses(0) == []
    subnet._check()
    subnet.__init__("10.0.0.0/28")
    assert subnet.take_addresses(11) != []
    subnet._check()


def test_a_subnet_cannot_be_made_by_what_it_is_made_of():
    """Arguments that make it themselves, while it reads them, come first."""
    subnet = Subnet.__new__(Subnet)

    class Cidr:
        def __str__(self):
            subnet.__init__("10.9.0.0/28")
            return "10.0.0.0/16"

    with pytest.raises(TypeError, match="cannot be made again"):
        subnet.__init__(Cidr())
    assert (subnet.cidr, subnet.n_blocks) == ("10.9.0.0/28", 1)
    subnet._check()


def test_nothing_of_the_inside_can_be_called():
    """`_reserve` took any range, and wrote beyond the blocks."""
    inside = [name for name in dir(Subnet) if name.startswith("_") and not name.endswith("__")]
    assert inside == ["_check"]


# --- views ----------------------------------------------------------------------------------


def test_a_view_is_read_only_for_good():
    """Its flag once could be set, and what was written was then taken for true."""
    subnet = Subnet("10.0.0.0/24")
    for view in (subnet.free_masks(), subnet.free_counts()):
        with pytest.raises(ValueError, match="WRITEABLE"):
            view.flags.writeable = True
        with pytest.raises(ValueError, match="read-only"):
            view[:] = 0
        with pytest.raises(TypeError):
            memoryview(view)[0] = 0
        with pytest.raises((BufferError, ValueError)):
            np.ndarray(view.shape, view.dtype, buffer=view.base)[:] = 0
    subnet._check()


def test_what_a_view_shows_lives_as_long_as_the_view_and_cannot_be_emptied():
    """The memory was a bytearray: `view.base.obj.clear()` freed what the subnet used."""
    subnet = Subnet("10.0.0.0/16")
    masks = subnet.free_masks()
    owner = masks.base
    while isinstance(owner, (memoryview, np.ndarray)):
        owner = owner.obj if isinstance(owner, memoryview) else owner.base
    assert [name for name in dir(owner) if not name.startswith("__")] == []
    with contextlib.suppress(Exception):
        owner.__init__()
    assert memoryview(owner).readonly
    subnet.take_given("10.0.0.9")
    expected = masks.tolist()
    copied = subnet.copy()
    del subnet
    gc.collect()
    np.zeros(100_000, np.uint8)
    assert masks.tolist() == expected == copied.free_masks().tolist()


def test_memory_of_no_subnet_shows_nothing():
    from ipam_core._subnet_view import Memory

    assert len(memoryview(Memory())) == 0


# --- all or none, whatever runs in between -----------------------------------------------------


class Trap:
    """Garbage whose finalizer does something to a subnet, once the collector finds it."""

    def __init__(self, act):
        self.act, self.cycle = act, self

    def __del__(self):
        with contextlib.suppress(errors.IpamError):
            self.act()


@pytest.mark.usefixtures("quick_collections")
@pytest.mark.parametrize(
    ("take", "n", "other"),
    [
        (Subnet.take_addresses, 11, Subnet.take_address),
        (Subnet.take_addresses, 11, lambda s: s.take_given_addresses(["10.0.0.4", "10.0.0.9"])),
        (Subnet.take_addresses, 5, Subnet.take_address),
        (Subnet.take_prefixes, 14, Subnet.take_prefix),
        (Subnet.take_prefixes, 14, lambda s: s.take_given("10.0.0.77")),
        (Subnet.take_prefixes, 9, Subnet.take_prefix),
    ],
)
def test_addresses_are_taken_all_or_none_with_a_finalizer_that_takes_one(take, n, other):
    """The finalizer came between two of them: some were taken, and SubnetExhaustedError raised."""
    thresholds, outcomes = gc.get_threshold(), set()
    for first in range(1, 40):  # the collection comes at another moment each time
        subnet = Subnet("10.0.0.0/28" if take is Subnet.take_addresses else "10.0.0.0/24")
        taken_by_other = []
        gc.collect()
        before = subnet.n_free

        def act(subnet=subnet, taken=taken_by_other):
            was = subnet.n_free
            with contextlib.suppress(errors.IpamError):
                other(subnet)
            taken.append(was - subnet.n_free)

        Trap(act)
        gc.set_threshold(first)
        try:
            given = take(subnet, n)
        except (errors.SubnetExhaustedError, errors.NoFreePrefixError):
            given = []
        finally:
            gc.set_threshold(*thresholds)
        # Now, or after a whole call, the finalizer ran; of the call's there are all or none.
        gc.collect()
        size = 1 if take is Subnet.take_addresses else 16
        assert len(given) in (0, n)
        assert subnet.n_free == before - size * len(given) - sum(taken_by_other)
        outcomes.add(len(given))
        subnet._check()
    assert n in outcomes


@pytest.mark.usefixtures("quick_collections")
def test_a_reservation_is_made_once_with_a_finalizer_that_makes_one():
    thresholds = gc.get_threshold()
    for first in range(1, 40):
        subnet = Subnet("10.0.0.0/20")
        gc.collect()
        Trap(lambda s=subnet: s.add_reservation("10.0.1.0/24", "prefix"))
        gc.set_threshold(first)
        try:
            with contextlib.suppress(errors.ReservationError):
                subnet.add_reservation("10.0.0.0/23", "explicit")
        finally:
            gc.set_threshold(*thresholds)
        gc.collect()
        assert len(subnet.reservations) == 1
        subnet._check()


def test_a_reservation_is_found_by_its_text_not_by_what_calls_itself_equal():
    """An object equal to whatever it meets deleted the first; its own calls were lost."""
    subnet = Subnet(
        "10.0.0.0/24", reservations=[("10.0.0.32/28", "prefix"), ("10.0.0.64/28", "explicit")]
    )

    class Any:
        def __eq__(self, other):
            subnet.add_reservation("10.0.0.96/28", "prefix")
            return True

        __hash__ = None

    with pytest.raises(TypeError):
        subnet.remove_reservation(Any())
    subnet.remove_reservation(ipaddress.IPv4Network("10.0.0.64/28"))
    assert subnet.reservations == (("10.0.0.32/28", "prefix"),)
    with pytest.raises(errors.ReservationError, match=r"10\.0\.0\.64/28: .* no such reservation"):
        subnet.remove_reservation("10.0.0.64/28")
    subnet._check()


def test_a_list_of_addresses_that_grows_while_it_is_read_is_read_as_it_was():
    subnet = Subnet("10.0.0.0/24")
    addresses = ["10.0.0.9"]

    class Growing(str):
        __slots__ = ()

        def __str__(self):
            addresses.extend(["10.0.0.10"] * 1000)
            return "10.0.0.11"

    addresses.append(Growing("10.0.0.11"))
    subnet.take_given_addresses(addresses)
    assert subnet.n_free == 251 - 2
    subnet._check()
