"""Pictures show the numbers that they are given, are labelled, and are files of their kind."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from ipam_core import simulate
from ipam_core.cli._app import run
from ipam_core.cli._timeline import _marks
from ipam_core.errors import InputError, MissingExtraError
from ipam_core.plots import (
    Choice,
    Mark,
    pareto,
    plot_pareto,
    plot_timeline,
    plot_waits,
    style,
    timeline,
    waits,
)

TIMES = [0, 5, 5, 20]
SERIES = {
    "assigned": [0, 1, 3, 3],
    "cooling": [0, 0, 1, 0],
    "free": [4, 3, 0, 1],
    "total": [4, 4, 4, 4],
    "pods": [0, 1, 5, 5],
}
MARKS = [Mark(0, "Assign"), Mark(5, "pods", refused=True), Mark(9, "Assign", refused=True)]
FRONT = [Choice(0, 30, 900), Choice(5, 4, 300), Choice(20, 0, 100)]
DRAW = {
    "timeline": lambda path: plot_timeline(TIMES, SERIES, MARKS, path, title="a life"),
    "waits": lambda path: plot_waits({"a": [0, 1, 2], "b": [5]}, path, title="two runs"),
    "pareto": lambda path: plot_pareto(FRONT, FRONT[1], Choice(9, 9, 9), path, title="a search"),
}


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Draw into a file and return the figure that was written."""
    figures = []

    def keep(figure, path, save=style.save):
        figures.append(figure)
        save(figure, path)

    for module in (timeline, waits, pareto):
        monkeypatch.setattr(module, "save", keep)

    def call(draw, *arguments, suffix="png", **options):
        path = tmp_path / f"picture.{suffix}"
        draw(*arguments, path=path, **options)
        assert path.stat().st_size > 5000
        return figures[-1]

    return call


def texts(legend):
    return [text.get_text() for text in legend.get_texts()]


def shown(axis, label):
    """Return the points of the line of that label."""
    (line,) = [line for line in axis.get_lines() if line.get_label() == label]
    return [tuple(map(float, point)) for point in line.get_xydata()]


@pytest.mark.parametrize("draw", DRAW.values(), ids=DRAW)
@pytest.mark.parametrize("suffix", ["png", "svg", "PNG"])
def test_written_as_the_name_says(draw, suffix, tmp_path):
    path = tmp_path / f"picture.{suffix}"
    draw(path)
    head = path.read_bytes()[:200]
    assert b"<svg" in path.read_bytes() if suffix == "svg" else head.startswith(b"\x89PNG")


@pytest.mark.parametrize("draw", DRAW.values(), ids=DRAW)
def test_other_names_are_refused_and_nothing_is_written(draw, tmp_path):
    with pytest.raises(InputError, match=r"'.*life\.jpg'.*\.png or \.svg"):
        draw(tmp_path / "life.jpg")
    with pytest.raises(InputError, match="no folder"):
        draw(tmp_path / "none" / "life.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "title", "labels"),
    [
        ("timeline", "a life", {"addresses", "time, seconds"}),
        ("waits", "two runs", {"pods that wait longer", "wait for an address, seconds"}),
        (
            "pareto",
            "a search",
            {
                "99% of pods wait at most, seconds",
                "idle addresses a node",
                "EC2 calls a node and hour",
            },
        ),
    ],
)
def test_every_axis_is_labelled_and_the_title_is_there(name, title, labels, drawn):
    axes = drawn(DRAW[name]).axes
    assert {label for axis in axes for label in (axis.get_xlabel(), axis.get_ylabel())} - {
        ""
    } == labels
    assert axes[0].get_title(loc="left") == title


def test_timeline_shows_each_series_and_the_last_of_equal_times(drawn):
    upper, lower = drawn(plot_timeline, TIMES, SERIES, MARKS).axes
    assert shown(upper, "pods that want one") == [(0, 0), (5, 5), (20, 5)]
    assert shown(upper, "addresses in all") == [(0, 4), (5, 4), (20, 4)]
    assert texts(upper.get_legend()) == [
        "pods that wait",
        "pods that want one",
        "addresses in all",
        "free to give",
        "cooling",
        "assigned to pods",
    ]
    tops = {
        area.get_label(): max(path.vertices[:, 1].max() for path in area.get_paths())
        for area in upper.collections
    }
    assert tops == {"assigned to pods": 3, "cooling": 4, "free to give": 4, "pods that wait": 5}
    assert [label.get_text() for label in lower.get_yticklabels()] == ["Assign", "pods"]
    assert shown(lower, "done") == [(0, 0)]
    assert sorted(shown(lower, "refused")) == [(5, 1), (9, 0)]
    assert lower.get_xlabel() == "time, seconds"


def test_a_refusal_that_goes_on_is_as_long_as_it_is(drawn):
    """Ten minutes of refusals were one cross."""
    marks = [Mark(0, "Assign"), Mark(60, "pods", refused=True, until_s=660)]
    figure = drawn(plot_timeline, np.array([0, 1200]), {"total": [1, 1]}, marks)
    spans = [line.get_xydata().tolist() for line in figure.axes[1].get_lines()]
    assert [[1.0, 1.0], [11.0, 1.0]] in spans


