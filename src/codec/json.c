/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree is cJSON's, but cJSON reads leniently (comments glued to numbers, "01", raw control characters, any bytes above 0x7f, duplicate keys). So
 * json_scan.c reads the whole text first, strictly, blanks comments and notes the line of every value; what passes is then a text that
 * cJSON can only fail on for want of memory.
 */
#include "codec/json.h"

#include "codec/json_scan.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_SHOWN = 64 }; /* bytes of a key in a message */

struct json_doc {
    cJSON *root;             /* owned */
    struct json_lines lines; /* owned: of each value, in the order of the text */
};

static const cJSON *node(const struct json *v)
{
    return (const cJSON *)(const void *)v;
}

static const struct json *value_of(const cJSON *n)
{
    return (const struct json *)(const void *)n;
}

/* The place of `target` in the order of the text, counting from *at; false when it is not beneath n. */
static bool find_place(const cJSON *n, const cJSON *target, size_t *at)
{
    if (n == target)
        return true;
    ++*at;
    for (const cJSON *c = n->child; c; c = c->next)
        if (find_place(c, target, at))
            return true;
    return false;
}

unsigned json_line(const struct json_doc *doc, const struct json *value)
{
    size_t at = 0;
    if (!value || !find_place(doc->root, node(value), &at))
        return 0;
    assert(at < doc->lines.count);
    return doc->lines.line[at];
}

static int compare_keys(const void *a, const void *b)
{
    const cJSON *const *left = a, *const *right = b;
    return strcmp((*left)->string, (*right)->string);
}

static int refuse_duplicates(const struct json_doc *doc, const cJSON *object, struct err *e)
{
    size_t n = json_count(value_of(object));
    if (n < 2)
        return 0;
    const cJSON **sorted = calloc(n, sizeof(*sorted));
    if (!sorted)
        return err_set(e, ENOMEM, "read JSON");
    size_t i = 0;
    for (const cJSON *c = object->child; c; c = c->next)
        sorted[i++] = c;
    qsort(sorted, n, sizeof(*sorted), compare_keys);
    int r = 0;
    for (i = 1; i < n && !r; i++)
        if (!strcmp(sorted[i - 1]->string, sorted[i]->string)) {
            unsigned a = json_line(doc, value_of(sorted[i - 1])), b = json_line(doc, value_of(sorted[i]));
            r = err_say(e, EINVAL, "line %u: key '%.*s' stands there twice", a > b ? a : b, KEY_SHOWN,
                        sorted[i]->string);
        }
    free(sorted);
    return r;
}

static int check_tree(const struct json_doc *doc, const cJSON *n, struct err *e)
{
    if (cJSON_IsNumber(n) && !isfinite(n->valuedouble))
        return err_say(e, EINVAL, "line %u: a number out of range", json_line(doc, value_of(n)));
    if (cJSON_IsObject(n)) {
        int r = refuse_duplicates(doc, n, e);
        if (r < 0)
            return r;
    }
    for (const cJSON *c = n->child; c; c = c->next) {
        int r = check_tree(doc, c, e);
        if (r < 0)
            return r;
    }
    return 0;
}

int json_parse(struct str text, unsigned flags, struct json_doc **ret_doc, struct err *e)
{
    if (text.n > JSON_BYTES_MAX)
        return err_say(e, EMSGSIZE, "a JSON text of %zu bytes; the limit is %d", text.n, (int)JSON_BYTES_MAX);
    struct json_doc *doc = calloc(1, sizeof(*doc));
    char *copy = malloc(text.n + 1);
    int r = -ENOMEM;
    if (!doc || !copy) {
        err_set(e, ENOMEM, "read JSON");
        goto done;
    }
    if (text.n)
        memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    r = json_scan(copy, text.n, (flags & JSON_COMMENTS) != 0, &doc->lines, e);
    if (r < 0)
        goto done;
    doc->root = cJSON_ParseWithLength(copy, text.n + 1);
    if (!doc->root) {
        r = err_set(e, ENOMEM, "read JSON");
        goto done;
    }
    r = check_tree(doc, doc->root, e);
done:
    free(copy);
    if (r < 0) {
        json_free(doc);
        return r;
    }
    *ret_doc = doc;
    return 0;
}

void json_free(struct json_doc *doc)
{
    if (!doc)
        return;
    cJSON_Delete(doc->root);
    free(doc->lines.line);
    free(doc);
}

const struct json *json_root(const struct json_doc *doc)
{
    return value_of(doc->root);
}

enum json_type json_type_of(const struct json *v)
{
    const cJSON *n = node(v);
    if (cJSON_IsBool(n))
        return JSON_BOOL;
    if (cJSON_IsNumber(n))
        return JSON_NUMBER;
    if (cJSON_IsString(n))
        return JSON_STRING;
    if (cJSON_IsArray(n))
        return JSON_ARRAY;
    if (cJSON_IsObject(n))
        return JSON_OBJECT;
    return JSON_NULL;
}

const char *json_type_name(const struct json *v)
{
    static const char *const name[] = {
        [JSON_NULL] = "null",       [JSON_BOOL] = "a boolean", [JSON_NUMBER] = "a number",
        [JSON_STRING] = "a string", [JSON_ARRAY] = "an array", [JSON_OBJECT] = "an object",
    };
    return name[json_type_of(v)];
}

bool json_is_object(const struct json *v)
{
    return cJSON_IsObject(node(v));
}

bool json_is_array(const struct json *v)
{
    return cJSON_IsArray(node(v));
}

bool json_is_null(const struct json *v)
{
    return cJSON_IsNull(node(v));
}

const struct json *json_get(const struct json *object, const char *key)
{
    return json_is_object(object) ? value_of(cJSON_GetObjectItemCaseSensitive(node(object), key)) : NULL;
}

const char *json_key(const struct json *v)
{
    return v ? node(v)->string : NULL;
}

const struct json *json_first(const struct json *v)
{
    return json_is_object(v) || json_is_array(v) ? value_of(node(v)->child) : NULL;
}

const struct json *json_next(const struct json *v)
{
    return v ? value_of(node(v)->next) : NULL;
}

size_t json_count(const struct json *v)
{
    size_t n = 0;
    JSON_EACH(v, at)
    n++;
    return n;
}

const char *json_text(const struct json *v)
{
    return cJSON_IsString(node(v)) ? node(v)->valuestring : NULL;
}

bool json_to_bool(const struct json *v, bool *ret_value)
{
    if (!cJSON_IsBool(node(v)))
        return false;
    *ret_value = cJSON_IsTrue(node(v));
    return true;
}

bool json_to_double(const struct json *v, double *ret_value)
{
    if (!cJSON_IsNumber(node(v)))
        return false;
    *ret_value = node(v)->valuedouble;
    return true;
}

bool json_to_u64(const struct json *v, uint64_t *ret_value)
{
    /* Every whole number up to 2^53 is a double of its own; beyond it two numbers of the text would be one. */
    double d;
    if (!json_to_double(v, &d) || d < 0 || d > 9007199254740992.0 || d != (double)(uint64_t)d)
        return false;
    *ret_value = (uint64_t)d;
    return true;
}

const char *json_get_text(const struct json *object, const char *key)
{
    return json_text(json_get(object, key));
}

bool json_get_u64(const struct json *object, const char *key, uint64_t *ret_value)
{
    return json_to_u64(json_get(object, key), ret_value);
}

bool json_get_bool(const struct json *object, const char *key, bool *ret_value)
{
    return json_to_bool(json_get(object, key), ret_value);
}
