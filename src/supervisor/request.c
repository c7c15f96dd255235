/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/request.h"

#include "base/str.h"
#include "codec/settings_secret.h"

#include <errno.h>
#include <string.h>

/* Places of the sandbox that a mount must not be, cover or lie beneath: either the sandbox's own safety hangs on them, or (/tmp) init empties them
 * between requests, which must never reach a directory of the host. */
static const char *const PROTECTED_TARGETS[] = {"/proc",  "/dev",    "/sys",  "/tmp",      "/usr",
                                                "/etc",   "/bin",    "/sbin", "/lib",      "/lib32",
                                                "/lib64", "/libx32", "/init", "/var/task", "/run/secrets"};

static enum request_verdict bad(struct err *e, const char *what)
{
    err_say(e, EPROTO, "%s", what);
    return REQUEST_BAD;
}

static bool is_terminated(const char *text, size_t cap)
{
    return memchr(text, '\0', cap) != NULL;
}

static bool is_digest(const char *text)
{
    return strspn(text, "0123456789abcdef") == MESSAGE_DIGEST_MAX - 1 && text[MESSAGE_DIGEST_MAX - 1] == '\0';
}

/* Absolute, no empty, "." or ".." component, no slash at the end, no control characters. "/" itself is not one. */
static bool is_normal_path(const char *path)
{
    if (path[0] != '/')
        return false;
    const char *p = path;
    while (*p == '/') {
        p++;
        size_t n = strcspn(p, "/");
        if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
            return false;
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
                return false;
        p += n;
    }
    return true;
}

