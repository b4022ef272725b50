"""The EKS add-on vpc-cni: as AWS describes it, and as eksctl, kops and Terraform configure it."""

from __future__ import annotations

import re
from typing import Any

from ipam_core.documents import load_documents
from ipam_core.errors import InputError
from ipam_core.manifests.environment import (
    CHART_ENV,
    Environment,
    dig,
    listed_environment,
    looks_at,
    version_in,
)
from ipam_core.manifests.terraform import is_terraform, read_terraform
from ipam_core.manifests.values import configuration

ADDON = "vpc-cni"
WHAT = "an add-on's configuration"
_INSIDE = re.compile(r"configuration[-_]?values", re.IGNORECASE)


def read_addon(text: str) -> Environment:
    """Return the variables that the EKS add-on sets, with the chart's own `env` as defaults.

    `text` is what `aws eks describe-addon` prints, its configuration alone, a ClusterConfig
    of eksctl, a Cluster of kops, or Terraform with `configuration_values` in it. The
    add-on's schema allows strings only (aws/amazon-vpc-cni-k8s#3059 shows it).

    Raises:
        InputError: neither JSON nor YAML, another add-on, or not its configuration; its
            schema and a Terraform state are named.
    """
    if is_terraform(text):
        return configured(read_terraform(text), "Terraform configuration_values")
    for document in load_documents(text, each_key_once=True):
        for read in (read_eksctl, read_kops):
            if (found := read(document)) is not None:
                return found
    return addon_environment(configuration(text, WHAT))


def addon_environment(values: dict[str, Any]) -> Environment:
    """Return the variables of an add-on as described, or of its configuration."""
    if "configurationSchema" in values:
        raise InputError(
            "the schema of an add-on, which holds no settings: "
            "give what 'aws eks describe-addon' prints"
        )
    if "terraform_version" in values or ("version" in values and "resources" in values):
        raise InputError(
            "a Terraform state: give configuration_values of the add-on alone, "
            "or what 'aws eks describe-addon' prints"
        )
    if "addon" in values or "addonName" in values:  # without the outer key under --query addon
        addon = dig(values, dict, "addon") or values
        name = dig(addon, str, "addonName")
        if name != ADDON:
            raise InputError(f"add-on {name!r}: {ADDON!r} is needed")
        inner = configuration(dig(addon, str, "configurationValues"), WHAT)
        return configured(inner, f"add-on {name}", version_in(dig(addon, str, "addonVersion")))
    for key, inner in values.items():
        if _INSIDE.fullmatch(str(key)):
            held = inner if isinstance(inner, dict) else configuration(inner, WHAT)
            return configured(held, "the add-on's configuration")
    return configured(values, "the add-on's configuration")


def configured(values: dict[str, Any], form: str, version: str = "") -> Environment:
    """Return the variables that the add-on sets with these values."""
    env = {str(key): value for key, value in dig(values, dict, "env").items()}
    strings = {key: dig(env, str, key) for key in env}
    found = Environment(strings, {}, form=form, given=frozenset(strings), version=version)
    return found.over(CHART_ENV)


def read_eksctl(document: Any) -> Environment | None:
    """Return the add-on's variables in a ClusterConfig of eksctl; None for other documents."""
    if looks_at(document, "kind") != "ClusterConfig":
        return None
    for addon in dig(document, list, "addons"):
        if looks_at(addon, "name") == ADDON:
            written = addon.get("configurationValues") or {}
            values = written if isinstance(written, dict) else configuration(written, WHAT)
            version = addon.get("version")
            return configured(
                values,
                f"add-on {ADDON} of the ClusterConfig",
                version_in(version if isinstance(version, str) else ""),
            )
    raise InputError(f"a ClusterConfig without the add-on {ADDON!r}")


def read_kops(document: Any) -> Environment | None:
    """Return the agent's variables in a Cluster of kops; None for other documents.

    kops renders the published manifest with `spec.networking.amazonvpc.env` added.
    """
    if looks_at(document, "kind") != "Cluster" or not str(
        looks_at(document, "apiVersion")
    ).startswith("kops.k8s.io/"):
        return None
    networking = dig(document, dict, "spec", "networking")
    if "amazonvpc" not in networking:
        raise InputError("a Cluster of kops without networking.amazonvpc")
    found = listed_environment(dig(networking, list, "amazonvpc", "env"), "Cluster of kops")
    image = looks_at(networking, "amazonvpc", "image") or looks_at(
        networking, "amazonvpc", "imageName"
    )
    return found.over(CHART_ENV)._replace(
        version=version_in(image if isinstance(image, str) else "")
    )
