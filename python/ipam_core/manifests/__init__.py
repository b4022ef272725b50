"""Where the agent's variables are set: manifests, Helm values, the EKS add-on, GitOps objects.

daemonset.py, values.py, addon.py, terraform.py   a reader for each form
any_form.py      finds the form of a text; texts.py: kubectl's output for people
environment.py   the result: the variables, and where each is set

Each reader returns an `Environment`; `settings` interprets its values. `read_settings` accepts
any of the forms, and names what it refuses.

May import: documents, variables, and below.
"""

from typing import TYPE_CHECKING

from ipam_core._lazy import Load, loader_of

if TYPE_CHECKING:
    from ipam_core.manifests.addon import read_addon
    from ipam_core.manifests.any_form import read_settings
    from ipam_core.manifests.daemonset import read_daemonset
    from ipam_core.manifests.environment import CHART_ENV, Environment
    from ipam_core.manifests.values import read_helm_values

__all__ = [
    "CHART_ENV",
    "Environment",
    "read_addon",
    "read_daemonset",
    "read_helm_values",
    "read_settings",
]

__getattr__: Load = loader_of(
    __name__,
    {
        "addon": ("read_addon",),
        "any_form": ("read_settings",),
        "daemonset": ("read_daemonset",),
        "environment": ("CHART_ENV", "Environment"),
        "values": ("read_helm_values",),
    },
)
