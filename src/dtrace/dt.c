/* A consumer's life: opened, given programs and options, run, closed. */
#include "dtrace/dt.h"

#include <bpf/libbpf.h>
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "dtrace/function.h"
#include "dtrace/ksyms.h"
#include "dtrace/parse.h"
#include "dtrace/priv.h"
#include "dtrace/proc.h"
#include "dtrace/unwinder.h"
#include "dtrace/uprobe.h"
#include "dtrace/usyms.h"

/* Types that D has whatever the kernel's data say. */
static void
make_types(struct dt *dt)
{
	static const struct {
		const char *name;
		unsigned size;
		bool is_signed;
	} ints[] = {{"char", 1, true},		{"signed char", 1, true},
		    {"unsigned char", 1, false}, {"short", 2, true},
		    {"unsigned short", 2, false}, {"int", 4, true},
		    {"unsigned int", 4, false},	{"long", 8, true},
		    {"unsigned long", 8, false}, {"long long", 8, true},
		    {"unsigned long long", 8, false}, {"_Bool", 1, false}};
	static const struct {
		const char *name, *of;
	} names[] = {{"int8_t", "signed char"},	  {"int16_t", "short"},	 {"int32_t", "int"},
		     {"int64_t", "long"},	  {"uint8_t", "unsigned char"},
		     {"uint16_t", "unsigned short"}, {"uint32_t", "unsigned"},
		     {"uint64_t", "unsigned long"}, {"intptr_t", "long"},
		     {"uintptr_t", "unsigned long"}, {"size_t", "unsigned long"},
		     {"ssize_t", "long"},	  {"pid_t", "int"},	 {"id_t", "int"},
		     {"uid_t", "unsigned"},	  {"gid_t", "unsigned"}, {"zoneid_t", "int"},
		     {"processorid_t", "int"},	  {"uint_t", "unsigned"}, {"ulong_t", "unsigned long"},
		     {"uchar_t", "unsigned char"}, {"ushort_t", "unsigned short"},
		     {"longlong_t", "long long"}, {"u_longlong_t", "unsigned long long"},
		     {"hrtime_t", "long long"},	  {"boolean_t", "int"}};

	dt->types = ctf_new("D", dt->kernel);
	for (size_t i = 0; i < ARRAY_SIZE(ints); i++)
		ctf_make_int(dt->types, ints[i].name, ints[i].size, ints[i].is_signed);
	ctf_make_float(dt->types, "float", 4);
	ctf_make_float(dt->types, "double", 8);
	ctf_make_float(dt->types, "long double", 16);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		ctf_make_typedef(dt->types, names[i].name, ctf_find(dt->types, names[i].of));
		map_set(dt->typedefs, names[i].name, NULL);
	}
	dt->t_int = ctf_find(dt->types, "int");
	dt->t_uint = ctf_find(dt->types, "unsigned int");
	dt->t_long = ctf_find(dt->types, "int64_t");
	dt->t_ulong = ctf_find(dt->types, "uint64_t");
	dt->t_void_ptr = ctf_make_pointer(dt->types, ctf_void(dt->types));
	/* A type of its own, told from char [] by its address. */
	dt->t_string = ctf_make_typedef(dt->types, "string",
					ctf_make_array(dt->types, ctf_find(dt->types, "char"), 0));
}

static int
quiet_libbpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return 0;
}

