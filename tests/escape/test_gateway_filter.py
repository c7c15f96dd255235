# SPDX-License-Identifier: Apache-2.0
"""What a gateway that was taken over could do: system calls injected into the live one, each of which must fail."""

import ctypes
import errno
import os
import pathlib
import platform
import shutil
import signal
import subprocess

import pytest

from paths import PROBE
from harness import HELLO, Faasd  # noqa: E402  (paths makes it importable)

X86 = platform.machine() == "x86_64"
# name: (x86-64, aarch64)
NUMBERS = {
    "read": (0, 63), "openat": (257, 56), "socket": (41, 198), "execve": (59, 221), "execveat": (322, 281), "kill": (62, 129),
    "tgkill": (234, 131), "getpid": (39, 172), "connect": (42, 203), "bind": (49, 200), "socketpair": (53, 199), "mount": (165, 40),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "setuid": (105, 146), "unshare": (272, 97), "clone": (56, 220),
    "prctl": (157, 167), "mmap": (9, 222), "mprotect": (10, 226), "pidfd_open": (434, 434), "io_uring_setup": (425, 425),
    "bpf": (321, 280), "seccomp": (317, 277), "memfd_create": (319, 279), "chroot": (161, 51), "fcntl": (72, 25),
    "prlimit64": (302, 261), "rt_sigqueueinfo": (129, 138), "unlinkat": (263, 35), "mkdirat": (258, 34), "clone3": (435, 435),
}
AT_FDCWD, O_RDONLY, O_WRONLY, O_CREAT = -100, 0, 1, 0o100
F_SETOWN = 8
CLONE_THREAD_FLAGS, CLONE_NEWUSER = 0x10900, 0x10000000
PROT_RWX, MAP_PRIVATE_ANONYMOUS = 7, 0x22


@pytest.fixture(scope="module")
def faasd():
    with Faasd() as daemon:
        daemon.deploy("hello", HELLO, "--runtime", "native")
        assert daemon.invoke("hello", b"{}").status == 200
        yield daemon


