"""A served VPC for one test: clients that are ready, faults, and time that the test moves."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Self

from ipam_core._extras import extra

with extra("vpc", "a served VPC"):
    import boto3
    from botocore.config import Config

    from ipam_core.cloud.aws import AwsCloud
    from ipam_core.cloud.imds import Imds
    from ipam_core.endpoint.server import VpcServer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CREDENTIALS = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "example"}
"""Keys that open nothing: AWS's own example."""


@lru_cache(maxsize=8)
def _session_of(region: str) -> boto3.Session:
    """Return one session a region: each reads EC2's model, of several MB, once."""
    return boto3.Session(region_name=region, **CREDENTIALS)


class TestVpc:
    """A VPC that is served on a free port of the loopback while it is entered.

    `spec` is what `ipam-core vpc serve` takes: the path of a file, or its value,
    `{"subnets": [...], "nodes": [...], "ec2": {...}}`; left out, a /16 with one m5.large
    whose calls take no time. Its clock stands (`held`) until `move`. `options` are those of
    `ipam_core.endpoint.server.VpcServer`.

    Its clients try each call once, with keys that open nothing: what the machine's
    environment says of AWS is not read.

    Raises:
        InputError: a wrong spec, a port that cannot be listened on.
        MissingExtraError: the extra `vpc` is not installed.
    """

    __test__ = False  # to pytest: no class of tests

    def __init__(
        self, spec: Mapping[str, Any] | Path | None = None, *, held: bool = True, **options: Any
    ) -> None:
        self.server: VpcServer = VpcServer(spec, held=held, **options)
        self._clouds: list[AwsCloud] = []

    def __enter__(self) -> Self:
        """Serve it."""
        self.server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving, and close the clients."""
        clients = [value for value in vars(self).values() if hasattr(value, "meta")]
        for client in [*clients, *(cloud.ec2.client for cloud in self._clouds)]:
            client.close()
        self.server.__exit__()

    # --- addresses, clients -----------------------------------------------------------

    @property
    def endpoint_url(self) -> str:
        """EC2's address; STS and EKS have the same one."""
        return self.server.endpoint_url

    @property
    def imds_urls(self) -> dict[str, str]:
        """The address of each instance's metadata, by the instance's id."""
        return self.server.imds_urls

    @cached_property
    def region(self) -> str:
        """The name of its region."""
        return self.server.do(lambda served: served.account.region_name)

    @property
    def session(self) -> boto3.Session:
        """A session of its region, for clients that you make yourself."""
        return _session_of(self.region)

    @property
    def environ(self) -> dict[str, str]:
        """Environment variables for other programs: the AWS CLI, Terraform, an agent."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": CREDENTIALS["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": CREDENTIALS["aws_secret_access_key"],
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.server.imds_url,
        }

    def client(self, service: str, **config: Any) -> Any:
        """Return a boto3 client of `ec2`, `sts` or `eks`; `config` is that of botocore.

        You close it.
        """
        config.setdefault("retries", {"total_max_attempts": 1})
        return self.session.client(service, endpoint_url=self.endpoint_url, config=Config(**config))

    @cached_property
    def ec2(self) -> Any:
        """A boto3 client of EC2."""
        return self.client("ec2")

    @cached_property
    def sts(self) -> Any:
        """A boto3 client of STS."""
        return self.client("sts")

    @cached_property
    def eks(self) -> Any:
        """A boto3 client of EKS."""
        return self.client("eks")

    @property
    def instance_ids(self) -> list[str]:
        """The instances that are not terminated, in the order of their launch."""
        return self.server.do(lambda served: served.instance_ids())

    def cloud(self, instance_id: str = "", **options: Any) -> AwsCloud:
        """Return the cloud of a node: `AwsCloud`, with the node's own instance metadata.

        `instance_id` left out is the first instance; `options` are those of `AwsCloud`.
        """
        instance_id = instance_id or self.instance_ids[0]
        options.setdefault("metadata", Imds(self.imds_urls[instance_id]))
        options.setdefault("attempts", 1)
        cloud = AwsCloud(self.session, endpoint_url=self.endpoint_url, **options)
        self._clouds.append(cloud)
        return cloud

    # --- what happens -------------------------------------------------------------------

    def move(self, seconds: float) -> None:
        """Move its clock forward: what takes time, such as an attachment, goes on.

        It can be the `sleep` of `drive` and of `check_cloud`. Raises `InputError`: back in time.
        """
        self.server.move(seconds)

    def fault(self, api: str, code: str, **how: Any) -> int:
        """Let calls to an API fail with a code of EC2 from now on; return the fault's number.

        `how` is as in a file: `times`, `probability`, `message`, `until="2m"`. Raises
        `InputError`: no such API, a wrong value.
        """
        return self.server.add_fault(api, code, **how)

    def clear_faults(self) -> None:
        """Let no call fail any more."""
        self.server.clear_faults()