int
dt_open(struct dt **ret, struct error *err)
{
	struct dt *dt;
	struct ctf *kernel;
	int r = ctf_open_kernel(&kernel, err);

	if (r < 0)
		return r;
	libbpf_set_print(quiet_libbpf);
	dt = xcalloc(1, sizeof(*dt));
	dt->kernel = kernel;
	dt->opts = (struct dt_opts){.strsize = 256,
				    .strmax = 256,
				    .scratchsize = DT_SCRATCH,
				    .printsize = 1024,
				    .bufsize = 4 << 20,
				    .dynvarsize = 4 << 20,
				    .stackframes = 20,
				    .ustackframes = 20,
				    .nspec = 1,
				    .specsize = 4 << 20,
				    .stackindent = 14,
				    .aggrate_ns = 1000000000,
				    .deadman_ns = 30000000000,
				    .syslibdir = xstrdup("/usr/lib/dtrace"),
				    .cpu = -1,
				    .maxframes = DT_MAX_FRAMES,
				    .bare = getenv("_DTRACE_TESTING"),
				    .switchrate_ns = 100000000};
	dt->vars = map_new(free);
	dt->inlines = map_new(free);
	dt->typedefs = map_new(NULL);
	dt->aggs = map_new(NULL);
	dt->spellings = map_new(NULL);
	dt->globals_fd = dt->scratch_fd = dt->level_fd = dt->ring_fd = dt->zeros_fd = -1;
	dt->deadman_fds[0] = dt->deadman_fds[1] = -1;
	dt->names_fd = -1;
	dt->target = -1;
	dt->script = xstrdup("");
	dt->loaded = map_new(NULL);
	dt->out = stdout;
	dt->usyms = usyms_new();
	make_types(dt);
	*ret = dt;
	return 0;
}

static void
free_act(struct act *a)
{
	format_free(a->format);
	free(a->recs);
	free(a->parts);
	free(a->aggs);
	free(a);
}

static void
free_clauses(struct dt *dt)
{
	for (size_t i = 0; i < dt->n_clauses; i++) {
		struct act *a = dt->clauses[i]->acts, *next;

		for (; a; a = next) {
			next = a->next;
			free_act(a);
		}
		free(dt->clauses[i]);
	}
	free(dt->clauses);
}

static void
close_maps(struct dt *dt)
{
	int *fds[] = {&dt->globals_fd, &dt->scratch_fd, &dt->level_fd, &dt->ring_fd, &dt->zeros_fd,
		      &dt->names_fd};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
	for (size_t i = 0; i < dt->n_var_fds; i++)
		close(dt->var_fds[i]);
	free(dt->var_fds);
}

static void
free_hooks(struct dt *dt)
{
	for (size_t i = 0; i < dt->n_hooks; i++) {
		struct hook *h = dt->hooks[i];

		if (h->prog_fd >= 0)
			close(h->prog_fd);
		if (h->table_fd >= 0)
			close(h->table_fd);
		free(h->fds);
		if (h->n && h->probes[0]->ops->hook_done)
			h->probes[0]->ops->hook_done(h);
		free(h->own);
		free(h->probes);
		free(h);
	}
	free(dt->hooks);
}

static void
free_aggs(struct dt *dt)
{
	for (size_t i = 0; i < dt->n_aggs; i++) {
		if (dt->agg_list[i]->fd >= 0)
			close(dt->agg_list[i]->fd);
		free(dt->agg_list[i]->name);
		free(dt->agg_list[i]);
	}
	free(dt->agg_list);
}

/* What the program said, and what its words mean. */
static void
free_words(struct dt *dt)
{
	free_clauses(dt);
	dt_probes_free(dt);
	free(dt->why);
	functions_free(dt->functions);
	for (size_t i = 0; i < dt->n_asts; i++)
		ast_free(dt->asts[i]);
	free(dt->asts);
	map_free(dt->vars);
	map_free(dt->inlines);
	free(dt->translators);
	map_free(dt->typedefs);
	map_free(dt->aggs);
	map_free(dt->spellings);
}

static void
free_types(struct dt *dt)
{
	ctf_free(dt->types);
	ctf_free(dt->narrow);
	for (size_t i = 0; i < dt->n_modules; i++)
		ctf_free(dt->modules[i]);
	free(dt->modules);
	map_free(dt->untyped);
	ctf_free(dt->kernel);
}

