/* The command dtrace(8), wherever it is run: dtrace_main.c in the global zone, consumer.c for a zone. */
#ifndef DTRACE_DTRACE_MAIN_H
#define DTRACE_DTRACE_MAIN_H

struct confine;

/* The exit status.  confine: what a zone's command is held to; NULL for the global zone. */
int dtrace_main(int argc, char **argv, const struct confine *confine);

#endif
