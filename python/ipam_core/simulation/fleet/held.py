"""Nodes whose agents are to be restarted, and it is not known yet when.

They wait for their turn in a rollout. Such a node does not run ahead with the others: it could
run past its restart. It is played when it must be: at its next pool check, which may need Python;
before Python changes it; and up to the time to which all nodes are to be played. A restart
follows an event of the engine. So up to the next of these, only pool checks may need Python.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from ipam_core._kernel import CHECKS_ONLY, advance_all

if TYPE_CHECKING:
    from ipam_core.simulation.fleet.resident_agent import ResidentAgent


class Held:
    """The nodes held back. Cost of a pool check: O(log nodes)."""

    def __init__(self) -> None:
        self.until_ns: int = 0
        """How far they may be played: no restart comes before. Pool checks of then included."""
        self._agents: dict[int, ResidentAgent] = {}
        self._checks: list[tuple[int, int]] = []  # a heap by time; some are out of date

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self._agents)

    def add(self, agent: ResidentAgent) -> None:
        """Hold a node, which has been played up to now."""
        self._agents[agent.number] = agent
        self.note(agent)

    def remove(self, agent: ResidentAgent) -> None:
        """Hold a node no more."""
        del self._agents[agent.number]

    def note(self, agent: ResidentAgent) -> None:
        """Note when a node's next pool check is, if the agent is to make one."""
        kind, at_ns = agent.kernel.next
        if kind:
            heapq.heappush(self._checks, (at_ns, agent.number))

    def play(self, until_ns: int) -> None:
        """Make the pool checks up to a time, that moment included."""
        self.until_ns = until_ns
        due: dict[int, ResidentAgent] = {}
        while self._checks and self._checks[0][0] <= until_ns:
            at_ns, number = heapq.heappop(self._checks)
            agent = self._agents.get(number)
            if agent is not None and at_ns < agent.kernel.due_ns and agent.kernel.next[1] == at_ns:
                due[number] = agent
        self._play(list(due.values()))

    def play_all(self, until_ns: int) -> None:
        """Play every node up to a time, and make its pool check of then."""
        self.until_ns = until_ns
        self._play(list(self._agents.values()))

    def _play(self, agents: list[ResidentAgent]) -> None:
        kernels = [agent.kernel for agent in agents]
        need = set(advance_all(kernels, self.until_ns, CHECKS_ONLY))
        for place, agent in enumerate(agents):
            if place in need:
                agent.needed()
            else:
                self.note(agent)
