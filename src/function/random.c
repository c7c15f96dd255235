/* SPDX-License-Identifier: Apache-2.0 */
#include "random.h"

#include "faasd/frame.h"
#include "faasd/function.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static unsigned char child_bytes[FAASD_FORK_RANDOM]; /* zeros in a worker that was not forked */

/* Either source alone would do: a kernel whose pool was copied with a virtual machine is made up for by faasd's bytes, and the other way round. */
int faasd_random_seed(unsigned char out[32])
{
    unsigned char bytes[FAASD_FORK_RANDOM];
    _Static_assert(FAASD_FORK_RANDOM == 32, "as the public header says");
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return -1;
    for (size_t i = 0; i < sizeof(bytes); i++)
        out[i] = bytes[i] ^ child_bytes[i];
    return 0;
}

void faasd_random_reseed(const unsigned char *bytes)
{
    struct {
        unsigned rand, random;
        unsigned short drand[3];
    } seed;
    unsigned char fresh[32];
    _Static_assert(sizeof(seed) <= sizeof(fresh), "one draw is enough");
    if (bytes)
        memcpy(child_bytes, bytes, sizeof(child_bytes));
    if (faasd_random_seed(fresh) != 0)
        memcpy(fresh, child_bytes, sizeof(fresh));
    memcpy(&seed, fresh, sizeof(seed));
#ifndef __GLIBC__
    srand(seed.rand); /* in glibc the next line's state is the same one, in musl it is another */
#endif
    srandom(seed.random);
    seed48(seed.drand);
}
