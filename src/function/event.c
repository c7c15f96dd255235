/* SPDX-License-Identifier: Apache-2.0 */
#include "event.h"

#include "faasd/frame.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* Pairs of NUL-terminated strings, nothing cut: then walking them needs no bounds. */
static bool fields_are_whole(const char *fields, size_t length)
{
    size_t nuls = 0;
    for (size_t i = 0; i < length; i++)
        nuls += fields[i] == '\0';
    return nuls % 2 == 0 && (length == 0 || fields[length - 1] == '\0');
}

static const char *next_string(const char *s)
{
    return s + strlen(s) + 1;
}

static void take_fields(struct faasd_event *e)
{
    const char *end = e->fields + e->fields_length;
    e->request_id = e->method = e->path = e->query = "";
    for (const char *name = e->fields; name < end;) {
        const char *value = next_string(name);
        if (strncmp(name, "http.", 5) == 0)
            break; /* headers are looked up when asked for */
        if (strcmp(name, "request_id") == 0)
            e->request_id = value;
        else if (strcmp(name, "method") == 0)
            e->method = value;
        else if (strcmp(name, "path") == 0)
            e->path = value;
        else if (strcmp(name, "query") == 0)
            e->query = value;
        name = next_string(value);
    }
}

const char *faasd_event_read(const char *payload, size_t length, struct faasd_event *e)
{
    struct faasd_invoke_head head;
    if (length < sizeof(head))
        return "an INVOKE frame shorter than its head";
    memcpy(&head, payload, sizeof(head));
    if ((uint64_t)sizeof(head) + head.fields_length + head.event_length != length)
        return "an INVOKE frame whose lengths disagree";
    e->deadline_ms = head.deadline_ms;
    e->fields = payload + sizeof(head);
    e->fields_length = head.fields_length;
    e->body = e->fields + head.fields_length;
    e->body_length = head.event_length;
    if (!fields_are_whole(e->fields, e->fields_length))
        return "an INVOKE frame with a cut field";
    take_fields(e);
    return NULL;
}

const char *faasd_header(const struct faasd_event *event, const char *name)
{
    const char *end = event->fields + event->fields_length;
    for (const char *at = event->fields; at < end;) {
        const char *value = next_string(at);
        if (strncmp(at, "http.", 5) == 0 && strcasecmp(at + 5, name) == 0)
            return value;
        at = next_string(value);
    }
    return NULL;
}

int64_t faasd_remaining_ms(const struct faasd_event *event)
{
    struct timespec now;
    if (event->deadline_ms == 0)
        return INT64_MAX;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t left = (int64_t)event->deadline_ms - ((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    return left > 0 ? left : 0;
}
