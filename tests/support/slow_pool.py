"""A node's pool played pod by pod, 5 s at a time: slow, plain, and by the rules only.

Written from the rules (pool-rules sections 1, 4 and 5) and sharing nothing with the
package: no store, no cloud, no policy. Pods only come. A pod takes the first address
there is; the agent's own choice is any, so what is asked of this model must not hang
on it.
"""

from dataclasses import dataclass, field
from math import ceil

STEP_S = 5
QUIET_STEPS = 37
MOST_STEPS = 400


@dataclass
class Eni:
    slots: list[int] = field(default_factory=list)  # pods on each address or prefix
    born_s: int = 0
    primary: bool = False


@dataclass
class SlowNode:
    max_enis: int
    slots: int
    max_pods: int
    warm_eni: int = 1
    warm_ip: int = 0
    minimum_ip: int = 0
    warm_prefix: int = 0
    prefix: bool = False
    custom_networking: bool = False
    pod_eni: bool = False
    provisioning: bool = True
    subnet_free: int | None = None

    def __post_init__(self):
        self.enis = [Eni(primary=True)]
        self.now_s = 0
        self.last_shrink_s = -1000
        self.waiting = 0
        self.size = 16 if self.prefix else 1
        self.blocks_free = None if self.subnet_free is None else self.subnet_free // 16
        self.places = self.max_enis - self.pod_eni
        self.started = self.start()

    # --- counts

    @property
    def total(self):
        return self.size * self.n_slots

    @property
    def assigned(self):
        return sum(sum(eni.slots) for eni in self.enis)

    @property
    def available(self):
        return self.total - self.assigned

    @property
    def n_slots(self):
        return sum(len(eni.slots) for eni in self.enis)

    @property
    def n_free_slots(self):
        return sum(pods == 0 for eni in self.enis for pods in eni.slots)

    @property
    def growable_enis(self):
        return [eni for eni in self.enis if not (eni.primary and self.custom_networking)]

    def unused_slots(self):
        """Slots that the limits would allow to be filled, and are not."""
        enis = max(self.places, 1) - self.custom_networking
        return enis * self.slots - self.n_slots

    # --- the target rules

    @property
    def targets(self):
        return self.warm_ip != 0 or self.minimum_ip != 0

    def short(self):
        if not self.targets:
            return 0
        short = max(self.warm_ip - self.available, self.minimum_ip - self.total, 0)
        return ceil(short / 16) if self.prefix else short

    def low(self):
        if self.total >= self.max_pods:
            return False
        if self.targets:
            return self.short() > 0
        warm = self.warm_prefix if self.prefix else self.warm_eni
        if warm == 0:
            return self.available == 0
        return self.available < warm * (16 if self.prefix else self.slots)

    def over(self):
        if self.prefix and not self.targets:
            return max(self.n_free_slots - self.warm_prefix, 0)
        if not self.targets:
            return 0
        if not self.prefix:
            return max(min(self.available - self.warm_ip, self.total - self.minimum_ip), 0)
        return max(
            min(
                self.n_free_slots,
                self.n_slots - ceil((self.assigned + self.warm_ip) / 16),
                self.n_slots - ceil(self.minimum_ip / 16),
            ),
            0,
        )

    # --- the loop

    def start(self):
        """Grow once if too low; return whether the agent is ready."""
        if self.provisioning and self.low():
            self.grow()
            return not (self.custom_networking and self.total == 0)
        return True

    def step(self):
        """Play 5 s; return whether anything changed."""
        self.now_s += STEP_S
        changed = self.provisioning and self.look()
        while self.waiting and self.place():
            self.waiting -= 1
            changed = True
        return changed

    def look(self):
        changed = False
        if self.low():
            changed = self.grow()
        elif self.over() and self.now_s - self.last_shrink_s > 30:
            self.give_back(self.over())
            self.last_shrink_s = self.now_s
            changed = True
        return self.free_an_eni() or changed

    def grow(self):
        if self.targets:
            wanted = max(self.short(), 1) if self.prefix else self.short()
        elif self.prefix:
            wanted = max(self.warm_prefix - self.n_free_slots, 1)
        else:
            wanted = self.slots
        for eni in self.growable_enis:
            room = self.slots - len(eni.slots)
            if room == 0:
                continue
            for count in (min(room, wanted), 1):
                if self.take(count):
                    eni.slots += [0] * count
                    return True
        if len(self.enis) < self.places:
            count = min(wanted, self.slots)
            if self.take(count, enis=1):
                self.enis.append(Eni(slots=[0] * count, born_s=self.now_s))
                return True
        return False

    def take(self, count, enis=0):
        """Take so many addresses or prefixes out of the subnet, and a new ENI's own."""
        if self.subnet_free is None:
            return True
        needed = count * self.size + enis
        if needed > self.subnet_free or (self.prefix and count > self.blocks_free):
            return False
        self.subnet_free -= needed
        self.blocks_free -= count if self.prefix else 0
        return True

    def give(self, count, enis=0):
        if self.subnet_free is not None:
            self.subnet_free += count * self.size + enis
            self.blocks_free += count if self.prefix else 0

    def give_back(self, budget):
        for eni in self.enis:
            while budget and 0 in eni.slots:
                eni.slots.remove(0)
                self.give(1)
                budget -= 1

    def free_an_eni(self):
        warm = self.warm_prefix if self.prefix else self.warm_eni
        most = self.slots * self.size
        idle = [eni for eni in self.enis if not eni.primary and sum(eni.slots) == 0]
        if not (self.targets or self.available >= (warm + 1) * most or (self.prefix and idle)):
            return False
        for eni in idle:
            if self.now_s - eni.born_s < 60:
                continue
            free_left = self.available - len(eni.slots) * self.size
            total_left = self.total - len(eni.slots) * self.size
            if self.warm_ip and free_left < self.rounded(self.warm_ip):
                continue
            if self.minimum_ip and total_left < self.rounded(self.minimum_ip):
                continue
            if self.prefix and self.n_free_slots - len(eni.slots) < self.warm_prefix:
                continue
            self.enis.remove(eni)
            self.give(len(eni.slots), enis=1)
            return True
        return False

    def rounded(self, target):
        return ceil(target / 16) * 16 if self.prefix else target

    def settle(self):
        quiet = 0
        for _ in range(MOST_STEPS):
            quiet = 0 if self.step() else quiet + 1
            if quiet == QUIET_STEPS:
                return True
        return False

    # --- pods

    def place(self):
        for eni in self.enis:
            for number, pods in enumerate(eni.slots):
                if pods < self.size:
                    eni.slots[number] += 1
                    return True
        return False

    def add_pod(self):
        """Let one pod ask and the pool settle; return whether it settled."""
        if not self.place():
            self.waiting += 1
        return self.settle()


def fill(node, n_pods):
    """Return the first pod that never gets an address (None: all do), the burst limit,

    and whether the pool settled with every number of pods.
    """
    settles = node.settle()
    burst = None
    for pod in range(1, n_pods + 1):
        left = n_pods - pod + 1
        if node.available < left:
            burst = node.available if burst is None else min(burst, node.available)
        settled = node.add_pod()
        if node.waiting:
            return pod, burst, settles
        settles = settles and settled
    return None, burst, settles
