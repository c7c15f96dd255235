/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of the configuration: listening addresses, entries of /etc, grants. */
#include "codec/config_key.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static int add_address(struct config *c, const char *address, struct err *e)
{
    if (strlen(address) >= CONFIG_PATH_MAX)
        return err_say(e, EINVAL, "an address of more than %d bytes", CONFIG_PATH_MAX - 1);
    for (uint32_t i = 0; i < c->listen_count; i++)
        if (!strcmp(c->listen[i], address) && !strstr(address, ":0"))
            return err_say(e, EINVAL, "'%s' stands there twice", address);
    if (c->listen_count == CONFIG_LISTEN_MAX)
        return err_say(e, EINVAL, "more than %d addresses", (int)CONFIG_LISTEN_MAX);
    memcpy(c->listen[c->listen_count++], address, strlen(address) + 1);
    return 0;
}

static int add_unix(struct config *c, const char *text, struct err *e)
{
    const char *path = text + strlen("unix:");
    int r = scalar_check_printable(path, e);
    if (r < 0)
        return r;
    if (path[0] != '/' || !path[1])
        return err_say(e, EINVAL, "'%s': the path must be absolute", text);
    if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return err_say(e, EINVAL, "'%s': a socket's path has at most 107 bytes", text);
    return add_address(c, text, e);
}

static bool read_port(const char *text, unsigned *ret_port)
{
    uint64_t port;
    if (!str_to_u64(str_from(text), &port) || port > 65535)
        return false;
    *ret_port = (unsigned)port;
    return true;
}

static int add_both_loopbacks(struct config *c, unsigned port, struct err *e)
{
    char text[64];
    snprintf(text, sizeof(text), "127.0.0.1:%u", port);
    int r = add_address(c, text, e);
    snprintf(text, sizeof(text), "[::1]:%u", port);
    return r < 0 ? r : add_address(c, text, e);
}

int config_add_listen(struct config *c, const char *text, struct err *e)
{
    char host[INET6_ADDRSTRLEN], normal[INET6_ADDRSTRLEN], address[INET6_ADDRSTRLEN + 16];
    unsigned port;
    struct in_addr v4;
    struct in6_addr v6;
    if (!strncmp(text, "unix:", 5))
        return add_unix(c, text, e);
    if (read_port(text, &port))
        return add_both_loopbacks(c, port, e);
    const char *colon = strrchr(text, ':');
    if (!colon || !read_port(colon + 1, &port))
        return err_say(e, EINVAL, "'%s' is not an address: write 8080, 127.0.0.1:8080, [::1]:8080 or unix:/path", text);
    struct str name = {.p = text, .n = (size_t)(colon - text)};
    if (str_is(name, "localhost"))
        return add_both_loopbacks(c, port, e);
    if (name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']' &&
        str_copy((struct str){.p = name.p + 1, .n = name.n - 2}, host, sizeof(host)) &&
        inet_pton(AF_INET6, host, &v6) == 1 && inet_ntop(AF_INET6, &v6, normal, sizeof(normal))) {
        snprintf(address, sizeof(address), "[%s]:%u", normal, port);
        return add_address(c, address, e);
    }
    if (str_copy(name, host, sizeof(host)) && inet_pton(AF_INET, host, &v4) == 1) {
        snprintf(address, sizeof(address), "%s:%u", host, port);
        return add_address(c, address, e);
    }
    return err_say(e, EINVAL, "'%s': the host must be a literal address, such as 127.0.0.1, 0.0.0.0 or [::]", text);
}

int config_check_metrics_listen(const char *text, struct err *e)
{
    struct config scratch;
    scratch.listen_count = 0;
    if (!text[0])
        return 0;
    int r = config_add_listen(&scratch, text, e);
    if (r == 0 && (scratch.listen_count != 1 || !strncmp(text, "unix:", 5)))
        return err_say(e, EINVAL, "'%s': one address with its port, such as 127.0.0.1:9100 or 0.0.0.0:9100", text);
    return r;
}

int config_add_etc(struct config *c, const char *text, struct err *e)
{
    const char *slash = strchr(text, '/');
    int r = scalar_check_printable(text, e);
    if (r < 0)
        return r;
    if (!*text || strlen(text) >= sizeof(c->etc[0]))
        return err_say(e, EINVAL, "a name of 1 to %zu bytes was expected", sizeof(c->etc[0]) - 1);
    if (text[0] == '.' || (slash && (slash == text || !slash[1] || slash[1] == '.' || strchr(slash + 1, '/'))))
        return err_say(e, EINVAL, "'%s' is not a name under /etc, such as fonts, java-* or ssl/certs", text);
    if (c->etc_count == CONFIG_ETC_MAX)
        return err_say(e, EINVAL, "more than %d entries", (int)CONFIG_ETC_MAX);
    memcpy(c->etc[c->etc_count++], text, strlen(text) + 1);
    return 0;
}

int config_check_absolute(struct str path, struct err *e)
{
    bool good = path.n > 1 && path.p[0] == '/' && path.p[path.n - 1] != '/';
    for (struct str rest = str_skip(path, 1); good && rest.n;) {
        struct str part = str_cut(rest, '/', &rest, NULL);
        good = part.n && !str_is(part, ".") && !str_is(part, "..");
    }
    return good ? 0
                : err_say(e, EINVAL, "'%.*s' is not an absolute path without '.', '..' and '//'", (int)path.n, path.p);
}

