/* Addresses of processes as symbols: what ustack(), usym() and their like show. */
#ifndef DTRACE_USYMS_H
#define DTRACE_USYMS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum usym_form {
	USYM_FRAME,  /* "libc.so.6`malloc+0x12": a frame of a stack; uaddr() */
	USYM_SYMBOL, /* "libc.so.6`malloc": usym(), ufunc() */
	USYM_MODULE, /* "libc.so.6": umod() */
};

struct usyms;

struct usyms *usyms_new(void);
void usyms_free(struct usyms *u);
/* From now on only processes that `may` allows are looked at. */
void usyms_limit(struct usyms *u, bool (*may)(void *arg, pid_t pid), void *arg);
/* Reads what the process has mapped, so that its addresses can be told when it is gone. */
void usyms_see(struct usyms *u, pid_t pid);
/*
 * Never NULL: "0x7f..." if nothing is known; the caller's.  is_return: addr is
 * where a call returns to, which the function of the call may end before.
 */
char *usyms_show(struct usyms *u, pid_t pid, uint64_t addr, bool is_return, enum usym_form form);

#endif
