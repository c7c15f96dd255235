# SPDX-License-Identifier: Apache-2.0
"""What a function with network: egress tries against the way out itself: the router's tables, the resolver, other functions' share."""

import json
import re
import subprocess
import threading

import pytest

from harness import wait_until
from network import ECHO_PORT, MUTE_PORT, NAME_SERVER, PUBLIC, THIRD_PUBLIC, UDP_PORT, enter
from test_egress import GATEWAY, UNREACHABLE, asked_for, attempt, daemon_in, deploy, net, reached, rules, veths  # noqa: F401

LOOSE_ROUTE = "8307045db8d82200"  # by way of 93.184.216.34, and a byte of padding


@pytest.fixture(scope="module")
def faasd(net):  # noqa: F811
    with daemon_in(net) as daemon:
        deploy(daemon, "open")
        yield daemon


def tracked(daemon):
    """Connections in the table of the router's namespace."""
    done = subprocess.run(["nsenter", f"--net=/proc/{daemon.pid}/fd/{veths(daemon)[1]}", "cat", "/proc/sys/net/netfilter/nf_conntrack_count"], check=True,
                          capture_output=True)
    return int(done.stdout)


@pytest.mark.row("N7")
def test_N7_connections_that_nobody_closes_end_with_their_instance(net):  # noqa: F811
    """The peer takes no byte more, so no FIN is ever sent: without the sweep each would be counted for five days."""
    def of_host():
        return int(subprocess.run(["cat", "/proc/sys/net/netfilter/nf_conntrack_count"], capture_output=True, check=True,
                                  preexec_fn=enter(net.host)).stdout)
    with daemon_in(net, egress={"connections_total": 6}) as daemon:
        deploy(daemon, "first", TIMEOUT="5")
        attempt(daemon, "first", ["addresses"])
        before = of_host()
        assert attempt(daemon, "first", ["stall", PUBLIC, MUTE_PORT, 6]) == 6
        of_first = set(veths(daemon)[0])
        deploy(daemon, "second", TIMEOUT="5")
        assert attempt(daemon, "second", ["tcp", PUBLIC, 80]) == UNREACHABLE
        assert of_host() >= before + 6
        daemon.cli("rm", "first")
        wait_until(lambda: attempt(daemon, "second", ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80), "room for others")
        wait_until(lambda: of_host() <= before + 1, "the host's table without them")
        wait_until(lambda: not of_first & set(veths(daemon)[0]), "the end of the first one's veth")


def test_a_living_instance_keeps_its_connections_when_another_ends(faasd):
    deploy(faasd, "keeper")
    deploy(faasd, "ended")
    attempt(faasd, "ended", ["tcp", PUBLIC, 80])
    result = []
    kept = threading.Thread(target=lambda: result.append(attempt(faasd, "keeper", ["talk", PUBLIC, ECHO_PORT, 30])))
    kept.start()
    faasd.cli("rm", "ended")
    kept.join()
    assert result == [30]


@pytest.mark.row("N5")
def test_N5_no_other_way_by_options_of_IP(faasd, net):  # noqa: F811
    """A source route would lead behind what the address says. The router's own rule is shown by raw packets below."""
    net.peer.ask(seen=True)
    assert attempt(faasd, "open", ["options", THIRD_PUBLIC, 80, LOOSE_ROUTE]) == "EPERM"
    assert net.peer.ask(seen=True)["tcp"] == []


@pytest.mark.row("N7")
def test_N7_the_hosts_table_of_neighbours_is_not_used_up(faasd):
    """The kernel has one for all namespaces, with room for 1,024. Whoever is asked for (ARP) and does not answer keeps a place for seconds; whoever is not asked for leaves it when
    somebody else wants one."""
    deploy(faasd, "neighbour")
    assert attempt(faasd, "neighbour", ["link", 30]) == 30
    pid = faasd.instances("neighbour")[0]["pid"]
    done = subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-j", "neigh", "show", "nud", "all", "dev", "eth0"], check=True, capture_output=True)
    states = [found["state"][0] for found in json.loads(done.stdout) if found["dst"].startswith("8.8.")]
    assert len(states) == 30 and set(states) == {"NOARP"}, states


@pytest.mark.row("N7")
def test_N7_questions_from_ever_new_ports_fill_no_table(faasd):
    before = tracked(faasd)
    assert attempt(faasd, "open", ["ports", GATEWAY, 3000, "one.example"]) == 3000
    assert tracked(faasd) <= before + 10


@pytest.mark.row("N7")
def test_N7_who_floods_the_resolver_is_the_one_that_waits(faasd, net):  # noqa: F811
    deploy(faasd, "asker")
    deploy(faasd, "bystander")
    attempt(faasd, "bystander", ["name", "one.example", 4])
    net.peer.ask(seen=True)
    flood = threading.Thread(target=lambda: attempt(faasd, "asker", ["ports", GATEWAY, 20000, "two.example"]))
    flood.start()
    found = [attempt(faasd, "bystander", ["name", "one.example", 4]) for _ in range(20)]
    flood.join()
    assert found == [[PUBLIC]] * 20
    assert sum(name == "two.example" for name, _ in net.peer.ask(seen=True)["names"]) < 2000