static void
free_options(struct dt_opts *o)
{
	strv_done(&o->libdirs);
	strv_done(&o->defines);
	strv_done(&o->undefs);
	strv_done(&o->incdirs);
	strv_done(&o->usdtfiles);
	strv_done(&o->env);
	free(o->syslibdir);
	free(o->zone);
	free(o->anondir);
	free(o->cpppath);
	free(o->cppargs);
	free(o->unread.text);
}

void
dt_close(struct dt *dt)
{
	if (!dt)
		return;
	dt_procs_release(dt);
	dt_disable(dt);
	ring_buffer__free(dt->ring);
	free(dt->pass);
	free_hooks(dt);
	dt_specs_free(dt);
	map_free(dt->flow);
	free(dt->seen);
	if (dt->reopened)
		fclose(dt->reopened);
	if (dt->shared)
		munmap(dt->shared, 4096 * ((dt->globals_size + 4095) / 4096));
	dt_deadman_stop(dt);
	close_maps(dt);
	free_aggs(dt);
	free_words(dt);
	free_types(dt);
	ksyms_free(dt->ksyms);
	unwinder_close(dt);
	usyms_free(dt->usyms);
	uprobes_free(dt);
	strv_done(&dt->args);
	map_free(dt->loaded);
	map_free(dt->library_names);
	free_options(&dt->opts);
	free(dt->script);
	free(dt);
}

bool
dt_is_type(const char *name, void *arg)
{
	struct dt *dt = arg;
	/* Names of variables and functions are asked for too: those D knows are no types. */
	if (ident_lookup(name))
		return false;
	return map_has(dt->typedefs, name) || (!dt->in_library && ctf_find(dt->types, name));
}

int
dt_parse(struct dt *dt, const char *text, size_t len, const char *file, struct ast **ret,
	 struct error *err)
{
	const struct parse_opts opts = {dt_is_type, dt, &dt->region};
	int r = parse_program(text, len, file, &opts, ret, err);

	if (r < 0)
		return r;
	dt->asts = xreallocarray(dt->asts, dt->n_asts + 1, sizeof(struct ast *));
	dt->asts[dt->n_asts++] = *ret;
	return 0;
}

/* What #pragma D attributes or binding speaks of must be there, before it or behind it. */
static int
check_pragmas(struct dt *dt, const struct ast *ast, struct error *err)
{
	for (const struct node *n = ast->top; n; n = n->next) {
		cleanup_strv struct strv words = STRV_INIT;
		const char *name;

		if (n->kind != N_PRAGMA)
			continue;
		strv_words(&words, n->text, " \t");
		if (words.n != 3 || (!str_eq(words.v[0], "attributes") && !str_eq(words.v[0], "binding")))
			continue;
		name = words.v[2];
		if (!map_has(dt->vars, name) && !map_has(dt->inlines, name) &&
		    !map_has(dt->aggs, name) && !map_has(dt->typedefs, name) && !ident_lookup(name))
			return d_error(err, n->line, "D_PRAGMA_UNUSED",
				       "#pragma D %s: nothing is called \"%s\"", words.v[0], name);
	}
	return 0;
}

int
dt_compile(struct dt *dt, const char *text, size_t len, const char *file, struct error *err)
{
	struct ast *ast;
	int r;

	if ((r = dt_load_library_for(dt, text, err)) < 0 ||
	    (r = dt_parse(dt, text, len, file, &ast, err)) < 0)
		return r;
	if (!ast->top && !dt->opts.empty && !dt->in_library)
		return d_error(err, 1, "D_EMPTY", "empty D program translation unit");
	if ((r = dt_check_stability(dt, ast, err)) < 0 || (r = dt_check(dt, ast, err)) < 0)
		return r;
	return check_pragmas(dt, ast, err);
}

/* --- options: -x name=value and #pragma D option name=value */

