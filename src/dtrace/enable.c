/*
 * From checked clauses to running programs: variables get their places, maps
 * are made, probes with the same clauses are grouped into hooks, a program is
 * generated, loaded and attached for each.
 */
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "dtrace/gen.h"
#include "dtrace/unwinder.h"

#define LOG_SIZE (1 << 20)
#define LOAD_TRIES 32 /* as signals may come */
#define RING_HEAD 8 /* of a record in a BPF ring buffer */

int
dt_make_map(int type, const char *name, uint32_t key, uint32_t value, uint64_t entries, uint32_t flags,
	 int *ret, struct error *err)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = flags);
	int fd = bpf_map_create((enum bpf_map_type)type, name, key, value,
				(uint32_t)(entries > UINT32_MAX ? UINT32_MAX : entries), &opts);

	if (fd < 0)
		return error_set_errno(err, -fd, "cannot make the BPF map \"%s\" (is this root?)",
				       name);
	*ret = fd;
	return 0;
}

static uint32_t
align8(size_t n)
{
	return (uint32_t)((n + 7) & ~(size_t)7);
}

static uint32_t
size_of_var(struct dt *dt, const struct ident *v)
{
	return dt_is_string(dt, v->type) ? dt->opts.strsize : align8(ctf_size(v->type));
}

/* A hash for each self-> variable and associative array; sized by dynvarsize. */
static int
place_dynamic(struct dt *dt, struct ident *v, struct error *err)
{
	uint32_t key = v->scope == SCOPE_SELF ? 8 : 0, value = size_of_var(dt, v);
	uint64_t one, entries, most;
	int r;

	for (size_t i = 0; i < v->n_keys; i++)
		key += (uint32_t)dt_key_size(dt, v->keys[i]);
	/* What the value takes; a thread's number is not counted, what the kernel spends neither ... */
	one = v->n_keys ? key + value : dt_is_string(dt, v->type) ? value : ctf_size(v->type);
	entries = dt->opts.dynvarsize / (one ? one : 1); /* an empty structure takes nothing */
	most = dt->opts.dynvarsize / 64;
	if (most < DT_DYN_KEYS)
		most = DT_DYN_KEYS;
	if (entries > most) /* ... so that there is no more of it than for so many */
		entries = most;
	if (!entries)
		return error_set(err, E2BIG, "could not enable tracing: Enabling exceeds size of buffer");
	dt->var_fds = xreallocarray(dt->var_fds, dt->n_var_fds + 1, sizeof(int));
	r = dt_make_map(BPF_MAP_TYPE_HASH, "dt_var", key, value < 8 ? 8 : value,
		     entries, BPF_F_NO_PREALLOC,
		     &dt->var_fds[dt->n_var_fds], err);
	if (r == 0)
		v->map = (int)dt->n_var_fds++;
	return r;
}

static bool
is_dynamic(const struct ident *v)
{
	return v->kind == ID_ASSOC || v->scope == SCOPE_SELF;
}

/* Numbers and arrays of such stand at multiples of their size, everything else at those of 8. */
static size_t
alignment(struct dt *dt, const struct ctf_type *t)
{
	while (!dt_is_string(dt, t) && ctf_kind(ctf_resolve(t)) == CTF_ARRAY)
		t = ctf_target(ctf_resolve(t));
	return dt_is_scalar(dt, t) ? ctf_size(t) : 8;
}

void
dt_place_vars(struct dt *dt)
{
	struct map_iter it = {0};

	dt->globals_size = sizeof(struct dt_shared);
	dt->this_size = 0;
	while (map_next(dt->vars, &it)) {
		struct ident *v = it.value;
		size_t *end = v->scope == SCOPE_THIS ? &dt->this_size : &dt->globals_size, align;

		if (!v->type || is_dynamic(v))
			continue;
		align = v->is_wide ? 8 : alignment(dt, v->type);
		*end = (*end + align - 1) / align * align;
		v->offset = (int)*end;
		*end += dt_is_string(dt, v->type) ? dt->opts.strsize
			: v->is_wide              ? 8
						  : ctf_size(v->type);
	}
	dt->globals_size = align8(dt->globals_size);
	dt->this_size = align8(dt->this_size);
}

static int
place_vars(struct dt *dt, struct error *err)
{
	struct map_iter it = {0};
	int r = 0;

	dt_place_vars(dt);
	while (r == 0 && map_next(dt->vars, &it)) {
		struct ident *v = it.value;

		if (v->type && is_dynamic(v))
			r = place_dynamic(dt, v, err);
	}
	return r;
}

