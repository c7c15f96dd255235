/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/kernel_log.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "os/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    RECORD_MAX = 8192, /* CONSOLE_EXT_LOG_MAX: no record is longer */
    KILLS_MAX = 4,     /* different ones: more than that are not shown */
};

/* The number behind " key=" or "key=" at its place. What a program calls itself stands in the same line, but in quotes, or in hexadecimal when it has a space. */
static bool find_number(struct str text, const char *key, int base, uint64_t *ret_number)
{
    char copy[RECORD_MAX];
    if (!str_copy(text, copy, sizeof(copy)))
        return false;
    const char *at = strstr(copy, key);
    if (!at)
        return false;
    char *end;
    errno = 0;
    *ret_number = strtoull(at + strlen(key), &end, base);
    return errno == 0 && end > at + strlen(key);
}

bool kernel_log_parse_kill(struct str record, struct kernel_log_kill *ret_kill)
{
    static const char begin[] = "audit: type=1326 audit(";
    struct str message;
    bool has_message;
    uint64_t priority, seconds, ms, signal, architecture, number;
    struct str prefix = str_cut(record, ';', &message, &has_message);
    /* Facility 0 is the kernel itself; what programs write there has another. */
    if (!has_message || !str_to_u64(str_cut(prefix, ',', &prefix, NULL), &priority) || priority > 7 ||
        !str_starts_with(message, begin))
        return false;
    struct str time = str_cut(str_skip(message, sizeof(begin) - 1), ':', &message, NULL);
    struct str fraction;
    if (!str_to_u64(str_cut(time, '.', &fraction, NULL), &seconds) || fraction.n != 3 ||
        !find_number(fraction, "", 10, &ms) || !find_number(message, " sig=", 10, &signal) || signal != 31 ||
        !find_number(message, " arch=", 16, &architecture) || !find_number(message, " syscall=", 10, &number))
        return false;
    *ret_kill = (struct kernel_log_kill){
        .real_ms = seconds * 1000 + ms, .architecture = (uint32_t)architecture, .number = (int)number};
    return true;
}

static bool is_known(const struct kernel_log_kill *all, unsigned count, const struct kernel_log_kill *k)
{
    for (unsigned i = 0; i < count; i++)
        if (all[i].number == k->number && all[i].architecture == k->architecture)
            return true;
    return false;
}

static unsigned read_kills(int fd, uint64_t since_ms, uint64_t until_ms, struct kernel_log_kill *all)
{
    static char record[RECORD_MAX];
    unsigned count = 0;
    while (count < KILLS_MAX) {
        ssize_t n = read(fd, record, sizeof(record)); /* one record each; EPIPE: some were written over meanwhile */
        struct kernel_log_kill k;
        if (n < 0 && (errno == EPIPE || errno == EINTR))
            continue;
        if (n <= 0)
            break;
        if (kernel_log_parse_kill((struct str){record, (size_t)n}, &k) &&
            k.real_ms + KERNEL_LOG_COARSE_MS >= since_ms && k.real_ms <= until_ms && !is_known(all, count, &k))
            all[count++] = k;
    }
    return count;
}

bool kernel_log_print_kills(uint64_t since_ms, uint64_t until_ms, char *out, size_t size)
{
    struct kernel_log_kill all[KILLS_MAX];
    scoped_fd fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    unsigned count = fd < 0 ? 0 : read_kills(fd, since_ms, until_ms, all);
    size_t n = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < count; i++) {
        char name[SECCOMP_NAME_MAX];
        seccomp_find_name(all[i].architecture, all[i].number, name);
        n = fmt_at(out, size, n, "%s%s (%d)", i ? ", " : "", name, all[i].number);
    }
    return fd >= 0;
}
