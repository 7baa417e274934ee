/* SPDX-License-Identifier: MIT */
/* Shared libraries that are loaded when they are first needed, not at every start of the program.
 */
#ifndef CTRZ_BASE_DELAY_LOAD_H
#define CTRZ_BASE_DELAY_LOAD_H

#include <stddef.h>

#include "base/error.h"

/*
 * DOC: Theory of Operation
 *
 * A library whose loading costs milliseconds is not linked. In the one folder that uses it a file
 * holds the list of its functions:
 *
 *	DELAY_LOAD(curl, curl_easy_init)
 *	DELAY_LOAD(curl, curl_easy_cleanup)
 *	DELAY_LOAD_LIBRARY(curl)
 *
 * Each is a stub of the function's name that jumps to where its entry in a table points; the
 * callers are compiled with the library's header as ever, and a function that is not listed does
 * not link. delay_load() fills the table in and is called where the folder's objects are made; a
 * function that is called before it ends the program.
 */

struct delay_symbol {
	const char *name;
	void *address;
};

struct delay_library {
	struct delay_symbol *symbols, *end; /* filled in by delay_load() */
};

#if !defined(__x86_64__)
#error "base/delay_load.h: write the jump of this machine"
#endif

/* DELAY_LOAD() - a stub and its entry in the table of @library */
#define DELAY_LOAD(library, function)                                  \
	__asm__(".pushsection .rodata.str1.1, \"aMS\", @progbits, 1\n" \
		"9:	.asciz \"" #function "\"\n"                    \
		"	.popsection\n"                                       \
		"	.pushsection delay_" #library ", \"aw\"\n"     \
		"	.balign 8\n"                                         \
		"8:	.quad 9b, delay_load_missing\n"                    \
		"	.popsection\n"                                       \
		"	.pushsection .text\n"                                \
		"	.globl " #function "\n"                        \
		"	.hidden " #function "\n"                       \
		"	.type " #function ", @function\n"              \
		"" #function ":\n"                                     \
		"	endbr64\n"                                           \
		"	jmp *8b + 8(%rip)\n"                                 \
		"	.size " #function ", . - " #function "\n"      \
		"	.popsection\n");

/* DELAY_LOAD_LIBRARY() - defines `library_of_NAME`, the table of the stubs of this file */
#define DELAY_LOAD_LIBRARY(library)                                                                \
	extern struct delay_symbol __start_delay_##library[]                                       \
		__attribute__((visibility("hidden")));                                             \
	extern struct delay_symbol __stop_delay_##library[] __attribute__((visibility("hidden"))); \
	static const struct delay_library library_of_##library = { __start_delay_##library,        \
								   __stop_delay_##library };

/**
 * delay_load() - load a library and fill its table in; nothing the second time; for any thread
 * @soname:	as the dynamic linker looks for it, "libcurl.so.4"
 *
 * Return: 0, or -E_UNAVAILABLE if it is not there or lacks a function
 */
int delay_load(const struct delay_library *library, const char *soname,
	       struct error *err) MUST_CHECK;

/* What a stub calls before its library is loaded. */
_Noreturn void delay_load_missing(void) __attribute__((visibility("hidden")));

#endif
