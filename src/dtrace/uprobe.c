/*
 * Uprobes: a breakpoint in a file, seen by every process that maps it, or by one.
 *
 * All places of one hook are set with one call for each file (uprobe.multi,
 * Linux 6.6), each with its probe's id as cookie, so one program serves them;
 * where the kernel has not got that, with a perf event for each place.  The kernel
 * finds the file by a descriptor of ours (/proc/self/fd): a name would be looked
 * up in our mount namespace.  All end with the descriptors, so with us.
 */
#include "dtrace/uprobe.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <unistd.h>

#include "base/file.h"

struct uprobes {
	struct map *files; /* "dev:inode" of a mapping, or a path: struct ufile, or NULL */
	struct ufile **opened; /* each file once, however it was come by */
	size_t n_opened;
	struct usite **sites;
	size_t n_sites;
};

static void
ufile_free(struct ufile *f)
{
	close(f->fd);
	elfsyms_free(f->syms);
	dof_free(f->dof);
	free(f->definitions);
	free(f);
}

static struct uprobes *
uprobes_of(struct dt *dt)
{
	if (!dt->uprobes) {
		dt->uprobes = xcalloc(1, sizeof(*dt->uprobes));
		dt->uprobes->files = map_new(NULL);
	}
	return dt->uprobes;
}

void
uprobes_free(struct dt *dt)
{
	struct uprobes *u = dt->uprobes;

	if (!u)
		return;
	map_free(u->files);
	for (size_t i = 0; i < u->n_opened; i++)
		ufile_free(u->opened[i]);
	free(u->opened);
	for (size_t i = 0; i < u->n_sites; i++)
		free(u->sites[i]);
	free(u->sites);
	free(u);
	dt->uprobes = NULL;
}

/*
 * The file behind fd, read if it was not yet; a mapping and a path may lead to the
 * same one, whose probes must not be set twice.  NULL if it is no ELF file.
 */
static struct ufile *
take_file(struct uprobes *u, int fd, int root_fd, const char *path)
{
	struct elfsyms *syms;
	struct stat st, other;
	struct ufile *f;

	if (fd < 0 || fstat(fd, &st) < 0)
		return NULL;
	for (size_t i = 0; i < u->n_opened; i++)
		if (fstat(u->opened[i]->fd, &other) == 0 && other.st_dev == st.st_dev &&
		    other.st_ino == st.st_ino)
			return u->opened[i];
	if (elfsyms_open(fd, root_fd, path, &syms, NULL) < 0)
		return NULL;
	f = xcalloc(1, sizeof(*f));
	f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	f->syms = syms;
	u->opened = xreallocarray(u->opened, u->n_opened + 1, sizeof(*u->opened));
	return u->opened[u->n_opened++] = f;
}

static struct ufile *
open_mapped(struct uprobes *u, pid_t pid, const struct procmap *m)
{
	cleanup_close int fd = -1, root_fd = -1;

	if (proc_root_open(pid, &root_fd, NULL) < 0 || procmap_open(pid, m, &fd, NULL) < 0)
		return NULL;
	return take_file(u, fd, root_fd, m->path);
}

struct ufile *
ufile_of(struct dt *dt, pid_t pid, const struct procmap *m)
{
	cleanup_free char *key = str_printf("%llx:%llu", (unsigned long long)m->dev,
					    (unsigned long long)m->inode);
	struct uprobes *u = uprobes_of(dt);

	if (!map_has(u->files, key))
		map_set(u->files, key, open_mapped(u, pid, m));
	return map_get(u->files, key);
}

struct ufile *
ufile_at(struct dt *dt, const char *path)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY),
			  root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct uprobes *u = uprobes_of(dt);

	if (!map_has(u->files, path))
		map_set(u->files, path, take_file(u, fd, root_fd, path));
	return map_get(u->files, path);
}

const char *
module_of(const struct procmap *m)
{
	const char *slash = strrchr(m->path, '/');

	return slash ? slash + 1 : m->path;
}

