"""Why pods get no address on a node, from what it and its cluster show.

diagnosis.py   `diagnose`: all causes judged, and the headline
facts.py       what the inputs show
causes/        each cause's evidence for and against it
finding.py     what is said of one
prognosis.py   the fix simulated
"""

from ipam_core.diagnosis.doctor.diagnosis import Diagnosis, diagnose

__all__ = ["Diagnosis", "diagnose"]
