/*
 * Inside libdtrace.  One struct dt is one consumer: its program, its probes,
 * its buffers, its output.
 *
 * Walk of a program:
 *	parse_*.c	text to tree
 *	check.c		types and names; which variables, aggregations and records there are
 *	gen*.c		the clauses of a probe to BPF instructions (asm.h)
 *	enable.c	which probes; maps made, programs loaded and attached
 *	consume.c	records printed as they come
 *	agg.c		aggregations read, sorted and printed
 *
 * At run time data lives in BPF maps:
 *	globals	    one array entry: struct dt_shared, then D's global scalars
 *	scratch	    an area for each CPU and nesting level: clause-local variables,
 *		    strings under work, keys, the record being written
 *	records	    ring buffer of finished records
 *	one hash for each associative array and thread-local variable;
 *	one per-CPU hash (an array, if it has no keys) for each aggregation
 */
#ifndef DTRACE_DT_H
#define DTRACE_DT_H

#include <signal.h>
#include <stdio.h>

#include "base/map.h"
#include "base/str.h"
#include "dtrace/ast.h"
#include "dtrace/ident.h"
#include "dtrace/lex.h"

#define DT_MAX_KEYS 16 /* of an aggregation */
#define DT_TUPLE_KEYS 8 /* of an associative array */
#define DT_LEVELS 4 /* nested probe firings on one CPU */
#define DT_SCRATCH 4096 /* scratchsize, if nothing is said */
#define DT_COPYOUT 4096 /* bytes that copyout() copies at most */
#define DT_HELD 2 /* dt_shared.stopped until all probes are attached */
#define DT_DEAD 4 /* the same, set by the deadman (deadman.c) */
#define DT_MAX_SPECS 64
#define DT_DROP_CPUS 256
#define DT_AGG_KEYS 65536
#define DT_DYN_KEYS 65536 /* of a variable, unless dynvarsize is larger than what is usual */
#define DT_WAKE_MAX 4096 /* records */
#define DT_SMALL_RING (256 << 10) /* bytes, where nothing is recorded while tracing */
#define DT_DARK_KEYS 4096 /* see fires_in_the_dark() */
#define DT_MAX_FRAMES 127
#define KERNEL_ENOTSUPP 524 /* ENOTSUPP, which no header for programs has */
#define DT_UREGS 21 /* of struct pt_regs, in its order */
#define DT_UREGS_ALL (DT_UREGS + 5) /* with those of struct thread_struct: gen_ureg() */
#define DT_ERROR_PROBE 2 /* data of dtrace:::ERROR */

/* -X: what __STDC__ is for the preprocessor. */
enum stdc { STDC_A, STDC_C, STDC_S, STDC_T };

/* What becomes of records: shown as they come; the first, or the last, bufsize bytes at the end. */
enum buf_policy { BUF_SWITCH, BUF_FILL, BUF_RING };

/* How user stacks are walked: with tables where there are such (unwind.c), or by frame pointers. */
enum ustackunwind { UNWIND_AUTO, UNWIND_FP };
/* In what -xaggpack draws; ENCODING_TERM: as the terminal can. */
enum encoding { ENCODING_TERM, ENCODING_ASCII, ENCODING_UTF8 };

#define DT_ATTRIBUTES 4 /* stability.c: three letters and NUL */

enum model { MODEL_LP64, MODEL_ILP32 }; /* -64, -32: of the types that a program names */

