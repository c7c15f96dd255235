# SPDX-License-Identifier: Apache-2.0
"""What failing calls once did to faasd, each by the call that did it: whatever call of that name fails, how often as a host may make it fail."""

import os
import re
import shutil
import subprocess
import tarfile
import time

import pytest

from faults import CHILD, COUNT, FAIL, FORKED, GATEWAY, MEMORY, PROGRAM, SUPERVISOR, THREAD, Daemon
from harness import HELLO, wait_until, within
from leftovers import descendants
from scenes import CONFIG, SCENES, Dropped, Told, ask, native, reload, set_up
from test_start import look_at_limits, stop

TURNS = 40
STARTS = 120
LAST = 12  # calls of a start


@pytest.fixture(scope="module")
def daemon():
    with Daemon(CONFIG) as daemon:
        set_up(daemon)
        yield daemon


def in_turn(daemon, roles, only, error=0, scene="native"):
    """(number, outcome, lines logged) of each call of that name in the scene, which fails."""
    for number in range(1, TURNS + 1):
        wait_until(lambda: not daemon.sandbox_pids(), "nothing is warm")
        lines = len(daemon.log)
        daemon.faults.arm(FAIL, roles=roles, only=only, number=number, error=error)
        try:
            outcome = SCENES[scene](daemon)
        except (Told, Dropped) as e:
            outcome = e
        # what the supervisor does behind the reply
        wait_until(lambda: daemon.faults.fired or not daemon.sandbox_pids(), "all calls were made")
        daemon.faults.disarm()
        if not daemon.faults.fired:
            assert number > 1, f"{only} is not called"
            return
        yield number, outcome, daemon.log[lines:]


def starts_in_turn(daemon, roles, only, error=0):
    """(number, whether it came up) of each call of that name in a start, which fails; it is ended behind."""
    for number in range(1, TURNS + 1):
        daemon.faults.arm(FAIL, roles=roles, only=only, number=number, error=error)
        daemon.start(expect_ready=False)
        assert daemon.ready.wait(within(20)), daemon.log_text()
        daemon.faults.disarm()
        came_up = bool(daemon.ready_line)
        if not daemon.faults.fired:
            assert number > 1, f"{only} is not called"
        else:
            yield number, came_up
        assert (stop(daemon) if came_up else daemon.process.wait(within(20))) == (0 if came_up else 1), (number, daemon.log_text())
        if not came_up:
            assert any("error:" in line for line in daemon.log), daemon.log_text()
        if not daemon.faults.fired:
            return


# The gateway was taken for one that had been taken over, killed, and all sandboxes with it.
@pytest.mark.row("X2")
@pytest.mark.parametrize("role", [SUPERVISOR, GATEWAY])
@pytest.mark.parametrize("call", ["recvmsg", "sendmsg"])
def test_memory_that_the_kernel_lacks_for_a_message_between_them_is_waited_for(daemon, call, role):
    gateway = daemon.gateway_pid()
    for number, outcome, said in in_turn(daemon, role, call):
        assert daemon.gateway_pid() == gateway, (number, said)
        assert not isinstance(outcome, Dropped), (number, outcome)


# It was taken for the function's crash (502).
@pytest.mark.row("X2")
def test_descriptors_that_are_under_way_by_the_thousand_are_a_shortage(daemon):
    for number, outcome, said in in_turn(daemon, SUPERVISOR, "sendmsg", 2):  # ETOOMANYREFS
        assert outcome == native(daemon) or "503 NoCapacity" in str(outcome), (number, outcome, said)


# The supervisor aborted.
@pytest.mark.row("X2")
@pytest.mark.parametrize("call", ["setns", "fchdir", "chroot"])
def test_the_way_home_from_a_sandbox_s_namespaces_is_tried_again(daemon, call):
    gateway = daemon.gateway_pid()
    for number, outcome, said in in_turn(daemon, SUPERVISOR, call):
        assert daemon.process.poll() is None and daemon.gateway_pid() == gateway, (number, said)
        assert not isinstance(outcome, Dropped), (number, outcome)


