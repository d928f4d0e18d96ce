/*
 * User addresses to symbols.
 *
 * A process is looked at when the first record of it is shown: its mappings,
 * and of each mapped file the symbols.  Both are kept when the process ends, so
 * later records and aggregations printed at the end still have names.  Mappings
 * are read again when LOOK_AGAIN has passed (the process may have executed
 * another program or loaded a library) for as long as it lives and is the same.
 *
 * The file is reached through the mapping itself, not by its name: it may be
 * in another mount namespace (a zone) or deleted.  Symbols of one file are read
 * once, whoever maps it.
 *
 * Code that has no file is a compiler's at run time: Java and Node write its
 * names to /tmp/perf-PID.map, in their own root and with their own idea of the pid.
 */
#include "dtrace/usyms.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/event.h"
#include "base/file.h"
#include "base/map.h"
#include "base/sorted.h"
#include "base/str.h"
#include "ctf/demangle.h"
#include "ctf/elfsyms.h"
#include "os/procmap.h"

#define LOOK_AGAIN 100000000ull /* ns */
#define PERF_MAP_MAX (64u << 20)

struct jit_sym {
	uint64_t addr, size;
	const char *name;
};

struct jit {
	char *text; /* names point into it */
	struct jit_sym *v;
	size_t n;
	struct stat st; /* of the file when it was read */
};

struct uproc {
	uint64_t start_time, looked;
	struct procmaps maps;
	struct jit jit;
};

struct usyms {
	struct map *procs;   /* pid: struct uproc */
	struct map *objects; /* "dev:inode": struct elfsyms, or NULL */
	struct elfsyms *vdso;
	bool (*may)(void *arg, pid_t pid);
	void *arg;
	usyms_noted_fn *noted;
	void *noted_arg;
};

static void
jit_done(struct jit *j)
{
	free(j->text);
	free(j->v);
	*j = (struct jit){0};
}

static void
uproc_free(void *p)
{
	struct uproc *proc = p;

	procmaps_done(&proc->maps);
	jit_done(&proc->jit);
	free(proc);
}

static void
object_free(void *p)
{
	elfsyms_free(p);
}

struct usyms *
usyms_new(void)
{
	struct usyms *u = xcalloc(1, sizeof(*u));

	u->procs = map_new(uproc_free);
	u->objects = map_new(object_free);
	return u;
}

void
usyms_free(struct usyms *u)
{
	if (!u)
		return;
	map_free(u->procs);
	map_free(u->objects);
	elfsyms_free(u->vdso);
	free(u);
}

/* --- files */

static char *
object_key(const struct procmap *m)
{
	return str_printf("%llx:%llu", (unsigned long long)m->dev, (unsigned long long)m->inode);
}

/* Symbols of a mapped file, for as long as the process can be asked for it. */
static void
load_object(struct usyms *u, pid_t pid, const struct procmap *m, int root_fd)
{
	cleanup_free char *key = object_key(m);
	struct elfsyms *syms = NULL;
	cleanup_close int fd = -1;

	if (map_has(u->objects, key) || procmap_open(pid, m, &fd, NULL) < 0)
		return;
	/* A file without symbols is remembered too (NULL). */
	elfsyms_open(fd, root_fd, m->path, &syms, NULL);
	map_set(u->objects, key, syms);
}

/* It is in no file: ours is everybody's. */
int
usyms_vdso_image(void)
{
	const char *image = (const char *)(uintptr_t)getauxval(AT_SYSINFO_EHDR);
	cleanup_procmaps struct procmaps maps = {0};
	cleanup_close int fd = -1;
	const struct procmap *m;

	if (!image || procmaps_read(getpid(), &maps, NULL) < 0)
		return -1;
	m = procmaps_at(&maps, (uint64_t)(uintptr_t)image);
	fd = memfd_create("vdso", MFD_CLOEXEC);
	if (!m || fd < 0 || fd_write_all(fd, image, m->end - m->start) < 0)
		return -1;
	return steal_fd(&fd);
}

static const struct elfsyms *
vdso(struct usyms *u)
{
	cleanup_close int fd = u->vdso ? -1 : usyms_vdso_image();

	if (fd >= 0)
		elfsyms_open(fd, -1, "[vdso]", &u->vdso, NULL);
	return u->vdso;
}