struct dt_opts {
	unsigned strsize;    /* room for a string, a multiple of 8 */
	unsigned strmax;     /* bytes of a string, NUL included */
	unsigned printsize;   /* bytes of a structure that print() shows */
	unsigned scratchsize; /* bytes that alloca() and copyin() have in one firing */
	uint64_t bufsize;    /* of the ring buffer */
	uint64_t aggsize;    /* bytes of a keyed aggregation; 0: room for DT_AGG_KEYS keys */
	uint64_t dynvarsize; /* bytes of all dynamic variables */
	unsigned stackframes, ustackframes, nspec;
	uint64_t specsize; /* bytes of one speculation */
	uint64_t switchrate_ns, aggrate_ns;
	uint64_t deadman_ns; /* so long the consumer may be kept from running */
	bool quiet, flowindent, destructive, zdefs, aggsortrev, aggsortkey, aggzoom, agghist, aggpack, aggpercpu, nolibs;
	bool argref, defaultargs, errtags, droptags, empty, noresolve, cpp, cpphdrs, rawbytes, json, showcode, showtree;
	int cpu; /* the only one that is traced, or -1 */
	int stdc; /* enum stdc */
	unsigned maxframes; /* of any stack */
	bool bare; /* _DTRACE_TESTING: no CPUs and ids, which differ from run to run */
	int bufpolicy; /* enum buf_policy */
	unsigned stackindent;
	char *syslibdir;     /* the D library */
	char *zone;	     /* -z */
	char *anondir;	     /* where -A and -a look; NULL: where the service does */
	char *cpppath;	     /* the C preprocessor; NULL: the one there is */
	char *cppargs;	     /* more of its arguments */
	struct strv env;     /* setenv, unsetenv: "name=value" or "name", for commands of -c */
	struct strv libdirs; /* more of it */
	struct strv defines, undefs, usdtfiles, incdirs;
	int aggsortpos, aggsortkeypos;
	int evaltime; /* enum evaltime */
	int encoding; /* enum encoding */
	bool nouprobemulti;
	int ustackunwind; /* enum ustackunwind */
	char amin[DT_ATTRIBUTES]; /* the least stable that is taken; "": anything */
	int model; /* enum model: dt_set_model() */
	/* What scripts set and nothing follows from here: values are checked all the same. */
	struct {
		bool flag;
		int word;
		uint64_t size, rate;
		char *text;
	} unread;
};

enum spec_state { SPEC_FREE, SPEC_ACTIVE, SPEC_ENDED /* by commit() or discard() */ };

/* First bytes of `globals`: what programs and consumer tell each other. */
struct dt_shared {
	uint64_t stopped;     /* exit() was called, DT_HELD or DT_DEAD: probes but END do nothing */
	uint64_t alive;	      /* when the consumer last took records */
	uint64_t dyn_drops;
	uint64_t level_drops; /* fired too deeply nested */
	int64_t wall_offset;  /* CLOCK_REALTIME less CLOCK_MONOTONIC at start */
	uint64_t spec_none;   /* speculation() found none free */
	uint64_t spec_drops;  /* speculate() found no room */
	uint64_t spec[DT_MAX_SPECS]; /* enum spec_state */
	uint64_t spec_used[DT_MAX_SPECS]; /* bytes of specsize */
	/* by CPU, the last one for those beyond */
	uint64_t drops[DT_DROP_CPUS]; /* records for which the ring had no room */
	uint64_t agg_drops[DT_DROP_CPUS];
};

/* Room for each of a probe's four names in the `names` map. */
#define DT_NAME_SIZE 128

/* --- records */

enum rec_kind {
	REC_INT, REC_STRING, REC_BYTES, REC_PROBE, REC_STACK, REC_USTACK, REC_USYM,
	REC_KSYM, /* an address of the kernel, shown by name */
	REC_FRAMES, /* struct stack_value */
};

/* What stack() and ustack() are as values: stack.c. */
struct stack_value {
	uint32_t depth;	  /* frames that are shown */
	uint32_t is_user; /* of a process, */
	uint32_t pid;	  /* which is this one */
	uint32_t strsz;	  /* as ustack(frames, strsz) said */
	uint64_t addrs[]; /* zeros behind the last */
};

struct rec {
	enum rec_kind kind;
	size_t offset, size;
	size_t shown_size; /* of the value's type, where it is less than the key's place; or 0 */
	bool is_signed, is_float;
	enum builtin part; /* REC_PROBE: which of the probe's four names */
	enum action action; /* REC_KSYM, REC_USYM: sym, func, mod, usym ... */
};

/* Every record begins with this. */
struct rec_head {
	uint32_t clause, probe, cpu;
	uint32_t spec; /* speculation it belongs to, or 0 */
};

/* A clause that ended early tells why: a record with this bit in its clause number. */
#define DT_FAULT 0x80000000u

/* Numbered as ERROR's arg4 is: DTRACEFLT_* (lib/faults.d). */
enum fault {
	FAULT_ADDRESS = 1, FAULT_ILLEGAL = 3, FAULT_DIVIDE = 4, FAULT_SCRATCH = 5,
	FAULT_KPRIV = 6, FAULT_UPRIV = 7, /* priv.c: memory that is not the zone's to see */
};

