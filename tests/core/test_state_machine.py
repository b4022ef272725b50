"""The DataStore against the model, step by step, over every operation."""

from __future__ import annotations

import ipaddress

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ipam_core import errors
from ipam_core._store import DataStore, Sandbox
from support.store_model import OWN_KINDS, Model, Refused

SECOND = 1_000_000_000
WHY = {
    errors.DuplicateError: "duplicate",
    errors.CapacityError: "capacity",
    errors.AddressInUseError: "in use",
    errors.UnknownEniError: "unknown ENI",
    errors.UnknownAddressError: "unknown address",
    errors.UnknownSandboxError: "unknown sandbox",
}
NOBODY = np.uint64(2**64 - 1)

enis = st.sampled_from([f"eni-{n}" for n in range(4)])
lone = st.integers(0, 40).map(lambda n: f"10.0.0.{n}")
slash28 = st.integers(0, 5).map(lambda n: f"10.0.0.{16 * n}/28")
slash80 = st.integers(0, 2).map(lambda n: f"2001:db8:0:0:{n}::/80")
addresses = st.one_of(
    st.integers(0, 100).map(lambda n: f"10.0.0.{n}"),
    st.tuples(st.integers(0, 2), st.integers(0, 200)).map(
        lambda pair: str(ipaddress.ip_address(f"2001:db8:0:0:{pair[0]}::") + pair[1])
    ),
)
cidrs = st.one_of(
    st.tuples(st.just("address"), lone),
    st.tuples(st.just("prefix"), slash28),
    st.tuples(st.just("wide"), slash80),
)
sandboxes = st.integers(0, 40).map(lambda n: Sandbox(f"c{n}"))
placements = st.sampled_from(["pack", "first", "spread", "arbitrary"])
modes = st.sampled_from(sorted(OWN_KINDS))


