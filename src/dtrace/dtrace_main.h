/* The command dtrace(8), wherever it is run: dtrace_main.c in the global zone, consumer.c for a zone. */
#ifndef DTRACE_DTRACE_MAIN_H
#define DTRACE_DTRACE_MAIN_H

struct confine;

/* Options, as getopt(3) wants them; and the letters of those that a zone may use. */
#define DTRACE_LETTERS "aAb:Bc:CD:eFf:GhHi:I:jlL:m:n:o:p:P:qs:SU:vVwx:X:z:Z"
#define DTRACE_ZONE_LETTERS "bBcDeFfGhijlmnopPqsUvVwxXZ"

/* The exit status.  confine: what a zone's command is held to; NULL for the global zone. */
int dtrace_main(int argc, char **argv, const struct confine *confine);

#endif
