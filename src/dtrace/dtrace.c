/* dtrace(8): options, programs, and the loop until something says stop. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/file.h"
#include "dtrace/anon.h"
#include "dtrace/dtrace_main.h"
#include "dtrace/priv.h"
#include "dtrace/proc.h"
#include "dtrace/usdt_make.h"
#include "dtrace/usyms.h"

static volatile sig_atomic_t interrupted;

/* One ^C may come as two signals (timeout(1) sends it to the process and to its group). */
static void
on_signal(int sig)
{
	static struct timespec first;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!interrupted)
		first = now;
	if (!interrupted || (now.tv_sec - first.tv_sec) * 1000 + (now.tv_nsec - first.tv_nsec) / 1000000 > 200)
		interrupted++;
}

static const char usage_text[] =
	"usage: dtrace [-32|-64] [-aACeFGhHlqSvVwZ] [-b BUFSZ] [-c CMD] [-D NAME[=DEF]] [-I PATH]\n"
	"              [-j] [-L PATH] [-o FILE] [-p PID] [-s SCRIPT] [-U NAME] [-x OPT[=VAL]] [-X a|c|s|t]\n"
	"              [-z ZONE] [-P PROVIDER [[PRED] ACTION]] [-m MODULE ...] [-f FUNCTION ...]\n"
	"              [-n NAME [[PRED] ACTION]] [-i ID [[PRED] ACTION]] [ARG...]\n"
	"  -a  claim what -A enabled     -A  save programs for the next boot\n"
	"  -b  size of the buffer        -n  probe description and clause\n"
	"  -B  write each line at once   -o  append output to FILE\n"
	"  -c  run CMD, end with it      -p  grab PID, end with it\n"
	"  -C  run the C preprocessor    -q  quiet: only what the program prints\n"
	"  -D  define a name for it      -s  D script\n"
	"  -e  compile, enable nothing   -S  show the compiled program\n"
	"  -F  indent by entry, return   -U  undefine a name\n"
	"  -G  make an object with the USDT providers of -s\n"
	"  -h  make a header of them\n"
	"  -H  show included files       -v  show stability and arguments\n"
	"  -I  search for included files -V  show the version\n"
	"  -j  JSON, a record a line     -w  allow destructive actions\n"
	"  -l  list probes               -x  set an option\n"
	"  -L  more of the D library     -z  only that zone's processes\n"
	"  -Z  descriptions may match nothing\n";

struct job {
	char kind;
	const char *arg;
	const char *text; /* of a script, if it was saved by -A */
};

/* What the command line says. */
struct command {
	struct dt *dt;
	struct job *jobs, *targets;
	size_t n_jobs, n_targets;
	bool list, verbose;
	bool wrong_arguments; /* one that no program names */
	const char *output; /* -o */
	struct strv settings; /* options of the command line, as "name=value" */
	char anonymous;	      /* 'A' or 'a' */
	struct anon *anon;    /* this is the enabling that -A saved, at work */
	int make;	    /* 'h' or 'G': a header or an object is made, nothing is traced */
};

/* "read" of "-n read{...}": what messages call a program by; the caller's. */
static char *
job_name(const struct job *job)
{
	return xstrndup(job->arg, job->kind == 's' ? strlen(job->arg) : strcspn(job->arg, "{/;"));
}

/*
 * One description as -P, -m, -f or -n take it, in full: what stands in front of the last
 * part that the option names may be given too, what stands behind it may not.
 */
static int
whole_description(char kind, const char *text, size_t len, struct strbuf *b, struct error *err)
{
	static const char kinds[] = "Pmfn";
	size_t fields = (size_t)(strchr(kinds, kind) - kinds) + 1, parts = 1;

	for (size_t i = 0; i < len; i++)
		parts += text[i] == ':';
	if (parts == fields + 1 && *text == ':') { /* nothing in front of a ':' is no part */
		text++;
		len--;
		parts--;
	}
	if (parts > fields)
		return error_set_path(err, EINVAL, "D_PDESC_INVAL",
				      "invalid probe description \"%.*s\": Overspecified probe description",
				      (int)len, text);
	for (size_t i = parts; i < fields; i++)
		strbuf_adds(b, ":");
	strbuf_add(b, text, len);
	for (size_t i = fields; i < 4; i++)
		strbuf_adds(b, ":");
	return 0;
}

