/* SPDX-License-Identifier: MIT */
/* Copying a machine's memory from file to file. */
#ifndef CTRZ_RUNTIME_MACHINE_MEMORY_COPY_H
#define CTRZ_RUNTIME_MACHINE_MEMORY_COPY_H

#include <stdint.h>

#include "base/error.h"

/**
 * memory_copy() - the first @size bytes of @from to the same places of @to, which is all holes
 *
 * What is a hole or zero stays a hole. Read and written, not mapped: a file that is cut meanwhile
 * is an error, not a signal. Return: the bytes written; -E_INTEGRITY if @from is shorter
 */
int64_t memory_copy(int from, int to, uint64_t size, struct error *err) MUST_CHECK;

#endif
