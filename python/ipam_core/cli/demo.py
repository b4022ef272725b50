"""`ipam-core demo`: the stall that this project starts from, played and fixed."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ipam_core.cli._options import JsonOption, SeedOption
from ipam_core.cli._pool_rows import pool_rows
from ipam_core.cli._timeline import timeline_table

if TYPE_CHECKING:
    from ipam_core.cli._out import Part
    from ipam_core.simulation.scenario.player import Player

STARTED_AT = datetime(2026, 1, 1, tzinfo=UTC)
"""The wall-clock time at which the played clock is 0."""

_MOMENTS = {"stalled": "stalled", "fixed": "mended"}
"""Words in the labels of steps after which the node is shown, and their keys in JSON."""


def demo(
    live: Annotated[
        bool, typer.Option("--live", help="Play it on a running agent, over its socket.")
    ] = False,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> int:
    """Play the incident: a node of 232 addresses that stops at the 25th pod.

    Exits 1 if the play does not go as the real agent's did. With --live an agent is started
    and asked for pods, its log is diagnosed, and it is restarted with the fix: 15 s.

    Example: ipam-core demo --live
    """
    if live:
        return _live(seed, as_json)
    from ipam_core.cli._out import print_json
    from ipam_core.cli._timeline import timeline_json
    from ipam_core.ipamd.introspection import enis_document
    from ipam_core.simulation.scenario.file import parse_scenarios
    from ipam_core.simulation.scenario.player import Player

    text = (resources.files("ipam_core") / "data" / "incident.json").read_text("utf-8")
    (scenario,) = parse_scenarios(text)
    player = Player(scenario, seed=seed)
    story = _Story(player, silent=as_json)
    states = {}
    for step in player.steps():
        moment = next((name for name in _MOMENTS if name in step.label), None)
        if moment is not None:
            story.print_up_to(moment)
            states[_MOMENTS[moment]] = state = enis_document(player.node.stores, STARTED_AT)
            story.show_state(state, moment)
    story.print_up_to("the end")
    result = player.finish()
    if as_json:
        print_json(
            {
                "scenario": scenario.scenario_id,
                "passed": result.passed,
                "mismatches": [str(mismatch) for mismatch in result.mismatches],
                "timeline": timeline_json(result.timeline),
                "enis": states,
            }
        )
    else:
        story.close(result.passed)
    return 0 if result.passed else 1


def _live(seed: int, as_json: bool) -> int:
    from ipam_core.cli._demo_live import Live, live_json, tell
    from ipam_core.cli._out import print_json, waiting

    with waiting("an agent runs; its time passes faster"):
        played = Live(seed)
    if as_json:
        print_json(live_json(played))
    else:
        tell(played)
    return 0 if played.passed else 1


class _Story:
    """Prints the incident on the console, from the state of the player at each step."""

    def __init__(self, player: Player, *, silent: bool) -> None:
        self.player = player
        self.silent = silent
        self._printed = 0
        self._print(("A node of 232 addresses that stops at the 25th pod", "bold"))
        self._print("m8g.4xlarge: 8 ENIs x 29 addresses. MINIMUM_IP_TARGET=25, WARM_ENI_TARGET=1.")
        self._print()

    def print_up_to(self, moment: str) -> None:
        """Print what happened since the last moment, and at the stall, why."""
        from ipam_core.cli._out import print_table

        if self.silent:
            return
        timeline = self.player.result.timeline
        print_table(timeline_table(timeline[self._printed :]))
        self._printed = len(timeline)
        if moment == "stalled":
            self._stall()

    def show_state(self, state: dict[str, Any], moment: str) -> None:
        """Draw the node as its /v1/enis shows it: a row for each ENI, a mark for each slot."""
        if self.silent:
            return
        card = state["0"]
        self._print(
            (f"The node as its /v1/enis shows it, {moment}", "bold"),
            f": AssignedIPs {card['AssignedIPs']} of TotalIPs {card['TotalIPs']}",
        )
        for row in pool_rows(card, self.player.node.slots):
            self._print(row)
        self._print("  # assigned   o free   . a slot that was never asked for")
        self._print()

    def close(self, passed: bool) -> None:
        """Say how it ended."""
        if passed:
            self._print(
                ("The simulation did what the real agent did.", "green"),
                " --json prints all of it, with the complete state.",
            )
        else:
            self._print(
                ("The simulation did not do what the real agent did; --json shows where.", "red")
            )

    def _stall(self) -> None:
        from ipam_core.ipamd.messages import NO_ADDRESS_LOG, POD_EVENT, POD_EVENT_REASON

        pod = self.player.waiting[0]
        decision = self.player.node.decide()
        refused = "Pod 26 is refused, again and again, and no EC2 call is made."
        self._print((refused, "bold"))
        self._print(f'ipamd logs:  "{NO_ADDRESS_LOG}"')
        self._print(f'       and:  "{self.player.pod_error}"')
        event = POD_EVENT.format(container_id=pod.sandbox.container_id)
        self._print(f"kubelet raises {POD_EVENT_REASON}:")
        self._print(f"  {event}")
        self._print()
        self._print(("Why", "bold"), ": either IP target switches WARM_ENI_TARGET off, and then")
        for line in decision.growth_rule():
            self._print(f"  {line}")
        unused = self.player.node.max_enis * self.player.node.slots - decision.view.total
        self._print(f"for ever, with {unused} of 232 addresses never asked for.")
        self._print()
        self._print(
            ("What to set", "bold"), ": a WARM_IP_TARGET, so that short is above 0 when few"
        )
        self._print("are free; addresses ahead of demand are then as many as you say:")
        self._print("  kubectl -n kube-system set env ds/aws-node WARM_IP_TARGET=10")
        self._print()

    def _print(self, *parts: Part) -> None:
        from ipam_core.cli._out import print_text

        if not self.silent:
            print_text(*parts)
