"""The agent's settings: environment variables, read exactly as the agent reads them.

A variable whose value the agent cannot use is no error here, as it is none there: the agent
uses a default, and a `SettingWarning` reports it.
"""

from __future__ import annotations

import re
from dataclasses import field, fields
from typing import TYPE_CHECKING, Any, Self

from ipam_core import manifests
from ipam_core._dataclass import dataclass
from ipam_core.variables import BOOLEANS, INTEGERS, TEXTS, VARIABLES, is_shown, near_miss

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipam_core.manifests import Environment

TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))
"""What Go's `strconv.ParseBool` reads."""
_INTEGER = re.compile(r"(?P<sign>[+-]?)0*(?P<digits>[0-9]+)")
_INT64 = 1 << 63
_INT64_DIGITS = 19
_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingWarning:
    """A variable whose value does not do what it seems to say; `effect` is what it does."""

    variable: str
    value: str
    effect: str

    def __str__(self) -> str:
        shown = f"={self.value!r}" if is_shown(self.variable) else ""
        return f"{self.variable}{shown}: {self.effect}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one node's agent that decide about its pool of addresses.

    The defaults are those of an agent with no variable set, except `enable_ipv4`: every
    published manifest sets it, and without it the agent does not start. `warnings` are the
    problems found where the settings were read; comparisons ignore them.

    Source: README.md and pkg/ipamd/ipamd.go of aws/amazon-vpc-cni-k8s; docs/settings.md.

    Raises:
        ValueError: a target or the cooldown is negative, or `max_eni` below 1.
    """

    warm_eni_target: int = 1
    warm_ip_target: int = 0
    minimum_ip_target: int = 0
    warm_prefix_target: int = 0
    max_eni: int | None = None
    cooldown_s: float = 30
    enable_ipv4: bool = True
    enable_ipv6: bool = False
    enable_prefix_delegation: bool = False
    enable_pod_eni: bool = False
    enable_multi_nic: bool = False
    custom_networking: bool = False
    manage_enis_non_schedulable: bool = False
    disable_network_resource_provisioning: bool = False
    enable_subnet_discovery: bool = True
    manage_untagged_eni: bool = True
    imds_only: bool = False
    cluster_name: str = ""
    warnings: tuple[SettingWarning, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if self.imds_only:  # implies the other
            object.__setattr__(self, "disable_network_resource_provisioning", True)
        for name in INTEGERS.values():
            value, least = getattr(self, name), 1 if name == "max_eni" else 0
            if value is not None and not value >= least:
                raise ValueError(f"{name}={value}: at least {least}")

    @property
    def ip_targets_defined(self) -> bool:
        """Whether WARM_IP_TARGET or MINIMUM_IP_TARGET decides, and WARM_ENI_TARGET does not."""
        return self.warm_ip_target != 0 or self.minimum_ip_target != 0

    @classmethod
    def from_env(
        cls, variables: Mapping[str, str], *, unknown: Mapping[str, str] | None = None
    ) -> Self:
        """Return the settings that an agent with these environment variables has.

        Variables that no setting reads are ignored. Values are read as the agent reads them:
        integers by Go's `strconv.Atoi`, booleans by `strconv.ParseBool`. A value that does not
        parse, or is out of range, gives the default and a warning. `unknown` holds variables
        whose values are not known here, with the place where each is kept: each is treated as
        unset, with a warning.

        The rules: pkg/ipamd/ipamd.go (`getWarmIPTarget` and its neighbours) and
        utils/utils.go (`GetBoolAsStringEnvVar`) of aws/amazon-vpc-cni-k8s v1.23.

        Raises:
            TypeError: a value is not a string.
        """
        found: dict[str, Any] = {}
        odd: list[SettingWarning] = []
        for variable, text in variables.items():
            if not isinstance(text, str):
                raise TypeError(f"{variable}={text!r}: a string, as every environment variable")
            if variable in INTEGERS:
                found[INTEGERS[variable]], effect = _integer(variable, text)
            elif variable in BOOLEANS:
                found[BOOLEANS[variable]], effect = _boolean(variable, text)
            elif variable in TEXTS:
                found[TEXTS[variable]], effect = text, ""
            else:
                effect = _misspelt(variable)
            if effect:
                odd.append(SettingWarning(variable=variable, value=text, effect=effect))
        for variable, kept_in in (unknown or {}).items():
            effect = "set from elsewhere and unknown here; taken as unset"
            odd.append(SettingWarning(variable=variable, value=kept_in, effect=effect))
        return cls(**found, warnings=tuple(odd))

    @classmethod
    def from_manifest(cls, text: str) -> Self:
        """Return the settings of the one aws-node DaemonSet in a manifest.

        `text` is YAML or JSON, of one document or several: a DaemonSet, or a list with one in
        it, as `kubectl -n kube-system get ds aws-node -o yaml` prints. The variables are those
        of its container aws-node; one that it takes from elsewhere (`valueFrom`, `envFrom`)
        is unknown, and a warning says so.

        Raises:
            InputError: neither JSON nor YAML, or not exactly one such DaemonSet.
        """
        return cls._of(manifests.read_daemonset(text))

    @classmethod
    def from_helm_values(cls, text: str) -> Self:
        """Return the settings that the chart aws-vpc-cni gives with these values (YAML or JSON).

        A variable that is not in the values has the value of the chart's own `env`, which
        differs from the agent's defaults: it sets WARM_PREFIX_TARGET=1. A null removes a
        variable of the chart. Source: charts/aws-vpc-cni of aws/amazon-vpc-cni-k8s.

        Raises:
            InputError: neither JSON nor YAML, or not values of the chart.
        """
        return cls._of(manifests.read_helm_values(text))

    @classmethod
    def from_addon(cls, text: str) -> Self:
        """Return the settings of the EKS add-on vpc-cni.

        `text` is what `aws eks describe-addon` prints, or its `configurationValues` alone
        (YAML or JSON). A variable that is not in it has the value that the chart sets.

        Raises:
            InputError: neither JSON nor YAML, another add-on, or not its configuration.
        """
        return cls._of(manifests.read_addon(text))

    @classmethod
    def _of(cls, environment: Environment) -> Self:
        return cls.from_env(environment.variables, unknown=environment.unknown)

    def to_env(self) -> dict[str, str]:
        """Return the variables that differ from the defaults, for `kubectl set env`.

        `Settings.from_env(settings.to_env()) == settings`.

        Raises:
            ValueError: the cooldown is not an integer number of seconds; the agent accepts no
                other.
        """
        if self.cooldown_s % 1:
            raise ValueError(f"cooldown_s={self.cooldown_s}: the agent takes whole seconds")
        values = {variable: getattr(self, name) for variable, name in VARIABLES.items()}
        return {
            variable: _shown(value)
            for variable, value in values.items()
            if value != _default(variable)
            and not (self.imds_only and variable == "DISABLE_NETWORK_RESOURCE_PROVISIONING")
        }


def problems(settings: Settings, *, nitro: bool = True) -> tuple[str, ...]:
    """Return why an agent with these settings refuses to start; empty: it starts.

    `nitro` says whether the node's type can have prefixes (`InstanceLimits.nitro`).

    The rules: `isConfigValid` in pkg/ipamd/ipamd.go of aws/amazon-vpc-cni-k8s v1.23, which
    stops at the first; this returns all.
    """
    found = []
    if settings.enable_ipv4 == settings.enable_ipv6:
        state = "enabled" if settings.enable_ipv4 else "disabled"
        found.append(f"both {state}: exactly one of ENABLE_IPv4 and ENABLE_IPv6 must be true")
    if settings.enable_ipv6 and settings.custom_networking:
        found.append("IPv6 and custom networking: AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG must be false")
    if settings.enable_ipv6 and not settings.enable_prefix_delegation:
        found.append("IPv6 without prefix mode: ENABLE_PREFIX_DELEGATION must be true")
    if settings.enable_ipv6 and not nitro:
        found.append("IPv6 on an instance type that is neither nitro nor bare metal")
    return tuple(found)


def _integer(variable: str, text: str) -> tuple[float | None, str]:
    """Return the value that the agent uses for an integer variable, and a warning if any."""
    default = _default(variable)
    value = go_atoi(text)
    if value is None:
        return default, f"not a 64-bit integer; the agent uses {_shown(default)}"
    if variable == "IP_COOLDOWN_PERIOD":
        return _cooldown(value)
    least = 1 if variable == "MAX_ENI" else 0
    if value < least:
        return default, f"below {least}; the agent uses {_shown(default)}"
    return value, ""


def _boolean(variable: str, text: str) -> tuple[bool, str]:
    """Return the value that the agent uses for a boolean variable, and a warning if any."""
    if (value := go_bool(text)) is not None:
        return value, ""
    # Unset, ENABLE_IPv4 is true here, as in every manifest; the agent's own default is false.
    default = variable != "ENABLE_IPv4" and bool(_default(variable))
    return default, f"not true or false; the agent uses {_shown(default)}"


def _misspelt(variable: str) -> str:
    """Return a warning for a variable that is probably a misspelled known one, else ''."""
    meant = _BY_LOWER_CASE.get(variable.lower()) or near_miss(variable)
    return f"not read by the agent, which knows {meant}" if meant else ""


def go_bool(text: str) -> bool | None:
    """Return the boolean that Go's `strconv.ParseBool` makes of `text`, None where it fails."""
    return text in TRUE if text in TRUE or text in FALSE else None


