"""Pictures of runs, fleets, subnets and choices of settings. Extra `plot`.

style.py     shared by all: colours, marks, axes
timeline.py  a pool's addresses over time
waits.py     how long pods wait
pareto.py    choices of settings
sweep.py     combinations of values, with margins of error
fleet.py     runs of a fleet, side by side
subnet.py    the blocks of a subnet; a forecast

They take plain numbers or results. Each returns its matplotlib figure, and writes it where a
path is given. The package imports them in the command line only.

May import: subnet, simulation, and below.
"""

from ipam_core.plots.pareto import Choice, plot_pareto
from ipam_core.plots.style import check_path
from ipam_core.plots.timeline import Mark, plot_timeline
from ipam_core.plots.waits import plot_waits

__all__ = ["Choice", "Mark", "check_path", "plot_pareto", "plot_timeline", "plot_waits"]
