/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sandboxes of templates and of runtimes outside /usr, live. The payload is a hostile template: a script that does what a template's child may do, and then what
 * nobody may. What it saw comes back through its log.
 */
#include "live.h"

#include "sandbox/init_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SLOTS = 3, OUTPUT_MAX = 16384, INTERPRETER_BYTES = 256 << 20 };

/* What all scripts may use. */
static const char PRELUDE[] =
    "import ctypes, errno, os, socket, sys\n"
    "libc = ctypes.CDLL(None, use_errno=True)\n"
    "def name(e): return errno.errorcode[e] if e else 'done'\n"
    "def attempt(f, *a):\n"
    "    try: f(*a)\n"
    "    except OSError as e: return name(e.errno)\n"
    "    return 'done'\n"
    "def call(f, *a):\n"
    "    ctypes.set_errno(0)\n"
    "    return name(ctypes.get_errno()) if f(*a) < 0 else 'done'\n"
    "def caps():\n"
    "    return ' '.join(l.split()[1].lstrip('0') or '0' for l in open('/proc/self/status') if l.startswith('Cap'))\n"
    "def drop():\n"
    "    return call(libc.capset, (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())\n"
    "def in_child(f):\n"
    "    sys.stdout.flush()\n"
    "    pid = os.fork()\n"
    "    if pid == 0:\n"
    "        try: f(); sys.stdout.flush()\n"
    "        finally: os._exit(0)\n"
    "    os.waitpid(pid, 0)\n";

static struct sandbox_spec template_spec(void)
{
    struct sandbox_spec spec = plain_spec();
    spec.slots = SLOTS;
    spec.limits.memory_bytes = INTERPRETER_BYTES;
    return spec;
}

static void add_string(char *record, size_t *at, const char *text)
{
    size_t n = strlen(text) + 1;
    assert_true(*at + n <= INIT_RECORD_MAX);
    memcpy(record + *at, text, n);
    *at += n;
}

static void send_script(const struct sandbox *s, const char *script)
{
    static char record[INIT_RECORD_MAX], whole[OUTPUT_MAX];
    size_t at = sizeof(struct init_command);
    fmt_to(whole, sizeof(whole), "%s%s", PRELUDE, script);
    const char *const strings[] = {"/usr/bin/python3", "-IBS", "-c", whole, "PATH=/usr/bin:/bin"};
    for (unsigned i = 0; i < 5; i++)
        add_string(record, &at, strings[i]);
    struct init_command c = {.head = {.type = INIT_START, .size = (uint32_t)at}, .argc = 4, .envc = 1};
    memcpy(record, &c, sizeof(c));
    assert_int_equal(send(s->control_fd, record, at, 0), at);
}

/* Everything that the script printed, until it and whoever shares its output has ended. */
static const char *read_output(const struct sandbox *s)
{
    static char out[OUTPUT_MAX];
    size_t n = 0;
    for (;;) {
        struct pollfd p = {.fd = s->log_fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, WAIT_MS), 1);
        ssize_t r = read(s->log_fd, out + n, sizeof(out) - 1 - n);
        if (r <= 0)
            break;
        n += (size_t)r;
    }
    out[n] = '\0';
    return out;
}

static const char *run(const struct sandbox_spec *spec, const char *script)
{
    struct sandbox s = start(spec);
    send_script(&s, script);
    const char *out = read_output(&s);
    stop(&s);
    return out;
}

