/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For clang-tidy alone (scripts/lint): its analyzer sees one file at a time and so can't know that what the err_ functions return is negative. Without
 * this it walks every error path once more as a success.
 */
#include "base/err.h"

#define err_set(...)  ((void)err_set(__VA_ARGS__), -1)
#define err_say(...)  ((void)err_say(__VA_ARGS__), -1)
#define err_wrap(...) ((void)err_wrap(__VA_ARGS__), -1)