def test_the_marks_of_a_played_stall_go_on_until_the_pod_is_served():
    scenario = {
        "instance_type": "m8g.4xlarge",
        "env": {"MINIMUM_IP_TARGET": "25"},
        "steps": [
            {"op": "boot"},
            {"op": "settle"},
            {"op": "add_pods", "n": 26},
            {"op": "run", "seconds": 600},
            {"op": "restart", "env": {"WARM_IP_TARGET": "10"}},
            {"op": "settle"},
        ],
    }
    moments = simulate(scenario).timeline
    (span,) = [mark for mark in _marks(moments) if mark.until_s is not None]
    assert (span.name, span.refused) == ("pods", True)
    assert 600 <= span.until_s - span.time_s <= 660
    (cut,) = [mark for mark in _marks(moments[:4]) if mark.until_s is not None]
    assert cut.until_s == moments[3].time_s  # still waiting at the end of what is shown


@pytest.mark.parametrize(("span_s", "unit"), [(600, "seconds"), (3600, "minutes"), (1e5, "hours")])
def test_timeline_is_in_a_unit_that_suits_it(span_s, unit, drawn):
    figure = drawn(plot_timeline, np.array([0, span_s]), {"total": [1, 1]}, [Mark(span_s, "x")])
    seconds = {"seconds": 1, "minutes": 60, "hours": 3600}[unit]
    assert figure.axes[-1].get_xlabel() == f"time, {unit}"
    assert shown(figure.axes[0], "addresses in all")[-1] == (span_s / seconds, 1)
    assert shown(figure.axes[1], "done") == [(pytest.approx(span_s / seconds), 0)]


def test_timeline_of_a_fleet_stays_a_small_file(tmp_path):
    n = 50_000
    series = {name: np.arange(n) % 50 for name in SERIES}
    marks = [Mark(time_s, "Assign") for time_s in range(n)]
    plot_timeline(np.arange(n), series, marks, tmp_path / "fleet.svg")
    assert (tmp_path / "fleet.svg").stat().st_size < 3_000_000


@pytest.mark.parametrize(
    ("times", "series", "told"),
    [
        ([], {}, "at least one time"),
        ([1, 0], {"total": [1, 1]}, "none before"),
        ([0, 1], {"total": [1]}, "a value for each time"),
        ([0], {"idle": [1]}, "idle"),
    ],
)
def test_timeline_refuses_what_it_cannot_draw(times, series, told, tmp_path):
    with pytest.raises(ValueError, match=told):
        plot_timeline(times, series, [], tmp_path / "life.png")
    assert not list(tmp_path.iterdir())


def test_waits_are_the_shares_that_wait_longer(drawn):
    waits = {"quick": [0] * 98 + [3, 8], "stalled": [2.0, math.inf, 0, math.inf]}
    figure = drawn(plot_waits, waits)
    (axis,) = figure.axes
    quick, stalled = texts(figure.legends[0])
    assert quick == "quick: 99% wait at most 3 s"
    assert stalled == "stalled, 2 of 4 pods for ever"
    for label, name in ((quick, "quick"), (stalled, "stalled")):
        for at in (0.0, 1.0, 2.0, 3.0, 7.9, 8.0, 11.0):
            longer = sum(wait > at for wait in waits[name]) / len(waits[name])
            assert [share for wait, share in shown(axis, label) if wait <= at][-1] == longer
    dots = [line.get_xydata()[0] for line in axis.get_lines() if line.get_marker() == "o"]
    assert [tuple(dot) for dot in dots] == [(3, 0.01)]


@pytest.mark.parametrize(
    ("waits", "told"),
    [
        ({}, "at least one run"),
        ({"a": []}, "one pod"),
        ({"a": [-1]}, "0 s"),
        ({"a": [math.nan]}, "0 s"),
    ],
)
def test_waits_refuses_what_is_no_wait(waits, told, tmp_path):
    with pytest.raises(ValueError, match=told):
        plot_waits(waits, tmp_path / "waits.png")


def test_where_nobody_waits_the_panel_says_so(drawn):
    (axis,) = drawn(plot_waits, {"a": [0, 0]}).axes
    assert [text.get_text() for text in axis.texts] == ["no pod waits"]
    (axis,) = drawn(plot_waits, {"a": [0, 0], "b": [0, 1]}).axes
    assert not axis.texts


def test_pareto_says_what_each_choice_of_the_front_is(drawn):
    named = [each._replace(label=f"WARM_IP_TARGET={n}") for n, each in enumerate(FRONT[::-1])]
    figure = drawn(plot_pareto, named, named[1], None)
    axis = figure.axes[0]
    assert [text.get_text() for text in axis.texts] == ["1", "2", "3"]
    assert [text.xy for text in axis.texts] == [(0, 30), (5, 4), (20, 0)]
    assert texts(figure.legends[0])[1:4] == [
        "1: WARM_IP_TARGET=2",
        "2: WARM_IP_TARGET=1",
        "3: WARM_IP_TARGET=0",
    ]