enum opt_type {
	OPT_FLAG,
	OPT_SIZE,
	OPT_UINT,
	OPT_RATE,
	OPT_INT,
	OPT_STR,
	OPT_LIST,
	OPT_POLICY,
	OPT_EVALTIME,
	OPT_STDC,
	OPT_UNWIND,
	OPT_ENCODING,
	OPT_FRAMES,
	OPT_CPU,
	OPT_LINKMODE,
	OPT_LINKTYPE,
	OPT_VERSION,
	OPT_RESIZE,
	OPT_LATE,
	OPT_LOCKMEM,
	OPT_ATTRIBUTES,
	OPT_MODEL,
	OPT_TREE,
};

#define AT(member) offsetof(struct dt_opts, member)

static const struct {
	const char *name;
	enum opt_type type;
	size_t offset;
	bool at_run_time; /* setopt() may change it */
} options[] = {
	{"agghist", OPT_FLAG, AT(agghist), true},
	{"aggpack", OPT_FLAG, AT(aggpack), true},
	{"aggpercpu", OPT_FLAG, AT(aggpercpu), true},
	{"aggrate", OPT_RATE, AT(aggrate_ns), true},
	{"aggsize", OPT_SIZE, AT(aggsize), false},
	{"aggsortkey", OPT_FLAG, AT(aggsortkey), true},
	{"aggsortkeypos", OPT_INT, AT(aggsortkeypos), true},
	{"aggsortpos", OPT_INT, AT(aggsortpos), true},
	{"aggsortrev", OPT_FLAG, AT(aggsortrev), true},
	{"aggzoom", OPT_FLAG, AT(aggzoom), true},
	{"amin", OPT_ATTRIBUTES, AT(amin), false},
	{"anondir", OPT_STR, AT(anondir), false},
	{"argref", OPT_FLAG, AT(argref), false},
	{"bufpolicy", OPT_POLICY, AT(bufpolicy), false},
	{"bufsize", OPT_SIZE, AT(bufsize), false},
	{"cpp", OPT_FLAG, AT(cpp), false},
	{"cppargs", OPT_STR, AT(cppargs), false},
	{"cpphdrs", OPT_FLAG, AT(cpphdrs), false},
	{"cpppath", OPT_STR, AT(cpppath), false},
	{"cpu", OPT_CPU, AT(cpu), false},
	{"deadman", OPT_RATE, AT(deadman_ns), false},
	{"defaultargs", OPT_FLAG, AT(defaultargs), false},
	{"define", OPT_LIST, AT(defines), false},
	{"destructive", OPT_FLAG, AT(destructive), false},
	{"droptags", OPT_FLAG, AT(droptags), false},
	{"dynvarsize", OPT_SIZE, AT(dynvarsize), false},
	{"empty", OPT_FLAG, AT(empty), false},
	{"encoding", OPT_ENCODING, AT(encoding), true},
	{"errtags", OPT_FLAG, AT(errtags), false},
	{"evaltime", OPT_EVALTIME, AT(evaltime), false},
	{"flowindent", OPT_FLAG, AT(flowindent), true},
	{"incdir", OPT_LIST, AT(incdirs), false},
	{"json", OPT_FLAG, AT(json), false},
	{"jstackframes", OPT_FRAMES, AT(ustackframes), false},
	{"libdir", OPT_LIST, AT(libdirs), false},
	{"linkmode", OPT_LINKMODE, 0, false},
	{"linktype", OPT_LINKTYPE, 0, false},
	{"maxframes", OPT_FRAMES, AT(maxframes), false},
	{"model", OPT_MODEL, AT(model), false},
	{"nolibs", OPT_FLAG, AT(nolibs), false},
	{"noresolve", OPT_FLAG, AT(noresolve), true},
	{"nouprobemulti", OPT_FLAG, AT(nouprobemulti), false},
	{"nspec", OPT_UINT, AT(nspec), false},
	{"printsize", OPT_UINT, AT(printsize), true},
	{"quiet", OPT_FLAG, AT(quiet), true},
	{"rawbytes", OPT_FLAG, AT(rawbytes), true},
	{"scratchsize", OPT_UINT, AT(scratchsize), false},
	{"setenv", OPT_LIST, AT(env), false},
	{"showcode", OPT_FLAG, AT(showcode), false},
	{"specsize", OPT_SIZE, AT(specsize), false},
	{"stackframes", OPT_FRAMES, AT(stackframes), false},
	{"stackindent", OPT_UINT, AT(stackindent), true},
	{"stdc", OPT_STDC, AT(stdc), false},
	{"strsize", OPT_UINT, AT(strmax), false},
	{"switchrate", OPT_RATE, AT(switchrate_ns), true},
	{"syslibdir", OPT_STR, AT(syslibdir), false},
	{"tree", OPT_TREE, AT(showtree), false},
	{"undef", OPT_LIST, AT(undefs), false},
	{"unsetenv", OPT_LIST, AT(env), false},
	{"usdtfile", OPT_LIST, AT(usdtfiles), false},
	{"ustackframes", OPT_FRAMES, AT(ustackframes), false},
	{"ustackunwind", OPT_UNWIND, AT(ustackunwind), false},
	{"verbose", OPT_FLAG, AT(showcode), false},
	{"version", OPT_VERSION, 0, false},
	{"zdefs", OPT_FLAG, AT(zdefs), false},
	{"zone", OPT_STR, AT(zone), false},
	/* Scripts set these; nothing follows from them here, see dtrace(8). */
	{"bpflog", OPT_FLAG, AT(unread.flag), false},
	{"bpflogsize", OPT_SIZE, AT(unread.size), false},
	{"bufresize", OPT_RESIZE, AT(unread.word), false},
	{"cleanrate", OPT_RATE, AT(unread.rate), true},
	{"core", OPT_FLAG, AT(unread.flag), false},
	{"debug", OPT_FLAG, AT(unread.flag), false},
	{"debugassert", OPT_STR, AT(unread.text), false},
	{"disasm", OPT_SIZE, AT(unread.size), false},
	{"dofstashpath", OPT_STR, AT(unread.text), false},
	{"grabanon", OPT_FLAG, AT(unread.flag), false},
	{"iregs", OPT_SIZE, AT(unread.size), false},
	{"jstackstrsize", OPT_SIZE, AT(unread.size), true},
	{"kdefs", OPT_FLAG, AT(unread.flag), false},
	{"knodefs", OPT_FLAG, AT(unread.flag), false},
	{"late", OPT_LATE, AT(unread.word), false},
	{"lazyload", OPT_FLAG, AT(unread.flag), false},
	{"ldpath", OPT_STR, AT(unread.text), false},
	{"linknommap", OPT_FLAG, AT(unread.flag), false},
	{"lockmem", OPT_LOCKMEM, AT(unread.size), false},
	{"nusdtprobes", OPT_SIZE, AT(unread.size), false},
	{"pcapsize", OPT_SIZE, AT(unread.size), false},
	{"pgmax", OPT_SIZE, AT(unread.size), false},
	{"preallocate", OPT_SIZE, AT(unread.size), false},
	{"pspec", OPT_FLAG, AT(unread.flag), false},
	{"quietresize", OPT_FLAG, AT(unread.flag), true},
	{"statusrate", OPT_RATE, AT(unread.rate), true},
	{"strip", OPT_FLAG, AT(unread.flag), false},
	{"sysslice", OPT_FLAG, AT(unread.flag), false},
	{"temporal", OPT_FLAG, AT(unread.flag), true},
	{"tregs", OPT_SIZE, AT(unread.size), false},
	{"udefs", OPT_FLAG, AT(unread.flag), false},
	{"unodefs", OPT_FLAG, AT(unread.flag), false},
	{"useruid", OPT_SIZE, AT(unread.size), false},
};

