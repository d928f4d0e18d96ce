/* The command dtrace(8), wherever it is run: dtrace_main.c in the global zone, consumer.c for a zone. */
#ifndef DTRACE_DTRACE_MAIN_H
#define DTRACE_DTRACE_MAIN_H

struct confine;
struct remote;

/* Options, as getopt(3) wants them; and the letters of those that work through the broker. */
#define DTRACE_LETTERS "aAb:Bc:CD:eFf:GhHi:I:jlL:m:n:o:p:P:qs:SU:vVwx:X:z:Z"
#define DTRACE_ZONE_LETTERS "bBcDeFfGhijlmnopPqsUvVwxXZ"

/*
 * The exit status.  Of a consumer (consumer.c): whom it works for, and what that one is held to;
 * NULL for root of the global zone.
 */
int dtrace_main(int argc, char **argv, const struct remote *remote, const struct confine *confine);
/* The command as the broker's client: in zones, and of users in the global zone. */
int dtrace_client(int argc, char **argv);

#endif