struct fault_rec {
	struct rec_head head;
	uint32_t kind, statement;
	uint64_t address;
};

/* Where a member of a translated structure belongs; a `string` has no room in it. */
struct part {
	const char *name;
	const struct ctf_type *type;
	uint64_t bit_offset; /* from the start of the whole */
	unsigned bit_size;   /* 0: no bit-field */
};

struct act;

/*
 * Another program that reads along (libdtrace.c).  begin() is called before a record is shown, act()
 * before each of its actions: they say whether it is.  shown() comes behind an action, and once
 * more with none at the record's end.  lost() has what else would be told on standard error; false: it
 * is told there.
 */
enum { WATCH_SHOW = 0, WATCH_SKIP = 1 }; /* or a negative errno: no more */
struct dt_watch {
	void *arg;
	int (*begin)(void *arg, const char *data);
	int (*act)(void *arg, const char *data, const struct act *a);
	int (*shown)(void *arg, const char *data, const struct act *a);
	bool (*lost)(void *arg, const char *tag, uint64_t n, const struct fault_rec *fault,
		     const char *message);
};

/* One action as the consumer sees it; a clause has a list. */
struct act {
	enum action action;
	struct rec *recs;
	size_t n_recs;
	struct format *format; /* printf, printa, system, freopen */
	struct agg **aggs;
	size_t n_aggs;
	uint64_t number; /* constant argument: trunc's, normalize's factor */
	bool has_number;
	const struct ctf_type *type; /* print(): what is shown */
	struct part *parts;          /* print() of a translation: a member each record, or NULL */
	unsigned bit; /* of the clause's mask of what was done */
	struct act *next;
};

struct clause {
	struct node *node;
	uint32_t id;
	struct act *acts, **acts_tail;
	size_t rec_size; /* head included; 0: records nothing */
	bool conditional; /* `if` inside: a mask behind the head tells which acts were done */
	unsigned n_acts;
	bool shows; /* there is something to print */
	bool records; /* what speculate() and commit() may not follow */
	bool speculates, commits;
	size_t n_probes; /* it is enabled on */
};

/* --- aggregations */

struct agg {
	char *name;
	uint32_t id; /* in order of first use */
	enum aggfunc func;
	struct rec keys[DT_MAX_KEYS];
	const struct ctf_type *key_types[DT_MAX_KEYS];
	size_t n_keys, key_size;
	int64_t params[5]; /* lquantize: base, limit, step; llquantize: factor, low, high, steps */
	size_t n_words;	   /* of a value, 64 bits each; the first counts additions */
	bool is_signed;
	int fd;
	int64_t normal; /* divisor of normalize(); 1 */
	bool printed;	/* by printa(): not again at the end */
	bool cleared;	/* by clear(), when there was something */
};

/*
 * One order of magnitude of llquantize(v, factor, low, high, steps): power <= v < next, in `n`
 * buckets from word `first` on.  Their bounds are multiples of `width`, a part of `steps` of
 * next (of 1 at least), but for the first one's, which is power.
 */
struct agg_order {
	int64_t power, next, width;
	size_t first, n;
};

void agg_order_first(const struct agg *a, struct agg_order *ret);
void agg_order_next(const struct agg *a, struct agg_order *o);

/* --- probes */

struct dt;
struct gen;
struct provider;

struct probe {
	uint32_t id; /* from 1 */
	const char *prov, *mod, *func, *name;
	const struct provider *ops;
	uint64_t data; /* the provider's own */
	struct clause **clauses;
	size_t n_clauses;
};

/* How a group of probes is hooked: one BPF program serves them all. */
struct hook {
	struct probe **probes; /* all with the same clauses */
	size_t n;
	int prog_fd;
	int *fds; /* links and events */
	size_t n_fds;
	int table_fd; /* the provider's, or -1 */
	unsigned aframes; /* of ours, on top of the stacks it sees */
	void *own;    /* the provider's, freed with the hook */
	bool at_entry; /* at a user function's first instruction: its caller stands on the stack */
};

