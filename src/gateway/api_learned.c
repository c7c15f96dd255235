/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/functions/NAME/learned: what a function was seen to call since its `seccomp` is `learning`, and what was on its list already. */
#include "base/clock.h"
#include "codec/settings_calls.h"
#include "gateway/api.h"
#include "gateway/api_print.h"
#include "gateway/learning.h"
#include "gateway/notices.h"

static void print(struct json_writer *w, const struct function *f, const struct settings *list)
{
    static const char *const NAMES[] = {[SETTINGS_SECCOMP_DEFAULT] = "default",
                                        [SETTINGS_SECCOMP_STRICT] = "strict",
                                        [SETTINGS_SECCOMP_LEARNED] = "learned",
                                        [SETTINGS_SECCOMP_LEARNING] = "learning"};
    struct str name;
    char since[CLOCK_RFC3339_MAX];
    json_put_object(w, NULL);
    json_put_text(w, "name", f->name);
    json_put_text(w, "seccomp", NAMES[f->current->settings.seccomp]);
    if (f->learned && f->learned->since_ms) {
        clock_format_rfc3339(f->learned->since_ms, since);
        json_put_text(w, "since", since);
    }
    json_put_u64(w, "told", f->learned ? f->learned->told : 0);
    json_put_array(w, "system_calls");
    for (size_t at = 0; settings_call_next(list, &at, &name);)
        json_put_text(w, NULL, name.p);
    json_put_array_end(w);
    json_put_object_end(w);
}

void api_learned(struct exchange *x, struct str name)
{
    struct function *f = api_find_function(x, name);
    if (!f)
        return;
    struct settings list = {.calls = NULL};
    struct buf body;
    struct json_writer w;
    struct err e;
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    learning_renew(f);
    int r = learning_list(f, &list, &e);
    print(&w, f, &list);
    int written = json_writer_end(&w);
    settings_drop_calls(&list);
    api_reply_json(x, &body, r < 0 ? r : written);
}
