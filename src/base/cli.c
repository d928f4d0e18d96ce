/* Verbs, options, messages and progress bars. */
#include "base/cli.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/event.h"

static const char *command = "atoll";

void
cli_init(const char *argv0)
{
	const char *slash = strrchr(argv0, '/');

	command = slash ? slash + 1 : argv0;
}

const char *
cli_name(void)
{
	return command;
}

static const struct cli_opt *
find_short(const struct cli_opt *opts, char c)
{
	for (; opts->target; opts++)
		if (opts->short_name == c)
			return opts;
	return NULL;
}

static const struct cli_opt *
find_long(const struct cli_opt *opts, const char *name, size_t len)
{
	for (; opts->target; opts++)
		if (opts->long_name && strlen(opts->long_name) == len &&
		    strncmp(opts->long_name, name, len) == 0)
			return opts;
	return NULL;
}

static int
take_value(const struct cli_opt *o, const char *shown, const char *value, struct error *err)
{
	switch (o->type) {
	case CLI_FLAG:
		*(bool *)o->target = true;
		return 0;
	case CLI_STR:
		*(const char **)o->target = value;
		return 0;
	case CLI_LIST:
		strv_add(o->target, value);
		return 0;
	case CLI_INT:
		if (str_to_int(value, o->target) < 0)
			return error_set(err, EINVAL, "option %s: \"%s\" is not a number", shown,
					 value);
		return 0;
	}
	abort();
}

/* argv[*i] is "--name" or "--name=value". */
static int
parse_long(int argc, char **argv, int *i, const struct cli_opt *opts, bool *ret_help,
	   struct error *err)
{
	const char *name = argv[*i] + 2, *value = strchr(name, '=');
	size_t len = value ? (size_t)(value - name) : strlen(name);
	const struct cli_opt *o = find_long(opts, name, len);

	if (!o && len == 4 && strncmp(name, "help", 4) == 0) {
		*ret_help = true;
		return 0;
	}
	if (!o)
		return error_set(err, EINVAL, "unknown option --%.*s", (int)len, name);
	if (o->type == CLI_FLAG) {
		if (value)
			return error_set(err, EINVAL, "option --%s takes no value", o->long_name);
	} else if (value) {
		value++;
	} else if (*i + 1 < argc) {
		value = argv[++*i];
	} else {
		return error_set(err, EINVAL, "option --%s needs %s", o->long_name,
				 o->arg ? o->arg : "a value");
	}
	return take_value(o, argv[*i], value, err);
}

/* argv[*i] is "-abc", "-ovalue" or "-o". */
static int
parse_short(int argc, char **argv, int *i, const struct cli_opt *opts, bool *ret_help,
	    struct error *err)
{
	for (const char *p = argv[*i] + 1; *p; p++) {
		const struct cli_opt *o = find_short(opts, *p);
		const char shown[] = {'-', *p, '\0'};
		int r;

		if (!o && *p == 'h') {
			*ret_help = true;
			return 0;
		}
		if (!o)
			return error_set(err, EINVAL, "unknown option -%c", *p);
		if (o->type == CLI_FLAG) {
			take_value(o, shown, NULL, err);
			continue;
		}
		if (p[1])
			p++;
		else if (*i + 1 < argc)
			p = argv[++*i];
		else
			return error_set(err, EINVAL, "option -%c needs %s", *p,
					 o->arg ? o->arg : "a value");
		r = take_value(o, shown, p, err);
		return r;
	}
	return 0;
}

int
cli_parse(int argc, char **argv, const struct cli_opt *opts, int *ret_first, bool *ret_help,
	  struct error *err)
{
	bool help = false;
	int i = 1;

	for (; i < argc && !help; i++) {
		int r;

		if (argv[i][0] != '-' || !argv[i][1])
			break;
		if (str_eq(argv[i], "--")) {
			i++;
			break;
		}
		if (argv[i][1] == '-')
			r = parse_long(argc, argv, &i, opts, &help, err);
		else
			r = parse_short(argc, argv, &i, opts, &help, err);
		if (r < 0)
			return r;
	}
	*ret_first = i;
	*ret_help = help;
	return 0;
}

void
cli_print_options(FILE *out, const struct cli_opt *opts)
{
	for (; opts->target; opts++) {
		cleanup_strbuf struct strbuf b = STRBUF_INIT;

		if (!opts->help)
			continue;
		if (opts->short_name)
			strbuf_addf(&b, "-%c", opts->short_name);
		if (opts->long_name)
			strbuf_addf(&b, "%s--%s", opts->short_name ? ", " : "", opts->long_name);
		if (opts->type != CLI_FLAG)
			strbuf_addf(&b, " %s", opts->arg ? opts->arg : "VALUE");
		fprintf(out, "    %-24s %s\n", b.data, opts->help);
	}
}

/* Is name one of the '|'-separated names of verb? */
static bool
verb_is(const struct cli_verb *verb, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = verb->name; p; p = strchr(p, '|')) {
		if (*p == '|')
			p++;
		if (strncmp(p, name, len) == 0 && (p[len] == '|' || !p[len]))
			return len > 0;
	}
	return false;
}

static const struct cli_verb *
find_verb(const struct cli_verb *verbs, const char *name)
{
	for (; verbs->name; verbs++)
		if (verb_is(verbs, name))
			return verbs;
	return NULL;
}

void
cli_usage(FILE *out, const struct cli_verb *verbs)
{
	fprintf(out, "usage: %s COMMAND [ARGUMENT...]\n\n", command);
	for (; verbs->name; verbs++) {
		if (!verbs->summary)
			continue;
		fprintf(out, "    %.*s %s\n        %s\n", (int)strcspn(verbs->name, "|"), verbs->name,
			verbs->args ? verbs->args : "", verbs->summary);
	}
	fprintf(out, "\nThe manual page has the rest: man %s\n", command);
}

