/* SPDX-License-Identifier: Apache-2.0 */
/* How SQLite locks its files. */
#ifndef FAASD_GATEWAY_STORE_LOCK_H
#define FAASD_GATEWAY_STORE_LOCK_H

/* Before each time a database is opened; from any thread. From the first one on a lock that the kernel does not give back is asked back again: an unlock of a part of what is
 * locked takes memory (ENOLCK, fcntl(2)), and SQLite, which does not expect it to fail, would hold that lock for as long as the database is open and wait ten seconds for itself at
 * each later call ("locking protocol"). */
void store_lock_prepare(void);

#endif