void
usyms_set_noted(struct usyms *u, usyms_noted_fn *fn, void *arg)
{
	u->noted = fn;
	u->noted_arg = arg;
}

/* The mapping of a process that ended early, and the key of its file's symbols. */
static bool
noted_map(struct usyms *u, pid_t pid, uint64_t addr, struct procmap *ret, char **ret_key)
{
	struct elfsyms *syms = NULL;
	cleanup_free char *key = NULL;
	int fd;

	if (!u->noted || !u->noted(u->noted_arg, pid, addr, ret, &fd))
		return false;
	/* The kernel's numbers of the file, which are not stat(2)'s everywhere. */
	key = str_printf("kernel %llx:%llu", (unsigned long long)ret->dev, (unsigned long long)ret->inode);
	if (!map_has(u->objects, key)) {
		if (fd >= 0)
			elfsyms_open(fd, AT_FDCWD, ret->path, &syms, NULL);
		map_set(u->objects, key, syms);
	}
	*ret_key = steal_ptr(&key);
	return true;
}

/* --- code made at run time */

static int
by_address(const void *a, const void *b)
{
	const struct jit_sym *x = a, *y = b;

	return (x->addr > y->addr) - (x->addr < y->addr);
}

/* "7f12a0 3f java.lang.String::length" a line; later lines of an address win. */
static void
parse_jit(struct jit *j)
{
	size_t cap = 0;
	char *next;

	for (char *line = j->text; *line; line = next) {
		struct jit_sym s;
		char *end;

		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		s.addr = strtoull(line, &end, 16);
		if (end == line || *end != ' ')
			continue;
		line = end + 1;
		s.size = strtoull(line, &end, 16);
		if (end == line || *end != ' ')
			continue;
		s.name = end + 1;
		if (j->n == cap) {
			cap = cap ? 2 * cap : 256;
			j->v = xreallocarray(j->v, cap, sizeof(*j->v));
		}
		j->v[j->n++] = s;
	}
	if (j->n)
		qsort(j->v, j->n, sizeof(*j->v), by_address);
}

/* The file may be anybody's in that root: only the process's own user or root is believed. */
static int
open_perf_map(pid_t pid, int root_fd, struct stat *ret)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	cleanup_free char *path = str_printf("/tmp/perf-%d.map", (int)proc_inner_pid(pid));
	cleanup_free char *proc = str_printf("/proc/%d", (int)pid);
	cleanup_close int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	struct stat owner, root;

	if (fd < 0 || fstat(fd, ret) < 0 || !S_ISREG(ret->st_mode) || stat(proc, &owner) < 0 ||
	    fstatat(root_fd, "", &root, AT_EMPTY_PATH) < 0 ||
	    (ret->st_uid != owner.st_uid && ret->st_uid != root.st_uid && ret->st_uid != 0))
		return -1;
	return steal_fd(&fd);
}

static void
load_jit(pid_t pid, struct uproc *proc, int root_fd)
{
	struct stat st;
	cleanup_close int fd = open_perf_map(pid, root_fd, &st);
	struct jit *j = &proc->jit;

	if (fd < 0 || st.st_size > PERF_MAP_MAX ||
	    (st.st_size == j->st.st_size && st.st_ino == j->st.st_ino &&
	     st.st_mtim.tv_sec == j->st.st_mtim.tv_sec && st.st_mtim.tv_nsec == j->st.st_mtim.tv_nsec))
		return;
	jit_done(j);
	j->text = xcalloc(1, (size_t)st.st_size + 1);
	if (fd_read_all(fd, j->text, (size_t)st.st_size) < 0)
		j->text[0] = '\0';
	j->st = st;
	parse_jit(j);
}

static const struct jit_sym *
jit_at(const struct jit *j, uint64_t addr)
{
	size_t n = sorted_upto(j->v, j->n, addr, addr);

	return n && addr - j->v[n - 1].addr < j->v[n - 1].size ? &j->v[n - 1] : NULL;
}

/* --- processes */

