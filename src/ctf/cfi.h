/*
 * How to get from a function's frame to its caller's, for every place in a program or library:
 * call frame information (.eh_frame) as one sorted table of fixed rules, so that a stack
 * can be walked by whoever has no room for an interpreter (a BPF program).
 *
 * Three registers are followed besides the program counter: sp, fp (rbp) and bx (rbx).  A rule
 * says what the CFA is (the caller's sp), and where fp and bx were saved; the return address
 * always stands one word below the CFA.
 *
 * Follows: DWARF 5 (6.4, Call Frame Information), Linux Standard Base (.eh_frame), System V ABI
 * for x86-64 and i386.
 */
#ifndef CTF_CFI_H
#define CTF_CFI_H

enum cfi_kind {
	CFI_NONE,     /* nothing is known of this place */
	CFI_END,      /* the outermost frame */
	CFI_SP,	      /* CFA: sp + offset */
	CFI_FP,	      /* fp + offset */
	CFI_BX,	      /* bx + offset */
	CFI_FP_DEREF, /* what stands at fp + offset */
	CFI_PLT,      /* sp + a word, and one more from place `offset` of 16 on */
	CFI_SIGNAL,   /* the kernel's signal frame at sp: all registers stand there */
};

/*
 * A rule's parts.  Offsets are in words of the program (8 or 4 bytes).  A saved register stands
 * so many words below the CFA; 0: it is as it was; CFI_AT_FP: where fp points.
 */
#define CFI_RULE(kind, fp, bx, offset)                                                       \
	((unsigned)(kind) | (unsigned)(fp) << 3 | (unsigned)(bx) << 10 | (unsigned)(offset) << 17)
#define CFI_KIND(rule) ((rule) & 7)
#define CFI_SAVED_FP(rule) ((rule) >> 3 & 127)
#define CFI_SAVED_BX(rule) ((rule) >> 10 & 127)
#define CFI_OFFSET(rule) ((int)(rule) >> 17)
#define CFI_AT_FP 127
#define CFI_MAX_SAVED 126
#define CFI_MAX_OFFSET 16383

#ifndef __bpf__
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct cfi_row {
	uint32_t at;   /* offset in the file: from here to the next row */
	uint32_t rule;
};

struct cfi {
	struct cfi_row *rows; /* in order; no two neighbours are the same */
	size_t n;
	bool is_32bit;
};

/* Reads an ELF file; one without .eh_frame has no rows.  The file may be a hostile one. */
int cfi_read(int fd, const char *path, struct cfi *ret, struct error *err);
void cfi_done(struct cfi *c);
#define cleanup_cfi __attribute__((cleanup(cfi_done)))
/* The rule for a place; CFI_NONE where nothing is known. */
uint32_t cfi_at(const struct cfi *c, uint64_t offset);
#endif

#endif