/*
 * One typed argument of a probe, args[i].  A stable provider names the type a
 * program sees (`xlate`): the library's translator (lib/NAME.d) makes it from
 * the provider's own argument `from`, whose C type is `native` and which
 * gen_arg() puts into r0.
 */
struct probe_arg {
	const char *native; /* "struct task_struct *" */
	const char *xlate;  /* "psinfo_t *"; NULL: the native type as it is */
	unsigned from;
	bool is_user; /* an address in the process, not in the kernel */
};

/*
 * A provider: which probes there are, what their arguments are, and how a
 * BPF program gets at them.  One file each.
 */
struct provider {
	const char *name;
	/* Makes known (dt_probe_add) what may match; parts are globs, "" matches all. */
	int (*provide)(struct dt *dt, const char *const part[4], struct error *err);
	/* Two probes of one group may share a program: same attach point or attach type. */
	bool (*together)(const struct probe *a, const struct probe *b);
	/* The type of args[i], NULL past the last.  Providers with translated ones have `arg`. */
	const struct ctf_type *(*arg_type)(struct dt *dt, const struct probe *p, unsigned i);
	/* The same by name; false past the last; asked first. */
	bool (*arg)(struct dt *dt, const struct probe *p, unsigned i, struct probe_arg *ret);
	/* D clauses that have to run where p does, for its arguments' sake; may be NULL. */
	const char *(*aux)(const struct probe *p);
	/* Makes what the code needs (tables); may be NULL. */
	int (*prepare)(struct dt *dt, struct hook *h, struct error *err);
	/* Code at the program's start: leaves the probe's id in r0, or leaves the program. */
	int (*gen_probe)(struct gen *g, const struct hook *h, struct error *err);
	/* Code that puts argument i into r0. */
	int (*gen_arg)(struct gen *g, const struct hook *h, unsigned i, struct error *err);
	/* Loads insns (type and attach point are the provider's) and attaches. */
	int (*attach)(struct dt *dt, struct hook *h, struct gen *g, struct error *err);
	/* Frees what h->own points to besides itself; may be NULL. */
	void (*hook_done)(struct hook *h);
	/* Fires by itself when the consumer says (BEGIN, END). */
	bool manual;
	/* May a description call p's module by that name too?  NULL: only by its own. */
	bool (*mod_matches)(const struct probe *p, const char *pattern);
	/* So many probes of one group are hooked one by one, each with a program of its own. */
	size_t alone;
	/* Below zero if a's program has to be attached before b's, above if after; NULL: as they come. */
	int (*order)(const struct probe *a, const struct probe *b);
};

extern const struct provider provider_dtrace, provider_profile, provider_tick, provider_syscall,
	provider_rawtp, provider_fbt, provider_sdt, provider_proc, provider_sched, provider_io,
	provider_vminfo, provider_sysinfo, provider_lockstat, provider_ip, provider_tcp, provider_udp,
	provider_fsinfo, provider_vfs, provider_zfs, provider_cpc, provider_mib, provider_pid,
	provider_usdt;

/* --- the consumer */

struct dt {
	struct dt_opts opts;
	struct ctf *kernel;
	struct ctf *types; /* D's own, parent: kernel */
	struct ctf *narrow; /* of -32 programs, where they differ: model.c; or NULL */
	const struct ctf_type *t_string, *t_int, *t_uint, *t_long, *t_ulong, *t_void_ptr;
	const struct ctf_type *stack_types[DT_MAX_FRAMES + 1]; /* by their frames, when they are used */

	struct ast **asts;
	size_t n_asts;
	struct map *vars;	 /* "x", "self->x", "this->x": struct ident */
	struct map *inlines;	 /* name: struct ident */
	struct node **translators; /* N_TRANSLATOR; those of the library without their input's type */
	size_t n_translators;
	struct map *typedefs; /* names of D's own types; NULL, or the program's N_DECL */
	struct map *aggs;	 /* name: struct agg */
	struct agg **agg_list;
	size_t n_aggs;
	struct clause **clauses;
	size_t n_clauses;

	struct probe **probes; /* by id - 1 */
	size_t n_probes;
	struct map *spellings; /* of types, kept for error messages */
	struct probe_table *table;
	char *why; /* a provider's word on why something was not there */
	const char *why_tag; /* its own D_ tag for that, or NULL */
	struct functions *functions;
	struct ctf **modules; /* types of kernel modules that were asked for */
	size_t n_modules;
	struct map *untyped;  /* that were asked for and have none, or are no modules */

