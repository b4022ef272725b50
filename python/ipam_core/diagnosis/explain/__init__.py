"""Whether settings serve every pod, by playing the node from none to all.

explanation.py  `explain`: the answer and its parts
play.py         the node played
rolling.py      a rolling update on it
together.py     one advice for several instance types
finding.py      what may be found, and how sure it is
stalls.py, warnings.py, costs.py   what is found

May import: diagnosis.fixes, simulation, and below.
"""

from ipam_core.diagnosis.explain.explanation import Explanation, explain

__all__ = ["Explanation", "explain"]