/* `path` is `top` or lies beneath it; both normal, or top is "/". */
static bool is_within(const char *path, const char *top)
{
    size_t n = strlen(top);
    if (n == 1 && top[0] == '/')
        return true;
    return strncmp(path, top, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

const struct config_grant_mount *request_find_grant(const struct config *c, const char *source, bool writable)
{
    for (uint32_t i = 0; i < c->grant_mount_count; i++) {
        const struct config_grant_mount *g = &c->grant_mounts[i];
        if (is_within(source, g->source) && (g->writable || !writable))
            return g;
    }
    return NULL;
}

const struct config_runtime *request_find_runtime(const struct config *c, const char *name)
{
    for (uint32_t i = 0; i < c->runtime_count; i++)
        if (strcmp(c->runtimes[i].name, name) == 0)
            return &c->runtimes[i];
    return NULL;
}

/* The form of the lists, without what the configuration says about them. */
static bool lists_are_well_formed(const struct message_spawn *m)
{
    if (m->mount_count > SETTINGS_MOUNTS_MAX || m->device_count > SETTINGS_DEVICES_MAX)
        return false;
    for (uint32_t i = 0; i < m->mount_count; i++) {
        const struct settings_mount *at = &m->mounts[i];
        /* a byte that is neither 0 nor 1 must not be read as a bool */
        unsigned char writable;
        memcpy(&writable, &at->writable, 1);
        if (writable > 1 || !is_terminated(at->source, sizeof(at->source)) ||
            !is_terminated(at->target, sizeof(at->target)) || !is_normal_path(at->source) ||
            !is_normal_path(at->target))
            return false;
    }
    for (uint32_t i = 0; i < m->device_count; i++)
        if (!is_terminated(m->devices[i], sizeof(m->devices[i])) || !is_normal_path(m->devices[i]) ||
            !is_within(m->devices[i], "/dev"))
            return false;
    return is_terminated(m->cpuset, sizeof(m->cpuset)) && strspn(m->cpuset, "0123456789,-") == strlen(m->cpuset);
}

/* What the resolver and the filter are told: rules, and only where there is a way out. */
static bool allow_is_well_formed(const struct message_spawn *m)
{
    if (m->allow_count > (m->network == SETTINGS_NETWORK_EGRESS ? EGRESS_RULES_MAX : 0))
        return false;
    for (uint32_t i = 0; i < m->allow_count; i++)
        if (!egress_rule_is_valid(&m->allow[i]))
            return false;
    return true;
}

/* Digests of trees, as many as that kind of sandbox shows. */
static bool layers_are_well_formed(const struct message_spawn *m)
{
    static const uint32_t most[] = {[MESSAGE_SPAWN_FUNCTION] = 1,
                                    [MESSAGE_SPAWN_SHELL] = 1,
                                    [MESSAGE_SPAWN_UNPACK] = MESSAGE_LAYERS_MAX,
                                    [MESSAGE_SPAWN_DELETE] = 0};
    if (m->layer_count > most[m->kind])
        return false;
    for (uint32_t i = 0; i < m->layer_count; i++)
        if (!is_digest(m->layers[i]))
            return false;
    return true;
}

/* The form of what it says about secrets. Whether they can be opened is seen when they are. */
static bool secrets_are_well_formed(const struct message_spawn *m)
{
    uint64_t total = 0;
    if (m->secret_count > MESSAGE_SECRETS_MAX)
        return false;
    for (uint32_t i = 0; i < m->secret_count; i++) {
        const struct message_secret *at = &m->secrets[i];
        if (!is_terminated(at->name, sizeof(at->name)) || !is_terminated(at->file, sizeof(at->file)) ||
            !settings_name_is_valid(str_from(at->name)) || !settings_file_is_valid(str_from(at->file)) ||
            at->reserved != 0 || at->sealed_bytes > SECRET_SEALED_MAX)
            return false;
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(at->file, m->secrets[k].file) == 0)
                return false;
        total += at->sealed_bytes;
    }
    return total <= SECRET_TOTAL_MAX + MESSAGE_SECRETS_MAX * SECRET_OVERHEAD;
}

static bool names_are_well_formed(const struct message_spawn *m)
{
    if (!is_terminated(m->function, sizeof(m->function)) || !is_terminated(m->digest, sizeof(m->digest)) ||
        !is_terminated(m->revision, sizeof(m->revision)) || !is_terminated(m->runtime_name, sizeof(m->runtime_name)))
        return false;
    if (m->kind == MESSAGE_SPAWN_FUNCTION || m->kind == MESSAGE_SPAWN_SHELL)
        return settings_name_is_valid(str_from(m->function)) && is_digest(m->digest) && is_digest(m->revision);
    /* the unpacker and the deleter get nothing beyond their one directory */
    return !*m->function && !*m->digest && !*m->revision && !*m->cpuset && !*m->runtime_name && m->mount_count == 0 &&
           m->device_count == 0 && m->secret_count == 0 && m->network == SETTINGS_NETWORK_NONE &&
           (m->kind != MESSAGE_SPAWN_UNPACK || m->staging != 0);
}

static enum request_verdict check_mounts(const struct message_spawn *m, const struct config *c, struct err *e)
{
    for (uint32_t i = 0; i < m->mount_count; i++) {
        const struct settings_mount *at = &m->mounts[i];
        if (!request_find_grant(c, at->source, at->writable)) {
            err_say(e, EPERM, "mount '%s' is not granted: add \"%s%s\" to grants.mounts in the configuration",
                    at->source, at->source, at->writable ? ":rw" : "");
            return REQUEST_REFUSED;
        }
        for (size_t k = 0; k < sizeof(PROTECTED_TARGETS) / sizeof(PROTECTED_TARGETS[0]); k++) {
            const char *place = PROTECTED_TARGETS[k];
            if (is_within(at->target, place) || is_within(place, at->target)) {
                err_say(e, EPERM, "mount target '%s' would cover or lie in '%s' of the sandbox", at->target, place);
                return REQUEST_REFUSED;
            }
        }
        if (m->layer_count && is_within(at->target, "/opt")) {
            err_say(e, EPERM, "mount target '%s' lies in /opt, where the function's layers are", at->target);
            return REQUEST_REFUSED;
        }
        for (uint32_t k = 0; k < i; k++) {
            const char *other = m->mounts[k].target;
            if (is_within(at->target, other) || is_within(other, at->target)) {
                err_say(e, EPERM, "mount targets '%s' and '%s' overlap", other, at->target);
                return REQUEST_REFUSED;
            }
        }
    }
    return REQUEST_OK;
}

/* What follows from the settings of whoever deployed, which nothing before us may have refused. */
static enum request_verdict check_runtime(const struct message_spawn *m, const struct config *c, struct err *e)
{
    if (m->slots > 0 && m->runtime != SETTINGS_RUNTIME_NATIVE && m->runtime != SETTINGS_RUNTIME_PYTHON &&
        m->runtime != SETTINGS_RUNTIME_NODE) {
        err_say(e, EPERM, "a template is forked by its own code, which runtimes exec and provided don't have");
        return REQUEST_REFUSED;
    }
    if (m->seccomp == SETTINGS_SECCOMP_STRICT &&
        (m->runtime != SETTINGS_RUNTIME_NATIVE || m->slots > 0 || m->network != SETTINGS_NETWORK_NONE || m->tmp_exec)) {
        err_say(e, EPERM, "seccomp 'strict' is for runtime native, without forked instances, a network and tmp_exec");
        return REQUEST_REFUSED;
    }
    if (m->runtime == SETTINGS_RUNTIME_PROVIDED && m->network == SETTINGS_NETWORK_HOST) {
        err_say(e, EPERM,
                "network 'host' and runtime 'provided' don't go together: the function's Runtime API would be open to "
                "every process of the host. Use network 'none'");
        return REQUEST_REFUSED;
    }
    if (*m->runtime_name && !request_find_runtime(c, m->runtime_name)) {
        err_say(e, ENOENT, "runtime '%s' is not on this host (any more): add it to runtimes in the configuration",
                m->runtime_name);
        return REQUEST_REFUSED;
    }
    const struct config_runtime *runtime = *m->runtime_name ? request_find_runtime(c, m->runtime_name) : NULL;
    if (m->layer_count && runtime && is_within(runtime->prefix, "/opt")) {
        err_say(
            e, EPERM,
            "layers are shown at /opt, which hides the interpreter of runtime '%s' in '%s': install it outside /opt",
            runtime->name, runtime->prefix);
        return REQUEST_REFUSED;
    }
    return REQUEST_OK;
}

static enum request_verdict check_grants(const struct message_spawn *m, const struct config *c, struct err *e)
{
    if (m->network == SETTINGS_NETWORK_HOST && !c->grant_network_host) {
        err_say(e, EPERM, "network 'host' is not granted: set grants.network_host in the configuration");
        return REQUEST_REFUSED;
    }
    if (m->network == SETTINGS_NETWORK_EGRESS && !c->grant_network_egress) {
        err_say(e, EPERM, "network 'egress' is not granted: set grants.network_egress in the configuration");
        return REQUEST_REFUSED;
    }
    for (uint32_t i = 0; i < m->allow_count; i++)
        if (egress_check_grant(&m->allow[i], &c->egress.grants, e) < 0)
            return REQUEST_REFUSED;
    if (*m->cpuset && !c->grant_cpuset) {
        err_say(e, EPERM, "cpuset is not granted: set grants.cpuset in the configuration");
        return REQUEST_REFUSED;
    }
    for (uint32_t i = 0; i < m->device_count; i++) {
        bool granted = false;
        for (uint32_t k = 0; k < c->grant_device_count && !granted; k++)
            granted = strcmp(m->devices[i], c->grant_devices[k]) == 0;
        if (!granted) {
            err_say(e, EPERM, "device '%s' is not granted: add it to grants.devices in the configuration",
                    m->devices[i]);
            return REQUEST_REFUSED;
        }
    }
    return check_mounts(m, c, e);
}

/* Any number will do: what the default does not allow, no bit gives. */
static bool calls_are_well_formed(const struct message_spawn *m)
{
    uint64_t any = 0;
    for (unsigned i = 0; i < MESSAGE_CALL_WORDS; i++)
        any |= m->system_calls[i];
    return any == 0 || m->seccomp == SETTINGS_SECCOMP_LEARNED;
}

static enum request_verdict check_spawn(const struct message_spawn *m, const struct config *c, struct err *e)
{
    if (m->kind > MESSAGE_SPAWN_DELETE || m->runtime >= SETTINGS_RUNTIMES || m->network > SETTINGS_NETWORK_EGRESS ||
        m->tmp_exec > 1 || m->slots > MESSAGE_SLOTS_MAX || (m->slots > 0 && m->kind != MESSAGE_SPAWN_FUNCTION) ||
        m->seccomp > SETTINGS_SECCOMP_LEARNING ||
        (m->seccomp != SETTINGS_SECCOMP_DEFAULT && m->kind != MESSAGE_SPAWN_FUNCTION))
        return bad(e, "SPAWN with a value out of range");
    if (!lists_are_well_formed(m) || !allow_is_well_formed(m) || !secrets_are_well_formed(m) ||
        !layers_are_well_formed(m) || !calls_are_well_formed(m) || !names_are_well_formed(m))
        return bad(e, "SPAWN with a malformed name, path or list");
    if (m->memory_bytes == 0 || m->memory_bytes > INT64_MAX || m->tmp_bytes > INT64_MAX || m->pids == 0 ||
        m->cpu_weight > 10000 || m->cpus_milli > REQUEST_CPUS_MILLI_MAX)
        return bad(e, "SPAWN with a limit out of range");
    bool is_helper = m->kind == MESSAGE_SPAWN_UNPACK || m->kind == MESSAGE_SPAWN_DELETE;
    if (is_helper && (m->memory_bytes > MESSAGE_HELPER_MEMORY_MAX || m->cpus_milli == 0))
        return bad(e, "SPAWN of a helper with more than a helper's share");
    if (m->pids > REQUEST_PIDS_MAX) {
        err_say(e, EPERM, "pids %u is more than %d", m->pids, REQUEST_PIDS_MAX);
        return REQUEST_REFUSED;
    }
    if (m->cpus_milli == 0 && *m->function) {
        err_say(e, EPERM, "cpus 0 would be no limit at all");
        return REQUEST_REFUSED;
    }
    if (m->memory_bytes > c->memory_budget_bytes) {
        err_say(e, EPERM,
                "memory %llu is more than the host's budget of %llu bytes (memory_budget in the configuration)",
                (unsigned long long)m->memory_bytes, (unsigned long long)c->memory_budget_bytes);
        return REQUEST_REFUSED;
    }
    enum request_verdict verdict = check_runtime(m, c, e);
    return verdict == REQUEST_OK ? check_grants(m, c, e) : verdict;
}

static enum request_verdict check_prepare(const struct message_prepare *m, struct err *e)
{
    if (m->template == 0 || m->template == m->header.id)
        return bad(e, "PREPARE without a template");
    if (m->slot >= MESSAGE_SLOTS_MAX || m->has_files > 1)
        return bad(e, "PREPARE for a slot that there is not");
    return REQUEST_OK;
}

static enum request_verdict check_adopt(const struct message_adopt *m, struct err *e)
{
    if (m->pid <= 1 || m->reserved != 0)
        return bad(e, "ADOPT of what can't be a process");
    return REQUEST_OK;
}

static enum request_verdict check_object(const struct message_object *m, struct err *e)
{
    if (!is_terminated(m->bucket, sizeof(m->bucket)) || !is_terminated(m->key, sizeof(m->key)) || !*m->bucket ||
        !*m->key)
        return bad(e, "OPEN_OBJECT with a malformed name");
    return REQUEST_OK;
}

static enum request_verdict check_tree(const struct message_tree *m, struct err *e)
{
    if (!is_terminated(m->digest, sizeof(m->digest)))
        return bad(e, "tree message with an unterminated digest");
    bool by_digest = m->header.type != MESSAGE_DISCARD;
    bool by_staging = m->header.type != MESSAGE_RETIRE;
    if ((by_digest && !is_digest(m->digest)) || (by_staging && m->staging == 0))
        return bad(e, "tree message with a malformed name");
    return REQUEST_OK;
}

static size_t size_of(uint32_t type)
{
    switch (type) {
    case MESSAGE_HELLO:
    case MESSAGE_KILL:
    case MESSAGE_USAGE:
    case MESSAGE_FREEZE:
    case MESSAGE_THAW:
    case MESSAGE_PONG:
    case MESSAGE_CONFIG_TAKEN:
    case MESSAGE_CONFIG_KEPT:
        return sizeof(struct message_plain);
    case MESSAGE_SPAWN:
        return sizeof(struct message_spawn);
    case MESSAGE_PREPARE:
        return sizeof(struct message_prepare);
    case MESSAGE_ADOPT:
        return sizeof(struct message_adopt);
    case MESSAGE_STEPS:
        return sizeof(struct message_steps);
    case MESSAGE_PUBLISH:
    case MESSAGE_DISCARD:
    case MESSAGE_RETIRE:
        return sizeof(struct message_tree);
    case MESSAGE_OPEN_OBJECT:
        return sizeof(struct message_object);
    default:
        return 0;
    }
}

static bool is_without_id(uint32_t type)
{
    return type == MESSAGE_HELLO || type == MESSAGE_PONG || type == MESSAGE_CONFIG_TAKEN || type == MESSAGE_CONFIG_KEPT;
}

enum request_verdict request_check(const union request *r, size_t size, const struct config *c, struct err *e)
{
    if (size < sizeof(r->header))
        return bad(e, "message shorter than its header");
    size_t wanted = size_of(r->header.type);
    if (wanted == 0)
        return bad(e, "message of an unknown type");
    if (size != wanted || r->header.size != wanted)
        return bad(e, "message of a wrong size");
    if (r->header.id == 0 && !is_without_id(r->header.type))
        return bad(e, "message without an id");
    switch (r->header.type) {
    case MESSAGE_SPAWN:
        return check_spawn(&r->spawn, c, e);
    case MESSAGE_PREPARE:
        return check_prepare(&r->prepare, e);
    case MESSAGE_ADOPT:
        return check_adopt(&r->adopt, e);
    case MESSAGE_STEPS:
        return r->steps.instance ? REQUEST_OK : bad(e, "steps of no instance");
    case MESSAGE_PUBLISH:
    case MESSAGE_DISCARD:
    case MESSAGE_RETIRE:
        return check_tree(&r->tree, e);
    case MESSAGE_OPEN_OBJECT:
        return check_object(&r->object, e);
    default:
        return REQUEST_OK;
    }
}
