# SPDX-License-Identifier: Apache-2.0
"""The pid 1 of sandboxes, alone: build/init in a scratch pid namespace, driven over its control socket."""

import os
import pty
import select
import signal
import socket
import struct
import subprocess
import time

import pytest

from init_driver import (AGAIN, EXEC, EXEC_FAILED, HEAD, KEEP_TMP, PTY, START, STOP, TEMPLATE, TMP_FULL, UID, WORKER_EXITED,
                         Init)
from harness import within  # noqa: E402  (paths makes it importable)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes a pid namespace as root")


@pytest.fixture
def init():
    with Init() as i:
        yield i


def test_a_program_gets_its_arguments_environment_and_stdin(init):
    done, out, err = init.sh('printf "%s|%s|" "$0" "$V"; cat; echo oops >&2; pwd', env=("PATH=/bin", "V=a b"), stdin=b"hello")
    assert (out, err) == (b"/bin/sh|a b|hello/var/task\n", b"oops\n")
    assert (done.status, done.flags, done.killed) == (0, 0, 0)


def test_without_stdin_it_is_dev_null(init):
    done, out, _ = init.sh("cat; readlink /proc/self/fd/0")
    assert out == b"/dev/null\n"


def test_programs_run_one_after_another(init):
    for number in range(1, 20):
        done, out, _ = init.sh(f"echo {number}", request=number)
        assert out == f"{number}\n".encode() and done.request == number


def test_the_status_is_that_of_wait(init):
    assert init.sh("exit 3")[0].status == 3 << 8
    assert init.sh("kill -SEGV $$")[0].status & 0x7F == signal.SIGSEGV


def test_an_exec_that_fails_names_its_errno(init):
    done, out, _ = init.run(["/var/task/absent"])
    assert (done.flags & EXEC_FAILED, done.error) == (EXEC_FAILED, 2)
    init.script("plain", "no interpreter line")
    done, out, _ = init.run(["plain"])
    assert (done.flags & EXEC_FAILED, done.error) == (EXEC_FAILED, 8)
    done, out, _ = init.sh("exit 127")
    assert (done.flags, done.error, done.status) == (0, 0, 127 << 8)


def test_only_the_standard_descriptors_are_inherited(init):
    _, out, _ = init.run(["/bin/ls", "/proc/self/fd"], stdin=b"x")
    assert out.split() == [b"0", b"1", b"2", b"3"]  # 3 is ls's own


def test_stderr_can_be_opened_again(init):
    done, _, err = init.sh("echo again > /proc/self/fd/2")
    assert done.status == 0 and err == b"again\n"


def test_signals_are_as_new_and_the_session_is_its_own(init):
    _, out, _ = init.run(["/bin/cat", "/proc/self/status", "/proc/self/stat"])
    status, stat = out.decode().rsplit("\n", 2)[:2]
    fields = dict(line.split(":", 1) for line in status.splitlines())
    assert [int(fields[f], 16) for f in ("SigBlk", "SigIgn", "SigCgt")] == [0, 0, 0]
    assert int(fields["Umask"], 8) == 0o022
    pid, session = int(stat.split()[0]), int(stat.rsplit(")", 1)[1].split()[3])
    assert pid == session


@pytest.mark.parametrize("how", ["sleep 600 & sleep 601 &", "setsid sleep 600 &", "(trap '' TERM HUP; setsid sh -c 'sleep 600 & wait' &);"])
def test_what_outlives_the_program_is_killed_and_counted(init, how):
    done, out, _ = init.sh(f"{how} sleep 0.1; echo out")
    assert out == b"out\n" and done.status == 0 and done.killed >= 1
    assert b"600" not in subprocess.run(["ps", "-u", str(UID), "-o", "args="], capture_output=True).stdout


def test_orphans_that_die_meanwhile_are_reaped(init):
    done, out, _ = init.sh("for i in 1 2 3 4 5 6 7 8; do (true & ) ; done; sleep 0.3; grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null; echo end")
    assert out.splitlines()[-1] == b"end" and done.killed == 0


def test_init_survives_what_its_programs_send_it(init):
    done, _, _ = init.sh("for s in HUP INT QUIT KILL TERM STOP CHLD PIPE SEGV USR1 RTMIN; do kill -$s 1; done; kill -KILL -1; sleep 5")
    assert init.sh("echo alive")[1] == b"alive\n"