struct usite *
usite_of(const struct probe *p)
{
	return (struct usite *)(uintptr_t)p->data;
}

/*
 * The counter of a USDT site at that place, or 0.  The kernel wants all who probe one place to name the
 * same counter: whoever probes its instruction (pid) has to raise it, too.
 */
static uint64_t
counter_at(const struct elfsyms *e, uint64_t offset)
{
	for (size_t i = 0; i < elfsyms_n_notes(e); i++) {
		const struct sdt_note *n = elfsyms_note(e, i);
		uint64_t at, counter;

		if (n->semaphore && elfsyms_to_offset(e, n->pc, &at) && at == offset &&
		    elfsyms_to_offset(e, n->semaphore, &counter))
			return counter;
	}
	return 0;
}

struct probe *
uprobe_add(struct dt *dt, const struct provider *ops, const char *const names[4],
	   const struct usite *place)
{
	struct probe *p = dt_probe_add(dt, ops, names[0], names[1], names[2], names[3], 0);
	struct uprobes *u = uprobes_of(dt);
	struct usite *s;

	for (s = usite_of(p); s; s = s->next)
		if (s->file == place->file && s->offset == place->offset)
			return p;
	s = xmemdup(place, sizeof(*place));
	if (!s->semaphore && !s->at_return)
		s->semaphore = counter_at(s->file->syms, s->offset);
	/* Behind the first: what the first is decides how the probe is grouped. */
	if (p->data) {
		struct usite *first = usite_of(p);

		s->next = first->next;
		first->next = s;
	} else {
		s->next = NULL;
		p->data = (uintptr_t)s;
	}
	if (u->n_sites % 256 == 0)
		u->sites = xreallocarray(u->sites, u->n_sites + 256, sizeof(*u->sites));
	u->sites[u->n_sites++] = s;
	return p;
}

/* --- code */

int
uprobe_gen_probe(struct gen *g, const struct hook *h, struct error *err)
{
	if (h->n == 1) {
		asm_imm(&g->a, R0, h->probes[0]->id);
		return 0;
	}
	asm_mov(&g->a, R1, R6);
	asm_call(&g->a, BPF_FUNC_get_attach_cookie);
	asm_extend(&g->a, R0, 4, false); /* above it: the site's variant */
	return 0;
}

void
uprobe_gen_reg(struct gen *g, int offset)
{
	asm_load(&g->a, 8, R0, R6, offset);
}

void
uprobe_gen_load(struct gen *g, unsigned size, bool is_signed)
{
	asm_storei(&g->a, 8, R10, STACK_VALUE, 0);
	gen_read(g, (struct place){R10, STACK_VALUE}, size, true);
	asm_load(&g->a, 8, R0, R10, STACK_VALUE);
	if (size < 8)
		asm_extend(&g->a, R0, size, is_signed);
}

void
uprobe_gen_arg(struct gen *g, const struct usite *s, unsigned i)
{
	static const size_t regs[] = {
		offsetof(struct user_regs_struct, rdi), offsetof(struct user_regs_struct, rsi),
		offsetof(struct user_regs_struct, rdx), offsetof(struct user_regs_struct, rcx),
		offsetof(struct user_regs_struct, r8),	offsetof(struct user_regs_struct, r9)};
	bool narrow = elfsyms_is_32bit(s->file->syms);

	if (!narrow && i < ARRAY_SIZE(regs)) {
		uprobe_gen_reg(g, (int)regs[i]);
		return;
	}
	/* On the stack, above the return address. */
	uprobe_gen_reg(g, (int)offsetof(struct user_regs_struct, rsp));
	asm_alui(&g->a, BPF_ADD, R0, narrow ? (int32_t)(4 + 4 * i) : (int32_t)(8 + 8 * (i - 6)));
	uprobe_gen_load(g, narrow ? 4 : 8, true);
}

/* --- attaching */

struct places {
	const struct usite **sites;
	uint64_t *cookies;
	size_t n;
};

