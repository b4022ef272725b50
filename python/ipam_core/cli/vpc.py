"""`ipam-core vpc`: serve a VPC to real clients, and change it while it runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ipam_core.cli._options import JsonOption
from ipam_core.cli._out import INTERRUPTED
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from ipam_core.endpoint.address import Address

app: typer.Typer = typer.Typer(
    help="Serve a VPC: EC2's API and instance metadata, for real clients.", no_args_is_help=True
)
fault_app: typer.Typer = typer.Typer(help="Let calls to a served VPC fail.", no_args_is_help=True)
app.add_typer(fault_app, name="fault")

_URLS = ("AWS_ENDPOINT_URL_EC2", "AWS_ENDPOINT_URL")

EndpointOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="EC2's address of the served VPC; default: AWS_ENDPOINT_URL_EC2, AWS_ENDPOINT_URL.",
    ),
]


@app.command()
def serve(
    file: Annotated[
        Path | None, typer.Argument(help="Subnets, nodes and EC2, as in a fleet's file.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="EC2's port; 0: any free.")] = 0,
    imds_port: Annotated[
        int, typer.Option(min=0, max=65535, help="The metadata port of all nodes; 0: any free.")
    ] = 0,
    imds: Annotated[
        str, typer.Option(help="each: a metadata port for every node, too; shared: only one.")
    ] = "each",
    imds_v1: Annotated[
        bool, typer.Option("--imds-v1/--no-imds-v1", help="Answer metadata without a token.")
    ] = True,
    speed: Annotated[
        float, typer.Option(help="Seconds of the VPC's clock that pass in one, up to 1000000.")
    ] = 1.0,
    held: Annotated[
        bool, typer.Option("--held", help="Let the clock stand until `vpc time` moves it.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Decides every random choice; default: the file's.")
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    state: Annotated[
        Path | None, typer.Option(help="Go on with this file if it is there; saved at the end.")
    ] = None,
    trail: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="Write calls as CloudTrail does: a file, or a folder with FOLDER/."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Serve a VPC until it is interrupted, and print each address that is listened on.

    EC2, STS and EKS are on one port, the instance metadata of each node on one of its own;
    those of nodes that are launched later are printed then. With --json the addresses are one
    line of JSON. SIGINT and SIGTERM save the state and end it.

    Examples: ipam-core vpc serve examples/vpc.yaml --port 4566

    aws ec2 describe-subnets --endpoint-url http://127.0.0.1:4566 --region us-east-1
    """
    import asyncio

    from ipam_core.cli._warnings import warnings_told
    from ipam_core.endpoint.file import VpcSpec, read_vpc
    from ipam_core.endpoint.served import APIS, open_vpc
    from ipam_core.urls import is_loopback

    if imds not in ("each", "shared"):
        raise InputError(f"--imds is each or shared, not {imds!r}")
    if held and speed != 1:
        raise InputError("--held and --speed exclude each other")
    spec = VpcSpec() if file is None else read_vpc(file, APIS)
    notes = [f"{file}: {key} is for simulations and is not served" for key in spec.not_played]
    if not is_loopback(host):
        notes.append(f"warning: {host} is not loopback: whoever reaches it can use and change it")
    if state is not None and state.exists() and file is not None:
        notes.append(f"{state} is there: the VPC goes on from it, and {file} is not used")
    served = open_vpc(
        spec,
        speed=speed,
        held=held,
        seed=seed,
        state=state,
        trail=None if trail is None else Path(trail),
        trail_is_folder=trail is not None and trail.endswith("/"),
    )
    with warnings_told("ipam_core.endpoint"):
        return asyncio.run(
            _serve(
                served,
                notes,
                as_json=as_json,
                host=host,
                port=port,
                imds_port=imds_port,
                imds_each=imds == "each",
                imds_v1=imds_v1,
                seed=spec.seed if seed is None else seed,
            )
        )