def test_init_cannot_be_looked_into(init):
    _, out, _ = init.sh("cat /proc/1/environ /proc/1/maps >/dev/null 2>&1 || echo refused; ls -l /proc/1/fd >/dev/null 2>&1 || echo refused")
    assert out == b"refused\nrefused\n"


def test_usage_counts_children_and_leftovers(init):
    done, _, _ = init.run(["/usr/bin/python3", "-c", "import os,time\nx=bytearray(40<<20)\nt=time.process_time()\nwhile time.process_time()-t<0.2: pass"])
    assert done.user_us + done.system_us >= 200_000 and done.maxrss_kib >= 40 << 10


def test_tmp_and_shm_are_empty_for_the_next_program(init):
    init.sh("echo a > /tmp/a; mkdir -p /tmp/d/e; ln -s /etc /tmp/d/l; mkfifo /tmp/f; echo b > /dev/shm/b; touch /tmp/.hidden '/tmp/a b'")
    _, out, _ = init.sh("find /tmp /dev/shm")
    assert out == b"/tmp\n/dev/shm\n"


def test_a_tree_of_any_shape_goes(init):
    init.script("deep.py", "import os\nos.chdir('/tmp')\nfor i in range(1900):\n    os.mkdir('d')\n    os.chdir('d')\nopen('end','w').close()\n"
                "for i in range(1900):\n    os.chdir('..')\n    os.chmod('d', 0o000)\n")
    done, _, err = init.run(["/usr/bin/python3", "/var/task/deep.py"])
    assert err == b"" and done.status == 0
    assert init.sh("find /tmp")[1] == b"/tmp\n"
    init.sh("cd /tmp; for i in 1 2 3 4 5 6 7 8 9; do mkdir -p d$i/x/y; touch d$i/1 d$i/x/2 d$i/x/y/3; chmod 0400 d$i/x; chmod 0500 d$i; done")
    assert init.sh("find /tmp")[1] == b"/tmp\n"


def test_links_out_of_tmp_are_not_followed(init):
    keep = os.path.join(init.task, "keep")
    os.mkdir(keep)
    open(os.path.join(keep, "file"), "w").close()
    os.chmod(keep, 0o777)
    init.sh("ln -s /var/task/keep /tmp/link; mkdir /tmp/d; ln -s /var/task/keep /tmp/d/link")
    assert init.sh("ls /tmp /var/task/keep")[1] == b"/tmp:\n\n/var/task/keep:\nfile\n"


def test_keep_tmp_keeps_it(init):
    init.sh("echo a > /tmp/a", flags=KEEP_TMP)
    assert init.sh("cat /tmp/a")[1] == b"a\n"
    assert init.sh("ls /tmp")[1] == b""


def test_what_tmp_and_shm_held_is_told_and_of_a_program_that_failed_before_it_goes():
    with Init(tmp_options="size=64m,nr_inodes=40000,mode=1777") as init:
        fill = "head -c 300000 /dev/zero > /tmp/fill; head -c 20000 /dev/zero > /dev/shm/fill; "
        assert 320000 <= init.sh(fill)[0].tmp_bytes < 400000
        assert init.sh("true")[0].tmp_bytes == 0
        assert 320000 <= init.sh(fill + "exit 3")[0].tmp_bytes < 400000
        assert init.sh("ls /tmp /dev/shm")[1] == b"/dev/shm:\n\n/tmp:\n"  # before it serves the next one, in any case


def test_a_full_tmp_is_told(init):
    assert init.sh("head -c 4000000 /dev/zero > /tmp/fill")[0].flags & TMP_FULL
    assert init.sh("cd /tmp; i=0; while true 2>/dev/null >f$i; do i=$((i+1)); done")[0].flags & TMP_FULL
    assert not init.sh("true")[0].flags & TMP_FULL


