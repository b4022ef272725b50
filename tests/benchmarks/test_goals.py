"""What `make bench` says of a run: figures, verdicts, the status, and the page over releases."""

import json

import pytest

from figures import Figure, Run, exponent, noise_of, read
from goals import BLOCK, PAIR, START, Goal, Verdict, goals, judged
from releases import main as write_page
from report import main as report
from side_by_side import side_by_side


def bench(group="", median=1e-6, iqr=0.0, rounds=100, **facts):
    return {
        "group": group,
        "stats": {"median": median, "iqr": iqr, "rounds": rounds, "min": median},
        "extra_info": facts,
    }


@pytest.fixture
def written(tmp_path):
    """Write benchmarks as pytest-benchmark does; return the file."""

    def write(*benches, name="bench.json"):
        document = {
            "benchmarks": benches,
            "commit_info": {"id": "0123456789abcdef", "dirty": False},
            "datetime": "2026-11-28T06:00:00",
        }
        (path := tmp_path / name).write_text(json.dumps(document))
        return path

    return write


def of_pair(value, noise=0.0, pods=29):
    return bench(figures={f"pair, prefixes, {pods} pods": [value, noise]})


def verdict_of(path, name):
    (found,) = (each for each in judged(read(path)) if each.goal.name == name)
    return found


def test_a_figure_is_met_missed_or_within_its_noise(written):
    name = "pair, prefixes, 29 pods"
    for value, noise, said, misses in (
        (1.25, 0.1, "met", False),
        (1.28, 0.0, "within its noise", False),  # three per cent are the least noise
        (1.40, 0.2, "within its noise", False),
        (1.40, 0.1, "missed by 0.15", True),
    ):
        verdict = verdict_of(written(of_pair(value, noise)), name)
        assert (str(verdict), verdict.misses) == (said, misses)
    assert str(verdict_of(written(), name)) == "not measured"


def test_a_ratio_has_the_noise_of_both_sides(written):
    group = "find a free /28, half full"
    run = read(
        written(
            bench(group, 2e-6, 4e-7, 100, subject="ipam_core", per_call=1),
            bench(group, 1e-6, 0.0, 100, subject="floor", per_call=1),
        )
    )
    ratio = run.ratio(group, "ipam_core")
    assert ratio.value == pytest.approx(2)
    assert ratio.noise == pytest.approx(2 * (0.0371**2 + 0.03**2) ** 0.5, rel=0.01)
    assert run.ratio(group, "peer") is run.ratio("another", "ipam_core") is None
    (goal,) = (each for each in goals(run) if each.name == group)
    assert goal.most == BLOCK


def test_an_exponent_is_that_of_the_last_step(written):
    assert exponent({1: 5.0, 10: 1.0, 100: 10.0}) == pytest.approx(1)
    path = written(*(bench(median=n**1.5, growth="churn", scale=n) for n in (1, 10, 100)))
    assert verdict_of(path, "growth, churn").figure.value == pytest.approx(1.5)
    assert verdict_of(path, "growth, churn").misses


def test_noise_falls_with_the_root_of_the_rounds():
    few, many = noise_of([1, 2, 3, 4] * 4), noise_of([1, 2, 3, 4] * 400)
    assert few == pytest.approx(10 * many, rel=0.1)
    assert noise_of([3.0]) == 0


def everything(value):
    """Return a benchmark whose figures are all that is not derived from times."""
    names = [goal.name for goal in goals(Run()) if "bytes of a durable change" not in goal.name]
    return bench(figures={name: [value, 0.0] for name in names})


def bytes_of(pods, size):
    return bench(f"durable change, {pods} pods, tmpfs", subject="ipam_core", per_call=1, bytes=size)


def test_the_check_fails_where_a_goal_is_missed_or_was_not_measured(written, capsys):
    whole = [everything(0.4), bytes_of(110, 4400), bytes_of(11000, 6200)]
    assert report([str(written(*whole)), "--check"]) == 0
    assert "pair, prefixes, 29 pods" in capsys.readouterr().out
    assert report([str(written(*whole, of_pair(1.5))), "--check"]) == 1
    assert "missed by 0.25" in capsys.readouterr().out
    assert report([str(written(*whole, of_pair(1.5)))]) == 0  # told, not judged
    assert report([str(written(*whole[:2])), "--check"]) == 1
    assert "not measured" in capsys.readouterr().out
    assert report([str(written(*whole[:2], bytes_of(11000, 9000))), "--check"]) == 1


def test_threads_of_an_older_run_are_two_subjects(written):
    group = "durable change, 8 threads against 1, tmpfs"
    path = written(
        bench(group, 3e-3, 0.0, 100, subject="8 threads", per_call=1),
        bench(group, 2e-3, 0.0, 100, subject="floor", per_call=1),
    )
    assert verdict_of(path, group).figure.value == pytest.approx(1.5)


def test_each_goal_has_a_name_of_its_own():
    names = [goal.name for goal in goals(Run())]
    assert len(set(names)) == len(names)
    assert f"command {next(iter(START))}, against python -c pass" in names


def test_a_page_has_a_column_for_each_release(written, capsys):
    old = written(of_pair(1.5), name="old.json")
    refusals = [
        bench("a refusal", 1e-6, subject="floor", per_call=1),
        bench("a refusal", 3e-6, subject="assign", per_call=1),
    ]
    new = written(of_pair(1.2), *refusals, name="new.json")
    assert write_page([f"0.1.0={old}", f"0.2.0={new}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "| | goal | 0.1.0 | 0.2.0 |" in lines
    assert f"| pair, prefixes, 29 pods | {PAIR} | **1.50** | 1.20 |" in lines
    assert "| a refusal: assign |  |  | 3.00 |" in lines
    assert "| measured | | 012345678 2026-11-28 | 012345678 2026-11-28 |" in lines


@pytest.mark.parametrize("arguments", [[], ["0.1.0"], ["0.1.0=/no/such/file"]])
def test_a_wrong_call_of_the_page_is_one_line_and_status_2(arguments, capsys):
    assert write_page(arguments) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)


class Benchmark:
    """What a benchmark fixture does, with a clock that each side moves."""

    def __init__(self):
        self.now, self.extra_info = 0.0, {}
        self.stats = self
        self.data = []

    def pedantic(self, subject, setup, rounds, warmup_rounds):
        for number in range(rounds + warmup_rounds):
            arguments, _ = setup()
            start = self.now
            subject(*arguments)
            if number >= warmup_rounds:
                self.data.append(self.now - start)

    def takes(self, *seconds):
        left = list(seconds)

        def run(_):
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return run


def test_both_sides_are_measured_in_turn_and_the_loop_is_left_out():
    benchmark = Benchmark()
    side_by_side(
        benchmark, "x", benchmark.takes(9.0, 9.0, 5.0), benchmark.takes(1.0, 1.0, 3.0), int,
        loop=benchmark.takes(1.0), per_call=10, rounds=5, timer=lambda: benchmark.now,
    )  # fmt: skip
    # The two rounds to warm up count on no side.
    assert benchmark.extra_info["figures"] == {
        "x": [pytest.approx(5 / 3), 0.0],
        "x, loop left out": [pytest.approx(4 / 2), 0.0],
    }


def test_the_figure_itself_is_judged_not_its_noise():
    verdict = Verdict(Goal("x", 1.0, lambda run: None), Figure(1.5, 0.4))
    assert verdict.misses
    assert not Verdict(verdict.goal, Figure(1.5, 0.6)).misses