def test_pareto_marks_the_recommended_and_todays(drawn):
    today = Choice(7, math.inf, 0, "MINIMUM_IP_TARGET=25")
    figure = drawn(plot_pareto, FRONT, FRONT[1]._replace(label="WARM_IP_TARGET=5"), today)
    axis, bar = figure.axes
    front, chosen, current = axis.collections
    assert front.get_offsets().tolist() == [[0, 30], [5, 4], [20, 0]]
    assert front.get_array().tolist() == [900, 300, 100]
    assert chosen.get_offsets().tolist() == [[5, 4]]
    # Pods that wait for ever are at the upper edge, which says so.
    assert current.get_offsets().tolist() == [[7, axis.get_ylim()[1]]]
    assert [text.get_text() for text in axis.texts] == ["for ever"]
    assert axis.get_xlabel() == "idle addresses a node"
    assert {collection.get_clim() for collection in axis.collections} == {(0, 900)}
    assert bar.get_ylabel() == "EC2 calls a node and hour"
    assert texts(figure.legends[0])[1:] == [
        "recommended: WARM_IP_TARGET=5",
        "today: MINIMUM_IP_TARGET=25",
    ]


@pytest.mark.parametrize(
    ("waits", "scale"),
    [((36, 139), "linear"), ((2, 139), "symlog"), ((0, 139), "symlog"), ((0, 20), "linear")],
)
def test_pareto_is_logarithmic_only_where_waits_differ_much(waits, scale, drawn):
    first, second = (Choice(5, wait, 1) for wait in waits)
    axis = drawn(plot_pareto, [first, second], first, None).axes[0]
    assert axis.get_yscale() == scale
    assert axis.get_ylim()[0] == 0


def test_pareto_without_a_choice_of_today(drawn):
    figure = drawn(plot_pareto, FRONT, FRONT[0], None)
    assert len(figure.axes[0].collections) == 2
    assert not figure.axes[0].texts


@pytest.mark.parametrize("draw", DRAW.values(), ids=DRAW)
def test_without_matplotlib_the_extra_is_named(draw, monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"ipam-core\[plot\]"):
        draw(tmp_path / "life.png")


# --- ipam-core simulate --plot ---------------------------------------------------------------

IPV6 = str(Path(__file__).parent / "conformance" / "rule-ipv6-one-prefix.json")
LIFE = """
instance_type: m5.large
steps:
  - {op: boot}
  - {op: add_pods, n: 3}
  - {op: run, seconds: 60}
  - {op: ec2_fail, api: CreateNetworkInterface, code: RequestLimitExceeded, times: 2}
  - {op: add_pods, n: 16}
  - {op: run, seconds: 60}
  - {op: del_pods, n: 5}
  - {op: run, seconds: 60}
"""


def test_simulate_draws_a_life_with_its_calls_and_refusals(drawn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "life.yaml").write_text(LIFE)
    figure = drawn(lambda path: run(["simulate", "life.yaml", "--plot", str(path)]))
    upper, lower = figure.axes
    rows = [label.get_text() for label in lower.get_yticklabels()]
    assert rows == ["pods", "Assign", "CreateENI", "Attach"]
    assert [(round(at, 1), row) for at, row in sorted(shown(lower, "refused"))] == [
        (60, 0),
        (62.5, 2),
        (67.5, 2),
    ]
    assert shown(upper, "addresses in all")[0] == (0, 9)
    assert (60, 19) in shown(upper, "pods that want one")
    cooling = next(area for area in upper.collections if area.get_label() == "cooling")
    # Released at 120 s, given out again once more than 30 s have passed: the look at 152.5 s.
    places = cooling.get_paths()[0].vertices
    thick = {x for x in places[:, 0] if np.ptp(places[places[:, 0] == x, 1]) > 0}
    assert max(thick) == 152.5


def test_simulate_draws_an_ipv6_node(drawn):
    figure = drawn(lambda path: run(["simulate", IPV6, "--plot", str(path)]))
    rows = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert rows == ["AssignIPv6"]
    # Beside the 2^48 addresses of a /80 no pod would be seen.
    assert figure.axes[0].get_ylim()[1] < 200


def test_simulate_draws_one_scenario_only(tmp_path, capsys):
    path = tmp_path / "two.json"
    path.write_text(
        '[{"instance_type": "m5.large", "steps": [{"op": "boot"}]},'
        ' {"instance_type": "t3.small", "steps": [{"op": "boot"}]}]'
    )
    assert run(["simulate", str(path), "--plot", str(tmp_path / "two.png")]) == 2
    assert "two.json: 2 scenarios; a picture shows one" in capsys.readouterr().err
    assert run(["simulate", str(path), "--plot", str(tmp_path / "two.gif")]) == 2
    told = capsys.readouterr().err
    assert "two.gif': the name must end in .png or .svg" in told
    assert len(told.splitlines()) == 1
