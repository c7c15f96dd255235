/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Most of the code that was mapped so far ran once: the dynamic linker, the beginnings of libraries. Read-only pages of files are given back; what is needed
 * again comes from the page cache. Segments that were ever writable hold relocations and stay. */
static int forget_code(struct dl_phdr_info *info, size_t size, void *context)
{
    long page = sysconf(_SC_PAGESIZE);
    (void)size;
    (void)context;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W))
            continue;
        uintptr_t start = (info->dlpi_addr + segment->p_vaddr) & ~((uintptr_t)page - 1);
        uintptr_t end = info->dlpi_addr + segment->p_vaddr + segment->p_memsz;
        madvise((void *)start, end - start, MADV_DONTNEED);
    }
    return 0;
}

void memory_give_back(void)
{
    malloc_trim(0);
    dl_iterate_phdr(forget_code, NULL);
}
