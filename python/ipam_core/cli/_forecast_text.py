"""The text of `ipam-core subnet forecast`: one table over time, and what was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core.cli._out import print_table, print_text
from ipam_core.cli._tables import Table

if TYPE_CHECKING:
    from ipam_core.subnet.forecast import Forecast


def print_forecast(forecast: Forecast) -> None:
    """Write free addresses and /28s over time, a column of /28s for each placement."""
    names = list(forecast.samples)
    print_text(
        f"maxPods {forecast.max_pods}, {forecast.max_pods_rule}; nodes, pods with an address and "
        f"free addresses are those of {names[0]} placement"
    )
    print_text(f"{forecast.cidr}: free /28s, by placement of addresses", style="bold")
    table = Table()
    table.number_columns("Hour", "Nodes", "Pods", "Free", *names, "Score")
    for moments in zip(*forecast.samples.values(), strict=True):
        first = moments[0]
        table.row(
            f"{first.hour:.2f}".rstrip("0").rstrip("."),
            *(str(count) for count in (first.nodes, first.pods, first.free)),
            *(str(moment.free_prefixes) for moment in moments),
            " / ".join("-" if moment.score is None else str(moment.score) for moment in moments),
        )
    print_table(table)
    last = {name: samples[-1] for name, samples in forecast.samples.items()}
    for what, of in _LOSSES.items():
        counts = {name: getattr(sample, of) for name, sample in last.items()}
        if any(counts.values()):
            shown = ", ".join(f"{name} {count}" for name, count in counts.items())
            print_text(f"{what}: {shown}", style="red")


_LOSSES = {
    "Calls that EC2 refused, the subnet being full": "refused",
    "Nodes that found no address and did not join": "not_joined",
    "Pods that found no node with room": "lost",
    "Pods on a node without an address, at the end": "unserved",
}
