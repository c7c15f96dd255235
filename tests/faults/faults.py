# SPDX-License-Identifier: Apache-2.0
"""A daemon between whose code and the C library inject.c stands, the file by which a test tells that what to do, and what must hold after each fault."""

import contextlib
import mmap
import os
import pathlib
import re
import struct
import subprocess
import sys
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests" / "integration"))
from harness import BUILD, Faasd, cgroup_directories, within  # noqa: E402
from leftovers import mount_points  # noqa: E402

PROGRAM = BUILD / "faults" / "faasd"

# control.h
OFF, COUNT, FAIL, SHORT, INTERRUPT = range(5)
SUPERVISOR, FORKED, CHILD, GATEWAY, THREAD, NETWORK, RESOLVER = (1 << n for n in range(7))
ROLES = {SUPERVISOR: "supervisor", FORKED: "fork", CHILD: "set-up", GATEWAY: "gateway", THREAD: "thread", NETWORK: "network", RESOLVER: "resolver"}
ALL = sum(ROLES)
MEMORY, CALLS = 1, 2
KINDS = {MEMORY: "memory", CALLS: "calls"}
HEAD = struct.Struct("<8IIi24s24s")
STACK = 20
SITES_AT = HEAD.size + 8 * STACK
SITE = struct.Struct("<IIQ")
SITES = 1 << 16


class Control:
    def __init__(self, path):
        self.path = path
        path.write_bytes(bytes(SITES_AT + SITE.size * SITES))
        os.chmod(path, 0o666)
        with path.open("r+b") as f:
            self.map = mmap.mmap(f.fileno(), 0)

    def _put(self, at, value):
        self.map[4 * at:4 * at + 4] = struct.pack("<I", value)

    def _get(self, at):
        return struct.unpack_from("<I", self.map, 4 * at)[0]

    def arm(self, mode, roles=ALL, kinds=MEMORY | CALLS, number=0, length=1, error=0, only=""):
        """From here on; the mode is written last. only: calls of that name alone."""
        self._put(0, OFF)
        self.map[HEAD.size - 24:HEAD.size] = only.encode().ljust(24, b"\0")
        for at, value in enumerate((roles, kinds, number, length, error, 0, 0), 1):
            self._put(at, value)
        self._put(0, mode)

    def disarm(self):
        self._put(0, OFF)

    @property
    def seen(self):
        return self._get(6)

    @property
    def fired(self):
        return self._get(7)

    def sites(self):
        """What a counting run saw: (kind, how many errors it has, place) of each call in turn."""
        return [SITE.unpack_from(self.map, SITES_AT + SITE.size * n) for n in range(min(self.seen, SITES))]

    def failed(self):
        """What the call that failed last was, and who made it, as a person reads it."""
        fields = HEAD.unpack_from(self.map, 0)
        role, code, call = fields[8], fields[9], fields[10].rstrip(b"\0").decode()
        stack = [a for a in struct.unpack_from(f"<{STACK}Q", self.map, HEAD.size) if a]
        return f"{ROLES.get(role, role)} {call} {errno_name(code)} {functions(stack)}"


def errno_name(code):
    import errno
    return errno.errorcode.get(code, str(code))


def functions(stack):
    """Names, the innermost first."""
    if not stack:
        return ""
    done = subprocess.run(["addr2line", "-f", "-e", str(PROGRAM), *(hex(a - 1) for a in stack)], capture_output=True, text=True)
    return " < ".join(done.stdout.splitlines()[::2])


class Daemon(Faasd):
    """`variables` and `program`: tests/integration/harness.py."""

    program = PROGRAM

    def __init__(self, config=None, **options):
        super().__init__(config, **options)
        self.control_file = Control(self.root / "control")
        self.variables = {"INJECT_CONTROL": str(self.control_file.path)}

    @property
    def faults(self):
        return self.control_file

    # -- what it holds when nothing runs --

    def learn_group(self):
        pids = self.sandbox_pids()
        text = "".join(pathlib.Path(f"/proc/{pid}/cgroup").read_text() for pid in pids)
        self.sandbox_group = re.search(r"faasd-[0-9a-f]{6,}", text).group(0)
        self.group_paths = [d for d in cgroup_directories(self.sandbox_group) if d.endswith("/" + self.sandbox_group)]
        self.limits = limited_by(pids[0], self.sandbox_group)

    def groups(self):
        """Directories of sandboxes; those that are made ahead come and go."""
        return [d for path in self.group_paths for d, _, _ in os.walk(path) if d != path and not re.search(r"/ahead\.\d+$", d)]

    def look(self):
        gateway = self.gateway_pid()
        if not gateway:
            return None
        held = {
            "processes": count_below(self.pid),
            "cgroups": len(self.groups()),
            "mounts": len(mount_points(self.pid) - mount_points("self")),
            "mounts of the host": pathlib.Path("/proc/self/mountinfo").read_text().count(str(self.root)),
            "supervisor's descriptors": len(self.supervisor_descriptors()),
            "gateway's descriptors": len(self.gateway_descriptors()),
        }
        for kind in ("staging", "trash"):
            held[kind] = len(os.listdir(self.root / "state" / kind))
        return held

    def gateway_descriptors(self):
        """Without the logs, which are opened at a function's first line and stay, and the records' database, at the first failure."""
        return [name for name in descriptors(self.gateway_pid()) if "/state/logs/" not in name and "/db/records.db" not in name]

    def supervisor_descriptors(self):
        """Without what is made ahead, networks and groups, which come and go; of one look: a second one may see one more of them."""
        return [name for name in descriptors(self.pid) if not name.startswith("net:") and "/ahead." not in name]

    def rest(self, base, deadline=10, unless=lambda: False):
        """Waits until no more is held than was, or until `unless`; returns what is more, {} in the end."""
        end = time.monotonic() + within(deadline)
        while True:
            try:
                held = self.look()
            except OSError:
                held = None
            more = {"gateway": "none"} if held is None else {key: (base[key], held[key]) for key in base if held[key] > base[key]}
            if not more or unless() or time.monotonic() > end:
                return more
            time.sleep(0.01)


def errors_since(daemon, lines=0):
    return [line for line in daemon.log[lines:] if " error: " in line]


def count_below(pid):
    """Every process below it, zombies included."""
    count = 0
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            children = pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split()
            count += len(children) + sum(map(count_below, children))
    return count


def limited_by(pid, group):
    """Controllers by whose hierarchies the process is held in the daemon's groups."""
    lines = [line.split(":", 2) for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    return {name for _, names, path in lines if f"/{group}/" in path for name in names.split(",")}


def descriptors(pid):
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            pass
    return found


def mapping(path):
    """Processes that have the control file mapped: those of the daemon that are the program still."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{entry}/exe").startswith(str(PROGRAM)) and str(path) in pathlib.Path(f"/proc/{entry}/maps").read_text():
                    found.append(int(entry))
    return found
