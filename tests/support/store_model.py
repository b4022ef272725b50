"""A slow, obvious reference for the DataStore: dictionaries, loops, no bits.

It imports nothing from ipam_core. Where the store may choose, the model says which
addresses it may choose from (`allowed`), and is told which one it took.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from functools import cache

OWN_KINDS = {
    "secondary-ip": {"address"},
    "prefix": {"prefix"},
    "mixed": {"address", "prefix"},
    "ipv6": {"wide"},
}


# The same few texts come again and again, and to read one takes 10 us.
network_of = cache(ipaddress.ip_network)
address_of = cache(ipaddress.ip_address)


class Refused(Exception):
    """The operation is not allowed; `why` is a word for the reason."""

    def __init__(self, why):
        super().__init__(why)
        self.why = why


@dataclass
class Use:
    """An address that was ever used: by whom, and until when."""

    sandbox: object
    pod: object
    assigned_ns: int
    released_ns: int = 0
    is_named: bool = True


@dataclass
class Cidr:
    """A secondary IP or a prefix, with its addresses that were ever used."""

    text: str
    kind: str
    uses: dict = field(default_factory=dict)

    @property
    def network(self):
        return network_of(self.text)

    def held(self):
        return [use for use in self.uses.values() if use.sandbox is not None]


@dataclass
class Eni:
    """An ENI with its CIDRs by text."""

    eni_id: str
    device_number: int
    order: int
    created_ns: int
    card: int = 0
    primary: bool = False
    trunk: bool = False
    efa: bool = False
    excluded: bool = False
    cidrs: dict = field(default_factory=dict)


class Model:
    """What a DataStore is, said in plain Python."""

    def __init__(self, mode, cooldown_ns, placement):
        self.mode = mode
        self.cooldown_ns = cooldown_ns
        self.placement = placement
        self.enis = {}
        self.n_added = 0

    # --- ENIs and CIDRs ---------------------------------------------------------

    def ordered(self):
        return sorted(self.enis.values(), key=lambda eni: (eni.device_number, eni.order))

    def add_eni(self, eni_id, **facts):
        if eni_id in self.enis:
            raise Refused("duplicate")
        if len(self.enis) == 64:
            raise Refused("capacity")
        self.n_added += 1
        self.enis[eni_id] = Eni(eni_id=eni_id, order=self.n_added, **facts)

    def remove_eni(self, eni_id, force):
        eni = self._eni(eni_id)
        lost = [use for cidr in eni.cidrs.values() for use in cidr.held()]
        if lost and not force:
            raise Refused("in use")
        del self.enis[eni_id]
        return {use.sandbox for use in lost}

    def add_cidr(self, eni_id, text, kind):
        eni = self._eni(eni_id)
        network = network_of(text)
        for other in self.enis.values():
            for cidr in other.cidrs.values():
                if cidr.network.version == network.version and cidr.network.overlaps(network):
                    raise Refused("duplicate")
        if len(eni.cidrs) == 63:
            raise Refused("capacity")
        eni.cidrs[text] = Cidr(text=text, kind=kind)

    def remove_cidr(self, eni_id, text, force):
        eni = self._eni(eni_id)
        if text not in eni.cidrs:
            raise Refused("unknown address")
        lost = eni.cidrs[text].held()
        if lost and not force:
            raise Refused("in use")
        del eni.cidrs[text]
        return {use.sandbox for use in lost}

    def _eni(self, eni_id):
        if eni_id not in self.enis:
            raise Refused("unknown ENI")
        return self.enis[eni_id]

    # --- pods -----------------------------------------------------------------------

    def holder_of(self, sandbox):
        """Return (ENI, CIDR, address) of a sandbox, or None."""
        for eni in self.enis.values():
            for cidr in eni.cidrs.values():
                for address, use in cidr.uses.items():
                    if use.sandbox == sandbox:
                        return eni, cidr, address
        return None

    def place_of(self, address):
        """Return (ENI, CIDR) that an address is attached to, or None."""
        ip = address_of(address)
        for eni in self.enis.values():
            for cidr in eni.cidrs.values():
                if cidr.network.version == ip.version and ip in cidr.network:
                    return eni, cidr
        return None

    def is_cooling(self, use, now_ns):
        """Return whether its cooldown is not over; without one it never cools."""
        if self.cooldown_ns == 0:
            return False
        return use.sandbox is None and now_ns - use.released_ns <= self.cooldown_ns

    def is_free(self, cidr, address, now_ns):
        use = cidr.uses.get(address)
        return use is None or (use.sandbox is None and not self.is_cooling(use, now_ns))

    def n_free(self, cidr, now_ns):
        taken = [a for a in cidr.uses if not self.is_free(cidr, a, now_ns)]
        return cidr.network.num_addresses - len(taken)

    def allowed(self, now_ns):
        """Return the addresses that may be assigned now."""
        open_enis = []
        for kinds in ({"prefix", "wide"}, {"address"}):  # prefixes first, on whatever ENI
            for eni in self.ordered():
                own = [c for c in eni.cidrs.values() if self._counts(eni, c) and c.kind in kinds]
                free = [c for c in own if self.n_free(c, now_ns)]
                if free:
                    open_enis.append((eni, own, free))
            if open_enis:
                break
        if not open_enis:
            return set()
        if self.placement in ("pack", "first"):
            open_enis = open_enis[:1]
        elif self.placement == "spread":

            def total(entry):
                return sum(self.n_free(c, now_ns) for c in entry[1])

            most = max(map(total, open_enis))
            open_enis = [entry for entry in open_enis if total(entry) == most]
        return {
            address
            for _, _, free in open_enis
            for cidr in self._candidates(free, now_ns)
            for address in self._addresses(cidr, now_ns)
        }

    def _candidates(self, free, now_ns):
        if self.placement == "pack":
            fewest = min(self.n_free(cidr, now_ns) for cidr in free)
            return [c for c in free if self.n_free(c, now_ns) == fewest or c.kind == "wide"]
        return free

    def _addresses(self, cidr, now_ns):
        """Return the lowest free address; under `arbitrary` the lowest that has cooled first."""
        free = (str(ip) for ip in cidr.network if self.is_free(cidr, str(ip), now_ns))
        lowest = next(free)
        if self.placement == "arbitrary" and cidr.kind != "address":
            cooled = [a for a in cidr.uses if self.is_free(cidr, a, now_ns)]
            if cooled:
                return [min(cooled, key=address_of)]
        return [lowest]

    def take(self, sandbox, address, pod, now_ns, *, is_named=True):
        _, cidr = self.place_of(address)
        cidr.uses[address] = Use(sandbox, pod, now_ns, is_named=is_named)

    def name(self, held, pod):
        """Give an assignment, of which a batch knew the digest only, its names."""
        use = held[1].uses[held[2]]
        if not use.is_named:
            use.pod, use.is_named = pod, True

    def adopt(self, sandbox, address, pod, now_ns):
        place = self.place_of(address)
        if place is None:
            raise Refused("unknown address")
        held = self.holder_of(sandbox)
        if held is not None:
            if held[2] == address:
                self.name(held, pod)
                return
            raise Refused("duplicate")
        use = place[1].uses.get(address)
        if use is not None and use.sandbox is not None:
            raise Refused("in use")
        self.take(sandbox, address, pod, now_ns)

    def cool(self, address, released_ns, now_ns):
        place = self.place_of(address)
        if place is None:
            raise Refused("unknown address")
        if not self.is_free(place[1], address, now_ns):
            raise Refused("in use")
        assigned = place[1].uses[address].assigned_ns if address in place[1].uses else 0
        place[1].uses[address] = Use(None, None, assigned, released_ns)

    def release(self, sandbox, now_ns):
        held = self.holder_of(sandbox)
        if held is None:
            raise Refused("unknown sandbox")
        use = held[1].uses[held[2]]
        use.sandbox, use.pod, use.released_ns = None, None, now_ns
        return held[2]

    def unassign(self, sandbox):
        held = self.holder_of(sandbox)
        if held is None:
            raise Refused("unknown sandbox")
        use = held[1].uses[held[2]]
        use.sandbox, use.pod = None, None
        use.released_ns = use.assigned_ns - self.cooldown_ns - 1
        return held[2]

    # --- questions ------------------------------------------------------------------

    def _counts(self, eni, cidr):
        return not eni.excluded and cidr.kind in OWN_KINDS[self.mode]

    def stats(self, now_ns, card=None):
        counts = dict.fromkeys(("total", "assigned", "cooling"), 0)
        prefixes = free_prefixes = 0
        enis = [eni for eni in self.enis.values() if card is None or eni.card == card]
        for eni in enis:
            for cidr in eni.cidrs.values():
                if cidr.kind != "address":
                    prefixes += 1
                    free_prefixes += not cidr.held()
                if self._counts(eni, cidr):
                    counts["total"] += cidr.network.num_addresses
                    counts["assigned"] += len(cidr.held())
                    counts["cooling"] += self.n_cooling(cidr, now_ns)
        return {**counts, "prefixes": prefixes, "free_prefixes": free_prefixes, "enis": len(enis)}

    def n_cooling(self, cidr, now_ns):
        return sum(self.is_cooling(use, now_ns) for use in cidr.uses.values())

    def eni_stats(self, eni_id, now_ns):
        cidrs = self.enis[eni_id].cidrs.values()
        own = [cidr for cidr in cidrs if cidr.kind in OWN_KINDS[self.mode]]
        return {
            "slots_used": len(cidrs),
            "total": sum(cidr.network.num_addresses for cidr in own),
            "assigned": sum(len(cidr.held()) for cidr in own),
            "cooling": sum(self.n_cooling(cidr, now_ns) for cidr in own),
            "assigned_any": sum(len(cidr.held()) for cidr in cidrs),
            "cooling_any": sum(self.n_cooling(cidr, now_ns) for cidr in cidrs),
            "addresses": sum(cidr.kind == "address" for cidr in cidrs),
            "prefixes": sum(cidr.kind != "address" for cidr in cidrs),
            "free_prefixes": sum(cidr.kind != "address" and not cidr.held() for cidr in cidrs),
        }

    def why_kept(self, eni, warm_ip, minimum_ip, warm_prefix, min_age_ns, now_ns):
        """Return why an ENI cannot be freed, None where it can."""
        for flag in ("primary", "trunk", "efa"):
            if getattr(eni, flag):
                return flag
        if now_ns - eni.created_ns < min_age_ns:
            return "too young"
        counts = self.eni_stats(eni.eni_id, now_ns)
        if counts["assigned_any"]:
            return "has pods"
        if counts["cooling_any"]:
            return "cooling"
        rest = Model(self.mode, self.cooldown_ns, self.placement)
        rest.enis = {k: v for k, v in self.enis.items() if k != eni.eni_id}
        others = rest.stats(now_ns)
        if self.mode == "prefix":
            warm_ip, minimum_ip = -(-warm_ip // 16) * 16, -(-minimum_ip // 16) * 16
        if warm_ip and others["total"] - others["assigned"] < warm_ip:
            return "needed for WARM_IP_TARGET"
        if minimum_ip and others["total"] < minimum_ip:
            return "needed for MINIMUM_IP_TARGET"
        cidrs = [c for eni in rest.enis.values() if not eni.excluded for c in eni.cidrs.values()]
        idle = [cidr for cidr in cidrs if cidr.kind != "wide" and not cidr.held()]
        if self.mode == "prefix" and warm_prefix and len(idle) < warm_prefix:
            return "needed for WARM_PREFIX_TARGET"
        return None
