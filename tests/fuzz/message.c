/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor's check of what a gateway sends: whatever the bytes, an accepted message keeps the promises of supervisor/request.h.
 *
 * An input: which of the bases (any other number: the bytes of a message follow), 1 for a configuration that grants something, then what is written over the base: how, which field, and
 * what. With nothing behind these two a base stays as it is, and is accepted.
 */
#include "supervisor/request.h"

#include "message_base.h"

#include <assert.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RANGE_ADDRESS = 0x0a010000, RANGE_BITS = 16 };

static struct config plain = {.memory_budget_bytes = 1ULL << 33};
static struct config granting;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    struct config *c = &granting;
    *c = plain;
    c->grant_mount_count = 2;
    strcpy(c->grant_mounts[0].source, "/data");
    strcpy(c->grant_mounts[1].source, "/srv/www");
    c->grant_mounts[1].writable = true;
    c->grant_device_count = 1;
    strcpy(c->grant_devices[0], "/dev/video0");
    c->grant_network_host = c->grant_network_egress = c->grant_cpuset = true;
    c->egress.grants = (struct egress_grants){.count = 1, .ranges = {{RANGE_ADDRESS, RANGE_BITS}}};
    c->runtime_count = 1;
    strcpy(c->runtimes[0].name, "python3.12");
    strcpy(c->runtimes[0].prefix, "/opt/py312");
    for (unsigned i = 0; i < BASES; i++) {
        union request r = {0};
        struct err e;
        bases[i].make(&r);
        assert(request_check(&r, r.header.size, &granting, &e) == REQUEST_OK);
        assert(request_check(&r, r.header.size, &plain, &e) == (bases[i].needs_grant ? REQUEST_REFUSED : REQUEST_OK));
    }
    return 0;
}

/* --- the promises, in words of their own --- */

static bool is_text(const char *text, size_t cap)
{
    return memchr(text, 0, cap) != NULL;
}

static bool is_beneath(const char *path, const char *top)
{
    size_t n = strlen(top);
    return strncmp(path, top, n) == 0 && (path[n] == '/' || !path[n]);
}

static bool climbs(const char *path)
{
    for (const char *at = path; (at = strstr(at, "/..")); at++)
        if (at[3] == '/' || !at[3])
            return true;
    return false;
}

static void check_mounts(const struct message_spawn *m, const struct config *c)
{
    assert(m->mount_count <= (c == &granting ? SETTINGS_MOUNTS_MAX : 0));
    for (uint32_t i = 0; i < m->mount_count; i++) {
        const char *source = m->mounts[i].source, *target = m->mounts[i].target;
        assert(!climbs(source) && !climbs(target));
        assert(is_beneath(source, "/srv/www") || (is_beneath(source, "/data") && !m->mounts[i].writable));
        assert(!is_beneath(target, "/proc") && !is_beneath(target, "/var/task") && !is_beneath(target, "/run/secrets"));
        assert(target[0] == '/' && target[1] && strcmp(target, "/var") != 0 && strcmp(target, "/run") != 0);
        assert(!m->layer_count || !is_beneath(target, "/opt"));
        for (uint32_t k = 0; k < i; k++)
            assert(!is_beneath(target, m->mounts[k].target) && !is_beneath(m->mounts[k].target, target));
    }
    assert(m->device_count <= (c == &granting ? SETTINGS_DEVICES_MAX : 0));
    for (uint32_t i = 0; i < m->device_count; i++)
        assert(strcmp(m->devices[i], "/dev/video0") == 0);
}

static void check_secrets(const struct message_spawn *m)
{
    assert(m->secret_count <= MESSAGE_SECRETS_MAX);
    for (uint32_t i = 0; i < m->secret_count; i++) {
        const struct message_secret *s = &m->secrets[i];
        assert(is_text(s->name, sizeof(s->name)) && is_text(s->file, sizeof(s->file)));
        assert(*s->file && *s->file != '.' && !strchr(s->file, '/') && !strchr(s->name, '/'));
        assert(s->sealed_bytes <= SECRET_SEALED_MAX && s->reserved == 0);
        for (uint32_t k = 0; k < i; k++)
            assert(strcmp(s->file, m->secrets[k].file) != 0);
    }
}

static void check_network(const struct message_spawn *m, const struct config *c)
{
    assert(m->network <= (c == &granting ? SETTINGS_NETWORK_EGRESS : SETTINGS_NETWORK_NONE));
    assert(m->allow_count <= (m->network == SETTINGS_NETWORK_EGRESS ? EGRESS_RULES_MAX : 0));
    for (uint32_t i = 0; i < m->allow_count; i++) {
        const struct egress_rule *r = &m->allow[i];
        assert(r->kind >= EGRESS_PUBLIC && r->kind < EGRESS_KIND_END && is_text(r->name, sizeof(r->name)));
        assert(r->first_port <= r->last_port && r->bits <= 32);
        /* private ranges: the one that is granted */
        if (r->kind == EGRESS_RANGE && r->bits >= 8 && r->address >> 24 == 10)
            assert(r->bits >= RANGE_BITS && r->address >> RANGE_BITS == RANGE_ADDRESS >> RANGE_BITS);
    }
}

