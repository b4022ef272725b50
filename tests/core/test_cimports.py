"""The compiled core is layered as docs/core.md says, and docs/architecture.py knows its parts."""

import re
from pathlib import Path

from support.loading import loaded

ROOT = Path(__file__).parent.parent.parent
CORE = ROOT / "src" / "ipam_core"
PARTS = {path.stem for path in CORE.glob("*.p[yx]*")} - {"__init__"}


def test_every_part_cimports_only_from_those_above_it_on_the_page():
    table = (ROOT / "docs" / "core.md").read_text("utf-8").split("## Layout")[0]
    order = [name.removesuffix(".pxd") for name in re.findall(r"`(_[\w.]+)`", table)]
    assert sorted(order) == sorted(PARTS)
    wrong, n_arrows = [], 0
    for part in PARTS:
        text = "".join(path.read_text("utf-8") for path in CORE.glob(f"{part}.p[yx]*"))
        above = order[: order.index(part)]
        for other in set(re.findall(r"^from ipam_core\.(\w+) cimport", text, re.M)) - {part}:
            n_arrows += 1
            wrong += [(part, other)] if other not in above else []
    assert wrong == []
    assert n_arrows > 40


def test_the_picture_of_the_layers_has_every_part():
    architecture = loaded(ROOT / "docs" / "architecture.py")
    drawn = {name for layer in architecture.LAYERS for name in layer.names}
    assert PARTS - drawn == set()


def test_no_file_of_the_core_is_longer_than_400_lines():
    long = [
        file.name
        for file in CORE.glob("*.p[yx]*")
        if len(file.read_text("utf-8").split("\n")) > 401
    ]
    assert long == []
