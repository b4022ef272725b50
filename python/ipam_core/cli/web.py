"""`ipam-core web`: what settings do, as a page to look at."""

from __future__ import annotations

from typing import Annotated

import typer

from ipam_core.cli._options import JsonOption
from ipam_core.cli._out import finish_output, print_json_line, print_line


def web(
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0: any free.")] = 0,
    host: Annotated[
        str, typer.Option(help="The address to listen on; beyond this machine a token is asked.")
    ] = "127.0.0.1",
    as_json: JsonOption = False,
) -> int:
    """Serve a page that shows what settings do on a node, for a browser.

    It prints the page's address and runs until it is interrupted. Nothing is loaded from a
    network, and nothing leaves the machine. With --json the address is one line of JSON.

    Example: ipam-core web --port 8080
    """
    from ipam_core.web.serve import serve

    def listening(url: str) -> None:
        if as_json:
            print_json_line({"url": url})
        else:
            print_line(url)
            print_line("Ctrl-C ends it.")
        finish_output()

    serve(host, port, listening)
    return 0
