"""One simulated node in C, for Python: see `_kernel.pxd`."""

cimport cython
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t
from libc.string cimport memset

from ipam_core._kernel cimport advance, may_hold, stop
from ipam_core._node_checks cimport note_in_use, peak_in_use
from ipam_core._node_state cimport (
    CHECK,
    CREATE,
    NEVER_NS,
    NOT_THERE,
    NO_FAILURE,
    NO_STEP,
    N_CAUSES,
    N_SUMS,
    RECONCILE,
    STEP_UNDER_WAY,
    SUBNET_FULL,
    THROTTLED,
    THROTTLED_STEP,
    Kernel,
    SimulatedPod,
    Workload,
    order_at,
    push,
    random_life,
    random_share,
    reserve,
    scrambled,
)
from ipam_core._rules cimport rules_of
from ipam_core._store cimport DataStore
from ipam_core._values cimport Sandbox, sandbox_of

NEXT_CHECK, NEXT_RECONCILE = CHECK, RECONCILE
CHECKS_ONLY = 1
"""The order of `advance_all` with which nothing is played at the time but pool checks."""
RUNS_NOTHING, RUNS_THROTTLED, RUNS = NO_STEP, THROTTLED_STEP, STEP_UNDER_WAY
FAILED_NOT, FAILED_SUBNET_FULL, FAILED_THROTTLED = NO_FAILURE, SUBNET_FULL, THROTTLED


cdef uint64_t stream_of(object seed, int number):
    """Return where the stream of chance of a node begins."""
    return scrambled(scrambled(<uint64_t> (seed & 0xFFFF_FFFF_FFFF_FFFF)) + <uint64_t> number)


@cython.final
cdef class Chance:
    """A node's stream of chance, as a kernel draws from it: with the methods of `random.Random`."""

    cdef uint64_t stream

    def __init__(self, seed, int number):
        self.stream = stream_of(seed, number)

    def random(self):
        """Return a number from 0 to below 1."""
        return random_share(&self.stream)

    def expovariate(self, double lambd):
        """Return an exponential one of this rate."""
        return random_life(&self.stream, lambd)


@cython.final
cdef class Samples:
    """Sums over nodes at given times, ascending: each node adds what it holds when it is there.

    Nodes of one value are never played by two threads at a time.
    """

    cdef int64_t *times_ns
    cdef int64_t *rows
    cdef uint32_t n_times

    def __init__(self, list times_ns not None):
        cdef uint32_t n
        if self.times_ns != NULL:
            raise TypeError("samples that are made cannot be made again")
        self.times_ns = <int64_t *> PyMem_RawCalloc(len(times_ns) + 1, sizeof(int64_t))
        self.rows = <int64_t *> PyMem_RawCalloc(len(times_ns) + 1, N_SUMS * sizeof(int64_t))
        if self.times_ns == NULL or self.rows == NULL:
            raise MemoryError
        self.n_times = len(times_ns)
        for n in range(self.n_times):
            self.times_ns[n] = times_ns[n]

    def __dealloc__(self):
        PyMem_RawFree(self.times_ns)
        PyMem_RawFree(self.rows)

    def sums(self, uint32_t number):
        """Return (ENIs, total, assigned, cooling, pods, pods that wait, refusals) at a sample."""
        if number >= self.n_times:
            raise IndexError(number)
        return tuple([self.rows[N_SUMS * number + n] for n in range(N_SUMS)])


