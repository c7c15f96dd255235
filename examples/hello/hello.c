/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A native function: {"name":"you"} in, {"message":"hello you"} out.
 *
 *     faasd deploy hello build/examples/hello --runtime native
 *     curl -d '{"name":"you"}' localhost:8080/function/hello
 */
#include <faasd/function.h>

#include <string.h>

/* The string behind "name": in a JSON object, still escaped as it came: it goes out into JSON again, so nothing has to be decoded.
 * "world" where there is no name, NULL where it is no string. A larger function would take a JSON library. */
static const char *find_name(const char *json, int *ret_length)
{
    const char *at = strstr(json, "\"name\"");
    *ret_length = (int)strlen("world");
    if (!at)
        return "world";
    at += strlen("\"name\"");
    at += strspn(at, " \t\r\n");
    if (*at++ != ':')
        return NULL;
    at += strspn(at, " \t\r\n");
    if (*at++ != '"')
        return NULL;
    const char *end = at;
    while ((unsigned char)*end >= ' ' && *end != '"')
        end += end[0] == '\\' && end[1] ? 2 : 1;
    *ret_length = (int)(end - at);
    return *end == '"' ? at : NULL;
}

static int greet(const struct faasd_event *event, struct faasd_reply *reply)
{
    int length;
    const char *name = find_name(event->body, &length);
    if (!name)
        return faasd_fail(reply, "BadName", "send an object like {\"name\":\"world\"}");
    faasd_reply_type(reply, "application/json");
    return faasd_reply_printf(reply, "{\"message\":\"hello %.*s\"}\n", length, name);
}

FAASD_FUNCTION(greet)
