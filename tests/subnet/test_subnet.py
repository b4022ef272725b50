"""The compiled Subnet against a set of free addresses, step by step, and exhaustively."""

import ipaddress
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from ipam_core._subnet import BLOCK_STATES, Subnet
from ipam_core.errors import (
    AddressInUseError,
    IpamError,
    NoFreePrefixError,
    ReservationError,
    SubnetExhaustedError,
    UnknownAddressError,
)
from ipam_core.fragmentation import Fragmentation
from support.subnet_model import ModelSubnet


def text(number):
    return str(ipaddress.IPv4Address(number))


def assert_agrees(subnet, model):
    subnet._check()
    inside, outside = model.whole()
    assert subnet.n_free == len(model.free)
    assert subnet.n_free_unreserved == len(model.open())
    assert subnet.n_free_prefixes == len(inside) + len(outside)
    first = next(iter(inside or outside), None)
    assert subnet.find_free_prefix() == (None if first is None else f"{text(first)}/28")
    assert [BLOCK_STATES[state] for state in subnet.block_states()] == model.states()
    assert subnet.histogram().tolist() == model.histogram()
    assert subnet.free_counts().tolist() == [len(b & model.free) for b in model.blocks()]
    assert subnet.free_masks().tolist() == [
        sum(1 << n - min(b) for n in b & model.free) for b in model.blocks()
    ]
    found = subnet.fragmentation()
    counts = Counter(model.states())
    for name in BLOCK_STATES:
        assert getattr(found, name.replace("-", "_")) == counts[name], name
    assert found.n_blocks == len(model.states())
    assert found.score == model.score()
    assert found.longest_free_run == model.longest_free_run()


def state_of(subnet):
    """Return all that can be seen of a subnet, and what it will choose next."""
    ahead = subnet.copy()
    return (
        subnet.free_masks().tolist(),
        subnet.block_states().tolist(),
        subnet.reservations,
        ahead.take_prefixes(ahead.n_free_prefixes),
        ahead.take_addresses(ahead.n_free_unreserved),
    )


