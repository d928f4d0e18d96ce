/*
 * The front of a command: verbs, options, usage, errors, progress.
 *
 * A command with verbs (vmadm, imgadm, dladm) declares them in one table and
 * calls cli_main(); options inside a verb are declared in a second table.
 * --help works everywhere, exit status: 0 done, 1 failed, 2 usage.
 */
#ifndef BASE_CLI_H
#define BASE_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/str.h"

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

/* Name for messages, from argv[0] (basename).  cli_main() calls it. */
void cli_init(const char *argv0);
const char *cli_name(void);

enum cli_opt_type { CLI_FLAG, CLI_STR, CLI_INT, CLI_LIST };

/*
 * One option: short ('\0' if none), long (NULL if none), the target its type
 * asks for (bool *, const char **, int *, struct strv *), its argument's name
 * for the usage text, and one line of help (NULL hides it).
 */
struct cli_opt {
	char short_name;
	const char *long_name;
	enum cli_opt_type type;
	void *target;
	const char *arg;
	const char *help;
};

/*
 * Parses options of argv[1..]; operands are left at argv[*ret_first]..argv[argc-1].
 * POSIX order: the first operand ends the options; "--" too.  "-ofoo" "-o foo"
 * "--out=foo" "-Hp".  -EINVAL with a message naming the option.  opts ends
 * with an all-zero row.  -h/--help sets *ret_help, if the table has no 'h' itself.
 */
int cli_parse(int argc, char **argv, const struct cli_opt *opts, int *ret_first, bool *ret_help,
	      struct error *err);
void cli_print_options(FILE *out, const struct cli_opt *opts);

struct cli_verb {
	const char *name;    /* aliases after '|': "receive|recv" */
	const char *args;    /* for the usage line: "[-H] [-o FIELD,...] [KEY=VALUE...]" */
	const char *summary; /* one line; NULL hides the verb */
	int (*run)(int argc, char **argv); /* argv[0] is the verb; returns the exit status */
};

/* Runs the verb that argv[1] names (or --help, --version); verbs ends with a zero row. */
int cli_main(int argc, char **argv, const struct cli_verb *verbs);
void cli_usage(FILE *out, const struct cli_verb *verbs);
/* "usage: vmadm list [-H] ..." on stderr; returns CLI_USAGE. */
int cli_usage_verb(const struct cli_verb *verbs, const char *name);

/*
 * The arguments of the verb argv[0]: options, then min to max operands from argv[*ret_first] on.
 * CLI_OK; or, after saying what is wrong or how the verb is used, the exit status.
 */
int cli_verb_args(int argc, char **argv, const struct cli_verb *verbs, const struct cli_opt *opts,
		  int min, int max, int *ret_first);

/* For commands without such tables.  True if --help is the only argument. */
bool cli_asks_help(int argc, char **argv);
/* Says how the command is used: to who asked on stdout (CLI_OK), else on stderr (CLI_USAGE). */
int cli_usage_text(bool asked, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "vmadm: message" on stderr; returns CLI_FAILED. */
int cli_error(const struct error *err);
int cli_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void cli_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* True if f is a terminal and neither NO_COLOR nor TERM=dumb asks for plain text. */
bool cli_colours(FILE *f);
/* Terminal width, 80 if unknown. */
int cli_width(FILE *f);
/* Asks on the terminal; false unless the answer starts with y or Y. */
bool cli_confirm(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * A progress bar on stderr, redrawn at most 10 times a second: name, percent,
 * bytes, rate, time left.  Not a terminal: nothing but what cli_progress_end()
 * says.  total 0 means unknown (a counter is shown).
 */
struct cli_progress;
struct cli_progress *cli_progress_new(const char *name, uint64_t total);
void cli_progress_set(struct cli_progress *p, uint64_t done);
void cli_progress_free(struct cli_progress *p); /* finishes the line; NULL is fine */

#endif
