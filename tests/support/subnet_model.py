"""A slow, obvious subnet: a set of what is free. Shares no code with the package."""

import ipaddress
from collections import Counter
from math import ceil


class ModelSubnet:
    """The addresses of one subnet, each a number, one set for each fact."""

    def __init__(self, cidr):
        self.network = ipaddress.IPv4Network(cidr)
        everything = list(map(int, self.network))
        self.aws = {*everything[:4], everything[-1]}
        self.free = set(everything) - self.aws
        self.prefixes = set()  # first addresses
        self.reservations = {}  # network -> type

    def blocks(self):
        """Return each block's addresses."""
        return [set(map(int, block)) for block in self.network.subnets(new_prefix=28)]

    def reserved(self, kind=None):
        return {
            int(address)
            for network, its_kind in self.reservations.items()
            if kind in (None, its_kind)
            for address in network
        }

    def open(self):
        """Return the addresses that EC2 may pick by itself."""
        return self.free - self.reserved()

    def whole(self):
        """Return where the /28s start that EC2 would pick from: those of a reservation alone."""
        inside, open_ = [], self.open()
        for block in self.blocks():
            network = ipaddress.IPv4Network((min(block), 28))
            if block <= self.free and any(
                kind == "prefix" and network.subnet_of(reserved)
                for reserved, kind in self.reservations.items()
            ):
                inside.append(min(block))
        return sorted(inside), sorted(min(block) for block in self.blocks() if block <= open_)

    def states(self):
        inside, outside = self.whole()
        return [self._state(block, inside, outside) for block in self.blocks()]

    def _state(self, block, inside, outside):
        first = min(block)
        if first in self.prefixes:
            return "prefix-allocated"
        if block & self.aws:
            return "aws-reserved"
        if not block & self.free:
            return "full"
        if not block <= self.free:
            return "fragmented"
        if first in inside:
            return "prefix-reserved"
        return "free" if first in outside else "explicit-reserved"

    def score(self):
        counts = Counter(self.states())
        broken = counts["fragmented"] + counts["full"]
        counted = broken + counts["free"]
        return ceil(100 * broken / counted) if counted else None

    def histogram(self):
        used = Counter(len(block - self.free - self.aws) for block in self.blocks())
        return [used[n] for n in range(17)]

    def longest_free_run(self):
        run = longest = 0
        for state in self.states():
            run = run + 1 if state == "free" else 0
            longest = max(longest, run)
        return longest
