# SPDX-License-Identifier: Apache-2.0
"""The process that instances are forked from. It has run the function's init code and never sees a request: all it reads is FORK frames. Where faasd has no room for a
child beside it, its first frame is an INVOKE: then it is a worker as any other."""
import gc
import os
import sys

import _signal
import _socket
from _struct import Struct
from _faasd import child, frames

ORDER = Struct("<II32s")  # struct faasd_fork
ORDER_HEAD = (ORDER.size, frames.FORK, 0, 0)
ORDER_SIZE = frames.HEAD_SIZE + ORDER.size
FDS_MAX = 8
CONTROL_SIZE = _socket.CMSG_SPACE(4 * (FDS_MAX + 1))

STATELESS = ("/dev/null", "/dev/random", "/dev/urandom")
IGNORED_BY_PYTHON = {_signal.SIGPIPE, _signal.SIGXFSZ}


# -- may this process be forked? --


def why_not(worker):
    """Nothing when it may; else the reason, for `faasd describe`."""
    if not child.can_be_made():
        return "this Python has no ctypes, by which a child gives up its privileges"
    try:
        return threads() or descriptors(worker.connection.fd) or shared_memory() or files(worker.tmp)
    except OSError as error:
        return f"what runs and is open after init can't be seen: {error}"


def threads():
    """fork(2) takes one thread along: the locks that others hold would stay locked for ever."""
    tasks = os.listdir("/proc/self/task")
    if len(tasks) == 1:
        return ""
    threading = sys.modules.get("threading")
    names = [t.name for t in threading.enumerate() if t is not threading.main_thread()] if threading else []
    if not names:
        names = [read_line(f"/proc/self/task/{task}/comm") for task in tasks if int(task) != os.getpid()]
    return printable(f"{len(tasks)} threads are running after init: {', '.join(names)}")


def descriptors(own):
    """Whatever else is open, children would share: one offset, one connection, one epoll set for all. Only what has none of these is opened again by each of
    them: libraries keep /dev/urandom (AWS's awscrt, which boto3 imports where it is there)."""
    child.reopened.clear()
    for number in sorted(map(int, os.listdir("/proc/self/fd"))):
        if number in (0, 1, 2, own):
            continue
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue  # the directory that was just listed
        if target not in STATELESS or not is_device(number):
            return printable(f"descriptor {number} is open after init: {target}")
        child.reopened.append(child.Reopened(number, target))
    return ""


def is_device(number):
    return os.fstat(number).st_mode & 0o170000 == 0o020000


def shared_memory():
    """mmap.mmap(-1, n) and multiprocessing.Value: what one instance writes, its siblings would read."""
    with open("/proc/self/maps", "rb") as file:
        for line in file:
            words = line.split(None, 5)
            if words[1].startswith(b"rw") and words[1].endswith(b"s"):
                name = words[5].decode("utf-8", "replace").strip() if len(words) > 5 else "anonymous"
                return printable(f"writable memory is shared after init: {name}")
    return ""


def files(directory):
    """Each child has a /tmp of its own: it would not find what init wrote."""
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return ""
    return printable(f"init left files in {directory}: {', '.join(names[:5])}") if names else ""


def read_line(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.readline().strip()


def printable(text):
    return "".join(c if c.isprintable() else "?" for c in text)


# -- getting ready for it --


def prepare(worker):
    """What can be done once is not left to the children."""
    from _faasd import clean, errors  # noqa: F401 - what a child may need; its root need not show these files

    if worker.is_async:
        import asyncio  # noqa: F401
    child.prepare()
    settle()
    gc.collect()
    gc.freeze()  # a collection in a child would write to, and so copy, every page that has an object


def settle():
    """What init may have left that is no part of the program's state. Handlers of signals stay: they are code of the function."""
    for timer in (_signal.ITIMER_REAL, _signal.ITIMER_VIRTUAL, _signal.ITIMER_PROF):
        _signal.setitimer(timer, 0)
    os.umask(0o022)
    for number in _signal.valid_signals():
        if number not in IGNORED_BY_PYTHON and _signal.getsignal(number) == _signal.SIG_IGN:
            _signal.signal(number, _signal.SIG_DFL)


# -- forking --


class Order:
    """What one FORK frame asks for: the child's socket, the files by which it joins its groups, its root, its randomness."""

    def __init__(self, slot, random, fds):
        self.slot = slot
        self.random = random
        self.fds = fds

    def close(self):
        for fd in self.fds:
            os.close(fd)


def serve(worker):
    """Forks whenever it is told to. Returns in the children, each a worker of its own, or at once when it is to serve by itself."""
    receiver = _socket.socket(fileno=worker.connection.fd)
    if is_request(receiver):
        receiver.detach()
        return
    child_end = _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)  # it wakes nobody
    children = {}
    while True:
        order = read_order(receiver)
        if order is None:
            os._exit(0)
        wait_for_last(children, order.slot)
        worker.forking = True
        try:
            pid = os.fork()
        except OSError as error:
            refuse(order, f"fork: {error.strerror}")
            continue
        finally:
            worker.forking = False
        if pid == 0:
            if child_end is not None:
                _signal.signal(_signal.SIGCHLD, child_end)
            child.become(worker, receiver, order)
            return
        children[order.slot] = pid
        order.close()


def wait_for_last(children, slot):
    """Until it is waited for a dead child's status can be read by who looks for it from outside. That has happened when its slot is given to another. One that is
    still ending then is kept by its own number."""
    for place, pid in list(children.items()):
        if (place == slot or place == ("late", pid)) and os.waitpid(pid, os.WNOHANG)[0]:
            del children[place]
    if slot in children:
        pid = children.pop(slot)
        children["late", pid] = pid


def is_request(receiver):
    """Whether the first frame is an INVOKE. It stays in the socket."""
    head = receiver.recv(frames.HEAD_SIZE, _socket.MSG_PEEK | _socket.MSG_WAITALL)
    return len(head) == frames.HEAD_SIZE and frames.HEAD.unpack(head)[1] == frames.INVOKE


def read_order(receiver):
    """Never reads past one frame: what belongs to the next, its descriptors included, stays in the socket. None at the end of the stream."""
    data, fds = b"", []
    while len(data) < ORDER_SIZE:
        piece, control, flags, _ = receiver.recvmsg(ORDER_SIZE - len(data), CONTROL_SIZE, _socket.MSG_CMSG_CLOEXEC)
        if not piece:
            if not data:
                return None
            raise frames.Broken("the connection ended inside a frame")
        data += piece
        for level, kind, payload in control:
            if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
                fds += [int.from_bytes(payload[i : i + 4], sys.byteorder) for i in range(0, len(payload) - len(payload) % 4, 4)]
        if flags & _socket.MSG_CTRUNC or len(fds) > FDS_MAX:
            raise frames.Broken("a FORK frame with too many descriptors")
        if len(data) >= frames.HEAD_SIZE and frames.HEAD.unpack_from(data) != ORDER_HEAD:
            break  # the rest may never come
    slot, reserved, random = ORDER.unpack_from(data, frames.HEAD_SIZE) if len(data) == ORDER_SIZE else (0, 1, b"")
    if reserved or not fds or not is_socket(fds[0]):
        raise frames.Broken("a template takes FORK frames only: 40 bytes, id 0, and the child's socket first")
    return Order(slot, random, fds)


def is_socket(fd):
    return os.fstat(fd).st_mode & 0o170000 == 0o140000


def refuse(order, message):
    try:
        os.write(order.fds[0], frames.pack_error(0, b"ForkFailed", message.encode(), b""))
    except OSError:
        pass
    order.close()
