/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/validate.h"

#include "lambda/operation.h"
#include "lambda/pattern.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FAULTS_TEXT_MAX = 3072, PATH_MAX_BYTES = 256, VALUE_SHOWN_MAX = 512 };

struct faults {
    unsigned count;
    size_t len;
    char text[FAULTS_TEXT_MAX];
    const char *wrong_type; /* what stands where something else has to; NULL: nothing such */
    const char *wanted;
};

/* Where a value stands, as errors tell it: "environment.variables". */
struct place {
    const struct place *parent; /* NULL: at the top */
    const struct lambda_member *member;
    unsigned index; /* of a list's element, from 1; 0: none */
};

static size_t print_place(const struct place *at, char out[PATH_MAX_BYTES])
{
    size_t n = at->parent ? print_place(at->parent, out) : 0;
    if (at->index)
        n += (size_t)snprintf(out + n, PATH_MAX_BYTES - n, ".%u.member", at->index);
    else if (at->member->name && !(at->parent && at->parent->member->type == LAMBDA_MAP)) {
        const char *name = at->member->shown ? at->member->shown : at->member->name;
        n += (size_t)snprintf(out + n, PATH_MAX_BYTES - n, "%s%c%s", n ? "." : "", tolower((unsigned char)name[0]),
                              name + 1);
    }
    return n < PATH_MAX_BYTES ? n : PATH_MAX_BYTES - 1;
}

static void add(struct faults *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct faults *f, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(f->text + f->len, sizeof(f->text) - f->len, format, ap);
    va_end(ap);
    if (n > 0)
        f->len += (size_t)n;
    if (f->len >= sizeof(f->text))
        f->len = sizeof(f->text) - 1;
}

/* `value` NULL: there is none. */
static void add_fault(struct faults *f, const struct place *at, const struct str *value)
{
    char where[PATH_MAX_BYTES];
    print_place(at, where);
    if (f->count++)
        add(f, "; ");
    if (value)
        add(f, "Value '%.*s' at '%s' failed to satisfy constraint: Member must ",
            (int)(value->n < VALUE_SHOWN_MAX ? value->n : VALUE_SHOWN_MAX), value->p, where);
    else
        add(f, "Value null at '%s' failed to satisfy constraint: Member must ", where);
}

/* ---- texts ---- */

static bool is_choice(const char *const *choices, const char *text)
{
    for (; *choices; choices++)
        if (strcmp(*choices, text) == 0)
            return true;
    return false;
}

static void check_length(struct faults *f, const struct place *at, struct str shown, uint64_t length)
{
    const struct lambda_member *m = at->member;
    if (!m->bounded)
        return;
    if ((int64_t)length > m->max) {
        add_fault(f, at, &shown);
        add(f, "have length less than or equal to %" PRId64, m->max);
    } else if ((int64_t)length < m->min) {
        add_fault(f, at, &shown);
        add(f, "have length greater than or equal to %" PRId64, m->min);
    }
}

static bool text_matches(const struct lambda_member *m, struct str text)
{
    if (m->matches)
        return m->matches(text);
    return lambda_pattern_matches(m->ere ? m->ere : m->pattern, text.p) &&
           !(m->unlike && lambda_pattern_matches(m->unlike, text.p));
}

/* Ended by a NUL. */
static void check_text(struct faults *f, const struct place *at, struct str text)
{
    const struct lambda_member *m = at->member;
    if (m->choices && !is_choice(m->choices, text.p)) {
        add_fault(f, at, &text);
        add(f, "satisfy enum value set: [");
        for (const char *const *c = m->choices; *c; c++)
            add(f, "%s%s", c == m->choices ? "" : ", ", *c);
        add(f, "]");
    }
    bool long_ = m->bounded && (int64_t)text.n > m->max;
    if (m->pattern && !(long_ && text.n > LAMBDA_ROOM_MAX) && !text_matches(m, text)) {
        add_fault(f, at, &text);
        add(f, "satisfy regular expression pattern: %s", m->pattern);
    }
    check_length(f, at, text, text.n);
}

