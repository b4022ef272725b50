"""The environment variables of an agent in addition to the pool's settings.

Values are read as upstream reads them: what does not parse is the default. Source:
pkg/networkutils/network.go, pkg/ipamd/introspect.go, cmd/aws-k8s-agent/main.go and
pkg/utils/logger of aws/amazon-vpc-cni-k8s v1.23.1.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Self

from ipam_core._dataclass import dataclass
from ipam_core.cloud.host.settings import HostSettings, cidrs
from ipam_core.errors import InputError
from ipam_core.quoting import nearest
from ipam_core.settings import go_bool
from ipam_core.variables import ADDRESS_VARIABLES, OTHER_VARIABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

POLICY_MODES = ("none", "strict", "standard")
SNAT_KINDS = {"none": 0, "hashrandom": 1, "prng": 2}
"""As upstream's introspection numbers them."""
AGENT_VARIABLES = frozenset({
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EXTERNAL_SERVICE_CIDRS",
    "AWS_REGION",
    "AWS_VPC_CNI_NODE_PORT_SUPPORT",
    "AWS_VPC_ENI_MTU",
    "AWS_VPC_K8S_CNI_CONNMARK",
    "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS",
    "AWS_VPC_K8S_CNI_EXTERNALSNAT",
    "AWS_VPC_K8S_CNI_LOGLEVEL",
    "AWS_VPC_K8S_CNI_LOG_FILE",
    "AWS_VPC_K8S_CNI_RANDOMIZESNAT",
    "AWS_VPC_K8S_CNI_VETHPREFIX",
    "DISABLE_INTROSPECTION",
    "DISABLE_LEAKED_ENI_CLEANUP",
    "DISABLE_METRICS",
    "INTROSPECTION_BIND_ADDRESS",
    "MY_NODE_NAME",
    "NETWORK_POLICY_ENFORCING_MODE",
    "VPC_CNI_VERSION",
})  # fmt: skip
"""What is read here, or by the agent's parts, in addition to the pool's own settings."""
WITHOUT_EFFECT = frozenset({
    "ADDITIONAL_ENI_TAGS",
    "ANNOTATE_POD_IP",
    "AWS_CLUSTER_ID",
    "CLUSTER_ENDPOINT",
    "DISABLE_POD_V6",
    "DISABLE_TCP_EARLY_DEMUX",
    "ENABLE_BANDWIDTH_PLUGIN",
    "ENABLE_NFTABLES",
    "ENABLE_V4_EGRESS",
    "ENABLE_V6_EGRESS",
    "POD_MTU",
    "POD_SECURITY_GROUP_ENFORCING_MODE",
})  # fmt: skip
"""What upstream reads, in its agent or its init container, and nobody here."""
_NOTHING = ("", "false", "{}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """The node's networking as the agent reports it: to a plugin, and on introspection.

    `host` is the part that the agent itself acts on.
    """

    host: HostSettings = field(default_factory=HostSettings)
    exclude_snat_cidrs: tuple[str, ...] = ()
    policy_mode: str = ""
    veth_prefix: str = "eni"
    snat_kind: int = SNAT_KINDS["prng"]

    @classmethod
    def from_env(cls, variables: Mapping[str, str]) -> Self:
        """Return what these variables say.

        Raises:
            InputError: NETWORK_POLICY_ENFORCING_MODE or AWS_VPC_ENI_MTU is none that the agent
                starts with.
        """
        mode = variables.get("NETWORK_POLICY_ENFORCING_MODE", "")
        if mode not in ("", *POLICY_MODES):
            known = ", ".join(POLICY_MODES)
            raise InputError(f"NETWORK_POLICY_ENFORCING_MODE={mode!r}: known are {known}")
        return cls(
            host=HostSettings.from_env(variables),
            exclude_snat_cidrs=cidrs(variables, "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS"),
            policy_mode=mode,
            veth_prefix=variables.get("AWS_VPC_K8S_CNI_VETHPREFIX", "eni"),
            snat_kind=SNAT_KINDS.get(
                variables.get("AWS_VPC_K8S_CNI_RANDOMIZESNAT", ""), SNAT_KINDS["prng"]
            ),
        )

    def document(self) -> dict[str, Any]:
        """Return what /v1/networkutils-env-settings shows."""
        return {
            "AWS_EXTERNAL_SERVICE_CIDRS": list(self.host.service_cidrs) or None,
            "AWS_VPC_CNI_NODE_PORT_SUPPORT": self.host.node_ports,
            "AWS_VPC_ENI_MTU": self.host.mtu,
            "AWS_VPC_K8S_CNI_CONNMARK": self.host.mark,
            "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS": list(self.exclude_snat_cidrs) or None,
            "AWS_VPC_K8S_CNI_EXTERNALSNAT": self.host.external_snat,
            "AWS_VPC_K8S_CNI_RANDOMIZESNAT": self.snat_kind,
            "AWS_VPC_K8S_CNI_VETHPREFIX": self.veth_prefix,
        }


def switch(variables: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """Return a boolean variable as the agent reads it: what does not parse is the default."""
    found = go_bool(variables.get(name, ""))
    return default if found is None else found


def without_effect(variables: Mapping[str, str]) -> list[str]:
    """Return those variables that ask upstream for something, and this agent for nothing."""
    return [
        name for name in sorted(WITHOUT_EFFECT) if variables.get(name, "").lower() not in _NOTHING
    ]


def variable(text: str) -> tuple[str, str]:
    """Return the name and value of `NAME=VALUE`. Raises `InputError` where nobody reads it."""
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"-e takes NAME=VALUE, not {text!r}")
    known = ADDRESS_VARIABLES | AGENT_VARIABLES | OTHER_VARIABLES
    if name not in known:
        raise InputError(f"-e: the agent reads no variable {name!r}{nearest(name, known)}")
    return name, value