def test_tmp_that_cannot_be_emptied_ends_the_sandbox():
    """Not reachable for a program; a mount deep in /tmp stands for it."""
    with Init() as init:
        init.sh("true")
        init.receive_ready()
        children = int(open(f"/proc/{init.launcher}/task/{init.launcher}/children").read())
        os.system(f"nsenter -t {children} -m sh -c 'mkdir -p /tmp/a/b && chown -R {UID} /tmp/a && mount -t tmpfs none /tmp/a/b'")
        init.send(init.record(EXEC, ["/bin/true"]))
        assert init.control.recv(100) == b""
        assert init.wait() == 104


def test_a_mount_directly_in_tmp_stays():
    with Init() as init:
        init.sh("true")
        init.receive_ready()
        pid = int(open(f"/proc/{init.launcher}/task/{init.launcher}/children").read())
        os.system(f"nsenter -t {pid} -m sh -c 'mkdir -m 777 /tmp/granted && mount -t tmpfs none /tmp/granted && touch /tmp/granted/kept'")
        init.send(init.record(EXEC, ["/bin/sh", "-c", "touch /tmp/gone"]))
        init.receive_done()
        assert init.sh("find /tmp -type f")[1] == b"/tmp/granted/kept\n"


def test_init_ends_when_the_gateway_is_gone_even_while_a_program_runs(init):
    init.receive_ready()
    init.send(init.record(EXEC, ["/bin/sleep", "600"]))
    init.control.close()
    started = time.monotonic()
    assert init.wait() == 0 and time.monotonic() - started < within(5)


