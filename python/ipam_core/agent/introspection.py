"""The introspection endpoint: what `curl 127.0.0.1:61679/v1/enis` shows.

Source: pkg/ipamd/introspect.go of aws/amazon-vpc-cni-k8s v1.23.1.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ipam_core.agent.web import Page
from ipam_core.errors import UnknownEniError
from ipam_core.ipamd.introspection import enis_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core.agent.environment import NetworkSettings
    from ipam_core.agent.surroundings import Cluster
    from ipam_core.node import Node
    from ipam_core.settings import Settings

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
_TRIES = 10
"""How often the pool is read again if an ENI was removed meanwhile."""


class Introspection:
    """Answers what is asked on the introspection port. `node` gives the node that runs, if any."""

    def __init__(
        self,
        *,
        node: Callable[[], Node | None],
        settings: Settings,
        network: NetworkSettings,
        cluster: Cluster | None = None,
    ) -> None:
        self._node = node
        self._cluster = cluster
        self._pages: dict[str, Callable[[], Page]] = {
            "/v1/enis": self._enis,
            "/v1/eni-configs": self._eni_config,
            "/v1/networkutils-env-settings": lambda: _json(network.document()),
            "/v1/ipamd-env-settings": lambda: _json(_env_settings(settings)),
        }

    def answer(self, path: str) -> Page:
        """Return the page of a path; of one that is not known, which there are."""
        page = self._pages.get(path)
        return page() if page else _json({"AvailableCommands": list(self._pages)})

    def _enis(self) -> Page:
        node = self._node()
        if node is None or not node.ready:
            return Page(HTTPStatus.SERVICE_UNAVAILABLE, TEXT, "the node has not started\n")
        for _ in range(_TRIES):
            try:
                return _json(pool_document(node))
            except UnknownEniError:
                continue
        return Page(HTTPStatus.INTERNAL_SERVER_ERROR, TEXT, "ENIs come and go too fast\n")

    def _eni_config(self) -> Page:
        if self._cluster is not None:
            try:
                return _json(self._cluster.eni_config_name())
            except Exception as error:  # of any client library
                return Page(HTTPStatus.NOT_FOUND, TEXT, f"Not Found: {type(error).__name__}\n")
        return Page(HTTPStatus.NOT_FOUND, TEXT, "Not Found\n")


def pool_document(node: Node) -> dict[str, Any]:
    """Return what /v1/enis shows of the network cards that a node manages.

    Container ids and interfaces are left out: who knows them can have addresses released.
    Raises `UnknownEniError` where an ENI goes meanwhile.
    """
    started_at = datetime.now(UTC) - timedelta(microseconds=node.clock_ns() // 1000)
    document = enis_document(node.stores, started_at)
    return {str(card): document[str(card)] for card in node.cards}


def _env_settings(settings: Settings) -> dict[str, Any]:
    return {
        "AWS_MANAGE_ENIS_NON_SCHEDULABLE": settings.manage_enis_non_schedulable,
        "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": settings.custom_networking,
        "ENABLE_SUBNET_DISCOVERY": settings.enable_subnet_discovery,
        "WARM_ENI_TARGET": settings.warm_eni_target,
        "WARM_IP_TARGET": settings.warm_ip_target,
    }


def _json(value: Any) -> Page:
    return Page(HTTPStatus.OK, JSON, json.dumps(value, separators=(",", ":")))
