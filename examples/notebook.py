# %% [markdown]
# # Which settings should these nodes have?
#
# A notebook as a plain file: Jupyter, VS Code and jupytext open it as cells. What a cell ends with
# is shown: results as tables, pictures as pictures. Needs the extra `plot`.

# %% Today's settings, on one node
from ipam_core import IPAM_CORE, VPC_CNI, FleetResult, explain, simulate
from ipam_core.plots import plot_waits

explained = explain("m5.large", {"MINIMUM_IP_TARGET": "10"})
explained

# %% The same settings under a workload
fleet = {
    "duration": "20m",
    "measure_from": "5m",
    "nodes": [
        {"name": "n", "instance_type": "m5.large", "count": 10, "env": {"WARM_IP_TARGET": "2"}}
    ],
    "workloads": [{"kind": "rolling_update", "pods": 80, "at": "8m", "ready_after": "2s"}],
}
results = [simulate(fleet, policy=policy, seed=1) for policy in (VPC_CNI, IPAM_CORE)]
results[0]

# %% Who waits, and how long
waits = {run.policy: run.waits() for run in results if isinstance(run, FleetResult)}
figure = plot_waits(waits, title="a rolling update of 80 pods")
figure