static void
places_done(struct places *p)
{
	free(p->sites);
	free(p->cookies);
}

static int
by_file(const void *x, const void *y, void *arg)
{
	const struct usite *const *sites = arg;
	const struct usite *a = sites[*(const size_t *)x], *b = sites[*(const size_t *)y];

	if (a->file != b->file)
		return a->file < b->file ? -1 : 1;
	return (a->pid > b->pid) - (a->pid < b->pid);
}

/* All places of all the hook's probes, those of one file and process together. */
static void
collect(const struct hook *h, struct places *ret)
{
	cleanup_free const struct usite **sites = NULL;
	cleanup_free uint64_t *cookies = NULL;
	cleanup_free size_t *order = NULL;
	size_t n = 0;

	for (size_t i = 0; i < h->n; i++)
		for (const struct usite *s = usite_of(h->probes[i]); s; s = s->next)
			n++;
	sites = xcalloc(n, sizeof(*sites));
	cookies = xcalloc(n, sizeof(*cookies));
	order = xcalloc(n, sizeof(*order));
	n = 0;
	for (size_t i = 0; i < h->n; i++) {
		for (const struct usite *s = usite_of(h->probes[i]); s; s = s->next) {
			if (s->never)
				continue;
			sites[n] = s;
			cookies[n] = (uint64_t)s->variant << 32 | h->probes[i]->id;
			order[n] = n;
			n++;
		}
	}
	qsort_r(order, n, sizeof(*order), by_file, sites);
	*ret = (struct places){xcalloc(n, sizeof(*ret->sites)), xcalloc(n, sizeof(uint64_t)), n};
	for (size_t i = 0; i < n; i++) {
		ret->sites[i] = sites[order[i]];
		ret->cookies[i] = cookies[order[i]];
	}
}

static int
attach_multi(struct hook *h, const struct places *p, size_t from, size_t to)
{
	const struct usite *first = p->sites[from];
	cleanup_free char *path = str_printf("/proc/self/fd/%d", first->file->fd);
	cleanup_free unsigned long *offsets = xcalloc(to - from, sizeof(*offsets));
	cleanup_free unsigned long *semaphores = xcalloc(to - from, sizeof(*semaphores));
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .uprobe_multi = {.path = path, .offsets = offsets, .ref_ctr_offsets = semaphores,
				     .cookies = (const __u64 *)p->cookies + from, .cnt = (uint32_t)(to - from),
				     .flags = first->at_return ? BPF_F_UPROBE_MULTI_RETURN : 0,
				     .pid = (uint32_t)first->pid});
	int fd;

	for (size_t i = from; i < to; i++) {
		offsets[i - from] = p->sites[i]->offset;
		semaphores[i - from] = p->sites[i]->semaphore;
	}
	fd = bpf_link_create(h->prog_fd, 0, BPF_TRACE_UPROBE_MULTI, &opts);
	if (fd >= 0)
		hook_add_fd(h, fd);
	return fd < 0 ? fd : 0;
}

/*
 * A range, without the places whose instruction the kernel cannot step over: it refuses all for
 * one, so the halves are tried by themselves.
 */
static int
attach_range(struct hook *h, const struct places *p, size_t from, size_t to)
{
	size_t middle = from + (to - from) / 2;
	int r = attach_multi(h, p, from, to);

	if (r != -KERNEL_ENOTSUPP || (from == 0 && to == 1 && p->n == 1))
		return r;
	if (to - from == 1)
		return 0;
	r = attach_range(h, p, from, middle);
	return r < 0 ? r : attach_range(h, p, middle, to);
}

