/* SPDX-License-Identifier: Apache-2.0 */
/* Randomness of a forked child; inside the library only. */
#ifndef FAASD_FUNCTION_RANDOM_H
#define FAASD_FUNCTION_RANDOM_H

/* In a new child: `bytes` (FAASD_FORK_RANDOM of them) are this child's alone. NULL in a process that was not forked. Afterwards rand(), random() and drand48() differ from every sibling's. */
void faasd_random_reseed(const unsigned char *bytes);

#endif