/* A -P, -m, -f, -n or -i argument as a clause: "desc [/pred/] [{ ... }]"; the caller's. */
static int
clause_text(const struct job *job, char **ret, struct error *err)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	const char *p = job->arg;
	int r;

	if (job->kind == 'i' || job->kind == 'n') { /* "-n a,b" and whole programs stay as they are */
		*ret = xstrdup(job->arg);
		return 0;
	}
	for (;;) {
		size_t n;

		p += strspn(p, " \t\n");
		n = strcspn(p, " \t\n/{,");
		if ((r = whole_description(job->kind, p, n, &b, err)) < 0)
			return r;
		p += n;
		n = strspn(p, " \t\n");
		if (p[n] != ',')
			break;
		strbuf_adds(&b, ",");
		p += n + 1;
	}
	strbuf_adds(&b, p);
	*ret = strbuf_steal(&b);
	return 0;
}

static int
job_text(struct dt *dt, const struct job *job, char **ret, size_t *ret_len, struct error *err)
{
	cleanup_free char *clause = NULL;
	int r;

	if (job->kind == 's') {
		free(dt->script);
		dt->script = xstrdup(job->arg);
		if (job->text)
			*ret = xstrdup(job->text);
		else if (!dt->opts.cpp)
			return priv_read_file(dt, job->arg, ret, ret_len, err);
		r = job->text ? 0 : dt_preprocess(dt, job->arg, ret, err);
	} else {
		if ((r = clause_text(job, &clause, err)) < 0)
			return r;
		r = dt->opts.cpp ? dt_preprocess_text(dt, clause, ret, err) : 0;
		if (!dt->opts.cpp)
			*ret = steal_ptr(&clause);
	}
	if (r == 0)
		*ret_len = strlen(*ret);
	return r;
}

/* In a program of one line its parts say more than "line 1". */
static void
name_region(struct dt *dt, struct error *err)
{
	const char *rest = str_after(error_message(err), "line 1: ");
	cleanup_free char *tag = err->path ? xstrdup(err->path) : NULL;
	cleanup_free char *text = rest ? str_printf("%s%s%s%s", dt->region ? "in " : "",
						    dt->region ? dt->region : "",
						    dt->region ? ": " : "", rest)
				       : NULL;

	if (text)
		error_set_path(err, err->code, tag, "%s", text);
}

/* -xerrtags: "[D_SYNTAX] line 3: ..." */
static void
show_tag(struct dt *dt, struct error *err)
{
	cleanup_free char *text = xstrdup(error_message(err));
	cleanup_free char *tag = err->path ? xstrdup(err->path) : NULL;

	if (dt->opts.errtags && tag)
		error_set_path(err, err->code, tag, "[%s] %s", tag, text);
}

static const char *
job_failed(const struct job *job)
{
	return job->kind == 's' ? "failed to compile script" : "invalid probe specifier";
}

static int
compile_job(struct dt *dt, const struct job *job, struct error *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r;

	r = job_text(dt, job, &text, &len, err);
	if (r < 0 && !err->path)
		return r;
	if (r == 0)
		r = dt_compile(dt, text, len, job->kind == 's' ? job->arg : "", err);
	if (r < 0) {
		if (job->kind != 's' && text)
			name_region(dt, err);
		show_tag(dt, err);
		return error_wrap(err, r, "%s %s", job_failed(job), job->arg);
	}
	return 0;
}

/* An argument that no program names is a mistake, unless -xargref: told as one of the last program. */
static int
check_arguments(struct command *c, struct error *err)
{
	struct dt *dt = c->dt;
	const struct job *last = c->n_jobs ? &c->jobs[c->n_jobs - 1] : NULL;

	for (size_t i = 0; last && i < dt->args.n && i < 64 && !dt->opts.argref; i++) {
		if (dt->args_used >> i & 1)
			continue;
		error_set_path(err, EINVAL, "D_MACRO_UNUSED",
			       "extraneous argument '%s' ($%zu is not referenced)", dt->args.v[i], i + 1);
		show_tag(dt, err);
		c->wrong_arguments = true;
		return error_wrap(err, -EINVAL, "%s %s", job_failed(last), last->arg);
	}
	return 0;
}

