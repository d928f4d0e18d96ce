/* USDT probes that Oracle's dtrace -G put into a program (section .note.usdt). */
#ifndef DTRACE_USDT_NOTE_H
#define DTRACE_USDT_NOTE_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/*
 * Its "prov" notes as D: "provider p { probe a(int a0, char *a1) : (char *a1); };", one after the
 * other, each with its NUL; *ret_len counts all.  NULL if there is none.  The caller's.
 */
char *usdt_note_definitions(const char *notes, size_t len, size_t *ret_len);

/*
 * A probe as D: what it has, and what a program sees of it (from[i] is the number of the one that
 * shown[i] is made of).  One that shows nothing is defined without arguments.
 */
void usdt_define(struct strbuf *out, const char *name, const char *const *native, size_t n_native,
		 const char *const *shown, const uint8_t *from, size_t n_shown);

#endif
