/*
 * What the monitor's threads may ask of the kernel once the guest runs: exactly the system calls
 * that the files of the monitor say they make.  A file that makes one declares it:
 *
 *	SANDBOX_NEEDS(SANDBOX_IO, "pread64", "pwrite64");
 *
 * and the filter of each kind of thread is generated from all declarations when the machine is
 * started.  A guest that has taken over a thread is left with these, and the monitor itself,
 * should it make another one, ends with a message that names it.
 */
#ifndef VMM_SANDBOX_H
#define VMM_SANDBOX_H

#include <stddef.h>

#include "base/error.h"

enum sandbox_thread {
	SANDBOX_VCPU = 1, /* runs the guest and its accesses to registers */
	SANDBOX_IO = 2,	  /* a device's worker (worker.h) */
	SANDBOX_FILES = 8, /* a worker that opens files for the guest (virtio-9p) */
	SANDBOX_MAIN = 4, /* the event loop; makes threads, so it may do what all others may */
};
#define SANDBOX_ALL (SANDBOX_VCPU | SANDBOX_IO | SANDBOX_FILES | SANDBOX_MAIN)

struct sandbox_needs {
	unsigned threads;
	const char *calls[40]; /* up to the first NULL */
};

#define SANDBOX_NEEDS(who, ...) SANDBOX_NEEDS_(__COUNTER__, who, __VA_ARGS__)
#define SANDBOX_NEEDS_(n, who, ...) SANDBOX_NEEDS__(n, who, __VA_ARGS__)
#define SANDBOX_NEEDS__(n, who, ...)                                                          \
	static const struct sandbox_needs sandbox_needs_##n = {(who), {__VA_ARGS__}};        \
	static const struct sandbox_needs *const sandbox_needs_at_##n                        \
		__attribute__((section("vmm_sandbox"), used)) = &sandbox_needs_##n

/* From now on threads that enter are confined; until then sandbox_enter() does nothing (tests). */
int sandbox_prepare(struct error *err);
/* The calling thread becomes one of that kind, for good. */
void sandbox_enter(enum sandbox_thread kind);
/* Names of the calls of one kind of thread, sorted, each once; the array is the caller's. */
size_t sandbox_calls(enum sandbox_thread kind, const char ***ret);

#endif
