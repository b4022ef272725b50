"""A Prometheus exporter of a node's pool, with nothing but the standard library.

    python examples/exporter.py [PORT]        # 0: a free one, which is printed

The page has what the rules decide too: an alert on `pool_short` that stays above 0 sees a pool
that cannot grow, before a pod waits.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ipam_core import Node, Sandbox, Settings, SimulatedCloud, drive


def page(node: Node) -> str:
    """Return the node's pool in Prometheus' text format."""
    stats, decision = node.store.stats(), node.decide()
    values = {
        "pool_addresses": stats.total,
        "pool_assigned": stats.assigned,
        "pool_cooling": stats.cooling,
        "pool_assignable": stats.assignable,
        "pool_enis": stats.enis,
        "pool_pods_waiting": len(node.waiting),
        "pool_short": decision.short,
        "pool_low": int(decision.low),
    }
    return "".join(f"# TYPE {name} gauge\n{name} {value}\n" for name, value in values.items())


def server_of(node: Node, port: int) -> ThreadingHTTPServer:
    """Return a server of the page, on the loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page(node).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write no line for each request."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def main(port: int = 9100) -> None:
    """Serve a simulated node with seven pods."""
    cloud = SimulatedCloud("m5.large", seed=1)
    node = Node(cloud.limits, Settings(warm_ip_target=2))
    drive(node.start(), cloud)
    for n in range(7):
        node.try_add_pod(Sandbox(f"c{n}"), f"default/web-{n}")
        drive(node.adjust(), cloud)
    with server_of(node, port) as server:
        print(f"http://127.0.0.1:{server.server_port}/metrics", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