/* The descriptions of one -P, -m, -f, -n or -i, in full. */
static int
descriptions(const struct job *job, struct strv *ret, struct error *err)
{
	cleanup_free char *name = job_name(job);
	cleanup_strv struct strv parts = STRV_INIT;
	int r = 0;

	strv_split(&parts, name, ",");
	for (size_t i = 0; i < parts.n && r == 0; i++) {
		cleanup_strbuf struct strbuf whole = STRBUF_INIT;
		const char *text = str_trim(parts.v[i]);
		size_t len = strlen(text);
		/* What is no number can be a name at best: "-i -3". */
		bool id = job->kind == 'i' && len && strspn(text, "0123456789") == len;

		if (id)
			strbuf_add(&whole, text, len);
		else
			r = whole_description(job->kind == 'i' ? 'n' : job->kind, text, len, &whole, err);
		if (r == 0)
			strv_take(ret, strbuf_steal(&whole));
	}
	return r < 0 ? error_wrap(err, r, "invalid probe specifier %s", job->arg) : 0;
}

/* The probes of one description; that there are none is told, and is no failure. */
static void
list_description(struct command *c, const char *text)
{
	cleanup_free struct probe **found = NULL;
	cleanup_error struct error none = ERROR_INIT;
	bool id = !strchr(text, ':');
	size_t n = 0;
	int r = dt_probes_match(c->dt, text, 1, &found, &n, &none);

	fflush(stdout);
	if (r < 0)
		fprintf(stderr, "dtrace: failed to match %s%s: %s\n", id ? ":::" : "", text,
			r == -ESRCH || id ? "No probe matches description" : error_message(&none));
	for (size_t i = 0; i < n; i++)
		dt_list_probe(c->dt, found[i], c->verbose);
}

static void
list_clauses(struct command *c)
{
	for (size_t i = 0; i < c->dt->n_probes; i++)
		if (c->dt->probes[i]->n_clauses)
			dt_list_probe(c->dt, c->dt->probes[i], c->verbose);
}

/* All mistakes come before the heading. */
static int
list(struct command *c, struct error *err)
{
	cleanup_strv struct strv texts = STRV_INIT;
	int r = 0;

	for (size_t i = 0; i < c->n_jobs && r == 0; i++)
		r = c->jobs[i].kind == 's' ? compile_job(c->dt, &c->jobs[i], err)
					   : descriptions(&c->jobs[i], &texts, err);
	if (r < 0 || (r = check_arguments(c, err)) < 0)
		return r;
	dt_list_header();
	list_clauses(c);
	if (!c->n_jobs)
		strv_add(&texts, ":::");
	for (size_t i = 0; i < texts.n; i++)
		list_description(c, texts.v[i]);
	return 0;
}

/* -c and -p: all are held until the probes are set. */
static int
hold_targets(struct dt *dt, const struct job *targets, size_t n, struct error *err)
{
	int r = 0, pid;

	for (size_t i = 0; i < n && r == 0; i++) {
		if (targets[i].kind == 'c')
			r = dt_proc_create(dt, targets[i].arg, err);
		else if (str_to_int(targets[i].arg + strspn(targets[i].arg, " "), &pid) < 0)
			r = error_set(err, EINVAL, "-p %s: not a process id", targets[i].arg);
		else
			r = dt_proc_grab(dt, pid, err);
	}
	return r;
}

/* How often it was asked to stop. */
static int
asked_to_stop(struct command *c)
{
	return interrupted + (c->anon ? anon_interrupts(c->anon) : 0);
}

/* Shows what is recorded until something says stop, and the rest. */
static int
consume(struct command *c, bool once, struct error *err)
{
	struct dt *dt = c->dt;
	int r;

	for (;;) {
		if ((!once && (r = dt_deadman_start(dt, err)) < 0) || (r = dt_consume(dt, 0, err)) < 0)
			return r;
		if (dt->exiting || once || asked_to_stop(c) || dt_procs_over(dt))
			break;
		dt_procs_wait(dt, dt->more ? 0 : (int)(dt->opts.switchrate_ns / 1000000));
	}
	if (asked_to_stop(c) && !dt->opts.json)
		fputc('\n', dt->out); /* behind the terminal's ^C */
	dt_stop(dt);
	if ((r = dt_consume(dt, 0, err)) < 0 || (r = dt_fire(dt, "END", err)) < 0 ||
	    (r = dt_consume(dt, 0, err)) < 0 || (r = dt_flush(dt, err)) < 0)
		return r;
	if (!dt->opts.json)
		fputc('\n', dt->out);
	fflush(dt->out);
	/* Who interrupts twice does not want to see them. */
	return asked_to_stop(c) > 1 ? 0 : dt_aggs_print(dt, err);
}

