"""Settings from any file that may hold them: its content shows the form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.documents import load_documents
from ipam_core.errors import InputError
from ipam_core.manifests.addon import addon_environment, read_addon
from ipam_core.manifests.daemonset import read_daemonset
from ipam_core.manifests.environment import looks_at
from ipam_core.manifests.terraform import is_terraform
from ipam_core.manifests.texts import read_describe, read_env_list
from ipam_core.manifests.values import read_helm_values, values_environment

if TYPE_CHECKING:
    from ipam_core.manifests.environment import Environment

_VALUES_KINDS = ("HelmRelease", "Application")
_ADDON_KINDS = ("ClusterConfig", "Cluster")
_ADDON_KEYS = frozenset(
    {"addon", "addonName", "configurationSchema", "configuration_values", "configurationValues",
     "terraform_version"}
)  # fmt: skip


def read_settings(
    text: str, *, daemonset: str = "", base: Environment | None = None
) -> Environment:
    """Return the variables of the agent in a file of any form that this package reads.

    A DaemonSet manifest, a list or a patch of one, what kubectl prints of it as text, Helm
    values and GitOps objects that hold them, the EKS add-on as AWS describes it or as
    eksctl, kops and Terraform configure it. A mapping with `env` alone is read as Helm values,
    whose numbers are quoted. `daemonset` and `base`: see `read_daemonset`.

    Raises:
        InputError: none of these; a known other kind of file is named.
    """
    if is_terraform(text):
        return read_addon(text)
    if read_env_list(text) or read_describe(text):
        return read_daemonset(text, name=daemonset, base=base)
    documents = load_documents(text, each_key_once=True)
    kinds = [looks_at(each, "kind") for each in documents]
    if any(kind in _VALUES_KINDS for kind in kinds):
        return read_helm_values(text)
    if any(kind in _ADDON_KINDS for kind in kinds):
        return read_addon(text)
    if any(isinstance(kind, str) for kind in kinds):
        return read_daemonset(text, name=daemonset, base=base)
    return _bare(text, documents)


def _bare(text: str, documents: list[Any]) -> Environment:
    """Read a mapping that is not a Kubernetes object."""
    if len(documents) == 1 and isinstance(documents[0], str) and documents[0] != text:
        inner = documents[0]  # text in JSON's quotes
        return _bare(inner, load_documents(inner, each_key_once=True))
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise InputError("no file that holds settings: a mapping or a Kubernetes object is needed")
    values = documents[0]
    if any(isinstance(each, dict) and "TotalIPs" in each for each in (values, *values.values())):
        raise InputError("what the agent's /v1/enis prints: it holds no settings; doctor reads it")
    if _ADDON_KEYS & values.keys() or {"version", "resources"} <= values.keys():
        return addon_environment(values)
    return values_environment(values)