# libev stops a watcher whose descriptor the kernel does not take: a sandbox's end was never seen, a connection never read.
@pytest.mark.row("X2")
@pytest.mark.parametrize("role", [SUPERVISOR, GATEWAY])
@pytest.mark.parametrize("error", [0, 1])
def test_what_epoll_refuses_once_is_watched_all_the_same(daemon, role, error):
    began = time.monotonic()
    for number, outcome, _ in in_turn(daemon, role, "epoll_ctl", error):
        took = time.monotonic() - began
        assert outcome == native(daemon), (number, outcome, daemon.faults.failed())
        assert took < within(1.5), (number, took)
        wait_until(lambda: not daemon.sandbox_pids(), "its sandbox's end was seen", within(5))
        began = time.monotonic()


# libev aborts.
@pytest.mark.row("X1")
def test_memory_that_the_event_loop_needs_comes_from_its_reserve():
    with Daemon(CONFIG) as daemon:
        set_up(daemon)
        gateway, connections, met = daemon.gateway_pid(), [], 0
        while met < 3:
            daemon.faults.arm(FAIL, roles=GATEWAY, only="realloc", number=1)
            connections.append(daemon.connect())  # each takes a place in the loop's tables, which grow
            assert ask(lambda: daemon.control("GET", "/healthz")).status == 200
            daemon.faults.disarm()
            met += daemon.faults.fired and "allocate" in daemon.faults.failed()
            assert len(connections) < 2000, "its tables do not grow"
        for connection in connections:
            connection.close()
        assert native(daemon) and daemon.gateway_pid() == gateway, daemon.log_text()


@pytest.mark.row("X1")
def test_a_gateway_whose_event_loop_has_no_memory_at_all_says_so_and_is_replaced():
    with Daemon(CONFIG) as daemon:
        set_up(daemon)
        gateway = daemon.gateway_pid()
        daemon.faults.arm(FAIL, roles=GATEWAY, only="realloc", number=1, length=1 << 30)
        connections = []

        def is_replaced():
            connections.append(daemon.connect())  # each takes a place in the loop's tables, which grow
            return daemon.gateway_pid() not in (gateway, None)

        wait_until(is_replaced, "there is another gateway")
        daemon.faults.disarm()
        for connection in connections:
            connection.close()
        assert any("there is no memory for the event loop" in line for line in daemon.log), daemon.log_text()
        assert any("the gateway died (exit status 1)" in line for line in daemon.log), daemon.log_text()
        wait_until(lambda: native_or_none(daemon), "the new one serves")


def native_or_none(daemon):
    try:
        return native(daemon)
    except (Told, Dropped):
        return None


# The request waited for queue_timeout and was told that max_concurrency was reached.
@pytest.mark.row("X1")
def test_a_start_for_which_the_gateway_lacks_memory_is_tried_again(daemon):
    began = time.monotonic()
    turns = 0
    for turns, (_, outcome, _) in enumerate(in_turn(daemon, GATEWAY, "calloc"), 1):
        assert outcome == native(daemon) or "memory" in str(outcome), outcome
    assert time.monotonic() - began < within(2 * turns)


# It was told that an entry of the configuration had no end.
@pytest.mark.row("X1")
def test_a_reload_without_memory_is_told_as_that(daemon):
    for _, outcome, said in in_turn(daemon, GATEWAY, "realloc", scene="reload"):
        assert outcome == "reloaded" or "ENOMEM" in str(outcome), said
    assert reload(daemon) == "reloaded"


# A process that nobody waited for was left.
@pytest.mark.row("X2")
def test_a_reader_of_the_configuration_that_can_not_be_watched_is_waited_for(daemon):
    held = len(descendants(daemon.pid))
    for _, outcome, said in in_turn(daemon, SUPERVISOR, "pidfd_open", scene="reload"):
        assert isinstance(outcome, Told) and "EMFILE" in str(outcome), said
    assert len(descendants(daemon.pid)) <= held
    assert reload(daemon) == "reloaded"