static void
catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

static int
run(struct command *c, struct error *err)
{
	int r;

	catch_signals();
	c->dt->interrupted = &interrupted;
	if (c->dt->opts.destructive && !c->dt->opts.quiet)
		fprintf(stderr, "dtrace: allowing destructive actions\n");
	if ((r = dt_enable(c->dt, err)) < 0 || (!interrupted && (r = dt_procs_go(c->dt, err)) < 0)) {
		show_tag(c->dt, err);
		return r;
	}
	return consume(c, false, err);
}

static int
compile_all(struct command *c, struct error *err)
{
	struct dt *dt = c->dt;
	size_t before = 0;
	int r = 0;

	for (size_t i = 0; i < c->n_jobs; i++) {
		cleanup_free char *name = job_name(&c->jobs[i]);
		const char *what = c->jobs[i].kind == 's' ? "script" : "description";

		if ((r = compile_job(dt, &c->jobs[i], err)) < 0)
			return r;
		if (!dt->opts.quiet)
			dt_tell_matches(dt, what, name, &before);
		if (c->verbose)
			dt_show_stability(dt, what, name);
		if (dt->opts.showcode || dt->opts.showtree) {
			cleanup_free char *tree = ast_print(dt->asts[dt->n_asts - 1]);

			fprintf(stderr, "\n%s", tree);
		}
	}
	if (dt->opts.showcode)
		dt_show_vars(dt);
	return check_arguments(c, err);
}

/* --- options */

static int
open_output(struct dt *dt, const char *path, struct error *err)
{
	FILE *f;

	if (dt->remote)
		return priv_deed(dt, DEED_OPEN, path, err);
	f = fopen(path, "ae");
	if (!f)
		return error_set_errno(err, errno, "failed to open %s", path);
	if (dt->out != stdout)
		fclose(dt->out);
	dt->out = f;
	return 0;
}

/* Letters that set an option of the library, with or without a value. */
static const struct {
	char letter;
	const char *option;
} letters[] = {{'b', "bufsize"}, {'C', "cpp"},	   {'D', "define"}, {'F', "flowindent"},
		{'H', "cpphdrs"}, {'I', "incdir"}, {'j', "json"},   {'L', "libdir"},
		{'q', "quiet"},	  {'S', "showcode"}, {'U', "undef"}, {'w', "destructive"},
		{'X', "stdc"},	  {'z', "zone"},   {'Z', "zdefs"}};

/* Sets it, and notes it for -A and -a. */
static int
take_setting(struct command *c, const char *assignment, struct error *err)
{
	strv_add(&c->settings, assignment);
	return dt_set_option(c->dt, assignment, err);
}

static int
take_option(struct command *c, int letter, const char *value, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(letters); i++) {
		cleanup_free char *assignment = NULL;

		if (letters[i].letter != letter)
			continue;
		assignment = value ? str_printf("%s=%s", letters[i].option, value)
				   : xstrdup(letters[i].option);
		return take_setting(c, assignment, err);
	}
	if (strchr("Pmfnis", letter)) {
		c->jobs[c->n_jobs++] = (struct job){(char)letter, value, NULL};
		return 0;
	}
	switch (letter) {
	case 'c':
	case 'p':
		c->targets[c->n_targets++] = (struct job){(char)letter, value, NULL};
		return 0;
	case 'o':
		c->output = value;
		return 0;
	case 'G':
	case 'h':
		c->make = letter;
		return 0;
	case 'x':
		return take_setting(c, value, err);
	case 'B':
		setvbuf(c->dt->out, NULL, _IOLBF, 0);
		return 0;
	case 'e':
		c->dt->compile_only = true;
		return 0;
	case 'l':
		c->list = true;
		return 0;
	case 'v':
		c->verbose = true;
		return 0;
	default: /* a, A */
		c->anonymous = (char)letter;
		return 0;
	}
}

/* A D program with an interpreter line, run as a command; or NULL. */
static char *
script_text(int argc, char **argv)
{
	cleanup_free char *text = NULL;

	if (argc < 3 || argv[1][0] != '-' || !str_ends(argv[1], "s") ||
	    file_read(argv[2], 0, &text, NULL, NULL) < 0 || strncmp(text, "#!", 2) != 0)
		return NULL;
	return steal_ptr(&text);
}

