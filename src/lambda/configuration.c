/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/configuration.h"

#include "codec/base64.h"
#include "codec/config_runtime.h"
#include "gateway/revision.h"
#include "gateway/runtime.h"
#include "lambda/destination.h"
#include "lambda/reply.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

enum { MIB = 1 << 20, STORAGE_LEAST = 512, ID_TEXT_MAX = 512 };

const char *const configuration_kept[] = {
    "FileSystemConfigs", "KMSKeyArn", "LoggingConfig", "SnapStart", "TracingConfig", "VpcConfig", NULL};

int configuration_open(struct configuration *c, const struct config *config, const char *region,
                       const struct store_page_row *row)
{
    struct err e;
    *c = (struct configuration){.config = config, .region = region, .row = row};
    c->version = revision_load(config, &row->revision, &e);
    if (!c->version)
        return e.code == ENOMEM ? -ENOMEM : -EINVAL;
    if (row->revision.attributes.n && json_parse(row->revision.attributes, JSON_STRICT, &c->doc, &e) < 0)
        return e.code == ENOMEM ? -ENOMEM : -EINVAL;
    c->attributes = c->doc ? json_root(c->doc) : NULL;
    return 0;
}

int configuration_foresee(struct configuration *c, struct str attributes)
{
    struct err e;
    json_free(c->doc);
    c->doc = NULL;
    c->attributes = NULL;
    if (json_parse(attributes, JSON_STRICT, &c->doc, &e) < 0)
        return e.code == ENOMEM ? -ENOMEM : -EINVAL;
    c->attributes = json_root(c->doc);
    return 0;
}

void configuration_close(struct configuration *c)
{
    version_put(c->version);
    json_free(c->doc);
    c->version = NULL;
    c->doc = NULL;
}

/* ---- single members ---- */

void configuration_print_sha256(const unsigned char digest[CRYPTO_HASH_BYTES], char out[CONFIGURATION_SHA_MAX])
{
    static_assert(CONFIGURATION_SHA_MAX == BASE64_ENCODED(CRYPTO_HASH_BYTES) + 1, "with a NUL");
    base64_encode((struct str){(const char *)digest, CRYPTO_HASH_BYTES}, out);
    out[CONFIGURATION_SHA_MAX - 1] = '\0';
}

/* Of code that came another way: of its files, which is as good a name of them. */
void configuration_code_sha256(const struct configuration *c, char out[CONFIGURATION_SHA_MAX])
{
    unsigned char digest[CRYPTO_HASH_BYTES];
    const char *kept = json_get_text(c->attributes, "CodeSha256");
    if (kept && str_copy(str_from(kept), out, CONFIGURATION_SHA_MAX))
        return;
    out[0] = '\0';
    if (crypto_unhex(str_from(c->version->code), digest, sizeof(digest)))
        configuration_print_sha256(digest, out);
}

uint64_t configuration_storage_mib(const struct configuration *c)
{
    uint64_t mib = 0;
    if (json_get_u64(json_get(c->attributes, "EphemeralStorage"), "Size", &mib))
        return mib;
    mib = c->version->settings.tmp_bytes / MIB;
    return mib > STORAGE_LEAST ? mib : STORAGE_LEAST;
}

void configuration_make_id(struct str text, char out[ID_UUID_MAX])
{
    unsigned char digest[CRYPTO_HASH_BYTES];
    crypto_sha256(text, digest);
    digest[6] = (unsigned char)((digest[6] & 0x0f) | 0x40);
    digest[8] = (unsigned char)((digest[8] & 0x3f) | 0x80);
    id_uuid_print(digest, out);
}

/* Changes with whatever a client can change, and when Pending or InProgress ends. */
void configuration_revision_id(const struct configuration *c, enum configuration_moment moment, char out[ID_UUID_MAX])
{
    char text[ID_TEXT_MAX];
    unsigned char digest[CRYPTO_HASH_BYTES];
    char attributes[CRYPTO_HASH_HEX];
    const struct store_revision *r = &c->row->revision;
    crypto_sha256(r->attributes, digest);
    id_hex(digest, sizeof(digest), attributes);
    int n = snprintf(text, sizeof(text), "%s %s %s %lu %lu %d %d", r->function, r->revision, attributes,
                     (unsigned long)r->created_ms, (unsigned long)c->row->shown, (int)r->publication, (int)moment);
    configuration_make_id((struct str){text, (size_t)n}, out);
}

