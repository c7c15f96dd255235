/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/log_pattern.h"

#include <string.h>

static bool take_quoted(struct str *at, struct str *ret_text)
{
    bool closed;
    *ret_text = str_cut(str_skip(*at, 1), '"', at, &closed);
    return closed;
}

/* One term of *at, which is not blank. NULL, or why not. */
static const char *take_term(struct str *at, struct log_pattern *p)
{
    char kind = *at->p == '-' || *at->p == '?' ? *at->p : '+';
    struct str text;
    if (p->count == LOG_PATTERN_TERMS_MAX)
        return "the filter pattern has more than 64 terms";
    if (kind != '+')
        *at = str_skip(*at, 1);
    if (at->n && *at->p == '"') {
        if (!take_quoted(at, &text))
            return "the filter pattern has a quote without its end";
    } else {
        text = str_cut(*at, ' ', at, NULL);
    }
    if (text.n) {
        p->terms[p->count].text = text;
        p->terms[p->count++].kind = kind;
    }
    return NULL;
}

const char *log_pattern_parse(struct str text, struct log_pattern *ret)
{
    *ret = (struct log_pattern){.count = 0};
    text = str_trim(text);
    if (text.n && (*text.p == '{' || *text.p == '['))
        return "filter patterns for JSON and for fields ({...}, [...]) are not supported here: plain terms, "
               "\"quoted phrases\", ?optional and -excluded ones are";
    if (text.n && *text.p == '%')
        return "regular expressions (%...%) are not supported in filter patterns here";
    while (text.n) {
        if (*text.p == ' ') {
            text = str_skip(text, 1);
            continue;
        }
        const char *fault = take_term(&text, ret);
        if (fault)
            return fault;
    }
    return NULL;
}

bool log_pattern_matches(const struct log_pattern *p, struct str message)
{
    bool wants_one = false, has_one = false;
    for (unsigned i = 0; i < p->count; i++) {
        struct str t = p->terms[i].text;
        bool there = message.n && memmem(message.p, message.n, t.p, t.n);
        char kind = p->terms[i].kind;
        if (kind != '?' && there != (kind == '+'))
            return false;
        wants_one = wants_one || kind == '?';
        has_one = has_one || (kind == '?' && there);
    }
    return !wants_one || has_one;
}
