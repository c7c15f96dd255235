# SPDX-License-Identifier: Apache-2.0
"""What a fork of the template does before its first line of the function's code.

The order matters: groups first, so that every page from here on is charged to the child; the root before the capability that allows it goes; everything
that protects the child from its siblings (same user, same namespaces) long before a request.
"""
import os
import sys

import _signal
import _socket
from _struct import unpack
from _faasd import frames

try:
    import _ctypes  # the package around it costs more than all the rest of this file
except ImportError:
    _ctypes = None

SAME_ROOT = 0xFFFFFFFF
TASK_ROOT = os.environ.get("LAMBDA_TASK_ROOT", "/var/task")

PR_SET_DUMPABLE = 4
CAPABILITY_VERSION_3 = 0x20080522
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446  # the same on every architecture
LANDLOCK_VERSION = 1
LANDLOCK_ABI_SCOPES = 6
LANDLOCK_SCOPES = 3  # abstract sockets, signals

UUID_CLOCKS = ("_last_timestamp", "_last_timestamp_v6", "_last_timestamp_v7")  # from Python 3.14 on there are three

hooks = []  # of faasd.after_fork()
reopened = []  # of Reopened: what init has left open, and template.py has found to be harmless


class Failed(Exception):
    """The child can't become what it should: `str()` names the step."""


class Reopened:
    """A descriptor that the child opens for itself: through the template's, its flags, owner and locks would be those of its siblings."""

    def __init__(self, number, path):
        from fcntl import F_GETFL, fcntl

        self.number, self.path = number, path
        self.flags = fcntl(number, F_GETFL)
        self.inheritable = os.get_inheritable(number)

    def open(self):
        try:
            fresh = os.open(self.path, self.flags & (os.O_ACCMODE | os.O_NONBLOCK) | os.O_CLOEXEC)
            os.dup2(fresh, self.number, self.inheritable)
        except OSError as error:
            raise Failed(f"open '{self.path}' again: {error.strerror}") from None
        os.close(fresh)


class Libc:
    """The few calls that os has not."""

    def __init__(self):
        library = _ctypes.dlopen(None, 0)
        self.addresses = {name: _ctypes.dlsym(library, name) for name in ("prctl", "capset", "syscall")}
        self.no_capabilities = CAPABILITY_VERSION_3.to_bytes(4, sys.byteorder) + bytes(4), bytes(24)
        self.scopes = bytes(16) + LANDLOCK_SCOPES.to_bytes(8, sys.byteorder)  # struct landlock_ruleset_attr
        self.landlock_abi = self.call("syscall", LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_VERSION)

    def call(self, name, *arguments):
        """Integers are C ints, bytes are pointers to them, None is NULL."""
        return _ctypes.call_function(self.addresses[name], arguments)


libc = None


def can_be_made():
    return _ctypes is not None and hasattr(_ctypes, "call_function")


def prepare():
    global libc
    libc = Libc()


def become(worker, socket, order):
    """Ends the process when a step fails, and tells faasd which. `socket` is the object for the worker's descriptor, whatever is behind it."""
    log = -1
    os.dup2(order.fds[0], worker.connection.fd, inheritable=False)
    os.set_blocking(worker.connection.fd, True)
    os.close(order.fds[0])
    try:
        join_groups(order.fds[1:])
        log = make_log()
        if order.slot != SAME_ROOT:
            enter_root(order.slot)
        for file in reopened:
            file.open()
        shut_siblings_out()
        leave_session()
        reseed(order.random)
        run_hooks()
    except BaseException as error:
        fail(socket, error, log)
    flush_streams()
    say(socket, frames.HEAD.pack(0, frames.READY, 0, 0), log)
    os.close(log)
    socket.detach()


def join_groups(fds):
    for number, fd in enumerate(fds, 1):
        try:
            os.write(fd, b"0")
        except OSError as error:
            raise Failed(f"join the child's cgroup {number}: {error.strerror}") from None
        os.close(fd)


def make_log():
    """Made here, not by faasd: who opens /dev/stderr again must own the pipe."""
    read_end, write_end = os.pipe()
    os.dup2(write_end, 1)
    os.dup2(write_end, 2)
    os.close(write_end)
    return read_end


