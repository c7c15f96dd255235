# SPDX-License-Identifier: Apache-2.0
"""network: egress: out to the Internet, and nowhere else; in a small internet of namespaces (network.py). Rows N5, N6 and N7 of the attack catalogue."""

import ctypes
import json
import os
import pathlib
import re
import signal
import socket
import subprocess

import pytest

from harness import Faasd, wait_until, within
from network import (ECHO_PORT, HOST_ADDRESS, METADATA, MUTE_PORT, NAME_SERVER, OTHER_PUBLIC, PRIVATE, PUBLIC, PUBLIC_OF_HOST, THIRD_PUBLIC, UDP_PORT, Internet, enter)

PROGRAM = pathlib.Path(__file__).parent / "programs" / "egress.py"
FRONT = 8099  # a door of faasd's on every address of its host
UNREACHABLE = "EHOSTUNREACH"  # refused by the router, which says so
GATEWAY = "100.64.0.1"
NAMES = {
    "one.example": {"a": [PUBLIC], "ttl": 30},
    "two.example": {"a": [OTHER_PUBLIC, PUBLIC], "ttl": 30},
    "alias.example": {"cname": "one.example"},
    "api.wide.example": {"a": [THIRD_PUBLIC]},
    "wide.example": {"a": [THIRD_PUBLIC]},
    "rebind.example": {"a": [METADATA]},
    "mixed.example": {"a": [METADATA, "10.1.2.3", PUBLIC, "127.0.0.1", PUBLIC_OF_HOST]},
    "private.example": {"a": ["10.1.2.3"]},
    "other-private.example": {"a": ["192.168.9.9"]},
    "empty.example": {"a": []},
    "broken.example": {"rcode": 2},
    "silent.example": {"silent": True},
    "garbage.example": {"raw": "8180000100ff0000000007676172"},
}


@pytest.fixture(scope="module")
def net():
    with Internet() as internet:
        internet.peer.ask(names=NAMES)
        yield internet


class Daemon(Faasd):
    """Its uplink goes with it, but the kernel takes a namespace apart when it comes to that, on a busy host seconds later. Whoever looks at the host next, as what it is to
    be again in the end, would see an interface that is about to go: so a daemon's end is that of its uplink."""

    def __init__(self, net, **options):
        super().__init__(**options)
        self.net = net

    def __exit__(self, kind, value, trace):
        super().__exit__(kind, value, trace)
        for uplink in re.findall(r"leave by the interface (faasd\d+)", self.log_text()):
            wait_until(lambda: uplink not in self.net.interfaces(), f"the end of {uplink}")


def daemon_in(net, egress=None, grants=None, resolv_conf=None, port=0, **config):
    settings = {"egress": {"dns": [NAME_SERVER], **(egress or {})}, "grants": {"network_egress": True, **(grants or {})}, **config}
    if resolv_conf:
        del settings["egress"]["dns"]
    return Daemon(net, config=settings, args=["--listen", f"0.0.0.0:{port}"], popen={"preexec_fn": enter(net.host, resolv_conf)})


@pytest.fixture(scope="module")
def faasd(net):
    with daemon_in(net, grants={"egress_private": ["10.1.0.0/16", PUBLIC_OF_HOST, HOST_ADDRESS]}, port=FRONT) as daemon:
        deploy(daemon, "open")
        yield daemon


def deploy(faasd, name, *allow, check=True, **env):
    options = [o for host in allow for o in ("--allow-host", host)]
    options += [o for key, value in {"TIMEOUT": "1.5", **env}.items() for o in ("--env", f"{key}={value}")]
    return faasd.deploy(name, PROGRAM, "--handler", "egress.handler", "--network", "egress", "--timeout", "60s", *options, check=check)


def attempt(faasd, name, *attempts):
    reply = faasd.request("POST", f"/function/{name}", body=json.dumps(attempts), socket_path=faasd.invoke_path, timeout=within(90))
    assert reply.status == 200, reply
    results = reply.json()
    return results[0] if len(attempts) == 1 else results


def asked_for(net, *names):
    """Which of these the name server was asked for since the last time. Not all it was: one whose answer was no good is asked for again, after its function has its error, too."""
    return {name for name, _ in net.peer.ask(seen=True)["names"]} & set(names)


def reached(address, port):
    return f"{address} {port} saw {HOST_ADDRESS}"


# ---- where it leads ----

def test_public_addresses_are_reached_under_the_hosts_own_address(faasd):
    assert attempt(faasd, "open", ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80)
    assert attempt(faasd, "open", ["tcp", THIRD_PUBLIC, 8443]) == reached(THIRD_PUBLIC, 8443)


