# SPDX-License-Identifier: Apache-2.0
"""What once went wrong: one test per fault, with the mechanism in its docstring."""

import pathlib
import shutil

import pytest

from harness import Faasd


@pytest.fixture(scope="module")
def faasd():
    with Faasd() as running:
        yield running


@pytest.mark.row("P13")
def test_an_event_is_not_executable(faasd):
    """stdin was a memory file as the kernel makes them, mode 0777, and made outside the sandbox, where vm.memfd_noexec=2 does not reach: whoever may
    invoke could send a program and a handler could be made to execute it as /proc/self/fd/0, past /tmp's noexec."""
    faasd.deploy_script("runs-its-event", "#!/bin/sh\nexec /proc/self/fd/0 executed 2>&1\n")
    reply = faasd.invoke("runs-its-event", pathlib.Path(shutil.which("echo")).read_bytes())
    assert reply.error == "FunctionError" and b"executed\n" not in reply.body, reply
    faasd.deploy_script("reads-its-event-again", "#!/bin/sh\ncat; cat /dev/stdin\n")
    assert faasd.invoke("reads-its-event-again", b"twice ").body == b"twice twice "


WATCH = """#!/usr/bin/python3
import ctypes, fcntl, os
libc = ctypes.CDLL(None, use_errno=True)
for make in ("inotify_init", "inotify_init1"):
    print(make, "made" if getattr(libc, make)(0) >= 0 else os.strerror(ctypes.get_errno()))
try:
    fcntl.fcntl(os.open("/usr/bin", os.O_RDONLY), fcntl.F_NOTIFY, fcntl.DN_ACCESS)
    print("F_NOTIFY watched")
except OSError as error:
    print("F_NOTIFY", error.strerror)
"""


@pytest.mark.row("K22")
def test_a_function_can_not_watch(faasd):
    """/usr is the host's own, and inotify and dnotify tell of an inode, whatever mount it is reached by: a watch on /usr/bin named each program that the host and other
    functions started, with the time. And the kernel counts inotify's instances and watches for whoever made the user namespace as well (user_namespaces(7)): one function that
    opened 128 left none to root, whose service manager lives on them."""
    faasd.deploy_script("watch", WATCH)
    reply = faasd.invoke("watch")
    assert reply.body.decode().splitlines() == ["inotify_init Function not implemented", "inotify_init1 Function not implemented", "F_NOTIFY Invalid argument"], reply