static void a_template_is_what_was_planned(void **state)
{
    (void)state;
    need_base();
    struct err e;
    struct sandbox_spec spec = template_spec(), plain = spec;
    plain.slots = 0;
    struct sandbox s = start(&spec);
    if (sandbox_verify(base, &spec, &s, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(sandbox_verify(base, &plain, &s, &e), -EPERM);
    assert_non_null(strstr(e.text, "CapInh is '0000000000040000'"));
    stop(&s);
    s = start(&plain);
    assert_int_equal(sandbox_verify(base, &spec, &s, &e), -EPERM);
    stop(&s);
}

static void a_template_lacks_no_slot(void **state)
{
    (void)state;
    need_base();
    struct err e;
    struct sandbox_spec spec = template_spec(), more = spec, fewer = spec;
    more.slots++;
    fewer.slots--;
    struct sandbox s = start(&spec);
    assert_int_equal(sandbox_verify(base, &more, &s, &e), -EPERM);
    assert_non_null(strstr(e.text, "no mount at '/run/slots/3'"));
    assert_int_equal(sandbox_verify(base, &fewer, &s, &e), -EPERM);
    assert_non_null(strstr(e.text, "'/run/slots/2"));
    stop(&s);
}

static void as_many_slots_as_may_be(void **state)
{
    (void)state;
    need_base();
    struct err e;
    char path[128];
    struct sandbox_spec spec = template_spec();
    spec.slots = SANDBOX_SLOTS_MAX + 1;
    assert_int_equal(refuse(&spec, &e), -EINVAL);
    spec.slots = SANDBOX_SLOTS_MAX;
    spec.mount_count = 1; /* a root of its own */
    spec.mounts[0] = (struct sandbox_mount){.source = in_dir(path, "grant"), .target = "/data/in", .writable = true};
    struct sandbox s = start(&spec);
    if (sandbox_verify(base, &spec, &s, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(look(&s, "/run/slots/15/data/in"), 0);
    assert_int_equal(look(&s, "/run/slots/15/usr/bin/env"), 0);
    stop(&s);
}

static void the_worker_and_what_it_executes_hold_one_capability(void **state)
{
    (void)state;
    need_base();
    struct sandbox_spec spec = template_spec();
    assert_string_equal(run(&spec, "print(caps())\n"
                                   "sys.stdout.flush()\n"
                                   "os.execv('/bin/grep', ['grep', '-c', '0000000000040000', '/proc/self/status'])\n"),
                        "40000 40000 40000 40000 40000\n5\n");
    spec.slots = 0;
    assert_string_equal(run(&spec, "print(caps(), attempt(os.chroot, '/usr'), drop())\n"), "0 0 0 0 0 EPERM EPERM\n");
}

static void no_other_power_comes_with_it(void **state)
{
    (void)state;
    need_base();
    struct sandbox_spec spec = template_spec();
    assert_string_equal(
        run(&spec,
            "print(call(libc.setuid, 0), call(libc.sethostname, b'x', 1), call(libc.unshare, 0x10000000))\n"
            "print(attempt(os.mknod, '/tmp/disk', 0o60600, 0x800), attempt(os.chown, '/tmp', 1000, 1000))\n"
            "everything = (ctypes.c_uint32 * 6)(*[0xffffffff] * 6)\n"
            "print(call(libc.capset, (ctypes.c_uint32 * 2)(0x20080522, 0), everything), caps())\n"
            "print(attempt(open, '/x', 'w'), attempt(open, '/run/slots/0/x', 'w'), attempt(open, '/var/task/x', 'w'))\n"
            "def mount(): libc.mount(b'none', b'/tmp', b'tmpfs', 0, None); print('mounted')\n"
            "in_child(mount)\n"),
        "EPERM EPERM EPERM\nEPERM EPERM\nEPERM 40000 40000 40000 40000 40000\nEROFS EROFS EROFS\n");
}

static void a_slot_is_the_same_root_with_its_own_tmp(void **state)
{
    (void)state;
    need_base();
    struct sandbox_spec spec = template_spec();
    assert_string_equal(
        run(&spec,
            "before = [sorted(os.listdir(d)) for d in ('/', '/usr', '/var/task', '/etc')]\n"
            "open('/tmp/mine', 'w').close()\n"
            "def child(slot):\n"
            "    os.chroot('/run/slots/%d' % slot)\n"
            "    os.chdir('/var/task')\n"
            "    print(before == [sorted(os.listdir(d)) for d in ('/', '/usr', '/var/task', '/etc')], "
            "os.listdir('/tmp'))\n"
            "    print([os.listdir('/run/slots/' + d) for d in ('0', '1', '2')], os.listdir('/dev/fd')[:3])\n"
            "    open('/tmp/child%d' % slot, 'w').close()\n"
            "    print(drop(), caps(), attempt(os.chroot, '/tmp'), attempt(open, '/x', 'w'))\n"
            "    f = open('/tmp/big', 'wb', 0)\n"
            "    print(attempt(f.write, bytes(900 << 10)), attempt(f.write, bytes(900 << 10)), "
            "os.stat('/tmp/big').st_size >> 20)\n"
            "in_child(lambda: child(1))\n"
            "print(os.listdir('/tmp'), sorted(os.listdir('/run/slots/1/tmp')), os.listdir('/run/slots/2/tmp'))\n"),
        "True []\n[[], [], []] ['0', '1', '2']\ndone 0 0 0 40000 0 EPERM EROFS\ndone done 1\n"
        "['mine'] ['big', 'child1'] []\n");
}

/* The classic one: a descriptor of what lies above, chroot below it, fchdir, and up. It gets out of the slot, which the capability allows, and no further:
 * the topmost directory is the sandbox's root, whatever the process does on the way. */
static void a_chroot_escape_ends_at_the_sandboxs_own_root(void **state)
{
    (void)state;
    need_base();
    struct sandbox_spec spec = template_spec();
    char script[2048];
    fmt_to(script, sizeof(script),
           "root = os.stat('/'); listed = sorted(os.listdir('/'))\n"
           "def escape():\n"
           "    above = os.open('/', os.O_RDONLY | os.O_DIRECTORY)\n"
           "    os.chroot('/run/slots/0')\n"
           "    os.mkdir('/tmp/deeper'); os.chroot('/tmp/deeper')\n"
           "    os.fchdir(above)\n"
           "    for _ in range(1000): os.chdir('..')\n"
           "    os.chroot('.')\n"
           "    here = os.stat('/')\n"
           "    print((here.st_dev, here.st_ino) == (root.st_dev, root.st_ino), sorted(os.listdir('/')) == listed)\n"
           "    print(*[os.path.exists(p) for p in ('%s', '/etc/shadow', '/root', '/sys', '/proc/sys', '/boot')])\n"
           "in_child(escape)\n"
           "def by_cwd():\n"
           "    os.chdir('/run/slots/1'); os.chroot('/tmp')\n"
           "    for _ in range(1000): os.chdir('..')\n"
           "    print(sorted(os.listdir('.')) == listed, os.path.exists('%s'[1:]))\n"
           "in_child(by_cwd)\n",
           dir, dir);
    assert_string_equal(run(&spec, script), "True True\nFalse False False False False False\nTrue False\n");
}

/* What a child does to itself before it serves must not be refused. */
static void a_child_can_narrow_itself(void **state)
{
    (void)state;
    need_base();
    struct sandbox_spec spec = template_spec();
    if (!features.found[FEATURE_LANDLOCK_SCOPE]) {
        print_message("skipped: the kernel's Landlock has no scopes\n");
        skip();
    }
    assert_string_equal(
        run(&spec,
            "def child(mine, other):\n"
            "    os.chroot('/run/slots/0'); os.chdir('/var/task')\n"
            "    got = [drop(), call(libc.prctl, 4, 0, 0, 0, 0)]\n"
            "    scope = libc.syscall(444, (ctypes.c_uint64 * 3)(0, 0, 3), 24, 0)\n"
            "    got += [call(libc.syscall, 446, scope, 0), attempt(os.setsid), attempt(os.kill, other, 0)]\n"
            "    got += [attempt(open, '/proc/%d/mem' % other), attempt(os.listdir, '/proc/%d/root' % os.getppid())]\n"
            "    print(*got, attempt(open, '/tmp/f', 'w'))\n"
            "sibling = os.fork()\n"
            "if sibling == 0: libc.prctl(4, 0, 0, 0, 0); os.read(0, 1) or __import__('signal').pause()\n"
            "in_child(lambda: child(0, sibling))\n"
            "os.kill(sibling, 9)\n"),
        "done done done done EPERM ENOENT ENOENT done\n");
}

static void a_childs_tmp_has_the_functions_options(void **state)
{
    (void)state;
    need_base();
    static const char script[] = "import shutil\n"
                                 "def child():\n"
                                 "    os.chroot('/run/slots/0')\n"
                                 "    shutil.copy('/bin/true', '/tmp/true')\n"
                                 "    print(attempt(os.execv, '/tmp/true', ['true']))\n"
                                 "in_child(child)\n";
    struct sandbox_spec spec = template_spec();
    assert_string_equal(run(&spec, script), "EACCES\n");
    spec.tmp_exec = true;
    assert_string_equal(run(&spec, script), ""); /* it ran */
}

/* ---- the Runtime API's listener ---- */

static int receive_listener(const struct sandbox *s)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    int fd;
    struct iovec part = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
    struct pollfd p = {.fd = s->worker_fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, WAIT_MS), 1);
    assert_int_equal(recvmsg(s->worker_fd, &m, MSG_CMSG_CLOEXEC), 1);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    assert_non_null(c);
    assert_int_equal(c->cmsg_type, SCM_RIGHTS);
    memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    assert_int_equal(poll(&p, 1, WAIT_MS), 1);
    assert_int_equal(read(s->worker_fd, &byte, 1), 0); /* nobody inside holds the other end */
    return fd;
}

static void a_listener_of_the_sandboxs_network_comes_out(void **state)
{
    (void)state;
    need_base();
    struct err e;
    struct sandbox_spec spec = plain_spec();
    spec.worker = SANDBOX_WORKER_LISTENER;
    spec.limits.memory_bytes = INTERPRETER_BYTES;
    struct sandbox s = start(&spec);
    if (sandbox_verify(base, &spec, &s, &e) < 0)
        fail_msg("%s", e.text);
    scoped_fd listener = receive_listener(&s);
    struct sockaddr_in bound;
    socklen_t n = sizeof(bound);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&bound, &n), 0);
    assert_int_equal(ntohs(bound.sin_port), SANDBOX_LISTENER_PORT);
    assert_int_equal(ntohl(bound.sin_addr.s_addr), INADDR_LOOPBACK);
    assert_true(fcntl(listener, F_GETFL) & O_NONBLOCK);
    send_script(&s, "s = socket.create_connection(('127.0.0.1', 9001))\n"
                    "s.sendall(b'ping'); print(s.recv(10), sorted(os.listdir('/proc/self/fd'))[:3])\n");
    struct pollfd p = {.fd = listener, .events = POLLIN};
    assert_int_equal(poll(&p, 1, WAIT_MS), 1);
    scoped_fd connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    int nodelay = 0;
    n = sizeof(nodelay);
    assert_int_equal(getsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &nodelay, &n), 0);
    assert_true(nodelay);
    char text[8];
    assert_int_equal(read(connection, text, sizeof(text)), 4);
    assert_int_equal(write(connection, "pong", 4), 4);
    assert_string_equal(read_output(&s), "b'pong' ['0', '1', '2']\n");
    stop(&s);
    s = start(&spec);
    close(receive_listener(&s)); /* now nobody has it */
    assert_int_equal(sandbox_verify(base, &spec, &s, &e), -EPERM);
    assert_non_null(strstr(e.text, "9001"));
    stop(&s);
}