def inject(pid, name, *arguments):
    """The raw result of the call in that process: a negative errno is a failure; "killed N" when the process died of it."""
    number = NUMBERS[name][0 if X86 else 1]
    done = subprocess.run([str(PROBE), "inject", str(pid), str(number), *map(str, arguments)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done
    text = done.stdout.strip()
    return text if text.startswith("killed") else int(text)


def denied(result):
    return isinstance(result, int) and -4096 < result < 0


ATTACKS = {
    "open /etc/shadow": ("openat", AT_FDCWD, "/etc/shadow", O_RDONLY, 0),
    "open /etc/passwd": ("openat", AT_FDCWD, "/etc/passwd", O_RDONLY, 0),
    "open /proc/self/mem": ("openat", AT_FDCWD, "/proc/self/mem", O_WRONLY, 0),
    "write beside its directories": ("openat", AT_FDCWD, "/tmp/faasd-gateway-was-here", O_WRONLY | O_CREAT, 0o600),
    "execute a program": ("execve", "/bin/true", 0, 0),
    "execute a program by descriptor": ("execveat", AT_FDCWD, "/bin/true", 0, 0, 0),
    "AF_NETLINK": ("socket", 16, 3, 0),
    "AF_INET": ("socket", 2, 1, 0),
    "AF_UNIX": ("socket", 1, 1, 0),
    "AF_NETLINK with high bits": ("socket", (1 << 32) | 16, 3, 0),
    "a socket pair": ("socketpair", 1, 1, 0, 0),
    "connect": ("connect", 5, 0, 0),
    "bind": ("bind", 5, 0, 0),
    "mount": ("mount", "none", "/tmp", "tmpfs", 0, 0),
    "chroot": ("chroot", "/tmp"),
    "become root": ("setuid", 0),
    "a new namespace": ("unshare", CLONE_NEWUSER),
    "a new process": ("clone", signal.SIGCHLD, 0, 0, 0, 0),
    "a thread in a new namespace": ("clone", CLONE_THREAD_FLAGS | CLONE_NEWUSER, 0, 0, 0, 0),
    "be traced": ("ptrace", 0, 0, 0, 0),
    "prctl PR_SET_DUMPABLE": ("prctl", 4, 1, 0, 0, 0),
    "memory to execute": ("mmap", 0, 4096, PROT_RWX, MAP_PRIVATE_ANONYMOUS, -1, 0),
    "io_uring": ("io_uring_setup", 4, 0),
    "bpf": ("bpf", 0, 0, 0),
    "another filter": ("seccomp", 1, 0, 0),
    "signals by descriptor owner": ("fcntl", 0, F_SETOWN, 1),
}


@pytest.mark.row("I15")
@pytest.mark.parametrize("attack", ATTACKS)
def test_an_injected_call_fails(faasd, attack):
    gateway = faasd.gateway_pid()
    result = inject(gateway, *ATTACKS[attack])
    print(f"{attack}: {errno.errorcode.get(-result, result) if isinstance(result, int) else result}")
    assert denied(result), f"{attack}: {result}"
    assert faasd.gateway_pid() == gateway and faasd.invoke("hello", b"{}").status == 200
    assert not os.path.exists("/tmp/faasd-gateway-was-here")


@pytest.mark.row("I15")
def test_it_reaches_no_secret_in_clear(faasd):
    """Neither the key, nor the memory of who has it, nor the files of a function that was granted one."""
    gateway = faasd.gateway_pid()
    faasd.cli("secret", "set", "db", input=b"in clear")
    faasd.deploy("granted", HELLO, "--runtime", "native", "--secret", "db", "--min-warm", "1")
    init = faasd.instances("granted")[0]["pid"]
    assert pathlib.Path(f"/proc/{init}/root/run/secrets/db").read_text() == "in clear"  # as root it can be seen
    keys = faasd.root / "state" / "keys"
    for path in (keys, keys / "secrets.key", f"/proc/{faasd.pid}/mem", f"/proc/{init}/root/run/secrets/db", f"/proc/{init}/root/run/secrets"):
        assert denied(inject(gateway, "openat", AT_FDCWD, path, O_RDONLY, 0)), path
    assert faasd.gateway_pid() == gateway


@pytest.mark.row("I15")
def test_it_cannot_signal_the_supervisor_or_a_sandbox(faasd):
    gateway, victims = faasd.gateway_pid(), [faasd.pid, *faasd.sandbox_pids(), 1]
    assert len(victims) >= 3
    for victim in victims:
        for signal_number in (0, signal.SIGKILL):
            assert denied(inject(gateway, "kill", victim, signal_number))
            assert denied(inject(gateway, "tgkill", victim, victim, signal_number))
        assert denied(inject(gateway, "pidfd_open", victim, 0))
        assert denied(inject(gateway, "process_vm_readv", victim, 0, 0, 0, 0, 0))
        assert denied(inject(gateway, "prlimit64", victim, 7, 0, 0))
        assert denied(inject(gateway, "rt_sigqueueinfo", victim, 9, 0))
    assert faasd.process.poll() is None


@pytest.mark.row("I15")
def test_versions_can_be_read_but_not_changed(faasd):
    gateway = faasd.gateway_pid()
    versions = next((faasd.root / "state" / "versions").iterdir())
    name = next(versions.iterdir())
    assert inject(gateway, "openat", AT_FDCWD, str(name), O_RDONLY, 0) >= 0
    assert denied(inject(gateway, "openat", AT_FDCWD, str(name), O_WRONLY, 0))
    assert denied(inject(gateway, "unlinkat", AT_FDCWD, str(name), 0))
    assert denied(inject(gateway, "mkdirat", AT_FDCWD, str(versions.parent / "planted"), 0o755))


def test_what_it_needs_is_left_to_it(faasd):
    """The positive control: the same injector gets through where the filter allows."""
    gateway = faasd.gateway_pid()
    assert inject(gateway, "getpid") == gateway
    assert inject(gateway, "openat", AT_FDCWD, "/dev/null", O_RDONLY, 0) >= 0
    assert inject(gateway, "memfd_create", "control", 0) >= 0
    assert faasd.gateway_pid() == gateway and faasd.invoke("hello", b"{}").status == 200


def test_the_same_calls_work_in_an_unconfined_process():
    """Bare: what is injected into `sleep`, as the same kind of user, is not refused."""
    def become_nobody():
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)

    victim = subprocess.Popen([shutil.which("sleep"), "60"], preexec_fn=become_nobody)
    other = subprocess.Popen([shutil.which("sleep"), "60"], preexec_fn=become_nobody)
    try:
        assert inject(victim.pid, "openat", AT_FDCWD, "/etc/passwd", O_RDONLY, 0) >= 0
        assert inject(victim.pid, "socket", 16, 3, 0) >= 0
        assert inject(victim.pid, "mmap", 0, 4096, PROT_RWX, MAP_PRIVATE_ANONYMOUS, -1, 0) > 0
        assert inject(victim.pid, "kill", other.pid, signal.SIGKILL) == 0
        assert other.wait(10) == -signal.SIGKILL
        assert inject(victim.pid, "execve", "/bin/true", 0, 0) == 0
    finally:
        victim.kill()
        other.kill()
        victim.wait()
        other.wait()


def test_its_status_is_that_of_a_confined_process(faasd):
    gateway = faasd.gateway_pid()
    fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{gateway}/status").read_text().splitlines())
    assert fields["NoNewPrivs"].strip() == "1" and fields["Seccomp"].strip() == "2"
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[name], 16) == 0, name
    assert "0" not in fields["Uid"].split() and "0" not in fields["Gid"].split() and not fields["Groups"].split()
    # each of its threads as well: the store's inherits
    for thread in pathlib.Path(f"/proc/{gateway}/task").iterdir():
        status = dict(line.split(":", 1) for line in (thread / "status").read_text().splitlines())
        assert status["Seccomp"].strip() == "2" and status["NoNewPrivs"].strip() == "1"
    limits = pathlib.Path(f"/proc/{gateway}/limits").read_text()
    assert [line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core file size")] == [["0", "0"]]
