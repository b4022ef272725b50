"""What the fields of the part hold, and the report and the advice with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from ipam_core import instances
from ipam_core._dataclass import dataclass
from ipam_core.cli.subnet import limits_for, settings_of
from ipam_core.errors import InputError
from ipam_core.quoting import quoted
from ipam_core.subnet.advice import advise, usual_instance_type
from ipam_core.subnet.report import report_on

if TYPE_CHECKING:
    from ipam_core.subnet.advice import Advice
    from ipam_core.subnet.inventory import Inventory
    from ipam_core.subnet.report import SubnetReport

SOLVE_S = 5.0
"""The time to search for drains: the command's."""
_MOST_WANTED = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The fields: which subnet is shown, the /28s to win, the type of the nodes that join."""

    subnet: str = ""
    win: str = "8"
    instance: str = ""

    def wanted(self) -> int:
        """Return how many /28s drains should win. Raises `InputError`."""
        digits = self.win.isascii() and self.win.isdigit() and len(self.win) <= 4
        if not digits or int(self.win) > _MOST_WANTED:
            raise InputError(f"/28s to win {quoted(self.win)}: a number from 0 to {_MOST_WANTED}")
        return int(self.win)

    def advise(self, inventory: Inventory, report: SubnetReport) -> Advice:
        """Return the advice, as `subnet report` gives it. Raises `InputError`.

        Cost: up to `SOLVE_S`, in which other threads go on.
        """
        usual = usual_instance_type(inventory, report)
        chosen = instances.limits(self.instance) if self.instance else None
        return advise(
            report,
            chosen or limits_for(report, usual),
            settings_of(None),
            wanted=self.wanted(),
            type_assumed=chosen is None and usual is None,
            time_limit_s=SOLVE_S,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """An inventory, and the report on each of its subnets, by id."""

    inventory: Inventory
    reports: dict[str, SubnetReport]

    @classmethod
    def of(cls, inventory: Inventory, wanted: list[str]) -> Self:
        """Report on subnets of an inventory: those wanted, else all. Raises `InputError`."""
        chosen = inventory.choose(wanted)
        reports = {each: report_on(inventory, each) for each in chosen}
        return cls(inventory=inventory, reports=reports)

    def shown(self, asked: Asked) -> SubnetReport:
        """Return the report to show: the chosen one, else the first."""
        return self.reports.get(asked.subnet) or next(iter(self.reports.values()))

    def inputs(self) -> dict[str, Any]:
        """Return what was read, in the form of `subnet report --json`."""
        return {"inputs": self.inventory.inputs, "notices": self.inventory.notices}