/*
 * Where interrupts are off the kernel gives a hash new per-CPU values from a store of three, which
 * it fills when they are on again: a fourth new key would be dropped.  Probes of the scheduler,
 * of locks, signals and disks fire there, so their aggregations get their memory beforehand; that takes its time
 * at the start, so they get less of it.
 */
static bool
fires_in_the_dark(struct dt *dt)
{
	const struct provider *const dark[] = {&provider_io,	 &provider_lockstat, &provider_proc,
					       &provider_rawtp, &provider_sched,    &provider_sdt,
					       &provider_sysinfo};

	for (size_t i = 0; i < dt->n_probes; i++)
		for (size_t k = 0; dt->probes[i]->n_clauses && k < ARRAY_SIZE(dark); k++)
			if (dt->probes[i]->ops == dark[k])
				return true;
	return false;
}

/* As D counts: a key that is text may have strsize, and a word says whose the value is. */
static uint64_t
agg_entry_size(struct dt *dt, const struct agg *a)
{
	uint64_t size = 8 * a->n_words + 8;

	for (size_t i = 0; i < a->n_keys; i++)
		size += a->keys[i].kind == REC_STRING ? dt->opts.strsize : align8(a->keys[i].size);
	return size;
}

static uint64_t
agg_entries(struct dt *dt, const struct agg *a, bool dark)
{
	uint64_t n = dt->opts.aggsize ? dt->opts.aggsize / agg_entry_size(dt, a)
		     : dark	      ? DT_DARK_KEYS
				      : DT_AGG_KEYS;

	return a->n_keys && n ? n : 1;
}

static int
make_aggs(struct dt *dt, struct error *err)
{
	bool dark = fires_in_the_dark(dt);
	size_t zeros = 8;
	int r;

	for (size_t i = 0; i < dt->n_aggs; i++) {
		struct agg *a = dt->agg_list[i];
		size_t off = 0;

		for (size_t k = 0; k < a->n_keys; k++) {
			a->keys[k].offset = off;
			off += align8(a->keys[k].size);
		}
		a->key_size = off;
		if (dt->opts.aggsize && dt->opts.aggsize < agg_entry_size(dt, a))
			return error_set(err, E2BIG,
					 "could not enable tracing: Enabling exceeds size of buffer");
		if (8 * a->n_words > zeros)
			zeros = 8 * a->n_words;
		r = dt_make_map(a->n_keys ? BPF_MAP_TYPE_PERCPU_HASH : BPF_MAP_TYPE_PERCPU_ARRAY,
			     "dt_agg", a->n_keys ? (uint32_t)off : 4, (uint32_t)(8 * a->n_words),
			     agg_entries(dt, a, dark), a->n_keys && !dark ? BPF_F_NO_PREALLOC : 0,
			     &a->fd, err);
		if (r < 0)
			return r;
	}
	return dt_make_map(BPF_MAP_TYPE_ARRAY, "dt_zeros", 4, (uint32_t)zeros, 1, 0, &dt->zeros_fd,
			err);
}

static uint64_t
round_up_pages(uint64_t n)
{
	uint64_t size = 4096;

	while (size < n)
		size *= 2;
	return size;
}

/* Of a program that only aggregates nothing comes but what BEGIN, END and faults say. */
static uint64_t
ring_size(const struct dt *dt)
{
	for (size_t i = 0; i < dt->n_probes; i++) {
		const struct probe *p = dt->probes[i];

		for (size_t k = 0; !p->ops->manual && k < p->n_clauses; k++)
			if (p->clauses[k]->rec_size)
				return dt->opts.bufsize;
	}
	return dt->opts.bufsize < DT_SMALL_RING ? dt->opts.bufsize : DT_SMALL_RING;
}

/* A quarter of the ring may fill, by all CPUs together, before the consumer is woken. */
static uint32_t
wake_every(const struct dt *dt)
{
	size_t size = dt->record_max > sizeof(struct fault_rec) ? dt->record_max : sizeof(struct fault_rec);
	uint64_t n = ring_size(dt) / 4 / (size + RING_HEAD) / (uint64_t)sysconf(_SC_NPROCESSORS_CONF);
	uint32_t every = 2;

	while (2 * every <= n && every < DT_WAKE_MAX)
		every *= 2;
	return every;
}