def test_udp_reaches_public_addresses(faasd, net):
    net.peer.ask(seen=True)
    assert attempt(faasd, "open", ["udp", PUBLIC, UDP_PORT, 3, 100]) == 3
    came = {}

    def all_came():
        for port, (count, size) in net.peer.ask(seen=True)["udp"].items():
            before = came.get(port, (0, 0))
            came[port] = (before[0] + count, before[1] + size)
        return came.get(str(UDP_PORT)) == (3, 300)
    wait_until(all_came, "three datagrams")


@pytest.mark.row("N5")
@pytest.mark.parametrize("address", [METADATA, *PRIVATE.values()], ids=["metadata", *PRIVATE])
def test_N5_what_is_no_public_address_is_refused_at_once(faasd, net, address):
    """The probe shows OPEN outside: from the host itself each of them is reached."""
    outside = subprocess.run(["bash", "-c", f"exec 3<>/dev/tcp/{address}/80; head -n1 <&3"], capture_output=True, preexec_fn=enter(net.host),
                             timeout=within(20))
    assert outside.stdout.startswith(address.encode()) or address == "250.1.2.3", outside  # the kernel itself connects to no reserved address
    net.peer.ask(seen=True)
    assert attempt(faasd, "open", ["tcp", address, 80]) in (UNREACHABLE, "EINVAL", "ENETUNREACH")
    assert net.peer.ask(seen=True)["tcp"] == []


@pytest.mark.row("N5")
@pytest.mark.parametrize("address", [PUBLIC_OF_HOST, HOST_ADDRESS, "100.64.255.0", GATEWAY, "127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1"])
@pytest.mark.parametrize("port", [2222, FRONT])
def test_N5_no_address_of_the_host_is_reached_not_even_a_granted_one(faasd, net, address, port):
    """Something listens on each of them: the harness's own services, and faasd's front door."""
    deploy(faasd, "hostward", f"{PUBLIC_OF_HOST}:*", f"{HOST_ADDRESS}:*", "public")
    for function in ("open", "hostward"):
        net.host_peer.ask(seen=True)
        result = attempt(faasd, function, ["tcp", address, port])
        assert result in (UNREACHABLE, "timeout", "ECONNREFUSED", "ENETUNREACH", "EACCES", "EINVAL"), (function, result)
        assert net.host_peer.ask(seen=True)["tcp"] == []


def test_a_port_that_the_host_redirects_is_the_host_too(faasd, net):
    """As container engines publish ports: the host's address on the outside, a private one behind it."""
    rules = f"add table ip t; add chain ip t p {{ type nat hook prerouting priority dstnat; }}; add rule ip t p ip daddr {PUBLIC_OF_HOST} tcp dport 8443 dnat to 10.1.2.3:80"
    if subprocess.run(["nft", rules], preexec_fn=enter(net.host)).returncode:
        pytest.fail("nft is needed: apt-get install nftables")
    try:
        net.peer.ask(seen=True)
        assert attempt(faasd, "open", ["tcp", PUBLIC_OF_HOST, 8443]) == "timeout"
        assert net.peer.ask(seen=True)["tcp"] == []
    finally:
        subprocess.run(["nft", "delete table ip t"], check=True, preexec_fn=enter(net.host))


@pytest.mark.row("N5")
@pytest.mark.parametrize("address", ["::ffff:169.254.169.254", f"::ffff:{HOST_ADDRESS}", "::ffff:10.1.2.3"])
def test_N5_an_IPv4_address_within_IPv6_is_what_it_is(faasd, net, address):
    assert attempt(faasd, "open", ["six", address, 80]) == UNREACHABLE


def test_there_is_no_IPv6_inside(faasd):
    assert attempt(faasd, "open", ["six", f"::ffff:{PUBLIC}", 80]) == reached(PUBLIC, 80)
    assert attempt(faasd, "open", ["six", "2606:2800:220:1::1", 80], ["six", "fe80::1", 80], ["six", "fd00::1", 80]) == ["ENETUNREACH", "EINVAL", "ENETUNREACH"]


@pytest.mark.row("N6")
def test_N6_other_functions_are_not_reached(faasd):
    deploy(faasd, "listener")
    own, = {attempt(faasd, "listener", ["addresses"])}
    deploy(faasd, "neighbour", "100.64.0.0/16:*", check=False)
    other = attempt(faasd, "open", ["addresses"])
    assert own != other and own.startswith("100.64.") and other.startswith("100.64.")
    import threading
    result = []
    waiting = threading.Thread(target=lambda: result.append(attempt(faasd, "listener", ["listen", 4567, 3])))
    waiting.start()
    assert attempt(faasd, "open", ["tcp", own, 4567]) == UNREACHABLE
    waiting.join()
    assert result == ["timeout"]


