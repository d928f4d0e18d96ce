/* The kernel's symbols, from /proc/kallsyms: names to addresses and back. */
#ifndef DTRACE_KSYMS_H
#define DTRACE_KSYMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct ksyms;

int ksyms_open(struct ksyms **ret, struct error *err);
void ksyms_free(struct ksyms *k);
bool ksyms_find(const struct ksyms *k, const char *name, uint64_t *ret_addr);
/* The symbol that addr lies in; module "vmlinux" or a module's name. */
bool ksyms_at(const struct ksyms *k, uint64_t addr, const char **ret_name, const char **ret_module,
	      uint64_t *ret_offset);

#endif
