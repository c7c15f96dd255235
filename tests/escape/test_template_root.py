# SPDX-License-Identifier: Apache-2.0
"""Hostile templates and children (Z rows): code that runs in the process that instances are forked from, with its one capability, and in a sibling."""

import concurrent.futures
import ctypes
import json
import os
import pathlib
import shutil
import tempfile

import pytest

import paths  # noqa: F401  (makes harness importable)
from harness import HELLO, Faasd, within  # noqa: E402

ATTACKER = '''
import ctypes, errno, os, signal, time

libc = ctypes.CDLL(None, use_errno=True)
PRCTL_DUMPABLE = 4


def attempt(call, *arguments):
    try:
        call(*arguments)
    except OSError as e:
        return errno.errorcode[e.errno]
    return "done"


def caps():
    return {line.split(":")[0]: int(line.split()[1], 16) for line in open("/proc/self/status") if line.startswith("Cap")}


def report(attack):
    """Runs `attack` in a process of its own; what it says."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, repr(attack()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        text = answer.read().decode()
    return {"says": text, "status": os.waitpid(pid, 0)[1]}


def escape():
    """A descriptor of what lies above, chroot below it, fchdir, and up."""
    before = os.stat("/").st_ino, sorted(os.listdir("/"))
    above = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    os.chroot("/run/slots/0")
    os.chroot("/tmp")
    os.fchdir(above)
    for _ in range(1000):
        os.chdir("..")
    os.chroot(".")
    os.chdir("/")
    found = [p for p in (MARKER, "/etc/shadow", "/root", "/sys", "/proc/sys", "/boot") if os.path.exists(p)]
    return (os.stat("/").st_ino, sorted(os.listdir("/"))) == before, found


def mount():
    libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)
    return "mounted"


MARKER = os.environ["MARKER"]
TEMPLATE = {
    "pid": os.getpid(),
    "caps": caps(),
    "escape": report(escape),
    "mount": report(mount),
    "root": attempt(os.setuid, 0),
    "namespace": libc.unshare(0x10000000),
    "slot": attempt(open, "/run/slots/0/tmp/planted", "w"),
}


def siblings():
    """Everybody else who can be seen or signalled, for as long as another one does the same."""
    killed, read = set(), set()
    until = time.monotonic() + 1
    while time.monotonic() < until:
        for pid in range(1, 100):
            if pid == os.getpid():
                continue
            if attempt(os.kill, pid, signal.SIGKILL) == "done":
                killed.add(pid)
            for name in ("mem", "environ", "maps", "root/tmp", "cwd", "fd/3"):
                if attempt(os.stat if "/" in name or name == "cwd" else open, f"/proc/{pid}/{name}") == "done":
                    read.add(f"{pid}/{name}")
        attempt(os.kill, -1, signal.SIGKILL)
    return {"killed": sorted(killed), "read": sorted(read)}


def handler(event, context):
    answer = {"pid": os.getpid(), "template": TEMPLATE}
    if event.get("siblings"):
        return {**answer, **siblings()}
    answer["caps"] = caps()
    answer["dumpable"] = libc.prctl(3, 0, 0, 0, 0)
    answer["chroot"] = [attempt(os.chroot, p) for p in ("/tmp", "/run/slots/1", "/")]
    answer["above"] = [p for p in ("/run/slots/0/usr", "/run/slots/1/tmp/f", MARKER) if os.path.exists(p)]
    answer["tmp"] = os.listdir("/tmp")
    open("/tmp/mine", "w").close()
    return answer
'''
CHROOT_ONLY = 1 << 18


@pytest.fixture(scope="module")
def marker():
    """A file of the host that no sandbox may find."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="faasd-marker-", dir="/var/tmp"))
    directory.chmod(0o755)
    (directory / "file").write_text("untouched")
    yield str(directory / "file")
    assert (directory / "file").read_text() == "untouched"
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def faasd(marker):
    with Faasd() as daemon, tempfile.TemporaryDirectory(prefix="faasd-attacker-") as code:
        os.chmod(code, 0o755)
        pathlib.Path(code, "app.py").write_text(ATTACKER)
        daemon.deploy("hello", HELLO, "--runtime", "native")
        options = ["--runtime", "python", "--handler", "app.handler", "--env", f"MARKER={marker}", "--memory", "256M"]
        daemon.deploy("fresh", code, *options, "--isolation", "fork")
        daemon.deploy("pair", code, *options, "--max-concurrency", "2")
        yield daemon
        assert daemon.process.poll() is None, daemon.log_text()


@pytest.fixture(autouse=True)
def the_outside_stays_whole(faasd):
    gateway = faasd.gateway_pid()
    yield
    assert faasd.process.poll() is None and faasd.gateway_pid() == gateway, faasd.log_text()
    assert faasd.invoke("hello", b"{}").status == 200


def landlock_abi():
    return ctypes.CDLL(None).syscall(444, None, 0, 1)


def ask(faasd, name="fresh", **event):
    reply = faasd.invoke(name, json.dumps(event).encode(), timeout=within(60))
    assert reply.status == 200, reply.json()
    return reply.json()


@pytest.mark.row("P6")
def test_a_template_holds_one_capability_and_a_child_none(faasd):
    answer = ask(faasd)
    assert answer["pid"] != answer["template"]["pid"], "it was not forked: " + faasd.cli("describe", "fresh").out
    assert set(answer["template"]["caps"].values()) == {CHROOT_ONLY}
    bounding = answer["caps"].pop("CapBnd")  # to drop it there takes a capability that nobody inside has
    assert set(answer["caps"].values()) == {0} and bounding == CHROOT_ONLY


@pytest.mark.row("F7")
def test_a_chroot_escape_from_a_template_ends_in_its_own_sandbox(faasd):
    assert ask(faasd)["template"]["escape"] == {"says": "(True, [])", "status": 0}


@pytest.mark.row("P6")
def test_a_template_has_no_other_power(faasd):
    template = ask(faasd)["template"]
    assert template["mount"] == {"says": "", "status": 31}  # SIGSYS
    assert (template["root"], template["namespace"]) == ("EPERM", -1)


@pytest.mark.row("F7")
def test_a_child_cannot_leave_its_root(faasd):
    answer = ask(faasd)
    assert set(answer["chroot"]) == {"EPERM"} and answer["above"] == []
    assert answer["dumpable"] == 0


@pytest.mark.row("F16")
def test_a_child_finds_nothing_that_another_left_in_its_slot(faasd):
    """The template planted a file in slot 0 (it may); each child made one in its /tmp."""
    answers = [ask(faasd) for _ in range(20)]
    assert answers[0]["template"]["slot"] == "done"
    assert len({a["pid"] for a in answers}) == 20
    assert [a["tmp"] for a in answers] == [[]] * 20


@pytest.mark.row("Z2")
def test_siblings_cannot_reach_each_other(faasd):
    """Two children of one template, same user, same namespaces, each attacking all that it can name for a second."""
    if landlock_abi() < 6:
        pytest.skip(f"the kernel's Landlock has ABI {landlock_abi()}: a template has one child at a time before 6")
    with concurrent.futures.ThreadPoolExecutor(2) as both:
        first, second = both.map(lambda _: ask(faasd, "pair", siblings=True), range(2))
    assert first["pid"] != second["pid"]
    assert first["template"]["pid"] == second["template"]["pid"], "not of one template"
    for seen in (first, second):
        assert (seen["killed"], seen["read"]) == ([], [])