/* What other systems have and what cannot be had here. */
static const struct {
	const char *name, *why;
} refused[] = {
	{"btfpath", "types are those of the kernel that runs"},
	{"ctfpath", "types are those of the kernel that runs"},
	{"ctypes", "types of a program are not written to files"},
	{"dtypes", "types of a program are not written to files"},
	{"modpath", "types of modules are those that the kernel has loaded"},
	{"procfspath", "processes are those of /proc"},
};

uint64_t
dt_period(const char *rate)
{
	static const struct {
		const char *suffix;
		uint64_t ns;
	} units[] = {{"ns", 1},
		     {"nsec", 1},
		     {"us", 1000},
		     {"usec", 1000},
		     {"ms", 1000000},
		     {"msec", 1000000},
		     {"s", 1000000000},
		     {"sec", 1000000000},
		     {"m", 60000000000},
		     {"min", 60000000000},
		     {"h", 3600000000000},
		     {"hour", 3600000000000},
		     {"d", 86400000000000},
		     {"day", 86400000000000}};
	char *end;
	unsigned long n = strtoul(rate, &end, 10);
	uint64_t ns = 0;

	if (end == rate || !n)
		return 0;
	if (!*end || strcasecmp(end, "hz") == 0)
		return 1000000000 / n;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strcasecmp(end, units[i].suffix) == 0)
			return __builtin_mul_overflow(n, units[i].ns, &ns) ? 0 : ns;
	return 0;
}

