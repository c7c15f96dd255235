/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((format(printf, 2, 0))) static struct finding found(bool open, const char *format, va_list ap)
{
    struct finding f = {.open = open};
    vsnprintf(f.detail, sizeof(f.detail), format, ap);
    return f;
}

struct finding found_open(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    struct finding f = found(true, format, ap);
    va_end(ap);
    return f;
}

struct finding found_denied(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    struct finding f = found(false, format, ap);
    va_end(ap);
    return f;
}

struct finding judge(const char *what, long result)
{
    if (result < 0)
        return found_denied("%s: %s", what, strerrorname_np(errno));
    return found_open("%s: %ld", what, result);
}

int in_child(int (*f)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        return 2000;
    if (pid == 0)
        _exit(f());
    int status;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

const struct probe *probe_find(const char *id)
{
    const struct probe *const groups[] = {PROBES_FILES, PROBES_PATHS,     PROBES_PROCESS, PROBES_LIMITS, PROBES_KERNEL,
                                          PROBES_CALLS, PROBES_RESOURCES, PROBES_NETWORK, PROBES_SIBLING};
    for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++)
        for (const struct probe *p = groups[g]; p->id; p++)
            if (strcmp(p->id, id) == 0)
                return p;
    return NULL;
}

/* `probe ID [ARGUMENT]`, or the same words on stdin (an exec function), or frames on fd 3 (a native one, which may be a template). */
int main(int argc, char **argv)
{
    char line[512] = "";
    const char *template = getenv("FAASD_TEMPLATE");
    if (argc > 3 && strcmp(argv[1], "inject") == 0)
        return inject(argc - 2, argv + 2);
    if (argc < 2 && template && strcmp(template, "yes") == 0)
        return serve_children();
    if (argc < 2 && !getenv("GATEWAY_INTERFACE"))
        return misbehave();
    if (argc < 2 && !fgets(line, sizeof(line), stdin))
        line[0] = '\0';
    char *id = argc > 1 ? argv[1] : strtok(line, " \n");
    char *argument = argc > 2 ? argv[2] : argc > 1 ? NULL : strtok(NULL, "\n");
    const struct probe *p = id ? probe_find(id) : NULL;
    if (!p) {
        printf("{\"id\":\"?\",\"result\":\"UNKNOWN\",\"detail\":\"\"}\n");
        return 2;
    }
    struct finding f = p->run(argument ? argument : "");
    printf("{\"id\":\"%s\",\"result\":\"%s\",\"detail\":\"%s\"}\n", p->id, f.open ? "OPEN" : "DENIED", f.detail);
    return 0;
}
