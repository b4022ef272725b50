"""The control endpoint: time, faults and EC2's behaviour, changed while the VPC runs.

It is on EC2's own port, below `/ipam-core/`, a path that no AWS client asks for. It takes and
gives JSON, with the keys of a fleet's file; `ipam-core vpc` asks it.

    GET  /ipam-core/           addresses, time, faults
    POST /ipam-core/time       {"move": "60s"}, {"hold": true} or {"speed": 60}
    GET  /ipam-core/faults     those that are to strike
    POST /ipam-core/faults     one more: {"api": ..., "code": ..., "times": 3, ...}
    DELETE /ipam-core/faults, /ipam-core/faults/3
    POST /ipam-core/ec2        latency, throttling, faults and metadata_lag, as `ec2` in a file
    POST /ipam-core/state      saves the state to the file that the server was given
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

from ipam_core.documents import load_json
from ipam_core.endpoint.address import PREFIX
from ipam_core.endpoint.clock import check_speed
from ipam_core.endpoint.listen import Answer
from ipam_core.endpoint.served import APIS
from ipam_core.errors import InputError
from ipam_core.quoting import quoted
from ipam_core.simulation.fleet.parts import ec2_of, fault_of
from ipam_core.simulation.validation import boolean, duration_ns, fields, mapping
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core.cloud.region import Fault
    from ipam_core.endpoint.listen import Request
    from ipam_core.endpoint.served import ServedVpc
    from ipam_core.simulation.validation import Checks


class Addresses(Protocol):
    """What knows where the VPC is served."""

    def addresses(self) -> list[dict[str, str]]:
        """Return `what`, `url` and for a node's metadata `instance` of each address."""


class Control:
    """Answers what comes to the control endpoint."""

    def __init__(self, served: ServedVpc, where: Addresses) -> None:
        self._served = served
        self._where = where

    def answer(self, request: Request) -> Answer:
        """Return the answer: JSON, with `error` where the request cannot be carried out."""
        path = request.path.partition("?")[0].removeprefix(PREFIX).rstrip("/")
        name, _, rest = path.partition("/")
        perform = self._routes().get((request.method, name))
        if perform is None or (rest and (request.method, name) != ("DELETE", "faults")):
            return _json({"error": f"there is no {request.method} {quoted(request.path)}"}, 404)
        try:
            if request.method == "POST":
                return _json(perform(_body(request)))
            return _json(perform(rest))
        except InputError as error:
            return _json({"error": str(error)}, 400)
        except OSError as error:
            return _json({"error": f"{error.filename}: {error.strerror}"}, 500)

    def _routes(self) -> dict[tuple[str, str], Callable[[Any], dict[str, Any]]]:
        return {
            ("GET", ""): self._overview,
            ("GET", "time"): self._time,
            ("POST", "time"): self._set_time,
            ("GET", "faults"): self._faults,
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._clear_faults,
            ("POST", "ec2"): self._set_ec2,
            ("POST", "state"): self._save,
        }

    def _overview(self, _: str) -> dict[str, Any]:
        return {
            "addresses": self._where.addresses(),
            **self._time(""),
            **self._faults(""),
        }

    def _time(self, _: str) -> dict[str, Any]:
        clock = self._served.clock
        return {
            "time": clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "since_start_s": self._served.gate.since_start_ns() / NS,
            "held": clock.held,
            "speed": clock.speed,
        }

    def _set_time(self, given: dict[str, Any]) -> dict[str, Any]:
        checks: Checks = {"move": duration_ns, "hold": boolean, "speed": check_speed}
        found = fields(given, "time", checks)
        if len(found) != 1:
            raise InputError("time takes one of move, hold and speed")
        if "move" in found:
            self._served.move(found["move"])
        elif "speed" in found:
            self._served.clock.run(found["speed"])
        elif found["hold"]:
            self._served.clock.hold()
        else:
            self._served.clock.run(self._served.clock.speed)
        return self._time("")

    def _faults(self, _: str) -> dict[str, Any]:
        found = self._served.gate.faults
        return {"faults": [fault_as_given(n, fault) for n, fault in found.items()]}

    def _add_fault(self, given: dict[str, Any]) -> dict[str, Any]:
        number = self._served.add_fault(fault_of(given, "fault", APIS))
        return fault_as_given(number, self._served.gate.faults[number])

    def _clear_faults(self, which: str) -> dict[str, Any]:
        faults = self._served.gate.faults
        if not which:
            faults.clear()
        elif which.isascii() and which.isdigit() and int(which[:9]) in faults:
            del faults[int(which[:9])]
        else:
            there = ", ".join(map(str, faults)) or "none"
            raise InputError(f"no fault {quoted(which)}; there are {there}")
        return self._faults("")

    def _set_ec2(self, given: dict[str, Any]) -> dict[str, Any]:
        self._served.set_ec2(ec2_of(APIS)(given, "ec2"))
        return self._faults("")

    def _save(self, given: dict[str, Any]) -> dict[str, Any]:
        fields(given, "state", {})
        return {"saved": str(self._served.save())}


def fault_as_given(number: int, fault: Fault) -> dict[str, Any]:
    """Return a fault with its number, by the keys of a file; its times are in seconds."""
    found: dict[str, Any] = {"number": number, "api": fault.api, "code": fault.code}
    if fault.message:
        found["message"] = fault.message
    if fault.times is not None:
        found["times"] = fault.times
    if fault.probability < 1:
        found["probability"] = fault.probability
    if fault.from_ns:
        found["from"] = fault.from_ns / NS
    if fault.until_ns is not None:
        found["until"] = fault.until_ns / NS
    return found


def _body(request: Request) -> dict[str, Any]:
    """Return the mapping that a request holds; an empty body is an empty one."""
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "application/json":  # what a page in a browser may send without asking is not
        raise InputError(f"the content type is application/json, not {quoted(kind)}")
    try:
        return mapping(load_json(request.body.decode("utf-8") or "{}", each_key_once=True), "it")
    except UnicodeDecodeError as error:
        raise InputError(f"the body is not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise InputError(f"the body is not JSON: {error}") from None


def _json(value: dict[str, Any], status: int = 200) -> Answer:
    text = json.dumps(value, indent=2) + "\n"
    return Answer(status=status, body=text.encode(), content_type="application/json")
