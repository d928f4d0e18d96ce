/*
 * What dtrace in a zone and its consumer in the global zone say to each other.
 *
 * A SEQPACKET connection.  The zone's side sends one packet, the request: a line with the
 * version, then fields, each a letter, text and a NUL.  From then on any packet of its means
 * "stop", as SIGINT does.  All others come from the consumer: a letter (enum deed, priv.h, or
 * REQUEST_GO) and what belongs to it.  No descriptor is passed either way: what is
 * written, run or opened in the zone is so by the zone's own command.
 */
#ifndef DTRACE_REQUEST_H
#define DTRACE_REQUEST_H

#include "base/str.h"

#define REQUEST_SOCKET "dtrace.sock" /* in the zone's /.zonecontrol, lx: /native/.zonecontrol */
#define REQUEST_GLOBAL "/run/dtrace.sock" /* the same for users of the global zone */
#define REQUEST_VERSION "dtrace 1"
#define REQUEST_MAX (128 * 1024)
#define REQUEST_FRAME (32 * 1024) /* bytes of output in a packet */
#define REQUEST_GO 'x'		  /* the command of -c may begin */

enum request_field {
	REQUEST_ARG = 'a',
	REQUEST_FILE = 'f', /* its path; REQUEST_TEXT follows */
	REQUEST_TEXT = 't',
	REQUEST_PID = 'p', /* of the command that is held for -c */
	REQUEST_ID = 'i',  /* "uid=0": what $uid means */
};

struct request_file {
	char *path, *text;
};

struct request {
	struct strv args, ids;
	struct request_file *files;
	size_t n_files;
	int pid;
};

void request_add(struct strbuf *b, enum request_field field, const char *text);
/* -EBADMSG, -E2BIG */
int request_parse(const char *data, size_t len, struct request *ret, struct error *err);
void request_done(struct request *r);
#define cleanup_request CLEANUP(request_done)
const char *request_text(const struct request *r, const char *path); /* NULL: not sent */

#endif
