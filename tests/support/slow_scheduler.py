"""The scheduler of a fleet as anybody would write it first: it walks over everything."""


class SlowUnplaced(list):
    """The pods that have no node, in the order in which they came."""

    add = list.append

    def count(self, group):
        return sum(pod.group == group for pod in self)

    def groups(self):
        return {pod.group for pod in self}


class SlowScheduler:
    """What `ipam_core.simulation.fleet.scheduler.Scheduler` does, and no code of it."""

    def __init__(self, groups, daemon_sets, now_ns):
        self.all_groups = groups
        self.daemon_sets = list(daemon_sets)
        self.now_ns = now_ns
        self.unplaced = SlowUnplaced()
        self.changed = []

    def nodes(self, group):
        """Return the nodes that take pods of a group, the oldest first."""
        found = [
            node
            for name, members in self.all_groups.items()
            for node in members.nodes.values()
            if group in (None, name) and node.joined and not node.gone and not node.leaving
        ]
        return sorted(found, key=lambda node: node.number)

    def n_daemons(self, group):
        return sum(
            at_ns <= self.now_ns() and wanted in (None, group) for at_ns, wanted in self.daemon_sets
        )

    def taken(self, node):
        there = sum(pod.owner.is_daemon for pod in node.pods)
        return len(node.pods) + max(self.n_daemons(node.group.name) - there, 0)

    def find(self, group):
        found, least = None, 1.0
        for node in self.nodes(group):
            if node.room and self.taken(node) / node.room < least:
                found, least = node, self.taken(node) / node.room
        return found

    def free_room(self, group):
        for node in self.all_groups[group].nodes.values():
            node.free = 0
        for node in self.nodes(group):
            node.free = max(node.room - self.taken(node), 0)
        return sum(node.free for node in self.all_groups[group].nodes.values())

    def place_waiting(self, bind):
        for pod in list(self.unplaced):
            node = self.find(pod.group)
            if node is not None:
                self.unplaced.remove(pod)
                bind(pod, node)
