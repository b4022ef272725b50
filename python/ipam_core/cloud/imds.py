"""The instance metadata service, version 2, over HTTP.

A token is fetched by PUT and sent with every GET. Paths: the EC2 user guide,
"Instance metadata categories". `local-ipv4s` has the primary address first, and an
ENI without `network-card` is on card 0 (pkg/awsutils/imds.go of
aws/amazon-vpc-cni-k8s).
"""

from __future__ import annotations

import json
import logging
import time
import weakref
from http.client import HTTPException
from urllib.parse import urlsplit

from ipam_core.bounded_http import LongAnswerError, connection_to, exchange
from ipam_core.cloud.metadata import Instance
from ipam_core.effects import AttachedEni
from ipam_core.errors import CloudError, DeniedError, NotFoundError, UnreachableError
from ipam_core.urls import check_http_url

ENDPOINT = "http://169.254.169.254"
API = "instance metadata"
"""What its errors name instead of an EC2 call."""
TOKEN_TTL_S = 21600
"""How long a token is valid: six hours, the longest that may be requested."""
MOST_BYTES = 1 << 20
"""The longest answer: the addresses of an ENI have about 1 KB."""
_BACKOFF_S = 0.1
_BUSY = (429, 500, 502, 503, 504)
_MACS = "network/interfaces/macs"
_log = logging.getLogger(__name__)


