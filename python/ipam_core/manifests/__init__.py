"""Where the agent's variables are set: manifests, Helm values, the EKS add-on, GitOps objects.

Each reader returns an `Environment`; what its values mean is the business of `settings`.
`read_settings` takes any of the forms, and names what it refuses.
"""

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
