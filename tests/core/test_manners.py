"""Stores and subnets as Python's own containers are."""

import copy
import gc
import inspect
import pickle
import weakref
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipam_core import DataStore, Sandbox, Subnet, _values
from ipam_core.errors import AddressInUseError, ReservationError, UnknownAddressError

S = 10**9


def store_of(mode="mixed", **more):
    store = DataStore(mode, given_time=True, **more)
    store.add_eni("eni-1", device_number=0, primary=True)
    for n in range(5, 9):
        store.add_address("eni-1", f"10.0.0.{n}")
    store.add_eni("eni-2", device_number=1)
    store.add_prefix("eni-2", "10.0.1.16/28")
    return store


# --- the DataStore ---------------------------------------------------------------------------


def test_a_store_says_what_it_is_and_counts_its_pods():
    store = store_of("secondary-ip")
    assert len(store) == 0
    assert store  # a store without pods is a store
    held = store.assign(Sandbox("c1"), "ns/a", 0)
    store.assign(Sandbox("c2"), "ns/b", 0)
    store.release(Sandbox("c2"), 1)
    assert len(store) == 1
    assert list(store) == list(store.assignments()) == [held]
    assert repr(store) == (
        "DataStore('secondary-ip', placement='pack': 2 ENIs, 4 addresses, 1 assigned, 1 cooling)"
    )
    assert "eni-1" in store  # and showing it expired nothing
    assert store.stats(100 * S).cooling == 0


def test_what_may_be_in_a_store():
    store = store_of()
    held = store.assign(Sandbox("c1"), None, 0)
    inside = [
        *("eni-1", "10.0.0.5", IPv4Address("10.0.0.5"), "10.0.1.17", "10.0.1.16/28"),
        *(IPv4Network("10.0.1.16/28"), Sandbox("c1"), held),
    ]
    outside = [
        *(
            "eni-3",
            "",
            "10.0.0.99",
            "10.0.1.32/28",
            "10.0.0.5/28",
            "10.0.0.16/28",
            "10.0",
            "fe80::1",
        ),
        *("not.an.address", IPv6Address("fe80::1"), IPv6Network("fe80::/80"), Sandbox("c2")),
        *("10.0.0.5/32", IPv4Network("10.0.0.5/32")),
    ]
    assert [item for item in inside if item not in store] == []
    assert [item for item in outside if item in store] == []
    store.release(Sandbox("c1"), 1)
    assert held not in store
    again = store.assign(Sandbox("c1"), "other/pod", 100 * S)
    assert again in store
    assert held not in store
    for wrong in (None, 5, b"eni-1", 1.5, ["eni-1"], object(), ("eni-1",)):
        with pytest.raises(TypeError, match=r"in a DataStore: give a Sandbox"):
            assert wrong not in store


def test_an_ipv6_address_is_in_its_prefix():
    store = DataStore("ipv6")
    store.add_eni("eni-1", device_number=0)
    store.add_prefix("eni-1", "2001:db8::/80")
    assert "2001:db8::5" in store
    assert IPv6Network("2001:db8::/80") in store
    assert "2001:db8:1::5" not in store
    assert [slot.cidr for slot in store.free_slots()] == ["2001:db8::/80"]
    assert store.assign_from("2001:db8::/80", Sandbox("c")).prefix == "2001:db8::/80"
    with pytest.raises(UnknownAddressError):
        store.assign_from("2001:db8::9", Sandbox("d"))


@pytest.mark.parametrize("placement", ["pack", "first", "spread", "arbitrary"])
def test_copies_and_pickles_are_equal_and_separate(placement):
    store = store_of(placement=placement, seed=7)
    for n in range(12):
        store.assign(Sandbox(f"c{n}"), f"ns/{n}", n * S)
    for n in range(0, 12, 2):
        store.release(Sandbox(f"c{n}"), 20 * S)
    for made in (copy.copy, copy.deepcopy, DataStore.copy, lambda s: pickle.loads(pickle.dumps(s))):
        other = made(store)
        assert other == store
        assert other is not store
        other._check()
        given = [each.assign(Sandbox("new"), None, 60 * S).address for each in (store, other)]
        assert given[0] == given[1]  # what it does next is the same too
        assert store == other
        other.release(Sandbox("new"), 61 * S)
        assert store != other
        store.release(Sandbox("new"), 61 * S)
        assert store == other


def test_a_store_equals_only_a_store_of_the_same_state():
    assert store_of() == store_of()
    assert store_of(seed=1) == store_of(seed=2)  # a seed of no consequence
    assert store_of(placement="arbitrary", seed=1) != store_of(placement="arbitrary", seed=2)
    assert store_of() != store_of(cooldown_s=31)
    assert store_of() != 5
    assert store_of() != Subnet("10.0.0.0/24")
    with pytest.raises(TypeError, match="unhashable"):
        hash(store_of())


