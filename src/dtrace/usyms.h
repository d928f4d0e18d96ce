/* Addresses of processes as symbols: what ustack(), usym() and their like show. */
#ifndef DTRACE_USYMS_H
#define DTRACE_USYMS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "os/procmap.h"

enum usym_form {
	USYM_FRAME,  /* "libc.so.6`malloc+0x12": a frame of a stack; uaddr() */
	USYM_SYMBOL, /* "libc.so.6`malloc": usym(), ufunc() */
	USYM_MODULE, /* "libc.so.6": umod() */
	USYM_OFFSET, /* "libc.so.6:0x9a6b2", where it stands in the file: -xnoresolve */
};

struct usyms;

struct usyms *usyms_new(void);
void usyms_free(struct usyms *u);
/* From now on only processes that `may` allows are looked at. */
void usyms_limit(struct usyms *u, bool (*may)(void *arg, pid_t pid), void *arg);
/*
 * Asked for an address of a process that cannot be asked any more: the mapping there, as somebody
 * noted it while the process lived (path and fd stay theirs; fd -1: its symbols are lost).
 */
typedef bool usyms_noted_fn(void *arg, pid_t pid, uint64_t addr, struct procmap *ret, int *ret_fd);
void usyms_set_noted(struct usyms *u, usyms_noted_fn *fn, void *arg);
/* The kernel's page of code for programs, as a file; -1 if it cannot be had. */
int usyms_vdso_image(void);
/* Reads what the process has mapped, so that its addresses can be told when it is gone. */
void usyms_see(struct usyms *u, pid_t pid);
/*
 * Never NULL: "0x7f..." if nothing is known; the caller's.  is_return: addr is
 * where a call returns to, which the function of the call may end before.
 */
char *usyms_show(struct usyms *u, pid_t pid, uint64_t addr, bool is_return, enum usym_form form);

#endif