bool
cli_asks_help(int argc, char **argv)
{
	return argc == 2 && str_eq(argv[1], "--help");
}

int
cli_usage_text(bool asked, const char *fmt, ...)
{
	FILE *out = asked ? stdout : stderr;
	va_list ap;

	va_start(ap, fmt);
	fputs("usage: ", out);
	vfprintf(out, fmt, ap);
	fputc('\n', out);
	va_end(ap);
	return asked ? CLI_OK : CLI_USAGE;
}

int
cli_usage_verb(const struct cli_verb *verbs, const char *name)
{
	const struct cli_verb *v = find_verb(verbs, name);

	if (v)
		fprintf(stderr, "usage: %s %s %s\n", command, name, v->args ? v->args : "");
	return CLI_USAGE;
}

int
cli_verb_args(int argc, char **argv, const struct cli_verb *verbs, const struct cli_opt *opts,
	      int min, int max, int *ret_first)
{
	cleanup_error struct error err = ERROR_INIT;
	bool help;

	if (cli_parse(argc, argv, opts, ret_first, &help, &err) < 0) {
		cli_error(&err);
		return cli_usage_verb(verbs, argv[0]);
	}
	if (help || argc - *ret_first < min || argc - *ret_first > max)
		return cli_usage_verb(verbs, argv[0]);
	return CLI_OK;
}

int
cli_main(int argc, char **argv, const struct cli_verb *verbs)
{
	const struct cli_verb *v;

	cli_init(argv[0]);
	if (argc < 2) {
		cli_usage(stderr, verbs);
		return CLI_USAGE;
	}
	if (str_eq(argv[1], "--help") || str_eq(argv[1], "-h") || str_eq(argv[1], "help")) {
		cli_usage(stdout, verbs);
		return CLI_OK;
	}
	v = find_verb(verbs, argv[1]);
	if (!v) {
		fprintf(stderr, "%s: unknown command \"%s\"; \"%s --help\" lists them\n", command,
			argv[1], command);
		return CLI_USAGE;
	}
	if (argc > 2 && str_eq(argv[2], "--help")) {
		printf("usage: %s %s %s\n\n%s\n", command, argv[1], v->args ? v->args : "",
		       v->summary ? v->summary : "");
		return CLI_OK;
	}
	return v->run(argc - 1, argv + 1);
}

int
cli_error(const struct error *err)
{
	fprintf(stderr, "%s: %s\n", command, error_message(err));
	return CLI_FAILED;
}

static void
say(const char *kind, const char *fmt, va_list ap)
{
	cleanup_free char *text = str_vprintf(fmt, ap);

	fprintf(stderr, "%s: %s%s\n", command, kind, text);
}

int
cli_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("", fmt, ap);
	va_end(ap);
	return CLI_FAILED;
}

void
cli_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("warning: ", fmt, ap);
	va_end(ap);
}

bool
cli_colours(FILE *f)
{
	const char *term = getenv("TERM");

	return isatty(fileno(f)) && !getenv("NO_COLOR") && term && !str_eq(term, "dumb");
}

int
cli_width(FILE *f)
{
	struct winsize ws;

	if (ioctl(fileno(f), TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0)
		return ws.ws_col;
	return 80;
}

bool
cli_confirm(const char *fmt, ...)
{
	cleanup_free char *line = NULL;
	size_t cap = 0;
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs(" [y/N] ", stderr);
	return getline(&line, &cap, stdin) > 0 && tolower((unsigned char)line[0]) == 'y';
}

struct cli_progress {
	char *name;
	uint64_t total, done, start_ms, drawn_ms;
	bool terminal;
};

struct cli_progress *
cli_progress_new(const char *name, uint64_t total)
{
	struct cli_progress *p = xcalloc(1, sizeof(*p));

	p->name = xstrdup(name);
	p->total = total;
	p->start_ms = time_mono_ms();
	p->terminal = isatty(STDERR_FILENO);
	return p;
}

static void
progress_draw(struct cli_progress *p)
{
	uint64_t ms = time_mono_ms() - p->start_ms;
	uint64_t rate = ms ? p->done * 1000 / ms : 0;
	char done[16], total[16], speed[16];
	int width = cli_width(stderr), bar;

	str_human_size(p->done, done);
	str_human_size(p->total, total);
	str_human_size(rate, speed);
	if (!p->total) {
		fprintf(stderr, "\r%s  %s  %s/s\033[K", p->name, done, speed);
		return;
	}
	bar = width - (int)strlen(p->name) - 40;
	if (bar < 0)
		bar = 0;
	if (bar > 40)
		bar = 40;
	fprintf(stderr, "\r%s [", p->name);
	for (int i = 0; i < bar; i++)
		fputc((uint64_t)i * p->total < p->done * (uint64_t)bar ? '=' : ' ', stderr);
	fprintf(stderr, "] %3u%% %s/%s %s/s", (unsigned)(p->done * 100 / p->total), done, total,
		speed);
	if (rate && p->done < p->total)
		fprintf(stderr, " %us", (unsigned)((p->total - p->done) / rate));
	fputs("\033[K", stderr);
}

void
cli_progress_set(struct cli_progress *p, uint64_t done)
{
	uint64_t now = time_mono_ms();

	p->done = p->total && done > p->total ? p->total : done;
	if (!p->terminal || (now - p->drawn_ms < 100 && p->drawn_ms))
		return;
	p->drawn_ms = now;
	progress_draw(p);
}

void
cli_progress_free(struct cli_progress *p)
{
	if (!p)
		return;
	if (p->terminal && p->drawn_ms) {
		progress_draw(p);
		fputc('\n', stderr);
	}
	free(p->name);
	free(p);
}
