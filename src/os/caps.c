/* SPDX-License-Identifier: Apache-2.0 */
#include "os/caps.h"

#include <errno.h>
#include <linux/securebits.h>
#include <stddef.h>
#include <sys/capability.h>
#include <sys/prctl.h>

/* A kernel newer than the headers may know more capabilities than CAP_LAST_CAP: ask until it says EINVAL. */
enum { CAPS_NUMBERS_MAX = 64 };

int caps_drop_bounding(struct err *e)
{
    for (unsigned long cap = 0; cap < CAPS_NUMBERS_MAX; cap++) {
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
            continue;
        if (errno == EINVAL && cap > 0)
            break;
        return err_set(e, errno, "drop capability %lu from the bounding set", cap);
    }
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return err_set(e, errno, "clear ambient capabilities");
    unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED |
                         SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0)
        return err_set(e, errno, "lock the secure bits");
    return 0;
}

int caps_drop_all(struct err *e)
{
    /* libcap's cap_t is heap memory; its thin wrapper of the system call is not. */
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    if (capset(&header, none) < 0)
        return err_set(e, errno, "drop all capabilities");
    return 0;
}

int caps_drop_all_but(unsigned capability, struct err *e)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct one[_LINUX_CAPABILITY_U32S_3] = {0};
    one[CAP_TO_INDEX(capability)].permitted = CAP_TO_MASK(capability);
    one[CAP_TO_INDEX(capability)].effective = CAP_TO_MASK(capability);
    if (capset(&header, one) < 0)
        return err_set(e, errno, "drop all capabilities but number %u", capability);
    return 0;
}

int caps_check_none(struct err *e)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct held[_LINUX_CAPABILITY_U32S_3];
    if (capget(&header, held) < 0)
        return err_set(e, errno, "read the capabilities");
    for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
        if (held[i].permitted | held[i].effective | held[i].inheritable)
            return err_say(e, EPERM, "this process still holds capabilities");
    return 0;
}
