"""What works with nothing installed but the package, and what is said of the rest."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import import_module

import pytest

import ipam_core
from ipam_core import _pyinstaller
from ipam_core._extras import extra
from ipam_core.errors import MissingExtraError
from support.installed import ROOT
from support.loading import loaded

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
    "optional-dependencies"
]

BASE = """
import sys
import ipam_core
from ipam_core import *
from ipam_core.errors import MissingExtraError

store = DataStore()
store.add_eni("eni-1", device_number=0, primary=True)
store.add_address("eni-1", "10.0.0.7")
assert store.assign(Sandbox("c1")).address == "10.0.0.7"

cloud = SimulatedCloud("m5.large", seed=1)
node = Node(cloud.limits, Settings(warm_ip_target=2))
drive(node.start(), cloud)
node.add_pod(Sandbox("0f3c"), "default/web-1")
assert node.store.stats().assigned == 1

verdict = explain("m8g.4xlarge", {"MINIMUM_IP_TARGET": "25"}).verdict
assert str(verdict) == "stalls at pod 26 with 207 slots unused"
steps = [{"op": "boot"}, {"op": "add_pods", "n": 6}, {"op": "settle"}]
assert simulate({"instance_type": "m5.large", "steps": steps, "expect": {}}).passed
subnet = Subnet("10.0.0.0/24", seed=1)
assert subnet.take_prefixes(2)
with Checkpoint("pods.db") as checkpoint:
    assert DurableStore(store, checkpoint)

fleet = {
    "duration": "10m",
    "nodes": [{"name": "n", "instance_type": "m5.large", "count": 3}],
    "workloads": [{"kind": "churn", "pods_per_node": 20, "lifetime": "2m"}],
}
result = simulate(fleet, seed=3)
print(result.n_pods, result.n_waited, result.wait_quantiles_s((0.5, 0.9, 1.0)))

def refused(call, extra):
    try:
        call()
    except ImportError as error:
        assert isinstance(error, MissingExtraError), error
        assert error.extra == extra, error
        assert f"pip install 'ipam-core[{extra}]'" in str(error)
    else:
        assert "numpy" in sys.modules, call
"""

MISSING = """
assert not {"numpy", "yaml", "typer", "rich"} & set(sys.modules)
for call in (
    lambda: store.assign_many([]), lambda: store.release_many([]), store.free_counts,
    store.assignment_ages_ns, lambda: subnet.offsets([]), subnet.histogram, subnet.block_states,
    subnet.free_masks, subnet.free_counts, subnet.sequence, result.waits, result.arrays,
    lambda: pool.settled_many("m5.large", Settings(), 5),
    lambda: __import__("ipam_core.subnet.report"), lambda: __import__("ipam_core.subnet.drains"),
    lambda: __import__("ipam_core.subnet.placing"),
    lambda: __import__("ipam_core.subnet.interfaces"),
):
    refused(call, "batch")
