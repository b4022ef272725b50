"""The layers of the package, read from its own imports: what the page and the test of it share."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parent.parent / "python" / "ipam_core"


class Layer(NamedTuple):
    """Modules and packages of one height. They import each other, and those below."""

    names: tuple[str, ...]
    what: str


LAYERS = (
    Layer(
        ("__main__", "cli", "web", "plots", "_pyinstaller"),
        "what people see: tables, pictures, JSON; alone in printing",
    ),
    Layer(("testing",), "for tests of clouds and of their clients"),
    Layer(
        ("agent", "endpoint", "k8s", "recording", "exporter"),
        "the system running: an agent that a CNI plugin asks, a VPC for clients of EC2; a cluster",
    ),
    Layer(("diagnosis", "tuning", "subnet"), "questions asked of the model"),
    Layer(("simulation",), "virtual time: scenarios, fleets, workloads, results"),
    Layer(("ipamd",), "the real agent's own formats"),
    Layer(("cloud", "checkpoint"), "what carries effects out: EC2 or a simulation, durable state"),
    Layer(("node",), "one node: its stores and rules; its steps are generators of effects"),
    Layer(("effects", "replies"), "calls and reads as values, replies"),
    Layer(
        ("pool", "pool_values", "settled", "policy", "settings", "manifests", "instances",
         "instance_descriptions", "fragmentation"),
        "pure rules: no time, no I/O, no randomness",
    ),
    Layer(
        ("documents", "unpacking", "variables", "schemas", "tags", "units", "disk"),
        "words and texts that all share",
    ),
    Layer(("batches",), "pods in batches: sandboxes and texts around the core's digests"),
    Layer(("_kernel", "_fleet_pods"), "the compiled core: a simulated node, a scheduler of pods"),
    Layer(
        ("_store", "_manners", "_placing", "_saved", "_questions", "_batches", "_pods", "_attached",
         "_enis", "_shared", "_invariants", "_snapshot"),
        "the compiled core: the DataStore, and its parts in C",
    ),
    Layer(
        ("_subnet", "_subnet_view", "_blocks", "_values", "_text", "_ipv4", "_arguments"),
        "the compiled core: the Subnet, values and texts",
    ),
    Layer(
        ("_pod_sources", "_scheduler", "_fleet_state", "_node_checks", "_node_state",
         "_batch_release", "_batch", "_freeable", "_assign", "_seats", "_walk", "_pool",
         "_records", "_slot_memory", "_slots", "_bits", "_settle", "_rules"),
        "the compiled core: a pool in C, the target rules",
    ),
    Layer(
        ("errors", "quoting", "urls", "bounded_http", "html", "_dataclass", "_lazy", "_extras"),
        "what can go wrong; foreign text as shown; what is optional",
    ),
)  # fmt: skip
"""From the top down."""

CORE = PACKAGE.parent.parent / "src" / "ipam_core"


def modules() -> dict[str, Path]:
    """Return the package's Python files by dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """Return the package's modules that a file imports, for types and inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("ipam_core")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ipam_core"):
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in known else node.module)
    return found


def layer_of(module: str) -> int:
    """Return the number of the layer of a module, 0 at the top."""
    name = module.split(".")[1]
    return next(number for number, layer in enumerate(LAYERS) if name in layer.names)


def lines(name: str) -> int:
    """Return how many lines of Python, or of Cython for the core, a part of a layer has."""
    paths = [PACKAGE / f"{name}.py", *(PACKAGE / name).rglob("*.py"), *CORE.glob(f"{name}.p[yx]*")]
    return sum(len(path.read_text("utf-8").splitlines()) for path in paths if path.exists())


def draw(path: Path) -> None:
    """Draw the layers as rows, the parts of each as boxes as wide as they are long."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(10, 8.2), layout="constrained")
    axis = figure.subplots()
    axis.set_axis_off()
    axis.set_xlim(0, 1)
    axis.set_ylim(len(LAYERS), -0.1)
    shades = ("#dbe9f6", "#eaf2fa")
    for row, layer in enumerate(LAYERS):
        axis.text(0.0, row + 0.14, layer.what, fontsize=9, color="#333333", va="center")
        names = [name for name in layer.names if lines(name) > 0]
        widths = [max(lines(name) ** 0.5, 9.0 + 0.7 * len(name)) for name in names]
        unit = min(1 / sum(widths), 1 / 95)
        left = 0.0
        for number, (name, width) in enumerate(zip(names, widths, strict=True)):
            box = {"width": width * unit - 0.006, "height": 0.5, "edgecolor": "#0072b2"}
            axis.add_patch(_box(left, row + 0.32, shades[number % 2], **box))
            label = f"{name}\n{lines(name):,}"
            axis.text(left + width * unit / 2 - 0.003, row + 0.57, label, fontsize=7,
                      ha="center", va="center")  # fmt: skip
            left += width * unit
    figure.suptitle("Imports point down only; below each name, its lines of code", fontsize=10)
    figure.savefig(path, dpi=130)


def _box(left: float, top: float, colour: str, **options: object) -> object:
    from matplotlib.patches import Rectangle  # noqa: PLC0415

    return Rectangle((left, top), facecolor=colour, **options)
