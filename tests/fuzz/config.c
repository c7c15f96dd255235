/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a configuration file, and any bytes laid over the struct that goes through the pipe between the processes. */
#include "codec/config.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_round_trip(const struct config *c)
{
    struct config again;
    struct err e = {0};
    struct buf first, second;
    buf_init(&first, 0);
    buf_init(&second, 0);
    config_init(&again);
    assert(config_print_json(c, &first) == 0);
    assert(config_read_json(&again, buf_str(&first), "printed", &e) == 0);
    assert(config_print_json(&again, &second) == 0);
    assert(str_equal(buf_str(&first), buf_str(&second)));
    buf_fini(&first);
    buf_fini(&second);
}

static void lay_over(const uint8_t *data, size_t n)
{
    struct config c;
    struct err e = {0};
    struct buf out;
    config_init(&c);
    size_t at = n >= 2 ? (size_t)(data[0] << 8 | data[1]) % sizeof(c) : 0;
    n = n >= 2 ? n - 2 : 0;
    if (n > sizeof(c) - at)
        n = sizeof(c) - at;
    if (n)
        memcpy((char *)&c + at, data + 2, n);
    buf_init(&out, 0);
    if (config_check(&c, &e) == 0)
        assert(config_print_json(&c, &out) == 0);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct config c;
    struct err e = {0};
    config_init(&c);
    if (config_read_json(&c, (struct str){.p = (const char *)data, .n = n}, "fuzz", &e) == 0)
        check_round_trip(&c);
    else
        assert(e.code && e.text[0]);
    lay_over(data, n);
    return 0;
}
