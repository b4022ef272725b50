"""Fleets that are played, and results that are read: all as plain values, for the page.

    played    {heading, max_pods, results}: those of `simulate --compare --json`, each reduced
    searched  {heading, max_pods, tuning}: that of `tune --json`

A result is reduced to what the page shows: of the waits the curve is left.
"""

from __future__ import annotations

import json
import tempfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipam_core.cli._fleet import duration_text, heading, max_pods_lines
from ipam_core.documents import load_documents, text_of
from ipam_core.errors import InputError
from ipam_core.quoting import quoted
from ipam_core.simulation.files import simulation_of
from ipam_core.simulation.fleet.result import SERIES
from ipam_core.tuning import Tuning

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ipam_core.simulation.fleet.spec import FleetSpec

FINEST = 0.97
"""A point of the curve of waits has at most this share of the one before it."""
MOST_SAMPLES = 10_000
LARGEST = 1e15
"""The largest number of a result."""
MOST_RESULTS = 2
"""Results next to each other: those of `--compare`."""
_COUNTS = ("pods", "pods_waited", "pods_still_waiting", "pods_not_placed", "nodes_not_joined")
_BY_NAME = ("refusals", "calls", "throttled", "errors")


def played(files: Mapping[str, bytes], on_progress: Callable[[float], None]) -> dict[str, Any]:
    """Simulate a dropped fleet under both policies. Raises `InputError`."""
    from ipam_core.policy import IPAM_CORE, VPC_CNI  # noqa: PLC0415  (in the process of a run)
    from ipam_core.simulation.fleet.fleet import simulate_fleet  # noqa: PLC0415

    spec = fleet_in(files)
    results: list[dict[str, Any]] = []
    for policy in (VPC_CNI, IPAM_CORE):

        def report(share: float, n_done: int = len(results)) -> None:
            on_progress((n_done + share) / 2)

        result = simulate_fleet(spec, policy=policy, on_progress=report)
        results.append(reduced(result.to_dict()))
    return {**_said(spec), "results": results}


def searched(
    files: Mapping[str, bytes],
    on_progress: Callable[[float], None],
    policy: str = "vpc-cni",
) -> dict[str, Any]:
    """Search settings for a dropped fleet, as `tune --policy` does. Raises `InputError`."""
    from ipam_core.cli.tune import with_given  # noqa: PLC0415
    from ipam_core.policy import IPAM_CORE, VPC_CNI  # noqa: PLC0415
    from ipam_core.tuning import tune  # noqa: PLC0415

    spec = with_given(fleet_in(files), "this fleet")
    rules = {each.name: each for each in (VPC_CNI, IPAM_CORE)}[policy]
    found = tune(spec, policy=rules, on_progress=on_progress)
    return {**_said(spec), "tuning": found.to_dict()}


def fleet_in(files: Mapping[str, bytes]) -> FleetSpec:
    """Return the fleet among files by name; the others are CSVs of pods that it names.

    No other file is read, whatever it names. Raises `InputError`.
    """
    name, document = _document(files)
    workloads = document.get("workloads")
    for number, each in enumerate(workloads if isinstance(workloads, list) else [], 1):
        file = each.get("file") if isinstance(each, dict) else None
        if file is not None and (file == name or file not in files):
            raise InputError(
                f"{name}: workloads {number}: file {quoted(file)}: drop it together with the fleet"
            )
    with tempfile.TemporaryDirectory() as folder:
        for other, content in files.items():
            if other != name and other == Path(other).name:
                (Path(folder) / other).write_bytes(content)
        try:
            found = simulation_of([document], Path(folder))
        except InputError as error:
            raise InputError(f"{name}: {str(error).replace(f'{folder}/', '')}") from None
    if isinstance(found, list):
        raise InputError(f"{name}: a scenario of one node: drop it on the part A node's life")
    return found


def name_of_fleet(files: Mapping[str, bytes]) -> str:
    """Return the name of the one file that is no CSV. Raises `InputError`."""
    others = [name for name in files if not name.lower().endswith((".csv", ".parquet"))]
    if len(others) != 1:
        raise InputError(f"one fleet or one result, with its CSVs: not {len(others)} of them")
    return others[0]


def _document(files: Mapping[str, bytes]) -> tuple[str, dict[str, Any]]:
    name = name_of_fleet(files)
    try:
        documents = load_documents(text_of(BytesIO(files[name])), each_key_once=True)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise InputError(f"{name}: a fleet is one mapping")
    return name, documents[0]


def _said(spec: FleetSpec) -> dict[str, Any]:
    return {"heading": f"{spec.name}: {heading(spec, spec.seed)}", "max_pods": max_pods_lines(spec)}


