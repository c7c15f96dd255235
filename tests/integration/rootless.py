# SPDX-License-Identifier: Apache-2.0
"""An ordinary user for the tests: made of bind mounts over /etc/passwd, /etc/subuid and /etc/subgid in a mount namespace of one command, so that the host's files stay as they are.

With FAASD_ROOTLESS=1 every daemon of harness.py is served by this user: in a cgroup that is his where the host has pure v2, without limits (--allow-degraded) elsewhere.
"""

import itertools
import os
import pathlib
import shutil
import tempfile

ON = os.environ.get("FAASD_ROOTLESS") == "1"
UID = 54321
NAME = "faasduser"
SUB_FIRST, SUB_COUNT = 2000000, 65536
V2 = pathlib.Path("/sys/fs/cgroup")
IS_V2 = (V2 / "cgroup.controllers").exists()
WANTED = ("memory", "pids", "cpu", "cpuset")

# /etc/subuid is missing on some hosts, and nothing can be bound over what is not there.
ENTER = """
[ -e /etc/subuid ] && [ -e /etc/subgid ] || mount -t overlay overlay -o "lowerdir=$1:/etc" /etc
for name in passwd subuid subgid; do mount --bind "$1/$name" "/etc/$name" || exit 125; done
uid=$2
shift 2
exec setpriv --reuid "$uid" --regid "$uid" --clear-groups "$@"
"""

numbers = itertools.count()


class User:
    """Commands of his are `user.command([...])`, with `user.env` for an environment; his home is closed to others."""

    def __init__(self, subids=True, count=SUB_COUNT):
        self.etc = pathlib.Path(tempfile.mkdtemp(prefix="faasd-etc-"))
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="faasd-home-"))
        passwd = pathlib.Path("/etc/passwd").read_text()
        (self.etc / "passwd").write_text(f"{passwd.rstrip()}\n{NAME}:x:{UID}:{UID}::{self.home}:/bin/sh\n")
        for name in ("subuid", "subgid"):
            (self.etc / name).write_text(f"{NAME}:{SUB_FIRST}:{count}\n" if subids else "someone:100000:65536\n")
        self.runtime = self.home / "runtime"
        self.runtime.mkdir(mode=0o700)
        for path in (self.home, self.runtime):
            os.chown(path, UID, UID)
            path.chmod(0o700)
        self.etc.chmod(0o755)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "FAASD_"))}
        self.env = {**kept, "HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.runtime), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}

    def command(self, command):
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh", str(self.etc), str(UID), *map(str, command)]

    def close(self):
        shutil.rmtree(self.etc, ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


groups = {}  # by the root of the daemon: the last one made for it


def anew(root):
    """What a service manager does at each start of a service: what a killed one left goes first."""
    if root in groups:
        groups[root].close()
    groups[root] = Delegated()
    return groups[root]


class Delegated:
    """A cgroup v2 directory that is the user's, as a service manager's Delegate=yes makes it (cgroups(7), "Delegation")."""

    def __init__(self, controllers=WANTED):
        self.path = V2 / f"rootless-{os.getpid()}-{next(numbers)}.service"
        offered = (V2 / "cgroup.controllers").read_text().split()
        (V2 / "cgroup.subtree_control").write_text(" ".join(f"+{c}" for c in controllers if c in offered))
        self.path.mkdir()
        for name in (".", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"):
            os.chown(self.path / name, UID, UID)

    def join(self):
        (self.path / "cgroup.procs").write_text("0")

    def left(self):
        return [path for path, _, _ in os.walk(self.path)][1:]

    def close(self):
        """As the service manager does with what a killed service left."""
        for path, _, _ in os.walk(self.path, topdown=False):
            try:
                os.rmdir(path)
            except OSError:
                pass
