/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of settings take for the configuration's defaults. */
#ifndef FAASD_UNIT_SETTINGS_DEFAULTS_H
#define FAASD_UNIT_SETTINGS_DEFAULTS_H

#include "codec/settings.h"

static const struct settings_defaults defaults = {
    .memory_bytes = 128 << 20,
    .tmp_bytes = 64 << 20,
    .timeout_ms = 30000,
    .keep_warm_ms = 600000,
    .cpus_milli = 1000,
    .cpu_weight = 100,
    .pids = 64,
    .max_concurrency = 4,
    .queue = 100,
};

#endif
