/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/spawn_message.h"

#include "codec/settings_calls.h"
#include "gateway/role.h"
#include "gateway/runtime.h"
#include "gateway/secrets.h"
#include "os/seccomp.h"

#include <assert.h>
#include <string.h>

/* Where the interpreter lies outside /usr, its directory must be shown. One that is not there any more fails when the command is put together. */
static void fill_runtime(struct message_spawn *m, const struct config *c, const struct settings *s)
{
    const struct config_runtime *runtime = runtime_find(c, s, NULL);
    m->runtime = (uint32_t)s->runtime;
    static_assert(sizeof(m->runtime_name) == sizeof(runtime->name), "a runtime's name fits its field");
    if (runtime && runtime->prefix[0])
        memcpy(m->runtime_name, runtime->name, sizeof(m->runtime_name));
}

/* By their numbers: the supervisor reads no names. Those of another architecture give nothing here. */
static void fill_calls(struct message_spawn *m, const struct settings *s)
{
    struct str name;
    for (size_t at = 0; settings_call_next(s, &at, &name);) {
        int number = seccomp_find_number(name.p);
        if (number >= 0 && number < MESSAGE_CALL_WORDS * 64)
            m->system_calls[number / 64] |= UINT64_C(1) << (number % 64);
    }
}

void spawn_message_fill(struct message_spawn *m, const struct config *c, const struct function *f,
                        const struct version *v)
{
    const struct settings *s = &v->settings;
    assert(s->mount_count <= SETTINGS_MOUNTS_MAX && s->device_count <= SETTINGS_DEVICES_MAX);
    /* Zeroed whole: padding and unused entries of this process must not travel to another one. */
    memset(m, 0, sizeof(*m));
    m->header.type = MESSAGE_SPAWN;
    m->kind = MESSAGE_SPAWN_FUNCTION;
    fill_runtime(m, c, s);
    static_assert(sizeof(m->function) == sizeof(f->name), "a name fits its field");
    static_assert(sizeof(m->digest) == sizeof(v->code) && sizeof(m->revision) == sizeof(v->revision), "as do digests");
    static_assert(sizeof(m->cpuset) == sizeof(s->cpuset), "and a cpuset");
    memcpy(m->function, f->name, sizeof(m->function));
    memcpy(m->digest, v->code, sizeof(m->digest));
    memcpy(m->revision, v->revision, sizeof(m->revision));
    memcpy(m->cpuset, s->cpuset, sizeof(m->cpuset));
    if (v->opt[0]) {
        m->layer_count = 1;
        memcpy(m->layers[0], v->opt, sizeof(m->layers[0]));
    }
    m->memory_bytes = s->memory_bytes;
    m->tmp_bytes = s->tmp_bytes;
    m->pids = s->pids;
    m->cpus_milli = s->cpus_milli;
    m->cpu_weight = s->cpu_weight;
    m->network = (uint32_t)role_network(c, v);
    if (m->network == SETTINGS_NETWORK_EGRESS && s->allow_count) {
        assert(s->allow_count <= EGRESS_RULES_MAX);
        m->allow_count = s->allow_count;
        memcpy(m->allow, s->allow, s->allow_count * sizeof(m->allow[0]));
    }
    m->tmp_exec = s->tmp_exec;
    m->seccomp = (uint32_t)s->seccomp;
    if (s->seccomp == SETTINGS_SECCOMP_LEARNED)
        fill_calls(m, s);
    m->mount_count = s->mount_count;
    m->device_count = s->device_count;
    if (s->mount_count)
        memcpy(m->mounts, s->mounts, s->mount_count * sizeof(m->mounts[0]));
    memcpy(m->devices, s->devices, s->device_count * sizeof(m->devices[0]));
}

void spawn_message_send(struct gateway *g, struct link_waiter *w, struct message_spawn *m, const struct version *v)
{
    const struct secrets_more role = {role_secret(g->config, v), ROLE_FILE};
    int fd = secrets_fill_with(g->secrets, &v->settings, &role, m);
    link_send_with(g->link, w, &m->header, sizeof(*m), fd);
}