class StoreAndModel(RuleBasedStateMachine):
    @initialize(
        mode=modes,
        placement=placements,
        seed=st.integers(0, 9),
        attached=st.lists(st.tuples(enis, cidrs), min_size=2, max_size=12),
        n_pods=st.integers(0, 30),
        cooldown_s=st.sampled_from([30, 30, 30, 0]),
    )
    def begin(self, mode, placement, seed, attached, n_pods, cooldown_s):
        """Begin with ENIs that hold something, so that most steps find something to do."""
        self.store = DataStore(
            mode, cooldown_s=cooldown_s, placement=placement, seed=seed, given_time=True
        )
        self.model = Model(mode, cooldown_s * SECOND, placement)
        self.now = 1000 * SECOND
        for number in range(3):
            self.add_eni(f"eni-{number}", number, number % 2, "", False)
        for eni, cidr in attached:
            self.add_cidr(eni, cidr)
        for number in range(n_pods):
            self.assign(Sandbox(f"c{number}"), None)

    def both(self, act, expect):
        """Do a thing to both; refused by one, it is refused by both, and changes nothing."""
        try:
            expected = expect()
        except Refused as refused:
            before = self.store.snapshot()
            try:
                act()
            except errors.IpamError as error:
                assert WHY[type(error)] == refused.why
            else:
                raise AssertionError(f"not refused: {refused.why}")
            assert self.store.snapshot() == before
            return None
        met = act()
        return expected, met

    # --- time and mode ------------------------------------------------------------

    @rule(seconds=st.sampled_from([0, 1, 29, 30, 31, 61]))
    def time_passes(self, seconds):
        self.now += seconds * SECOND

    @rule(mode=modes)
    def toggle(self, mode):
        self.store.mode = self.model.mode = mode

    @rule()
    def restart_from_a_snapshot(self):
        kept = self.store.snapshot()
        self.store = DataStore.restore(kept)
        assert self.store.snapshot() == kept

    # --- ENIs -----------------------------------------------------------------------

    @rule(
        eni=enis,
        device=st.integers(0, 3),
        card=st.integers(0, 1),
        role=st.sampled_from(["primary", "trunk", "efa", "", "", ""]),
        excluded=st.booleans(),
    )
    def add_eni(self, eni, device, card, role, excluded):
        flags = {role: True} if role else {}
        self.both(
            lambda: self.store.add_eni(
                eni,
                device_number=device,
                network_card=card,
                created_ns=self.now,
                excluded=excluded,
                **flags,
            ),
            lambda: self.model.add_eni(
                eni,
                device_number=device,
                card=card,
                created_ns=self.now,
                excluded=excluded,
                **flags,
            ),
        )

    @rule(eni=enis, force=st.booleans())
    def remove_eni(self, eni, force):
        done = self.both(
            lambda: self.store.remove_eni(eni, force=force),
            lambda: self.model.remove_eni(eni, force),
        )
        if done:
            assert {lost.sandbox for lost in done[1]} == done[0]

    @rule(eni=enis, excluded=st.booleans())
    def exclude(self, eni, excluded):
        act = self.store.exclude_eni if excluded else self.store.include_eni
        done = self.both(lambda: act(eni), lambda: self.model._eni(eni))
        if done:
            done[0].excluded = excluded

    # --- CIDRs ----------------------------------------------------------------------

    @rule(eni=enis, cidr=cidrs)
    def add_cidr(self, eni, cidr):
        kind, text = cidr
        add = self.store.add_address if kind == "address" else self.store.add_prefix
        self.both(lambda: add(eni, text), lambda: self.model.add_cidr(eni, text, kind))

    @rule(eni=enis, cidr=cidrs, force=st.booleans())
    def remove_cidr(self, eni, cidr, force):
        kind, text = cidr
        remove = self.store.remove_address if kind == "address" else self.store.remove_prefix
        done = self.both(
            lambda: remove(eni, text, force=force),
            lambda: self.model.remove_cidr(eni, text, force),
        )
        if done:
            assert {lost.sandbox for lost in done[1]} == done[0]

    # --- pods -----------------------------------------------------------------------

    @rule(sandbox=sandboxes, pod=st.sampled_from([None, "default/a", "kube-system/b"]))
    def assign(self, sandbox, pod):
        held = self.model.holder_of(sandbox)
        allowed = self.model.allowed(self.now)
        try:
            given = self.store.assign(sandbox, pod, self.now)
        except errors.PoolExhaustedError as error:
            assert held is None
            assert not allowed
            stats = self.model.stats(self.now)
            assert (error.total, error.assigned, error.cooling) == tuple(
                stats[key] for key in ("total", "assigned", "cooling")
            )
            return
        if held is not None:
            assert given.address == held[2]
            self.model.name(held, pod)
            return
        assert given.address in allowed
        self.model.take(sandbox, given.address, pod, self.now)
        assert (given.sandbox, given.pod, given.assigned_ns) == (sandbox, pod, self.now)

    @rule(sandbox=sandboxes, address=addresses)
    def adopt(self, sandbox, address):
        self.both(
            lambda: self.store.adopt(sandbox, address, "default/kept", self.now),
            lambda: self.model.adopt(sandbox, address, "default/kept", self.now),
        )

    @rule(address=addresses, ago=st.integers(0, 40))
    def cool(self, address, ago):
        self.store.stats(self.now)  # time has come: what has cooled by now is free
        released = self.now - ago * SECOND
        self.both(
            lambda: self.store.cool(address, released),
            lambda: self.model.cool(address, released, self.now),
        )

    @rule(sandbox=sandboxes, ago=st.sampled_from([0, 0, 0, 1, 7, 29, 31]))
    def release(self, sandbox, ago):
        """Release, by a clock that may go back."""
        released = self.now - ago * SECOND
        done = self.both(
            lambda: self.store.release(sandbox, released),
            lambda: self.model.release(sandbox, released),
        )
        if done:
            assert done[1].address == done[0]

    @rule(sandbox=sandboxes)
    def unassign(self, sandbox):
        done = self.both(lambda: self.store.unassign(sandbox), lambda: self.model.unassign(sandbox))
        if done:
            assert done[1].address == done[0]

    @rule(batch=st.lists(sandboxes, max_size=20), partial=st.booleans(), by_numpy=st.booleans())
    def assign_many(self, batch, partial, by_numpy):
        new = {sandbox for sandbox in batch if self.model.holder_of(sandbox) is None}
        free = sum(
            self.model.n_free(cidr, self.now)
            for eni in self.model.enis.values()
            for cidr in eni.cidrs.values()
            if self.model._counts(eni, cidr)
        )
        before = self.store.snapshot()
        try:
            given = self.store.assign_many(rows(batch, by_numpy), self.now, partial=partial)
        except errors.PoolExhaustedError:
            assert not partial
            assert len(new) > free
            # What had cooled by now may have been opened: that is time, not the batch.
            assert DataStore.restore(before).stats(self.now) == self.store.stats(self.now)
            return
        assert partial or len(new) <= free
        for sandbox, (high, low) in zip(batch, pairs(given), strict=True):
            held = self.model.holder_of(sandbox)
            if low == NOBODY and high == NOBODY:
                assert held is None
                assert not self.model.allowed(self.now)
                continue
            address = text_of(high, low)
            if held is not None:
                assert held[2] == address
            else:
                assert address in self.model.allowed(self.now)
                self.model.take(sandbox, address, None, self.now, is_named=False)

    @rule(batch=st.lists(sandboxes, max_size=20), partial=st.booleans(), by_numpy=st.booleans())
    def release_many(self, batch, partial, by_numpy):
        known = [sandbox for sandbox in batch if self.model.holder_of(sandbox)]
        all_known = len(set(known)) == len(batch)
        before = self.store.snapshot()
        try:
            freed = self.store.release_many(rows(batch, by_numpy), self.now, partial=partial)
        except errors.UnknownSandboxError:
            assert not partial
            assert not all_known
            assert self.store.snapshot() == before
            return
        assert partial or all_known
        for sandbox, (high, low) in zip(batch, pairs(freed), strict=True):
            if low == NOBODY and high == NOBODY:
                assert self.model.holder_of(sandbox) is None
            else:
                assert self.model.release(sandbox, self.now) == text_of(high, low)

    # --- questions --------------------------------------------------------------------

    @precondition(lambda self: self.model.enis)
    @rule(
        warm_ip=st.integers(0, 20),
        minimum_ip=st.integers(0, 40),
        warm_prefix=st.integers(0, 3),
        age_s=st.sampled_from([0, 60]),
    )
    def find_freeable_eni(self, warm_ip, minimum_ip, warm_prefix, age_s):
        answer = self.store.find_freeable_eni(
            warm_ip=warm_ip,
            minimum_ip=minimum_ip,
            warm_prefix=warm_prefix,
            min_age_s=age_s,
            now_ns=self.now,
        )
        why = {
            eni.eni_id: self.model.why_kept(
                eni, warm_ip, minimum_ip, warm_prefix, age_s * SECOND, self.now
            )
            for eni in self.model.ordered()
        }
        assert answer.reasons == {eni_id: text for eni_id, text in why.items() if text}
        assert answer.candidates == tuple(eni_id for eni_id, text in why.items() if not text)
        assert answer.eni_id in (answer.candidates or (None,))

    @rule(address=addresses, sandbox=sandboxes)
    def find(self, address, sandbox):
        place = self.model.place_of(address)
        use = place[1].uses.get(address) if place else None
        found = self.store.find_address(address)
        assert (found.sandbox if found else None) == (use.sandbox if use else None)
        held = self.model.holder_of(sandbox)
        found = self.store.find(sandbox)
        assert (found.address if found else None) == (held[2] if held else None)

    @invariant()
    def they_agree(self):
        if not hasattr(self, "store"):
            return
        self.store._check()
        stats = self.store.stats(self.now)
        self.store._check()
        expected = self.model.stats(self.now)
        assert {key: getattr(stats, key) for key in expected} == expected
        for card in (0, 1):
            of_card = self.store.stats(self.now, card)
            expected = self.model.stats(self.now, card)
            assert {key: getattr(of_card, key) for key in expected} == expected
        assert [eni.eni_id for eni in self.store.enis()] == [
            eni.eni_id for eni in self.model.ordered()
        ]
        for eni in self.model.enis.values():
            self.eni_agrees(eni)
        assignments = {a.sandbox: (a.address, a.pod) for a in self.store.assignments()}
        assert assignments == {
            use.sandbox: (address, use.pod)
            for eni in self.model.enis.values()
            for cidr in eni.cidrs.values()
            for address, use in cidr.uses.items()
            if use.sandbox is not None
        }
        assert sorted(self.store.free_counts(self.now)) == sorted(
            0 if eni.excluded else self.n_giveable(cidr)
            for eni in self.model.enis.values()
            for cidr in eni.cidrs.values()
            if cidr.kind in OWN_KINDS[self.model.mode]
        )
        ages = self.store.assignment_ages_ns(self.now)
        assert list(ages) == [self.now - a.assigned_ns for a in self.store.assignments()]
        cooling = [
            use.released_ns + self.model.cooldown_ns + 1
            for eni in self.model.enis.values()
            for cidr in eni.cidrs.values()
            for use in cidr.uses.values()
            if self.model.is_cooling(use, self.now)
        ]
        assert self.store.next_cool_ns(self.now) == min(cooling, default=None)

    def n_giveable(self, cidr):
        """Return how many addresses can be given: of a /80, of its first 65,536."""
        size = cidr.network.num_addresses
        return self.model.n_free(cidr, self.now) - size + min(size, 65_536)

    def eni_agrees(self, eni):
        stats = self.store.eni_stats(eni.eni_id, self.now)
        expected = self.model.eni_stats(eni.eni_id, self.now)
        assert {key: getattr(stats, key) for key in expected} == expected
        by_kind = {"address": set(), "prefix": set()}
        free, cold = {"address": set(), "prefix": set()}, {"address": set(), "prefix": set()}
        for cidr in eni.cidrs.values():
            kind = "address" if cidr.kind == "address" else "prefix"
            text = str(ipaddress.ip_network(cidr.text)) if kind == "prefix" else cidr.text
            by_kind[kind].add(text)
            if not cidr.held():
                free[kind].add(text)
                if not self.model.n_cooling(cidr, self.now):
                    cold[kind].add(text)
        assert set(self.store.addresses(eni.eni_id)) == by_kind["address"]
        assert set(self.store.prefixes(eni.eni_id)) == by_kind["prefix"]
        assert set(self.store.freeable_addresses(eni.eni_id)) == free["address"]
        assert set(self.store.freeable_prefixes(eni.eni_id)) == free["prefix"]
        without = {"cooling": False, "now_ns": self.now}
        assert set(self.store.freeable_addresses(eni.eni_id, **without)) == cold["address"]
        assert set(self.store.freeable_prefixes(eni.eni_id, **without)) == cold["prefix"]
        used = {
            (u.address, u.sandbox, u.pod, u.assigned_ns, u.released_ns)
            for u in self.store.used_addresses(eni.eni_id)
        }
        assert used == {
            (address, use.sandbox, use.pod, use.assigned_ns, use.released_ns)
            for cidr in eni.cidrs.values()
            for address, use in cidr.uses.items()
        }


def rows(batch, by_numpy):
    """Return a batch of sandboxes as their digests: an array of NumPy, or bytes."""
    joined = b"".join(sandbox.digest for sandbox in batch)
    return np.frombuffer(joined, dtype=np.uint64).reshape(-1, 2) if by_numpy else joined


def pairs(addresses):
    """Return the high and the low word of each row of either result."""
    return np.asarray(addresses).reshape(-1, 2)


def text_of(high, low):
    return str(ipaddress.ip_address(int(high) << 64 | int(low)))


TestStoreAndModel = StoreAndModel.TestCase
