"""One node's life, step by step.

spec.py      the scenario format, as a value
player.py    play a scenario
observe.py   what an `expect` looks at
checking.py  compare it with what is expected
timeline.py  what playing gives
restarts.py  what a restarted agent finds
"""

from typing import TYPE_CHECKING

from ipam_core._lazy import loader_of

if TYPE_CHECKING:
    from ipam_core.simulation.scenario.player import Player as Player
    from ipam_core.simulation.scenario.player import play as play
    from ipam_core.simulation.scenario.spec import Scenario as Scenario
    from ipam_core.simulation.scenario.spec import ScenarioStep as ScenarioStep
    from ipam_core.simulation.scenario.spec import parse_scenarios as parse_scenarios
    from ipam_core.simulation.scenario.spec import scenario_of as scenario_of
    from ipam_core.simulation.scenario.spec import scenarios_of as scenarios_of
    from ipam_core.simulation.scenario.timeline import Moment as Moment
    from ipam_core.simulation.scenario.timeline import Result as Result

__all__ = [
    "Moment",
    "Player",
    "Result",
    "Scenario",
    "ScenarioStep",
    "parse_scenarios",
    "play",
    "scenario_of",
    "scenarios_of",
]

__getattr__ = loader_of(
    __name__,
    {
        "player": ("Player", "play"),
        "spec": ("Scenario", "ScenarioStep", "parse_scenarios", "scenario_of", "scenarios_of"),
        "timeline": ("Moment", "Result"),
    },
)
