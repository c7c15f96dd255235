# SPDX-License-Identifier: Apache-2.0
"""What calls may leave behind, looked at from outside, and a client quick enough to make many: for tests and scripts that count before and after."""

import collections
import os
import pathlib
import re

from harness import cgroup_directories


class KeptConnection:
    """One keep-alive connection; http.client costs more than faasd does."""

    def __init__(self, faasd):
        self.socket = faasd.connect(timeout=60)
        self.buffer = b""

    def call(self, name, event):
        self.socket.sendall(b"POST /function/%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (name.encode(), len(event)) + event)
        while (end := self.buffer.find(b"\r\n\r\n")) < 0:
            self._more()
        head = self.buffer[:end]
        length = int(re.search(rb"\r\nContent-Length: (\d+)", head, re.I).group(1))
        while len(self.buffer) < end + 4 + length:
            self._more()
        body = self.buffer[end + 4:end + 4 + length]
        self.buffer = self.buffer[end + 4 + length:]
        error = re.search(rb"\r\nX-Faasd-Error: (\w+)", head)
        return int(head[9:12]), error and error.group(1).decode(), body

    def _more(self):
        piece = self.socket.recv(65536)
        assert piece, "faasd closed the connection"
        self.buffer += piece


def status_kb(pid, key):
    return int(re.search(rf"^{key}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M).group(1))


def descendants(pid):
    """Every process below it, zombies included."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = pathlib.Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
                parents.setdefault(int(fields[1]), []).append(int(entry))
            except OSError:
                pass
    found, todo = [], [pid]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found


def names_of(faasd):
    """The daemon's own group in each hierarchy: its sandboxes' groups lie beneath."""
    own = set()
    for line in pathlib.Path(f"/proc/{faasd.sandbox_pids()[0]}/cgroup").read_text().splitlines():
        own.update(re.findall(r"faasd-[0-9a-f]{6,}", line))
    assert len(own) == 1, own
    return own.pop()


def beneath(group):
    return sorted(d for d in cgroup_directories("") if f"/{group}/" in d)


def is_stock(directories):
    """Whether the groups are what the supervisor makes ahead of starts, each whole: in as many hierarchies as the others."""
    names = collections.Counter(os.path.basename(d) for d in directories)
    return all(name.startswith("ahead.") for name in names) and len(set(names.values())) <= 1


def mount_points(pid):
    return {line.split()[4] for line in pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines()}


def look(faasd, group):
    supervisor, gateway = faasd.pid, faasd.gateway_pid()
    return {
        "gateway": gateway,
        "processes": len(descendants(supervisor)),
        "cgroups": len(beneath(group)),
        "mounts": len(mount_points(supervisor) - mount_points("self")),
        "mounts of the host": pathlib.Path("/proc/self/mountinfo").read_text().count(str(faasd.root)),
        "supervisor's descriptors": len(os.listdir(f"/proc/{supervisor}/fd")),
        "gateway's descriptors": len(os.listdir(f"/proc/{gateway}/fd")),
        "files": {kind: len(os.listdir(faasd.root / "state" / kind)) for kind in ("staging", "trash", "versions")},
    }


def resident(faasd):
    return {f"{who} {what}": status_kb(pid, what) for who, pid in (("supervisor", faasd.pid), ("gateway", faasd.gateway_pid()))
            for what in ("VmRSS", "RssAnon")}
