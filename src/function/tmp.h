/* SPDX-License-Identifier: Apache-2.0 */
/* Making a template child's /tmp clean of its predecessor; inside the library only. */
#ifndef FAASD_FUNCTION_TMP_H
#define FAASD_FUNCTION_TMP_H

/* Removes whatever a directory of this user holds, without following a link; mount points at its top stay. 0, or -1 and errno. */
int faasd_tmp_empty(const char *path);

#endif
