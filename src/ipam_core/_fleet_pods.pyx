"""The pods of a fleet that a scheduler puts on nodes, for Python: see `_scheduler.pxd`."""

cimport cython
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawRealloc
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from ipam_core._scheduler cimport forget_gone, place_waiting, weigh
from ipam_core._fleet_state cimport (
    DEPLOY,
    OWN_PODS,
    TRACE,
    UPDATE,
    DaemonSet,
    Deployment,
    Fleet,
    Group,
    Host,
    Queue,
    Source,
    Trace,
    TraceEvent,
    Wave,
    next_ns,
    pop_source,
    push_source,
    settle_first_source,
)
from ipam_core._kernel cimport NodeKernel
from ipam_core._node_state cimport NEVER_NS, NOT_THERE, order_at, reserve
from ipam_core._pod_sources cimport begin_wave, collect, place

MOST_GROUPS = 63
"""Of nodes; each has a bit of a word."""


@cython.final
cdef class FleetPods:
    """The pods of a fleet that come in waves or as recorded, the scheduler, and its queue.

    Groups of nodes are numbered from 0; None stands for any. `daemon_sets` are pairs of when one
    begins and on which group. `times_ns` are those of samples, ascending; what is before
    `from_ns` is not measured.
    """

    cdef Fleet state
    cdef list kernels

    def __cinit__(self):
        # What is not made yet has no groups, and one queue: that of any group.
        self.state.unused = self.state.going = self.state.unused_wave = NOT_THERE
        self.state.queues = <Queue *> PyMem_RawCalloc(1, sizeof(Queue))
        if self.state.queues == NULL:
            raise MemoryError
        memset(self.state.queues, 0xFF, sizeof(Queue))

    def __init__(self, int n_groups, list daemon_sets not None, list times_ns not None,
                 int64_t from_ns):
        cdef uint32_t n
        cdef void *grown
        if self.kernels is not None:
            raise TypeError("pods that are made cannot be made again")
        if not 0 < n_groups <= MOST_GROUPS:
            raise ValueError(n_groups)
        self.kernels = []
        self.state.from_ns = from_ns
        self.state.groups = <Group *> PyMem_RawCalloc(n_groups, sizeof(Group))
        grown = PyMem_RawRealloc(self.state.queues, (n_groups + 1) * sizeof(Queue))
        if grown != NULL:
            self.state.queues = <Queue *> grown
        self.state.daemon_sets = <DaemonSet *> PyMem_RawCalloc(
            len(daemon_sets) + 1, sizeof(DaemonSet))
        self.state.sample_times_ns = <int64_t *> PyMem_RawCalloc(
            len(times_ns) + 1, sizeof(int64_t))
        self.state.samples = <int64_t *> PyMem_RawCalloc(
            len(times_ns) + 1, 2 * sizeof(int64_t))
        if (self.state.groups == NULL or grown == NULL
                or self.state.daemon_sets == NULL or self.state.sample_times_ns == NULL
                or self.state.samples == NULL):
            raise MemoryError
        self.state.n_groups = n_groups
        memset(self.state.queues, 0xFF, (n_groups + 1) * sizeof(Queue))
        for at_ns, group in sorted(daemon_sets, key=lambda each: -each[0]):
            self.state.daemon_sets[self.state.n_daemon_sets] = DaemonSet(
                at_ns, self.group_of(group))
            self.state.n_daemon_sets += 1
        for n in range(<uint32_t> len(times_ns)):
            (<int64_t *> self.state.sample_times_ns)[n] = times_ns[n]
        self.state.n_samples = len(times_ns)

    def __dealloc__(self):
        cdef uint32_t n
        for n in range(self.state.n_traces):
            PyMem_RawFree(self.state.traces[n].events)
            PyMem_RawFree(self.state.traces[n].pods)
        for n in range(self.state.n_groups):
            PyMem_RawFree(self.state.groups[n].heap)
        PyMem_RawFree(self.state.given)
        PyMem_RawFree(self.state.sources)
        PyMem_RawFree(self.state.ends)
        PyMem_RawFree(self.state.waves)
        PyMem_RawFree(self.state.traces)
        PyMem_RawFree(self.state.deployments)
        PyMem_RawFree(self.state.named)
        PyMem_RawFree(self.state.hosts)
        PyMem_RawFree(self.state.groups)
        PyMem_RawFree(self.state.queues)
        PyMem_RawFree(self.state.daemon_sets)
        PyMem_RawFree(<void *> self.state.sample_times_ns)
        PyMem_RawFree(self.state.samples)

    cdef uint32_t group_of(self, group) except? NOT_THERE:
        """Return the number of a group, which is given as None where it is any."""
        if group is None:
            return self.state.n_groups
        if not 0 <= group < self.state.n_groups:
            raise IndexError(group)
        return group

    # --- nodes ----------------------------------------------------------------------------

    def add_node(self, NodeKernel kernel not None, int group, int room):
        """Add the node of the next number, with room for so many pods; none is put on it yet."""
        cdef uint32_t number = self.state.n_hosts
        cdef Group *members = &self.state.groups[self.group_of(group)]
        if kernel.keeper is not None:
            raise ValueError("the node is of a fleet already")
        if reserve(<void **> &self.state.hosts, number, &self.state.room_hosts,
                   sizeof(Host)) < 0 or reserve(<void **> &members.heap, members.n_hosts,
                                                &members.room_hosts, sizeof(uint32_t)) < 0:
            raise MemoryError
        self.kernels.append(kernel)
        kernel.keeper = self
        kernel.node.given = &self.state.given
        self.state.hosts[number] = Host(&kernel.node, 1.0, group, members.n_hosts, room, 0, False)
        self.state.n_hosts += 1
        members.n_hosts += 1
        weigh(&self.state, number)

    def join(self, uint32_t number, int64_t now_ns):
        """Put pods on a node from now on: first those that wait for one."""
        cdef uint64_t first = self.state.n_events + 1
        self.host(number).joined = True
        weigh(&self.state, number)
        self.state.n_events += 1 + self.state.n_unplaced
        if place_waiting(&self.state, now_ns, first << 1) < 0:
            raise MemoryError

    def occupy(self, uint32_t number, int64_t at_ns, uint32_t workload, uint32_t n_pods):
        """Let a workload of one node have so many pods on it for good, from a time on."""
        self.host(number)
        self.state.n_events += 1
        if push_source(&self.state, Source(
                at_ns, order_at(workload, self.state.n_events), OWN_PODS, number, n_pods)) < 0:
            raise MemoryError

    cdef Host *host(self, uint32_t number) except NULL:
        if number >= self.state.n_hosts:
            raise IndexError(number)
        return &self.state.hosts[number]

    # --- workloads --------------------------------------------------------------------------

    def add_wave(self, uint32_t workload, *, int64_t at_ns, int64_t over_ns, uint32_t n_pods,
                 life_ns, every_ns, group):
        """Let pods come at equal intervals; `every_ns` repeats all of it; lives may be None."""
        if n_pods == 0 or over_ns < 0 or (every_ns is not None and every_ns <= 0) or (
                life_ns is not None and life_ns < 0):
            raise ValueError("a wave has pods, and neither its times nor its lives are negative")
        if begin_wave(&self.state, Wave(
                at_ns, over_ns, NEVER_NS if every_ns is None else every_ns,
                NEVER_NS if life_ns is None else life_ns, workload, self.group_of(group),
                n_pods, 0)) < 0:
            raise MemoryError

    def add_deployment(self, uint32_t workload, *, int64_t n_pods, int64_t surge,
                       int64_t unavailable, int64_t ready_ns, list updates_ns not None, group):
        """Let a Deployment run from the start, and be replaced at each of some times, ascending.

        At most `surge` pods more exist, and all but `unavailable` are ready, which a pod is
        `ready_ns` after it has its address.
        """
        cdef uint32_t number = self.state.n_deployments
        if n_pods < 0 or surge < 0 or unavailable < 0 or ready_ns < 0:
            raise ValueError("a Deployment has no negative numbers")
        if reserve(<void **> &self.state.deployments, number, &self.state.room_deployments,
                   sizeof(Deployment)) < 0:
            raise MemoryError
        self.state.deployments[number] = Deployment(
            ready_ns, workload, self.group_of(group), n_pods, surge, unavailable, NOT_THERE,
            NOT_THERE, NOT_THERE, 0, 0, 0)
        self.state.n_deployments += 1
        for kind, at_ns in [(DEPLOY, 0), *[(UPDATE, at_ns) for at_ns in updates_ns]]:
            self.state.n_events += 1
            if push_source(&self.state, Source(
                    at_ns, order_at(workload, self.state.n_events), kind, number, 0)) < 0:
                raise MemoryError

    def add_trace(self, uint32_t workload):
        """Let pods come and go as recorded: `place` asks for the events; return its number."""
        cdef Trace trace
        memset(&trace, 0, sizeof(Trace))
        trace.workload = workload
        if reserve(<void **> &self.state.traces, self.state.n_traces, &self.state.room_traces,
                   sizeof(Trace)) < 0:
            raise MemoryError
        self.state.traces[self.state.n_traces] = trace
        self.state.n_traces += 1
        self.state.n_events += 1
        if push_source(&self.state, Source(
                0, order_at(workload, self.state.n_events), TRACE,
                self.state.n_traces - 1, 0)) < 0:
            raise MemoryError
        return self.state.n_traces - 1

    def feed(self, uint32_t number, list events not None, uint32_t n_pods, *, bint is_whole):
        """Give the next events of the trace that `place` asked for.

        Each is (ns, pod, name of its node or None, whether it comes), with the pod and the name
        as numbers, those of pods below `n_pods`. One that is not there does not go. `is_whole`:
        they are the last.
        """
        cdef Trace *trace
        cdef Source source
        cdef void *grown
        if not (self.state.n_sources and self.state.sources[0].kind == TRACE
                and self.state.sources[0].what == number):
            raise ValueError(number)
        trace = &self.state.traces[number]
        if trace.n_done < trace.n_events:
            raise ValueError(number)
        if n_pods > trace.n_pods:
            grown = PyMem_RawRealloc(trace.pods, n_pods * sizeof(uint32_t))
            if grown == NULL:
                raise MemoryError
            trace.pods = <uint32_t *> grown
            memset(&trace.pods[trace.n_pods], 0xFF, (n_pods - trace.n_pods) * sizeof(uint32_t))
            trace.n_pods = n_pods
        trace.n_events = trace.n_done = 0
        for time_ns, pod, name, comes in events:
            if not 0 <= pod < trace.n_pods or not (name is None or 0 <= name < self.state.n_named):
                raise IndexError((pod, name))
            if reserve(<void **> &trace.events, trace.n_events, &trace.room_events,
                       sizeof(TraceEvent)) < 0:
                raise MemoryError
            trace.events[trace.n_events] = TraceEvent(
                time_ns, pod, NOT_THERE if name is None else name, comes)
            trace.n_events += 1
        trace.is_whole = is_whole
        source = self.state.sources[0]
        if trace.n_events:
            source.time_ns = trace.events[0].time_ns
            settle_first_source(&self.state, source)
        elif is_whole:
            pop_source(&self.state)

    def add_name(self, node):
        """Keep a name of a node, with the node's number if it is there; return its number."""
        cdef void *grown = PyMem_RawRealloc(
            self.state.named, (self.state.n_named + 1) * sizeof(uint32_t))
        if grown == NULL:
            raise MemoryError
        self.state.named = <uint32_t *> grown
        self.state.named[self.state.n_named] = NOT_THERE
        self.state.n_named += 1
        if node is not None:
            self.name(self.state.n_named - 1, node)
        return self.state.n_named - 1

    def name(self, uint32_t number, uint32_t node):
        """Say which node has a name."""
        self.host(node)
        if number >= self.state.n_named:
            raise IndexError(number)
        self.state.named[number] = node

    # --- time -----------------------------------------------------------------------------

    def collect(self):
        """Take over what happened to pods on nodes: all have been played as far as was placed."""
        forget_gone(&self.state)
        if collect(&self.state) < 0:
            raise MemoryError

    def place(self, int64_t until_ns, *, bint with_workloads=False):
        """Let pods come and go up to a time, exclusive; `with_workloads`: what these do at it, too.

        Returns the number of a trace whose events are asked for before that (`feed`), else
        None. Raises `LookupError` with the number of a name, and the time, if there is no such
        node.
        """
        cdef int answer
        cdef Source first
        with nogil:
            answer = place(&self.state, until_ns, with_workloads)
        if answer < 0:
            raise MemoryError
        if answer == 0:
            return None
        first = self.state.sources[0]
        if answer == 1:
            trace = &self.state.traces[first.what]
            raise LookupError(trace.events[trace.n_done].node, first.time_ns)
        return first.what

    @property
    def next_ns(self):
        """When the next pod comes or goes, as far as is known."""
        return next_ns(&self.state)

    # --- sums -----------------------------------------------------------------------------

    @property
    def n_unplaced(self):
        """Pods without a node."""
        return self.state.n_unplaced

    @property
    def n_refused(self):
        """Pods that found no node when they came."""
        return self.state.n_refused

    def sample(self, uint32_t number):
        """Return (pods without a node, those that found none so far) at a sample."""
        if number >= self.state.n_samples:
            raise IndexError(number)
        return self.state.samples[2 * number], self.state.samples[2 * number + 1]

    def asked_ns(self):
        """Return since when each pod waits that has no node, in order."""
        cdef uint32_t group, pod
        waiting = []
        for group in range(self.state.n_groups + 1):
            pod = self.state.queues[group].first
            while pod != NOT_THERE:
                waiting.append((self.state.given[pod].number, self.state.given[pod].asked_ns))
                pod = self.state.given[pod].after
        return [asked_ns for _, asked_ns in sorted(waiting)]
