/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/verdict_runtime.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* "signal: segmentation fault": the library's words in lower case are those that Lambda's supervisor, a Go program, prints. */
static void describe_signal(int number, char out[VERDICT_RUNTIME_MAX])
{
    const char *words = sigdescr_np(number);
    int n = snprintf(out, VERDICT_RUNTIME_MAX, "Runtime exited with error: signal: ");
    size_t at = (size_t)n;
    for (const char *p = words ? words : "unknown"; *p && at < VERDICT_RUNTIME_MAX - 1; p++)
        out[at++] = (char)tolower((unsigned char)*p);
    out[at] = '\0';
    if (number == SIGSYS)
        snprintf(out + at, VERDICT_RUNTIME_MAX - at, " (not allowed in the sandbox)");
}

static void describe_entry_point(int error, char out[VERDICT_RUNTIME_MAX])
{
    if (error == ENOENT)
        snprintf(out, VERDICT_RUNTIME_MAX,
                 "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap], or the interpreter that it "
                 "names");
    else if (error == EACCES)
        snprintf(out, VERDICT_RUNTIME_MAX, "bootstrap: permission denied: make it executable (chmod +x)");
    else if (error == ENOEXEC)
        snprintf(out, VERDICT_RUNTIME_MAX, "bootstrap: exec format error: no #! line, or for another processor");
    else
        snprintf(out, VERDICT_RUNTIME_MAX, "bootstrap: %s", strerror(error));
}

const char *verdict_describe_runtime(const struct init_done *done, char out[VERDICT_RUNTIME_MAX])
{
    if (done->flags & INIT_DONE_EXEC_FAILED) {
        describe_entry_point(done->error, out);
        return "Runtime.InvalidEntrypoint";
    }
    if (WIFSIGNALED(done->status))
        describe_signal(WTERMSIG(done->status), out);
    else if (WEXITSTATUS(done->status) == 0)
        snprintf(out, VERDICT_RUNTIME_MAX, "Runtime exited without providing a reason");
    else
        snprintf(out, VERDICT_RUNTIME_MAX, "Runtime exited with error: exit status %d", WEXITSTATUS(done->status));
    return "Runtime.ExitError";
}

void verdict_runtime(struct invocation *inv, const struct init_done *done, const struct verdict_facts *facts)
{
    if (facts->oom_kills) {
        verdict_out_of_memory(inv, facts);
        return;
    }
    char how[VERDICT_RUNTIME_MAX];
    char text[VERDICT_RUNTIME_MAX + 512];
    const char *type = verdict_describe_runtime(done, how);
    int n = snprintf(text, sizeof(text), "RequestId: %s Error: %s", inv->exchange->id, how);
    if (facts->pids_denied)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "; %u %s refused at the limit 'pids' (%u)",
                      facts->pids_denied, facts->pids_denied == 1 ? "fork or thread was" : "forks or threads were",
                      facts->version->settings.pids);
    if (facts->tail.n)
        snprintf(text + n, sizeof(text) - (size_t)n, ": %.*s", facts->tail.n < 256 ? (int)facts->tail.n : 256,
                 facts->tail.n < 256 ? facts->tail.p : facts->tail.p + facts->tail.n - 256);
    const struct invocation_failure f = {
        .outcome = INVOCATION_CRASHED,
        .status = 502,
        .type = type,
        .message = str_from(text),
        .cause = {.signal = WIFSIGNALED(done->status) ? WTERMSIG(done->status) : 0,
                  .has_exited = WIFEXITED(done->status) && !(done->flags & INIT_DONE_EXEC_FAILED),
                  .exit_status = WIFEXITED(done->status) ? WEXITSTATUS(done->status) : 0,
                  .pids_denied = facts->pids_denied},
    };
    invocation_end_failure(inv, &f);
}
