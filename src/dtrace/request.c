/* The request of a zone's dtrace, written and read; see request.h.  Whoever wrote it is hostile. */
#include "dtrace/request.h"

#include <stdlib.h>
#include <string.h>

#define MAX_FIELDS 1024

void
request_add(struct strbuf *b, enum request_field field, const char *text)
{
	if (!b->len)
		strbuf_add(b, REQUEST_VERSION, sizeof(REQUEST_VERSION));
	strbuf_addc(b, (char)field);
	strbuf_add(b, text, strlen(text) + 1);
}

void
request_done(struct request *r)
{
	strv_done(&r->args);
	strv_done(&r->ids);
	for (size_t i = 0; i < r->n_files; i++) {
		free(r->files[i].path);
		free(r->files[i].text);
	}
	free(r->files);
	*r = (struct request){0};
}

static int
take_field(struct request *r, char field, const char *text, struct error *err)
{
	struct request_file *last = r->n_files ? &r->files[r->n_files - 1] : NULL;

	switch (field) {
	case REQUEST_ARG:
		strv_add(&r->args, text);
		return 0;
	case REQUEST_FILE:
		if (last && !last->text)
			return error_set(err, EBADMSG, "a request has a file without a text");
		r->files = xreallocarray(r->files, r->n_files + 1, sizeof(*r->files));
		r->files[r->n_files++] = (struct request_file){.path = xstrdup(text)};
		return 0;
	case REQUEST_TEXT:
		if (!last || last->text)
			return error_set(err, EBADMSG, "a request has a text without a file");
		last->text = xstrdup(text);
		return 0;
	case REQUEST_PID:
		if (str_to_int(text, &r->pid) < 0 || r->pid <= 0)
			return error_set(err, EBADMSG, "a request has a process without a number");
		return 0;
	case REQUEST_ID:
		strv_add(&r->ids, text);
		return 0;
	}
	return error_set(err, EBADMSG, "a request has a field that is not known");
}

int
request_parse(const char *data, size_t len, struct request *ret, struct error *err)
{
	cleanup_request struct request r = {0};
	const char *at = data + sizeof(REQUEST_VERSION), *end = data + len;
	int status = 0;

	if (len < sizeof(REQUEST_VERSION) || data[len - 1] ||
	    memcmp(data, REQUEST_VERSION, sizeof(REQUEST_VERSION)) != 0)
		return error_set(err, EBADMSG, "this is no request of dtrace's, or of another version");
	for (size_t n = 0; at < end; n++) {
		if (n == MAX_FIELDS)
			return error_set(err, E2BIG, "a request has too many fields");
		if ((status = take_field(&r, at[0], at[0] ? at + 1 : at, err)) < 0)
			return status;
		at += strlen(at) + 1;
	}
	if (r.n_files && !r.files[r.n_files - 1].text)
		return error_set(err, EBADMSG, "a request has a file without a text");
	if (!r.args.n)
		return error_set(err, EBADMSG, "a request has no arguments");
	*ret = r;
	r = (struct request){0};
	return 0;
}

const char *
request_text(const struct request *r, const char *path)
{
	for (size_t i = 0; i < r->n_files; i++)
		if (str_eq(r->files[i].path, path))
			return r->files[i].text;
	return NULL;
}
