/* SPDX-License-Identifier: MIT */
/* Files as bytes of this program; private to this folder. */
#ifndef CTRZ_RUNTIME_MACHINE_KERNEL_EMBED_H
#define CTRZ_RUNTIME_MACHINE_KERNEL_EMBED_H

#include <stdint.h>

/* Once per source file: @file (a literal) as NAME_start, of NAME_size bytes. */
#define EMBED(name, file)                                    \
	extern const unsigned char name##_start[];           \
	extern const uint64_t name##_size;                   \
	__asm__(".pushsection .rodata." #name ", \"a\"\n"    \
		".balign 16\n"                               \
		".globl " #name "_start\n" #name "_start:\n" \
		"	.incbin \"" file "\"\n"              \
		"1:	.balign 8\n"                             \
		".globl " #name "_size\n" #name "_size:\n"   \
		"	.quad	1b - " #name "_start\n"      \
		".popsection\n")

#endif
