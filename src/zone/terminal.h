/*
 * The operator's terminal joined with something in a zone: zlogin(1)'s shell and console,
 * `vmadm console`.
 */
#ifndef ZONE_TERMINAL_H
#define ZONE_TERMINAL_H

#include <stdbool.h>

struct terminal {
	char escape;   /* at the beginning of a line, with '.' behind it: leave; '\0' none */
	char leave;    /* alone, anywhere: leave; '\0' none */
	bool no_input;
	bool size;     /* fd is a terminal: it follows the size of ours */
	int end;       /* readable when it is over (a pidfd), what is left is shown; -1 none */
	/* Asked when `watch` (-1: none) is readable: true if it is over. */
	int watch;
	bool (*over)(int watch, void *arg);
	void *arg;
};

#define TERMINAL_INIT {.end = -1, .watch = -1}

/*
 * Descriptors 0 and 1 and fd, both ways, until fd ends (false) or the operator leaves
 * (true).  If 0 is a terminal it is raw meanwhile.
 */
bool terminal_join(int fd, const struct terminal *t);

#endif