@cython.final
cdef class NodeKernel:
    """A node's pods and its agent's pool checks, played without Python.

    `seed` and `number` begin the node's stream of chance; pods and refusals before `from_ns` are
    not counted. What it holds is added to `samples` at each of their times from `now_ns` on.
    Until its agent is ready (`start`), no pod gets an address. `due_ns`: it is played no further
    than this, exclusive, because a reply arrives then.
    """

    def __init__(self, seed, int number, Samples samples not None, *, int64_t from_ns,
                 int64_t now_ns):
        if self.samples is not None:
            raise TypeError("a kernel that is made cannot be made again")
        memset(&self.node, 0, sizeof(Kernel))
        self.node.chance = stream_of(seed, number)
        self.node.key = scrambled(self.node.chance)
        self.node.from_ns = from_ns
        self.node.unused = NOT_THERE
        self.node.changed_ns = self.node.shrunk_ns = self.node.full_ns = NEVER_NS
        self.node.sample_times_ns, self.node.samples = samples.times_ns, samples.rows
        self.node.n_samples = samples.n_times
        while self.node.next_sample < samples.n_times and (
                samples.times_ns[self.node.next_sample] < now_ns):
            self.node.next_sample += 1
        self.samples = samples
        self.due_ns = INT64_MAX

    def stop(self):
        """Note that the agent ends: until the next `start` no pod gets or loses an address."""
        stop(&self.node)
        self.store = None

    def name_sandboxes(self):
        """Name the sandboxes of pods that may hold an address, as a checkpoint has them.

        Until then only their digests are known. Returns the new sandboxes by the old ones.
        """
        cdef SimulatedPod *pod
        cdef Sandbox sandbox, before
        cdef uint32_t slot
        named = {}
        for slot in range(self.node.n_pods):
            pod = &self.node.pods[slot]
            if may_hold(pod):
                before, sandbox = sandbox_of(pod.digest), Sandbox(f"{pod.number:x}")
                pod.digest[0], pod.digest[1] = sandbox.c_digest[0], sandbox.c_digest[1]
                named[before] = sandbox
        return named

    def has(self, Sandbox sandbox not None):
        """Return whether a pod has this sandbox, which may hold an address. Cost: O(pods)."""
        cdef SimulatedPod *pod
        cdef uint32_t slot
        for slot in range(self.node.n_pods):
            pod = &self.node.pods[slot]
            if (may_hold(pod) and pod.digest[0] == sandbox.c_digest[0]
                    and pod.digest[1] == sandbox.c_digest[1]):
                return True
        return False

    def start(self, DataStore store not None, settings, policy, *, int64_t slots,
              int64_t max_pods, bint prefix_mode, bint falls_back, bint changes_pool):
        """Note that the agent answers pods now, out of its only store.

        The store is nobody else's while the node is played.
        """
        if self.store is not None:
            raise TypeError("a kernel that has started cannot start again before it stops")
        rules_of(&self.node.rules, settings, policy, slots, max_pods, prefix_mode)
        self.node.release_delay_ns = round(policy.release_delay_s * 1_000_000_000)
        self.node.falls_back, self.node.changes_pool = falls_back, changes_pool
        self.node.pool = &store.pool
        self.store = store
        self.node.is_ready = True

    @property
    def is_ready(self):
        """Whether its agent's start is done."""
        return self.node.is_ready

    def __dealloc__(self):
        PyMem_RawFree(self.node.events)
        PyMem_RawFree(self.node.pods)
        PyMem_RawFree(self.node.ends)
        PyMem_RawFree(self.node.workloads)
        PyMem_RawFree(self.node.peaks)
        PyMem_RawFree(self.node.waits)

    def add_pods(self, int64_t at_ns, int n_pods, double rate, *, uint32_t workload=0):
        """Create pods at a time, each replaced when its life is over; a rate of 0: they stay.

        At one moment pods are created in the order of the numbers of their workloads.
        """
        cdef uint64_t order
        if reserve(<void **> &self.node.workloads, self.node.n_workloads,
                   &self.node.room_workloads, sizeof(Workload)) < 0:
            raise MemoryError
        self.node.workloads[self.node.n_workloads].rate = rate
        for _ in range(n_pods):
            order = order_at(workload, self.node.n_to_create)
            self.node.n_to_create += 1
            if push(&self.node, at_ns, order, CREATE, self.node.n_workloads) < 0:
                raise MemoryError
        self.node.n_workloads += 1

    # --- the agent, between its own steps and Python's ------------------------------------

    def set_next(self, int kind, int64_t at_ns):
        """Have the agent's next pool check, or reconcile, at a time; 0: none for now."""
        self.node.next, self.node.next_ns = kind, at_ns

    @property
    def next(self):
        """What is next, and when: (`NEXT_CHECK` or `NEXT_RECONCILE`, ns)."""
        return self.node.next, self.node.next_ns

    @property
    def changed_ns(self):
        """When the pool last grew, shrank or was reconciled; None: never."""
        return None if self.node.changed_ns == NEVER_NS else self.node.changed_ns

    def tell(self, changed_ns, shrunk_ns, full_ns, *, bint is_clean, bint lacks_trunk,
             int most_enis, int running, int failure):
        """Take over what Python changed of the node since the kernel stopped."""
        self.node.changed_ns = NEVER_NS if changed_ns is None else changed_ns
        self.node.shrunk_ns = NEVER_NS if shrunk_ns is None else shrunk_ns
        self.node.full_ns = NEVER_NS if full_ns is None else full_ns
        self.node.is_clean, self.node.most_enis = is_clean, most_enis
        self.node.is_settled, self.node.lacks_trunk = False, lacks_trunk
        self.node.running, self.node.failure = running, failure

    def note_in_use(self, int64_t in_use, int64_t now_ns):
        """Keep the most in use within the release delay."""
        if note_in_use(&self.node, in_use, now_ns) < 0:
            raise MemoryError

    def peak_in_use(self):
        """Return the most in use within the release delay; 0 without one."""
        return peak_in_use(&self.node)

    # --- sums -----------------------------------------------------------------------------

    @property
    def n_pods(self):
        """Pods that are there."""
        return self.node.n_alive

    @property
    def n_waiting(self):
        """Those that have no address."""
        return self.node.n_waiting

    @property
    def n_counted(self):
        """Pods that wait as the agent counts them: it refused them, within the last minute."""
        return self.node.n_counted

    @property
    def n_pod_events(self):
        """Pods that came, and pods that went."""
        return self.node.n_pod_events

    @property
    def n_at_once(self):
        """Pods served as soon as they asked."""
        return self.node.n_at_once

    def waits_s(self):
        """Return the waits of the other pods that were served, in order of serving."""
        return [self.node.waits[n] for n in range(self.node.n_waits)]

    def asked_ns(self):
        """Return since when each pod waits that waits now, the oldest pod first."""
        return sorted([self.node.pods[slot].asked_ns for slot in range(self.node.n_pods)
                       if not (self.node.pods[slot].served or self.node.pods[slot].gone)])


