/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAASD_BASE_MEMORY_H
#define FAASD_BASE_MEMORY_H

/* After a daemon's start: gives freed heap and clean pages of code back to the kernel. */
void memory_give_back(void);

#endif
