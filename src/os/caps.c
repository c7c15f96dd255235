/* SPDX-License-Identifier: Apache-2.0 */
#include "os/caps.h"

#include <errno.h>
#include <linux/securebits.h>
#include <stddef.h>
#include <sys/capability.h>
#include <sys/prctl.h>

/* A kernel newer than the headers may know more capabilities than CAP_LAST_CAP: ask until it says EINVAL. */
enum { CAPS_NUMBERS_MAX = 64 };

enum {
    LOCKED_BITS = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED,
    AMBIENT_BITS = SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
};

static bool has(uint64_t set, unsigned long capability)
{
    return set >> capability & 1;
}

static int empty_bounding(uint64_t kept, struct err *e)
{
    for (unsigned long cap = 0; cap < CAPS_NUMBERS_MAX; cap++) {
        if (has(kept, cap) || prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
            continue;
        if (errno == EINVAL && cap > 0)
            break;
        return err_set(e, errno, "drop capability %lu from the bounding set", cap);
    }
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return err_set(e, errno, "clear ambient capabilities");
    return 0;
}

static int set_secure_bits(unsigned long bits, struct err *e)
{
    if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0)
        return err_set(e, errno, "lock the secure bits");
    return 0;
}

int caps_drop_bounding(struct err *e)
{
    int r = empty_bounding(0, e);
    return r < 0 ? r : set_secure_bits(LOCKED_BITS | AMBIENT_BITS, e);
}

int caps_drop_bounding_but(uint64_t kept, struct err *e)
{
    int r = empty_bounding(kept, e);
    return r < 0 ? r : set_secure_bits(LOCKED_BITS | SECBIT_KEEP_CAPS, e); /* execve clears KEEP_CAPS, locked or not */
}

/* libcap's cap_t is heap memory; its thin wrapper of the system call is not. */
struct caps_sets {
    struct __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3];
};

static int set_caps(const struct caps_sets *s)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct caps_sets copy = *s; /* capset's parameter lacks a const */
    return capset(&header, copy.words);
}

static struct caps_sets sets_of(uint64_t set)
{
    struct caps_sets s = {0};
    for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
        s.words[i].permitted = s.words[i].effective = (uint32_t)(set >> 32 * i);
    return s;
}

int caps_drop_all(struct err *e)
{
    const struct caps_sets none = {0};
    return set_caps(&none) < 0 ? err_set(e, errno, "drop all capabilities") : 0;
}

static int refuse(uint64_t kept, struct err *e)
{
    return err_set(e, errno, "drop all capabilities but 0x%llx", (unsigned long long)kept);
}

int caps_drop_all_but(uint64_t kept, struct err *e)
{
    const struct caps_sets s = sets_of(kept);
    return set_caps(&s) < 0 ? refuse(kept, e) : 0;
}

int caps_keep_across_exec(uint64_t kept, struct err *e)
{
    struct caps_sets last = sets_of(kept),
                     first =
                         sets_of(kept | CAPS_BIT(CAP_SETPCAP)); /* to lock the secure bits, all that it is needed for */
    for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
        first.words[i].inheritable = last.words[i].inheritable = last.words[i].permitted;
    if (set_caps(&first) < 0)
        return refuse(kept, e);
    for (unsigned long cap = 0; cap < CAPS_NUMBERS_MAX; cap++)
        if (has(kept, cap) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
            return err_set(e, errno, "keep capability %lu across execve", cap);
    int r = set_secure_bits(LOCKED_BITS | SECBIT_KEEP_CAPS | AMBIENT_BITS, e);
    if (r < 0)
        return r;
    return set_caps(&last) < 0 ? refuse(kept, e) : 0;
}

bool caps_has(unsigned capability)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct held[_LINUX_CAPABILITY_U32S_3];
    return capget(&header, held) == 0 && (held[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability));
}

int caps_check_none(pid_t pid, struct err *e)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = pid};
    struct __user_cap_data_struct held[_LINUX_CAPABILITY_U32S_3];
    if (capget(&header, held) < 0)
        return err_set(e, errno, "read the capabilities");
    for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
        if (held[i].permitted | held[i].effective | held[i].inheritable)
            return pid ? err_say(e, EPERM, "process %d holds capabilities", pid)
                       : err_say(e, EPERM, "this process still holds capabilities");
    return 0;
}