static int
make_maps(struct dt *dt, struct error *err)
{
	struct dt_shared *shared;
	struct timespec mono, real;
	int r;

	for (size_t i = 0; i < dt->n_clauses; i++)
		if (align8(dt->clauses[i]->rec_size) > dt->record_max)
			dt->record_max = align8(dt->clauses[i]->rec_size);
	if (dt->record_max + RING_HEAD > dt->opts.bufsize)
		return error_set(err, E2BIG, "could not enable tracing: Enabling exceeds size of buffer");
	dt->wake_every = wake_every(dt);
	if ((r = place_vars(dt, err)) < 0 || (r = make_aggs(dt, err)) < 0 ||
	    (r = unwinder_open(dt, err)) < 0)
		return r;
	dt->rt_off = align8(dt->this_size) + dt->record_max;
	dt->uses_rt |= dt->confine != NULL;
	dt->alloca_off = dt->rt_off + (dt->uses_rt ? rt_size(dt) + dt->opts.strsize : 0);
	/* Twice: a read of scratchsize bytes may be asked for at its last byte. */
	dt->slots_off = dt->alloca_off + (dt->uses_alloca ? 2 * (size_t)dt->opts.scratchsize : 0);
	dt->scratch_size = dt->slots_off;
	if ((r = dt_make_map(BPF_MAP_TYPE_ARRAY, "dt_globals", 4, align8(dt->globals_size), 1,
			  BPF_F_MMAPABLE, &dt->globals_fd, err)) < 0 ||
	    /* nesting level, records sent */
	    (r = dt_make_map(BPF_MAP_TYPE_PERCPU_ARRAY, "dt_level", 4, 8, 1, 0, &dt->level_fd, err)) <
		    0 ||
	    (r = dt_make_map(BPF_MAP_TYPE_RINGBUF, "dt_records", 0, 0,
			  round_up_pages(ring_size(dt)), 0, &dt->ring_fd, err)) < 0)
		return r;
	shared = mmap(NULL, round_up_pages(align8(dt->globals_size)), PROT_READ | PROT_WRITE,
			   MAP_SHARED, dt->globals_fd, 0);
	if (shared == MAP_FAILED)
		return error_set_errno(err, errno, "cannot map the globals");
	dt->shared = shared;
	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &real);
	shared->wall_offset = (real.tv_sec - mono.tv_sec) * 1000000000 + real.tv_nsec - mono.tv_nsec;
	return 0;
}

/* The four names of each enabled probe, for programs that use them as text. */
int
dt_names(struct dt *dt, struct error *err)
{
	char names[4 * DT_NAME_SIZE];
	int r;

	if (dt->names_fd >= 0)
		return 0;
	r = dt_make_map(BPF_MAP_TYPE_HASH, "dt_names", 4, sizeof(names), dt->n_probes + 1,
			 BPF_F_NO_PREALLOC, &dt->names_fd, err);

	for (size_t i = 0; r == 0 && i < dt->n_probes; i++) {
		const struct probe *p = dt->probes[i];

		if (!p->n_clauses)
			continue;
		memset(names, 0, sizeof(names));
		snprintf(names, DT_NAME_SIZE, "%s", p->prov);
		snprintf(names + DT_NAME_SIZE, DT_NAME_SIZE, "%s", p->mod);
		snprintf(names + 2 * DT_NAME_SIZE, DT_NAME_SIZE, "%s", p->func);
		snprintf(names + 3 * DT_NAME_SIZE, DT_NAME_SIZE, "%s", p->name);
		if (bpf_map_update_elem(dt->names_fd, &p->id, names, BPF_ANY) < 0)
			return error_set_errno(err, errno, "cannot store probe names");
	}
	return r;
}

/* --- hooks */

static bool
same_clauses(const struct probe *a, const struct probe *b)
{
	return a->n_clauses == b->n_clauses &&
	       memcmp(a->clauses, b->clauses, a->n_clauses * sizeof(*a->clauses)) == 0;
}

/* What probes need besides the program's own clauses. */
static int
compile_aux(struct dt *dt, struct error *err)
{
	size_t n = dt->n_probes;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		const struct probe *p = dt->probes[i];
		const char *aux = p->n_clauses && p->ops->aux ? p->ops->aux(p) : NULL;

		if (!aux || map_has(dt->loaded, aux))
			continue;
		map_set(dt->loaded, aux, NULL);
		r = dt_compile(dt, aux, strlen(aux), "", err);
		if (r < 0)
			return error_wrap(err, r, "%s:%s does not fit this kernel", p->prov,
					  p->name);
	}
	return r;
}