def test_a_datagram_in_pieces_is_judged_as_a_whole(faasd, net):  # noqa: F811
    """Only the first piece has a port: the pieces behind it must not pass by a rule that asks for one."""
    deploy(faasd, "pieces", f"{PUBLIC}:{UDP_PORT}/udp")
    deploy(faasd, "elsewhere", f"{PUBLIC}:123/udp")
    net.peer.ask(seen=True)
    assert attempt(faasd, "pieces", ["udp", PUBLIC, UDP_PORT, 2, 20000]) == 2
    attempt(faasd, "elsewhere", ["udp", PUBLIC, UDP_PORT, 2, 20000])
    attempt(faasd, "elsewhere", ["udp", PUBLIC, 123, 1, 20000])
    came = {}

    def all_came():
        for port, (count, size) in net.peer.ask(seen=True)["udp"].items():
            came[port] = came.get(port, 0) + count
        return came.get("123") == 1
    wait_until(all_came, "the datagram that may pass")
    assert came == {str(UDP_PORT): 2, "123": 1}


def test_nothing_is_sent_under_another_address(faasd, net):  # noqa: F811
    deploy(faasd, "masked")
    net.peer.ask(seen=True)
    assert attempt(faasd, "masked", ["borrow", "100.64.0.99", PUBLIC, UDP_PORT]) in ("EINVAL", "ENETUNREACH")
    assert net.peer.ask(seen=True)["udp"] == {}


# What raw sockets would send, which no function has: from the instance's own network namespace, by root.
SPOOF = """import socket, struct, sys
own, other, public, gateway = sys.argv[1:]
def packet(source, destination, port, options=b""):
    head = struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 0, 0, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(destination))
    return head + options + struct.pack("!HHHH", 5555, port, 12, 0) + b"test"
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for source in (other, gateway, "127.0.0.1", "10.77.0.2", public, "0.0.0.0"):
    for destination, port in ((public, 9999), (gateway, 53), ("10.77.0.2", 9999)):
        raw.sendto(packet(source, destination, port), (destination, 0)) if source != "0.0.0.0" else None
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0))
to, mac = b"\\x02faasr", b"\\x02faasd"
arp = struct.pack("!HHBBH6s4s6s4s", 1, 0x800, 6, 4, 2, mac, socket.inet_aton(other), b"\\xff" * 6, socket.inet_aton(other))
six = struct.pack("!IHBB16s16s", 6 << 28, 12, 17, 64, socket.inet_pton(10, "fe80::1"), socket.inet_pton(10, "ff02::1")) + bytes(12)
for destination in (to, b"\\xff" * 6):
    wire.send(destination + mac + b"\\x08\\x06" + arp)
    wire.send(destination + mac + b"\\x86\\xdd" + six)
    wire.send(destination + b"\\x02other" + b"\\x08\\x00" + packet(other, public, 9999))
for options in ("8307045db8d82200", "4408050100000000", "01010100"):
    raw.sendto(packet(own, public, 9999, bytes.fromhex(options)), (public, 0))
raw.sendto(packet(own, public, 123), (public, 0))
"""


def test_not_even_raw_packets_pass_under_another_address(faasd, net, tmp_path):  # noqa: F811
    deploy(faasd, "raw")
    own = attempt(faasd, "raw", ["addresses"])
    deploy(faasd, "victim")
    other = attempt(faasd, "victim", ["addresses"])
    script = tmp_path / "spoof.py"
    script.write_text(SPOOF.replace("\\\\", "\\"))
    net.peer.ask(seen=True)
    net.host_peer.ask(seen=True)
    inside = next(pid for pid in faasd.sandbox_pids() if own in addresses_of(pid))
    subprocess.run(["nsenter", f"--net=/proc/{inside}/ns/net", "/usr/bin/python3", script, own, other, PUBLIC, GATEWAY], check=True)
    came = {}

    def own_came():
        came.update(net.peer.ask(seen=True)["udp"])
        return "123" in came
    wait_until(own_came, "the datagram under its own address")
    assert set(came) == {"123"}, came
    assert net.host_peer.ask(seen=True)["udp"] == {}
    assert attempt(faasd, "victim", ["tcp", PUBLIC, 80], ["name", "one.example", 4]) == [reached(PUBLIC, 80), [PUBLIC]]
    assert attempt(faasd, "raw", ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80)


def addresses_of(pid):
    return subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-4", "-o", "addr"], capture_output=True, text=True).stdout


def test_the_name_server_itself_is_not_reached(faasd, net):  # noqa: F811
    """It has a private address; the host's own resolver asks it, functions do not."""
    net.peer.ask(seen=True)
    assert attempt(faasd, "open", ["dns", NAME_SERVER, "123401000001000000000000036f6e65076578616d706c650000010001"]) == "timeout"
    assert not asked_for(net, "one.example")
    assert attempt(faasd, "open", ["name", "one.example", 4]) == [PUBLIC]


def test_no_datagram_of_the_resolvers_port_but_DNS(faasd):
    assert attempt(faasd, "open", ["tcp", GATEWAY, 53], ["udp", GATEWAY, 54, 1, 10]) == [UNREACHABLE, 1]


def test_functions_that_come_and_go_leave_no_rule(faasd):
    def chains():
        return len(re.findall(r"chain f\d+", rules(faasd)))
    before = chains()
    for turn in range(5):
        deploy(faasd, "comes", f"{PUBLIC}:443")
        assert attempt(faasd, "comes", ["tcp", PUBLIC, 443], ["tcp", PUBLIC, 80]) == [reached(PUBLIC, 443), UNREACHABLE], turn
        faasd.cli("rm", "comes")
    wait_until(lambda: chains() == before, "no chain of theirs")
