/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/check_calls.h"

#include "base/fmt.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/output.h"
#include "codec/json.h"
#include "sandbox/profile.h"

#include <stdio.h>
#include <string.h>

enum { ANSWER_MAX = 32, WHEN_MAX = 160 };

/* What others allow, as they publish it: the sweep of all calls of x86-64 under Docker's default profile, and Firecracker's filters for its device model. */
static const char PEERS[] = "Docker's default profile: 307 of 381. Firecracker's filter: about 50.";

static void print_answer(const struct seccomp_rule *r, char out[ANSWER_MAX])
{
    const char *name = r->error > 0 ? strerrorname_np(r->error) : NULL;
    fmt_to(out, ANSWER_MAX, "%s",
           r->error == SECCOMP_KILL   ? "killed"
           : r->error == SECCOMP_TELL ? "told"
           : r->error == 0            ? "allowed"
           : name                     ? name
                                      : "?");
}

/* "argument 1 & 0xffffffff = 0x541b" */
static void print_when(const struct seccomp_rule *r, char out[WHEN_MAX])
{
    size_t n = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < r->condition_count; i++) {
        const struct seccomp_condition *c = &r->conditions[i];
        n = fmt_at(out, WHEN_MAX, n, "%sargument %u & 0x%lx = 0x%lx", i ? ", " : "", c->argument,
                   (unsigned long)c->mask, (unsigned long)c->value);
    }
}

static int print_table(enum profile p, const struct seccomp_rule *rules, size_t count)
{
    static const struct output_column columns[] = {
        {"SYSTEM CALL", false}, {"ANSWER", false}, {"WHEN", false}, {"REASON", false}};
    struct output_table t;
    output_table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++) {
        char answer[ANSWER_MAX], when[WHEN_MAX];
        if (seccomp_find_number(rules[i].syscall) < 0)
            continue;
        print_answer(&rules[i], answer);
        print_when(&rules[i], when);
        const char *const cells[] = {rules[i].syscall, answer, when, rules[i].reason};
        for (size_t k = 0; k < sizeof(cells) / sizeof(cells[0]) && r == 0; k++)
            r = output_table_add(&t, str_from(cells[k]));
    }
    output_table_print(&t, stdout);
    printf("\nProfile '%s' allows %u system calls; what no row names answers ENOSYS.\n%s\n", profile_name(p),
           profile_count_calls(p), PEERS);
    return r;
}

static void put_number(struct json_writer *w, const char *name, uint64_t value)
{
    char text[24];
    fmt_to(text, sizeof(text), "0x%lx", (unsigned long)value); /* JSON's own numbers end at 53 bits */
    json_put_text(w, name, text);
}

static void put_rule(struct json_writer *w, const struct seccomp_rule *r, int number)
{
    char answer[ANSWER_MAX];
    print_answer(r, answer);
    json_put_object(w, NULL);
    json_put_text(w, "call", r->syscall);
    json_put_u64(w, "number", (uint64_t)number);
    json_put_text(w, "answer", answer);
    json_put_array(w, "when");
    for (unsigned i = 0; i < r->condition_count; i++) {
        json_put_object(w, NULL);
        json_put_u64(w, "argument", r->conditions[i].argument);
        put_number(w, "mask", r->conditions[i].mask);
        put_number(w, "value", r->conditions[i].value);
        json_put_object_end(w);
    }
    json_put_array_end(w);
    json_put_text(w, "reason", r->reason);
    json_put_object_end(w);
}

static int print_json(enum profile p, const struct seccomp_rule *rules, size_t count)
{
    struct buf out;
    struct json_writer w;
    buf_init(&out, 0);
    json_writer_init(&w, &out);
    json_put_object(&w, NULL);
    json_put_text(&w, "profile", profile_name(p));
    json_put_u64(&w, "calls", profile_count_calls(p));
    json_put_array(&w, "rows");
    for (size_t i = 0; i < count; i++) {
        int number = seccomp_find_number(rules[i].syscall);
        if (number >= 0)
            put_rule(&w, &rules[i], number);
    }
    json_put_array_end(&w);
    json_put_object_end(&w);
    int r = json_writer_end(&w);
    if (r == 0) {
        fwrite(out.data, 1, out.len, stdout);
        putchar('\n');
    }
    buf_fini(&out);
    return r;
}

int check_calls(const char *profile, bool json)
{
    enum profile p;
    size_t count;
    if (!profile_find(profile, &p))
        return options_refuse("check", "'%s' is no profile: default, strict, shell, template, learning", profile);
    const struct seccomp_rule *rules = profile_rules(p, &count);
    if ((json ? print_json(p, rules, count) : print_table(p, rules, count)) < 0) {
        fprintf(stderr, "faasd check: no memory\n");
        return CMD_FAILED;
    }
    return output_finish("check", CMD_OK);
}