def test_nobody_outside_reaches_a_function(faasd, net):
    """Neither by its own address nor by the router's: the world's routes lead to the host, and the host's to the uplink."""
    deploy(faasd, "sitting")
    own = attempt(faasd, "sitting", ["addresses"])
    for namespace, address in ((net.host, own), (net.host, "100.64.255.1"), (net.router, own)):
        if namespace == net.router:
            net.at(net.router, "route", "replace", "100.64.0.0/16", "via", HOST_ADDRESS)
        done = subprocess.run(["timeout", "1", "bash", "-c", f"exec 3<>/dev/tcp/{address}/4567"], preexec_fn=enter(namespace), capture_output=True)
        assert done.returncode != 0
    net.at(net.router, "route", "del", "100.64.0.0/16")


# ---- lists ----

def test_with_a_list_only_what_is_on_it_is_reached(faasd):
    deploy(faasd, "listed", f"{PUBLIC}:443", f"{OTHER_PUBLIC}/32:8000-8999")
    assert attempt(faasd, "listed", ["tcp", PUBLIC, 443], ["tcp", PUBLIC, 80], ["tcp", OTHER_PUBLIC, 8443], ["tcp", OTHER_PUBLIC, 443],
                   ["tcp", THIRD_PUBLIC, 443], ["tcp", METADATA, 443]) == [
        reached(PUBLIC, 443), UNREACHABLE, reached(OTHER_PUBLIC, 8443), UNREACHABLE, UNREACHABLE, UNREACHABLE]


def test_a_list_of_all_addresses_has_no_private_one_that_is_not_granted(faasd):
    deploy(faasd, "all", "0.0.0.0/0:80")
    assert attempt(faasd, "all", ["tcp", PUBLIC, 80], ["tcp", PUBLIC, 443], ["tcp", "10.1.2.3", 80], ["tcp", "192.168.9.9", 80], ["tcp", METADATA, 80]) == [
        reached(PUBLIC, 80), UNREACHABLE, reached("10.1.2.3", 80), UNREACHABLE, UNREACHABLE]


def test_a_granted_private_address_is_reached_by_who_names_it(faasd):
    deploy(faasd, "database", "10.1.2.0/24:5432", "public")
    assert attempt(faasd, "database", ["tcp", "10.1.2.3", 5432], ["tcp", "10.1.2.3", 80], ["tcp", PUBLIC, 80]) == [
        reached("10.1.2.3", 5432), UNREACHABLE, reached(PUBLIC, 80)]
    assert attempt(faasd, "open", ["tcp", "10.1.2.3", 5432]) == UNREACHABLE


@pytest.mark.parametrize("entry", ["192.168.9.9:80", "169.254.169.254:80", "10.2.0.0/16:80", "127.0.0.1:80", "100.64.0.0/16:80"])
def test_a_private_address_that_is_not_granted_is_refused_by_its_key(faasd, entry):
    done = deploy(faasd, "wants", entry, check=False)
    assert done.returncode == 4 and "grants.egress_private" in done.err, (done.returncode, done.err)


@pytest.mark.parametrize("entry", ["example.com", "example.com:0", "example.com:99999", "10.0.0.1/8:80", "a..b:80", ":80", "x:80/sctp", "1.2.3:80", "[::1]:80"])
def test_what_is_no_host_and_port_is_refused_with_what_to_write(faasd, entry):
    done = deploy(faasd, "wants", entry, check=False)
    assert done.returncode in (1, 2) and "example.com:443" in done.err, (done.returncode, done.err)


def test_a_list_without_egress_is_refused(faasd):
    done = faasd.deploy_script("wants", "#!/bin/sh\n", "--allow-host", "example.com:443", check=False)
    assert done.returncode in (1, 2) and "allow_host" in done.err and "network" in done.err, done.err


def test_without_the_grant_it_is_refused_by_its_key(net):
    with daemon_in(net, grants={"network_egress": False}) as daemon:
        done = deploy(daemon, "wants", check=False)
        assert done.returncode == 4 and "grants.network_egress" in done.err, done.err
        assert net.interfaces().count("faasd1") == 0


# ---- names ----