# --- results that are read ----------------------------------------------------------------


def read_result(name: str, content: bytes) -> dict[str, Any] | None:
    """Return the result in a file of JSON, as `played` or `searched` do; None: no result.

    Raises `InputError`: a result whose values are none of its format.
    """
    try:
        found = json.loads(content)
    except ValueError:
        return None
    if isinstance(found, dict) and str(found.get("schema", "")).startswith("tuning/"):
        return {"heading": name, "max_pods": [], "tuning": _checked_tuning(name, found)}
    results = found if isinstance(found, list) else [found]
    if not results or not all(isinstance(each, dict) for each in results):
        return None
    if all("timeline" in each for each in results):
        raise InputError(f"{name}: the result of a scenario: drop the scenario on A node's life")
    if not all("series" in each for each in results):
        return None
    if len(results) > MOST_RESULTS:
        raise InputError(f"{name}: {len(results)} results: at most {MOST_RESULTS}")
    try:
        reduced_results = [reduced(each) for each in results]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"{name}: no result of simulate: {error!r}") from None
    first = reduced_results[0]
    said = f"{first['name']}: {duration_text(first['duration_s'])}, seed {first['seed']}"
    return {"heading": said, "max_pods": [], "results": reduced_results}


def reduced(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a result of `simulate --json` what the page shows, its numbers checked.

    Raises `KeyError`, `TypeError`, `ValueError` or `AttributeError`: it is none.
    """
    times = [_number(each) for each in result["times_s"]]
    if not 0 < len(times) <= MOST_SAMPLES:
        raise ValueError(f"{len(times)} samples, from 1 to {MOST_SAMPLES}")
    if times != sorted(times):
        raise ValueError("times that go back")
    counts = {name: _count(result[name]) for name in _COUNTS}
    return {
        "name": str(result["name"]),
        "policy": str(result["policy"]),
        "seed": int(result["seed"]),
        "duration_s": _number(result["duration_s"]),
        **counts,
        "wait_s": {name: _number(result["wait_s"][name]) for name in ("p50", "p90", "p99", "max")},
        "curve": curve(list(map(_number, result["waits_s"])), counts["pods_still_waiting"]),
        "times_s": times,
        "series": {name: _series(result["series"][name], len(times)) for name in SERIES},
        "mean": {name: _number(result["mean"][name]) for name in SERIES},
        "peak": {name: _count(result["peak"][name]) for name in SERIES},
        "subnets": {
            str(subnet): {str(name): _series(each, len(times)) for name, each in series.items()}
            for subnet, series in result["subnets"].items()
        },
        **{name: {str(k): _count(n) for k, n in result[name].items()} for name in _BY_NAME},
    }


def curve(waits_s: list[float], n_unserved: int) -> list[tuple[float, float]]:
    """Return (seconds, share of the pods that wait longer), the share falling; [] without pods.

    A pod that was not served waits longer than any time.
    """
    n_pods = len(waits_s) + n_unserved
    if not n_pods:
        return []
    points = [(0.0, 1.0)]
    waits_s.sort()
    for number, wait_s in enumerate(waits_s, 1):
        left = (n_pods - number) / n_pods
        if wait_s == points[-1][0]:
            points[-1] = (wait_s, left)
        elif left <= points[-1][1] * FINEST or number == len(waits_s):
            points.append((wait_s, left))
    return points


def _number(value: Any) -> float:
    number = float(value)
    if not 0 <= number <= LARGEST or isinstance(value, str):
        raise ValueError(f"{quoted(value)} is no number from 0 to {LARGEST:g}")
    return number


def _count(value: Any) -> int:
    return int(_number(value))


def _series(values: Any, length: int) -> list[int]:
    found = [_count(each) for each in values]
    if len(found) != length:
        raise ValueError(f"a series of {len(found)} values, not {length}")
    return found


def _checked_tuning(name: str, found: Mapping[str, Any]) -> dict[str, Any]:
    try:
        tuning = Tuning.from_dict(found).to_dict()
        outcomes = [tuning["today"], *tuning["front"], *tuning["outcomes"]]
        outcomes += [tuning[each] for each in ("recommended", "checked") if tuning[each]]
        for each in outcomes:
            for number in (each["idle"], each["calls"], each["n_pods"], each["n_waited"]):
                _number(number)
            for number in (each["wait_p99_s"], *each["margin"].values()):
                _number(0 if number is None else number)
        for number in (tuning["n_seeds"], tuning["n_agreeing"]):
            int(number)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, InputError) as error:
        raise InputError(f"{name}: no result of tune: {error}") from None
    return tuning
