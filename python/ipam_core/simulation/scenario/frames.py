"""The node at each moment of a scenario, address by address, and the rule behind it.

A film is what `play` records, and with each moment its ENIs and the decision: the pool check's
own where one acted at that moment, else that of the pool as it then was.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Literal, NamedTuple

from ipam_core.policy import VPC_CNI
from ipam_core.simulation.scenario.player import Player
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipam_core._store import DataStore, Eni
    from ipam_core.policy import Policy
    from ipam_core.pool import Decision
    from ipam_core.simulation.scenario.spec import Scenario
    from ipam_core.simulation.scenario.timeline import Moment, Result

State = Literal["free", "held", "cooling"]
MOST_FRAMES = 2_000
"""Moments of a film; what comes after them is left out."""
MOST_ADDRESSES = 1_000_000
"""Addresses of all moments of a film together: 40,000 of them take 0.1 s."""


class FilmedAddress(NamedTuple):
    """An address: the pod that holds it, or had it, and when its cooldown ends."""

    address: str
    state: State
    pod: str = ""
    until_s: float | None = None


class FilmedSlot(NamedTuple):
    """A slot in use: a secondary IP and its address, or a prefix and its 16.

    Of an IPv6 prefix only those that pods hold, or held.
    """

    cidr: str
    addresses: tuple[FilmedAddress, ...]


class FilmedEni(NamedTuple):
    """An ENI of the pool; `slots` are those in use, of `n_slots`."""

    eni_id: str
    role: Literal["primary", "secondary", "trunk", "efa"]
    device_number: int
    network_card: int
    excluded: bool
    n_slots: int
    slots: tuple[FilmedSlot, ...]


class WaitingPod(NamedTuple):
    """A pod that waits, and how often it was refused."""

    name: str
    n_refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One moment: its counts and calls, the ENIs, the pods that wait, and the rule.

    `growth` and `shrinking` are the lines of the decision of the default network card.
    `checked` says that they are those of the pool check which acted at this moment; otherwise
    they are what the pool's counts at this moment lead to. `pauses`: the subnet was full within
    the last two minutes, so that the pool does not grow.
    """

    moment: Moment
    enis: tuple[FilmedEni, ...]
    waiting: tuple[WaitingPod, ...]
    growth: tuple[str, ...]
    shrinking: tuple[str, ...]
    checked: bool
    pauses: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A played scenario. `cut`: it has more moments than a film may have; the end is missing."""

    result: Result
    policy: str
    prefix_mode: bool
    frames: tuple[Frame, ...]
    cut: bool


def film(
    scenario: Scenario,
    *,
    policy: Policy = VPC_CNI,
    seed: int = 0,
    on_check: Callable[[], None] = lambda: None,
) -> Film:
    """Play a scenario as `play` does, and keep the node at each moment.

    `on_check` is called before each pool check; what it raises ends the play. Cost: that of
    `play`, and of every address at each moment. Raises `InputError` as `play`.
    """
    player = _Filmed(scenario, policy, seed, on_check)
    cut = False
    try:
        player.play()
    except _FilmEndsError:
        cut = True
    return Film(
        result=player.result,
        policy=policy.name,
        prefix_mode=player.node.prefix_mode,
        frames=tuple(player.frames),
        cut=cut,
    )


class _FilmEndsError(Exception):
    """The film is as long as one may be."""


class _Filmed(Player):
    """Plays a scenario and keeps a frame for each moment."""

    def __init__(
        self, scenario: Scenario, policy: Policy, seed: int, on_check: Callable[[], None]
    ) -> None:
        super().__init__(scenario, policy=policy, seed=seed)
        self.frames: list[Frame] = []
        self._on_check = on_check
        self._n_addresses = 0
        self._checked: Decision | None = None

    def check_pool(self) -> None:
        """Keep the decision that the pool check starts from."""
        self._on_check()
        if not self.node.memories:  # an own rule with a memory is asked by the check alone
            self.node.note_in_use(self.now_ns)
        self._checked = self.node.decide()
        super().check_pool()

    def _show(self, what: str) -> None:
        super()._show(what)
        decision = self._checked or self.node.decide()
        enis = tuple(self._enis())
        self.frames.append(
            Frame(
                moment=self.result.timeline[-1],
                enis=enis,
                waiting=tuple(
                    WaitingPod(f"default/{pod.name}", pod.n_refused) for pod in self.waiting
                ),
                growth=decision.growth_rule(),
                shrinking=decision.shrink_rule(),
                checked=self._checked is not None,
                pauses=self.node.pausing(),
            )
        )
        self._n_addresses += sum(len(slot.addresses) for eni in enis for slot in eni.slots)
        if len(self.frames) == MOST_FRAMES or self._n_addresses > MOST_ADDRESSES:
            raise _FilmEndsError

    def _pool_step(self) -> bool:
        try:
            return super()._pool_step()
        finally:
            self._checked = None

    def _enis(self) -> Sequence[FilmedEni]:
        return [
            FilmedEni(
                eni_id=eni.eni_id,
                role=_role(eni),
                device_number=eni.device_number,
                network_card=card,
                excluded=eni.excluded,
                n_slots=self.node.slots,
                slots=tuple(self._slots(store, eni.eni_id)),
            )
            for card, store in enumerate(self.node.stores)
            for eni in store.enis()
        ]

    def _slots(self, store: DataStore, eni_id: str) -> Sequence[FilmedSlot]:
        cooldown_ns = round(self.node.settings.cooldown_s * NS)
        used = {}
        for each in store.used_addresses(eni_id):
            end_ns = each.released_ns + cooldown_ns
            if each.sandbox is not None:
                found = FilmedAddress(each.address, "held", each.pod or "")
            elif cooldown_ns and end_ns >= self.now_ns:
                found = FilmedAddress(each.address, "cooling", each.pod or "", end_ns / NS)
            else:
                continue
            used[each.address] = found
        slots = [
            FilmedSlot(address, (used.get(address) or FilmedAddress(address, "free"),))
            for address in store.addresses(eni_id)
        ]
        for cidr in store.prefixes(eni_id):
            inside = _inside(cidr)
            addresses = (
                (used.get(each) or FilmedAddress(each, "free") for each in inside)
                if inside
                else used.values()
            )
            slots.append(FilmedSlot(cidr, tuple(addresses)))
        return slots


def _role(eni: Eni) -> Literal["primary", "secondary", "trunk", "efa"]:
    if eni.primary:
        return "primary"
    if eni.trunk:
        return "trunk"
    return "efa" if eni.efa else "secondary"


@lru_cache(maxsize=4096)
def _inside(cidr: str) -> tuple[str, ...]:
    """Return the addresses of a prefix; none for IPv6, which has too many."""
    return () if ":" in cidr else tuple(map(str, IPv4Network(cidr)))