def test_names_resolve_to_their_public_addresses(faasd):
    assert attempt(faasd, "open", ["name", "one.example", 4], ["name", "ONE.Example", 4], ["name", "alias.example", 0], ["name", "two.example", 0]) == [
        [PUBLIC], [PUBLIC], [PUBLIC], sorted([PUBLIC, OTHER_PUBLIC])]
    assert attempt(faasd, "open", ["tcp", "alias.example", 443]) == reached(PUBLIC, 443)


def test_a_name_does_not_lead_to_a_private_address(faasd):
    assert attempt(faasd, "open", ["name", "rebind.example", 4], ["name", "private.example", 4]) == ["EAI_NODATA", "EAI_NODATA"]
    assert PUBLIC in attempt(faasd, "open", ["name", "mixed.example", 4])
    assert not {METADATA, "10.1.2.3", "127.0.0.1"} & set(attempt(faasd, "open", ["name", "mixed.example", 4]))


def test_what_does_not_exist_or_answer_is_told(faasd):
    assert attempt(faasd, "open", ["name", "nothing.example", 4], ["name", "empty.example", 4], ["name", "broken.example", 4]) == [
        "EAI_NONAME", "EAI_NODATA", "EAI_AGAIN"]
    assert attempt(faasd, "open", ["name", "garbage.example", 4]) == "EAI_AGAIN"
    assert attempt(faasd, "open", ["name", "one.example", 4]) == [PUBLIC]


def test_there_are_no_IPv6_addresses_in_answers(faasd, net):
    net.peer.ask(seen=True)
    assert attempt(faasd, "open", ["name", "one.example", 6]) == "EAI_NODATA"
    assert not asked_for(net, "one.example")


def test_a_listed_name_is_reached_at_its_port_and_no_other_name_exists(faasd, net):
    deploy(faasd, "named", "one.example:443")
    net.peer.ask(seen=True)
    assert attempt(faasd, "named", ["tcp", PUBLIC, 443]) == UNREACHABLE  # before it has asked
    assert attempt(faasd, "named", ["tcp", "one.example", 443], ["tcp", "one.example", 80], ["tcp", OTHER_PUBLIC, 443]) == [
        reached(PUBLIC, 443), UNREACHABLE, UNREACHABLE]
    assert attempt(faasd, "named", ["name", "two.example", 4], ["name", "sub.one.example", 4], ["name", "rebind.example", 4]) == ["EAI_NONAME"] * 3
    assert asked_for(net, "one.example", "two.example", "sub.one.example", "rebind.example") == {"one.example"}, "what is not allowed is not asked for"


def test_what_one_function_found_is_not_open_to_another(faasd):
    deploy(faasd, "finder", "one.example:443")
    deploy(faasd, "waiter", "two.example:443")
    assert attempt(faasd, "finder", ["tcp", "one.example", 443]) == reached(PUBLIC, 443)
    assert attempt(faasd, "waiter", ["tcp", PUBLIC, 443]) == UNREACHABLE


def test_a_star_names_what_is_below_and_not_the_name_itself(faasd):
    deploy(faasd, "starred", "*.wide.example:443")
    assert attempt(faasd, "starred", ["tcp", "api.wide.example", 443], ["name", "wide.example", 4], ["name", "notwide.example", 4]) == [
        reached(THIRD_PUBLIC, 443), "EAI_NONAME", "EAI_NONAME"]


def test_a_listed_name_leads_to_a_private_address_only_where_that_is_granted(faasd):
    deploy(faasd, "inner", "private.example:5432", "other-private.example:80", "rebind.example:80")
    assert attempt(faasd, "inner", ["tcp", "private.example", 5432], ["name", "other-private.example", 4], ["name", "rebind.example", 4]) == [
        reached("10.1.2.3", 5432), "EAI_NODATA", "EAI_NODATA"]


def test_the_resolver_answers_what_is_no_question(faasd):
    assert attempt(faasd, "open", ["dns", GATEWAY, "1234010000020000000000000161000001000103"])[:12] == "123481810000"[:4] + "8181" + "0000"
    for garbage in ("00", "ff" * 12, "1234818000010000000000000161000001000101"):
        assert attempt(faasd, "open", ["dns", GATEWAY, garbage]) in ("timeout", garbage[:4] + "81810000000000000000"), garbage
    assert attempt(faasd, "open", ["name", "one.example", 4]) == [PUBLIC]


def test_a_name_server_that_is_silent_holds_nobody_up(faasd):
    deploy(faasd, "patient")
    import threading
    slow = threading.Thread(target=lambda: attempt(faasd, "patient", ["name", "silent.example", 4]))
    slow.start()
    for _ in range(20):
        assert attempt(faasd, "open", ["name", "one.example", 4]) == [PUBLIC]
    slow.join()