	struct hook **hooks;
	size_t n_hooks;
	size_t globals_size, this_size, record_max;
	uint32_t wake_every; /* so many records of a CPU the consumer is woken; a power of two */
	/* The scratch area: clause-local variables, record, struct rt, alloca()'s, slots. */
	size_t rt_off, alloca_off, slots_off, scratch_size;
	bool uses_rt, uses_alloca, uses_strtok;
	bool direct_asked, direct; /* direct.c: can kernel memory be loaded?  And by what: */
	uint32_t cast_function, cast_type;
	int globals_fd, scratch_fd, level_fd, ring_fd, zeros_fd, names_fd;
	int *var_fds; /* maps of self-> variables and associative arrays */
	size_t n_var_fds;
	struct dt_shared *shared; /* the globals, mapped */
	struct ring_buffer *ring;
	void *pass; /* consume.c's */
	bool exiting, ending;
	bool more; /* records are there that dt_consume() left for the next time */
	const volatile sig_atomic_t *interrupted; /* not 0: attach no more; NULL: nobody asks */
	int exit_status;
	int64_t target; /* $target */
	bool compile_only; /* nothing will be enabled */
	struct map *loaded;   /* files of it that were read */
	struct map *library_names; /* that the library defines; NULL: not looked at yet */
	bool library;	      /* dt_load_library() was called */
	bool has_view;	      /* priv_view() was read, the library's first part */
	bool in_library;      /* it is at work: type names are D's own, not the kernel's */
	struct strv args; /* $1 ... */
	unsigned builtin_reads[B_WALLTIMESTAMP + 1]; /* how often programs name each */
	unsigned n_once;      /* check_once.c's variables */
	uint64_t args_used;   /* a bit for each of the first 64 that the program names */
	const char *region;   /* of the program, where a compile error is */
	char *script;	  /* $0 */
	FILE *out;
	const struct dt_watch *watch; /* or NULL */
	int deadman_fds[2];	      /* its program and its clock, or -1 */
	struct dt_shared *seen; /* counters as last told */
	struct spec_buf *specs;  /* consume.c: records under speculation */
	struct kept_list *kept; /* keep.c */
	struct map *flow;	/* flow.c: by CPU */
	FILE *first_out, *reopened; /* freopen()'s */
	struct probe *error;     /* dtrace:::ERROR, if it has clauses */
	bool header_shown;
	struct ksyms *ksyms; /* dt_ksyms() */
	struct usyms *usyms;
	bool takes_ustacks, takes_usyms;
	struct unwinder *unwinder; /* unwind.c; NULL: by frame pointers */
	uint64_t zone_id; /* of -z: its cgroup's; 0: all are traced */
	const struct confine *confine; /* priv.h: of a consumer that works for others; NULL: all is allowed */
	const struct remote *remote;   /* where that consumer's files and output are; NULL: here */
	struct dt_proc *procs; /* of -c and -p */
	struct uprobes *uprobes;
};

/* dt.c */
int dt_open(struct dt **ret, struct error *err);
void dt_close(struct dt *dt);
/* Text to a tree that dt keeps. */
int dt_parse(struct dt *dt, const char *text, size_t len, const char *file, struct ast **ret,
	     struct error *err);
int dt_compile(struct dt *dt, const char *text, size_t len, const char *file, struct error *err);
/* For parsers of D: is that a type's name?  arg is the dt. */
bool dt_is_type(const char *name, void *arg);
/* "name=value" or "name" */
int dt_set_option(struct dt *dt, const char *assignment, struct error *err);
/* Nanoseconds of "200ms", "1sec", or of "10hz" (or "10"), ten a second; 0 if it is no rate. */
uint64_t dt_period(const char *rate);
/* The same while the program runs: setopt(). */
int dt_set_runtime_option(struct dt *dt, const char *assignment, struct error *err);
/* "dtrace: description 'x' matched N probes" on stderr. */
struct ksyms;
const struct ksyms *dt_ksyms(struct dt *dt); /* read when first asked for; NULL if they cannot be */
/* Types of the kernel ("vmlinux", "") or of a module; NULL if it has none. */
struct ctf *dt_module_types(struct dt *dt, const char *module);
/* Counts those since the last time. */
void dt_tell_matches(struct dt *dt, const char *what, const char *shown, size_t *before);