# The reply was cut where the read failed, and had status 200.
@pytest.mark.row("X2")
def test_a_program_s_output_that_can_not_be_read_is_no_shorter_output(daemon):
    whole = SCENES["program"](daemon)
    for error in range(2):
        for number, outcome, _ in in_turn(daemon, GATEWAY, "read", error, scene="program"):
            assert outcome == whole or isinstance(outcome, (Told, Dropped)), (number, outcome)


# Whoever asked was told that nobody listened (EPIPE).
@pytest.mark.row("X2")
@pytest.mark.parametrize("call", ["sethostname", "setrlimit", "setsid"])
def test_what_fails_in_a_sandbox_before_it_is_let_go_is_told(daemon, call):
    for _, outcome, _ in in_turn(daemon, CHILD, call):
        assert isinstance(outcome, Told) and "EPERM" in str(outcome) and "EPIPE" not in str(outcome), outcome


# The daemon served on, and its sandboxes were without what that hierarchy limits.
@pytest.mark.row("X2")
@pytest.mark.parametrize("call", ["open", "openat", "mkdirat"])
def test_a_control_group_that_can_not_be_opened_at_the_start_is_told_and_not_served_without(call):
    ended = 0
    with Daemon(CONFIG) as daemon:
        set_up(daemon)
        daemon.deploy("held", HELLO, "--runtime", "native")
        daemon.stop()
        for number in range(1, STARTS + 1):
            daemon.faults.arm(FAIL, roles=SUPERVISOR, only=call, number=number)
            daemon.start(expect_ready=False)
            assert daemon.ready.wait(within(20)), daemon.log_text()
            daemon.faults.disarm()
            if daemon.ready_line:
                assert look_at_limits(daemon) == [], (number, daemon.faults.failed(), daemon.log_text())
                assert daemon.stop() == 0
            else:
                assert daemon.process.wait(within(20)) == 1
                ended += any("--allow-degraded serves without" in line for line in daemon.log)
            if not daemon.faults.fired:
                break
        daemon.start()
    assert ended


# The supervisor waited for a child that waited for it; a gateway whose greeting had failed went on and was given a minute for it.
@pytest.mark.row("X2")
@pytest.mark.parametrize("role,call", [(CHILD, "write"), (GATEWAY, "sendmsg")])
def test_a_start_that_can_not_be_told_of_ends(role, call):
    ended = 0
    with Daemon(CONFIG) as daemon:
        daemon.stop()
        daemon.faults.arm(COUNT, roles=role, only=call, error=1)
        daemon.start()
        calls = daemon.faults.seen
        daemon.stop()
        for number in range(max(1, calls - LAST), calls + 1):
            daemon.faults.arm(FAIL, roles=role, only=call, number=number, error=1)
            daemon.start(expect_ready=False)
            assert daemon.ready.wait(within(20)), (number, daemon.faults.failed(), daemon.log_text())
            daemon.faults.disarm()
            if daemon.ready_line:
                assert daemon.stop() == 0
            else:
                assert daemon.process.wait(within(20)) == 1
                assert any("error:" in line for line in daemon.log)
                ended += 1
        daemon.start()
    assert ended


# It served where nobody was told, or no signal ever stopped it.
@pytest.mark.row("X2")
@pytest.mark.parametrize("role,call,errors", [(SUPERVISOR, "getsockname", 1), (SUPERVISOR, "epoll_ctl", 2), (GATEWAY, "epoll_ctl", 2)])
def test_a_daemon_that_came_up_says_where_it_listens_and_ends_when_it_is_told(role, call, errors):
    ended = 0
    with Daemon(CONFIG) as daemon:
        daemon.deploy("hello", HELLO, "--runtime", "native")
        daemon.stop()
        for error in range(errors):
            for number, came_up in starts_in_turn(daemon, role, call, error):
                ended += not came_up
                if came_up:
                    assert daemon.port and native(daemon), (number, daemon.faults.failed(), daemon.log_text())
        daemon.start()
    assert ended


# Listings that broke off were taken for whole ones (readdir(3): NULL and errno).

# Descriptors beyond were not looked at.
@pytest.mark.row("X2")
def test_a_sandbox_is_not_judged_by_a_part_of_its_descriptors(daemon):
    for number, outcome, said in in_turn(daemon, FORKED, "readdir", scene="deploy"):
        assert isinstance(outcome, Told) and "list descriptors" in str(outcome), (number, outcome, said)


