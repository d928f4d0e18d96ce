/* What a consumer for a zone leaves to the zone's own command: the first byte of its packets. */
#ifndef DTRACE_PRIV_DEED_H
#define DTRACE_PRIV_DEED_H

enum deed {
	DEED_OUT = 'O',	     /* text to where output goes */
	DEED_ERR = 'E',	     /* text to standard error */
	DEED_OPEN = 'F',     /* -o: append output to that file */
	DEED_REOPEN = 'R',   /* freopen(); "" is where output went at first */
	DEED_TRUNCATE = 'T', /* ftruncate() */
	DEED_SYSTEM = 'S',   /* system() */
	DEED_EXIT = 'X',     /* the exit status, one byte */
};

#endif
