/*
 * Files of KEY=VALUE lines that a shell may source (/usbkey/config), read and
 * changed without a shell.
 *
 * A line is empty, a comment, or KEY=VALUE with an optional "export ".  VALUE
 * is made of bare text, 'single quoted', "double quoted" and \x pieces.  What
 * only a shell could work out ($name, $(...), `...`, several commands on a
 * line) is refused with the line's number: nothing is ever executed.
 *
 * The lines are kept as they are, so that conf_set() and conf_print() leave
 * comments and order alone.  An assignment further down wins.
 */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"

struct conf;

struct conf *conf_new(void);
/*
 * name stands in messages.  problems NULL: the first bad line is an error
 * (-EINVAL).  Else one message a bad line is added there, and the others count.
 */
int conf_parse(const char *text, size_t len, const char *name, struct conf **ret,
	       struct strv *problems, struct error *err);
int conf_read_file(const char *path, struct conf **ret, struct strv *problems,
		   struct error *err);
void conf_free(struct conf *c);
DEFINE_CLEANUP(conf_free, struct conf *);
#define cleanup_conf CLEANUP(conf_freep)

/* NULL if the key is not assigned; "" if it is assigned nothing. */
const char *conf_get(const struct conf *c, const char *key);
/* Walks the assignments in order; a key assigned twice is seen once, where it counts. */
struct conf_iter {
	const char *key;
	const char *value;
	size_t pos;
};
bool conf_next(const struct conf *c, struct conf_iter *it);

/* Replaces the assignment where it stands, or adds it at the end; value NULL removes it. */
void conf_set(struct conf *c, const char *key, const char *value);
/* A comment line ("# text") at the end; text NULL: an empty line. */
void conf_add_comment(struct conf *c, const char *text);
char *conf_print(const struct conf *c);
int conf_write_file(const char *path, const struct conf *c, unsigned mode, struct error *err);

/* A name the shell takes: letter or '_', then letters, digits, '_'. */
bool conf_is_key(const char *s);

#endif
