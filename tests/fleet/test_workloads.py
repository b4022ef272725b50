"""Each workload makes just the pods it says, when it says; nodes and agents come and go."""

import pytest

from ipam_core.errors import InputError
from ipam_core.policy import VPC_CNI
from ipam_core.simulation.engine import Engine
from ipam_core.simulation.fleet.fleet import Fleet, simulate_fleet, simulate_many
from ipam_core.simulation.fleet.members import Pod
from ipam_core.simulation.fleet.pod_event import PodEvent
from ipam_core.simulation.fleet.spec import Autoscale, RolloutSpec
from ipam_core.simulation.fleet.workload_specs import (
    Arrivals,
    Churn,
    DaemonSet,
    RollingUpdate,
    Trace,
)
from ipam_core.simulation.fleet.workloads import _RollingProcess
from ipam_core.simulation.validation import Share
from support.fleets import S, fleet


class Watched(Fleet):
    """A fleet that is looked at after each event of its pods, so that none is played in C."""

    def __init__(self, spec, look, **more):
        self.look = look
        super().__init__(spec, policy=VPC_CNI, seed=0, in_c=False, **more)

    def create(self, *given, **more):
        pod = super().create(*given, **more)
        self.look(self)
        return pod

    def remove(self, pod):
        super().remove(pod)
        self.look(self)

    def alive(self):
        return [*self.unplaced, *(pod for node in self.nodes for pod in node.pods)]