def test_a_killed_resolver_is_replaced_and_knows_who_lives(faasd):
    deploy(faasd, "survivor", "one.example:443")
    assert attempt(faasd, "survivor", ["tcp", "one.example", 443]) == reached(PUBLIC, 443)
    old = resolver_pid(faasd)
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: resolver_pid(faasd) not in (None, old), "another resolver")
    assert attempt(faasd, "survivor", ["name", "one.example", 4], ["name", "two.example", 4]) == [[PUBLIC], "EAI_NONAME"]


def test_a_resolver_that_is_no_resolver_any_more_is_replaced_though_it_lives(faasd):
    """Taken over, it says what is no message and does not end with its link, nor does it answer: only the network process has seen that."""
    deploy(faasd, "trusting", "one.example:443")
    assert attempt(faasd, "trusting", ["name", "one.example", 4]) == [PUBLIC]
    old, process = resolver_pid(faasd), network_pid(faasd)
    os.kill(old, signal.SIGSTOP)
    pidfd = os.pidfd_open(old)
    link = socket.socket(fileno=ctypes.CDLL(None).syscall(438, pidfd, 3, 0))  # pidfd_getfd: RESOLVER_FD_LINK
    os.close(pidfd)
    with link:
        link.send(b"no message")
    replaced(faasd, process)
    assert resolver_pid(faasd) != old
    assert attempt(faasd, "trusting", ["name", "one.example", 4], ["tcp", "one.example", 443]) == [[PUBLIC], reached(PUBLIC, 443)]


def resolver_pid(faasd):
    return child_named(faasd, b"faasd-resolver")


def network_pid(faasd):
    return child_named(faasd, b"faasd-network")


def child_named(faasd, name):
    for child in faasd.children():
        try:
            if pathlib.Path(f"/proc/{child}/cmdline").read_bytes().startswith(name):
                return child
        except OSError:
            pass
    return None


def replaced(faasd, old):
    wait_until(lambda: network_pid(faasd) not in (None, old) and resolver_pid(faasd), "another network process")


def test_an_open_connection_outlives_the_network_process(faasd):
    """What was let through goes on: the rules are the kernel's, and no process has a hand in it."""
    deploy(faasd, "talker")
    assert attempt(faasd, "talker", ["name", "one.example", 4]) == [PUBLIC]
    import threading
    result = []
    talk = threading.Thread(target=lambda: result.append(attempt(faasd, "talker", ["talk", PUBLIC, ECHO_PORT, 30])))
    talk.start()
    old = network_pid(faasd)
    os.kill(old, signal.SIGKILL)
    replaced(faasd, old)
    talk.join()
    assert result == [30]


def test_a_killed_network_process_is_replaced_and_knows_who_lives(net):
    with daemon_in(net) as daemon:
        deploy(daemon, "living", "one.example:443", f"{OTHER_PUBLIC}:80")
        deploy(daemon, "wide")
        tries = ["tcp", "one.example", 443], ["tcp", OTHER_PUBLIC, 80], ["tcp", PUBLIC, 80], ["name", "two.example", 4]
        before = attempt(daemon, "living", *tries)
        assert before == [reached(PUBLIC, 443), reached(OTHER_PUBLIC, 80), UNREACHABLE, "EAI_NONAME"]
        own = attempt(daemon, "living", ["addresses"])
        assert attempt(daemon, "wide", ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80)
        kept = set(veths(daemon)[0])
        for _ in range(2):
            old = network_pid(daemon)
            os.kill(old, signal.SIGKILL)
            deploy(daemon, "born", f"{PUBLIC}:443")  # it waits for the next one
            replaced(daemon, old)
            assert attempt(daemon, "born", ["tcp", PUBLIC, 443], ["tcp", PUBLIC, 80]) == [reached(PUBLIC, 443), UNREACHABLE]
            assert attempt(daemon, "living", *tries) == before and attempt(daemon, "living", ["addresses"]) == own
            assert attempt(daemon, "wide", ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80)
            assert kept <= set(veths(daemon)[0])
            daemon.cli("rm", "born")
        for name in ("living", "wide"):
            daemon.cli("rm", name)
        wait_until(lambda: veths(daemon)[0] == [] and not re.search(r"chain f\d+", rules(daemon)), "nothing left of them")