/* What it is called, and what its first comment says of it; false if this is no script. */
static bool
tell_script_usage(int argc, char **argv, FILE *to)
{
	cleanup_free char *text = script_text(argc, argv);
	const char *slash = text ? strrchr(argv[2], '/') : NULL;
	char *says = text ? strstr(text, "/*") : NULL, *end = says ? strstr(says, "*/") : NULL;

	if (!text)
		return false;
	fprintf(to, "usage: %s [-q] [-j] [-o FILE] [-x OPT[=VAL]] [-z ZONE] [ARG...]\n",
		slash ? slash + 1 : argv[2]);
	if (end) {
		*end = '\0';
		says += 2 + strspn(says + 2, " *\n\t");
		str_trim(says);
		fprintf(to, "%s\n", says);
	}
	return true;
}

static int
take_command_line(struct command *c, int argc, char **argv, struct error *err)
{
	int opt, r, n = 1;

	for (int i = 1; i < argc; i++) { /* getopt knows letters only */
		if (!str_eq(argv[i], "-32") && !str_eq(argv[i], "-64"))
			argv[n++] = argv[i];
		else if ((r = take_setting(c, argv[i][1] == '3' ? "model=32" : "model=64", err)) < 0)
			return r;
	}
	argv[n] = NULL;
	while ((opt = getopt(n, argv, DTRACE_LETTERS)) != -1) {
		if (c->dt->remote && !strchr(c->dt->confine ? DTRACE_ZONE_LETTERS "?" : DTRACE_ZONE_LETTERS "?z", opt))
			return error_set(err, EPERM, "-%c is for root of the global zone", opt);
		if (opt == 'V') {
			printf("dtrace: Sun D 1.13\n");
			return 1;
		}
		if (opt == '?') {
			if (c->dt->remote || !tell_script_usage(argc, argv, stderr))
				fputs(usage_text, stderr);
			return -EDOM;
		}
		if ((r = take_option(c, opt, optarg, err)) < 0)
			return r;
	}
	for (int i = optind; i < n; i++)
		strv_add(&c->dt->args, argv[i]);
	if (argc == 1) {
		fputs(usage_text, stderr);
		return -EDOM;
	}
	return 0;
}

/* The file is made here without a name, and written there. */
static int
make_in_zone(struct command *c, const struct job *job, const char *text, size_t size,
	     const char *path, struct error *err)
{
	cleanup_close int fd = memfd_create("object", MFD_CLOEXEC);
	cleanup_free char *here = str_printf("/proc/self/fd/%d", fd), *object = NULL;
	size_t len;
	int r;

	if (!str_eq(path, "-") && ((r = priv_deed(c->dt, DEED_OPEN, path, err)) < 0 ||
				   (r = priv_deed(c->dt, DEED_TRUNCATE, "", err)) < 0))
		return r;
	if (c->make == 'h')
		return dt_usdt_header(c->dt, text, size, job->arg, c->dt->out, err);
	if (fd < 0)
		return error_set_errno(err, errno, "memory for an object");
	if ((r = dt_usdt_object(c->dt, text, size, job->arg, &c->dt->args, here, err)) < 0 ||
	    (r = file_read(here, 0, &object, &len, err)) < 0)
		return r;
	fwrite(object, 1, len, c->dt->out);
	return 0;
}

/* -h and -G: from "dir/foo.d" to "foo.h" or "foo.o", unless -o says where. */
static int
make_one(struct command *c, const struct job *job, struct error *err)
{
	const char *slash = strrchr(job->arg, '/'), *base = slash ? slash + 1 : job->arg;
	size_t len = str_ends(base, ".d") ? strlen(base) - 2 : strlen(base);
	cleanup_free char *path = c->output ? xstrdup(c->output)
					    : str_printf("%.*s.%c", (int)len, base,
							 c->make == 'h' ? 'h' : 'o');
	cleanup_free char *text = NULL;
	cleanup_fclose FILE *out = NULL;
	size_t size;
	int r;

	if (job->kind != 's')
		return error_set(err, EINVAL, "-%c needs -s FILE", c->make);
	if ((r = job_text(c->dt, job, &text, &size, err)) < 0)
		return r;
	if (c->dt->remote)
		return make_in_zone(c, job, text, size, path, err);
	if (c->make == 'G')
		return dt_usdt_object(c->dt, text, size, job->arg, &c->dt->args, path, err);
	out = str_eq(path, "-") ? fdopen(dup(STDOUT_FILENO), "w") : fopen(path, "we");
	if (!out)
		return error_set_errno(err, errno, "cannot write %s", path);
	return dt_usdt_header(c->dt, text, size, job->arg, out, err);
}

