"""The effect of a fix, simulated from the node's own state with the scenario player."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core.errors import IpamError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipam_core.diagnosis.doctor.facts import Facts
    from ipam_core.diagnosis.fixes import Change
    from ipam_core.diagnosis.inputs.case import HeldEni
    from ipam_core.simulation.scenario.player import Player
    from ipam_core.simulation.scenario.spec import ScenarioStep

WATCHED_S = 600
"""How long the node is played unchanged, and again with the fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The node after being played: `served_after_s` is None if pods still wait."""

    waiting: int
    running: int
    total: int
    enis: int
    served_after_s: float | None
    requests: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prognosis:
    """A node unchanged and with the fix, from its own state.

    `waiting` pods ask at the start. `serves` is how many pods run at the end if more and more
    ask, up to the capacity of the node.
    """

    waiting: int
    as_it_is: Outcome
    with_fix: Outcome
    serves: int


def simulate_fix(facts: Facts, change: Change) -> Prognosis | None:
    """Simulate the node unchanged and with the change; None if its state is not known.

    Costs some tens of milliseconds, up to a second for hundreds of addresses.
    """
    if facts.enis is None or facts.limits is None:
        return None
    waiting = facts.n_waiting
    places = len(facts.unmanaged) + facts.lost_places
    try:
        stuck = _player(facts, _max_pods(facts), places)
        _play(stuck, *change.fault, {"op": "add_pods", "n": waiting})
        as_it_is = _watch(stuck)
        fixed = stuck
        if change.from_start or change.max_pods or change.freed_places or not stuck.waiting:
            max_pods = change.max_pods or _max_pods(facts)
            fixed = _player(facts, max_pods, places - change.freed_places)
        _play(fixed, {"op": "mark"}, *change.repair)
        if change.env is not None:
            _play(fixed, {"op": "restart", "env": change.env})
        if fixed is not stuck:
            _play(fixed, {"op": "add_pods", "n": waiting})
        with_fix = _watch(fixed)
    except IpamError:  # a state that is not possible, from damaged or mixed files
        return None
    return Prognosis(
        waiting=waiting,
        as_it_is=as_it_is,
        with_fix=with_fix,
        serves=_fill(fixed),
    )


def _max_pods(facts: Facts) -> int:
    """Return maxPods; if it is not shown, the number that the node has addresses for."""
    if facts.max_pods is not None:
        return facts.max_pods.value
    assert facts.allowed_pods is not None
    return facts.allowed_pods


def _player(facts: Facts, max_pods: int, places: int) -> Player:
    """Return a player whose node has the state of this one, its cooldowns included."""
    from ipam_core.simulation.scenario.file import scenario_of  # noqa: PLC0415
    from ipam_core.simulation.scenario.player import Player  # noqa: PLC0415  (loads the simulator)

    assert facts.limits is not None
    enis, cooling = _loads(facts)
    scenario = scenario_of(
        {
            "id": "this node",
            "instance_type": facts.limits.instance_type,
            # An ENI that the agent does not manage takes a place, as if there were one less.
            "limits": {
                "max_enis": facts.limits.max_enis - places,
                "ipv4_per_eni": facts.limits.ipv4_per_eni,
            },
            "env": facts.settings.to_env(),
            "max_pods": max_pods,
            "node": {"nitro": facts.limits.nitro},
            "steps": [{"op": "state", "enis": enis}, {"op": "del_pods", "which": cooling}],
        }
    )
    player = Player(scenario, record=False)
    player.play()
    return player


def _loads(facts: Facts) -> tuple[list[dict[str, Any]], list[int]]:
    """Return the ENIs of a `state` step, and which pods to remove so that addresses cool."""
    enis: list[dict[str, Any]] = []
    cooling: list[int] = []
    n_pods = 0
    for eni in facts.enis or ():
        # The step assigns an ENI's secondary IPs first, in order, then its prefixes.
        held = sorted(
            ((cidr.is_prefix, len(cidr.pods), facts.n_cooling(cidr)) for cidr in eni.cidrs),
            key=lambda load: (load[0], -load[1], -load[2]),
        )
        used_ips, used_in_prefixes = 0, []
        for is_prefix, n_assigned, n_cooling in held:
            used = n_assigned + n_cooling
            cooling += range(n_pods + n_assigned, n_pods + used)
            n_pods += used
            if is_prefix:
                used_in_prefixes.append(used)
            else:
                used_ips += used
        enis.append(
            {
                "role": _role(eni),
                "name": eni.eni_id,
                "ips": [len(held) - len(used_in_prefixes), used_ips],
                "prefixes": used_in_prefixes,
                "excluded": eni.excluded,
            }
        )
    return enis, cooling


def _role(eni: HeldEni) -> str:
    for role in ("primary", "trunk", "efa"):
        if getattr(eni, role):
            return role
    return "secondary"


def _play(player: Player, *raw: dict[str, Any]) -> None:
    for step in _steps(raw):
        getattr(player, step.op)(step)


def _steps(raw: Sequence[dict[str, Any]]) -> list[ScenarioStep]:
    from ipam_core.simulation.scenario.spec import ScenarioStep  # noqa: PLC0415

    return [
        ScenarioStep(op=step["op"], arguments={k: v for k, v in step.items() if k != "op"})
        for step in raw
    ]


def _watch(player: Player) -> Outcome:
    """Play for `WATCHED_S` and return what happened to the waiting pods."""
    served_after_s = None if player.waiting else 0.0
    for elapsed_s in range(5, WATCHED_S + 1, 5):
        _play(player, {"op": "run", "seconds": 5})
        if served_after_s is None and not player.waiting:
            served_after_s = float(elapsed_s)
    return Outcome(
        waiting=len(player.waiting),
        running=len(player.running),
        total=int(player.observe("total_ips")),
        enis=int(player.observe("enis")),
        served_after_s=served_after_s,
        requests=tuple(player.observe("requests")),
    )


def _fill(player: Player) -> int:
    """Let more pods ask, one more than is free, until some stay refused; count them."""
    while not player.waiting and (room := player.max_pods - len(player.running)) > 0:
        n_free = int(player.observe("free_ips"))
        _play(player, {"op": "add_pods", "n": min(n_free + 1, room)}, {"op": "run", "seconds": 65})
    return len(player.running)
