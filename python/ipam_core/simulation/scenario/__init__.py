"""A scenario of one node, step by step.

spec.py      a scenario as a value; file.py: its format; bounds.py: the most it may ask for
world.py     one node with its region, instance, pods and calls
player.py    the steps of a scenario, played on it; outside.py: those outside the agent
observe.py   the value of each key of an `expect`
checking.py  compare it with what is expected
timeline.py  the result of playing
frames.py    the same with every address at each moment, and the rule behind it
restarts.py  the assignments that a restarted agent finds

May import: simulation.validation, ipamd, cloud, and below.
"""

from typing import TYPE_CHECKING

from ipam_core._lazy import Load, loader_of

if TYPE_CHECKING:
    from ipam_core.simulation.scenario.file import parse_scenarios as parse_scenarios
    from ipam_core.simulation.scenario.file import scenario_of as scenario_of
    from ipam_core.simulation.scenario.file import scenarios_of as scenarios_of
    from ipam_core.simulation.scenario.player import Player as Player
    from ipam_core.simulation.scenario.player import play as play
    from ipam_core.simulation.scenario.spec import Scenario as Scenario
    from ipam_core.simulation.scenario.spec import ScenarioStep as ScenarioStep
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

__getattr__: Load = loader_of(
    __name__,
    {
        "file": ("parse_scenarios", "scenario_of", "scenarios_of"),
        "player": ("Player", "play"),
        "spec": ("Scenario", "ScenarioStep"),
        "timeline": ("Moment", "Result"),
    },
)