/* lib.c: once, before the first program and after the options */
int dt_load_library(struct dt *dt, struct error *err);
/* The same if the program `text` uses any of its names. */
int dt_load_library_for(struct dt *dt, const char *text, struct error *err);

/*
 * topology.c: inlines d_chip_of and d_lgrp_of of so many CPUs; `cpus` is /sys/devices/system/cpu.  The
 * caller's.
 */
char *topology_view(const char *cpus, int n);

/* cpp.c: a file or a text through the C preprocessor; *ret is the caller's */
int dt_preprocess(struct dt *dt, const char *path, char **ret, struct error *err);
int dt_preprocess_text(struct dt *dt, const char *text, char **ret, struct error *err);

/* list.c */
void dt_list_header(void);
void dt_list_probe(struct dt *dt, const struct probe *p, bool verbose);
/* enable.c: where global and clause-local variables stand; -S tells of them (code.c) */
void dt_place_vars(struct dt *dt);
void dt_show_vars(struct dt *dt);
int dt_set_model(struct dt *dt); /* model.c: as opts.model says */
/* stability.c */
void dt_show_probe_stability(const struct probe *p);
void dt_show_stability(struct dt *dt, const char *what, const char *shown);
/* "Stable/Stable/Common" */
bool dt_parse_attributes(const char *text, char ret[DT_ATTRIBUTES]);
/* -x amin; before dt_check() */
int dt_check_stability(struct dt *dt, const struct ast *ast, struct error *err);

/* check.c */
int dt_check(struct dt *dt, struct ast *ast, struct error *err);
/* Resolves a type as written. */
int dt_type(struct dt *dt, const struct node *where, const struct type_expr *t,
	    const struct ctf_type **ret, struct error *err);
/*
 * A variable of the program, or a part of one: x, x.member, x[3], a["key"].member; or stack() and a part of
 * that, which stands in memory of ours as well.
 */
bool dt_in_variable(const struct node *n);
int dt_macro(struct dt *dt, const char *name, int line, const char **ret_text, int64_t *ret_number,
	     struct error *err);
bool dt_is_string(struct dt *dt, const struct ctf_type *t);
bool dt_is_scalar(struct dt *dt, const struct ctf_type *t); /* a number or an address */
/* Bytes that a key of that type has in an associative array's map. */
size_t dt_key_size(struct dt *dt, const struct ctf_type *t);
/* Bytes that the text of n may take, NUL included; a multiple of 8. */
size_t text_bound(struct dt *dt, const struct node *n);
const struct ctf_type *dt_common_type(struct dt *dt, const struct ctf_type *a,
				      const struct ctf_type *b);
/* Does the value fit a variable or member of type `to`? */
bool dt_may_assign(struct dt *dt, const struct ctf_type *to, const struct node *from);
int dt_pragma(struct dt *dt, const struct node *n, struct error *err);
/* stack.c */
const struct ctf_type *dt_stack_type(struct dt *dt, unsigned frames);
bool dt_is_stack(const struct ctf_type *t);
bool dt_is_stack_call(const struct node *n); /* stack(), ustack(), jstack() */
/* A part of a stack that cannot be written: all but the depth of a variable's. */
bool dt_is_fixed_stack(const struct node *n);

/* probe.c */
struct probe *dt_probe_add(struct dt *dt, const struct provider *ops, const char *prov,
			   const char *mod, const char *func, const char *name, uint64_t data);
/* Probes that a description matches, in order of id.  -ESRCH with D_PDESC_ZERO if none. */
int dt_probes_match(struct dt *dt, const char *spec, int line, struct probe ***ret, size_t *ret_n,
		    struct error *err);
void dt_probes_free(struct dt *dt);
bool dt_is_glob(const char *part); /* matches more than one name; "" matches all */
bool dt_part_matches(const char *pattern, const char *value);
const char *dt_probe_part(const struct probe *p, enum builtin part);

