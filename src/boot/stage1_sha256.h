/* SHA-256 of a piece of memory, with no library: stage 1 is static and small. */
#pragma once
#include <stddef.h>

/* Writes 64 hexadecimal digits and a NUL to `hex`.  Uses the processor's SHA instructions if it has them. */
void sha256_hex(const void *data, size_t size, char hex[static 65]);

/* The same without those instructions; for the test. */
void sha256_hex_portable(const void *data, size_t size, char hex[static 65]);