def order_after(uint32_t n_workloads):
    """Return the order of `advance_all` after what so many workloads do, and before pods go."""
    return order_at(n_workloads, 0)


def advance_all(list kernels not None, int64_t until_ns, uint64_t order=0):
    """Play nodes up to a time, exclusive, without the GIL.

    With an `order` they are also played at that time: pool checks, and what comes before it.
    Returns the places of those that need Python.

    Each goes no further than its `due_ns`, exclusive. What they need is `next`, and the time of
    it.
    """
    cdef Py_ssize_t n_kernels = len(kernels), n, n_held = 0
    cdef Kernel **nodes = <Kernel **> PyMem_RawMalloc((n_kernels + 1) * sizeof(Kernel *))
    cdef int64_t *limits = <int64_t *> PyMem_RawMalloc((n_kernels + 1) * sizeof(int64_t))
    cdef uint64_t *orders = <uint64_t *> PyMem_RawMalloc((n_kernels + 1) * sizeof(uint64_t))
    cdef int *answers = <int *> PyMem_RawMalloc((n_kernels + 1) * sizeof(int))
    cdef NodeKernel kernel
    try:
        if nodes == NULL or limits == NULL or orders == NULL or answers == NULL:
            raise MemoryError
        for kernel in kernels:
            if kernel.store is not None:
                kernel.store.hold()
            nodes[n_held] = &kernel.node
            limits[n_held] = min(until_ns, kernel.due_ns)
            orders[n_held] = order if until_ns < kernel.due_ns else 0
            n_held += 1
        with nogil:
            for n in range(n_kernels):
                answers[n] = advance(nodes[n], limits[n], orders[n])
        for n in range(n_kernels):
            if answers[n] < 0:
                raise MemoryError
        return [n for n in range(n_kernels) if answers[n] == 1]
    finally:
        for n in range(n_held):
            kernel = kernels[n]
            if kernel.store is not None:
                kernel.store.let_go()
        PyMem_RawFree(nodes)
        PyMem_RawFree(limits)
        PyMem_RawFree(orders)
        PyMem_RawFree(answers)


def refusals_of(list kernels not None):
    """Return how many pods were refused on these nodes, by cause."""
    cdef NodeKernel kernel
    cdef uint64_t refusals[N_CAUSES]
    cdef int cause
    memset(refusals, 0, sizeof(refusals))
    for kernel in kernels:
        for cause in range(N_CAUSES):
            refusals[cause] += kernel.node.refusals[cause]
    return [refusals[cause] for cause in range(N_CAUSES)]
