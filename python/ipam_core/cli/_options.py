"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ipam_core.errors import InputError

if TYPE_CHECKING:
    from ipam_core.effects import EniConfig
    from ipam_core.policy import Policy

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Decides every random choice.")]
PlotOption = Annotated[Path | None, typer.Option(help="Write a picture: a .png or .svg file.")]
PolicyOption = Annotated[str, typer.Option(help="The rules of the node: vpc-cni or ipam-core.")]
OwnPolicyOption = Annotated[
    str,
    typer.Option(
        help="The rules of the node: vpc-cni, ipam-core, or MODULE:NAME, a policy or rule of "
        "your own, which is imported."
    ),
]

JobsOption = Annotated[
    int, typer.Option(min=0, max=1024, help="Processes; 0: one for each processor.")
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        help="Play on a Dask cluster: tls://HOST:PORT, or tcp://HOST:PORT. It moves "
        "pickles: anyone who reaches a cluster without TLS can run code on it, and here."
    ),
]
TlsCaOption = Annotated[
    Path | None, typer.Option(help="The cluster's certificate authority (PEM); default: Dask's.")
]
TlsCertOption = Annotated[Path | None, typer.Option(help="This client's certificate (PEM).")]
TlsKeyOption = Annotated[Path | None, typer.Option(help="The key of that certificate.")]

AwsOption = Annotated[bool, typer.Option("--aws/--no-aws", help="Read the subnets from AWS.")]
EndpointUrlOption = Annotated[str | None, typer.Option(metavar="URL", help="Another EC2 endpoint.")]
ProfileOption = Annotated[str | None, typer.Option(help="An AWS profile.")]
RegionOption = Annotated[str | None, typer.Option(help="The AWS region.")]
NodesRegionOption = Annotated[str | None, typer.Option(help="Default: that of the nodes.")]

KubeconfigOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="As kubectl's; default: what kubectl takes.")
]
ContextOption = Annotated[
    str, typer.Option(metavar="NAME", help="Of the kubeconfig; default: the current one.")
]

EniConfigOption = Annotated[
    str | None,
    typer.Option(
        "--eni-config",
        metavar="SUBNET[,GROUP...]",
        help="The node's ENIConfig: custom networking.",
    ),
]


def check_endpoint_url(url: str | None) -> None:
    """Refuse what is no address of a server, before any call. Raises `InputError`."""
    from ipam_core.urls import check_http_url

    if url is not None:
        check_http_url(url, "--endpoint-url")


def check_id(option: str, text: str, kind: str) -> None:
    """Refuse a text that cannot be an id of EC2, before any call. Raises `InputError`."""
    if not re.fullmatch(rf"{kind}-[0-9a-z]+", text):
        raise InputError(f"{option} {text!r}: an id such as {kind}-0123456789abcdef0 is needed")


def eni_config_of(text: str) -> EniConfig:
    """Return what --eni-config gives. Raises `InputError`."""
    from ipam_core.effects import EniConfig

    subnet_id, *groups = text.split(",")
    check_id("--eni-config", subnet_id, "subnet")
    for group in groups:
        check_id("--eni-config", group, "sg")
    return EniConfig(subnet_id=subnet_id, security_groups=tuple(groups))


def given_text(path: Path) -> str:
    """Return the text of a file, or of the standard input where the path is `-`.

    Raises `OSError` and, if it is not text or too long, `InputError`.
    """
    from ipam_core.documents import read_text, text_of

    if str(path) != "-":
        return read_text(path)
    # A replacement of the standard input, as in a notebook, may have no bytes.
    return text_of(sys.stdin.buffer) if hasattr(sys.stdin, "buffer") else sys.stdin.read()


def policy_named(name: str, *, or_own: bool = False) -> Policy:
    """Return the policy of that name, or of `MODULE:NAME`. Raises `InputError`."""
    from ipam_core.policy import IPAM_CORE, VPC_CNI

    policies = {policy.name: policy for policy in (VPC_CNI, IPAM_CORE)}
    if or_own and ":" in name:
        from ipam_core.cli._own_policy import own_policy

        return own_policy(name)
    if name not in policies:
        own = " and MODULE:NAME" if or_own else ""
        raise InputError(f"unknown policy {name!r}; known: {', '.join(policies)}{own}")
    return policies[name]