static void check_spawn(const struct message_spawn *m, const struct config *c)
{
    assert(is_text(m->function, sizeof(m->function)) && is_text(m->digest, sizeof(m->digest)));
    assert(!strchr(m->function, '/') && !strchr(m->digest, '/') && !strchr(m->revision, '/'));
    assert(m->memory_bytes > 0 && m->memory_bytes <= c->memory_budget_bytes);
    assert(m->pids > 0 && m->pids <= REQUEST_PIDS_MAX && m->cpus_milli > 0);
    assert(!*m->cpuset || c == &granting);
    assert(!*m->runtime_name || (c == &granting && strcmp(m->runtime_name, "python3.12") == 0));
    assert(m->layer_count <= MESSAGE_LAYERS_MAX);
    for (uint32_t i = 0; i < m->layer_count; i++)
        assert(strlen(m->layers[i]) == MESSAGE_DIGEST_MAX - 1 && !strchr(m->layers[i], '/'));
    for (unsigned i = 0; i < MESSAGE_CALL_WORDS; i++)
        assert(!m->system_calls[i] || m->seccomp == SETTINGS_SECCOMP_LEARNED);
    assert(!m->slots || (m->slots <= MESSAGE_SLOTS_MAX && m->seccomp != SETTINGS_SECCOMP_STRICT));
    check_mounts(m, c);
    check_secrets(m);
    check_network(m, c);
    if (m->kind == MESSAGE_SPAWN_UNPACK || m->kind == MESSAGE_SPAWN_DELETE) {
        assert(!*m->function && !*m->digest && !m->mount_count && !m->device_count && !m->secret_count && !m->slots);
        assert(!m->network && !*m->cpuset && m->memory_bytes <= MESSAGE_HELPER_MEMORY_MAX);
    } else {
        assert(*m->function && strlen(m->digest) == MESSAGE_DIGEST_MAX - 1);
    }
}

static void check_promises(const union request *r, const struct config *c)
{
    switch (r->header.type) {
    case MESSAGE_SPAWN:
        check_spawn(&r->spawn, c);
        break;
    case MESSAGE_PUBLISH:
    case MESSAGE_DISCARD:
    case MESSAGE_RETIRE:
        assert(is_text(r->tree.digest, sizeof(r->tree.digest)));
        assert(r->header.type == MESSAGE_RETIRE || r->tree.staging);
        assert(r->header.type == MESSAGE_DISCARD || strlen(r->tree.digest) == MESSAGE_DIGEST_MAX - 1);
        assert(r->header.type == MESSAGE_DISCARD || !strchr(r->tree.digest, '/'));
        break;
    case MESSAGE_PREPARE:
        assert(r->prepare.template && r->prepare.template != r->header.id && r->prepare.slot < MESSAGE_SLOTS_MAX);
        break;
    case MESSAGE_ADOPT:
        assert(r->adopt.pid > 1);
        break;
    case MESSAGE_OPEN_OBJECT:
        assert(is_text(r->object.bucket, sizeof(r->object.bucket)) && is_text(r->object.key, sizeof(r->object.key)));
        break;
    default:
        assert(r->header.type < MESSAGE_SPAWNED);
    }
}

/* --- the input --- */

static const uint8_t *in;
static size_t left;

static uint8_t byte(void)
{
    if (!left)
        return 0;
    left--;
    return *in++;
}

static void write_field(union request *r, size_t *size)
{
    uint8_t how = byte() % 4;
    if (how == 3) { /* so much of it arrives */
        *size = (byte() | (size_t)byte() << 8) % (sizeof(*r) + 1);
        return;
    }
    unsigned which = byte() % FIELDS;
    uint8_t *field = (uint8_t *)r + fields[which].offset;
    size_t cap = fields[which].size;
    if (how == 2) { /* all of it the same, so without an end */
        memset(field, byte(), cap);
        return;
    }
    size_t at = how == 1 ? byte() % cap : 0;
    for (size_t n = byte(); n > 0 && at < cap; n--)
        field[at++] = byte();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    union request r, sent;
    struct err e = {0};
    in = data;
    left = n;
    unsigned base = byte();
    const struct config *c = byte() % 2 ? &granting : &plain;
    memset(&r, 0, sizeof(r));
    size_t size;
    if (base < BASES) {
        bases[base].make(&r);
        size = r.header.size;
        while (left)
            write_field(&r, &size);
    } else {
        size = left < sizeof(r) ? left : sizeof(r);
        memcpy(&r, in, size);
    }
    memset(&sent, 0xa5, sizeof(sent)); /* what a short message leaves behind it is never trusted */
    memcpy(&sent, &r, size);
    if (request_check(&sent, size, c, &e) == REQUEST_OK)
        check_promises(&sent, c);
    else
        assert(e.code && *e.text);
    return 0;
}
