"""What an agent is started with: options, over what the environment's variables say."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Self

from ipam_core._dataclass import dataclass
from ipam_core.agent import places
from ipam_core.agent.environment import NetworkSettings, switch, without_effect
from ipam_core.policy import VPC_CNI
from ipam_core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ipam_core.policy import Policy

UPSTREAM = "v1.23.1"
"""The release of the VPC CNI whose rules this agent follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """One agent's configuration; nothing of it changes while the agent runs.

    `introspection` and `metrics` are a HOST:PORT, `introspection` may be `unix:PATH`; None:
    not served. `log` is a file, "stdout" or "stderr". `version` is what the agent says that it
    is, `own_version` what plugins must say they are, "" for any. `by_subnet` is that of `Metrics`.
    `without_effect` names variables that are set, and do nothing here.
    """

    socket: Path
    log: str
    settings: Settings = field(default_factory=Settings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    policy: Policy = VPC_CNI
    max_pods: int | None = None
    tcp: str | None = None
    introspection: str | None = places.INTROSPECTION
    metrics: str | None = places.METRICS
    checkpoint: Path | None = None
    log_level: str = "debug"
    version: str = ""
    own_version: str = ""
    by_subnet: bool = False
    clean_leaked: bool = True
    seed: int = 0
    without_effect: tuple[str, ...] = ()

    @classmethod
    def from_env(
        cls,
        variables: Mapping[str, str],
        *,
        simulated: bool = False,
        policy: Policy = VPC_CNI,
        max_pods: int | None = None,
        socket: Path | None = None,
        tcp: str | None = None,
        introspection: str | None = None,
        metrics: str | None = None,
        checkpoint: Path | None = None,
        log: str | None = None,
        strict_version: bool = False,
        by_subnet: bool = False,
        seed: int = 0,
    ) -> Self:
        """Return the configuration that these variables give, where no option says otherwise.

        A simulated agent's files are in a folder of the user's own; with another `socket` its
        log is next to that, so that each agent has its own. An option that names an address
        serves it, even where a variable switches it off.

        Raises:
            InputError: a variable holds what the agent cannot start with.
        """
        from ipam_core import __version__  # noqa: PLC0415  (the package imports this)

        release = variables.get("VPC_CNI_VERSION") or UPSTREAM
        if introspection is None and not switch(variables, "DISABLE_INTROSPECTION"):
            introspection = variables.get("INTROSPECTION_BIND_ADDRESS", places.INTROSPECTION)
        if metrics is None and not switch(variables, "DISABLE_METRICS"):
            metrics = places.METRICS
        usual = places.user_socket() if simulated else places.NODE_SOCKET
        socket = socket or usual
        own_log = places.user_log() if simulated else places.NODE_LOG
        if socket != usual:
            own_log = places.log_of(socket)
        return cls(
            socket=socket,
            log=log or variables.get("AWS_VPC_K8S_CNI_LOG_FILE") or str(own_log),
            settings=Settings.from_env(variables),
            network=NetworkSettings.from_env(variables),
            policy=policy,
            max_pods=max_pods,
            tcp=tcp,
            introspection=introspection,
            metrics=metrics,
            checkpoint=checkpoint,
            log_level=variables.get("AWS_VPC_K8S_CNI_LOGLEVEL", "debug"),
            version=f"{release}+ipam-core.{__version__}",
            own_version=release if strict_version else "",
            by_subnet=by_subnet,
            clean_leaked=not switch(variables, "DISABLE_LEAKED_ENI_CLEANUP"),
            seed=seed,
            without_effect=tuple(without_effect(variables)),
        )