async def _serve(served: Any, notes: list[str], *, as_json: bool, **options: Any) -> int:
    """Serve until a signal; save the state then. Return the exit status."""
    import asyncio
    import signal

    from ipam_core.cli._out import print_error
    from ipam_core.endpoint.server import Endpoints

    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def end(status: int) -> None:
        if not ended.done():
            ended.set_result(status)

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, end, INTERRUPTED)
    loop.add_signal_handler(signal.SIGTERM, end, 0)
    first: list[Address] = []
    begun = False

    def tell(address: Address) -> None:
        if as_json and not begun:
            first.append(address)
        else:
            _print_addresses([address], as_json=as_json)

    endpoints = Endpoints(served, on_address=tell, **options)
    try:
        await endpoints.start()
        begun = True
        for note in notes:  # not before: of what is refused there is one line
            print_error(note)
        if as_json:
            _print_addresses(first, as_json=True)
        return await ended
    finally:
        await endpoints.stop()
        served.close(save=begun)


def _print_addresses(addresses: list[Address], *, as_json: bool) -> None:
    """Print addresses, and let them be read at once: other programs wait for them."""
    from ipam_core.cli._out import finish_output, print_json_line, print_line

    if as_json:
        print_json_line({"addresses": [address.to_dict() for address in addresses]})
    else:
        for address in addresses:
            print_line(f"{address} {address.url}")
    finish_output()


# --- while it runs ------------------------------------------------------------------------


@app.command()
def show(endpoint_url: EndpointOption = None, as_json: JsonOption = False) -> None:
    """Show the addresses, the time and the faults of a served VPC.

    Example: ipam-core vpc show --endpoint-url http://127.0.0.1:4566
    """
    from ipam_core.cli._out import print_json, print_line
    from ipam_core.endpoint.address import Address

    found = _ask(endpoint_url, "")
    if as_json:
        print_json(found)
        return
    for address in found["addresses"]:
        shown = Address(**address)
        print_line(f"{shown} {shown.url}")
    _print_time(found)
    _print_faults(found["faults"])


