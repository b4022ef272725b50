"""Work whose worker dies is done again: on processes, and on a real Dask cluster."""

import os
import re
import signal
import time
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest

from ipam_core.cli import _processes
from ipam_core.cli._processes import KILLED, cluster, processes
from ipam_core.errors import IpamError
from ipam_core.simulation.executing import MOST_DEATHS, completed
from ipam_core.simulation.files import simulation_of
from ipam_core.simulation.fleet.fleet import simulate_fleet
from ipam_core.tuning import sweep
from support.dask_cluster import cluster_of

FLEET = {
    "duration": "10m",
    "subnets": [
        {"id": "a", "cidr": "10.0.0.0/22", "region": "eu-west-1"},
        {"id": "b", "cidr": "10.1.0.0/22", "region": "us-east-1"},
    ],
    "nodes": [
        {"name": "web", "instance_type": "m5.large", "count": 2, "subnets": ["a"]},
        {"name": "app", "instance_type": "m5.large", "count": 2, "subnets": ["b"]},
    ],
    "workloads": [{"kind": "churn", "pods_per_node": 6, "lifetime": "1m"}],
}
GRID = {"WARM_IP_TARGET": ["1", "2", "5"]}


@pytest.fixture(scope="module")
def spec():
    return simulation_of([FLEET], None)


def dies_once(folder, number):
    """Return ten times the number; the call of number 3 kills its process the first time."""
    marker = folder / "died"
    if number == 3 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 10 * number


def dies_always(number):
    """Return the number; a process that gets 3 is killed."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_what_a_killed_process_had_is_done_by_another(tmp_path):
    with processes(2) as executor:
        found = dict(completed(executor, dies_once, [(tmp_path, n) for n in range(20)]))
    assert found == {n: 10 * n for n in range(20)}
    assert (tmp_path / "died").exists()


def test_a_call_that_kills_every_process_is_one_line_and_the_others_are_done():
    found = []
    with pytest.raises(IpamError) as raised, processes(2) as executor:
        found.extend(completed(executor, dies_always, [(n,) for n in range(6)]))
    assert str(raised.value) == KILLED


def test_a_sweep_is_the_same_if_a_process_is_killed_in_the_middle(spec):
    killed = []

    def kill_one(_):
        if not killed:
            from multiprocessing import active_children

            killed.append(active_children()[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    with processes(2) as executor:
        found = sweep(spec, GRID, seeds=range(3), executor=executor, on_progress=kill_one)
    assert killed
    assert found == sweep(spec, GRID, seeds=range(3))


class Mortal(ThreadPoolExecutor):
    """An executor whose calls fail as those of a pool do of which a process died."""

    def __init__(self, lost):
        super().__init__(1)
        self.lost = list(lost)
        self.n_given = 0

    def submit(self, fn, /, *args, **kwargs):
        self.n_given += 1
        if self.lost and self.lost.pop(0):
            future = Future()
            future.set_exception(BrokenProcessPool("a process died"))
            return future
        return super().submit(fn, *args, **kwargs)


# Of three calls: how many are given, and which of them are lost.
@pytest.mark.parametrize(
    ("lost", "n_given"),
    [([], 3), ([True], 4), ([True] * 6, 9), ([True, True, False] + 2 * [True, False] + [True], 7)],
    ids=["none", "one", "all twice", "three times, with a result between"],
)
def test_only_what_has_no_result_is_done_again(lost, n_given):
    with Mortal(lost) as executor:
        found = dict(completed(executor, str, [(n,) for n in range(3)]))
        assert found == {n: str(n) for n in range(3)}
        assert executor.n_given == n_given


def test_deaths_with_no_result_between_them_end_it():
    with Mortal([True] * 3 * MOST_DEATHS) as executor:
        with pytest.raises(BrokenExecutor):
            list(completed(executor, str, [(n,) for n in range(3)]))
        assert executor.n_given == 3 * MOST_DEATHS


def test_what_a_call_raises_is_raised_and_the_rest_is_cancelled():
    with ThreadPoolExecutor(1) as executor, pytest.raises(ValueError, match="invalid literal"):
        list(completed(executor, int, [("1",), ("x",), ("2",)]))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_dask_worker_that_is_killed_in_the_middle_changes_nothing(spec, tmp_path):
    """Prevents a sweep, and a simulation, that end, or differ, because a machine died."""
    killed = []

    def kill_one(_):
        if not killed:
            killed.append(worker.pid)
            worker.kill()

    with cluster_of(tmp_path) as (address, (_, worker, _)), cluster(address) as executor:
        found = sweep(spec, GRID, seeds=range(3), executor=executor, on_progress=kill_one)
        assert worker.wait(10) == -signal.SIGKILL
        result = simulate_fleet(spec, executor=executor)
    assert killed
    assert found == sweep(spec, GRID, seeds=range(3))
    assert result == simulate_fleet(spec)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_work_that_waits_for_a_worker_says_so_once_and_ends_with_its_scheduler(
    tmp_path, capsys, caplog, monkeypatch
):
    """With all workers gone a command was silent, as one that works; without a scheduler it
    ended with a traceback.
    """
    monkeypatch.setattr(_processes, "_LOOK_S", 0.1)
    monkeypatch.setattr(_processes, "_NO_WORKER_S", 0.3)
    with cluster_of(tmp_path, n_workers=0) as (address, (scheduler,)):
        gone = pytest.raises(IpamError, match=re.escape(f"--scheduler {address!r}: it is gone"))
        with gone, cluster(address) as executor:
            waiting = executor.submit(str, 1)
            time.sleep(1.5)
            assert capsys.readouterr().err == (
                f"ipam-core: --scheduler {address!r}: no worker for 0.3 s; the work waits for one\n"
            )
            scheduler.kill()
            waiting.result(60)
    assert [each for each in caplog.records if each.name == "distributed.client"] == []
