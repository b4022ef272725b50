"""EC2's API through botocore: typed errors, each failure logged once.

botocore retries: an error raised here has failed as often as the retry mode allows.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypedDict

from ipam_core._extras import extra
from ipam_core.cloud.codes import error_for
from ipam_core.errors import (
    CloudError,
    DeniedError,
    InputError,
    NotFoundError,
    UnreachableError,
)

with extra("aws", "AwsCloud"):
    import botocore.exceptions as aws
    from botocore import xform_name
    from botocore.config import Config
    from botocore.parsers import ResponseParserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import boto3

    from ipam_core.cloud.small_session import SmallSession

PAGE_SIZE = 1000
"""Items on a page: the most that EC2's Describe calls allow."""

MOST_FILTER_VALUES = 200
"""Values that a filter takes at most."""

_NO_ANSWER = (
    aws.ConnectionError,  # refused, unknown host, TLS, time-out while connecting
    aws.HTTPClientError,  # closed, time-out while reading
    aws.IncompleteReadError,
    ResponseParserError,  # cut off: botocore holds no reply to its Content-Length
)
_NO_CREDENTIALS = (
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.CredentialRetrievalError,
    aws.TokenRetrievalError,
    aws.SSOError,
)
_log = logging.getLogger(__name__)


class Ec2Options(TypedDict, total=False):
    """The arguments of `Ec2` in addition to a session."""

    endpoint_url: str | None
    attempts: int | None
    retry_mode: str | None
    user_agent: str
    connect_timeout_s: float
    read_timeout_s: float


def open_session(profile: str | None = None, region: str | None = None) -> boto3.Session:
    """Return a session of a named profile.

    Raises:
        InputError: there is no such profile.
        MissingExtraError: boto3 is not installed.
    """
    with extra("aws", "AwsCloud"):
        import boto3  # noqa: PLC0415  (an agent does without)
    try:
        return boto3.Session(profile_name=profile, region_name=region)
    except aws.BotoCoreError as error:
        raise InputError(str(error)) from error


class Ec2:
    """EC2 of one account and region.

    `session` left out is boto3's default one: environment, profile, instance role.
    `attempts` (the first included) and `retry_mode` left out are what the AWS
    configuration says, else botocore's defaults. `user_agent` goes after the package's
    own. A call ends within attempts x (connect_timeout_s + read_timeout_s) plus
    botocore's back-off between them.

    Raises:
        InputError: no region, no such endpoint, no such retry mode.
    """

    def __init__(
        self,
        session: boto3.Session | SmallSession | None = None,
        *,
        endpoint_url: str | None = None,
        attempts: int | None = None,
        retry_mode: str | None = None,
        user_agent: str = "",
        connect_timeout_s: float = 5,
        read_timeout_s: float = 30,
    ) -> None:
        from ipam_core import __version__  # noqa: PLC0415  (the package imports this)

        retries = {"total_max_attempts": attempts, "mode": retry_mode}
        try:
            config = Config(
                user_agent_extra=f"ipam-core/{__version__} {user_agent}".rstrip(),
                retries={name: value for name, value in retries.items() if value is not None},
                connect_timeout=connect_timeout_s,
                read_timeout=read_timeout_s,
            )
            self.client: Any = (session or open_session()).client(
                "ec2", endpoint_url=endpoint_url, config=config
            )
        except (aws.BotoCoreError, ValueError) as error:
            raise InputError(f"EC2: {error}") from error

    def call(self, api: str, **parameters: Any) -> dict[str, Any]:
        """Call one operation and return its reply. Raises `CloudError`, logged once."""
        with typed(api):
            reply: dict[str, Any] = getattr(self.client, xform_name(api))(**parameters)
        return reply

    def pages(self, api: str, key: str, **parameters: Any) -> list[dict[str, Any]]:
        """Call an operation for all its pages and return their items under `key`."""
        paginator = self.client.get_paginator(xform_name(api))
        pages = paginator.paginate(**parameters, PaginationConfig={"PageSize": PAGE_SIZE})
        with typed(api):
            return [item for page in pages for item in page[key]]

    def pages_by(
        self, api: str, key: str, name: str, values: Sequence[str]
    ) -> Iterator[dict[str, Any]]:
        """Yield the items of a call whose `name`, a filter of EC2's, is one of `values`.

        Cost: a call for 200 values, which is the most that a filter takes, and for each page.
        """
        for at in range(0, len(values), MOST_FILTER_VALUES):
            chosen = [{"Name": name, "Values": values[at : at + MOST_FILTER_VALUES]}]
            yield from self.pages(api, key, Filters=chosen)

    def describe_instance(self, instance_id: str) -> dict[str, Any]:
        """Return an instance as DescribeInstances shows it.

        Raises:
            NotFoundError: it is terminated, or in no VPC.
            CloudError: the call failed.
        """
        api = "DescribeInstances"
        reservations = self.call(api, InstanceIds=[instance_id])["Reservations"]
        found: list[dict[str, Any]] = [
            instance for reservation in reservations for instance in reservation["Instances"]
        ]
        if not found or "VpcId" not in found[0]:
            raise NotFoundError(api, "NoNetwork", f"{instance_id} is terminated, or in no VPC")
        return found[0]


@contextmanager
def typed(api: str) -> Iterator[None]:
    """Turn what botocore raises into a `CloudError`, and log it."""
    try:
        yield
    except (aws.ClientError, aws.BotoCoreError, ResponseParserError) as error:
        failure = _typed_error(api, error)
        facts = {"api": api, "code": failure.code, "request_id": failure.request_id}
        _log.warning("%s", failure, extra=facts)
        raise failure from error


def _typed_error(api: str, error: Exception) -> CloudError:
    if isinstance(error, aws.ClientError):
        said = error.response.get("Error", {})
        request_id = error.response.get("ResponseMetadata", {}).get("RequestId", "")
        return error_for(api, said.get("Code", ""), said.get("Message", ""), request_id)
    kind = CloudError
    if isinstance(error, _NO_ANSWER):
        kind = UnreachableError
    elif isinstance(error, _NO_CREDENTIALS):
        kind = DeniedError
    return kind(api, type(error).__name__, " ".join(str(error).split()))
