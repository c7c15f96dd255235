/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAASD_CODEC_SETTINGS_SECCOMP_H
#define FAASD_CODEC_SETTINGS_SECCOMP_H

enum settings_seccomp {
    SETTINGS_SECCOMP_DEFAULT,
    SETTINGS_SECCOMP_STRICT,   /* native functions: 45 system calls */
    SETTINGS_SECCOMP_LEARNED,  /* those of `system_calls` */
    SETTINGS_SECCOMP_LEARNING, /* as the default, and noted: what `faasd learn` sets for a while */
};

#endif