def go_atoi(text: str) -> int | None:
    """Return the integer that Go's `strconv.Atoi` reads in `text`, None if it fails."""
    match = _INTEGER.fullmatch(text)
    if not match or len(match["digits"]) > _INT64_DIGITS:
        return None
    value = int(match["sign"] + match["digits"])
    return value if -_INT64 <= value < _INT64 else None


def _cooldown(period: int) -> tuple[int, str]:
    """Return IP_COOLDOWN_PERIOD in seconds as `time.Duration(period) * time.Second` has it.

    That product overflows at 64 bits. If it is negative, no address ever cools
    (`inCoolingPeriod` in upstream's pkg/ipamd/datastore/data_store.go), as under 0.
    """
    wrapped_ns = (period * _NS_PER_S + _INT64) % (2 * _INT64) - _INT64
    cooldown_s = max(wrapped_ns, 0) // _NS_PER_S
    if wrapped_ns != period * _NS_PER_S:
        return cooldown_s, f"overflows; the agent uses {cooldown_s}"
    return cooldown_s, "negative; to the agent no address ever cools" if period < 0 else ""


def _default(variable: str) -> Any:
    return _DEFAULTS[VARIABLES[variable]]


def _shown(value: float | None) -> str:
    """Return a value as the environment variable holds it."""
    if isinstance(value, str):
        return value
    if value is None:
        return "the instance type's limit"
    return str(value).lower() if isinstance(value, bool) else str(int(value))


_DEFAULTS = {each.name: each.default for each in fields(Settings)}
_BY_LOWER_CASE = {variable.lower(): variable for variable in VARIABLES}