/* One place by a perf event (perf_event_open(2): the dynamic PMU "uprobe"). */
static int
attach_event(struct hook *h, const struct usite *s, uint64_t cookie)
{
	cleanup_free char *path = str_printf("/proc/self/fd/%d", s->file->fd), *type = NULL;
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.config = (s->semaphore << 32) | s->at_return,
		.uprobe_path = (uintptr_t)path,
		.probe_offset = s->offset,
	};
	LIBBPF_OPTS(bpf_link_create_opts, opts, .perf_event = {.bpf_cookie = cookie});
	int number, fd, link;

	if (file_read_line("/sys/bus/event_source/devices/uprobe/type", &type, NULL) < 0 ||
	    str_to_int(type, &number) < 0)
		return -EOPNOTSUPP;
	attr.type = (uint32_t)number;
	fd = (int)syscall(SYS_perf_event_open, &attr, s->pid ? s->pid : -1, s->pid ? -1 : 0, -1,
			  PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	hook_add_fd(h, fd);
	link = bpf_link_create(h->prog_fd, fd, BPF_PERF_EVENT, &opts);
	if (link >= 0)
		hook_add_fd(h, link);
	return link < 0 ? link : 0;
}

static int
attach_failed(const struct hook *h, int r, struct error *err)
{
	const struct probe *p = h->probes[0];
	const struct usite *s = usite_of(p);

	if (r == -ESRCH && s->pid)
		return error_set(err, ESRCH, "process %d is gone", (int)s->pid);
	if (r == -EINVAL || r == -ENOTSUP || r == -KERNEL_ENOTSUPP)
		return error_set(err, ENOTSUP, "%s:%s:%s:%s%s: the kernel cannot set a probe at this place",
				 p->prov, p->mod, p->func, p->name, h->n > 1 ? " and others" : "");
	return error_set_errno(err, -r, "cannot attach to %s:%s:%s:%s%s", p->prov, p->mod, p->func,
			       p->name, h->n > 1 ? " and others" : "");
}

int
uprobe_attach(struct dt *dt, struct hook *h, struct gen *g, struct error *err)
{
	struct prog_kind kind = {BPF_PROG_TYPE_KPROBE,
				 dt->opts.nouprobemulti ? 0 : BPF_TRACE_UPROBE_MULTI, 0, 0};
	__attribute__((cleanup(places_done))) struct places p = {0};
	int r = hook_load(dt, h, g, &kind, err);

	if (r < 0)
		return r;
	collect(h, &p);
	for (size_t from = 0, to; from < p.n && r == 0; from = to) {
		for (to = from + 1; to < p.n && p.sites[to]->file == p.sites[from]->file &&
				    p.sites[to]->pid == p.sites[from]->pid;)
			to++;
		if (!dt->opts.nouprobemulti)
			r = attach_range(h, &p, from, to);
		else
			for (size_t i = from; i < to && r == 0; i++)
				r = attach_event(h, p.sites[i], p.cookies[i]);
	}
	/* A kernel before 6.6 knows no uprobe.multi: from here on without. */
	if ((r == -EINVAL || r == -EOPNOTSUPP) && !dt->opts.nouprobemulti && !h->n_fds) {
		dt->opts.nouprobemulti = true;
		close(h->prog_fd);
		h->prog_fd = -1;
		return uprobe_attach(dt, h, g, err);
	}
	return r < 0 ? attach_failed(h, r, err) : 0;
}

int
uprobe_attach_site(struct dt *dt, struct hook *h, struct gen *g, const struct usite *s,
		   struct error *err)
{
	struct prog_kind kind = {BPF_PROG_TYPE_KPROBE,
				 dt->opts.nouprobemulti ? 0 : BPF_TRACE_UPROBE_MULTI, 0, 0};
	struct hook own = {.probes = h->probes, .n = 1, .prog_fd = -1, .table_fd = -1};
	uint64_t cookie = 0;
	const struct places one = {&s, &cookie, 1};
	int r = hook_load(dt, &own, g, &kind, err);

	if (r < 0)
		return r;
	r = dt->opts.nouprobemulti ? attach_event(&own, s, 0) : attach_multi(&own, &one, 0, 1);
	hook_add_fd(h, own.prog_fd);
	for (size_t i = 0; i < own.n_fds; i++)
		hook_add_fd(h, own.fds[i]);
	free(own.fds);
	return r < 0 ? attach_failed(h, r, err) : 0;
}