class SubnetMachine(RuleBasedStateMachine):
    """Every operation on both, legal or not; the two never differ."""

    @initialize(
        bits=st.integers(24, 28),
        placement=st.sampled_from(["random", "lowest", "densest"]),
        seed=st.integers(0, 2**64),
    )
    def begin(self, bits, placement, seed):
        cidr = f"10.1.2.0/{bits}"
        self.subnet = Subnet(cidr, placement=placement, seed=seed)
        self.model = ModelSubnet(cidr)

    def refused(self, error, call, *arguments):
        before = state_of(self.subnet)
        with pytest.raises(error):
            call(*arguments)
        assert state_of(self.subnet) == before

    @rule(n=st.integers(0, 40))
    def take_addresses(self, n):
        open_ = self.model.open()
        if n > len(open_):
            self.refused(SubnetExhaustedError, self.subnet.take_addresses, n)
            return
        for address in map(int, map(ipaddress.IPv4Address, self.subnet.take_addresses(n))):
            blocks = [len(b & open_) for b in self.model.blocks() if b & open_]
            assert address in open_
            if self.subnet.placement == "lowest":
                assert address == min(open_)
            elif self.subnet.placement == "densest":
                (block,) = (b for b in self.model.blocks() if address in b)
                assert len(block & open_) == min(blocks)
                assert address == min(block & open_)
            open_.remove(address)
            self.model.free.remove(address)

    @rule(n=st.integers(0, 5))
    def take_prefixes(self, n):
        inside, outside = self.model.whole()
        if n > len(inside + outside):
            self.refused(NoFreePrefixError, self.subnet.take_prefixes, n)
            return
        for prefix in self.subnet.take_prefixes(n):
            first = int(ipaddress.IPv4Network(prefix).network_address)
            from_ = inside or outside
            assert first in from_
            if self.subnet.placement != "random":
                assert first == min(from_)
            from_.remove(first)
            self.model.prefixes.add(first)
            self.model.free -= set(range(first, first + 16))

    @rule(offsets=st.lists(st.integers(0, 255), max_size=6), data=st.data())
    def take_given(self, offsets, data):
        offsets = [offset % self.model.network.num_addresses for offset in offsets]
        addresses = [int(self.model.network[offset]) for offset in offsets]
        taken = [text(address) for address in addresses]
        if len(taken) == 1:
            call, argument = self.subnet.take_given, taken[0]
        else:
            call = self.subnet.take_given_addresses
            argument = np.array(addresses, np.uint32) if data.draw(st.booleans()) else taken
        if set(addresses) <= self.model.free and len(set(addresses)) == len(addresses):
            call(argument)
            self.model.free -= set(addresses)
        else:
            self.refused(AddressInUseError, call, argument)

    @rule(block=st.integers(0, 15))
    def take_given_prefix(self, block):
        block = self.model.blocks()[block % len(self.model.blocks())]
        prefix = f"{text(min(block))}/28"
        if block <= self.model.free:
            self.subnet.take_given_prefix(prefix)
            self.model.free -= block
            self.model.prefixes.add(min(block))
        else:
            self.refused(AddressInUseError, self.subnet.take_given_prefix, prefix)

    def singles(self):
        delegated = {first + n for first in self.model.prefixes for n in range(16)}
        return set(map(int, self.model.network)) - self.model.free - self.model.aws - delegated

    @rule(share=st.floats(0, 1), rng=st.randoms(use_true_random=False))
    def release_addresses(self, share, rng):
        held = sorted(self.singles())
        given_back = rng.sample(held, round(share * len(held)))
        self.subnet.release_addresses([text(address) for address in given_back])
        self.model.free |= set(given_back)

    @rule(offset=st.integers(0, 255))
    def release_one(self, offset):
        address = int(self.model.network[offset % self.model.network.num_addresses])
        if address in self.singles():
            self.subnet.release_address(text(address))
            self.model.free.add(address)
        else:
            self.refused(UnknownAddressError, self.subnet.release_address, text(address))
            some = [*sorted(self.singles())[:1], address]
            self.refused(
                UnknownAddressError,
                self.subnet.release_addresses,
                np.array(some, np.uint32),
            )

    @rule(block=st.integers(0, 15))
    def release_prefix(self, block):
        first = min(self.model.blocks()[block % len(self.model.blocks())])
        if first in self.model.prefixes:
            self.subnet.release_prefix(f"{text(first)}/28")
            self.model.prefixes.remove(first)
            self.model.free |= set(range(first, first + 16))
        else:
            self.refused(UnknownAddressError, self.subnet.release_prefix, f"{text(first)}/28")

    @rule(
        offset=st.integers(0, 255),
        bits=st.integers(23, 32),
        kind=st.sampled_from(["prefix", "explicit"]),
    )
    def reserve(self, offset, bits, kind):
        address = self.model.network.network_address + offset
        reserved = ipaddress.IPv4Network((address, bits), strict=False)
        if not reserved.subnet_of(self.model.network) or any(
            map(reserved.overlaps, self.model.reservations)
        ):
            self.refused(ReservationError, self.subnet.add_reservation, str(reserved), kind)
        else:
            self.subnet.add_reservation(str(reserved), kind)
            self.model.reservations[reserved] = kind

    @precondition(lambda self: self.model.reservations)
    @rule(data=st.data())
    def unreserve(self, data):
        reserved = data.draw(st.sampled_from(sorted(self.model.reservations)))
        self.subnet.remove_reservation(str(reserved))
        del self.model.reservations[reserved]
        self.refused(ReservationError, self.subnet.remove_reservation, str(reserved))

    @rule()
    def copy(self):
        before = state_of(self.subnet)
        other = self.subnet.copy()
        self.subnet.take_addresses(self.subnet.n_free_unreserved)
        assert state_of(other) == before
        self.subnet = other

    @invariant()
    def agree(self):
        assert_agrees(self.subnet, self.model)


