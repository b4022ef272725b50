"""What the model says about a state: at once, what nodes hold as played; then, what is found."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ipam_core import instances
from ipam_core._dataclass import dataclass
from ipam_core.cli._given import read_given
from ipam_core.cli._options import policy_named
from ipam_core.diagnosis.explain.explanation import explain
from ipam_core.diagnosis.explain.play import NodeCase, Play
from ipam_core.diagnosis.explain.survey import survey
from ipam_core.diagnosis.explain.together import agree, one_for_all

if TYPE_CHECKING:
    from ipam_core.diagnosis.explain.explanation import Explanation
    from ipam_core.diagnosis.explain.finding import Verdict
    from ipam_core.diagnosis.explain.together import Together
    from ipam_core.instances import InstanceLimits
    from ipam_core.web.what_if.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A node of one type played up, and its verdict, by the states at rest."""

    limits: InstanceLimits
    play: Play
    verdict: Verdict


def given(state: State) -> dict[str, str]:
    """Return the variables of a state, as `explain` reads those of `-e`."""
    return read_given(f"{name}={value}" for name, value in state.env).variables


def limits_of(state: State) -> list[InstanceLimits]:
    """Return the limits of its types. Raises `UnknownInstanceTypeError`."""
    return [instances.limits(name) for name in state.types]


def played(state: State) -> tuple[Played, ...]:
    """Return the nodes of a state, played from no pod to all. Raises `IpamError`.

    Cost: 10 to 30 ms a type, the most of 232 pods.
    """
    policy, env, types = policy_named(state.policy), given(state), limits_of(state)
    return tuple(
        Played(
            limits=found.limits,
            verdict=found.verdict,
            play=Play(
                NodeCase(limits=found.limits, env=env, max_pods=found.max_pods, policy=policy)
            ),
        )
        for found in survey(types, env, max_pods=state.pods(), policy=policy)
    )


@lru_cache(maxsize=16)
def explained(state: State) -> tuple[tuple[Explanation, ...], Together | None]:
    """Return what `explain` finds for a state, and one change for all of it. Raises `IpamError`.

    Cost: that of the command `explain`.
    """
    policy, env, pods = policy_named(state.policy), given(state), state.pods()
    found = agree([explain(each, env, max_pods=pods, policy=policy) for each in limits_of(state)])
    for each in found:
        each.to_dict()  # its way back is played here, not where it is shown
    return tuple(found), one_for_all(found)