const char *configuration_architecture(void)
{
    struct utsname host;
    bool known = uname(&host) == 0;
    return known && (strcmp(host.machine, "aarch64") == 0 || strncmp(host.machine, "arm", 3) == 0) ? "arm64" : "x86_64";
}

/* ---- groups of members ---- */

static void put_names(const struct configuration *c, struct json_writer *w)
{
    char text[LAMBDA_ARN_MAX], number[24] = "$LATEST";
    const char *role = json_get_text(c->attributes, "Role");
    const char *name = c->row->revision.function;
    if (c->row->shown)
        snprintf(number, sizeof(number), "%lu", (unsigned long)c->row->shown);
    snprintf(text, sizeof(text), "arn:aws:lambda:%s:%s:function:%s%s%s", c->region, c->config->lambda_account, name,
             c->row->shown ? ":" : "", c->row->shown ? number : "");
    json_put_text(w, "FunctionName", name);
    json_put_text(w, "FunctionArn", text);
    json_put_text(w, "Version", number);
    snprintf(text, sizeof(text), "arn:aws:iam::%s:role/faasd", c->config->lambda_account);
    json_put_text(w, "Role", role ? role : text);
}

static void put_environment(const struct configuration *c, struct json_writer *w)
{
    const struct settings *s = &c->version->settings;
    if (!s->env_bytes)
        return;
    json_put_object(w, "Environment");
    if (c->hides_variables) {
        json_put_object(w, "Error");
        json_put_text(w, "ErrorCode", "AccessDeniedException");
        json_put_text(w, "Message", "the variables are shown to who has the scope deploy");
        json_put_object_end(w);
        json_put_object_end(w);
        return;
    }
    json_put_object(w, "Variables");
    for (const char *at = s->env; at < s->env + s->env_bytes; at += strlen(at) + 1) {
        char name[256];
        struct str value;
        if (str_copy(str_cut(str_from(at), '=', &value, NULL), name, sizeof(name)))
            json_put_str(w, name, value);
    }
    json_put_object_end(w);
    json_put_object_end(w);
}

/* AWS's names alone: what is no runtime there has none, as functions of images have none. */
static void put_runtime(const struct configuration *c, struct json_writer *w)
{
    char text[SETTINGS_RUNTIME_MAX];
    const struct settings *s = &c->version->settings;
    const char *name = settings_runtime_name(s);
    if (s->runtime == SETTINGS_RUNTIME_PROVIDED ||
        ((s->runtime == SETTINGS_RUNTIME_PYTHON || s->runtime == SETTINGS_RUNTIME_NODE) && strchr(name, '.'))) {
        json_put_text(w, "Runtime", name);
        return;
    }
    const struct config_runtime *found =
        s->runtime == SETTINGS_RUNTIME_PYTHON ? runtime_find(c->config, s, NULL) : NULL;
    int minor = found ? config_python_minor(found) : -1;
    if (minor < 0)
        return;
    snprintf(text, sizeof(text), "python3.%d", minor);
    json_put_text(w, "Runtime", text);
}

static void put_settings(const struct configuration *c, struct json_writer *w)
{
    const struct settings *s = &c->version->settings;
    const char *description = json_get_text(c->attributes, c->row->shown ? "PublishedDescription" : "Description");
    if (!description && c->row->shown)
        description = json_get_text(c->attributes, "Description");
    put_runtime(c, w);
    json_put_text(w, "Handler", s->handler);
    json_put_text(w, "Description", description ? description : s->description);
    json_put_u64(w, "Timeout", (s->timeout_ms + 999) / 1000);
    json_put_u64(w, "MemorySize", s->memory_bytes / MIB);
    json_put_object(w, "EphemeralStorage");
    json_put_u64(w, "Size", configuration_storage_mib(c));
    json_put_object_end(w);
    put_environment(c, w);
    if (s->dead_letter[0]) {
        const struct destination_context d = {.config = c->config, .region = c->region};
        char arn[DESTINATION_ARN_MAX];
        json_put_object(w, "DeadLetterConfig");
        json_put_text(w, "TargetArn", destination_print(&d, s->dead_letter, arn));
        json_put_object_end(w);
    }
}

static void put_code(const struct configuration *c, struct json_writer *w)
{
    char sha[CONFIGURATION_SHA_MAX];
    uint64_t bytes = c->version->code_bytes;
    json_get_u64(c->attributes, "CodeSize", &bytes);
    configuration_code_sha256(c, sha);
    json_put_u64(w, "CodeSize", bytes);
    json_put_text(w, "CodeSha256", sha);
    json_put_text(w, "PackageType", "Zip");
    json_put_array(w, "Architectures");
    json_put_text(w, NULL, configuration_architecture());
    json_put_array_end(w);
}