/* gen.c */
int dt_generate(struct dt *dt, struct hook *h, struct gen **ret, struct error *err);
void gen_free(struct gen *g);

/* zone.c: what -z names */
int dt_find_zone(struct dt *dt, struct error *err);

/* enable.c */
/* Makes the maps and writes every program once: all of dt_enable() that the kernel has no say in. */
int dt_write_programs(struct dt *dt, struct error *err);
/* 0 without all the probes if it was interrupted: what there is may be shown. */
int dt_enable(struct dt *dt, struct error *err);
void dt_disable(struct dt *dt);
int dt_make_map(int type, const char *name, uint32_t key, uint32_t value, uint64_t entries,
		uint32_t flags, int *ret, struct error *err);
void dt_stop(struct dt *dt); /* probes fire no more, but END may */

/* For providers: load the program; attach it; keep an fd with the hook. */
struct prog_kind {
	int type, attach_type;
	uint32_t btf_id; /* what it attaches to, and in which module's BTF (0: the kernel's) */
	int btf_fd;
};
int hook_load(struct dt *dt, struct hook *h, struct gen *g, const struct prog_kind *kind,
	      struct error *err);
int hook_attach_tracepoint(struct dt *dt, struct hook *h, struct gen *g, const char *name,
			   struct error *err);
int dt_names(struct dt *dt, struct error *err); /* makes names_fd, if it is not there */
/* The same with arguments as plain numbers, on which D may calculate (a typed one is a pointer
 * that the verifier guards). */
int hook_attach_raw_tracepoint(struct dt *dt, struct hook *h, struct gen *g, const char *name,
			       struct error *err);
#define TRACEPOINT_FRAMES 2u
int hook_table(struct hook *h, const void *data, size_t size, struct error *err);
void hook_add_fd(struct hook *h, int fd);
int hook_attach_sampling(struct hook *h, int perf_fd, struct error *err);
/* Operations of providers each of whose probes is a program of its own. */
bool hook_alone(const struct probe *a, const struct probe *b);
int hook_gen_probe(struct gen *g, const struct hook *h, struct error *err);
/* prov_profile.c: arg0 the kernel's address that was interrupted, arg1 the process's */
const struct ctf_type *sample_arg_type(struct dt *dt, const struct probe *p, unsigned i);
int sample_gen_arg(struct gen *g, const struct hook *h, unsigned i, struct error *err);

/* consume.c */
int dt_consume(struct dt *dt, int timeout_ms, struct error *err);
int dt_fire(struct dt *dt, const char *name, struct error *err); /* BEGIN, END */
/* keep.c */
int dt_flush(struct dt *dt, struct error *err); /* shows what bufpolicy kept */
void dt_specs_free(struct dt *dt);

/* agg.c */
int dt_aggs_print(struct dt *dt, struct error *err);
/* printa(), clear(), trunc() ...; n is the action's number. */
/* deadman.c.  Started by who takes records from now on; each time is a sign of life. */
int dt_deadman_start(struct dt *dt, struct error *err);
void dt_deadman_stop(struct dt *dt);
int dt_check_alive(struct dt *dt, struct error *err); /* -ETIMEDOUT: it has stopped the probes */
/*
 * Aggregations as they are at this moment, a row for each key.  fn says what becomes of the row, or
 * a negative errno; the walk stops there.
 */
struct dt_agg_row {
	const char *key;	/* as the record `keys` of the aggregation say */
	const int64_t *words;	/* n_words */
};
struct dt_agg_snap;
enum dt_agg_next { AGG_NEXT, AGG_STOP, AGG_REMOVE, AGG_CLEAR };
int dt_agg_snap(struct dt *dt, struct dt_agg_snap **ret, struct error *err);
void dt_agg_snap_free(struct dt_agg_snap *s);
int dt_agg_snap_walk(struct dt *dt, struct dt_agg_snap *s,
		     int (*fn)(void *arg, struct agg *a, const struct dt_agg_row *row), void *arg);
int dt_agg_act(struct dt *dt, const struct act *a, int64_t n, struct error *err);

/* format.c: printf() */
int format_parse(const char *text, size_t len, int line, struct format **ret, struct error *err);
void format_free(struct format *f);
/* Number of values it takes, '*' widths counted. */
size_t format_args(const struct format *f);

#endif
