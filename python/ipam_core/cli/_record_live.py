"""The live half of `ipam-core record`: a cluster is watched until somebody ends it."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

from ipam_core.cli._out import INTERRUPTED
from ipam_core.errors import CloudError, DeniedError

if TYPE_CHECKING:
    from pathlib import Path

    from ipam_core.k8s.access import Access
    from ipam_core.recording.output import Recording
    from ipam_core.recording.watch import PodTracker


def record_live(
    output: Path,
    *,
    kubeconfig: Path | None,
    context: str,
    namespace: str,
    length: str | None,
    hashed: bool | None,
    as_json: bool,
) -> int:
    """Record until SIGINT, SIGTERM or the end of `length`; return the exit status."""
    from ipam_core.cli._warnings import warnings_told
    from ipam_core.k8s.access import Access
    from ipam_core.simulation.validation import duration_ns
    from ipam_core.units import NS

    length_s = None if length is None else duration_ns(length, "--for") / NS
    access = Access.find(kubeconfig=kubeconfig, context=context)
    with warnings_told("ipam_core.recording"):
        return asyncio.run(
            _record(
                access,
                output,
                namespace=namespace,
                length_s=length_s,
                hashed=hashed,
                as_json=as_json,
            )
        )


async def _record(
    access: Access,
    output: Path,
    *,
    namespace: str,
    length_s: float | None,
    hashed: bool | None,
    as_json: bool,
) -> int:
    from ipam_core.cli._out import print_error
    from ipam_core.k8s.client import Client
    from ipam_core.k8s.connection import Connection
    from ipam_core.recording.output import Recording
    from ipam_core.recording.watch import record

    status = 0
    listed = False

    def on_failure(error: CloudError) -> None:
        what = "goes on without" if isinstance(error, DeniedError) else "asking again"
        print_error(f"{error}; {what}")

    def on_list(tracker: PodTracker) -> None:
        nonlocal listed
        if not listed and not as_json:
            _tell_begin(recording, tracker)
        listed = True

    def end(with_status: int) -> None:
        nonlocal status
        status = with_status
        task.cancel()

    async with Connection(access) as connection:
        with Recording.open(output, now_s=time.time(), hashed=hashed) as recording:
            task = asyncio.ensure_future(
                record(
                    Client(connection),
                    recording,
                    namespace=namespace,
                    since=recording.since,
                    on_failure=on_failure,
                    on_list=on_list,
                )
            )
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGINT, end, INTERRUPTED)
            loop.add_signal_handler(signal.SIGTERM, end, 0)
            if length_s is not None:
                loop.call_later(length_s, end, 0)
            try:
                recording.end(await task)
            except CloudError as error:
                if not listed and not recording.since:
                    raise
                print_error(f"{error}; what was seen until then is written")
                status = 1
            finally:
                if recording.is_new and not listed:  # it would begin before what it knows of
                    recording.remove()
            if recording.is_new and not listed:
                print_error("the end came before the first list of the pods: nothing is recorded")
                return status or 1
            _tell_end(recording, as_json=as_json)
    return status


def _tell_begin(recording: Recording, tracker: PodTracker) -> None:
    from ipam_core.cli._out import finish_output, print_text
    from ipam_core.recording.times import rfc3339

    print_text(
        f"{recording.path}: recording since {rfc3339(recording.start_s)}; "
        f"{tracker.n_pods:,} pods with addresses are there now"
    )
    finish_output()


def _tell_end(recording: Recording, *, as_json: bool) -> None:
    from ipam_core.cli._out import print_json, print_text
    from ipam_core.recording.times import rfc3339

    if as_json:
        print_json(
            {
                "output": str(recording.path),
                "from": rfc3339(recording.start_s),
                "to": rfc3339(recording.last_s),
                "events": recording.n_events,
                "pods_at_the_end": len(recording.there),
            }
        )
        return
    print_text(
        f"{recording.path}: {recording.n_events:,} events from {rfc3339(recording.start_s)} to "
        f"{rfc3339(recording.last_s)}; {len(recording.there):,} pods are there at its end"
    )