def test_weak_references_end_with_what_they_name():
    for made in (store_of, lambda: Subnet("10.0.0.0/28")):
        value = made()
        weak = weakref.ref(value)
        assert weak() is value
        del value
        gc.collect()
        assert weak() is None


def test_pickled_bytes_that_were_changed_are_refused():
    kind, (snapshot,) = store_of().__reduce__()
    with pytest.raises(Exception, match="checksum"):
        kind(snapshot[:-1] + b"!")


# --- slots ---------------------------------------------------------------------------------


def test_free_slots_are_those_that_can_give_an_address_now():
    store = store_of()
    store.assign_from("10.0.0.6", Sandbox("c1"), "ns/a", 0)
    store.assign_from(IPv4Network("10.0.1.16/28"), Sandbox("c2"), None, 0)
    store.assign_from("10.0.1.16/28", Sandbox("c3"), None, 0)
    store.release(Sandbox("c3"), 0)
    assert [
        (s.eni_id, s.cidr, s.n_free, s.n_assigned, s.n_cooling) for s in store.free_slots(1)
    ] == [
        ("eni-1", "10.0.0.5", 1, 0, 0),
        ("eni-1", "10.0.0.7", 1, 0, 0),
        ("eni-1", "10.0.0.8", 1, 0, 0),
        ("eni-2", "10.0.1.16/28", 14, 1, 1),
    ]
    assert store.free_slots(31 * S)[-1].n_cooling == 0
    store.exclude_eni("eni-1")
    assert {slot.eni_id for slot in store.free_slots()} == {"eni-2"}
    store.mode = "secondary-ip"
    assert store.free_slots() == []
    store._check()


def test_an_address_out_of_a_slot_that_has_none_is_refused_and_nothing_changes():
    store = store_of()
    given = store.assign_from("10.0.0.6", Sandbox("c1"), "ns/a", 0)
    assert (given.address, given.pod, given.eni_id) == ("10.0.0.6", "ns/a", "eni-1")
    assert store.assign_from("10.0.0.7", Sandbox("c1"), None, 0) == given  # it keeps what it has
    before = store.snapshot()
    for cidr, error, said in [
        ("10.0.0.6", AddressInUseError, r"10\.0\.0\.6 is in use \(1 assigned\)"),
        ("10.0.0.9", UnknownAddressError, "list of what this store assigns from"),
        ("10.0.1.17", UnknownAddressError, "list of what this store assigns from"),
        ("10.0.0.0/28", UnknownAddressError, "list of what this store assigns from"),
        ("10.0.0.6/32", ValueError, "10.0.0.6/32"),
        ("eni-1", ValueError, "eni-1"),
    ]:
        with pytest.raises(error, match=said):
            store.assign_from(cidr, Sandbox("c2"), None, 0)
    store.release(Sandbox("c1"), 0)
    with pytest.raises(AddressInUseError, match="is cooling"):
        store.assign_from("10.0.0.6", Sandbox("c2"), None, 1)
    store.exclude_eni("eni-1")
    with pytest.raises(AddressInUseError):
        store.assign_from("10.0.0.5", Sandbox("c2"), None, 1)
    assert before != store.snapshot()
    store._check()


@given(st.data())
@settings(max_examples=60)
def test_any_choice_of_slots_keeps_the_store_intact(data):
    """Next to a plain count of what each slot can give."""
    placement = data.draw(st.sampled_from(["pack", "arbitrary"]))
    store = store_of(placement=placement)
    room = {f"10.0.0.{n}": 1 for n in range(5, 9)} | {"10.0.1.16/28": 16}
    held, cooling, now = {}, [], 0
    for n in range(data.draw(st.integers(1, 40))):
        now += data.draw(st.sampled_from([0, S, 40 * S]))
        cooling = [(cidr, at) for cidr, at in cooling if now - at <= 30 * S]
        used = [*held.values(), *(cidr for cidr, _ in cooling)]
        free = {cidr: most - used.count(cidr) for cidr, most in room.items()}
        free = {cidr: n_free for cidr, n_free in free.items() if n_free}
        assert {slot.cidr: slot.n_free for slot in store.free_slots(now)} == free
        if held and data.draw(st.booleans()):
            name = data.draw(st.sampled_from(sorted(held)))
            store.release(Sandbox(name), now)
            cooling.append((held.pop(name), now))
        elif free:
            cidr = data.draw(st.sampled_from(sorted(free)))
            given_ = store.assign_from(cidr, Sandbox(f"c{n}"), None, now)
            assert cidr in (given_.address, given_.prefix)
            held[f"c{n}"] = cidr
        store._check()
        assert len(store) == len(held)