def test_a_burst_comes_at_once_and_lives_its_time():
    seen = {}
    spec = fleet(Arrivals(pods=5, at_ns=120 * S, lifetime_ns=60 * S))
    watched = Watched(spec, lambda f: seen.update({f.engine.now_ns // S: len(f.alive())}))
    result = watched.run()
    assert seen == {120: 5, 180: 0}
    assert result.n_pods == 5


def test_a_ramp_comes_evenly():
    comes = []
    spec = fleet(Arrivals(pods=6, at_ns=60 * S, over_ns=30 * S))
    Watched(spec, lambda f: comes.append(f.engine.now_ns // S)).run()
    assert comes == [60, 65, 70, 75, 80, 85]


def test_cron_jobs_repeat():
    comes = []
    spec = fleet(Arrivals(pods=2, at_ns=60 * S, lifetime_ns=30 * S, every_ns=120 * S), minutes=6)
    result = Watched(spec, lambda f: comes.append((f.engine.now_ns // S, len(f.alive())))).run()
    assert [time for time, _ in comes] == [60, 60, 90, 90, 180, 180, 210, 210, 300, 300, 330, 330]
    assert result.n_pods == 6


def test_churn_keeps_every_node_as_full_as_it_says():
    watched = Watched(fleet(Churn(pods_per_node=7, lifetime_ns=30 * S), count=3), lambda _: None)
    result = watched.run()
    assert [len(node.pods) for node in watched.nodes] == [7, 7, 7]
    assert 300 < result.n_pods < 900  # about 21 at a time, 600 s / 30 s generations


def test_a_daemon_set_has_one_pod_a_node():
    watched = Watched(fleet(DaemonSet(at_ns=60 * S), count=3, join_ns=300 * S), lambda _: None)
    watched.run()
    assert [len(node.pods) for node in watched.nodes] == [1, 1, 1]


@pytest.mark.parametrize(("surge", "unavailable"), [(3, 0), (0, 2), (3, 2), (0, 0)])
def test_a_rolling_update_stays_within_surge_and_unavailable(surge, unavailable):
    pods = 12
    spec = fleet(
        RollingUpdate(
            pods=pods,
            at_ns=300 * S,
            max_surge=Share(surge),
            max_unavailable=Share(unavailable),
            ready_after_ns=4 * S,
        ),
        minutes=15,
    )
    most, least, first = [0], [pods], set()

    def look(fleet):
        alive = fleet.alive()
        if fleet.engine.now_ns <= 300 * S - 1:
            first.update(alive)
        else:
            most[0] = max(most[0], len(alive))
            ready = sum(pod.served for pod in alive)
            least[0] = min(least[0], ready)

    watched = Watched(spec, look)
    watched.run()
    assert len(first) == pods
    assert most[0] <= pods + surge
    assert least[0] >= pods - max(unavailable, surge == 0)
    assert len(watched.alive()) == pods
    assert not first & set(watched.alive()), "an old pod is left"


def test_recorded_pods_come_and_go_where_the_file_says():
    events = (
        PodEvent(time_ns=60 * S, pod="a", node="nodes-1", add=True),
        PodEvent(time_ns=61 * S, pod="b", add=True),
        PodEvent(time_ns=90 * S, pod="a", node="nodes-1", add=False),
    )
    seen = []
    spec = fleet(Trace(events=events))
    Watched(spec, lambda f: seen.append([len(node.pods) for node in f.nodes])).run()
    assert seen == [[0, 1], [1, 1], [1, 0]]


def test_recorded_pods_on_no_node_are_refused():
    event = PodEvent(time_ns=60 * S, pod="a", node="elsewhere-7", add=True)
    with pytest.raises(InputError, match="'elsewhere-7' at 60 s"):
        simulate_fleet(fleet(Trace(events=(event,))))


def test_a_group_grows_for_pods_and_gives_up_empty_nodes():
    spec = fleet(
        Arrivals(pods=70, at_ns=120 * S, lifetime_ns=300 * S),
        DaemonSet(),
        minutes=20,
        count=1,
        autoscale=Autoscale(most=3, boot_ns=30 * S, empty_ns=120 * S),
    )
    watched = Watched(spec, lambda _: None)
    result = watched.run()
    nodes = list(result.series["nodes"])
    assert max(nodes) == 3
    assert nodes[-1] == 1
    assert result.n_pods == 73
    assert not result.still_waiting_s
    (left,) = (node for node in watched.nodes if not node.gone)
    assert list(watched.machines.regions[""].enis.values()) == left.agent.instance.attached()


def test_a_node_that_was_booted_for_pods_that_went_is_given_up():
    events = tuple(
        PodEvent(time_ns=(120 if add else 130) * S, pod=f"p{n}", add=add)
        for add in (True, False)
        for n in range(40)
        if add or n  # one stays, on the node that was there
    )
    spec = fleet(
        Trace(events=events),
        count=1,
        minutes=15,
        autoscale=Autoscale(most=4, boot_ns=60 * S, empty_ns=60 * S),
    )
    nodes = list(simulate_fleet(spec).series["nodes"])
    assert max(nodes) == 2
    assert nodes[-1] == 1


def test_a_rollout_goes_on_when_a_node_that_is_down_goes():
    """An empty node is given up while its agent restarts: the others still get their turn."""
    spec = fleet(
        Arrivals(pods=40, at_ns=60 * S, lifetime_ns=100 * S),
        count=1,
        minutes=15,
        autoscale=Autoscale(most=3, boot_ns=20 * S, empty_ns=60 * S),
        rollouts=(
            RolloutSpec(
                at_ns=210 * S, env={"WARM_IP_TARGET": "4"}, max_unavailable=Share(1),
                down_ns=100 * S,
            ),
        ),
    )  # fmt: skip
    watched = Watched(spec, lambda _: None)
    watched.run()
    assert any(node.gone for node in watched.nodes)
    alive = [node for node in watched.nodes if not node.gone]
    assert {node.agent.settings.warm_ip_target for node in alive} == {4}
    assert all(node.agent.node.ready for node in alive)


def test_a_rollout_keeps_so_many_agents_up_and_changes_all():
    spec = fleet(
        Churn(pods_per_node=3, lifetime_ns=60 * S),
        count=10,
        env={"WARM_IP_TARGET": "1"},
        rollouts=(
            RolloutSpec(
                at_ns=200 * S,
                env={"WARM_IP_TARGET": "4"},
                max_unavailable=Share(30, percent=True),
                down_ns=20 * S,
            ),
        ),
        minutes=15,
    )
    most_down = [0]

    def look(fleet):
        if fleet.engine.now_ns > 150 * S:
            down = sum(not node.agent.node.ready for node in fleet.nodes)
            most_down[0] = max(most_down[0], down)

    watched = Watched(spec, look)
    result = watched.run()
    assert most_down[0] == 3
    assert {node.agent.settings.warm_ip_target for node in watched.nodes} == {4}
    assert result.refusals["the agent is not ready"] > 0


def test_pods_wait_for_a_node_with_room():
    result = simulate_fleet(fleet(Arrivals(pods=30, at_ns=60 * S), count=1, max_pods=12))
    assert len(result.waits_s) == 10
    assert len(result.still_waiting_s) == 20
    assert result.refusals["no node has room"] == 20


def test_results_count_only_what_is_measured():
    spec = fleet(Arrivals(pods=4, at_ns=60 * S, every_ns=240 * S), measure_from_ns=200 * S)
    result = simulate_fleet(spec)
    assert result.n_pods == 8  # of 12
    assert result.times_s[0] == 200
    assert "CreateTags" not in result.calls_by_api  # at the start


def test_runs_may_go_to_an_executor():
    from concurrent.futures import ProcessPoolExecutor

    runs = [(fleet(Arrivals(pods=9, at_ns=60 * S)), VPC_CNI, seed) for seed in range(3)]
    with ProcessPoolExecutor(2) as executor:
        there = [result.to_dict() for result in simulate_many(runs, executor)]
    assert there == [result.to_dict() for result in simulate_many(runs)]
    assert there[0] != there[1]


def test_an_interrupted_run_is_no_result():
    def interrupt(share):
        if share >= 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_fleet(fleet(Arrivals(pods=9, at_ns=60 * S)), on_progress=interrupt)


def test_progress_is_told_up_to_the_end():
    shares = []
    simulate_fleet(fleet(Arrivals(pods=1)), on_progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1


class Hand:
    """A fleet by hand: pods come and go at once, and nothing else happens."""

    seed = 0

    def __init__(self):
        self.engine = Engine()
        self.removed = []
        self.n_pods = 0

    def create(self, owner, *, group=None, **_):
        self.n_pods += 1
        return Pod(self.n_pods, owner, None, group=group)

    def remove(self, pod):
        pod.gone = True
        self.removed.append(pod.number)
        pod.owner.ended(pod)


def test_an_old_pod_that_was_evicted_in_an_update_goes_before_those_that_are_ready():
    hand = Hand()
    spec = RollingUpdate(pods=4, at_ns=S, max_surge=Share(0), max_unavailable=Share(1))
    process = _RollingProcess(spec, hand, 0)
    process._create(None)
    for pod in list(process._new.values()):
        process._is_ready(pod)
    process._update(None)
    assert hand.removed == [1]
    evicted, by = process._old[2], Pod(9, process, None)
    process.replaced(evicted, by)
    process._roll()
    assert hand.removed == [1, 9], "the new one is not ready: it costs no availability"
    assert [pod.number for pod in process._old.values()] == [2, 4]