static int
make_all(struct command *c, struct error *err)
{
	int r = c->n_jobs ? 0 : error_set(err, EINVAL, "-%c needs -s FILE", c->make);

	for (size_t i = 0; i < c->n_jobs && r == 0; i++)
		r = make_one(c, &c->jobs[i], err);
	return r;
}

/* --- anonymous tracing: anon.h */

static struct json *
list_of(const struct strv *sv)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < sv->n; i++)
		json_push(list, json_new_str(sv->v[i]));
	return list;
}

/* -A: what the command line says, the texts of scripts with it. */
static int
save(struct command *c, struct error *err)
{
	cleanup_json struct json *enabling = json_new_object();
	cleanup_free char *path = anon_file(c->dt->opts.anondir);
	struct json *programs;
	int r;

	if (c->n_targets)
		return error_set(err, EINVAL, "-A goes with neither -c nor -p: no process outlives a boot");
	if (!c->n_jobs)
		return anon_remove(c->dt->opts.anondir, err);
	if ((r = compile_all(c, err)) < 0)
		return r;
	json_set(enabling, "options", list_of(&c->settings));
	json_set(enabling, "arguments", list_of(&c->dt->args));
	json_set(enabling, "programs", json_new_array());
	programs = json_get(enabling, "programs");
	for (size_t i = 0; i < c->n_jobs; i++) {
		const char kind[] = {c->jobs[i].kind, '\0'};
		struct json *one = json_new_object();
		cleanup_free char *text = NULL;
		size_t len;

		json_push(programs, one);
		json_set_str(one, "option", kind);
		json_set_str(one, "argument", c->jobs[i].arg);
		if (c->jobs[i].kind != 's')
			continue;
		if ((r = job_text(c->dt, &c->jobs[i], &text, &len, err)) < 0)
			return r;
		json_set_str(one, "text", text);
	}
	if ((r = anon_store(c->dt->opts.anondir, enabling, err)) < 0)
		return r;
	if (!c->dt->opts.quiet)
		fprintf(stderr, "dtrace: saved anonymous enabling in %s\n"
				"dtrace: run svcadm restart dtrace/anon or reboot to enable changes\n", path);
	return 0;
}

/* -a, and -a -e: what is claimed is shown here, as these options say. */
static int
claim(struct command *c, struct error *err)
{
	cleanup_json struct json *settings = json_new_object();
	int r, status = 0;

	if (c->n_jobs || c->n_targets)
		return error_set(err, EINVAL, "-a shows the enabling that -A saved: no other, and no -c or -p");
	if (c->output && (r = open_output(c->dt, c->output, err)) < 0)
		return r;
	if (c->output && dup2(fileno(c->dt->out), STDOUT_FILENO) < 0)
		return error_set_errno(err, errno, "%s", c->output);
	catch_signals();
	json_set(settings, "options", list_of(&c->settings));
	json_set_bool(settings, "once", c->dt->compile_only);
	r = anon_claim(c->dt->opts.anondir, settings, &interrupted, &status, err);
	return r < 0 ? r : status;
}

static int
take_saved(struct command *c, struct json *enabling, struct error *err)
{
	const struct json *programs = json_get(enabling, "programs"), *one;
	int r;

	json_array_each(one, json_get(enabling, "options"))
		if ((r = dt_set_option(c->dt, json_str(one, ""), err)) < 0)
			return r;
	json_array_each(one, json_get(enabling, "arguments"))
		strv_add(&c->dt->args, json_str(one, ""));
	c->jobs = xreallocarray(c->jobs, json_len(programs) + 1, sizeof(*c->jobs));
	json_array_each(one, programs)
		c->jobs[c->n_jobs++] = (struct job){*json_str(json_get(one, "option"), "n"),
						    json_str(json_get(one, "argument"), ""),
						    json_str(json_get(one, "text"), NULL)};
	return compile_all(c, err);
}

