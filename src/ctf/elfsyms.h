/*
 * Symbols of a program or library: from .symtab, from the separate debug file
 * that its build-id or debug link names, else from .dynsym; its SDT notes; and
 * the way between addresses as the file was linked and offsets in the file.
 *
 * The file may be a hostile one (a zone's): it is read, never mapped, sizes are
 * bounded, and nothing of it is believed to be in order.
 *
 * Follows: System V gABI (ELF), GNU build-id and debuglink, SystemTap's SDT notes version 3,
 * Oracle DTrace 2.0's sys/usdt.h.
 */
#ifndef CTF_ELFSYMS_H
#define CTF_ELFSYMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct elfsym {
	uint64_t addr, size; /* size 0 in the file: up to the next symbol */
	const char *name;
	bool is_func; /* else an object */
	bool is_alias; /* another name stands at the same address and is preferred */
	uint8_t rank; /* of names at one address: higher is preferred */
};

/* One site of a SystemTap-style probe (sys/sdt.h), or of one that Oracle's DTrace made (.note.usdt). */
struct sdt_note {
	const char *provider, *name;
	const char *args; /* "8@%rax -4@$5": one word an argument; "" if none */
	uint64_t pc, semaphore; /* addresses as linked; semaphore 0: none */
	/*
	 * It only asks whether somebody traces the probe: who does raises the semaphore, or sets the int that
	 * the argument points to.
	 */
	bool asks;
};

struct elfsyms;

/*
 * Reads an ELF file.  root_fd is the directory that stands for / where separate
 * debug files are looked for (a process's root); path the file's name there; -1:
 * none are.  fd stays the caller's and may be closed.
 */
int elfsyms_open(int fd, int root_fd, const char *path, struct elfsyms **ret, struct error *err);
void elfsyms_free(struct elfsyms *e);
DEFINE_CLEANUP(elfsyms_free, struct elfsyms *);
#define cleanup_elfsyms CLEANUP(elfsyms_freep)

/* In order of address; among equals the preferred name first. */
size_t elfsyms_count(const struct elfsyms *e);
const struct elfsym *elfsyms_sym(const struct elfsyms *e, size_t i);
/* The function or object that covers addr, or NULL. */
const struct elfsym *elfsyms_at(const struct elfsyms *e, uint64_t addr);
/* A function by any of its names ("main"; a demangled name's own part is not looked for). */
const struct elfsym *elfsyms_function(const struct elfsyms *e, const char *name);
size_t elfsyms_n_notes(const struct elfsyms *e);
const struct sdt_note *elfsyms_note(const struct elfsyms *e, size_t i);

/* A section's bytes (the caller's, NUL-terminated), or NULL. */
char *elfsyms_section(const struct elfsyms *e, const char *name, size_t *ret_len);
/* Where it is as the file was linked; 0 if it is not loaded. */
uint64_t elfsyms_section_addr(const struct elfsyms *e, const char *name);

uint64_t elfsyms_entry(const struct elfsyms *e);
bool elfsyms_is_32bit(const struct elfsyms *e);
/* The interpreter's path, or NULL (a static program). */
const char *elfsyms_interp(const struct elfsyms *e);
/*
 * Between addresses as linked and offsets in the file, or what its mapping goes on with behind its last
 * byte (.bss); false outside of loaded segments.
 */
bool elfsyms_to_offset(const struct elfsyms *e, uint64_t addr, uint64_t *ret);
bool elfsyms_to_addr(const struct elfsyms *e, uint64_t offset, uint64_t *ret);
/* Bytes at an address, from the file; how many there were (0: none). */
size_t elfsyms_read(const struct elfsyms *e, int fd, uint64_t addr, void *buf, size_t size);

#endif