static void put_one(struct json_writer *w, const char *key, const char *member, const char *value)
{
    json_put_object(w, key);
    json_put_text(w, member, value);
    json_put_object_end(w);
}

static void put_snap_start(const struct configuration *c, struct json_writer *w)
{
    const char *on = json_get_text(json_get(c->attributes, "SnapStart"), "ApplyOn");
    json_put_object(w, "SnapStart");
    json_put_text(w, "ApplyOn", on ? on : "None");
    json_put_text(w, "OptimizationStatus", "Off");
    json_put_object_end(w);
}

static void put_logging(const struct configuration *c, struct json_writer *w)
{
    char group[SETTINGS_NAME_MAX + 16];
    const struct json *kept = json_get(c->attributes, "LoggingConfig");
    const char *format = json_get_text(kept, "LogFormat"), *named = json_get_text(kept, "LogGroup");
    snprintf(group, sizeof(group), "/aws/lambda/%s", c->row->revision.function);
    json_put_object(w, "LoggingConfig");
    json_put_text(w, "LogFormat", format ? format : "Text");
    static const char *const levels[] = {"ApplicationLogLevel", "SystemLogLevel"};
    for (unsigned i = 0; i < 2; i++)
        if (json_get_text(kept, levels[i]))
            json_put_text(w, levels[i], json_get_text(kept, levels[i]));
    json_put_text(w, "LogGroup", named ? named : group);
    json_put_object_end(w);
}

static void put_kept(const struct configuration *c, struct json_writer *w)
{
    for (const char *const *name = configuration_kept; *name; name++) {
        const struct json *value = json_get(c->attributes, *name);
        if (strcmp(*name, "SnapStart") == 0)
            put_snap_start(c, w);
        else if (strcmp(*name, "LoggingConfig") == 0)
            put_logging(c, w);
        else if (value && !json_is_null(value))
            json_put_value(w, *name, value);
        else if (strcmp(*name, "TracingConfig") == 0)
            put_one(w, *name, "Mode", "PassThrough");
    }
}

static void put_layers(const struct configuration *c, struct json_writer *w)
{
    uint64_t bytes;
    const struct json *kept = json_get(c->attributes, "Layers");
    if (!json_first(kept))
        return;
    json_put_array(w, "Layers");
    JSON_EACH(kept, at)
    {
        json_put_object(w, NULL);
        json_put_text(w, "Arn", json_get_text(at, "Arn"));
        if (json_get_u64(at, "CodeSize", &bytes))
            json_put_u64(w, "CodeSize", bytes);
        json_put_object_end(w);
    }
    json_put_array_end(w);
}

static void put_state(const struct configuration *c, enum configuration_moment moment, struct json_writer *w)
{
    char id[ID_UUID_MAX];
    configuration_revision_id(c, moment, id);
    lambda_put_time(w, "LastModified", c->row->revision.created_ms);
    json_put_text(w, "RevisionId", id);
    if (moment == CONFIGURATION_CREATING) {
        json_put_text(w, "State", "Pending");
        json_put_text(w, "StateReason", "The function is being created.");
        json_put_text(w, "StateReasonCode", "Creating");
        return;
    }
    json_put_text(w, "State", "Active");
    json_put_text(w, "LastUpdateStatus", moment == CONFIGURATION_UPDATING ? "InProgress" : "Successful");
}

void configuration_put(const struct configuration *c, enum configuration_moment moment, struct json_writer *w)
{
    char runtime_arn[LAMBDA_ARN_MAX], digest[CRYPTO_HASH_HEX];
    unsigned char bytes[CRYPTO_HASH_BYTES];
    crypto_sha256(str_from(settings_runtime_name(&c->version->settings)), bytes);
    id_hex(bytes, sizeof(bytes), digest);
    put_names(c, w);
    put_settings(c, w);
    put_code(c, w);
    put_kept(c, w);
    put_layers(c, w);
    snprintf(runtime_arn, sizeof(runtime_arn), "arn:aws:lambda:%s::runtime:%s", c->region, digest);
    put_one(w, "RuntimeVersionConfig", "RuntimeVersionArn", runtime_arn);
    put_state(c, moment, w);
}