/* Goes on as a daemon that has the probes; the first to return is the service's method. */
static int
show_to_claimer(struct command *c, struct error *err)
{
	const struct json *settings, *one;
	bool once;
	int out[2], r = anon_wait(c->anon, &settings, out, err);

	if (r < 0)
		return r;
	for (int i = 0; i < 2; i++) {
		if (dup2(out[i], STDOUT_FILENO + i) < 0)
			return error_set_errno(err, errno, "the claimer's output");
		close(out[i]);
	}
	once = json_bool(json_get(settings, "once"), false);
	json_array_each(one, json_get(settings, "options")) {
		cleanup_error struct error late = ERROR_INIT;

		if (!str_after(json_str(one, ""), "anondir") &&
		    dt_set_runtime_option(c->dt, json_str(one, ""), &late) < 0)
			cli_error(&late); /* what is in the buffers is worth more */
	}
	r = consume(c, once, err);
	return r < 0 ? r : c->dt->exit_status;
}

static int
serve(struct command *c, const char *dir, struct error *err)
{
	cleanup_json struct json *enabling = NULL;
	int r = anon_load(dir, &enabling, err);

	if (r < 0 || !enabling)
		return r;
	if ((r = take_saved(c, enabling, err)) < 0 || (r = anon_listen(dir, &c->anon, err)) < 0 ||
	    (r = dt_enable(c->dt, err)) < 0)
		return r;
	switch (fork()) {
	case -1:
		return error_set_errno(err, errno, "cannot stay as a daemon");
	case 0:
		break;
	default:
		fflush(NULL);
		_exit(0); /* all that is open is the daemon's */
	}
	setsid();
	r = show_to_claimer(c, err);
	fflush(NULL);
	anon_finish(c->anon, r < 0 ? CLI_FAILED : r, err);
	return r;
}

static bool
enabled(const struct dt *dt)
{
	for (size_t i = 0; i < dt->n_clauses; i++)
		if (dt->clauses[i]->n_probes)
			return true;
	return false;
}

/* Everything; the exit status, or a negative number with err set. */
static int
trace(struct command *c, struct error *err)
{
	struct dt *dt = c->dt;
	int r;

	if (c->make)
		return make_all(c, err);
	if (c->anonymous && dt->remote)
		return error_set(err, EPERM, "-%c is for root of the global zone", c->anonymous);
	if (c->anonymous)
		return c->anonymous == 'A' ? save(c, err) : claim(c, err);
	if ((c->output && (r = open_output(dt, c->output, err)) < 0) ||
	    (r = hold_targets(dt, c->targets, c->n_targets, err)) < 0)
		return r;
	if (c->list)
		return list(c, err);
	if ((r = compile_all(c, err)) < 0 || dt->compile_only)
		return r;
	if (!dt->opts.zdefs && !enabled(dt))
		return error_set(err, ESRCH, "no probes %s", c->n_jobs ? "matched" : "specified");
	r = run(c, err);
	return r < 0 ? r : dt->exit_status;
}

int
dtrace_main(int argc, char **argv, const struct remote *remote, const struct confine *confine)
{
	cleanup_error struct error err = ERROR_INIT;
	struct command c = {0};
	int r;

	cli_init(argv[0]);
	if (argc == 2 && str_eq(argv[1], "--help")) {
		fputs(usage_text, stdout);
		return CLI_OK;
	}
	if (argc == 4 && !remote && str_eq(argv[3], "--help") && tell_script_usage(argc, argv, stdout))
		return CLI_OK;
	if (dt_open(&c.dt, &err) < 0)
		return cli_error(&err);
	if (remote && remote->library) {
		free(c.dt->opts.syslibdir);
		c.dt->opts.syslibdir = xstrdup(remote->library);
	}
	c.dt->remote = remote;
	c.dt->confine = confine;
	if (confine)
		usyms_limit(c.dt->usyms, priv_may_look, c.dt);
	c.jobs = xcalloc((size_t)argc, sizeof(*c.jobs));
	c.targets = xcalloc((size_t)argc, sizeof(*c.targets));
	if (argc > 1 && !remote && str_eq(argv[1], "--serve-anonymous")) {
		r = serve(&c, argc > 2 ? argv[2] : NULL, &err);
		goto end;
	}
	r = take_command_line(&c, argc, argv, &err);
	if (r == -EDOM)
		r = CLI_USAGE; /* told already */
	else if (r > 0)
		r = CLI_OK;
	else if (r == 0)
		r = trace(&c, &err);
end:
	if (r < 0) {
		cli_error(&err);
		r = c.wrong_arguments && !remote && tell_script_usage(argc, argv, stderr) ? CLI_USAGE : CLI_FAILED;
	}
	dt_close(c.dt);
	free(c.jobs);
	free(c.targets);
	strv_done(&c.settings);
	return r;
}
