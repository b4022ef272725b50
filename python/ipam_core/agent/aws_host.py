"""A node on EC2, or on a service that answers as EC2: its metadata service identifies it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ipam_core import instances
from ipam_core.agent.surroundings import NodeFacts
from ipam_core.cloud.retry import SDK_TRIES
from ipam_core.errors import UnknownInstanceTypeError
from ipam_core.instance_descriptions import read_descriptions

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3

    from ipam_core.agent.surroundings import Cluster
    from ipam_core.cloud.aws import AwsCloud
    from ipam_core.cloud.imds import Imds
    from ipam_core.effects import Effect, EniConfig
    from ipam_core.instances import InstanceLimits


class AwsHost:
    """Performs effects on EC2 for the instance that it runs on.

    `endpoint_url` is another EC2, `imds_url` another metadata service; "" for AWS's own.
    `region` "" is the instance's. `cluster_name` goes on every ENI. `session` left out
    has boto3's default credentials; `attempts` is how often a call is tried. Everything is
    connected when the facts are read first; `close` it then.
    """

    def __init__(
        self,
        *,
        endpoint_url: str = "",
        imds_url: str = "",
        region: str = "",
        cluster_name: str = "",
        cluster: Cluster | None = None,
        eni_config: EniConfig | None = None,
        session: boto3.Session | None = None,
        attempts: int = SDK_TRIES,
    ) -> None:
        from ipam_core.cloud.imds import ENDPOINT, Imds  # noqa: PLC0415  (loads http.client)

        # With the blocks of subnets: the network of the host needs them.
        self._imds: Imds = Imds(imds_url or ENDPOINT, subnet_cidrs=True)
        self._endpoint_url = endpoint_url
        self._region = region
        self._cluster_name = cluster_name
        self._cluster = cluster
        self._eni_config = eni_config
        self._session = session
        self._attempts = attempts
        self._cloud: AwsCloud | None = None
        self._limits: InstanceLimits | None = None

    def perform(self, effect: Effect) -> Any:
        """Carry one effect out and return its reply. Raises `CloudError`."""
        assert self._cloud is not None  # the facts are read first
        return self._cloud.perform(effect)

    def read_facts(self) -> NodeFacts:
        """Read what must be known of the instance. Raises `CloudError`, and `InputError`."""
        region = self._region or self._imds.region()
        if self._cloud is None:
            self._cloud = self._connect(region)
        instance = self._cloud.instance
        if self._limits is None:
            self._limits = self._limits_of(instance.instance_type)
        return NodeFacts(
            instance=instance,
            region=region,
            limits=self._limits,
            node_ipv4=self._imds.local_ipv4(),
            node_ipv6=self._imds.local_ipv6(),
            vpc_ipv4_cidrs=self._imds.vpc_ipv4_cidrs(),
            vpc_ipv6_cidrs=self._imds.vpc_ipv6_cidrs(),
        )

    def close(self) -> None:
        """Close the connections to EC2 and to instance metadata."""
        self._imds.close()
        if self._cloud is not None:
            self._cloud.ec2.client.close()

    def _connect(self, region: str) -> AwsCloud:
        from ipam_core.cloud.aws import AwsCloud  # noqa: PLC0415  (heavy)
        from ipam_core.cloud.small_session import SmallSession  # noqa: PLC0415

        session = self._session
        if session is None:
            session = SmallSession(region)
            if self._endpoint_url:  # a served VPC asks for none
                session.sign_anyhow()
        cluster = self._cluster
        return AwsCloud(
            session,
            metadata=self._imds,
            cluster=self._cluster_name,
            unschedulable=cluster.unschedulable if cluster else lambda: False,
            eni_config=self._eni_config_source(),
            endpoint_url=self._endpoint_url or None,
            attempts=self._attempts,
            retry_mode="standard",
            user_agent="agent",
        )

    def _eni_config_source(self) -> Callable[[], EniConfig] | None:
        """Return where the node's ENIConfig comes from: what was given, else Kubernetes."""
        given = self._eni_config
        if given is not None:
            return lambda: given
        return self._cluster.eni_config if self._cluster else None

    def _limits_of(self, instance_type: str) -> InstanceLimits:
        """Return a type's limits; EC2 is asked where the table lacks it, as upstream does."""
        try:
            return instances.limits(instance_type)
        except UnknownInstanceTypeError:
            assert self._cloud is not None
            reply = self._cloud.ec2.call("DescribeInstanceTypes", InstanceTypes=[instance_type])
            described = read_descriptions(json.dumps({"InstanceTypes": reply["InstanceTypes"]}))
            return described[instance_type]
