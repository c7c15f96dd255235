/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor's check of what a gateway sends: whatever the bytes, an accepted message keeps the promises of supervisor/request.h. */
#include "supervisor/request.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct config *granting(void)
{
    static struct config c;
    if (c.memory_budget_bytes)
        return &c;
    c.memory_budget_bytes = 1ULL << 33;
    c.grant_mount_count = 2;
    strcpy(c.grant_mounts[0].source, "/data");
    strcpy(c.grant_mounts[1].source, "/srv/www");
    c.grant_mounts[1].writable = true;
    c.grant_device_count = 1;
    strcpy(c.grant_devices[0], "/dev/video0");
    c.grant_network_host = true;
    return &c;
}

static void check_promises(const struct message_spawn *m, const struct config *c)
{
    assert(memchr(m->function, 0, sizeof(m->function)) && memchr(m->digest, 0, sizeof(m->digest)));
    assert(!strchr(m->function, '/') && !strchr(m->digest, '/') && !strchr(m->revision, '/'));
    assert(m->memory_bytes > 0 && m->memory_bytes <= c->memory_budget_bytes && m->pids > 0);
    assert(!*m->cpuset);
    assert(m->mount_count <= SETTINGS_MOUNTS_MAX && m->device_count <= SETTINGS_DEVICES_MAX);
    for (uint32_t i = 0; i < m->mount_count; i++) {
        const char *source = m->mounts[i].source;
        assert(!strstr(source, "/.."));
        assert(strncmp(source, "/srv/www", 8) == 0 || (strncmp(source, "/data", 5) == 0 && !m->mounts[i].writable));
        const char *target = m->mounts[i].target;
        assert(strcmp(target, "/proc") != 0 && strncmp(target, "/proc/", 6) != 0 && strcmp(target, "/var") != 0);
    }
    assert(m->secret_count <= SETTINGS_SECRETS_MAX);
    for (uint32_t i = 0; i < m->secret_count; i++)
        assert(*m->secrets[i].file && *m->secrets[i].file != '.' && !strchr(m->secrets[i].file, '/') &&
               !strchr(m->secrets[i].name, '/') && m->secrets[i].sealed_bytes <= SECRET_SEALED_MAX);
    for (uint32_t i = 0; i < m->device_count; i++)
        assert(strcmp(m->devices[i], "/dev/video0") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    union request r;
    struct err e = {0};
    if (size > sizeof(r))
        return 0;
    memset(&r, 0xa5, sizeof(r)); /* what a short message leaves behind it is never trusted */
    memcpy(&r, data, size);
    if (request_check(&r, size, granting(), &e) == REQUEST_OK && r.header.type == MESSAGE_SPAWN)
        check_promises(&r.spawn, granting());
    return 0;
}
