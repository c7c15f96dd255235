/* SPDX-License-Identifier: Apache-2.0 */
/* Where the kernel enters, and the two functions that a compiler may call on its own (gcc's -ffreestanding contract). */
#include "server.h"

#include <stddef.h>

/* Naked: the stack that the kernel hands over holds no return address, and the ABI wants it aligned at the first call. At its
 * top are argc and the arguments (the System V ABI's process initialisation). */
#if defined(__x86_64__)
__asm__(".globl _start\n"
        ".type _start, @function\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    mov (%rsp), %rdi\n"
        "    lea 8(%rsp), %rsi\n"
        "    and $-16, %rsp\n"
        "    call server_run\n"
        "    ud2\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n"
        ".type _start, @function\n"
        "_start:\n"
        "    ldr x0, [sp]\n"
        "    add x1, sp, #8\n"
        "    mov x29, #0\n"
        "    mov x30, #0\n"
        "    bl server_run\n"
        "    brk #1\n");
#endif

void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);

void *memcpy(void *to, const void *from, size_t n)
{
    char *t = to;
    const char *f = from;
    while (n--)
        *t++ = *f++;
    return to;
}

void *memset(void *to, int byte, size_t n)
{
    char *t = to;
    while (n--)
        *t++ = (char)byte;
    return to;
}