static void check_number(struct faults *f, const struct place *at, double value)
{
    const struct lambda_member *m = at->member;
    char text[32];
    snprintf(text, sizeof(text), "%.15g", value);
    struct str shown = str_from(text);
    if (!m->bounded)
        return;
    if (value > (double)m->max) {
        add_fault(f, at, &shown);
        add(f, "have value less than or equal to %" PRId64, m->max);
    } else if (value < (double)m->min) {
        add_fault(f, at, &shown);
        add(f, "have value greater than or equal to %" PRId64, m->min);
    }
}

/* ---- JSON ---- */

static void check_members(struct faults *f, const struct place *parent, const struct lambda_member *members,
                          const struct json *object);
static void check_value(struct faults *f, const struct place *at, const struct json *value);

static const char *json_noun(const struct json *v)
{
    bool truth = false;
    switch (json_type_of(v)) {
    case JSON_BOOL:
        return json_to_bool(v, &truth) && truth ? "TRUE_VALUE" : "FALSE_VALUE";
    case JSON_NUMBER:
        return "NUMBER_VALUE";
    case JSON_STRING:
        return "STRING_VALUE";
    case JSON_ARRAY:
        return "START_ARRAY";
    default:
        return "START_OBJECT";
    }
}

static bool has_type(const struct lambda_member *m, const struct json *v, const char **ret_wanted)
{
    static const struct {
        enum json_type json;
        const char *name;
    } TYPES[] = {
        [LAMBDA_STRING] = {JSON_STRING, "String"},
        [LAMBDA_INTEGER] = {JSON_NUMBER, "Integer"},
        [LAMBDA_DOUBLE] = {JSON_NUMBER, "Double"},
        [LAMBDA_BOOLEAN] = {JSON_BOOL, "Boolean"},
        [LAMBDA_LIST] = {JSON_ARRAY, "List"},
        [LAMBDA_MAP] = {JSON_OBJECT, "Map"},
        [LAMBDA_STRUCTURE] = {JSON_OBJECT, "Structure"},
        [LAMBDA_BLOB] = {JSON_STRING, "Blob"},
    };
    double d = 0;
    *ret_wanted = TYPES[m->type].name;
    if (json_type_of(v) != TYPES[m->type].json)
        return false;
    return m->type != LAMBDA_INTEGER ||
           (json_to_double(v, &d) && d >= -9007199254740992.0 && d <= 9007199254740992.0 && d == (double)(int64_t)d);
}

static void check_list(struct faults *f, const struct place *at, const struct json *list)
{
    unsigned index = 0;
    char shown[32];
    size_t count = json_count(list);
    snprintf(shown, sizeof(shown), "[%zu elements]", count);
    check_length(f, at, str_from(shown), count);
    if (!at->member->members)
        return;
    JSON_EACH(list, v)
    {
        index++;
        const struct place element = {.parent = at, .member = at->member->members, .index = index};
        check_value(f, &element, v);
    }
}

static void check_map(struct faults *f, const struct place *at, const struct json *map)
{
    const struct lambda_member *of_values = at->member->members;
    check_length(f, at, STR_LITERAL("{...}"), json_count(map));
    if (!of_values)
        return;
    const struct lambda_member of_keys = {.type = LAMBDA_STRING, .pattern = of_values->name};
    JSON_EACH(map, v)
    {
        const struct place key = {.parent = at, .member = &of_keys};
        const struct place value = {.parent = at, .member = of_values};
        check_text(f, &key, str_from(json_key(v)));
        check_value(f, &value, v);
    }
}

static void check_value(struct faults *f, const struct place *at, const struct json *value)
{
    const struct lambda_member *m = at->member;
    const char *wanted;
    double number = 0;
    if (!has_type(m, value, &wanted)) {
        if (!f->wrong_type) {
            f->wrong_type = json_noun(value);
            f->wanted = wanted;
        }
        return;
    }
    switch (m->type) {
    case LAMBDA_STRING:
        check_text(f, at, str_from(json_text(value)));
        break;
    case LAMBDA_INTEGER:
    case LAMBDA_DOUBLE:
        json_to_double(value, &number);
        check_number(f, at, number);
        break;
    case LAMBDA_LIST:
        check_list(f, at, value);
        break;
    case LAMBDA_MAP:
        check_map(f, at, value);
        break;
    case LAMBDA_STRUCTURE:
        check_members(f, at, m->members, value);
        break;
    case LAMBDA_BOOLEAN:
    case LAMBDA_BLOB:
        break;
    }
}