@app.command()
def time(
    move: Annotated[
        str | None, typer.Argument(metavar="[+DURATION]", help="Move the clock: +60s, +5m, +1h.")
    ] = None,
    hold: Annotated[bool, typer.Option("--hold", help="Let the clock stand.")] = False,
    speed: Annotated[
        float | None, typer.Option(help="Let so many seconds pass in one, up to 1000000.")
    ] = None,
    endpoint_url: EndpointOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the clock of a served VPC, or move, hold or run it.

    While it is held calls are answered at once; what takes time in EC2, such as an
    attachment, ends when the clock has been moved far enough.

    Example: ipam-core vpc time +60s --endpoint-url http://127.0.0.1:4566
    """
    from ipam_core.cli._out import print_json

    if sum((move is not None, hold, speed is not None)) > 1:
        raise InputError("give one of +DURATION, --hold and --speed")
    if move is not None and not move.startswith("+"):
        raise InputError(f"the clock is moved by +DURATION such as +60s, not {move!r}")
    body: dict[str, Any] | None = None
    if move is not None:
        body = {"move": move[1:]}
    elif hold or speed is not None:
        body = {"hold": True} if hold else {"speed": speed}
    found = _ask(endpoint_url, "time", body)
    if as_json:
        print_json(found)
    else:
        _print_time(found)


@fault_app.command()
def add(
    api: Annotated[str, typer.Argument(help="The call, as AssignPrivateIpAddresses.")],
    code: Annotated[str, typer.Argument(help="EC2's code, as InsufficientCidrBlocks.")],
    times: Annotated[int | None, typer.Option(min=1, help="How often; default: always.")] = None,
    probability: Annotated[
        float | None, typer.Option(min=0, max=1, help="That of each call; default: 1.")
    ] = None,
    message: Annotated[str | None, typer.Option(help="Its text; default: EC2's own.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="DURATION", help="From then on: 10s.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="DURATION", help="No longer than until then: 2m.")
    ] = None,
    endpoint_url: EndpointOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let calls fail from now on: by name, code, number, chance and time.

    Times count from now, by the clock of the VPC.

    Example: ipam-core vpc fault add AssignPrivateIpAddresses InsufficientCidrBlocks
    --times 3 --endpoint-url http://127.0.0.1:4566
    """
    from ipam_core.cli._out import print_json

    given = {
        "api": api,
        "code": code,
        "times": times,
        "probability": probability,
        "message": message,
        "from": start,
        "until": until,
    }
    body = {key: value for key, value in given.items() if value is not None}
    found = _ask(endpoint_url, "faults", body)
    if as_json:
        print_json(found)
    else:
        _print_faults([found])


@fault_app.command(name="list")
def list_(endpoint_url: EndpointOption = None, as_json: JsonOption = False) -> None:
    """List the faults that are to strike, by number.

    Example: ipam-core vpc fault list --endpoint-url http://127.0.0.1:4566
    """
    from ipam_core.cli._out import print_json

    found = _ask(endpoint_url, "faults")
    if as_json:
        print_json(found)
    else:
        _print_faults(found["faults"])


@fault_app.command()
def clear(
    number: Annotated[int | None, typer.Argument(min=1, help="Which; default: all.")] = None,
    endpoint_url: EndpointOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let no call fail any more, or end one fault.

    Example: ipam-core vpc fault clear 2 --endpoint-url http://127.0.0.1:4566
    """
    from ipam_core.cli._out import print_json

    path = "faults" if number is None else f"faults/{number}"
    found = _ask(endpoint_url, path, method="DELETE")
    if as_json:
        print_json(found)
    else:
        _print_faults(found["faults"])


@app.command()
def change(
    file: Annotated[Path, typer.Argument(help="A file with `ec2`, as of a fleet or a VPC.")],
    endpoint_url: EndpointOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change latencies, throttling, faults and the metadata lag to what a file says.

    What the file does not name stays; its faults come to those that are there.

    Example: ipam-core vpc change slow.yaml --endpoint-url http://127.0.0.1:4566
    """
    from ipam_core.cli._options import given_text
    from ipam_core.cli._out import print_json
    from ipam_core.documents import load_documents

    url = _url(endpoint_url)
    try:
        documents = load_documents(given_text(file), each_key_once=True)
        if len(documents) != 1 or not isinstance(documents[0], dict) or "ec2" not in documents[0]:
            raise InputError("a mapping with `ec2` is needed")
        found = _ask(url, "ec2", documents[0]["ec2"])
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    if as_json:
        print_json(found)
    else:
        _print_faults(found["faults"])


@app.command()
def save(endpoint_url: EndpointOption = None, as_json: JsonOption = False) -> None:
    """Save the state of a served VPC to the file of its --state, now.

    Example: ipam-core vpc save --endpoint-url http://127.0.0.1:4566
    """
    from ipam_core.cli._out import print_json, print_text

    found = _ask(endpoint_url, "state", {})
    if as_json:
        print_json(found)
    else:
        print_text(f"saved to {found['saved']}")


def _ask(
    endpoint_url: str | None, path: str, body: dict[str, Any] | None = None, *, method: str = ""
) -> dict[str, Any]:
    from ipam_core.endpoint.client import ask

    return ask(_url(endpoint_url), path, body, method=method)


def _url(given: str | None) -> str:
    """Return the address of a served VPC's EC2: as given, or as AWS clients find it."""
    from ipam_core.urls import check_http_url

    url = given or next(filter(None, map(os.environ.get, _URLS)), None)
    if url is None:
        raise InputError(
            "--endpoint-url URL is needed: EC2's address that `ipam-core vpc serve` printed"
        )
    check_http_url(url, "--endpoint-url")
    return url


def _print_time(found: dict[str, Any]) -> None:
    from ipam_core.cli._out import print_line

    how = "held" if found["held"] else f"{found['speed']:g} s a second"
    print_line(f"{found['time']}, {found['since_start_s']:g} s since the start, {how}")


def _print_faults(faults: list[dict[str, Any]]) -> None:
    from ipam_core.cli._out import print_text

    if not faults:
        print_text("no faults")
    for fault in faults:
        parts = [f"fault {fault['number']}: {fault['api']} {fault['code']}"]
        if "times" in fault:
            parts.append("once" if fault["times"] == 1 else f"{fault['times']} times")
        if "probability" in fault:
            parts.append(f"probability {fault['probability']:g}")
        parts += [f"{key} {fault[key]:g} s" for key in ("from", "until") if key in fault]
        print_text(", ".join(parts))