int config_add_grant_mount(struct config *c, const char *text, struct err *e)
{
    struct config_grant_mount grant = {0};
    struct str mode;
    bool has_mode;
    struct str path = str_cut(str_from(text), ':', &mode, &has_mode);
    int r = scalar_check_printable(text, e);
    if (r == 0)
        r = config_check_absolute(path, e);
    if (r < 0)
        return r;
    grant.writable = str_is(mode, "rw");
    if (has_mode && !grant.writable && !str_is(mode, "ro"))
        return err_say(e, EINVAL, "'%s' is not PATH or PATH:rw", text);
    if (!str_copy(path, grant.source, sizeof(grant.source)))
        return err_say(e, EINVAL, "a path of more than %zu bytes", sizeof(grant.source) - 1);
    if (c->grant_mount_count == CONFIG_GRANTS_MAX)
        return err_say(e, EINVAL, "more than %d entries", (int)CONFIG_GRANTS_MAX);
    c->grant_mounts[c->grant_mount_count++] = grant;
    return 0;
}

int config_add_grant_device(struct config *c, const char *text, struct err *e)
{
    int r = scalar_check_printable(text, e);
    if (r == 0)
        r = config_check_absolute(str_from(text), e);
    if (r < 0)
        return r;
    if (strncmp(text, "/dev/", 5) != 0 || strlen(text) >= sizeof(c->grant_devices[0]))
        return err_say(e, EINVAL, "'%s' is not a device such as /dev/ttyS0", text);
    if (c->grant_device_count == CONFIG_GRANTS_MAX)
        return err_say(e, EINVAL, "more than %d entries", (int)CONFIG_GRANTS_MAX);
    memcpy(c->grant_devices[c->grant_device_count++], text, strlen(text) + 1);
    return 0;
}

uint32_t config_list_count(const struct config *c, enum config_shape shape)
{
    switch (shape) {
    case CONFIG_LISTEN:
        return c->listen_count;
    case CONFIG_ETC:
        return c->etc_count;
    case CONFIG_GRANT_MOUNTS:
        return c->grant_mount_count;
    case CONFIG_GRANT_DEVICES:
        return c->grant_device_count;
    case CONFIG_RUNTIMES:
        return c->runtime_count;
    case CONFIG_HOSTS:
        return c->host_count;
    case CONFIG_PROXIES:
        return c->proxy_count;
    case CONFIG_NAME_SERVERS:
        return c->egress.server_count;
    case CONFIG_EGRESS_PRIVATE:
        return c->egress.grants.count;
    case CONFIG_BUCKETS:
        return c->lambda.bucket_count;
    case CONFIG_ROLES:
        return c->lambda.role_count;
    default:
        return 0;
    }
}

static int add_bounded(struct buf *out, const char *text, size_t cap)
{
    return memchr(text, '\0', cap) ? buf_add_text(out, text) : -EINVAL;
}

int config_list_entry(const struct config *c, enum config_shape shape, uint32_t i, struct buf *out)
{
    char range[ADDRESS_RANGE_TEXT_MAX];
    unsigned char writable;
    int r;
    switch (shape) {
    case CONFIG_LISTEN:
        return add_bounded(out, c->listen[i], sizeof(c->listen[i]));
    case CONFIG_ETC:
        return add_bounded(out, c->etc[i], sizeof(c->etc[i]));
    case CONFIG_GRANT_MOUNTS:
        /* read as a byte: from a pipe it may be neither 0 nor 1 */
        memcpy(&writable, &c->grant_mounts[i].writable, 1);
        r = writable > 1 ? -EINVAL : add_bounded(out, c->grant_mounts[i].source, sizeof(c->grant_mounts[i].source));
        return r < 0 || !writable ? r : buf_add_text(out, ":rw");
    case CONFIG_GRANT_DEVICES:
        return add_bounded(out, c->grant_devices[i], sizeof(c->grant_devices[i]));
    case CONFIG_RUNTIMES:
        r = add_bounded(out, c->runtimes[i].name, sizeof(c->runtimes[i].name));
        if (r == 0)
            r = buf_add_text(out, "=");
        return r < 0 ? r : add_bounded(out, c->runtimes[i].path, sizeof(c->runtimes[i].path));
    case CONFIG_HOSTS:
        return add_bounded(out, c->hosts[i], sizeof(c->hosts[i]));
    case CONFIG_PROXIES:
        if (!address_range_is_valid(&c->proxies[i]))
            return -EINVAL;
        address_print_range(&c->proxies[i], range);
        return buf_add_text(out, range);
    case CONFIG_NAME_SERVERS:
        return config_print_range(&(struct egress_range){c->egress.servers[i], 32}, out);
    case CONFIG_EGRESS_PRIVATE:
        return config_print_range(&c->egress.grants.ranges[i], out);
    case CONFIG_BUCKETS:
    case CONFIG_ROLES:
        return config_named_entry(c, shape, i, out);
    default:
        return -EINVAL;
    }
}

int config_add_entry(struct config *c, enum config_shape shape, const char *text, struct err *e)
{
    switch (shape) {
    case CONFIG_LISTEN:
        return config_add_listen(c, text, e);
    case CONFIG_ETC:
        return config_add_etc(c, text, e);
    case CONFIG_GRANT_MOUNTS:
        return config_add_grant_mount(c, text, e);
    case CONFIG_GRANT_DEVICES:
        return config_add_grant_device(c, text, e);
    case CONFIG_HOSTS:
        return config_add_host(c, text, e);
    case CONFIG_PROXIES:
        return config_add_proxy(c, text, e);
    case CONFIG_NAME_SERVERS:
        return config_add_name_server(c, text, e);
    case CONFIG_EGRESS_PRIVATE:
        return config_add_egress_private(c, text, e);
    case CONFIG_BUCKETS:
        return config_add_bucket(c, text, e);
    case CONFIG_ROLES:
        return config_add_role(c, text, e);
    default:
        return err_say(e, EINVAL, "this is no list of texts");
    }
}
