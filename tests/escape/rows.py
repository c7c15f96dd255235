# SPDX-License-Identifier: Apache-2.0
"""The rows of the attack catalogue that are run inside functions.

bare: how the same probe is run outside a sandbox, where it must report OPEN:
  "nobody"    as uid 65534, no filter
  "root"      as root in scratch pid, mount, net and ipc namespaces
  "terminal"  as nobody, with a terminal of its own
  a sentence: why it can't be shown outside
leaves: its argument is the name of the processes that it leaves behind; OPEN is then that one lives on.
inside: what must be seen inside: "DENIED", or the error that the platform answers with when the limit bites.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    id: str
    attack: str
    bare: str = "nobody"
    inside: str = "DENIED"
    argument: str = ""
    leaves: bool = False


ROWS = [
    Row("F1", "read a file of the host"),
    Row("F2", "climb out by ../ sixty-four times"),
    Row("F3", "write the code directory"),
    Row("F4", "run a set-id copy in /tmp"),
    Row("F5", "make a device node", "root"),
    Row("F6", "leave by an inherited directory descriptor"),
    Row("F7", "chroot again", "root"),
    Row("F8", "remount, mount, unmount", "root", inside="DENIED or FunctionCrashed"),
    Row("F9", "the host's files in /proc"),
    Row("F10", "/sys and cgroups"),
    Row("F11", "open by handle"),
    Row("F12", "fill /tmp with bytes"),
    Row("F13", "fill /tmp with files"),
    Row("F14", "a huge file"),
    Row("F16", "what another request left", "it is two requests: outside there are none"),
    Row("F18", "a secret of another function", "root", argument="{secret}"),
    Row("F19", "the kernel's devices"),
    Row("F20", "write anywhere but in /tmp", "root"),
    Row("F21", "change a program of the host", "root"),
    Row("F22", "a hard link to a program of the host", "root"),
    Row("F23", "change the kernel's settings", "root"),
    Row("F24", "a file with a capability", "root"),
    Row("F25", "the kernel's links to other roots"),
    Row("F26", "execute what was written elsewhere"),
    Row("F27", "map code from /tmp"),
    Row("F28", "run code from /tmp by the loader"),
    Row("F29", "a mount where set-id bits count"),
    Row("F30", "flags of an inode"),
    Row("F31", "300 MiB in /dev/shm", inside="DENIED or OutOfMemory"),
    Row("F32", "a link that leads out of /tmp"),
    Row("F33", "lock a program of the host", inside="OPEN"),
    Row("P1", "see the host's processes"),
    Row("P2", "kill and stop pid 1", "pid 1 ignores its own namespace's signals everywhere"),
    Row("P3", "trace a process"),
    Row("P4", "read a process's memory"),
    Row("P5", "take a process's descriptor"),
    Row("P6", "become root, regain capabilities", "root"),
    Row("P7", "no_new_privs off"),
    Row("P8", "outlive the request", argument="p8-{tag}", leaves=True),
    Row("P10", "zombie flood"),
    Row("P12", "clone with every mix of namespaces"),
    Row("P13", "execute a memfd"),
    Row("P14", "a new user namespace"),
    Row("P15", "enter a namespace", "root"),
    Row("P16", "change its own OOM score"),
    Row("P17", "fork faster than it is killed", argument="p17-{tag}", leaves=True),
    Row("P18", "groups and other ids", "root"),
    Row("P19", "give a file away", "root"),
    Row("P20", "the host's name", "root"),
    Row("P21", "be traced"),
    Row("P22", "write its own files in /proc"),
    Row("P23", "look into process 1", "root"),
    Row("K1", "every system call"),
    Row("K2", "32-bit system calls"),
    Row("K3", "x32 system calls", "Debian's kernels have x32 switched off"),
    Row("K4", "arguments with high bits"),
    Row("K5", "io_uring"),
    Row("K6", "userfaultfd"),
    Row("K7", "perf events"),
    Row("K7b", "bpf"),
    Row("K8", "the kernel's keys"),
    Row("K9", "the new mount calls"),
    Row("K10", "socket families"),
    Row("K11", "personalities, local descriptor tables"),
    Row("K12", "a filter with a listener"),
    Row("K13", "memory to write and execute, which JITs need", inside="OPEN"),
    Row("K14", "splice, tee, vmsplice"),
    Row("K15", "a core dump"),
    Row("K16", "type into a terminal", "terminal"),
    Row("K20", "secret memory"),
    Row("K21", "another process's limits"),
    Row("K22", "watch what the host runs"),
    Row("K23", "what is in the page cache"),
    Row("K24", "System V IPC"),
    Row("K25", "message queues"),
    Row("K26", "a BPF program on a socket"),
    Row("K27", "pin itself to a processor"),
    Row("K28", "the host's clock"),
    Row("K29", "the kernel's log", "root"),
    Row("K30", "kernel modules", "root"),
    Row("K31", "reboot", "root"),
    Row("K32", "another kernel", "root"),
    Row("K33", "swap", "root"),
    Row("K34", "process accounting", "root"),
    Row("K35", "the machine's ports", "root"),
    Row("K36", "quotas"),
    Row("K37", "NUMA policies"),
    Row("K38", "write out the host's filesystems"),
    Row("K39", "compare kernel pointers"),
    Row("K40", "list mounts"),
    Row("K41", "list security modules"),
    Row("K42", "calls newer than the filter"),
    Row("K43", "more arguments with high bits"),
    Row("K44", "priorities"),
    Row("K45", "signals by descriptor"),
    Row("K46", "use up the host's watchers"),
    Row("K47", "another protocol upon a socket"),
    Row("R1", "a thousand processes"),
    Row("R2", "a thousand threads"),
    Row("R3", "half a gigabyte of memory", inside="OutOfMemory"),
    Row("R4", "a child over memory", inside="OutOfMemory"),
    Row("R5", "half a gigabyte in a memfd", inside="OutOfMemory or DENIED"),
    Row("R6", "locked and huge memory", "root"),
    Row("R9", "real-time priority", "root"),
    Row("R10", "five thousand descriptors"),
    Row("R11", "sockets inside sockets"),
    Row("R12", "a thousand timers"),
    Row("R18", "a quarter of a gigabyte in sockets", inside="DENIED or OutOfMemory"),
    Row("R19", "a thousand waiting signals"),
    Row("R20", "a quarter of a gigabyte in pipes", "root", inside="DENIED or OutOfMemory"),
    Row("R21", "half a gigabyte of page tables", inside="OutOfMemory"),
    Row("R22", "raise its limits"),
    Row("R23", "160 MiB of datagrams that nobody takes", inside="DENIED or OutOfMemory"),
    Row("N1", "the host's loopback", argument="{port}"),
    Row("N2", "an abstract socket of the host", argument="{abstract}"),
    Row("N3", "a socket file of the host", argument="{socket}"),
    Row("N4", "socket families that reach the host"),
    Row("N6", "another function's port", "it is two functions: outside there are none", argument="connect"),
    Row("N9", "a route out", "the machine that tests may have no route itself"),
    Row("N10", "the host's loopback by IPv6", argument="{port}"),
    Row("N11", "a datagram to the host", argument="{datagrams}"),
    Row("N12", "faasd's own sockets", "root", argument="{control},{invoke}"),
    Row("N13", "other protocols"),
    Row("N14", "options of routers", "root"),
]

# Z2, one child of a template against its siblings, its template and its init. bare: "" where only the victim, or nobody, can tell outside.
SIBLING_ROWS = [
    Row("Z2mem", "a sibling's memory"),
    Row("Z2maps", "a sibling's layout"),
    Row("Z2environ", "a sibling's environment"),
    Row("Z2fd", "a sibling's descriptors"),
    Row("Z2cwd", "a sibling's working directory"),
    Row("Z2root", "a sibling's root"),
    Row("Z2exe", "a sibling's program"),
    Row("Z2vm", "a sibling's memory by process_vm_readv"),
    Row("Z2trace", "trace a sibling"),
    Row("Z2kill", "signal a sibling"),
    Row("Z2tkill", "signal a sibling's thread"),
    Row("Z2queue", "queue a signal for a sibling"),
    Row("Z2pidfd", "take a sibling's descriptor"),
    Row("Z2limit", "a sibling's limits"),
    Row("Z2nice", "a sibling's priority"),
    Row("Z2pin", "a sibling's processors"),
    Row("Z2owner", "have the kernel signal a sibling", bare=""),
    Row("Z2abstract", "a sibling's abstract socket"),
    Row("Z2tmp", "a sibling's /tmp"),
]

# Doors that a host may keep shut for everybody, where the probe outside proves nothing: row -> the host's switch, and what it says when shut.
HOST_SWITCHES = {
    "P14": ("/proc/sys/kernel/unprivileged_userns_clone", ("0",)),
    "K5": ("/proc/sys/kernel/io_uring_disabled", ("1", "2")),
    "K7": ("/proc/sys/kernel/perf_event_paranoid", ("3", "4")),
    "K7b": ("/proc/sys/kernel/unprivileged_bpf_disabled", ("1", "2")),
    "K20": ("/sys/module/secretmem/parameters/enable", ("N",)),
}

# Rows whose probe says by this error that this host has no such thing: outside, that is no finding.
HOST_LACKS = {
    "ENOSYS": "its kernel was built without the call, or is older",
    "EXDEV": "its /tmp is a filesystem of its own",
}

# Row -> what of `faasd check` the host must have for it: without, the row is no promise there, and the table says so.
NEEDS = {
    "F9": ["proc with subset=pid"],
    "R1": ["cgroup pids limit"],
    "R2": ["cgroup pids limit"],
    "R3": ["cgroup memory limit"],
    "R4": ["cgroup memory limit"],
    "R5": ["cgroup memory limit"],
    "R7": ["cgroup memory limit"],
    "R8": ["cgroup cpu limit"],
    "R15": ["swap limit"],
    "R21": ["cgroup memory limit"],
    "R23": ["cgroup memory limit"],
    "Z2": ["Landlock scopes"],
}

# Rows of the catalogue that the table does not hold.
ELSEWHERE = {
    "I14": "frames cut at every byte: tests/unit/gateway/native_channel.c; parsers under a fuzzer: make fuzz",
    "H24": "other parsers beside ours: make check-front, where it has them",
    "S2, S3": "power cuts: make check-power",
    "L7, L10": "no listener is handed over; the long soak: make soak",
    "C11": "histories of one name: tests/integration/test_versions_model.py",
    "X1, X2": "samples; all calls with all their errors: make faults",
}

# Rows, or whole groups, that an ordinary user's daemon is not tried with (make check-guest-rootless).
NOT_AS_A_USER = {
    "N5": "network egress is refused to him, with the reason",
    "N7": "network egress is refused to him, with the reason",
    "K17": "the gateway's, as everybody's",
    "K18": "the same filter, bit by bit: K1 is tried",
    "I15": "what the gateway's own filter lets through: the same program under the same filter",
    "R": "tried with root's groups, which his are but for their place; that his limits bite, R1 to R5 and R21 show, and tests/integration/test_rootless.py",
    "Z5": "the virtual machine's addresses are the same everywhere, or it would be slower yet (tests/guest/run)",
    "Z": "the virtual machine's Landlock is older than ABI 6: a template has one child at a time there, and no siblings",
    "L": "tests/integration/test_rootless.py ends his daemon, gateway and sandboxes",
    "H": "the front door: the gateway parses before anybody is root",
    "C": "the control API is the gateway's; C1, who reaches its socket, is tried",
    "D": "archives are unpacked in a sandbox, and it is tried",
    "S": "what is on the disk is one code for both",
    "X": "calls that fail are those of one code for both",
}

GROUPS = {"F": "files", "P": "processes", "K": "kernel", "R": "resources", "N": "network", "I": "between processes", "H": "front door", "C": "control API",
          "D": "deploys", "S": "disk", "L": "life", "X": "faults", "Z": "templates"}

# How a native worker misbehaves (I rows) -> the errors it may be answered with; None: a good reply.
MISBEHAVIOURS = [
    ("I1", "garbage", {"BadReply"}),
    ("I1", "length-max", {"BadReply"}),
    ("I1", "length-2g", {"BadReply"}),
    ("I1", "length-0", {"BadReply"}),
    ("I1", "fields-max", {"BadReply"}),
    ("I2", "wrong-id", {"BadReply"}),
    ("I2", "id-0", {"BadReply"}),
    ("I2", "ready-again", {"BadReply"}),
    ("I2", "unknown-type", {"BadReply"}),
    ("I2", "twice", {"BadReply", None}),
    ("I2", "early", {None}),
    ("I3", "stop-reading", {None}),
    ("I4", "drip", {"Timeout"}),
    ("I5", "endless", {"BadReply"}),
    ("I5", "too-long", {"BadReply"}),
    ("I6", "split-header", {"BadReply"}),
    ("I6", "split-name", {"BadReply"}),
    ("I6", "no-nul", {"BadReply"}),
    ("I6", "error-type", {"BadReply"}),
    ("I7", "framing", {None}),
    ("I8", "status-0", {"BadReply"}),
    ("I8", "status-99", {"BadReply"}),
    ("I8", "status-101", {"BadReply"}),
    ("I8", "status-1000", {"BadReply"}),
    ("I8", "status-204", {None}),
    ("I8", "status-304", {None}),
    ("I9", "descriptors", {"FunctionCrashed", "BadReply"}),
    ("I9", "lingering", {None}),
    ("I10", "half-close", {"FunctionCrashed"}),
    ("I10", "end-mid-frame", {"FunctionCrashed"}),
    ("I10", "close-and-live", {"FunctionCrashed"}),
    ("I11", "two-writers", {"BadReply", None}),
    ("I12", "other-ids", {"BadReply"}),
    ("I13", "abort", {"FunctionCrashed"}),
    ("I13", "exit", {"FunctionCrashed"}),
    ("I13", "hang", {"Timeout"}),
]
