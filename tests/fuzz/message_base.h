/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a gateway sends in good faith, one of each kind and form, which the inputs of tests/fuzz/message.c change: made from the structs at each build, so that no input of the corpus
 * depends on their layout. Entries of both tables are added at their ends, because inputs name them by their place.
 */
#ifndef FAASD_FUZZ_MESSAGE_BASE_H
#define FAASD_FUZZ_MESSAGE_BASE_H

#include "supervisor/request.h"

#include <stddef.h>
#include <string.h>

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void set_header(union request *r, uint32_t type, size_t size)
{
    r->header = (struct message_header){.type = type, .size = (uint32_t)size, .id = 7};
}

static void base_hello(union request *r)
{
    set_header(r, MESSAGE_HELLO, sizeof(r->plain));
    r->header.id = 0;
}

static void base_kill(union request *r)
{
    set_header(r, MESSAGE_KILL, sizeof(r->plain));
}

static void base_steps(union request *r)
{
    set_header(r, MESSAGE_STEPS, sizeof(r->steps));
    r->steps.instance = 5;
}

static void base_publish(union request *r)
{
    set_header(r, MESSAGE_PUBLISH, sizeof(r->tree));
    r->tree.staging = 3;
    strcpy(r->tree.digest, DIGEST);
}

static void base_discard(union request *r)
{
    set_header(r, MESSAGE_DISCARD, sizeof(r->tree));
    r->tree.staging = 3;
}

static void base_retire(union request *r)
{
    set_header(r, MESSAGE_RETIRE, sizeof(r->tree));
    strcpy(r->tree.digest, DIGEST);
}

static void base_prepare(union request *r)
{
    set_header(r, MESSAGE_PREPARE, sizeof(r->prepare));
    r->prepare.template = 5;
    r->prepare.slot = MESSAGE_SLOTS_MAX - 1;
    r->prepare.has_files = 1;
}

static void base_adopt(union request *r)
{
    set_header(r, MESSAGE_ADOPT, sizeof(r->adopt));
    r->adopt.pid = 4711;
}

static void base_object(union request *r)
{
    set_header(r, MESSAGE_OPEN_OBJECT, sizeof(r->object));
    strcpy(r->object.bucket, "code");
    strcpy(r->object.key, "team/hello.zip");
}

static void base_exec(union request *r)
{
    set_header(r, MESSAGE_SPAWN, sizeof(r->spawn));
    struct message_spawn *m = &r->spawn;
    m->memory_bytes = 1 << 27;
    m->tmp_bytes = 1 << 26;
    m->pids = 64;
    m->cpus_milli = 1000;
    m->cpu_weight = 100;
    strcpy(m->function, "hello");
    strcpy(m->digest, DIGEST);
    strcpy(m->revision, DIGEST);
}

static void base_shell(union request *r)
{
    base_exec(r);
    r->spawn.kind = MESSAGE_SPAWN_SHELL;
}

static void base_template(union request *r)
{
    base_exec(r);
    r->spawn.runtime = SETTINGS_RUNTIME_PYTHON;
    strcpy(r->spawn.runtime_name, "python3.12");
    r->spawn.slots = MESSAGE_SLOTS_MAX;
}

static void base_strict(union request *r)
{
    base_exec(r);
    r->spawn.runtime = SETTINGS_RUNTIME_NATIVE;
    r->spawn.seccomp = SETTINGS_SECCOMP_STRICT;
}

static void base_learned(union request *r)
{
    base_exec(r);
    r->spawn.seccomp = SETTINGS_SECCOMP_LEARNED;
    memset(r->spawn.system_calls, 0x55, sizeof(r->spawn.system_calls));
}

static void base_layer(union request *r)
{
    base_exec(r);
    r->spawn.runtime = SETTINGS_RUNTIME_PROVIDED;
    r->spawn.tmp_exec = 1;
    r->spawn.layer_count = 1;
    strcpy(r->spawn.layers[0], DIGEST);
}

static void base_secrets(union request *r)
{
    base_exec(r);
    r->spawn.secret_count = 2;
    strcpy(r->spawn.secrets[0].name, "db");
    strcpy(r->spawn.secrets[0].file, "password");
    r->spawn.secrets[0].sealed_bytes = SECRET_OVERHEAD + 1;
    strcpy(r->spawn.secrets[1].name, "api");
    strcpy(r->spawn.secrets[1].file, "key.pem");
}

static void base_unpack(union request *r)
{
    base_exec(r);
    struct message_spawn *m = &r->spawn;
    m->kind = MESSAGE_SPAWN_UNPACK;
    m->staging = 3;
    memset(m->function, 0, sizeof(m->function));
    memset(m->digest, 0, sizeof(m->digest));
    memset(m->revision, 0, sizeof(m->revision));
    m->layer_count = MESSAGE_LAYERS_MAX;
    for (unsigned i = 0; i < MESSAGE_LAYERS_MAX; i++)
        strcpy(m->layers[i], DIGEST);
}

static void base_delete(union request *r)
{
    base_unpack(r);
    r->spawn.kind = MESSAGE_SPAWN_DELETE;
    r->spawn.staging = 0;
    r->spawn.layer_count = 0;
}

