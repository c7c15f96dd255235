/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAASD_BASE_MEMORY_H
#define FAASD_BASE_MEMORY_H

/* After a daemon's start and after what is done now and then: gives freed heap and clean pages of code back to the kernel. 0.1 ms, and about as
 * much when what is needed again comes from the page cache. */
void memory_give_back(void);

#endif
