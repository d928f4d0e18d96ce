/* USDT probes that Oracle's dtrace -G put into a program (section .note.usdt). */
#ifndef DTRACE_USDT_NOTE_H
#define DTRACE_USDT_NOTE_H

#include <stddef.h>

/*
 * Its "prov" notes as D: "provider p { probe a(int a0, char *a1) : (char *a1); };", one after the
 * other, each with its NUL; *ret_len counts all.  NULL if there is none.  The caller's.
 */
char *usdt_note_definitions(const char *notes, size_t len, size_t *ret_len);

#endif
