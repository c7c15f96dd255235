/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service model's patterns (Java's regular expressions) matched with POSIX ones. What the translation knows: classes with \d \w \s \S and escapes inside and outside of brackets, groups,
 * alternatives, counts, anchors. What it does not: anything that begins with (? . Such a pattern has to be split by hand: lambda_member.ere and .unlike.
 */
#ifndef FAASD_LAMBDA_PATTERN_H
#define FAASD_LAMBDA_PATTERN_H

#include <stdbool.h>

enum { LAMBDA_PATTERN_MAX = 1024 };

/* The whole text must match. A pattern that can't be translated is a fault of ours: an assertion. */
bool lambda_pattern_matches(const char *pattern, const char *text);

/* For tests: false when it can't be translated. */
bool lambda_pattern_translate(const char *pattern, char out[LAMBDA_PATTERN_MAX]);

#endif