refused(lambda: __import__("ipam_core.plots"), "plot")
refused(AwsCloud, "aws")
open("scenario.yaml", "w").write("instance_type: m5.large\\nsteps: [{op: boot}]\\nexpect: {}\\n")
refused(lambda: simulate("scenario.yaml"), "yaml")
"""


@pytest.mark.slow
def test_the_library_needs_nothing_and_names_what_a_feature_needs(clean, complete, tmp_path):
    alone = clean.run("-W", "error", "-c", BASE + MISSING, cwd=tmp_path)
    (tmp_path / "pods.db").unlink()
    assert complete.run("-c", BASE, cwd=tmp_path) == alone


@pytest.mark.slow
def test_the_console_script_without_its_extra_says_so_in_one_line(clean, tmp_path):
    said = "ipam-core: the command line needs the extra 'cli': pip install 'ipam-core[cli]'\n"
    assert clean.fails("ipam-core", "explain", "m5.large", cwd=tmp_path) == (2, said)
    assert clean.fails("python", "-m", "ipam_core", cwd=tmp_path) == (2, said)
    version = f"ipam-core {ipam_core.__version__}\n"
    assert clean.run("-m", "ipam_core", "--version", cwd=tmp_path) == version


def test_every_extra_that_an_error_names_exists():
    named = {
        name
        for path in (ROOT / "python").rglob("*.py")
        for name in re.findall(
            r'(?:MissingExtraError|\bextra)\(\s*"(\w+)"', path.read_text("utf-8")
        )
    }
    assert {"batch", "cli", "yaml", "plot", "aws"} <= named <= {*EXTRAS}


def test_what_is_installed_and_broken_says_so_itself():
    with pytest.raises(ZeroDivisionError), extra("batch", "a test"):
        _ = 1 / 0
    with pytest.raises(ModuleNotFoundError, match=r"ipam_core\.nowhere"), extra("batch", "a test"):
        import ipam_core.nowhere  # noqa: F401  # type: ignore[import-not-found]
    with pytest.raises(MissingExtraError, match=r"a test needs the"), extra("batch", "a test"):
        import no_such_package  # noqa: F401  # type: ignore[import-not-found]


def test_a_module_that_an_installed_dependency_needs_is_named(tmp_path, monkeypatch):
    """Without it nobody knows why pip says that the extra is installed."""
    (tmp_path / "its_dependency.py").write_text("import its_own_dependency\n")
    (tmp_path / "another.py").write_text("import its_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("its_dependency", "another"):
        with pytest.raises(MissingExtraError) as caught, extra("k8s", "a test"):
            import_module(name)
        assert str(caught.value) == (
            "a test needs the extra 'k8s': pip install 'ipam-core[k8s]' "
            "(only its module 'its_own_dependency' is missing)"
        )
        assert (caught.value.extra, caught.value.module) == ("k8s", "its_own_dependency")
    with pytest.raises(MissingExtraError) as caught, extra("k8s", "a test"):
        import no_such_package  # noqa: F401  # type: ignore[import-not-found]
    assert caught.value.module == ""


def test_an_own_module_between_is_no_dependency(monkeypatch):
    """`extra` around an import of a module of ours, which imports what is missing."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "ipam_core.simulation.fleet.parquet", raising=False)
    with pytest.raises(MissingExtraError) as caught, extra("other", "a test"):
        import_module("ipam_core.simulation.fleet.parquet")
    assert (caught.value.extra, caught.value.module) == ("parquet", "")


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("import its_own_dependency", MissingExtraError, "only its module 'its_own_dependency'"),
        ("raise ImportError('built for another Python')", ImportError, "built for another Python"),
    ],
)
def test_a_dask_that_does_not_load_is_not_said_to_be_missing(
    code, kind, said, tmp_path, monkeypatch
):
    """Whoever has it installed would install it again, and again."""
    from ipam_core.cli._processes import cluster

    (tmp_path / "distributed.py").write_text(code)
    monkeypatch.delitem(sys.modules, "distributed", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(kind, match=said) as caught, cluster("tcp://127.0.0.1:9"):
        pass
    assert type(caught.value) is kind


def test_the_hook_of_pyinstaller_names_what_loads_late():
    hooks = pytest.importorskip("PyInstaller.utils.hooks")
    (folder,) = _pyinstaller.hook_dirs()
    hook = loaded(f"{folder}/hook-ipam_core.py")
    homes = {f"ipam_core.{home}" for home in ipam_core._HOMES}
    assert homes <= set(hook.hiddenimports)
    assert {"ipam_core", "ipam_core.checkpoint.wal"} <= set(hook.hiddenimports)
    assert not [name for name in hook.hiddenimports if name.startswith("ipam_core.cli")]
    assert {"instance-limits.csv", "instance-limits.json"} <= {
        source.rpartition("/")[2] for source, _ in hook.datas
    }
    assert hooks
