"""What fixes a node: the commands, and the change that a simulation of them makes."""

from __future__ import annotations

from typing import Any, ClassVar

from ipam_core._dataclass import dataclass
from ipam_core._lazy import RenamedAttribute

SPARE = 10
"""Free addresses that a fix asks for: so many pods may start between two pool checks (5 s)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a simulation changes: the fault that stays as it is, and what the fix does.

    `fault` and `repair` are steps of a scenario; `env` is applied by a restart, None
    removes a variable. The fix continues from the moment when pods still wait. It starts
    from the first state again, without the fault, if it is to be played `from_start`, with
    another `max_pods` or with `freed_places` for ENIs, or if the pods were served without
    it. With `delays` the fault only makes a pod wait for some time.
    """

    fault: tuple[dict[str, Any], ...] = ()
    repair: tuple[dict[str, Any], ...] = ()
    env: dict[str, str | None] | None = None
    max_pods: int | None = None
    freed_places: int = 0
    from_start: bool = False
    delays: bool = False

    mend: ClassVar[RenamedAttribute] = RenamedAttribute("repair")
    anew: ClassVar[RenamedAttribute] = RenamedAttribute("from_start")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One of several ways to fix a cause; the fix's change is that of the `simulated` one."""

    title: str
    commands: tuple[str, ...]
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """The commands that fix a cause, a note on them, and the change to simulate.

    With `options` one of them is enough; the commands are then those of all, in order.
    """

    commands: tuple[str, ...]
    note: str = ""
    change: Change | None = None
    options: tuple[Option, ...] = ()

    @property
    def simulated(self) -> int | None:
        """The number of the option that is simulated, from 1; None if there is only one way."""
        for number, option in enumerate(self.options, 1):
            if option.simulated:
                return number
        return None


def one_of(options: list[Option], note: str, change: Change | None) -> Fix:
    """Return the fix that offers several ways; one alone is no choice."""
    return Fix(
        commands=tuple(command for option in options for command in option.commands),
        note=note,
        change=change,
        options=tuple(options) if len(options) > 1 else (),
    )


def set_env(**variables: str | None) -> Fix:
    """Return the fix that sets variables of the agent (None: unset), which restarts it."""
    words = [
        f"{name}-" if value is None else f"{name}={value}" for name, value in variables.items()
    ]
    return Fix(
        commands=(f"kubectl -n kube-system set env ds/aws-node {' '.join(words)}",),
        change=Change(env=dict(variables)),
    )
