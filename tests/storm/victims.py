# SPDX-License-Identifier: Apache-2.0
"""Which processes a daemon consists of, told by their place in the tree and by their groups, and what is left of them. All of the pid namespace that the storm has for
itself is looked at, so a process that lost its parent is found as well."""

import os
import pathlib
import re

from harness import cgroup_directories, is_alive
from leftovers import descendants

KINDS = ("supervisor", "gateway", "unpacker", "init", "worker", "template", "child")
# Of ten kills so many: what is rare is chosen more often than it would be met.
WEIGHTS = {"supervisor": 1.5, "gateway": 2, "unpacker": 1.5, "init": 1.5, "worker": 1.5, "template": 1, "child": 1}
HELPERS = ("unpack", "delete")


def group_in(pid):
    """The daemon's group and the sandbox's own, "faasd-12ab34" and "hello-7", of any hierarchy."""
    try:
        text = pathlib.Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return None
    found = re.search(r"/(faasd-[0-9a-f]{6,})/([A-Za-z0-9_-]+)-\d+", text)
    return found.groups() if found else None


def children(pid):
    try:
        return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def candidates(faasd, templated):
    """Kind -> pids that are of it at this moment."""
    found = {kind: [] for kind in KINDS}
    gateway = faasd.gateway_pid()
    found["supervisor"] = [faasd.pid]
    found["gateway"] = [gateway] if gateway else []
    for init in children(faasd.pid):
        group = group_in(init)
        if init == gateway or not group:
            continue
        below = children(init)
        if group[1] in HELPERS:
            found["unpacker"] += [init, *below]
            continue
        found["init"].append(init)
        found["template" if group[1] in templated else "worker"] += below
        for pid in below:
            found["child"] += children(pid)
    return found


def choose(faasd, rng, templated):
    """A kind by its weight among those that there are, and one of it."""
    found = candidates(faasd, templated)
    present = [kind for kind in KINDS if found[kind]]
    kind = rng.choices(present, [WEIGHTS[kind] for kind in present])[0]
    return kind, rng.choice(found[kind])


class Groups:
    """The daemon's own group in each hierarchy, and what is beneath."""

    def __init__(self, name):
        self.roots = [d for d in cgroup_directories(name) if d.endswith("/" + name)]

    def beneath(self):
        """Directories with their inodes: a name may come again, an inode does not."""
        found = set()
        for root in self.roots:
            for directory, _, _ in os.walk(root):
                try:
                    if directory != root:
                        found.add((directory, os.stat(directory).st_ino))
                except OSError:
                    pass
        return found

    def processes(self):
        """Those beneath; supervisor and gateway may be in the group itself."""
        found = set()
        for directory, _ in self.beneath():
            try:
                found.update(int(p) for p in (pathlib.Path(directory) / "cgroup.procs").read_text().split())
            except OSError:
                pass
        return {p for p in found if is_alive(p)}

    def remove(self):
        """After a storm that failed: nothing runs in them any more."""
        for root in self.roots:
            for directory, _, _ in os.walk(root, topdown=False):
                try:
                    os.rmdir(directory)
                except OSError:
                    pass


def strangers(faasd):
    """Processes of this pid namespace that are neither this one's own clients nor the daemon's: zombies too."""
    ours = {1, os.getpid(), faasd.pid, *descendants(faasd.pid)}
    clients = set(descendants(os.getpid())) - {faasd.pid, *descendants(faasd.pid)}
    return {int(p) for p in os.listdir("/proc") if p.isdigit()} - ours - clients
