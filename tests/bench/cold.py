# SPDX-License-Identifier: Apache-2.0
"""Cold starts from nothing: before each sample it is asserted, by looking at the kernel, that nothing of the function is there yet.

What faasd holds ahead, as docs/ARCHITECTURE.md tells, is no function's: the read-only base tree, two empty network namespaces and, where limits are v1's, two empty groups.
"""

import os
import pathlib
import re
import subprocess
import time

from harness import wait_until


class Requester:
    """tests/bench/once.c: sends on connections opened long before, so that a sample holds no connect."""

    def __init__(self, program, host, port, connections):
        self.process = subprocess.Popen([program, host, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(connections):
            self.ask("open")

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().split()

    def fire(self, paths):
        """Nanoseconds of each, all sent at once."""
        taken = []
        for answer in self.ask(" ".join(paths)):
            status, nanoseconds = answer.split(":")
            assert status == "200", f"status {status}"
            taken.append(int(nanoseconds))
        assert len(taken) == len(paths), "the requester has died"
        return taken

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


def cgroup_tree(faasd):
    """The name of this daemon's directory in each hierarchy, read from a living sandbox."""
    for pid in faasd.sandbox_pids():
        found = re.search(r"/(faasd-[0-9a-f]+)/", pathlib.Path(f"/proc/{pid}/cgroup").read_text())
        if found:
            return found.group(1)
    raise AssertionError("no sandbox in a control group of its own: cold starts can't be told from warm ones")


def holds_somebody(group):
    try:
        return bool(pathlib.Path(group, "cgroup.procs").read_text())
    except OSError:
        return False  # it is gone


def instance_cgroups(tree):
    """Every group of an instance, in every hierarchy: what stands in the daemon's own directory, but for groups made ahead that nobody is in."""
    found = []
    for root, directories, _ in os.walk("/sys/fs/cgroup"):
        if os.path.basename(root) == tree:
            found += [os.path.join(root, d) for d in directories if not d.startswith("ahead.") or holds_somebody(os.path.join(root, d))]
    return found


def what_is_left(faasd, tree, names):
    """What of these functions, or of any sandbox, exists; empty when a start would be from nothing."""
    left = [f"process {p}" for p in faasd.sandbox_pids()]
    left += [f"cgroup {c}" for c in instance_cgroups(tree)]
    left += [f"instance of {n}" for n in names if faasd.instances(n)]
    namespaces = os.readlink(f"/proc/{faasd.pid}/ns/pid")
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            status = pathlib.Path(f"/proc/{entry.name}/status").read_text()
            if f"PPid:\t{faasd.pid}\n" in status and os.readlink(f"/proc/{entry.name}/ns/pid") != namespaces:
                left.append(f"namespace of {entry.name}")
        except OSError:
            continue
    return left


def wait_for_nothing(faasd, tree, names):
    """Nothing of any function, so that no sandbox stands ready for another one either."""
    try:
        wait_until(lambda: not what_is_left(faasd, tree, names), "every sandbox gone")
    except AssertionError as error:
        raise AssertionError(f"{error}: {what_is_left(faasd, tree, names)[:8]}") from None


def measure(faasd, requester, names, plan):
    """`plan` is (tree, samples, idle seconds): fires all names at once, samples times."""
    tree, samples, idle_s = plan
    taken = []
    for _ in range(samples):
        wait_for_nothing(faasd, tree, names)
        time.sleep(idle_s)
        left = what_is_left(faasd, tree, names)
        assert not left, left
        taken += requester.fire([f"/function/{n}" for n in names])
    return taken
