/* SPDX-License-Identifier: Apache-2.0 */
#include "os/keyring.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

int keyring_join_fresh(struct err *e)
{
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0) < 0 && errno != ENOSYS)
        return err_set(e, errno, "join a fresh session keyring");
    return 0;
}
