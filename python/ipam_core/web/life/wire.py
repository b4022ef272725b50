"""A film as compact plain values: each text, ENI and rule once, and their numbers in the frames.

    texts   every address, CIDR, ENI id, pod and call
    looks   [ENI id, role, device, card, excluded, slots, [[CIDR, [[address, state, pod, until]]]]]
            with numbers of texts; a state is f, h or c; pod and until are left out where not known
    rules   [lines on growth, lines on giving back]
    frames  t (s), what, n [running, waiting, enis, total, assigned, free, cooling], calls, sum (of
            the calls so far), rule, checked, pauses, enis (their looks), wait [[pod, refusals]]

The numbers `n` are those of `simulate --json`, and so are the texts of the calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from ipam_core.simulation.scenario.timeline import count_text, is_endless

if TYPE_CHECKING:
    from ipam_core.simulation.scenario.frames import Film, FilmedAddress, FilmedEni, Frame

MOST_WAITING = 50
"""Pods that wait, by name; of the others only their number is known."""


T = TypeVar("T")


def wire(film: Film) -> dict[str, Any]:
    """Return a film as plain values. Cost: that of every address at each moment."""
    return _Wire().film(film)


class _Wire:
    def __init__(self) -> None:
        self._texts: dict[str, int] = {}
        self._enis: dict[FilmedEni, int] = {}
        self._rules: dict[tuple[tuple[str, ...], tuple[str, ...]], int] = {}
        self._n_calls = 0

    def film(self, film: Film) -> dict[str, Any]:
        frames = [self._frame(frame) for frame in film.frames]
        looks = [self._look(eni) for eni in self._enis]
        return {
            "policy": film.policy,
            "prefix": film.prefix_mode,
            "cut": film.cut,
            "texts": list(self._texts),
            "looks": looks,
            "rules": list(self._rules),
            "frames": frames,
        }

    def _frame(self, frame: Frame) -> dict[str, Any]:
        moment = frame.moment
        self._n_calls += len(moment.calls)
        return {
            "t": moment.time_s,
            "what": moment.what,
            "n": [count_text(each) if is_endless(each) else each for each in moment.counts],
            "calls": [self._text(call) for call in moment.calls],
            "sum": self._n_calls,
            "rule": _number(self._rules, (frame.growth, frame.shrinking)),
            "checked": frame.checked,
            "pauses": frame.pauses,
            "enis": [_number(self._enis, eni) for eni in frame.enis],
            "wait": [[self._text(pod.name), pod.n_refused] for pod in frame.waiting[:MOST_WAITING]],
        }

    def _text(self, text: str) -> int:
        return _number(self._texts, text)

    def _look(self, eni: FilmedEni) -> list[Any]:
        return [
            self._text(eni.eni_id),
            eni.role,
            eni.device_number,
            eni.network_card,
            eni.excluded,
            eni.n_slots,
            [
                [self._text(slot.cidr), [self._address(each) for each in slot.addresses]]
                for slot in eni.slots
            ],
        ]

    def _address(self, each: FilmedAddress) -> list[Any]:
        found: list[Any] = [self._text(each.address), each.state[0]]
        if each.pod or each.until_s is not None:
            found.append(self._text(each.pod) if each.pod else None)
        if each.until_s is not None:
            found.append(each.until_s)
        return found


def _number(numbers: dict[T, int], value: T) -> int:
    """Return the number of a value: its place in the order of first appearance."""
    return numbers.setdefault(value, len(numbers))