GOOD = Init.record(EXEC, ["/bin/true"], ["A=b"])
MALFORMED = {
    "empty head": b"\0",
    "short": GOOD[:31],
    "a byte missing": GOOD[:-1],
    "a byte more": GOOD + b"x",
    "a string more": Init.record(EXEC, ["/bin/true", "x"], argc=1),
    "a string less": Init.record(EXEC, ["/bin/true"], argc=2),
    "no arguments": Init.record(EXEC, [], argc=0),
    "argc wraps": Init.record(EXEC, ["/bin/true"], argc=2**32 - 1),
    "too many strings": Init.record(EXEC, ["x"] * 4097),
    "wrong size": Init.record(EXEC, ["/bin/true"], size=40),
    "unknown type": Init.record(4, ["/bin/true"]),
    "stop": HEAD.pack(STOP, HEAD.size, 0),
    "its own type": Init.record(17, ["/bin/true"]),
    "unknown flag": Init.record(EXEC, ["/bin/true"], flags=1 << 31),
    "a worker's flag": Init.record(EXEC, ["/bin/true"], flags=AGAIN),
    "reserved": Init.record(EXEC, ["/bin/true"], reserved=1),
    "unterminated": Init.record(EXEC, ["/bin/true"])[:-1] + b"x",
    "start without a worker": Init.record(START, ["/bin/true"]),
    "pty without a pty": Init.record(EXEC, ["/bin/true"], flags=PTY),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_record_that_is_not_exact_ends_init(name):
    with Init() as init:
        init.receive_ready()
        init.send(MALFORMED[name])
        assert init.control.recv(100) == b""
        assert init.wait() == 102


def test_more_than_one_descriptor_ends_init():
    with Init() as init:
        init.receive_ready()
        init.send(GOOD, [0, 1])
        assert init.wait() == 102


def test_the_largest_command_arrives_whole(init):
    value = "V=" + "x" * 100_000
    _, out, _ = init.run(["/bin/sh", "-c", "printf %s \"$V\" | wc -c"], env=("PATH=/usr/bin:/bin", value))
    assert int(out) == 100_000


def test_a_native_worker_gets_its_socket_and_its_end_is_told():
    with Init("socket") as init:
        init.script("worker", "#!/bin/sh\nls /proc/self/fd >&3\nread line <&3\necho got $line >&2\nsleep 600 &\nexit 5\n")
        init.worker.settimeout(20)
        init.send(init.record(START, ["/var/task/worker"], ["PATH=/usr/bin:/bin"]))
        listed = b""
        while listed.count(b"\n") < 5:
            listed += init.worker.recv(100)
        assert listed.split() == [b"0", b"1", b"2", b"3", b"4"]  # 4 is ls's own
        init.worker.sendall(b"hi\n")
        done = init.receive_done(WORKER_EXITED)
        assert (done.status, done.request) == (5 << 8, 0)
        assert init.wait() == 0
        assert os.read(init.log, 100) == b"got hi\n"


def test_a_native_worker_that_cannot_start_is_told():
    with Init("socket") as init:
        init.send(init.record(START, ["/var/task/absent"]))
        done = init.receive_done(WORKER_EXITED)
        assert (done.flags, done.error) == (EXEC_FAILED, 2)
        assert init.wait() == 0


LIST_FDS = "#!/bin/sh\nls /proc/self/fd\n"
# Says its pid, then serves lines until its socket ends; forks what outlives it.
TALKER = """#!/usr/bin/python3
import os, socket, sys, time
s = socket.socket(fileno=3)
if os.fork() == 0:
    os.setsid()
    time.sleep(600)
open("/tmp/log", "a").write("started\\n")
s.sendall(b"%d\\n" % os.getpid())
while line := s.recv(100):
    if line == b"crash":
        os.abort()
    s.sendall(line)
"""


def new_worker(init, path, flags=AGAIN):
    """START with a socket of its own; our end of it."""
    ours, theirs = socket.socketpair()
    ours.settimeout(within(20))
    init.start([path], [theirs.fileno()], flags)
    theirs.close()
    return ours


def living(uid=UID):
    out = subprocess.run(["ps", "-u", str(uid), "-o", "stat=,args="], capture_output=True, text=True).stdout
    return [line.split(None, 1)[1] for line in out.splitlines() if not line.startswith("Z")]


def test_a_worker_is_started_again_with_a_new_socket_and_the_same_tmp():
    with Init("socket") as init:
        init.script("worker", TALKER)
        init.script("list", "#!/bin/sh\ncat /tmp/log\n")
        init.start(["/var/task/worker"], flags=AGAIN)
        init.worker.settimeout(within(20))
        assert init.worker.recv(100).strip().isdigit()
        init.worker.sendall(b"crash")
        done = init.receive_done(WORKER_EXITED)
        assert done.status & 0x7F == signal.SIGABRT and done.killed == 1  # what it had forked
        assert init.worker.recv(100) == b""  # nobody holds the other end
        again = new_worker(init, "/var/task/worker")
        assert again.recv(100).strip().isdigit()
        again.sendall(b"echo")
        assert again.recv(100) == b"echo"
        again.close()
        assert init.receive_done(WORKER_EXITED).status == 0
        init.start(["/var/task/list"])  # without AGAIN: the last one
        assert init.receive_done(WORKER_EXITED).status == 0
        assert init.wait() == 0
        assert os.read(init.log, 100) == b"started\nstarted\n"
        assert living() == []


def test_a_worker_has_no_descriptor_but_its_own():
    with Init("socket") as init:
        init.script("list", LIST_FDS)
        init.start(["/var/task/list"], flags=AGAIN)
        init.receive_done(WORKER_EXITED)
        assert os.read(init.log, 100).split() == [b"0", b"1", b"2", b"3", b"4"]  # 4 is ls's own
        new_worker(init, "/var/task/list")
        init.receive_done(WORKER_EXITED)
        assert os.read(init.log, 100).split() == [b"0", b"1", b"2", b"3", b"4"]
        init.start(["/var/task/list"], flags=AGAIN)  # the sandbox's own socket was handed out before
        init.receive_done(WORKER_EXITED)
        assert os.read(init.log, 100).split() == [b"0", b"1", b"2", b"3"]


def test_a_sandbox_without_a_socket_starts_workers():
    with Init("none") as init:
        init.script("list", LIST_FDS)
        init.start(["/var/task/list"], flags=AGAIN)
        assert init.receive_done(WORKER_EXITED).status == 0
        assert os.read(init.log, 100).split() == [b"0", b"1", b"2", b"3"]
        init.start(["/var/task/absent"], flags=AGAIN)
        done = init.receive_done(WORKER_EXITED)
        assert (done.flags, done.error) == (EXEC_FAILED, 2)
        init.start(["/var/task/list"])
        assert init.receive_done(WORKER_EXITED).status == 0
        assert init.wait() == 0


def test_a_socket_that_a_start_brings_replaces_the_sandboxs_own():
    with Init("socket") as init:
        init.script("worker", TALKER)
        own = new_worker(init, "/var/task/worker")
        assert own.recv(100).strip().isdigit()
        init.worker.settimeout(within(20))
        assert init.worker.recv(100) == b""


def test_stop_kills_everything_and_the_next_worker_starts():
    with Init("none") as init:
        init.script("worker", TALKER)
        for _ in range(3):
            worker = new_worker(init, "/var/task/worker")
            worker.recv(100)
            init.stop()
            init.stop()  # crosses the end of the worker
            assert init.receive_done(WORKER_EXITED).status == signal.SIGKILL
            assert worker.recv(100) == b""
            assert [line for line in living() if "worker" in line and "init" not in line] == []
            init.stop()  # finds nothing to stop


def test_stop_does_not_reach_a_worker_that_is_not_started_again():
    with Init("none") as init:
        init.script("worker", TALKER)
        worker = new_worker(init, "/var/task/worker", flags=0)
        worker.recv(100)
        init.stop()
        worker.sendall(b"alive")
        assert worker.recv(100) == b"alive"
        worker.close()
        assert init.wait() == 0


@pytest.mark.parametrize("record", [Init.record(START, ["/bin/true"]), Init.record(EXEC, ["/bin/true"]), b"x" * 16])
def test_a_running_worker_is_only_ever_stopped(record):
    with Init("none") as init:
        init.script("worker", TALKER)
        new_worker(init, "/var/task/worker").recv(100)
        init.send(record)
        assert init.control.recv(100) == b""
        assert init.wait() == 102


def test_a_templates_end_is_told_at_once_and_its_children_live_on():
    with Init("none") as init:
        init.script("template", "#!/usr/bin/python3\nimport os, socket\ns = socket.socket(fileno=3)\nif os.fork():\n    os._exit(7)\n"
                                "s.sendall(b'child')\ns.recv(1)\n")
        ours = new_worker(init, "/var/task/template", flags=TEMPLATE)
        assert init.receive_done(WORKER_EXITED).status == 7 << 8
        assert ours.recv(100) == b"child"
        assert os.waitpid(init.launcher, os.WNOHANG) == (0, 0)
        ours.close()
        assert init.wait() == 0


def test_a_template_without_children_ends_its_sandbox():
    with Init("none") as init:
        new_worker(init, "/bin/true", flags=TEMPLATE)
        assert init.receive_done(WORKER_EXITED).status == 0
        assert init.wait() == 0


@pytest.mark.parametrize("flags", [0, AGAIN, TEMPLATE])
def test_the_gateways_end_ends_a_sandbox_with_a_worker(flags):
    with Init("none") as init:
        init.script("worker", TALKER)
        worker = new_worker(init, "/var/task/worker", flags)
        worker.recv(100)
        init.control.close()
        assert init.wait() == 0
        assert select.select([worker], [], [], within(20))[0]


@pytest.mark.parametrize("flags", [AGAIN | TEMPLATE, PTY, KEEP_TMP, 1 << 31])
def test_flags_that_no_worker_has_end_init(flags):
    with Init("socket") as init:
        init.start(["/bin/true"], flags=flags)
        assert init.wait() == 102


def test_more_than_one_socket_ends_init():
    with Init("socket") as init:
        init.start(["/bin/true"], [0, 1])
        assert init.wait() == 102


def test_a_shell_has_a_controlling_terminal():
    master, slave = pty.openpty()
    os.fchown(slave, UID, UID)
    with Init(slave) as init:
        os.close(slave)
        out, err = init.receive_ready()
        init.send(init.record(EXEC, ["/bin/sh", "-c", "echo there > /dev/tty; setsid sleep 600 & sleep 0.2; exit 4"], ["PATH=/usr/bin:/bin"], flags=PTY | KEEP_TMP))
        done = init.receive_done()
        assert done.status == 4 << 8 and done.killed == 1
        assert os.read(master, 100) == b"there\r\n"
        assert os.read(out, 10) == b"" and os.read(err, 10) == b""


def test_one_program_costs_little(init):
    """Not a benchmark: a guard against a wait that polls or a walk that isn't needed."""
    init.sh("true")
    started = time.monotonic()
    for _ in range(50):
        init.run(["/bin/true"])
    assert (time.monotonic() - started) / 50 < within(0.05)
    assert struct.calcsize("=IIQiiIIQQQ") == 56