static struct hook *
hook_new(struct dt *dt)
{
	struct hook *h = xcalloc(1, sizeof(*h));

	h->prog_fd = h->table_fd = -1;
	dt->hooks = xreallocarray(dt->hooks, dt->n_hooks + 1, sizeof(struct hook *));
	return dt->hooks[dt->n_hooks++] = h;
}

static struct hook *
hook_for(struct dt *dt, struct probe *p)
{
	for (size_t i = 0; i < dt->n_hooks; i++) {
		struct probe *other = dt->hooks[i]->probes[0];

		if (other->ops == p->ops && p->ops->together(other, p) && same_clauses(other, p))
			return dt->hooks[i];
	}
	return hook_new(dt);
}

void
hook_add_fd(struct hook *h, int fd)
{
	h->fds = xreallocarray(h->fds, h->n_fds + 1, sizeof(int));
	h->fds[h->n_fds++] = fd;
}

int
hook_table(struct hook *h, const void *data, size_t size, struct error *err)
{
	uint32_t zero = 0;
	int r = dt_make_map(BPF_MAP_TYPE_ARRAY, "dt_table", 4, (uint32_t)size, 1, 0, &h->table_fd, err);

	if (r == 0 && bpf_map_update_elem(h->table_fd, &zero, data, BPF_ANY) < 0)
		return error_set_errno(err, errno, "cannot fill a probe table");
	return r;
}

/* What the verifier said last that is no statistic. */
static char *
last_word(char *log)
{
	cleanup_strv struct strv lines = STRV_INIT;

	strv_words(&lines, log, "\n");
	for (size_t i = lines.n; i-- > 0;)
		if (!str_after(lines.v[i], "processed ") && !str_after(lines.v[i], "verification"))
			return xstrdup(lines.v[i]);
	return xstrdup("no reason given");
}

/* The verifier's word in D's terms; what has none is the compiler's fault, and only its makers can read it. */
static const char *
in_plain_words(const char *word)
{
	static const struct {
		const char *word, *means;
	} rows[] = {
		{"bpf_probe_write_user", "copyout( ) and copyoutstr( ) are locked down in this kernel"},
		{"override_return", "this kernel lets no program change what a function returns: return( )"},
		{"program is too large", "they are too large"},
		{"too many states", "they are too large"},
		{"cannot be patched", "they are too large"},
		{"total number of maps", "they use more than 64 aggregations, thread-local variables and arrays"},
		{"jump sequence", "they have too many branches"},
		{"stack size", "their expressions are too deeply nested"},
		{"unknown func", "this kernel is too old for something in them"},
		{"cannot use helper", "something in them cannot be done at this kind of probe"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strstr(word, rows[i].word))
			return rows[i].means;
	return "a fault of this compiler (DTRACE_VERIFIER_LOG=1 shows the reason)";
}

/* BEGIN and END are attached all the same. */
static bool
is_interrupted(const struct dt *dt, const struct hook *h)
{
	return dt->interrupted && *dt->interrupted && !h->probes[0]->ops->manual;
}

/* A signal ends the verifier's work, which may take a second, with EAGAIN: begun again unless that was ^C. */
static int
load_unless_interrupted(struct dt *dt, const struct hook *h, const struct gen *g, enum bpf_prog_type type,
			struct bpf_prog_load_opts *opts)
{
	int fd = -EAGAIN;

	opts->attempts = 1;
	for (unsigned tries = 0; tries < LOAD_TRIES && fd == -EAGAIN; tries++) {
		if (is_interrupted(dt, h))
			return -EINTR;
		fd = bpf_prog_load(type, "dtrace", "GPL", g->a.insns, g->a.n, opts);
	}
	return fd;
}

int
hook_load(struct dt *dt, struct hook *h, struct gen *g, const struct prog_kind *kind,
	  struct error *err)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .attach_btf_id = kind->btf_id,
		    .attach_btf_obj_fd = (uint32_t)kind->btf_fd,
		    .expected_attach_type = (enum bpf_attach_type)kind->attach_type);
	enum bpf_prog_type type = (enum bpf_prog_type)kind->type;
	cleanup_free char *log = NULL, *reason = NULL;
	const struct probe *p = h->probes[0];
	int fd = load_unless_interrupted(dt, h, g, type, &opts);

	if (fd >= 0) {
		h->prog_fd = fd;
		return 0;
	}
	if (fd == -EINTR)
		return error_set(err, EINTR, "interrupted");
	log = xcalloc(1, LOG_SIZE);
	opts.log_buf = log;
	opts.log_size = LOG_SIZE;
	opts.log_level = 1;
	fd = load_unless_interrupted(dt, h, g, type, &opts);
	if (fd == -EINTR)
		return error_set(err, EINTR, "interrupted");
	if (getenv("DTRACE_VERIFIER_LOG"))
		fputs(log, stderr);
	reason = last_word(log);
	/* A place that is not there is not the clauses' fault: the provider says it better. */
	if (fd == -ENOENT)
		return fd;
	if (!*log || fd == -KERNEL_ENOTSUPP)
		return error_set(err, ENOTSUP, "cannot trace %s:%s:%s:%s: %s", p->prov, p->mod, p->func, p->name,
				 fd == -KERNEL_ENOTSUPP ? "this kernel cannot hook functions" : strerror(-fd));
	return error_set(err, -fd, "line %d: the kernel refuses the clauses of %s:%s:%s:%s: %s",
			 p->clauses[0]->node->line, p->prov, p->mod, p->func, p->name,
			 in_plain_words(reason));
}