static void check_absence(struct faults *f, const struct place *at)
{
    if (!at->member->required)
        return;
    add_fault(f, at, NULL);
    add(f, "not be null");
}

static void check_members(struct faults *f, const struct place *parent, const struct lambda_member *members,
                          const struct json *object)
{
    for (const struct lambda_member *m = members; m && m->name; m++) {
        const struct place at = {.parent = parent, .member = m};
        const struct json *value = json_get(object, m->name);
        if (m->in != LAMBDA_IN_BODY)
            continue;
        if (!value || json_is_null(value))
            check_absence(f, &at);
        else
            check_value(f, &at, value);
    }
}

/* ---- what stands outside of the body ---- */

static bool find_text(struct lambda_call *c, const struct lambda_member *m, struct str *ret)
{
    if (m->in == LAMBDA_IN_PATH) {
        *ret = lambda_parameter(c, m->name);
        return true;
    }
    if (m->in == LAMBDA_IN_QUERY) {
        *ret = lambda_query(c, m->name);
        return ret->p != NULL;
    }
    const struct http1_request *q = c->x->request;
    const struct http1_field *field = http1_find_field(q->fields, q->field_count, m->name);
    if (!field)
        return false;
    if (c->room_used + field->value.n + 1 > sizeof(c->room)) {
        *ret = STR_LITERAL("(too long)");
        return true;
    }
    char *to = c->room + c->room_used;
    str_copy(field->value, to, field->value.n + 1);
    c->room_used += field->value.n + 1;
    *ret = (struct str){to, field->value.n};
    return true;
}

static void check_outside(struct faults *f, struct lambda_call *c, const struct lambda_member *m)
{
    const struct place at = {.member = m};
    struct str text;
    uint64_t number;
    if (!find_text(c, m, &text)) {
        check_absence(f, &at);
    } else if (m->type == LAMBDA_INTEGER) {
        if (str_to_u64(text, &number))
            check_number(f, &at, (double)number);
        else if (text.n > 1 && text.p[0] == '-' && str_to_u64(str_skip(text, 1), &number))
            check_number(f, &at, -(double)number);
        else if (!f->wrong_type) {
            f->wrong_type = "STRING_VALUE";
            f->wanted = "Integer";
        }
    } else if (m->type == LAMBDA_STRING) {
        check_text(f, &at, text);
    }
}

/* ---- the verdict ---- */

static enum lambda_verdict tell(const struct faults *f, char out[LAMBDA_VERDICT_MAX])
{
    if (f->wrong_type) {
        snprintf(out, LAMBDA_VERDICT_MAX, "%s can not be converted to %s %s", f->wrong_type,
                 strchr("AEIO", f->wanted[0]) ? "an" : "a", f->wanted);
        return LAMBDA_WRONG_TYPE;
    }
    out[0] = '\0';
    if (!f->count)
        return LAMBDA_VALID;
    snprintf(out, LAMBDA_VERDICT_MAX, "%u validation error%s detected: %.*s", f->count, f->count > 1 ? "s" : "",
             (int)f->len, f->text);
    return LAMBDA_INVALID;
}

static void begin(struct faults *f)
{
    f->count = 0;
    f->len = 0;
    f->wrong_type = f->wanted = NULL;
}

enum lambda_verdict lambda_check_body(const struct lambda_member *members, const struct json *object,
                                      char out[LAMBDA_VERDICT_MAX])
{
    struct faults f;
    begin(&f);
    check_members(&f, NULL, members, object);
    return tell(&f, out);
}

static void refuse(struct exchange *x, const struct faults *f)
{
    char text[LAMBDA_VERDICT_MAX];
    bool invalid = tell(f, text) == LAMBDA_INVALID;
    lambda_fail_str(x, invalid ? LAMBDA_VALIDATION : LAMBDA_SERIALIZATION, str_from(text));
}

bool lambda_validate(struct lambda_call *c, const struct lambda_member *members)
{
    struct faults f;
    begin(&f);
    for (const struct lambda_member *m = members; m && m->name; m++)
        if (m->in != LAMBDA_IN_BODY)
            check_outside(&f, c, m);
    if (!c->op->raw)
        check_members(&f, NULL, members, c->body);
    if (!f.count && !f.wrong_type)
        return true;
    refuse(c->x, &f);
    return false;
}
