/* The process that traces for a zone: consumer.c. */
#ifndef DTRACE_CONSUMER_H
#define DTRACE_CONSUMER_H

#include "dtrace/priv.h"

/*
 * Reads the request from sock, does it, and returns the exit status that was told there.
 * sandbox: drops what it does not need first.  z: what the broker found out about the zone; the
 * request's own parts are filled in.
 */
int consumer_run(int sock, struct confine *z, bool sandbox);
/* To sock: a message on standard error and the end; for requests that are not taken. */
void consumer_refuse(int sock, const char *message);

#endif