static int
parse_rate(const char *value, uint64_t *ret)
{
	uint64_t ns = dt_period(value);

	if (!ns)
		return -EINVAL;
	*ret = ns;
	return 0;
}

/* "yes", "off", "UNSET" ..., or a number that is 0 or not. */
static int
parse_flag(const char *value, bool *ret)
{
	static const struct {
		const char *word;
		bool is;
	} rows[] = {{"enable", true},	 {"enabled", true},   {"set", true},
		    {"disable", false}, {"disabled", false}, {"unset", false}};
	cleanup_free char *word = xstrdup(value);
	uint64_t number;

	if (str_to_u64(value, 0, &number) == 0) {
		*ret = number != 0;
		return 0;
	}
	for (char *p = word; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (str_eq(rows[i].word, word)) {
			*ret = rows[i].is;
			return 0;
		}
	}
	return str_to_bool(word, ret);
}

static int
parse_word(const char *value, const char *const *names, size_t n, int *ret)
{
	for (size_t i = 0; i < n; i++) {
		if (str_eq(value, names[i])) {
			*ret = (int)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* Which version of D is wanted: "1.0", "1.6.3". */
static int
check_version(const char *value)
{
	unsigned major, minor;

	if (sscanf(value, "%u.%u", &major, &minor) != 2)
		return -EINVAL;
	return major == 1 && minor <= 13 ? 0 : -ENOTSUP;
}

static int
set_option(struct dt *dt, size_t i, const char *value)
{
	static const char *const policies[] = {
		[BUF_SWITCH] = "switch", [BUF_FILL] = "fill", [BUF_RING] = "ring"};
	static const char *const unwinds[] = {[UNWIND_AUTO] = "auto", [UNWIND_FP] = "fp"};
	static const char *const evaltimes[] = {[EVAL_PREINIT] = "preinit", [EVAL_EXEC] = "exec",
						[EVAL_POSTINIT] = "postinit", [EVAL_MAIN] = "main"};
	static const char *const stdcs[] = {
		[STDC_A] = "a", [STDC_C] = "c", [STDC_S] = "s", [STDC_T] = "t"};
	static const char *const encodings[] = {
		[ENCODING_TERM] = "terminal", [ENCODING_ASCII] = "ascii", [ENCODING_UTF8] = "utf8"};
	static const char *const resizes[] = {"auto", "manual"}, *const lates[] = {"static", "dynamic"};
	static const char *const models[] = {[MODEL_LP64] = "64", [MODEL_ILP32] = "32"};
	static const char *const linkmodes[] = {"kernel", "static", "dynamic"};
	void *at = (char *)&dt->opts + options[i].offset;
	uint64_t size;
	int r = 0, cpu, ignored;

	if (!value && options[i].type != OPT_FLAG)
		return -EINVAL;
	switch (options[i].type) {
	case OPT_FLAG:
		*(bool *)at = true;
		return value ? parse_flag(value, at) : 0;
	case OPT_SIZE:
		return strchr(value, 'b') ? -EINVAL : str_to_size(value, at);
	case OPT_UINT:
		r = str_to_size(value, &size);
		if (r == 0 && (size < 1 || size > 8192))
			return -ERANGE;
		if (r == 0)
			*(unsigned *)at = (unsigned)size;
		return r;
	case OPT_INT:
		return str_to_int(value, at);
	case OPT_RATE:
		return parse_rate(value, at);
	case OPT_STR:
		free(*(char **)at);
		*(char **)at = xstrdup(value);
		return 0;
	case OPT_LIST:
		strv_add(at, value);
		return 0;
	case OPT_POLICY:
		return parse_word(value, policies, ARRAY_SIZE(policies), at);
	case OPT_UNWIND:
		return parse_word(value, unwinds, ARRAY_SIZE(unwinds), at);
	case OPT_EVALTIME:
		return parse_word(value, evaltimes, ARRAY_SIZE(evaltimes), at);
	case OPT_ENCODING:
		return parse_word(value, encodings, ARRAY_SIZE(encodings), at);
	case OPT_STDC:
		return parse_word(value, stdcs, ARRAY_SIZE(stdcs), at);
	case OPT_LINKMODE:
		return parse_word(value, linkmodes, ARRAY_SIZE(linkmodes), &ignored);
	case OPT_LINKTYPE:
		return str_eq(value, "elf") ? 0 : -EINVAL;
	case OPT_FRAMES:
		r = str_to_size(value, &size);
		if (r == 0 && (size < 1 || size > DT_MAX_FRAMES))
			return -ERANGE;
		if (r == 0)
			*(unsigned *)at = (unsigned)size;
		return r;
	case OPT_CPU:
		return str_to_int(value, &cpu) < 0 || cpu < 0 ? -EINVAL : (*(int *)at = cpu, 0);
	case OPT_VERSION:
		return check_version(value);
	case OPT_RESIZE:
		return parse_word(value, resizes, ARRAY_SIZE(resizes), at);
	case OPT_LATE:
		return parse_word(value, lates, ARRAY_SIZE(lates), at);
	case OPT_LOCKMEM:
		if (dt->n_asts) /* a program's word comes too late for it */
			return -EBUSY;
		return str_eq(value, "unlimited") ? 0 : str_to_size(value, at);
	case OPT_ATTRIBUTES:
		return dt_parse_attributes(value, at) ? 0 : -EINVAL;
	case OPT_MODEL:
		r = parse_word(value, models, ARRAY_SIZE(models), at);
		return r < 0 ? r : dt_set_model(dt);
	case OPT_TREE: /* others take which passes are to be shown */
		r = str_to_size(value, &size);
		*(bool *)at = r == 0 && size;
		return r;
	}
	return r;
}

static int
find_and_set(struct dt *dt, const char *assignment, bool running, struct error *err)
{
	cleanup_free char *name = xstrdup(assignment);
	char *value = strchr(name, '=');
	int r;

	if (value)
		*value++ = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (!str_eq(options[i].name, name))
			continue;
		if (running && !options[i].at_run_time)
			return error_set(err, EBUSY, "option '%s' cannot be set while tracing", name);
		r = set_option(dt, i, value);
		if (r == -EBUSY)
			return error_set(err, EBUSY, "option '%s' is one of the command line", name);
		if (r < 0)
			return error_set(err, EINVAL, "invalid value for option '%s': %s", name,
					 value ? value : "none given");
		if (dt->opts.strmax < 2)
			return error_set(err, EINVAL, "option 'strsize': at least 2");
		dt->opts.strsize = (dt->opts.strmax + 7) & ~7u;
		dt->opts.scratchsize = (dt->opts.scratchsize + 7) & ~7u;
		if (dt->opts.nspec > DT_MAX_SPECS)
			return error_set(err, EINVAL, "option 'nspec': at most %d", DT_MAX_SPECS);
		return priv_check_option(dt, name, err);
	}
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (str_eq(refused[i].name, name))
			return error_set(err, ENOTSUP, "option '%s' is not for this system: %s", name,
					 refused[i].why);
	return error_set(err, EINVAL, "invalid option name: %s", name);
}

int
dt_set_option(struct dt *dt, const char *assignment, struct error *err)
{
	return find_and_set(dt, assignment, false, err);
}

int
dt_set_runtime_option(struct dt *dt, const char *assignment, struct error *err)
{
	return find_and_set(dt, assignment, true, err);
}

int
dt_pragma(struct dt *dt, const struct node *n, struct error *err)
{
	/* Words behind the first; nothing follows from these here. */
	static const struct {
		const char *name;
		size_t least, most;
	} ignored[] = {{"attributes", 2, 2}, {"binding", 2, 2}, {"line", 1, 3}};
	cleanup_strv struct strv words = STRV_INIT;

	strv_words(&words, n->text, " \t");
	if (words.n && str_eq(words.v[0], "option")) {
		if (words.n != 2)
			return d_error(err, n->line, "D_PRAGMA_MALFORM",
				       "#pragma D option takes one NAME or NAME=VALUE");
		return dt_set_option(dt, words.v[1], err) < 0
			       ? d_error(err, n->line, "D_PRAGMA_OPTSET", "%s", error_message(err))
			       : 0;
	}
	if (words.n && str_eq(words.v[0], "error"))
		return d_error(err, n->line, "D_PRAGERR", "#error:%s",
			       strstr(n->text, "error") + strlen("error"));
	if (words.n && str_eq(words.v[0], "depends_on"))
		return dt->in_library ? 0
				      : d_error(err, n->line, "D_PRAGMA_DEPEND",
						"#pragma D depends_on is for files of the library");
	for (size_t i = 0; words.n && i < ARRAY_SIZE(ignored); i++) {
		if (!str_eq(words.v[0], ignored[i].name))
			continue;
		if (words.n - 1 >= (dt->in_library ? 1 : ignored[i].least) && words.n - 1 <= ignored[i].most)
			return 0;
		return d_error(err, n->line, "D_PRAGMA_MALFORM", "malformed #pragma D %s",
			       words.v[0]);
	}
	return d_error(err, n->line, "D_PRAGMA_INVAL", "invalid pragma \"%s\"", n->text);
}

const struct ksyms *
dt_ksyms(struct dt *dt)
{
	cleanup_error struct error err = ERROR_INIT;

	if (!dt->ksyms)
		ksyms_open(&dt->ksyms, &err); /* without them addresses are shown as numbers */
	return dt->ksyms;
}

struct ctf *
dt_module_types(struct dt *dt, const char *module)
{
	cleanup_error struct error err = ERROR_INIT;
	struct ctf *c;

	if (!*module || str_eq(module, "vmlinux"))
		return dt->kernel;
	for (size_t i = 0; i < dt->n_modules; i++)
		if (str_eq(ctf_module(dt->modules[i]), module))
			return dt->modules[i];
	if (!dt->untyped)
		dt->untyped = map_new(NULL);
	if (map_has(dt->untyped, module))
		return NULL;
	if (ctf_open_module(dt->kernel, module, &c, &err) < 0) {
		map_set(dt->untyped, module, NULL);
		return NULL;
	}
	dt->modules = xreallocarray(dt->modules, dt->n_modules + 1, sizeof(struct ctf *));
	return dt->modules[dt->n_modules++] = c;
}

void
dt_tell_matches(struct dt *dt, const char *what, const char *shown, size_t *before)
{
	size_t n = 0, since;

	for (size_t i = 0; i < dt->n_clauses; i++)
		n += dt->clauses[i]->n_probes;
	since = n - *before;
	*before = n;
	fprintf(stderr, "dtrace: %s '%s' matched %zu probe%s\n", what, shown, since,
		since == 1 ? "" : "s");
}