class Imds:
    """The instance that this runs on, as its metadata service describes it.

    `endpoint` differs under IPv6 (http://[fd00:ec2::254]) and in tests. Each request is tried
    `attempts` times, `timeout_s` for each whole answer, with back-off between: none before the
    second. An expired token is replaced.
    `subnet_cidrs` reads the block of each ENI's subnet too, for the host's network: one
    request more for each ENI. Not to be shared by threads.
    """

    def __init__(
        self,
        endpoint: str = ENDPOINT,
        *,
        attempts: int = 3,
        timeout_s: float = 1.0,
        subnet_cidrs: bool = False,
    ) -> None:
        check_http_url(endpoint, "the address of instance metadata")
        self._root = urlsplit(endpoint).path.rstrip("/")
        self._connection = connection_to(endpoint, timeout_s=timeout_s)
        weakref.finalize(self, self._connection.close)
        self._attempts = attempts
        self._timeout_s = timeout_s
        self._subnet_cidrs = subnet_cidrs
        self._token: str | None = None

    def close(self) -> None:
        """Close the connection; it opens again for the next request."""
        self._connection.close()

    def instance(self) -> Instance:
        """Return the facts that do not change."""
        primary = self._primary()
        return Instance(
            instance_id=self._text("instance-id"),
            instance_type=self._text("instance-type"),
            zone=self._text("placement/availability-zone"),
            vpc_id=self._text(f"{primary}/vpc-id"),
            subnet_id=self._text(f"{primary}/subnet-id"),
        )

    def security_groups(self) -> tuple[str, ...]:
        """Return the security groups of the primary ENI as they are now."""
        return self._list(f"{self._primary()}/security-group-ids")

    def attached_enis(self) -> tuple[AttachedEni, ...]:
        """Return the ENIs that are attached, by network card and device number.

        An ENI that is detached while it is read is left out. Cost: about seven requests an ENI.
        """
        enis = []
        for mac in self._list(_MACS):
            try:
                enis.append(self._eni(mac.rstrip("/")))
            except NotFoundError:
                continue
        return tuple(sorted(enis, key=lambda eni: (eni.network_card, eni.device_number)))

    def region(self) -> str:
        """Return the region. Raises `CloudError` where the identity document has none."""
        path = "dynamic/instance-identity/document"
        text = self._get(path, tree="")
        try:
            return str(json.loads(text or "")["region"])
        except (ValueError, LookupError, TypeError):
            raise _logged(CloudError(API, "BadReply", f"{path}: no region in it")) from None

    def local_ipv4(self) -> str:
        """Return the instance's own address; "" where it has none."""
        return self._text("local-ipv4", optional=True)

    def local_ipv6(self) -> str:
        """Return the instance's own IPv6 address; "" where it has none."""
        return self._text("ipv6", optional=True)

    def vpc_ipv4_cidrs(self) -> tuple[str, ...]:
        """Return the VPC's IPv4 blocks as they are now."""
        return self._list(f"{self._primary()}/vpc-ipv4-cidr-blocks", optional=True)

    def vpc_ipv6_cidrs(self) -> tuple[str, ...]:
        """Return the VPC's IPv6 blocks as they are now."""
        return self._list(f"{self._primary()}/vpc-ipv6-cidr-blocks", optional=True)

    def _eni(self, mac: str) -> AttachedEni:
        path = f"{_MACS}/{mac}"
        # Optional values are read first: if the ENI is gone by then, reading the required ones
        # fails.
        addresses = self._list(f"{path}/local-ipv4s", optional=True)
        prefixes = self._list(f"{path}/ipv4-prefix", optional=True)
        ipv6_prefixes = self._list(f"{path}/ipv6-prefix", optional=True)
        subnet_cidr = (
            self._text(f"{path}/subnet-ipv4-cidr-block", optional=True)
            if self._subnet_cidrs
            else ""
        )
        return AttachedEni(
            network_card=self._number(f"{path}/network-card", optional=True),
            eni_id=self._text(f"{path}/interface-id"),
            device_number=self._number(f"{path}/device-number"),
            subnet_id=self._text(f"{path}/subnet-id"),
            mac=mac.lower(),
            subnet_cidr=subnet_cidr,
            primary_address=addresses[0] if addresses else "",
            addresses=addresses[1:],
            prefixes=prefixes,
            ipv6_prefixes=ipv6_prefixes,
        )

    def _primary(self) -> str:
        return f"{_MACS}/{self._text('mac')}"

    # --- values -------------------------------------------------------------------

    def _text(self, path: str, *, optional: bool = False) -> str:
        """Return the text at a path; "" where there is none, if that is allowed."""
        found = self._get(path)
        if found is None and not optional:
            raise _logged(NotFoundError(API, "404", path))
        return (found or "").strip()

    def _list(self, path: str, *, optional: bool = False) -> tuple[str, ...]:
        return tuple(self._text(path, optional=optional).split())

    def _number(self, path: str, *, optional: bool = False) -> int:
        text = self._text(path, optional=optional)
        try:
            return int(text or 0)
        except ValueError:
            raise _logged(CloudError(API, "BadReply", f"{path}: {text!r} is no number")) from None

    # --- HTTP ---------------------------------------------------------------------

    def _get(self, path: str, *, tree: str = "meta-data/") -> str | None:
        """Return the text at a path of a tree, None where there is none."""
        for token in (self._token, None):
            self._token = token or self._new_token()
            headers = {"X-aws-ec2-metadata-token": self._token}
            status, text = self._request("GET", f"{tree}{path}", headers)
            if status != 401:
                break
        if status == 404:
            return None
        return _accepted(status, text, path)

    def _new_token(self) -> str:
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_TTL_S)}
        return _accepted(*self._request("PUT", "api/token", headers), "api/token")

    def _request(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
        """Return a status and a text; what may be otherwise the next time is tried again."""
        for attempt in range(1, self._attempts + 1):
            if attempt > 2:
                time.sleep(_BACKOFF_S * 2 ** (attempt - 2))
            is_last = attempt == self._attempts
            try:
                status, body = exchange(
                    self._connection,
                    method,
                    f"{self._root}/latest/{path}",
                    headers=headers,
                    deadline_s=time.monotonic() + self._timeout_s,
                    most_bytes=MOST_BYTES,
                )
                if status not in _BUSY or is_last:
                    break
            except LongAnswerError as error:
                raise _logged(CloudError(API, "TooLarge", f"{path}: {error}")) from None
            except (OSError, HTTPException) as error:
                if is_last:
                    raise _logged(_unreachable(error)) from error
        try:
            return status, body.decode()
        except UnicodeDecodeError as error:
            raise _logged(_unreachable(error)) from error


def _unreachable(error: Exception) -> UnreachableError:
    return UnreachableError(API, type(error).__name__, str(error))


def _accepted(status: int, text: str, path: str) -> str:
    if status == 200:
        return text
    kind = DeniedError if status in (401, 403) else CloudError
    raise _logged(kind(API, str(status), path))


def _logged(error: CloudError) -> CloudError:
    _log.warning("%s", error, extra={"api": error.api, "code": error.code})
    return error
