"""Play a scenario in virtual time and record what happens.

Time moves only in `run` and `settle`, 5 s a pool step, and by ten minutes where a
step says so.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from ipam_core.cloud.region import PRIMARY_SUBNET
from ipam_core.errors import InputError, NotReadyError, UnknownSandboxError
from ipam_core.node.timers import LOOK_INTERVAL_S
from ipam_core.policy import VPC_CNI
from ipam_core.simulation.scenario import outside
from ipam_core.simulation.scenario.checking import Mismatch, compare
from ipam_core.simulation.scenario.observe import observe
from ipam_core.simulation.scenario.restarts import checkpoint_of
from ipam_core.simulation.scenario.timeline import Result, described, moment_of
from ipam_core.simulation.scenario.world import Pod, World
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipam_core.node import Node
    from ipam_core.policy import Policy
    from ipam_core.simulation.scenario.spec import Scenario, ScenarioStep

STEP_NS = int(LOOK_INTERVAL_S * NS)
QUIET_STEPS = 37
"""A pool is settled after this many pool steps (185 s) without a change."""
MOST_STEPS = 400
"""A pool that has not settled after this many pool steps (2,000 s) never does."""
TELLS_REST = frozenset({"unsettled", "ec2", "requests"})
"""An `expect` with one of these says whether the pool settled before it."""
TOLD_EVERY = 1000
"""Pool steps of a long `run` between two reports of progress: about 50 ms."""
TEN_MINUTES_NS = 600 * NS


def play(
    scenario: Scenario,
    *,
    policy: Policy = VPC_CNI,
    seed: int = 0,
    record: bool = True,
    on_progress: Callable[[float], None] | None = None,
) -> Result:
    """Play a scenario from its first step to its last and return what happened.

    `seed` decides what the real agent leaves to chance. Without `record` the timeline stays
    empty. `on_progress` gets the share done, from 0 to 1, from time to time. Raises
    `InputError` if a step cannot be done.
    """
    player = Player(scenario, policy=policy, seed=seed, record=record)
    player.on_progress = on_progress
    return player.play()


class Player(World):
    """Plays one scenario; between steps its node, region and pods can be inspected."""

    def __init__(
        self, scenario: Scenario, *, policy: Policy = VPC_CNI, seed: int = 0, record: bool = True
    ) -> None:
        super().__init__(scenario, policy=policy, seed=seed)
        self.result: Result = Result(scenario=scenario, seed=seed)
        self.on_progress: Callable[[float], None] | None = None
        self._n_done = 0
        self._n_to_do = sum(1 + _pool_steps(step) for step in scenario.steps)
        self._record = record
        self._n_shown = 0
        self._n_cooling = 0
        self._following: ScenarioStep | None = None

    def play(self) -> Result:
        """Play every step, then compare with the expected end."""
        for _ in self.steps():
            pass
        return self.finish()

    def steps(self) -> Iterator[ScenarioStep]:
        """Play step by step: each is yielded when it is done."""
        following = (*self.scenario.steps[1:], None)
        for number, step in enumerate(self.scenario.steps, 1):
            self._following = following[number - 1]
            try:
                _PLAY[step.op](self, step)
            except InputError as error:
                raise InputError(
                    f"{self.scenario.scenario_id}: step {number} ({step.op}): {error}"
                ) from error
            if self._record and step.op not in ("expect", "mark"):
                self._show(described(step))
            self._advance(1)
            yield step

    def _advance(self, n_done: int) -> None:
        self._n_done += n_done
        if self.on_progress is not None:
            self.on_progress(self._n_done / self._n_to_do)

    def finish(self) -> Result:
        """Compare with the expected end and return the result."""
        self._compare(self.scenario.expect, "end")
        return self.result

    # --- steps of the timeline --------------------------------------------------

    def boot(self, _: ScenarioStep) -> None:
        """Start the agent on a new node."""
        self.start()

    def restart(self, step: ScenarioStep) -> None:
        """Restart the agent: its state is in EC2 and in the checkpoint."""
        for name, value in step.get("env", {}).items():
            if value is None:
                self.env.pop(name, None)
            else:
                self.env[name] = value
        if self.node.ready:  # one that did not start has not written it
            self.instance.checkpoint = checkpoint_of(self.node, self.now_ns)
        running = {pod.sandbox.container_id for pod in self.running}
        self.instance.checkpoint = [
            entry
            for entry in self.instance.checkpoint
            if entry.released_ago_s is not None or entry.container_id in running
        ]
        self.node = self._new_node()
        self.start()

    def settle(self, step: ScenarioStep) -> None:
        """Run pool steps until nothing changes any more; at most 2,000 s.

        A pool that has not settled by then is a failure, unless `never` is given, or the next
        step is an `expect` with what such a pool did: `unsettled`, or the calls that it made.
        """
        after = self._following
        expected = (
            after is not None
            and after.op == "expect"
            and not TELLS_REST.isdisjoint(after.arguments)
        )
        self._settle(never=step.get("never", False), judged=not expected)

    def _settle(self, *, never: bool = False, judged: bool = True) -> None:
        quiet = 0
        for _ in range(MOST_STEPS):
            quiet = 0 if self._pool_step() else quiet + 1
            if quiet == QUIET_STEPS:
                break
        self.unsettled: bool = quiet < QUIET_STEPS
        if self.unsettled != never and (judged or never):
            self.result.mismatches.append(
                Mismatch(where="settle", key="unsettled", expected=never, met=self.unsettled)
            )

    def run(self, step: ScenarioStep) -> None:
        """Run pool steps for so many seconds."""
        left = _pool_steps(step)
        while left:
            part = min(left, TOLD_EVERY)
            for _ in range(part):
                self._pool_step()
            self._advance(part)
            left -= part

    def _pool_step(self) -> bool:
        """Play 5 s; return whether the pool changed or a waiting pod was placed."""
        before = self._n_changes, len(self.waiting)
        self.pass_time(STEP_NS // 2)
        if self.node.ready:
            self.check_pool()
            self._try_waiting()
        changed = before != (self._n_changes, len(self.waiting))
        if self._record and (
            changed
            or self._n_shown < len(self.calls)
            or self._n_cooling != self.node.store.stats(self.now_ns).cooling
        ):
            self._show("")
        self.pass_time(STEP_NS - STEP_NS // 2)
        if self.node.ready:
            self.reconcile()
        return changed

    def add_pods(self, step: ScenarioStep) -> None:
        """Let pods ask for addresses; those refused wait."""
        for _ in range(step.get("n")):
            pod = self._new_pod()
            pod.all_cards = step.get("all_cards", False)
            (self.running if self._ask(pod) else self.waiting).append(pod)
            if step.get("each_settled", False):
                self._settle()

    def del_pods(self, step: ScenarioStep) -> None:
        """Remove running pods: oldest, newest, or by order of placement, 0 the oldest."""
        which = step.get("which")
        if which is None:
            n = min(step.get("n"), len(self.running))
            newest = step.get("order", "oldest") == "newest"
            which = range(len(self.running) - n, len(self.running)) if newest else range(n)
        elif len(set(which)) < len(which):
            raise InputError(f"which: a pod removed twice in {which}")
        elif which and max(which) >= len(self.running):
            raise InputError(f"which: {max(which)} of {len(self.running)} running pods, from 0")
        gone = [self.running[number] for number in which]
        self.running = [pod for pod in self.running if pod not in gone]
        for pod in gone:
            try:
                released = self.node.remove_pod(pod.sandbox)
            except (UnknownSandboxError, NotReadyError):
                continue  # its address was lost with its ENI, or its node is down
            self._drive(self.node.drain(released))

    def attach_eni(self, step: ScenarioStep) -> None:
        """Attach an ENI from outside; the store has it at once."""
        role = step.get("role", "secondary")
        eni = self.place(step.get("name"), step.get("ips", 0))
        eni.interface_type = "interface" if role == "secondary" else role
        self.instance.attach(eni, self.instance.free_device())
        self._into_store(eni, created_ns=self.now_ns)
        if step.get("old", False):
            self.pass_time(TEN_MINUTES_NS)

    def detach_eni(self, step: ScenarioStep) -> None:
        """Remove the newest secondary ENI outside the agent's control."""
        with_pods = step.get("with_pods")
        candidates = [
            eni.eni_id
            for eni in self.node.store.enis()
            if not (eni.primary or eni.trunk or eni.efa)
            and eni.eni_id in self.region.enis
            and with_pods
            in (None, self.node.store.eni_stats(eni.eni_id, self.now_ns).assigned_any > 0)
        ]
        if not candidates:
            return
        order = list(self.region.enis)
        self.region.delete_eni(max(candidates, key=order.index))
        self.instance.publish_metadata()

    def state(self, step: ScenarioStep) -> None:
        """Put a new agent on a node with exactly these ENIs; the pool does not grow."""
        self.env: dict[str, str] = dict(step.get("env", self.env))
        self.max_pods: Any = step.get("max_pods", self.max_pods)
        for eni_id in [eni.eni_id for eni in self.instance.attached()]:
            self.region.forget_eni(eni_id)
        self.running: list[Pod] = []
        self.waiting: list[Pod] = []
        self._n_pods = 0
        self.instance.checkpoint = []
        self.mark(step)
        self.init_error: str | None = None
        self.node: Node = self._new_node()
        self.node.ready = True
        for number, raw in enumerate(step.get("enis")):
            self._state_eni(raw, number)

    def _state_eni(self, raw: dict[str, Any], number: int) -> None:
        role = raw.get("role", "secondary")
        total, used = [*raw.get("ips", [0, 0]), 0, 0][:2]
        used_in_prefix = raw.get("prefixes", [])
        eni = self.place(raw.get("name", f"eni-{role}-{number}"), total, len(used_in_prefix))
        eni.interface_type = role if role in ("trunk", "efa") else "interface"
        primary = role == "primary"
        self.instance.attach(eni, 0 if primary else max(number, 1))
        self._into_store(
            eni, created_ns=self.now_ns - TEN_MINUTES_NS, excluded=raw.get("excluded", False)
        )
        addresses = eni.addresses[:used]
        for prefix, count in zip(eni.prefixes, used_in_prefix, strict=True):
            base, _, last = prefix.removesuffix("/28").rpartition(".")
            addresses += [f"{base}.{int(last) + offset}" for offset in range(count)]
        for address in addresses:
            pod = self._new_pod()
            self.node.store.adopt(pod.sandbox, address, f"default/{pod.name}", self.now_ns)
            self.running.append(pod)

    def free_eni(self, step: ScenarioStep) -> None:
        """Free an ENI once, if there is one to free."""
        freed = self._drive(self.node.free_eni(step.get("warm_ip"), step.get("min_ip")))
        self.answers["removed"] = freed

    def cleanup_leaked(self, step: ScenarioStep) -> None:
        """Run the leaked-ENI task once over these ENIs."""
        self.region.cluster = step.get("cluster", "")
        for raw in step.get("enis"):
            eni = self.region.place_eni(raw["name"], PRIMARY_SUBNET)
            eni.description = raw.get("description", "")
            eni.tags = dict(raw.get("tags", {}))
            if raw.get("status", "available") != "available":
                self.region.attach(eni, "i-another")
        try:
            now_s = datetime.fromisoformat(step.get("now")).timestamp()
        except ValueError as error:
            raise InputError(f"now is a time as in RFC 3339, not {step.get('now')!r}") from error
        cleanup = self._drive(self.node.clean_leaked(now_s))
        self.answers["deleted"] = list(cleanup.deleted)
        self.answers["tagged_created_at"] = list(cleanup.tagged_created_at)

    def mark(self, _: ScenarioStep) -> None:
        """Zero the counts of calls, the list of requests and the last pod error."""
        self.calls.clear()
        self._n_shown = 0
        self.pod_error: str | None = None

    def expect(self, step: ScenarioStep) -> None:
        """Compare now."""
        self._compare(step.arguments, step.label or f"at {self.now_ns / NS:g} s")

    # --- values ----------------------------------------------------------------

    def _compare(self, expected: Any, where: str) -> None:
        self.result.mismatches += compare(expected, self.observe, where)

    def observe(self, key: str) -> Any:
        """Return the value of a key of an `expect`."""
        return observe(self, key)

    def _show(self, what: str) -> None:
        """Add a moment to the timeline."""
        stats = self.node.store.stats(self.now_ns)
        calls = self.calls[self._n_shown :]
        self._n_shown = len(self.calls)
        self._n_cooling = stats.cooling
        self.result.timeline.append(
            moment_of(
                self.now_ns,
                what,
                stats,
                calls,
                running=len(self.running),
                waiting=len(self.waiting),
            )
        )


def _pool_steps(step: ScenarioStep) -> int:
    """Return how many pool steps a step asks for by name of its seconds."""
    return step.get("seconds") * NS // STEP_NS if step.op == "run" else 0


_PLAY: dict[str, Callable[[Player, ScenarioStep], None]] = {
    op: getattr(Player, op)
    for op in (
        "boot",
        "restart",
        "settle",
        "run",
        "add_pods",
        "del_pods",
        "subnet",
        "ec2_fail",
        "ec2_heal",
        "cordon",
        "uncordon",
        "preattach",
        "imds_hide",
        "attach_eni",
        "detach_eni",
        "state",
        "free_eni",
        "cleanup_leaked",
        "mark",
        "expect",
    )
} | {
    "checkpoint": outside.checkpoint,
    "outside_attach": outside.attach,
    "outside_detach": outside.detach,
    "outside_give": outside.give,
    "outside_take": outside.take,
}
