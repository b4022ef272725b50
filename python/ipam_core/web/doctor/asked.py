"""What a person adds to the files: values that they may not show; and the diagnosis with them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ipam_core import instances
from ipam_core._dataclass import dataclass
from ipam_core.diagnosis.doctor.diagnosis import diagnose
from ipam_core.errors import InputError
from ipam_core.quoting import quoted

if TYPE_CHECKING:
    from ipam_core.diagnosis.doctor.diagnosis import Diagnosis
    from ipam_core.diagnosis.inputs.case import Case

_MOST_PODS = 100_000
"""More than any node runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The fields of the part, "" for one that is empty."""

    instance: str = ""
    max_pods: str = ""
    node: str = ""

    def diagnose(self, case: Case) -> Diagnosis:
        """Return the diagnosis of a case, which is left as it is.

        Raises `InputError`: a field is not valid, or nothing in the case shows the node's state.
        """
        known = instances.as_text(instances.limits(self.instance)) if self.instance else ""
        copy = replace(case, notes=list(case.notes))  # a diagnosis adds to them
        return diagnose(copy, instance_type=known, max_pods=self._pods(), node=self.node)

    def _pods(self) -> int | None:
        if not self.max_pods:
            return None
        digits = self.max_pods.isascii() and self.max_pods.isdigit() and len(self.max_pods) < 8
        if not (digits and 1 <= int(self.max_pods) <= _MOST_PODS):
            raise InputError(f"maxPods {quoted(self.max_pods)}: a number from 1 to {_MOST_PODS}")
        return int(self.max_pods)
