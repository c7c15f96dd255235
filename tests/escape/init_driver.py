# SPDX-License-Identifier: Apache-2.0
"""Runs build/init as pid 1 of a scratch pid and mount namespace (no supervisor, no filter) and speaks sandbox/init_protocol.h with it."""

import array
import ctypes
import os
import signal
import socket
import struct
import subprocess
import tempfile

from paths import BUILD
from harness import within  # noqa: E402  (paths makes it importable)

START, EXEC, STOP, READY, DONE, WORKER_EXITED = 1, 2, 3, 16, 17, 18
PTY, KEEP_TMP, AGAIN, TEMPLATE = 1, 2, 4, 8
EXEC_FAILED, TMP_FULL = 1, 2
CLONE_NEWNS, CLONE_NEWPID = 0x00020000, 0x20000000
UID = 60000 + os.getpid() % 5000  # what runs by it is told by it: another suite at the same time has another
HEAD = struct.Struct("=IIQ")
DONE_RECORD = struct.Struct("=IIQiiIIQQQQ")
libc = ctypes.CDLL(None, use_errno=True)


class Done:
    def __init__(self, record):
        (self.type, self.size, self.request, self.status, self.error, self.flags, self.killed, self.user_us, self.system_us,
         self.maxrss_kib, self.tmp_bytes) = DONE_RECORD.unpack(record)


def checked(result, what):
    if result < 0:
        raise OSError(ctypes.get_errno(), what)


def enter_scratch_root(task, tmp_options):
    """In the new mount namespace: a private /tmp, and `task` at /var/task."""
    checked(libc.mount(b"none", b"/", None, 0x44000, None), "private /")  # MS_REC | MS_PRIVATE
    checked(libc.mount(task.encode(), b"/mnt", None, 0x1000, None), "bind")
    checked(libc.mount(b"tmpfs", b"/var", b"tmpfs", 0, b"mode=0755"), "mount /var")
    os.mkdir("/var/task")
    checked(libc.mount(b"/mnt", b"/var/task", None, 0x1000, None), "bind")
    checked(libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, tmp_options.encode()), "mount /tmp")
    checked(libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", 0, b"size=64k,nr_inodes=16,mode=1777"), "mount /dev/shm")


class Init:
    """worker: None, "socket", "none" (workers that get none of the sandbox's making) or a pty's slave descriptor."""

    def __init__(self, worker=None, tmp_options="size=1m,nr_inodes=2048,mode=1777"):
        self.task = tempfile.mkdtemp(prefix="faasd-init-")
        os.chmod(self.task, 0o755)
        self.control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(within(20))
        self.worker, slave = (None, worker if isinstance(worker, int) else None)
        arguments = ["init", "worker"] if isinstance(worker, str) else ["init"]
        if worker == "socket":
            self.worker, theirs = socket.socketpair()
            slave = theirs.fileno()
        self.log, log = os.pipe()
        image = os.open(BUILD / "init", os.O_RDONLY)
        self.launcher = os.fork()
        if self.launcher == 0:
            self._launch(image, arguments, [control.fileno(), log, slave], tmp_options)
        control.close()
        os.close(log)
        os.close(image)

    def _launch(self, image, arguments, channels, tmp_options):
        control, log, slave = channels
        status = 99
        try:
            checked(libc.unshare(CLONE_NEWNS | CLONE_NEWPID), "unshare")
            pid = os.fork()
            if pid == 0:
                enter_scratch_root(self.task, tmp_options)
                placed = [os.open("/dev/null", os.O_RDWR), log, log, control] + ([slave] if slave is not None else [])
                high = [os.dup2(fd, 500 + i) for i, fd in enumerate(placed)]
                for i, fd in enumerate(high):
                    os.dup2(fd, i)
                image = os.dup2(image, 600)
                os.closerange(len(placed), 600)
                os.setgroups([])
                os.setresgid(UID, UID, UID)
                os.setresuid(UID, UID, UID)
                os.execve("/proc/self/fd/600", arguments, {})
            os.closerange(3, 4096)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        finally:
            os._exit(status if status >= 0 else 128 - status)

    def script(self, name, text):
        path = os.path.join(self.task, name)
        with open(path, "w") as out:
            out.write(text)
        os.chmod(path, 0o755)

    def receive(self):
        """One record: (bytes, fds)."""
        data, ancillary, _, _ = self.control.recvmsg(4096, 256)
        fds = array.array("i")
        for level, kind, payload in ancillary:
            assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
        return data, list(fds)

    def receive_ready(self):
        data, fds = self.receive()
        assert HEAD.unpack(data) == (READY, HEAD.size, 0) and len(fds) == 2, (data, fds)
        return fds

    def receive_done(self, kind=DONE):
        data, fds = self.receive()
        assert not fds and len(data) == DONE_RECORD.size, data
        done = Done(data)
        assert done.type == kind and done.size == len(data)
        return done

    @staticmethod
    def record(kind, argv, env=(), request=7, flags=0, argc=None, size=None, reserved=0):
        strings = b"".join(s.encode() + b"\0" for s in [*argv, *env])
        total = HEAD.size + 16 + len(strings)
        argc = len(argv) if argc is None else argc
        return HEAD.pack(kind, total if size is None else size, request) + struct.pack("=IIII", argc, len(env), flags, reserved) + strings

    def send(self, record, fds=()):
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.control.sendmsg([record], ancillary)

    def start(self, argv, fds=(), flags=0):
        self.send(self.record(START, argv, ["PATH=/usr/bin:/bin"], flags=flags), fds)

    def stop(self):
        self.send(HEAD.pack(STOP, HEAD.size, 0))

    def run(self, argv, env=("PATH=/usr/bin:/bin",), stdin=None, flags=0, request=7):
        """One program from READY to DONE: (done, stdout, stderr)."""
        out, err = self.receive_ready()
        fds = []
        if stdin is not None:
            reader, writer = os.pipe()
            os.write(writer, stdin)
            os.close(writer)
            fds = [reader]
        self.send(self.record(EXEC, argv, env, request, flags), fds)
        for fd in fds:
            os.close(fd)
        done = self.receive_done()
        assert done.request == request
        texts = []
        for fd in (out, err):
            with os.fdopen(fd, "rb") as pipe:
                texts.append(pipe.read())
        return done, *texts

    def sh(self, script, **options):
        return self.run(["/bin/sh", "-c", script], **options)

    def wait(self):
        """The exit status of init."""
        return os.waitstatus_to_exitcode(os.waitpid(self.launcher, 0)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.control.close()
        if self.worker:
            self.worker.close()
        try:
            self.wait()
        except ChildProcessError:
            pass  # the test has waited
        os.close(self.log)
        subprocess.run(["rm", "-rf", self.task], check=True)


def signal_status(number=signal.SIGKILL):
    return int(number)