static void a_listener_on_the_hosts_network_is_refused(void **state)
{
    (void)state;
    need_base();
    struct err e;
    struct sandbox_spec spec = plain_spec();
    spec.worker = SANDBOX_WORKER_LISTENER;
    spec.network_host = true;
    assert_int_equal(refuse(&spec, &e), -EINVAL);
    assert_non_null(strstr(e.text, "open to every process of the host"));
}

/* ---- runtimes outside of /usr ---- */

static void a_runtimes_prefix_is_shown_where_it_is(void **state)
{
    (void)state;
    need_base();
    struct err e;
    char prefix[] = "/opt/faasd-unit-XXXXXX", path[128], link[128];
    struct sandbox made;
    struct sandbox_spec spec = template_spec();
    mkdir("/opt", 0755);
    assert_non_null(mkdtemp(prefix));
    assert_int_equal(chmod(prefix, 0755), 0);
    fmt_to(path, sizeof(path), "%s/bin", prefix);
    assert_int_equal(mkdir(path, 0755), 0);
    fmt_to(link, sizeof(link), "%s-link", prefix);
    assert_int_equal(symlink(prefix, link), 0);
    spec.runtime_prefix = prefix;
    struct sandbox s = {.pid = -1};
    int verified = sandbox_spawn(base, tree, &spec, &s, &e);
    if (verified == 0)
        verified = wait_complete(&s, &e);
    if (verified == 0)
        verified = sandbox_verify(base, &spec, &s, &e);
    int here = look(&s, path), writable = 0, others;
    fmt_to(path, sizeof(path), "/run/slots/1%s/bin", prefix);
    int in_slot = look(&s, path);
    fmt_to(path, sizeof(path), "/proc/%d/root%s/bin/x", s.pid, prefix);
    writable = mkdir(path, 0755) < 0 ? errno : 0;
    others = look(&s, link);
    if (s.pid > 0)
        stop(&s);
    spec.runtime_prefix = link;
    int through_link = sandbox_spawn(base, tree, &spec, &made, &e);
    unlink(link);
    fmt_to(path, sizeof(path), "%s/bin", prefix);
    rmdir(path);
    rmdir(prefix);
    if (verified < 0)
        fail_msg("%s", e.text);
    assert_int_equal(here, 0);
    assert_int_equal(in_slot, 0);
    assert_int_equal(writable, EROFS);
    assert_int_equal(others, ENOENT); /* not all of /opt */
    assert_int_equal(through_link, -ELOOP);
}

