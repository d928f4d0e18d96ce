/* The process that traces for a zone: consumer.c. */
#ifndef DTRACE_CONSUMER_H
#define DTRACE_CONSUMER_H

#include "dtrace/priv.h"

/*
 * Reads the request from sock, does it, and returns the exit status that was told there.
 * sandbox: drops what it does not need first.  z: what the broker found out about who asks; of a user
 * (owner_only) z->privs is the most that he may have, and z->root's files say what of it he has.
 * library: folder of the D library; NULL: the usual one.
 */
int consumer_run(int sock, struct confine *z, const char *library, bool sandbox);
/* To sock: a message on standard error and the end; for requests that are not taken. */
void consumer_refuse(int sock, const char *message);

#endif