static void
look(struct usyms *u, pid_t pid, struct uproc *proc)
{
	uint64_t start = proc_start_time(pid);
	cleanup_close int root_fd = -1;
	struct procmaps maps = {0};
	bool nameless = false;

	proc->looked = time_mono_ns();
	/* Gone, a zombie (no mappings), or another process by now: what is known stays. */
	if (!start || (u->may && !u->may(u->arg, pid)) || (proc->start_time && proc->start_time != start) ||
	    procmaps_read(pid, &maps, NULL) < 0 || !maps.n || proc_root_open(pid, &root_fd, NULL) < 0) {
		procmaps_done(&maps);
		return;
	}
	proc->start_time = start;
	procmaps_done(&proc->maps);
	proc->maps = maps;
	for (size_t i = 0; i < maps.n; i++) {
		if (maps.v[i].exec && maps.v[i].inode)
			load_object(u, pid, &maps.v[i], root_fd);
		nameless |= maps.v[i].exec && !maps.v[i].inode && maps.v[i].path[0] != '[';
	}
	if (nameless)
		load_jit(pid, proc, root_fd);
}

static struct uproc *
proc_of(struct usyms *u, pid_t pid, bool again)
{
	cleanup_free char *key = str_printf("%d", (int)pid);
	struct uproc *proc = map_get(u->procs, key);

	if (!proc) {
		proc = xcalloc(1, sizeof(*proc));
		map_set(u->procs, key, proc);
	}
	if (again || time_mono_ns() - proc->looked > LOOK_AGAIN)
		look(u, pid, proc);
	return proc;
}

void
usyms_limit(struct usyms *u, bool (*may)(void *arg, pid_t pid), void *arg)
{
	u->may = may;
	u->arg = arg;
}

void
usyms_see(struct usyms *u, pid_t pid)
{
	proc_of(u, pid, true);
}

/* --- showing */

/* Last part of a path, without the kernel's " (deleted)". */
static char *
module_name(const struct procmap *m)
{
	const char *slash = strrchr(m->path, '/');
	char *name = xstrdup(slash ? slash + 1 : m->path);
	size_t len = strlen(name);

	if (str_ends(name, " (deleted)"))
		name[len - strlen(" (deleted)")] = '\0';
	return name;
}

/* What an address is: found first, written in the form asked for after. */
struct found {
	char *module;
	const struct elfsym *sym;
	uint64_t offset; /* in sym */
};

static void
find_in(const struct elfsyms *syms, uint64_t in_file, bool is_return, struct found *f)
{
	uint64_t linked;

	if (!syms || !elfsyms_to_addr(syms, in_file, &linked))
		return;
	f->sym = elfsyms_at(syms, linked - is_return);
	if (f->sym)
		f->offset = linked - f->sym->addr;
}

static char *
write_found(const struct found *f, uint64_t addr, enum usym_form form)
{
	cleanup_free char *plain = f->sym ? demangle(f->sym->name) : NULL;
	const char *name = plain ? plain : f->sym ? f->sym->name : NULL;

	if (form == USYM_MODULE)
		return xstrdup(f->module);
	if (!name)
		return str_printf("%s`0x%llx", f->module, (unsigned long long)addr);
	if (form == USYM_SYMBOL || !f->offset)
		return str_printf("%s`%s", f->module, name);
	return str_printf("%s`%s+0x%llx", f->module, name, (unsigned long long)f->offset);
}

char *
usyms_show(struct usyms *u, pid_t pid, uint64_t addr, bool is_return, enum usym_form form)
{
	struct uproc *proc = proc_of(u, pid, false);
	const struct procmap *m = procmaps_at(&proc->maps, addr);
	cleanup_free char *module = NULL, *key = m ? object_key(m) : NULL;
	const struct jit_sym *j;
	struct procmap noted;
	struct found f = {0};

	if (!m && noted_map(u, pid, addr, &noted, &key))
		m = &noted;
	if (!m)
		return str_printf("0x%llx", (unsigned long long)addr);
	f.module = module = module_name(m);
	if (form == USYM_OFFSET)
		return str_printf("%s:0x%llx", module, (unsigned long long)(addr - m->start + m->offset));
	if (m->inode) {
		find_in(map_get(u->objects, key), addr - m->start + m->offset, is_return, &f);
	} else if (str_eq(m->path, "[vdso]")) {
		find_in(vdso(u), addr - m->start, is_return, &f);
	} else {
		j = jit_at(&proc->jit, addr - is_return);
		if (!j || form == USYM_MODULE)
			return str_printf("0x%llx", (unsigned long long)addr);
		return xstrdup(j->name);
	}
	return write_found(&f, addr, form);
}