# It was made a state directory.
@pytest.mark.row("X2")
def test_a_directory_of_somebody_else_s_is_not_taken_for_an_empty_one():
    with Daemon(CONFIG) as daemon:
        daemon.stop()
        state = daemon.root / "state"
        shutil.rmtree(state)
        state.mkdir()
        (state / "letters").write_text("mine")
        for number, came_up in starts_in_turn(daemon, SUPERVISOR, "readdir"):
            assert not came_up and os.listdir(state) == ["letters"], number


# Groups and trees of a former daemon stayed, without a word.
@pytest.mark.row("X2")
def test_what_a_former_daemon_left_is_seen_whole_or_the_start_ends():
    with Daemon(CONFIG) as daemon:
        daemon.stop()
        for number, came_up in starts_in_turn(daemon, SUPERVISOR, "readdir"):
            assert not came_up or not any(name in daemon.faults.failed() for name in ("sweep_directory", "state_sweep_staging")), number


# The database was made anew as if there had never been one, and the code thrown away.
@pytest.mark.row("X2")
def test_code_whose_database_is_lost_is_seen_whole_or_the_gateway_ends():
    with Daemon(CONFIG) as daemon:
        daemon.deploy("hello", HELLO, "--runtime", "native")
        daemon.stop()
        state = daemon.root / "state"
        code, place = sorted(os.listdir(state / "versions")), state / "db"

        def lose():
            for path in place.glob("faasd.db*"):
                path.unlink()

        lose()
        for number, came_up in starts_in_turn(daemon, GATEWAY | THREAD, "readdir"):
            assert sorted(os.listdir(state / "versions")) == code, number
            assert not came_up or any("is missing or empty, but there is code" in line for line in daemon.log), (number, daemon.log_text())
            lose()


# It was there, with status 0, and some of the databases were not in it.
@pytest.mark.row("X2")
def test_a_backup_has_every_database_or_is_none():
    with Daemon(CONFIG) as daemon:
        set_up(daemon)
        SCENES["queue"](daemon)
        daemon.stop()

        def back_up():
            archive = daemon.root / "all.tar"
            archive.unlink(missing_ok=True)
            done = subprocess.run([PROGRAM, "backup", archive, "--root", daemon.root], env={**os.environ, **daemon.variables}, capture_output=True, text=True)
            return done, {name for name in tarfile.open(archive).getnames() if name.endswith(".db")} if archive.exists() else None

        good = back_up()[1]
        assert len(good) > 1, good
        for number in range(1, TURNS + 1):
            daemon.faults.arm(FAIL, only="readdir", number=number)
            done, databases = back_up()
            daemon.faults.disarm()
            if done.returncode == 0:
                assert databases == good, (number, daemon.faults.failed())
            else:
                assert "EIO" in done.stderr and databases is None, done.stderr
            if not daemon.faults.fired:
                break
        assert number > 1


# Until the next start sandboxes were without /bin, or an entry of /etc.
@pytest.mark.row("X2")
@pytest.mark.parametrize("call", ["lstat", "readlink", "glob"])
def test_sandboxes_have_what_the_host_has_or_the_start_ends(call):
    with Daemon(CONFIG) as daemon:
        daemon.deploy_script("list", "#!/usr/bin/sh\ncd /\n/usr/bin/ls -d * etc/*\n")
        good = daemon.invoke("list", b"").body
        assert b"bin" in good and b"etc/" in good
        daemon.stop()
        for number, came_up in starts_in_turn(daemon, SUPERVISOR, call):
            assert not came_up or daemon.invoke("list", b"").body == good, (number, daemon.faults.failed())


