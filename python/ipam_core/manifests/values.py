"""Helm values of the chart aws-vpc-cni: as a file, in a chart around it, and in GitOps objects."""

from __future__ import annotations

import reprlib
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

CHART = "aws-vpc-cni"
_CHART_NAMES = (CHART, "vpc-cni", "awsVpcCni", "aws_vpc_cni", "vpcCni")
"""The names under which charts that depend on this one hold its values."""
_TOP_LEVEL = frozenset(
    [
        "affinity",
        "autoMountServiceAccountToken",
        "branchENICooldown",
        "cniConfig",
        "cri",
        "crd",
        "env",
        "extraEnv",
        "eniConfig",
        "enableNetworkPolicy",
        "enableWindowsIpam",
        "enableWindowsPrefixDelegation",
        "extraVolumeMounts",
        "extraVolumes",
        "fullnameOverride",
        "global",
        "image",
        "imagePullSecrets",
        "init",
        "initContainer",
        "livenessProbe",
        "livenessProbeTimeoutSeconds",
        "minimumWindowsIPTarget",
        "nameOverride",
        "nodeAgent",
        "nodeSelector",
        "originalMatchLabels",
        "podAnnotations",
        "podLabels",
        "podSecurityContext",
        "priorityClassName",
        "readinessProbe",
        "readinessProbeTimeoutSeconds",
        "resources",
        "securityContext",
        "serviceAccount",
        "tolerations",
        "updateStrategy",
        "warmWindowsIPTarget",
        "warmWindowsPrefixTarget",
    ]
)
"""Keys of the chart's values.yaml, of any release."""
_DEPTH = 8


def read_helm_values(text: str) -> Environment:
    """Return the variables that the chart sets with these values, its own `env` as defaults.

    Values of a chart that depends on this one hold them under its name, at any depth; a
    top-level `env` is then the parent's. Values of a Flux HelmRelease and of an Argo CD
    Application are read where they are written out.

    Raises:
        InputError: neither JSON nor YAML, or not values of the chart; another chart, or a
            file of another kind, is named.
    """
    documents = load_documents(text, each_key_once=True)
    for read in (read_flux, read_argo):
        if found := [each for each in map(read, documents) if each is not None]:
            return _only(found, "Helm values")
    return values_environment(configuration(text, "Helm values"))


def values_environment(values: dict[str, Any], form: str = "Helm values") -> Environment:
    """Return the variables that the chart sets with these values."""
    inner, inside = _of_chart(values, 0), values
    if inner is not None:
        inside = dig({CHART: inner}, dict, CHART)
    elif "env" not in values and (strange := sorted(map(str, values.keys() - _TOP_LEVEL))):
        raise InputError(
            f"not Helm values of {CHART}: no 'env' in them, and {strange[0]!r} is of another chart"
        )
    env = dig(inside, dict, "env")
    extra = listed_environment(dig(inside, list, "extraEnv"), form)
    # A null removes a default; a number or boolean is quoted by the chart's template.
    given = {str(name): _quoted(name, value) for name, value in env.items() if value is not None}
    given |= extra.variables
    kept = {name: value for name, value in CHART_ENV.items() if name not in env}
    found = Environment(given, extra.unknown, form=form, given=frozenset(map(str, env)))
    found = found._replace(given=found.given | extra.given)
    tag = looks_at(inside, "image", "tag")
    return found.over(kept)._replace(version=version_in(tag if isinstance(tag, str) else ""))


def read_flux(document: Any) -> Environment | None:
    """Return the variables of a HelmRelease of Flux; None for other documents."""
    if looks_at(document, "kind") != "HelmRelease":
        return None
    chart = looks_at(document, "spec", "chart", "spec", "chart")
    values = dig(document, dict, "spec", "values")
    _refuse_other(chart, values, "HelmRelease")
    return _noting(
        values_environment(values, f"HelmRelease {_name(document)}"),
        dig(document, list, "spec", "valuesFrom") and "valuesFrom of the HelmRelease is not given",
    )


def read_argo(document: Any) -> Environment | None:
    """Return the variables of an Application of Argo CD; None for other documents."""
    if looks_at(document, "kind") != "Application":
        return None
    sources = dig(document, list, "spec", "sources") or [dig(document, dict, "spec", "source")]
    charts = [each for each in sources if _is_chart(each)]
    if not charts:
        chart = next((looks_at(each, "chart") for each in sources), None)
        _refuse_other(chart, {}, "Application")
        charts = sources
    helm = dig(charts[0], dict, "helm")
    values = dict(dig(helm, dict, "valuesObject"))
    if not values and (written := helm.get("values")):
        values = written if isinstance(written, dict) else configuration(written, "Helm values")
    env = {
        name.removeprefix("env."): looks_at(each, "value")
        for each in dig(helm, list, "parameters")
        if isinstance(name := looks_at(each, "name"), str) and name.startswith("env.")
    }
    if env:
        values["env"] = dig(values, dict, "env") | env
    return _noting(
        values_environment(values, f"Application {_name(document)}"),
        helm.get("valueFiles") and "valueFiles of the Application are not given",
    )


def configuration(text: Any, what: str) -> dict[str, Any]:
    """Return the one mapping that `text` holds, {} if it is empty or null."""
    if not isinstance(text, str):
        raise InputError(f"not {what}: {reprlib.repr(text)}")
    match load_documents(text, each_key_once=True):
        case []:
            return {}
        case [dict() as values] if "kind" not in values:  # with a kind it is a Kubernetes object
            return values
        case [str() as inner] if inner != text:  # as 'aws ... --query addon.configurationValues'
            return configuration(inner, what)
    raise InputError(f"not {what}: one mapping is needed, with 'env' in it")


def _of_chart(values: dict[str, Any], depth: int) -> Any:
    """Return the mapping under the chart's name, the nearest to the top; None if there is none."""
    for name in _CHART_NAMES:
        if name in values:
            return values[name]
    if depth < _DEPTH:
        for inner in values.values():
            if isinstance(inner, dict) and (found := _of_chart(inner, depth + 1)) is not None:
                return found
    return None


def _is_chart(source: Any) -> bool:
    return bool(looks_at(source, "chart") == CHART)


def _refuse_other(chart: Any, values: dict[str, Any], kind: str) -> None:
    """Refuse a release of another chart, unless values of this one are in it."""
    if isinstance(chart, str) and chart != CHART and _of_chart(values, 0) is None:
        raise InputError(f"a {kind} of the chart {reprlib.repr(chart)}: {CHART!r} is needed")


def _name(document: Any) -> str:
    name = looks_at(document, "metadata", "name")
    return name if isinstance(name, str) else ""


def _noting(environment: Environment, note: Any) -> Environment:
    return environment._replace(notes=(*environment.notes, note)) if note else environment


def _only(found: list[Environment], what: str) -> Environment:
    if len(found) > 1:
        forms = ", ".join(each.form for each in found)
        raise InputError(f"{len(found)} sets of {what} ({forms}): one is needed")
    return found[0]


def _quoted(name: object, value: object) -> str:
    """Return a value of the chart's `env` as its template writes it: `{{ $value | quote }}`."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool | int | float):
        return str(value).lower()
    raise InputError(f"env.{name}: {reprlib.repr(value)} is not a string, number or boolean")
