"""Whether settings serve every pod, by playing the node from none to all.

explanation.py  `explain`: the answer and its parts
play.py         the node played
giving_up.py    how a search ends that nobody waits for
rolling.py      a rolling update on it
together.py     one advice for several instance types
survey.py       `survey`: the verdict alone, for any number of types
levels.py       levels in which the node holds the same
plain.py        its parts as plain values, and back
finding.py      kinds of findings, their checks, and the verdict
stalls.py, warnings.py, costs.py   the checks: errors, warnings, costs

May import: diagnosis.fixes, simulation, and below.
"""

from typing import TYPE_CHECKING

from ipam_core._lazy import Load, loader_of

if TYPE_CHECKING:
    from ipam_core.diagnosis.explain.explanation import Explanation, explain
    from ipam_core.diagnosis.explain.survey import Surveyed, survey

__all__ = ["Explanation", "Surveyed", "explain", "survey"]

__getattr__: Load = loader_of(
    __name__, {"explanation": ("Explanation", "explain"), "survey": ("Surveyed", "survey")}
)