# --- the Subnet ------------------------------------------------------------------------------


def subnet_of(**more):
    subnet = Subnet("10.0.0.0/24", seed=3, reservations=[("10.0.0.64/26", "prefix")], **more)
    taken = subnet.take_addresses(40)
    subnet.take_prefixes(3)
    for address in taken[::3]:
        subnet.release_address(address)
    return subnet


def test_a_subnet_is_a_collection_of_its_addresses_taken_or_not():
    subnet = subnet_of()
    assert len(subnet) == 256
    assert list(subnet) == [str(each) for each in IPv4Network("10.0.0.0/24")]
    assert "10.0.0.3" in subnet
    assert IPv4Address("10.0.0.255") in subnet
    assert "10.0.1.0" not in subnet
    assert "9.255.255.255" not in subnet
    assert "no address" not in subnet
    for wrong in (None, 5, b"10.0.0.3", IPv4Network("10.0.0.0/28"), IPv6Address("::1")):
        with pytest.raises(TypeError, match=r"in a Subnet: give an IPv4 address"):
            assert wrong not in subnet


def test_what_is_taken_of_a_subnet_is_listed_in_order():
    subnet = Subnet("10.0.0.0/24", placement="lowest")
    assert (subnet.taken_addresses(), subnet.taken_prefixes()) == ([], [])
    subnet.take_addresses(3)
    subnet.take_given("10.0.0.250")
    subnet.take_given_prefix("10.0.0.32/28")
    assert subnet.taken_addresses() == ["10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.250"]
    assert subnet.taken_prefixes() == ["10.0.0.32/28"]


@pytest.mark.parametrize("placement", ["random", "lowest", "densest"])
def test_copies_and_pickles_of_a_subnet_choose_alike(placement):
    subnet = subnet_of(placement=placement)
    for made in (copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))):
        other = made(subnet)
        other._check()
        assert other == subnet
        assert other.reservations == subnet.reservations
        for _ in range(20):
            assert subnet.take_address() == other.take_address()
        assert subnet == other
        other.release_address(other.taken_addresses()[0])
        assert subnet != other
        subnet.release_address(subnet.taken_addresses()[0])
    assert subnet != Subnet("10.0.0.0/24")
    assert subnet != "10.0.0.0/24"
    with pytest.raises(TypeError, match="unhashable"):
        hash(subnet)


def test_a_pickled_subnet_that_does_not_agree_with_itself_is_refused():
    kind, state = subnet_of().__reduce__()
    assert kind(*state) == subnet_of()
    for at, value, error in [
        (0, "10.0.0.0/25", Exception),
        (1, "anywhere", ValueError),
        (2, (("10.1.0.0/26", "prefix"),), ReservationError),
        (3, -1, OverflowError),
        (4, state[4][:-2], ValueError),
        (4, bytes(len(state[4])), ValueError),
        (5, bytes(len(state[5])), ValueError),
        (6, b"\xff" * len(state[6]), ValueError),
        (7, [*state[7], state[7][0]], AddressInUseError),
        (8, ["10.9.0.0/28"], UnknownAddressError),
    ]:
        with pytest.raises(error):
            kind(*state[:at], value, *state[at + 1 :])


# --- classes ---------------------------------------------------------------------------------


def test_classes_tell_their_arguments():
    assert list(inspect.signature(DataStore).parameters) == [
        *("mode", "cooldown_s", "placement", "seed", "given_time")
    ]
    assert list(inspect.signature(Subnet).parameters) == [
        *("cidr", "placement", "seed", "reservations")
    ]
    assert str(inspect.signature(Sandbox)) == "(container_id, ifname='eth0', network='aws-cni')"
    for name in set(_values.__all__) - {"Assignment", "Sandbox"}:
        kind = getattr(_values, name)
        told = inspect.signature(kind).parameters
        assert list(told) == list(kind.__dataclass_fields__), name
        assert {each.kind for each in told.values()} == {inspect.Parameter.KEYWORD_ONLY}
    for kind in (DataStore, Subnet, Sandbox):
        defaults = {
            name: each.default
            for name, each in inspect.signature(kind).parameters.items()
            if each.default is not each.empty
        }
        first = () if kind is DataStore else ("10.0.0.0/24",)
        assert kind(*first, **defaults) == kind(*first)
        assert not kind.__doc__.lstrip().startswith(kind.__name__)
