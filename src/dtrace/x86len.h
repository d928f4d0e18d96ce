/* Where x86 instructions end. */
#ifndef DTRACE_X86LEN_H
#define DTRACE_X86LEN_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Bytes of the instruction at code, of which `size` bytes can be read; 0 if it
 * is not whole or none that is known.  narrow: 32-bit code.
 */
size_t x86_length(const unsigned char *code, size_t size, bool narrow);

#endif