def test_tables_that_a_network_process_left_behind_go_with_it(net):
    """As one that was taken over would leave them: the next one makes the filter from nothing."""
    with daemon_in(net) as daemon:
        deploy(daemon, "turned")
        assert attempt(daemon, "turned", ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80)
        evil = "add table ip evil; add chain ip evil x { type nat hook prerouting priority dstnat; }; add rule ip evil x tcp dport 80 redirect to :9; add table inet evil6"
        enter_router = ["nsenter", f"--net=/proc/{daemon.pid}/fd/{veths(daemon)[1]}", "nft"]
        subprocess.run([*enter_router, evil], check=True)
        assert attempt(daemon, "turned", ["tcp", PUBLIC, 80]) != reached(PUBLIC, 80), "it is redirected"
        old = network_pid(daemon)
        os.kill(old, signal.SIGKILL)
        replaced(daemon, old)
        wait_until(lambda: attempt(daemon, "turned", ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80), "the way out again")
        assert subprocess.run([*enter_router, "list", "tables"], check=True, capture_output=True, text=True).stdout == "table ip faasd\n"


def test_who_ends_while_there_is_no_network_process_leaves_nothing(net):
    with daemon_in(net, egress={"connections_total": 6}) as daemon:
        deploy(daemon, "staying", TIMEOUT="5")
        deploy(daemon, "ending", TIMEOUT="5")
        assert attempt(daemon, "ending", ["stall", PUBLIC, MUTE_PORT, 6]) == 6
        assert attempt(daemon, "staying", ["tcp", PUBLIC, 80]) == UNREACHABLE
        old = network_pid(daemon)
        os.kill(old, signal.SIGKILL)
        daemon.cli("rm", "ending")
        replaced(daemon, old)
        wait_until(lambda: attempt(daemon, "staying", ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80), "room for others")
        wait_until(lambda: len(veths(daemon)[0]) == 1, "one veth")


def test_the_network_process_has_power_over_networks_of_its_own_alone(faasd):
    pid = network_pid(faasd)
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    net_admin_sys_admin = (1 << 12) | (1 << 21)
    for line in (f"CapPrm:\t{net_admin_sys_admin:016x}", f"CapEff:\t{net_admin_sys_admin:016x}", "CapInh:\t0000000000000000", "CapAmb:\t0000000000000000",
                 "NoNewPrivs:\t1", "Seccomp:\t2"):
        assert line in status, (line, status)
    uids = set(re.search(r"Uid:\t(.*)", status).group(1).split())
    assert len(uids) == 1 and not uids & {"0", str(os.stat(f"/proc/{faasd.gateway_pid()}").st_uid), str(os.stat(f"/proc/{resolver_pid(faasd)}").st_uid)}
    for kind in ("user", "net"):
        assert os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/{faasd.pid}/ns/{kind}"), kind
    assert os.readlink(f"/proc/{pid}/ns/net") == os.readlink(f"/proc/{faasd.pid}/fd/{veths(faasd)[1]}"), "the router's"
    assert os.readlink(f"/proc/{pid}/root") == os.readlink(f"/proc/{pid}/cwd") == "/proc/sys/net"
    links = {os.readlink(f"/proc/{pid}/fd/{fd}").split(":")[0] for fd in os.listdir(f"/proc/{pid}/fd") if int(fd) > 2}
    assert links <= {"socket", "net", "/proc/sys/net"}, links
    limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
    assert re.search(r"Max open files +1024 +1024 ", limits), limits  # a namespace lives as long as its descriptor


def test_the_hosts_own_table_holds_where_the_routers_is_gone(net):
    """As a network process that was taken over would leave it: no filter at all in the router's namespace, its address translation alone."""
    with daemon_in(net, grants={"egress_private": ["10.1.0.0/16"]}) as daemon:
        deploy(daemon, "loose")
        assert attempt(daemon, "loose", ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80)
        loose = "flush ruleset; add table ip x; add chain ip x y { type nat hook postrouting priority srcnat; }; add rule ip x y oifname up masquerade"
        subprocess.run(["nsenter", f"--net=/proc/{daemon.pid}/fd/{veths(daemon)[1]}", "nft", loose], check=True)
        net.peer.ask(seen=True)
        net.host_peer.ask(seen=True)
        assert attempt(daemon, "loose", ["tcp", PUBLIC, 443], ["tcp", "10.1.2.3", 80]) == [reached(PUBLIC, 443), reached("10.1.2.3", 80)], "the filter is gone"
        net.peer.ask(seen=True)
        for address in (METADATA, "192.168.9.9", "172.20.1.1", HOST_ADDRESS, PUBLIC_OF_HOST):
            assert attempt(daemon, "loose", ["tcp", address, 80]) == "timeout", address
        assert net.peer.ask(seen=True)["tcp"] == [] and net.host_peer.ask(seen=True)["tcp"] == []