int
hook_attach_tracepoint(struct dt *dt, struct hook *h, struct gen *g, const char *name,
		       struct error *err)
{
	cleanup_free char *type = str_printf("btf_trace_%s", name);
	struct prog_kind kind = {BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, 0, 0};
	int fd, r;

	kind.btf_id = ctf_kernel_id(dt->kernel, CTF_TYPEDEF, type);
	if (!kind.btf_id)
		return error_set(err, ENOENT, "this kernel has no tracepoint \"%s\"", name);
	r = hook_load(dt, h, g, &kind, err);
	if (r < 0)
		return r;
	fd = bpf_raw_tracepoint_open(NULL, h->prog_fd);
	if (fd < 0)
		return error_set_errno(err, -fd, "cannot attach to the tracepoint \"%s\"", name);
	hook_add_fd(h, fd);
	return 0;
}

int
hook_attach_raw_tracepoint(struct dt *dt, struct hook *h, struct gen *g, const char *name,
			   struct error *err)
{
	const struct prog_kind kind = {.type = BPF_PROG_TYPE_RAW_TRACEPOINT};
	int r = hook_load(dt, h, g, &kind, err), fd;

	if (r < 0)
		return r;
	fd = bpf_raw_tracepoint_open(name, h->prog_fd);
	if (fd < 0)
		return error_set_errno(err, -fd, "cannot attach to the tracepoint \"%s\"", name);
	hook_add_fd(h, fd);
	return 0;
}

bool
hook_alone(const struct probe *a, const struct probe *b)
{
	return false;
}

int
hook_gen_probe(struct gen *g, const struct hook *h, struct error *err)
{
	asm_imm(&g->a, R0, h->probes[0]->id);
	return 0;
}

static void
hook_add_probe(struct hook *h, struct probe *p)
{
	if (h->n % 64 == 0)
		h->probes = xreallocarray(h->probes, h->n + 64, sizeof(struct probe *));
	h->probes[h->n++] = p;
}

static void
group_probes(struct dt *dt)
{
	size_t n;

	for (size_t i = 0; i < dt->n_probes; i++)
		if (dt->probes[i]->n_clauses)
			hook_add_probe(hook_for(dt, dt->probes[i]), dt->probes[i]);
	n = dt->n_hooks;
	for (size_t i = 0; i < n; i++) {
		struct hook *h = dt->hooks[i];

		if (h->n > h->probes[0]->ops->alone)
			continue;
		while (h->n > 1)
			hook_add_probe(hook_new(dt), h->probes[--h->n]);
	}
}

/* Among the hooks of each provider that has an order: the earlier is attached earlier. */
static void
order_hooks(struct dt *dt)
{
	struct hook **hooks = dt->hooks;

	for (size_t i = 1; i < dt->n_hooks; i++) {
		const struct provider *ops = hooks[i]->probes[0]->ops;

		for (size_t at = i, k = i; ops->order && k-- > 0;) {
			struct hook *earlier = hooks[k];

			if (earlier->probes[0]->ops != ops)
				continue;
			if (ops->order(earlier->probes[0], hooks[at]->probes[0]) <= 0)
				break;
			hooks[k] = hooks[at];
			hooks[at] = earlier;
			at = k;
		}
	}
}