static void what_is_in_the_base_tree_can_be_read_and_not_written(void **state)
{
    (void)state;
    need_base();
    struct sandbox_spec spec = plain_spec();
    spec.limits.memory_bytes = INTERPRETER_BYTES;
    assert_string_equal(run(&spec, "found = 0\n"
                                   "for d, _, files in os.walk('/var/runtime'):\n"
                                   "    assert attempt(open, d + '/x', 'w') in ('EACCES', 'EROFS'), d\n"
                                   "    for f in files:\n"
                                   "        found += len(open(os.path.join(d, f), 'rb').read()) > 0\n"
                                   "        assert attempt(open, os.path.join(d, f), 'r+') in ('EACCES', 'EROFS'), f\n"
                                   "print(found > 0, sorted(os.listdir('/var/runtime')), os.listdir('/opt'))\n"
                                   "print(os.path.isfile('/var/runtime/python/bootstrap.py'))\n"),
                        "True ['aws-config', 'node', 'python'] []\nTrue\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_template_is_what_was_planned),
        cmocka_unit_test(a_template_lacks_no_slot),
        cmocka_unit_test(as_many_slots_as_may_be),
        cmocka_unit_test(the_worker_and_what_it_executes_hold_one_capability),
        cmocka_unit_test(no_other_power_comes_with_it),
        cmocka_unit_test(a_slot_is_the_same_root_with_its_own_tmp),
        cmocka_unit_test(a_chroot_escape_ends_at_the_sandboxs_own_root),
        cmocka_unit_test(a_child_can_narrow_itself),
        cmocka_unit_test(a_childs_tmp_has_the_functions_options),
        cmocka_unit_test(a_listener_of_the_sandboxs_network_comes_out),
        cmocka_unit_test(a_listener_on_the_hosts_network_is_refused),
        cmocka_unit_test(a_runtimes_prefix_is_shown_where_it_is),
        cmocka_unit_test(what_is_in_the_base_tree_can_be_read_and_not_written),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