def test_the_resolver_has_no_power(faasd):
    status = pathlib.Path(f"/proc/{resolver_pid(faasd)}/status").read_text()
    for line in ("CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
        assert line in status
    uid = int(re.search(r"Uid:\t(\d+)", status).group(1))
    assert uid not in (0, os.stat(f"/proc/{faasd.gateway_pid()}").st_uid)


def test_without_egress_dns_the_hosts_resolv_conf_is_asked(net, tmp_path):
    conf = tmp_path / "resolv.conf"
    conf.write_text(f"# a comment\nnameserver not-an-address\nnameserver {NAME_SERVER}\nsearch example\n")
    conf.chmod(0o644)
    with daemon_in(net, resolv_conf=conf) as daemon:
        deploy(daemon, "open")
        assert attempt(daemon, "open", ["name", "one.example", 4]) == [PUBLIC]


# ---- limits ----

@pytest.mark.row("N7")
def test_N7_a_flood_is_cut_to_the_limits(net):
    with daemon_in(net, egress={"packets": 100, "rate": "1M", "connections": 5}) as daemon:
        deploy(daemon, "flood")
        net.peer.ask(seen=True)
        sent = attempt(daemon, "flood", ["udp", PUBLIC, UDP_PORT, 5000, 10])
        assert sent == 5000
        came = net.peer.ask(seen=True)["udp"].get(str(UDP_PORT), [0, 0])[0]
        assert 0 < came < 1000, came
        big = attempt(daemon, "flood", ["udp", PUBLIC, UDP_PORT, 3000, 1400])
        came = net.peer.ask(seen=True)["udp"].get(str(UDP_PORT), [0, 0])
        assert big == 3000 and came[1] < (2 << 20), came


@pytest.mark.row("N7")
def test_N7_connections_are_counted(net):
    with daemon_in(net, egress={"connections": 5}) as daemon:
        deploy(daemon, "holder")
        kept, refused = attempt(daemon, "holder", ["hold", PUBLIC, 80, 12])
        assert kept == 5 and refused == [UNREACHABLE], (kept, refused)
        deploy(daemon, "other")
        assert attempt(daemon, "other", ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80)
        wait_until(lambda: attempt(daemon, "holder", ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80), "room again")


def test_all_connections_together_have_a_number(net):
    with daemon_in(net, egress={"connections_total": 6}) as daemon:
        deploy(daemon, "first")
        kept, refused = attempt(daemon, "first", ["hold", PUBLIC, 80, 12])
        assert kept == 6 and refused == [UNREACHABLE], (kept, refused)


# ---- life and end ----

def veths(faasd):
    """Of instances, in the router's namespace, which has no name: it is one of the supervisor's descriptors."""
    for fd in os.listdir(f"/proc/{faasd.pid}/fd"):
        try:
            if not os.readlink(f"/proc/{faasd.pid}/fd/{fd}").startswith("net:"):
                continue
        except OSError:
            continue
        done = subprocess.run(["nsenter", f"--net=/proc/{faasd.pid}/fd/{fd}", "ip", "-j", "link"], capture_output=True)
        names = [link["ifname"] for link in json.loads(done.stdout or b"[]")]
        if "up" in names:
            return [n for n in names if re.fullmatch(r"f\d+", n)], fd
    return None


def rules(faasd):
    return subprocess.run(["nsenter", f"--net=/proc/{faasd.pid}/fd/{veths(faasd)[1]}", "nft", "list", "table", "ip", "faasd"], check=True,
                          capture_output=True, text=True).stdout


def test_an_instance_takes_its_way_out_with_it(net):
    with daemon_in(net) as daemon:
        deploy(daemon, "gone", "one.example:443", f"{PUBLIC}:80")
        attempt(daemon, "gone", ["tcp", "one.example", 443])
        assert veths(daemon)[0]
        assert re.search(r"chain f\d+", rules(daemon))
        daemon.cli("rm", "gone")
        wait_until(lambda: veths(daemon)[0] == [], "no veth left")
        wait_until(lambda: not re.search(r"chain f\d+", rules(daemon)), "no chain left")
        text = rules(daemon)
        for name in ("bound", "open", "chains"):
            assert "elements" not in re.search(rf"(set|map) {name} {{.*?}}\n", text, re.S).group(0), text


def host_tables(net):
    return subprocess.run(["nft", "list", "tables"], check=True, capture_output=True, text=True, preexec_fn=enter(net.host)).stdout.split("\n")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_daemon_that_ended(net, how):
    before = (sorted(net.interfaces()), sorted(host_tables(net)))
    daemon = daemon_in(net)
    with daemon:
        deploy(daemon, "left")
        assert attempt(daemon, "left", ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80)
        assert len(host_tables(net)) == len(before[1]) + 1
        if how == signal.SIGKILL:
            resolver = resolver_pid(daemon)
            daemon.process.kill()
            daemon.process.wait()
            wait_until(lambda: not os.path.exists(f"/proc/{resolver}"), "the resolver's end")
    wait_until(lambda: (sorted(net.interfaces()), sorted(host_tables(net))) == before, "the host as it was before")


def test_two_daemons_of_one_host_do_not_meet(net, faasd):
    with daemon_in(net) as second:
        deploy(second, "open")
        assert attempt(second, "open", ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80)
        assert attempt(faasd, "open", ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80)
        assert attempt(second, "open", ["tcp", "100.64.255.1", 80]) == UNREACHABLE


def test_the_administrators_rules_and_ours_do_not_touch_each_other(net, faasd):
    """flush ruleset is what `systemctl restart nftables` does: ours stays, because our socket owns it."""
    subprocess.run(["nft", "add table inet mine; add chain inet mine c; flush ruleset"], check=True, preexec_fn=enter(net.host))
    assert any(t.startswith("table inet faasd") for t in host_tables(net))
    assert attempt(faasd, "open", ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80)
    assert attempt(faasd, "open", ["tcp", PUBLIC_OF_HOST, 2222]) == "timeout"


def test_a_host_that_does_not_forward_is_told_of(net):
    with net.forwarding(0), daemon_in(net) as daemon:
        done = deploy(daemon, "wants", check=False)
        assert done.returncode == 1 and "net.ipv4.ip_forward" in done.err, done.err
        with net.forwarding(1):
            deploy(daemon, "wants")
            assert attempt(daemon, "wants", ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80)


def test_a_range_that_the_host_routes_is_refused(net):
    net.at(net.host, "route", "add", "100.64.32.0/20", "via", "10.77.0.1")
    try:
        with daemon_in(net) as daemon:
            done = deploy(daemon, "wants", check=False)
            assert done.returncode == 1 and "100.64.32.0/20" in done.err and "egress.range" in done.err, done.err
        with daemon_in(net, egress={"range": "10.200.0.0/20"}) as daemon:
            deploy(daemon, "open")
            assert attempt(daemon, "open", ["tcp", PUBLIC, 80], ["name", "one.example", 4], ["addresses"]) == [reached(PUBLIC, 80), [PUBLIC], "10.200.0.2"]
    finally:
        net.at(net.host, "route", "del", "100.64.32.0/20")


@pytest.mark.parametrize("config,word", [
    ({"egress": {"range": "8.8.0.0/16"}}, "egress.range"),
    ({"egress": {"range": "10.0.0.0/8"}}, "egress.range"),
    ({"egress": {"dns": ["dns.example"]}}, "egress.dns"),
    ({"grants": {"egress_private": ["100.64.0.0/10"]}}, "grants.egress_private"),
    ({"grants": {"egress_private": ["10.0.0.1/8"]}}, "grants.egress_private"),
])
def test_a_bad_configuration_is_refused_by_its_key(config, word):
    daemon = Faasd(config=config)
    daemon.start(expect_ready=False)
    assert daemon.process.wait(within(30)) == 1
    daemon.reader.join()
    assert word in daemon.log_text(), daemon.log_text()


def test_many_instances_have_an_address_each(faasd):
    import threading
    deploy(faasd, "many")
    found = []
    threads = [threading.Thread(target=lambda: found.append(attempt(faasd, "many", ["listen", 4000, 1], ["addresses"])[1])) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(found) == 4 and all(a.startswith("100.64.") for a in found)


def test_functions_without_it_have_no_interface_but_lo(faasd):
    faasd.deploy_script("plain", "#!/usr/bin/python3\nimport socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                        "try:\n    s.connect(('93.184.216.34', 1)); print('a way out')\nexcept OSError as e:\n    print(e.errno)\n")
    assert faasd.request("POST", "/function/plain", body=b"", socket_path=faasd.invoke_path).body == b"101\n"


def test_roles_and_lambda_functions_get_it_from_the_configuration(net):
    """lambda.network, and a role's own: told by what the daemon prints of its configuration; functions by their role in test_lambda_roles.py."""
    role = "arn:aws:iam::000000000000:role/reader"
    with daemon_in(net, **{"lambda": {"network": "egress", "roles": {role: {"network": "egress"}}}}) as daemon:
        shown = json.loads(daemon.cli("config", "show", "--daemon", "--json").out)
        assert "egress" in json.dumps(shown)
