/* SPDX-License-Identifier: Apache-2.0 */
/* The objects of the configuration that Lambda's API reads: code_buckets and lambda.roles. An entry is also one text, as which it is compared and checked anew. */
#include "codec/config_key.h"
#include "codec/json.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static_assert((int)CONFIG_BUCKET_PATH_MAX == (int)CONFIG_PATH_MAX, "a path is a path");
static const char *const NETWORK_NAMES[] = {
    [CONFIG_NETWORK_NONE] = "none", [CONFIG_NETWORK_HOST] = "host", [CONFIG_NETWORK_EGRESS] = "egress"};
enum {
    NETWORK_COUNT = sizeof(NETWORK_NAMES) / sizeof(NETWORK_NAMES[0]),
    ENTRY_MAX = CONFIG_ROLE_MAX + CONFIG_PATH_MAX
};

const struct config_bucket *config_find_bucket(const struct config *c, const char *name)
{
    for (uint32_t i = 0; i < c->lambda.bucket_count; i++)
        if (strcmp(c->lambda.buckets[i].name, name) == 0)
            return &c->lambda.buckets[i];
    return NULL;
}

const struct config_role *config_find_role(const struct config *c, const char *arn)
{
    for (uint32_t i = 0; i < c->lambda.role_count; i++)
        if (strcmp(c->lambda.roles[i].arn, arn) == 0)
            return &c->lambda.roles[i];
    return NULL;
}

/* ---- entries ---- */

