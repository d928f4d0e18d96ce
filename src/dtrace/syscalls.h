/* System calls by number; gaps are NULL. */
#ifndef DTRACE_SYSCALLS_H
#define DTRACE_SYSCALLS_H

#include <stddef.h>

#define SYSCALL_TABLE 512

extern const char *const syscall_names[SYSCALL_TABLE];
extern const size_t n_syscall_names;

#endif