def enter_root(slot):
    root = f"/run/slots/{slot}"
    try:
        os.chroot(root)
        os.chdir(TASK_ROOT)
    except OSError as error:
        raise Failed(f"enter the root '{root}': {error.strerror}") from None
    space = os.statvfs("/tmp")
    if 0 < space.f_files <= space.f_ffree + 1:
        return  # the root is one inode: nothing is there. A tmpfs without limits counts none.
    from _faasd import clean

    try:
        clean.empty("/tmp")
    except OSError as error:
        raise Failed(f"empty '/tmp' of the root '{root}': {error.strerror}") from None


def shut_siblings_out():
    if libc.call("capset", *libc.no_capabilities) != 0 and has_capabilities():
        raise Failed("drop capabilities: capset(2) failed")
    if libc.call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise Failed("become undumpable: prctl(2) failed")
    if libc.landlock_abi < LANDLOCK_ABI_SCOPES:
        return  # faasd then keeps one child at a time
    # A domain of its own: one inherited from the template would hold its siblings as well.
    ruleset = libc.call("syscall", LANDLOCK_CREATE_RULESET, libc.scopes, len(libc.scopes), 0)
    if ruleset < 0 or libc.call("syscall", LANDLOCK_RESTRICT_SELF, ruleset, 0) != 0:
        raise Failed("enter a Landlock domain of its own: the kernel refused")
    os.close(ruleset)


def has_capabilities():
    """Where there are none to drop, the call may be refused."""
    with open("/proc/self/status", "rb") as file:
        return any(line.startswith((b"CapPrm:", b"CapEff:", b"CapInh:")) and int(line.split()[1], 16) for line in file)


def leave_session():
    """Timers and pending signals stay behind by fork(2) itself; umask and ignored signals were put right in the template."""
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    os.setsid()


# -- randomness --


def reseed(random_bytes):
    """Everything that would go on from the template's state. urandom, and with it `secrets`, has none; what the function made by itself needs a hook."""
    number = int.from_bytes(random_bytes, "little") ^ int.from_bytes(os.urandom(32), "little")
    seed = number.to_bytes(32, "little")
    call("random", "seed", number)
    call("_ssl", "RAND_add", seed, 0.0)
    call("numpy.random", "seed", list(unpack("=8I", seed)))
    if hasattr(sys.modules.get("_uuid"), "generate_time_safe"):
        del sys.modules["_uuid"].generate_time_safe  # libuuid's generator, whose clock may have been copied: for who imports uuid from here on
    if hasattr(sys.modules.get("uuid"), "_last_timestamp"):
        reseed_uuid(sys.modules["uuid"], seed)
    if hasattr(sys.modules.get("tempfile"), "_name_sequence"):
        sys.modules["tempfile"]._name_sequence = None


def call(module, name, *arguments):
    """If it is loaded and the one that is meant, not a file of the function with its name."""
    function = getattr(sys.modules.get(module), name, None)
    if function:
        function(*arguments)


def reseed_uuid(uuid, seed):
    """uuid1() of two children in the same tick must differ: another node for each, and no generator of libuuid's, whose clock was copied."""
    for name in UUID_CLOCKS:
        if hasattr(uuid, name):
            setattr(uuid, name, None)
    if hasattr(uuid, "_last_counter_v7"):
        uuid._last_counter_v7 = 0
    uuid._generate_time_safe = None
    uuid._node = int.from_bytes(seed[:6], "big") | 1 << 40  # RFC 9562, 6.10: a random node is marked as a multicast address


# -- hooks, and the first frame --


def run_hooks():
    for hook in hooks:
        hook()


def flush_streams():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass


def say(socket, data, log):
    """A frame whose first byte brings the log's read end."""
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, log.to_bytes(4, sys.byteorder))] if log >= 0 else []
    sent = socket.sendmsg([data], rights, _socket.MSG_NOSIGNAL)
    if sent < len(data):
        socket.sendall(data[sent:])


def fail(socket, error, log):
    from _faasd import errors, values

    report = errors.Report("ForkFailed", str(error)) if isinstance(error, Failed) else errors.Report.of_handler(error)
    flush_streams()
    if log >= 0:
        report.log()
    say(socket, frames.pack_error(0, errors.word(report.kind), errors.encode(report.message), values.dump(report.trace)), log)
    os._exit(1)