/* What Lambda's API takes as S3Bucket. */
static bool is_bucket_name(struct str name)
{
    bool good = name.n >= 3 && name.n < CONFIG_BUCKET_MAX && name.p[name.n - 1] != '.';
    for (size_t i = 0; good && i < name.n; i++) {
        char c = name.p[i], lower = (char)(c | 0x20);
        good = (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z') || c == '.' || c == '-' || c == '_';
    }
    return good;
}

int config_add_bucket(struct config *c, const char *text, struct err *e)
{
    struct config_bucket entry;
    struct str path;
    memset(&entry, 0, sizeof(entry));
    struct str name = str_cut(str_from(text), '=', &path, NULL);
    int r = scalar_check_printable(text, e);
    if (r < 0)
        return r;
    if (!is_bucket_name(name))
        return err_say(e, EINVAL, "'%.*s' is not a bucket's name: 3 to %d of A-Z a-z 0-9 . _ -", (int)name.n, name.p,
                       CONFIG_BUCKET_MAX - 1);
    r = config_check_absolute(path, e);
    if (r < 0)
        return r;
    if (!str_copy(path, entry.path, sizeof(entry.path)))
        return err_say(e, EINVAL, "a path of more than %zu bytes", sizeof(entry.path) - 1);
    str_copy(name, entry.name, sizeof(entry.name));
    struct config_bucket *there = (struct config_bucket *)config_find_bucket(c, entry.name);
    if (!there && c->lambda.bucket_count == CONFIG_BUCKETS_MAX)
        return err_say(e, EINVAL, "more than %d entries", (int)CONFIG_BUCKETS_MAX);
    *(there ? there : &c->lambda.buckets[c->lambda.bucket_count++]) = entry;
    return 0;
}

/* "arn:aws:iam::123456789012:role/NAME" */
static bool is_role_arn(struct str arn)
{
    static const char form[] = "arn:aws:iam::", role[] = ":role/";
    size_t at = sizeof(form) - 1;
    bool good = arn.n > at + 12 + sizeof(role) - 1 && arn.n < CONFIG_ROLE_MAX && memcmp(arn.p, form, at) == 0 &&
                memcmp(arn.p + at + 12, role, sizeof(role) - 1) == 0;
    for (size_t i = 0; good && i < 12; i++)
        good = arn.p[at + i] >= '0' && arn.p[at + i] <= '9';
    return good && !memchr(arn.p, ' ', arn.n);
}

static int read_network(struct config_role *r, struct str text, struct err *e)
{
    for (unsigned i = 0; i < NETWORK_COUNT; i++)
        if (str_is(text, NETWORK_NAMES[i])) {
            r->has_network = true;
            r->network = (enum config_network)i;
            return 0;
        }
    return err_say(e, EINVAL, "network: '%.*s' is not one of none, egress, host", (int)text.n, text.p);
}

/* A role's name may hold '=' and ',', a secret's not: the text is read from its end. */
int config_add_role(struct config *c, const char *text, struct err *e)
{
    struct config_role entry;
    memset(&entry, 0, sizeof(entry));
    int r = scalar_check_printable(text, e);
    if (r < 0)
        return r;
    const char *comma = strrchr(text, ','), *equals = strrchr(text, '=');
    if (!comma || !equals || equals > comma || !is_role_arn((struct str){text, (size_t)(equals - text)}))
        return err_say(e, EINVAL, "'%.*s' is not a role's ARN such as arn:aws:iam::000000000000:role/NAME",
                       (int)(equals ? equals - text : 0), text);
    struct str secret = {equals + 1, (size_t)(comma - equals - 1)};
    if (secret.n && !settings_name_is_valid(secret))
        return err_say(e, EINVAL, "secret: '%.*s' is not a secret's name: 1 to 64 of A-Z a-z 0-9 _ -", (int)secret.n,
                       secret.p);
    if (comma[1])
        r = read_network(&entry, str_from(comma + 1), e);
    if (r < 0)
        return r;
    str_copy((struct str){text, (size_t)(equals - text)}, entry.arn, sizeof(entry.arn));
    str_copy(secret, entry.secret, sizeof(entry.secret));
    struct config_role *there = (struct config_role *)config_find_role(c, entry.arn);
    if (!there && c->lambda.role_count == CONFIG_ROLES_MAX)
        return err_say(e, EINVAL, "more than %d entries", (int)CONFIG_ROLES_MAX);
    *(there ? there : &c->lambda.roles[c->lambda.role_count++]) = entry;
    return 0;
}

/* Read from a pipe, maybe: no byte is believed to be a bool or a choice. */
int config_named_entry(const struct config *c, enum config_shape shape, uint32_t i, struct buf *out)
{
    if (shape == CONFIG_BUCKETS) {
        const struct config_bucket *b = &c->lambda.buckets[i];
        if (!memchr(b->name, '\0', sizeof(b->name)) || !memchr(b->path, '\0', sizeof(b->path)))
            return -EINVAL;
        return buf_addf(out, "%s=%s", b->name, b->path);
    }
    const struct config_role *r = &c->lambda.roles[i];
    unsigned char given;
    uint32_t network;
    memcpy(&given, &r->has_network, 1);
    memcpy(&network, &r->network, sizeof(network));
    if (given > 1 || network >= NETWORK_COUNT || !memchr(r->arn, '\0', sizeof(r->arn)) ||
        !memchr(r->secret, '\0', sizeof(r->secret)))
        return -EINVAL;
    return buf_addf(out, "%s=%s,%s", r->arn, r->secret, given ? NETWORK_NAMES[network] : "");
}

/* ---- JSON ---- */

static int read_bucket(struct config *c, const struct json *member, struct err *e)
{
    char text[ENTRY_MAX];
    const char *path = json_text(member);
    if (!path)
        return err_say(e, EINVAL, "the path of a directory was expected, not %s", json_type_name(member));
    int n = snprintf(text, sizeof(text), "%s=%s", json_key(member), path);
    if (strchr(json_key(member), '=') || (size_t)n >= sizeof(text))
        return err_say(e, EINVAL, "the name or the path is too long, or the name has a '='");
    return config_add_bucket(c, text, e);
}

static int read_role(struct config *c, const struct json *member, struct err *e)
{
    char text[ENTRY_MAX];
    const char *secret = "", *network = "";
    if (!json_is_object(member))
        return err_say(e, EINVAL, "an object with 'secret', 'network' or both was expected, not %s",
                       json_type_name(member));
    JSON_EACH(member, at)
    {
        const char *value = json_text(at);
        if (strcmp(json_key(at), "secret") != 0 && strcmp(json_key(at), "network") != 0)
            return err_say(e, EINVAL, "unknown key '%.64s': a role has 'secret' and 'network'", json_key(at));
        if (!value || !*value)
            return err_say(e, EINVAL, "%s: a text was expected", json_key(at));
        *(strcmp(json_key(at), "secret") == 0 ? &secret : &network) = value;
    }
    if (strchr(secret, ',') || strchr(secret, '=') || strchr(network, ',') || strchr(network, '='))
        return err_say(e, EINVAL, "neither 'secret' nor 'network' has a '=' or ',' in it");
    if ((size_t)snprintf(text, sizeof(text), "%s=%s,%s", json_key(member), secret, network) >= sizeof(text))
        return err_say(e, EINVAL, "the ARN or the secret's name is too long");
    return config_add_role(c, text, e);
}

int config_read_named(struct config *c, enum config_shape shape, const struct json *value, struct err *e)
{
    if (!json_is_object(value))
        return err_say(e, EINVAL, "an object was expected, not %s", json_type_name(value));
    JSON_EACH(value, at)
    {
        int r = shape == CONFIG_BUCKETS ? read_bucket(c, at, e) : read_role(c, at, e);
        if (r < 0)
            return err_wrap(e, "%.100s", json_key(at));
    }
    return 0;
}

static void put_role(const struct config_role *r, struct json_writer *w)
{
    json_put_object(w, r->arn);
    if (r->secret[0])
        json_put_text(w, "secret", r->secret);
    if (r->has_network)
        json_put_text(w, "network", NETWORK_NAMES[r->network]);
    json_put_object_end(w);
}

void config_put_named(const struct config *c, enum config_shape shape, const char *key, struct json_writer *w)
{
    json_put_object(w, key);
    for (uint32_t i = 0; i < config_list_count(c, shape); i++) {
        if (shape == CONFIG_BUCKETS)
            json_put_text(w, c->lambda.buckets[i].name, c->lambda.buckets[i].path);
        else
            put_role(&c->lambda.roles[i], w);
    }
    json_put_object_end(w);
}