TestSubnetMachine = SubnetMachine.TestCase
TestSubnetMachine.settings = settings(
    max_examples=max(40, settings.default.max_examples // 10),
    stateful_step_count=25,
    suppress_health_check=list(HealthCheck),
)


def test_every_set_of_held_addresses_of_a_28():
    """Exhaustive: all 2^11 subsets of the eleven usable addresses, taken in one call."""
    usable = list(ipaddress.IPv4Network("10.0.0.0/28"))[4:15]
    for mask in range(1 << len(usable)):
        held = [address for bit, address in enumerate(usable) if mask >> bit & 1]
        subnet = Subnet.from_addresses("10.0.0.0/28", map(str, held))
        subnet._check()
        assert subnet.n_free == 11 - len(held)
        assert subnet.n_free_prefixes == 0
        assert [address for address in usable if subnet.is_free(str(address))] == [
            address for address in usable if address not in held
        ]


@pytest.mark.parametrize("placement", ["random", "lowest", "densest"])
def test_every_short_life_of_a_26(placement):
    """Exhaustive: every sequence of four steps out of six, each compared with the model."""

    def lives(subnet, model, depth):
        assert_agrees(subnet, model)
        if depth == 0:
            return
        for step in range(6):
            other, its_model = subnet.copy(), ModelSubnet("10.0.0.0/26")
            its_model.free, its_model.prefixes = set(model.free), set(model.prefixes)
            its_model.reservations = dict(model.reservations)
            if walk(other, its_model, step):
                lives(other, its_model, depth - 1)

    def walk(subnet, model, step):
        second = ipaddress.IPv4Network("10.0.0.16/28")
        try:
            if step == 0:
                for address in subnet.take_addresses(7):
                    model.free.remove(int(ipaddress.IPv4Address(address)))
            elif step == 1:
                first = int(ipaddress.IPv4Network(subnet.take_prefix()).network_address)
                model.prefixes.add(first)
                model.free -= set(range(first, first + 16))
            elif step == 2:
                subnet.take_given("10.0.0.20")
                model.free.remove(int(second[4]))
            elif step == 3:
                subnet.release_address("10.0.0.20")
                model.free.add(int(second[4]))
            elif step == 4:
                subnet.add_reservation(str(second), "prefix")
                model.reservations[second] = "prefix"
            else:
                subnet.release_prefix(str(second))
                model.prefixes.remove(int(second[0]))
                model.free |= set(map(int, second))
        except IpamError:
            return False
        return True

    lives(Subnet("10.0.0.0/26", placement=placement, seed=3), ModelSubnet("10.0.0.0/26"), 4)


@pytest.mark.parametrize("bits", range(16, 29))
def test_every_size_can_be_filled_and_emptied(bits):
    subnet = Subnet(f"10.0.0.0/{bits}", seed=bits)
    n = 2 ** (32 - bits) - 5
    before = subnet.free_masks().copy()
    taken = subnet.take_addresses(n)
    subnet._check()
    assert len(set(taken)) == n
    assert (subnet.n_free, subnet.find_free_prefix()) == (0, None)
    with pytest.raises(SubnetExhaustedError):
        subnet.take_address()
    subnet.release_addresses(taken)
    subnet._check()
    assert np.array_equal(subnet.free_masks(), before)
    assert len(subnet.take_prefixes(subnet.n_free_prefixes)) == max(2 ** (28 - bits) - 2, 0)


def test_random_is_uniform_over_the_free_ones():
    """Chi-squared over what may be picked, blocks of few and many; the seed fixes the sample."""
    subnet = Subnet("10.0.0.0/24", seed=7, reservations=[("10.0.0.64/27", "prefix")])
    subnet.take_given_prefix("10.0.0.96/28")
    held = {2: 11, 3: 11, 7: 11, 8: 6, 9: 6, 10: 15}  # of so many blocks, by number
    for block, n_held in held.items():
        subnet.take_given_addresses([f"10.0.0.{16 * block + at}" for at in range(n_held)])
    n_open, draws = subnet.n_free_unreserved, 30_000
    seen = Counter()
    for _ in range(draws):
        address = subnet.take_address()
        seen[address] += 1
        subnet.release_address(address)
    assert len(seen) == n_open == 256 - 5 - 32 - 16 - sum(held.values())
    expected = draws / n_open
    chi2 = sum((count - expected) ** 2 / expected for count in seen.values())
    assert chi2 < 1.4 * n_open  # 142 degrees of freedom: more than 3 deviations


def test_random_prefixes_reach_every_free_block():
    seen = set()
    subnet = Subnet("10.0.0.0/24", seed=1)
    for _ in range(400):
        prefix = subnet.take_prefix()
        seen.add(prefix)
        subnet.release_prefix(prefix)
    assert len(seen) == 14


def test_a_seed_decides_the_sequence():
    first, second, other = (Subnet("10.0.0.0/20", seed=seed) for seed in (1, 1, 2))
    addresses = first.take_addresses(50)
    assert addresses == second.take_addresses(50) != other.take_addresses(50)


def used_subnet(seed):
    """Return a subnet with a past, and what is held in it singly and as /28s."""
    subnet = Subnet("10.0.0.0/21", seed=seed, reservations=[("10.0.2.0/25", "prefix")])
    prefixes, held = subnet.take_prefixes(30), subnet.take_addresses(60)
    for address in held[seed::3]:
        subnet.release_address(address)
    subnet.release_prefix(prefixes.pop(seed))
    return subnet, sorted(set(held) - set(held[seed::3])), prefixes


@pytest.mark.parametrize("seed", range(5))
def test_a_subnet_made_anew_goes_on_as_the_old_one_with_its_sequence(seed):
    subnet, held, prefixes = used_subnet(seed)
    made = {"prefixes": prefixes, "reservations": subnet.reservations}
    other = Subnet.from_addresses("10.0.0.0/21", held, **made)
    other.set_sequence(*subnet.sequence())
    only_seeded = Subnet.from_addresses("10.0.0.0/21", held, seed=subnet.sequence()[0], **made)
    other._check()
    taken = subnet.take_addresses(30)
    assert other.take_addresses(30) == taken
    assert only_seeded.take_addresses(30) != taken  # the order of the blocks counts, too
    assert other.take_prefixes(5) == subnet.take_prefixes(5)


def test_an_order_that_is_none_of_the_blocks_is_refused_and_changes_nothing():
    subnet, *_ = used_subnet(1)
    state, order = subnet.sequence()
    for bad in (order[1:], order[::-1].copy(), order * 0, order * 0 + 60_000):
        with pytest.raises(ValueError, match="order: "):
            subnet.set_sequence(7, bad)
    for number in (-1, 1 << 64):
        with pytest.raises(OverflowError):
            subnet.set_sequence(number, order)
    assert subnet.sequence()[0] == state
    assert (subnet.sequence()[1] == order).all()
    subnet._check()


def test_prefix_mode_fails_in_a_subnet_of_thousands_of_free_addresses():
    """The incident: one address in each block is enough (InsufficientCidrBlocks)."""
    subnet = Subnet("10.0.0.0/20")
    for block in range(256):
        subnet.take_given(text(int(ipaddress.IPv4Address("10.0.0.7")) + 16 * block))
    with pytest.raises(NoFreePrefixError) as caught:
        subnet.take_prefix()
    assert (caught.value.asked, caught.value.free_prefixes) == (1, 0)
    assert caught.value.free == 4096 - 5 - 256
    assert (subnet.fragmentation().score, subnet.fragmentation().band) == (100, "critical")


def test_reservations_keep_their_meaning():
    subnet = Subnet(
        "10.0.0.0/26", reservations=[("10.0.0.32/28", "prefix"), ("10.0.0.16/30", "explicit")]
    )
    assert subnet.take_prefix() == "10.0.0.32/28"  # of the reservation first
    with pytest.raises(NoFreePrefixError):
        subnet.take_prefix()  # the explicit reservation keeps 10.0.0.16/28 from being whole
    taken = subnet.take_addresses(subnet.n_free_unreserved)
    assert not {f"10.0.0.{n}" for n in (*range(16, 20), *range(32, 48))} & set(taken)
    subnet.take_given("10.0.0.16")  # by name, one may
    assert subnet.n_free == 3


@pytest.mark.parametrize("placement", ["random", "lowest", "densest"])
@pytest.mark.parametrize("seed", range(8))
def test_a_28_is_of_a_prefix_reservation_first(placement, seed):
    subnet = Subnet(
        "10.0.0.0/24", placement=placement, seed=seed, reservations=[("10.0.0.96/27", "prefix")]
    )
    assert set(subnet.take_prefixes(2)) == {"10.0.0.96/28", "10.0.0.112/28"}
    assert subnet.take_prefix() not in {"10.0.0.96/28", "10.0.0.112/28"}


@pytest.mark.parametrize(
    ("kept", "score", "band"),
    [
        (0, 0, "healthy"),
        (3, 22, "healthy"),
        (4, 29, "low"),
        (8, 58, "medium"),
        (11, 79, "high"),
        (14, 100, "critical"),
    ],
)
def test_bands(kept, score, band):
    subnet = Subnet("10.0.0.0/24")
    for block in range(1, kept + 1):
        subnet.take_given(text(int(ipaddress.IPv4Address("10.0.0.0")) + 16 * block))
    assert (subnet.fragmentation().score, subnet.fragmentation().band) == (score, band)


def test_every_score_has_its_band():
    below = ((25, "healthy"), (50, "low"), (75, "medium"), (100, "high"), (101, "critical"))
    states = dict.fromkeys((name.replace("-", "_") for name in BLOCK_STATES), 0)
    for broken in range(101):
        found = Fragmentation(
            **states | {"free": 100 - broken, "full": broken}, longest_free_run=0, n_free=1
        )
        band = next(name for limit, name in below if broken < limit)
        assert (found.score, found.band) == (broken, band)


def test_exhausted_is_not_critical():
    subnet = Subnet("10.0.0.0/24")
    subnet.take_addresses(251)
    assert subnet.fragmentation().band == "exhausted"
    assert Subnet("10.0.0.0/27").fragmentation().band == "unscored"
    assert Subnet("10.0.0.0/27").fragmentation().score is None


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda: Subnet("10.0.0.0/8"), ValueError, "10.0.0.0/8"),
        (lambda: Subnet("10.0.0.0/29"), ValueError, "/16 to /28"),
        (lambda: Subnet("10.0.0.5/24"), ValueError, "10.0.0.5/24"),
        (lambda: Subnet("fd00::/64"), ValueError, "fd00::/64"),
        (lambda: Subnet("10.0.0.0/24", placement="best"), ValueError, "random, lowest, densest"),
        (lambda: Subnet("10.0.0.0/24").take_given("10.0.0.256"), ValueError, "10.0.0.256"),
        (lambda: Subnet("10.0.0.0/24").take_given("10.0.00.1"), ValueError, "10.0.00.1"),
        (lambda: Subnet("10.0.0.0/24").take_given("10.0.0.\udc00"), ValueError, "udc00"),
        (lambda: Subnet("10.0.0.0/24").take_given(7), TypeError, "7"),
        (lambda: Subnet("10.0.0.0/24").take_given_addresses("10.0.0.7"), TypeError, "list"),
        (lambda: Subnet("10.0.0.0/24").take_given("10.0.1.7"), UnknownAddressError, "10.0.1.7"),
        (lambda: Subnet("10.0.0.0/24").take_given("10.0.0.3"), AddressInUseError, "AWS"),
        (lambda: Subnet("10.0.0.0/24").take_given_prefix("10.0.0.8/28"), ValueError, "bits set"),
        (lambda: Subnet("10.0.0.0/24").take_given_prefix("10.0.0.16/27"), ValueError, "/28"),
        (lambda: Subnet("10.0.0.0/24").take_addresses(-1), ValueError, "-1"),
        (lambda: Subnet("10.0.0.0/24").take_prefixes(-1), ValueError, "-1"),
        (
            lambda: Subnet("10.0.0.0/24", reservations=[("10.0.0.0/25", "both")]),
            ReservationError,
            "'both'",
        ),
        (
            lambda: Subnet("10.0.0.0/24", reservations=[("10.0.1.0/25", "prefix")]),
            ReservationError,
            "outside",
        ),
    ],
)
def test_bad_input_is_quoted(call, error, told):
    with pytest.raises(error, match=told):
        call()


@given(st.integers(0, 2**32 - 1), st.text("0123456789. /", max_size=16))
def test_addresses_are_read_as_ipaddress_reads_them(number, other):
    subnet = Subnet(str(ipaddress.IPv4Network((number, 24), strict=False)))
    for given_text in (text(number), other):
        try:
            ipaddress.IPv4Address(given_text)
        except ValueError:
            with pytest.raises(ValueError, match="is not an IPv4 address"):
                subnet.is_free(given_text)
            continue
        assume(given_text == text(number))
        assert subnet.is_free(given_text) == (number % 256 not in (0, 1, 2, 3, 255))


def test_views_are_live_and_outlive_the_subnet():
    subnet = Subnet("10.0.0.0/24")
    counts = subnet.free_counts()
    subnet.take_given_prefix("10.0.0.16/28")
    assert counts[1] == 0
    with pytest.raises(ValueError, match="read-only"):
        counts[1] = 16
    del subnet
    assert counts.sum() == 251 - 16