/* Every program is written once to see how much scratch memory they need. */
static int
make_scratch(struct dt *dt, struct error *err)
{
	uint32_t cpus = (uint32_t)sysconf(_SC_NPROCESSORS_CONF);

	for (size_t i = 0; i < dt->n_hooks; i++) {
		struct hook *h = dt->hooks[i];
		const struct provider *ops = h->probes[0]->ops;
		struct gen *g = NULL;
		int r = ops->prepare ? ops->prepare(dt, h, err) : 0;

		if (r == 0)
			r = dt_generate(dt, h, &g, err);
		gen_free(g);
		if (r < 0)
			return r;
	}
	return dt_make_map(BPF_MAP_TYPE_ARRAY, "dt_scratch", 4, align8(dt->scratch_size + 8),
			(uint64_t)cpus * DT_LEVELS, 0, &dt->scratch_fd, err);
}

static int
enable_hook(struct dt *dt, struct hook *h, struct error *err)
{
	const struct provider *ops = h->probes[0]->ops;
	int r = 0, tries = 3;

	while (r == 0 && tries--) {
		struct gen *g = NULL;
		bool again;

		r = dt_generate(dt, h, &g, err);
		if (r == 0 && dt->opts.showcode)
			dt_show_code(h, g);
		if (r == 0)
			r = ops->attach(dt, h, g, err);
		again = r == -EAGAIN || (r < 0 && r != -EINTR && g && h->prog_fd < 0 && unwinder_give_up(dt, g));
		gen_free(g);
		if (!again)
			break;
		r = 0; /* the provider takes another way */
		error_done(err);
	}
	return r;
}

/* -xcpu: probes that the consumer itself fires (BEGIN, END) fire there. */
static int
bind_to_cpu(struct dt *dt, struct error *err)
{
	cpu_set_t set;

	if (dt->opts.cpu < 0)
		return 0;
	CPU_ZERO(&set);
	CPU_SET(dt->opts.cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		return error_set_errno(err, errno, "CPU %d", dt->opts.cpu);
	return 0;
}

int
dt_write_programs(struct dt *dt, struct error *err)
{
	int r;

	if ((r = dt_find_zone(dt, err)) < 0 || (r = compile_aux(dt, err)) < 0 || (r = make_maps(dt, err)) < 0)
		return r;
	group_probes(dt);
	order_hooks(dt);
	return make_scratch(dt, err);
}

/* Those that the consumer itself fires, or all others. */
static int
enable_hooks(struct dt *dt, bool manual, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < dt->n_hooks && r == 0; i++) {
		struct hook *h = dt->hooks[i];

		if (h->probes[0]->ops->manual != manual)
			continue;
		if (is_interrupted(dt, h))
			return 0;
		r = enable_hook(dt, h, err);
	}
	if (r == -EINTR && dt->interrupted && *dt->interrupted) {
		error_done(err);
		r = 0;
	}
	return r;
}

int
dt_enable(struct dt *dt, struct error *err)
{
	int r;

	if ((r = bind_to_cpu(dt, err)) < 0 || (r = dt_write_programs(dt, err)) < 0)
		return r;
	unwinder_preload(dt);
	/* BEGIN and END first, so that BEGIN can run before any other probe fires. */
	for (int manual = 1; manual >= 0; manual--) {
		if ((r = enable_hooks(dt, manual, err)) < 0)
			return r;
		if (manual && (r = dt_fire(dt, "BEGIN", err)) < 0)
			return r;
		/* The others fire when all are there; unless BEGIN ended it. */
		if (manual && !dt->shared->stopped)
			dt->shared->stopped = DT_HELD;
	}
	if (dt->shared->stopped == DT_HELD)
		dt->shared->stopped = 0;
	ctf_rest(dt->kernel);
	return 0;
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Probes stop; maps stay, for the last look at aggregations. */
void
dt_disable(struct dt *dt)
{
	for (size_t i = 0; i < dt->n_hooks; i++) {
		struct hook *h = dt->hooks[i];

		if (h->probes[0]->ops->manual)
			continue;
		for (size_t k = 0; k < h->n_fds; k++)
			close_fd(&h->fds[k]);
		h->n_fds = 0;
		close_fd(&h->prog_fd);
	}
}

void
dt_stop(struct dt *dt)
{
	dt_deadman_stop(dt);
	dt->shared->stopped = 1;
	dt_disable(dt);
}
