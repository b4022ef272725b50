"""`ipam-core record`: the pods of a cluster as the pod events that fleets play."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ipam_core.cli._options import ContextOption, JsonOption, KubeconfigOption
from ipam_core.errors import InputError, IpamError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipam_core.recording.pods import Names, PodLife
    from ipam_core.simulation.fleet.pod_event import PodEvent

TOKEN = "PROMETHEUS_TOKEN"
_STEP, _SINCE, _NOW = "30s", "24h", "0s"


def record(
    output: Annotated[
        Path,
        typer.Argument(
            metavar="OUTPUT", help="A .csv, or .parquet; OUTPUT.json is written next to it."
        ),
    ],
    prometheus: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Read kube-state-metrics' series there, not the cluster."),
    ] = None,
    matchers: Annotated[
        str, typer.Option(help="More label matchers of the series: 'cluster=\"blue\"'.")
    ] = "",
    step: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help=f"Of a range query; default: {_STEP}."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help=f"From when on: {_SINCE} (ago), the default, or a date and time.",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Until when: 1h (ago), or a date and time; default: now."
        ),
    ] = None,
    audit_log: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="Read an audit log's JSON lines, not the cluster; - is stdin."
        ),
    ] = None,
    recording: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Convert this recording: CSV or Parquet, as OUTPUT."),
    ] = None,
    hash_names: Annotated[
        bool | None,
        typer.Option("--hash-names/--plain-names", help="Write hashes of pods' and nodes' names."),
    ] = None,
    namespace: Annotated[str, typer.Option(help="Only the cluster's pods of this one.")] = "",
    length: Annotated[
        str | None,
        typer.Option("--for", metavar="DURATION", help="Watch so long; default: to the end."),
    ] = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    as_json: JsonOption = False,
) -> int:
    """Write when pods came and went, and on which node, as the CSV that fleets play.

    The cluster's pods and nodes are watched until it is interrupted; a recording that is there
    goes on. With --prometheus or --audit-log the past is read instead: kube-state-metrics'
    series, or the API server's audit log. Pods on the host's network are left out: they take
    no address. A token for Prometheus is taken from PROMETHEUS_TOKEN. Exits 1 if the source
    failed in the middle: what was read until then is written.

    Examples: ipam-core record pods.csv --for 8h --hash-names

    ipam-core record pods.csv --prometheus http://localhost:9090 --since 7d

    ipam-core record pods.csv --audit-log audit.log.gz
    """
    sources = {
        "--prometheus": prometheus is not None,
        "--audit-log": bool(audit_log),
        "--recording": recording is not None,
    }
    chosen = [source for source, given in sources.items() if given]
    if len(chosen) > 1:
        raise InputError("--prometheus, --audit-log and --recording exclude each other")
    of_prometheus = {"--matchers": matchers, "--step": step, "--since": since, "--until": until}
    watched = {"--namespace": namespace, "--for": length, "--kubeconfig": kubeconfig,
               "--context": context}  # fmt: skip
    foreign = {} if prometheus is not None else dict.fromkeys(of_prometheus, "--prometheus")
    foreign |= dict.fromkeys(watched, "a cluster that is watched") if chosen else {}
    for option, goes_with in foreign.items():
        if (of_prometheus | watched)[option]:
            raise InputError(f"{option} goes with {goes_with}, not with {_source(chosen)}")
    _check_output(output)
    if recording is not None:
        return _convert(recording, output, hashed=hash_names, as_json=as_json)
    if prometheus is not None:
        return _of_prometheus(
            output,
            prometheus,
            matchers=matchers,
            step=step or _STEP,
            since=since or _SINCE,
            until=until or _NOW,
            hashed=bool(hash_names),
            as_json=as_json,
        )
    if audit_log:
        return _of_audit_logs(output, audit_log, hashed=bool(hash_names), as_json=as_json)
    from ipam_core.cli._record_live import record_live

    return record_live(
        output,
        kubeconfig=kubeconfig,
        context=context,
        namespace=namespace,
        length=length,
        hashed=hash_names,
        as_json=as_json,
    )


def _source(chosen: list[str]) -> str:
    return chosen[0] if chosen else "a cluster that is watched"


def _check_output(output: Path) -> None:
    """Refuse a place that cannot be written before hours are read. Raises `InputError`."""
    if output.is_dir():
        raise InputError(f"{output}: a folder; give the name of a .csv or .parquet")
    if not output.parent.is_dir():
        raise InputError(f"{output}: no folder {str(output.parent)!r}")


def _convert(recording: Path, output: Path, *, hashed: bool | None, as_json: bool) -> int:
    from ipam_core.recording.output import read_meta, write_whole
    from ipam_core.simulation.fleet.pod_events import read_events
    from ipam_core.units import NS

    if recording.resolve() == output.resolve():
        raise InputError(f"{output} is the recording itself: give the other file another name")
    if hashed is not None:
        raise InputError("--recording keeps names as they are: leave out --hash-names")
    meta = read_meta(recording)
    if meta is None:
        raise InputError(f"{recording}: no recording: there is no {recording}.json")
    start_s, names = meta
    events = list(read_events(recording, "--recording"))
    write_whole(output, events, start_s=start_s, names=names)
    until_s = start_s + (events[-1].time_ns / NS if events else 0)
    _tell(output, events, (start_s, until_s), as_json, {})
    return 0


def _of_prometheus(
    output: Path,
    url: str,
    *,
    matchers: str,
    step: str,
    since: str,
    until: str,
    hashed: bool,
    as_json: bool,
) -> int:
    from ipam_core.cli._out import print_error, progress_of
    from ipam_core.recording.prometheus import PodSeries
    from ipam_core.recording.times import given_time
    from ipam_core.simulation.validation import duration_ns
    from ipam_core.units import NS

    now_s = time.time()
    step_s = duration_ns(step, "--step") / NS
    if step_s < 1:
        raise InputError(f"--step is at least 1s, not {step!r}")
    series = PodSeries(
        url,
        from_s=given_time(since, "--since", now_s),
        until_s=given_time(until, "--until", now_s),
        step_s=step_s,
        matchers=matchers,
        token=os.environ.get(TOKEN, ""),
    )
    status = 0
    try:
        with progress_of("Reading from Prometheus") as on_progress:
            series.read(on_progress)
    except IpamError as error:
        if series.read_to_s == series.from_s:
            raise
        print_error(f"{error}; what was read until then is written")
        status = 1
    facts = {"requests": series.n_requests, "pods_seen": series.n_pods}
    span = (series.from_s, series.read_to_s)
    return _write(output, series.lives(), span, hashed, as_json, facts) or status


def _of_audit_logs(output: Path, paths: list[Path], *, hashed: bool, as_json: bool) -> int:
    from ipam_core.cli._out import print_error, progress
    from ipam_core.recording.audit import AuditLog

    log = AuditLog()
    for path in progress(paths, total=len(paths), what="Reading audit logs"):
        if str(path) == "-":
            log.add_stream(sys.stdin.buffer, "standard input")
        else:
            log.add_file(path)
    named = ", ".join(map(str, paths))
    if log.first_s is None or log.last_s is None:
        raise InputError(f"{named}: no event of an audit log (audit.k8s.io) in {log.n_lines} lines")
    if log.n_of_pods and not log.n_bodies:
        print_error(
            "the log has no bodies (level Metadata): nodes are not known, and pods on the host's "
            "network are counted too"
        )
    facts = {"lines": log.n_lines, "lines_of_pods": log.n_of_pods, "lines_skipped": log.n_skipped}
    return _write(output, log.lives(), (log.first_s, log.last_s), hashed, as_json, facts)


def _write(
    output: Path,
    lives: Iterable[PodLife],
    span: tuple[float, float],
    hashed: bool,
    as_json: bool,
    facts: dict[str, int],
) -> int:
    from ipam_core.recording.output import new_names, write_whole
    from ipam_core.recording.pods import events_of

    names: Names = new_names(hashed=hashed)
    events = events_of(lives, start_s=span[0], until_s=span[1], names=names)
    if not events:
        from ipam_core.recording.times import rfc3339

        raise InputError(
            f"no pod with an address of its own from {rfc3339(span[0])} to {rfc3339(span[1])}"
        )
    write_whole(output, events, start_s=span[0], names=names)
    _tell(output, events, span, as_json, facts)
    return 0


def _tell(
    output: Path,
    events: list[PodEvent],
    span: tuple[float, float],
    as_json: bool,
    facts: dict[str, int],
) -> None:
    from ipam_core.cli._fleet import duration_text
    from ipam_core.cli._out import print_json, print_text
    from ipam_core.recording.times import rfc3339

    there = most = 0
    for event in events:
        there += 1 if event.add else -1
        most = max(most, there)
    found: dict[str, Any] = {
        "output": str(output),
        "from": rfc3339(span[0]),
        "to": rfc3339(span[1]),
        "events": len(events),
        "pods": sum(event.add for event in events),
        "most_pods_at_once": most,
        "nodes": len({event.node for event in events if event.node}),
        **facts,
    }
    if as_json:
        print_json(found)
        return
    length = duration_text(round(span[1] - span[0]))
    print_text(f"{output}: {found['from']} to {found['to']} ({length})")
    print_text(
        f"{found['pods']:,} pods on {found['nodes']:,} nodes, at most {most:,} at once; "
        f"{len(events):,} events",
        indent="  ",
    )
