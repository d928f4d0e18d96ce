/*
 * Anonymous tracing: programs that are enabled while nobody looks, as a node boots.
 *
 * dtrace -A saves them (ANON_FILE).  The service dtrace/anon runs dtrace --serve-anonymous, which
 * enables them and stays, with their buffers unread, until dtrace -a asks for them over a socket:
 * it then writes to that dtrace's outputs as if it were it, and ends.  What was claimed once is
 * gone; the file stays for the next boot, until dtrace -A without a program removes it.
 */
#ifndef DTRACE_ANON_H
#define DTRACE_ANON_H

#include <signal.h>
#include <stdbool.h>

#include "base/json.h"

#define ANON_DIR "/var/dtrace"
#define ANON_SOCKET "/run/dtrace.anon"

/* The file and the socket in a directory (NULL: where the service has them); the caller's. */
char *anon_file(const char *dir);

/* A saved enabling: *ret is NULL if there is none. */
int anon_load(const char *dir, struct json **ret, struct error *err);
int anon_store(const char *dir, const struct json *enabling, struct error *err);
int anon_remove(const char *dir, struct error *err);

struct anon;
int anon_listen(const char *dir, struct anon **ret, struct error *err);
/* Waits for a claim: its options, and the outputs to write to from now on. */
int anon_wait(struct anon *a, const struct json **ret_settings, int ret_outputs[2], struct error *err);
/* How often the claimer was interrupted by now; an end of it counts as much. */
int anon_interrupts(struct anon *a);
/* Tells the claimer how it ended; err may be NULL.  Frees a. */
void anon_finish(struct anon *a, int status, const struct error *err);

/* The other side: waits until the enabling ended.  *interrupts rises by signals. */
int anon_claim(const char *dir, const struct json *settings, const volatile sig_atomic_t *interrupts,
	       int *ret_status, struct error *err);

#endif
