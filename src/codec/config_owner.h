/* SPDX-License-Identifier: Apache-2.0 */
/* Whose files are believed: those of root and of the reader. */
#ifndef FAASD_CODEC_CONFIG_OWNER_H
#define FAASD_CODEC_CONFIG_OWNER_H

#include <stdbool.h>

/* For a reader in a user namespace, where the host's root looks like any other stranger: files of strangers count as root's from here on. Who may change them was looked
 * at before the namespace was entered (supervisor/rootless.h). */
void config_trust_strangers(bool trust);

#endif