# A stored function was not served until the next start.
@pytest.mark.row("X1")
def test_a_start_without_memory_for_a_stored_function_serves_it_or_ends():
    with Daemon(CONFIG) as daemon:
        daemon.deploy("hello", HELLO, "--runtime", "native")
        daemon.stop()
        daemon.faults.arm(COUNT, roles=GATEWAY, only="calloc")
        daemon.start()
        calls = daemon.faults.seen
        daemon.stop()
        for number in range(max(1, calls - 4 * LAST), calls + 1):
            daemon.faults.arm(FAIL, roles=GATEWAY, only="calloc", number=number)
            daemon.start(expect_ready=False)
            assert daemon.ready.wait(within(20)), daemon.log_text()
            daemon.faults.disarm()
            if daemon.ready_line:
                assert native(daemon)
                assert daemon.stop() == 0
            else:
                assert daemon.process.wait(within(20)) == 1
                assert any("error:" in line for line in daemon.log)
        daemon.start()


# A lock that the kernel did not give back was never given back: each later change waited ten seconds for it and was refused ("locking protocol").
@pytest.mark.row("X2")
@pytest.mark.parametrize("error", range(4))
def test_a_database_s_lock_that_is_not_given_back_at_once_is_asked_back_again(daemon, error):
    for number, _, said in in_turn(daemon, THREAD, "fcntl", error, scene="secret"):
        assert SCENES["secret"](daemon) == "set", (number, said)


# The supervisor had the new configuration, the gateway the former one.
@pytest.mark.row("X2")
@pytest.mark.parametrize("role,call", [(GATEWAY, "malloc"), (GATEWAY, "read"), (SUPERVISOR, "memfd_create"), (SUPERVISOR, "sendmsg")])
def test_a_reload_is_in_use_in_both_processes_or_in_neither(role, call):
    with Daemon(CONFIG) as daemon:
        for number in range(1, TURNS + 1):
            daemon.write_config({**CONFIG, "drain": "1s"})
            daemon.start() if number > 1 else None
            daemon.write_config({**CONFIG, "drain": "2s"})
            daemon.faults.arm(FAIL, roles=role, only=call, number=number)
            try:
                outcome = reload(daemon)
            except Told:
                outcome = "told"
            daemon.faults.disarm()
            drain = daemon.cli("config", "show", "--daemon").out
            drain = re.search(r"^drain +\S+ +(\S+)", drain, re.M).group(1)
            assert daemon.stop() == 0
            assert drain == ("2s" if outcome == "reloaded" else "1s")
            assert any(f"what runs has {2000 if outcome == 'reloaded' else 1000} ms to end" in line for line in daemon.log), daemon.log_text()
            if not daemon.faults.fired:
                break
        assert number > 1, f"{call} is not called"
        daemon.start()


# It was lost, and with it why a start had failed.
@pytest.mark.row("X3")
@pytest.mark.parametrize("call", ["send", "write"])
def test_a_line_of_the_log_whose_writing_is_interrupted_is_written(daemon, call):
    error = {"send": 3, "write": 3}[call]  # EINTR
    for _ in in_turn(daemon, SUPERVISOR | GATEWAY, call, error, scene="reload"):
        pass


# The request failed as if its function had crashed (502), though none had begun: a queued call waited a minute for its next attempt.
@pytest.mark.row("X2")
@pytest.mark.parametrize("error", [0, 2], ids=["ENOBUFS", "ETOOMANYREFS"])
def test_a_program_that_can_not_be_asked_for_at_the_moment_has_not_crashed(daemon, error):
    for number, outcome, _ in in_turn(daemon, GATEWAY, "sendmsg", error, scene="program"):
        assert outcome == "x" * 20000 or "503 NoCapacity" in str(outcome) or isinstance(outcome, Dropped), (number, outcome)


# Of some there was no Retry-After.
@pytest.mark.row("X1")
@pytest.mark.parametrize("path", ["/v1/calls", "/v1/functions", "/v1/invocations", "/v1/tokens", "/v1/secrets", "/v1/system", "/metrics", "/v1/config"])
def test_out_of_memory_is_503_with_when_to_come_back(daemon, path):
    for roles in (GATEWAY, THREAD):
        for number in range(1, TURNS + 1):
            daemon.faults.arm(FAIL, roles=roles, kinds=MEMORY, number=number)
            try:
                ask(lambda: daemon.control("GET", path))  # it looks
            except (Told, Dropped):
                pass
            daemon.faults.disarm()
            if not daemon.faults.fired:
                break
