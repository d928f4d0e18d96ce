/*
 * The metadata protocol between a guest and the node: one line a request, one
 * line (V2) or a few (V1) an answer, over a Unix socket or a serial port.
 *
 *	V1:  GET user-script			SUCCESS\n#!/bin/sh\n.\n
 *	     NEGOTIATE V2			V2_OK
 *	V2:  V2 LEN CRC ID GET B64(KEY)		V2 LEN CRC ID SUCCESS B64(VALUE)
 *
 * LEN and CRC (crc32, eight hex digits) are of what follows the blank behind CRC.
 * A serial port may hold rubbish from before: a line that is no request is
 * answered "invalid command", by which a client finds its place.
 *
 * Both sides distrust each other: parsing never trusts a length, and the texts
 * are bounded by MDATA_LINE_MAX.
 */
#ifndef VM_MDATA_PROTO_H
#define VM_MDATA_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define MDATA_LINE_MAX (1u << 20)
#define MDATA_KEY_MAX 1024

uint32_t mdata_crc32(const void *data, size_t len);

enum mdata_verb { MDATA_GET, MDATA_PUT, MDATA_DELETE, MDATA_KEYS, MDATA_NEGOTIATE };

struct mdata_request {
	enum mdata_verb verb;
	bool v2;
	char id[17];  /* of a V2 request, to be given back */
	char *key;    /* GET, PUT, DELETE; what is negotiated */
	char *value;  /* PUT */
	size_t value_len;
};
void mdata_request_done(struct mdata_request *q);

/* A line without its newline.  false: it is no request ("invalid command"). */
bool mdata_request_parse(const char *line, size_t len, struct mdata_request *ret);
/* A V2 request line with its newline. */
char *mdata_request_print(const struct mdata_request *q);

enum mdata_status { MDATA_SUCCESS, MDATA_NOTFOUND, MDATA_FAILURE };

/* The answer to q, in q's version, with its newline(s). */
char *mdata_reply_print(const struct mdata_request *q, enum mdata_status status,
			const void *data, size_t len);
/* A V2 answer; false if it is none, or none to the request with this id. */
bool mdata_reply_parse(const char *line, size_t len, const char *id, enum mdata_status *ret,
		       char **ret_data, size_t *ret_len);

#endif