static void base_mounts(union request *r)
{
    base_exec(r);
    r->spawn.mount_count = 2;
    strcpy(r->spawn.mounts[0].source, "/data/photos");
    strcpy(r->spawn.mounts[0].target, "/mnt/photos");
    strcpy(r->spawn.mounts[1].source, "/srv/www");
    strcpy(r->spawn.mounts[1].target, "/mnt/www");
    r->spawn.mounts[1].writable = true;
}

static void base_devices(union request *r)
{
    base_exec(r);
    r->spawn.device_count = 1;
    strcpy(r->spawn.devices[0], "/dev/video0");
}

static void base_cpuset(union request *r)
{
    base_exec(r);
    strcpy(r->spawn.cpuset, "0-1,3");
}

static void base_host(union request *r)
{
    base_exec(r);
    r->spawn.network = SETTINGS_NETWORK_HOST;
}

static void base_egress(union request *r)
{
    base_exec(r);
    r->spawn.network = SETTINGS_NETWORK_EGRESS;
    r->spawn.allow_count = 4;
    r->spawn.allow[0] = (struct egress_rule){.kind = EGRESS_PUBLIC};
    r->spawn.allow[1] = (struct egress_rule){.kind = EGRESS_RANGE,
                                             .protocol = EGRESS_TCP,
                                             .bits = 24,
                                             .address = 0x0a010200,
                                             .first_port = 5432,
                                             .last_port = 5433};
    r->spawn.allow[2] = (struct egress_rule){
        .kind = EGRESS_NAME, .protocol = EGRESS_TCP, .first_port = 443, .last_port = 443, .name = "example.com"};
    r->spawn.allow[3] =
        (struct egress_rule){.kind = EGRESS_BELOW, .protocol = EGRESS_UDP, .last_port = 65535, .name = "example.org"};
}

static const struct {
    void (*make)(union request *r);
    bool needs_grant;
} bases[] = {
    {base_hello, false},   {base_kill, false},    {base_steps, false},  {base_publish, false}, {base_discard, false},
    {base_retire, false},  {base_prepare, false}, {base_adopt, false},  {base_object, false},  {base_exec, false},
    {base_shell, false},   {base_template, true}, {base_strict, false}, {base_learned, false}, {base_layer, false},
    {base_secrets, false}, {base_unpack, false},  {base_delete, false}, {base_mounts, true},   {base_devices, true},
    {base_cpuset, true},   {base_host, true},     {base_egress, true},
};

/* Where in a message an input may write. */
#define FIELD(member)                                                                                                  \
    {                                                                                                                  \
        offsetof(union request, member), sizeof(((union request *)NULL)->member)                                       \
    }
static const struct {
    size_t offset, size;
} fields[] = {
    FIELD(header.type),
    FIELD(header.size),
    FIELD(header.id),
    FIELD(steps.instance),
    FIELD(tree.staging),
    FIELD(tree.digest),
    FIELD(prepare.template),
    FIELD(prepare.slot),
    FIELD(prepare.has_files),
    FIELD(adopt.pid),
    FIELD(adopt.reserved),
    FIELD(object.bucket),
    FIELD(object.key),
    FIELD(spawn.kind),
    FIELD(spawn.runtime),
    FIELD(spawn.function),
    FIELD(spawn.digest),
    FIELD(spawn.layer_count),
    FIELD(spawn.layers[0]),
    FIELD(spawn.layers[MESSAGE_LAYERS_MAX - 1]),
    FIELD(spawn.revision),
    FIELD(spawn.staging),
    FIELD(spawn.memory_bytes),
    FIELD(spawn.tmp_bytes),
    FIELD(spawn.pids),
    FIELD(spawn.cpus_milli),
    FIELD(spawn.cpu_weight),
    FIELD(spawn.network),
    FIELD(spawn.allow_count),
    FIELD(spawn.allow[0]),
    FIELD(spawn.allow[1]),
    FIELD(spawn.allow[2].name),
    FIELD(spawn.tmp_exec),
    FIELD(spawn.seccomp),
    FIELD(spawn.slots),
    FIELD(spawn.runtime_name),
    FIELD(spawn.mount_count),
    FIELD(spawn.device_count),
    FIELD(spawn.cpuset),
    FIELD(spawn.mounts[0].source),
    FIELD(spawn.mounts[0].target),
    FIELD(spawn.mounts[0].writable),
    FIELD(spawn.mounts[1].source),
    FIELD(spawn.mounts[1].target),
    FIELD(spawn.mounts[1].writable),
    FIELD(spawn.devices[0]),
    FIELD(spawn.devices[1]),
    FIELD(spawn.system_calls),
    FIELD(spawn.secret_count),
    FIELD(spawn.secrets[0].name),
    FIELD(spawn.secrets[0].file),
    FIELD(spawn.secrets[0].sealed_bytes),
    FIELD(spawn.secrets[0].reserved),
    FIELD(spawn.secrets[1].file),
    FIELD(spawn.secrets[MESSAGE_SECRETS_MAX - 1]),
};
#undef FIELD

enum { BASES = sizeof(bases) / sizeof(bases[0]), FIELDS = sizeof(fields) / sizeof(fields[0]) };

#endif
