/*
 * User stacks without frame pointers.
 *
 * Debian builds without them, so a chain of frame pointers ends after a frame or two.  What tells
 * where a caller's frame is, at each instruction, is .eh_frame, which every program carries for
 * the sake of exceptions.  The stack has to be walked as the probe fires, because it may be
 * the key of an aggregation: copying it for a later walk, as perf does, gives no key.  So:
 *
 *   tables	cfi.h turns a file's .eh_frame into sorted rows of 8 bytes.  They go into one
 *		BPF hash of blocks, as a tree: a block has 32 rows, those of the upper levels are
 *		the first places of 32 blocks below.  Rows go by offset in the file, so a table
 *		serves every process that maps the file.  A file is its inode and an edition: what
 *		was written anew, or is a later file with a used number, has a table of its own.
 *   the walk	rt_ustack() (unwind.bpf.c) begins with the registers that the process had when it
 *		left for the kernel, finds the mapping around each address in the kernel's
 *		own tree of mappings, its file's table, the rule, and so the caller.  There are no
 *		tables of processes that could be out of date: exec and dlopen() need no attention.
 *   hot places	All that takes a quarter of a microsecond a frame, so each CPU (and level of nested
 *		probes) remembers the rules of the last UNWIND_HOT addresses, each with the number
 *		of its address space, which is never used again, and how often that one's
 *		mappings had been changed: what changed since is not found.  The kernel counts
 *		that for its own sake (mm_lock_seq); one that does not has no hot places.  The stack
 *		is read UNWIND_WINDOW bytes at a time, as a call that reads costs more than all
 *		the rest of a frame.  So a walk costs less than the kernel's by frame pointers.
 *   misses	A file without a table is put down as asked for, and a record tells the consumer
 *		(DT_MISS), which reads the file through the mapping, or by its name if the process
 *		is gone.  Until then frames of that file go by frame pointer.  What is mapped at
 *		the start has its tables beforehand: all of -c's and -p's processes, else of all
 *		processes as much as is read in PRELOAD_NS.
 *
 * Where a table has no rule (code made at run time, assembly) the walk goes by the frame pointer
 * and goes on with tables if that leads into code.  Two things that unwinders stumble over have
 * rules of their own: the frame of a signal handler, and return addresses that a return probe has
 * replaced.
 *
 * Each mapping that a walk met stands in a table by process (unwind_maps), the oldest forgotten
 * first: the names of a process that lived for a millisecond are found by it.  Every so often a walk
 * does without hot places, so that mappings in use are not the oldest.  Addresses that are shown by
 * name alone, as usym()'s are, are looked up in the same way (rt_unote()); a program that takes no
 * stacks has no tables for that, and nothing beforehand.
 *
 * The walk is several BPF functions, because what a branch left in registers is forgotten at a
 * return: as one function it was more than the verifier of Linux 6.12 could come to an end with.
 * Should a kernel refuse a program with the walk in it, it is written again without.
 *
 * A consumer that works for a zone or a user fills its own tables, which are in maps of its own: no other
 * consumer walks by them.  It is the unprivileged and sandboxed process that reads those files for
 * their symbols already (usyms.c), so nobody is sent tables whose truth could not be told, and the
 * broker and the zone's command know nothing of them.  Three things confine it:
 *
 *   what is asked for	only programs behind gen_confine() walk, so a miss or a mapping that was met is of a
 *		process that the consumer may see.
 *   what is opened	a mapping, if the process behind the number may be looked at now; the name of a file
 *		that nobody has mapped any more only below the root of the confinement.
 *   what may be wrong	a table is what its file says, and the file is anybody's: all that it decides is
 *		which words of the process's own stack are taken for return addresses.
 *
 * With -x ustackunwind=fp the kernel's helper follows frame pointers.
 */
#include "dtrace/unwinder.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/event.h"
#include "base/file.h"
#include "base/sorted.h"
#include "ctf/cfi.h"
#include "dtrace/priv.h"
#include "dtrace/proc.h"
#include "dtrace/usyms.h"
#include "os/procmap.h"

#define PRELOAD_NS 100000000ull
#define MAX_FILES 2048
#define MAX_BLOCKS 131072 /* 4 million rows: all of clang takes 80,000 blocks, libc 1,100 */
#define MAX_MAPS 16384
#define MAX_KEPT_FDS 256

struct file {
	struct unwind_file id;
	int fd; /* for its symbols, or -1 */
	char *path;
};

struct noted {
	struct unwind_map_key key;
	struct unwind_map map;
};

struct unwinder {
	int objects_fd, blocks_fd, maps_fd;
	size_t n_blocks;
	struct file *files;
	size_t n_files;
	uint32_t last_id;
	struct noted *noted; /* unwind_maps as last read, sorted */
	size_t n_noted;
	uint64_t noted_at;
	bool refused;	 /* by this kernel's verifier */
	bool names_only; /* nobody walks: files are kept for their symbols */
};

/* --- tables */

/* One level of the tree into the map; the rows of the level above to `up`. */
static int
put_level(struct unwinder *u, uint32_t object, uint32_t first, const struct cfi_row *rows, size_t n,
	  struct cfi_row *up)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	uint32_t count = (uint32_t)((n + UNWIND_ROWS - 1) / UNWIND_ROWS);
	cleanup_free struct unwind_block_key *keys = xcalloc(count, sizeof(*keys));
	cleanup_free struct unwind_block *blocks = xcalloc(count, sizeof(*blocks));

	memset(blocks, 0xff, count * sizeof(*blocks)); /* rows behind the last begin behind all */
	for (size_t i = 0; i < n; i++)
		blocks[i / UNWIND_ROWS].rows[i % UNWIND_ROWS] =
			(struct unwind_row){rows[i].at, rows[i].rule};
	for (uint32_t i = 0; i < count; i++) {
		keys[i] = (struct unwind_block_key){object, first + i};
		up[i] = (struct cfi_row){rows[(size_t)i * UNWIND_ROWS].at, first + i};
	}
	return bpf_map_update_batch(u->blocks_fd, keys, blocks, &count, &opts);
}

/* Blocks of all levels. */
static size_t
blocks_for(size_t rows)
{
	size_t n = 0;

	do {
		rows = (rows + UNWIND_ROWS - 1) / UNWIND_ROWS;
		n += rows;
	} while (rows > 1);
	return n;
}

/* A file's table; UNWIND_NO_TABLE if it has none, or there is no room: then nothing is put there. */
static struct unwind_object
put_table(struct unwinder *u, int fd, const char *path)
{
	struct unwind_object o = {.id = UNWIND_NO_TABLE};
	cleanup_free struct cfi_row *above = NULL;
	cleanup_cfi struct cfi cfi = {0};
	const struct cfi_row *rows;
	uint32_t id = ++u->last_id;
	size_t n;

	if (fd < 0 || u->names_only || cfi_read(fd, path, &cfi, NULL) < 0 || !cfi.n ||
	    u->n_blocks + blocks_for(cfi.n) > MAX_BLOCKS)
		return o;
	u->n_blocks += blocks_for(cfi.n);
	above = xcalloc(cfi.n / UNWIND_ROWS + 1, sizeof(*above));
	rows = cfi.rows;
	n = cfi.n;
	for (;;) {
		size_t blocks = (n + UNWIND_ROWS - 1) / UNWIND_ROWS;

		/* A level is at most as long as the place that was read for it: it may be written
		 * over. */
		if (put_level(u, id, o.root, rows, n, above) < 0)
			return (struct unwind_object){.id = UNWIND_NO_TABLE};
		if (blocks == 1)
			break;
		o.root += (uint32_t)blocks;
		o.depth++;
		rows = above;
		n = blocks;
	}
	o.id = id;
	return o;
}

static struct file *
file_of(struct unwinder *u, const struct unwind_file *id)
{
	for (size_t i = 0; i < u->n_files; i++)
		if (memcmp(&u->files[i].id, id, sizeof(*id)) == 0)
			return &u->files[i];
	return NULL;
}

static void
put_file(struct unwinder *u, const struct unwind_file *id, int fd, const char *path)
{
	cleanup_free char *link = str_printf("/proc/self/fd/%d", fd);
	struct unwind_object o = put_table(u, fd, path);
	char name[4096];
	ssize_t len = readlink(link, name, sizeof(name) - 1);

	if (bpf_map_update_elem(u->objects_fd, id, &o, BPF_ANY) < 0 || file_of(u, id))
		return; /* there are as many as there may be, or it is one of them */
	u->files = xreallocarray(u->files, u->n_files + 1, sizeof(*u->files));
	u->files[u->n_files] = (struct file){
		*id, -1, xstrndup(len > 0 ? name : path, len > 0 ? (size_t)len : strlen(path))};
	if (u->n_files++ < MAX_KEPT_FDS && fd >= 0)
		u->files[u->n_files - 1].fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/* By name, for a process that is gone: it has to be a file of that inode. */
static int
open_by_name(const struct dt *dt, const struct unwind_miss *m, const char *path)
{
	cleanup_close int root = dt->confine ? fcntl(dt->confine->root, F_DUPFD_CLOEXEC, 0)
					     : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct open_how how = {.flags = O_PATH | O_CLOEXEC,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	/* What it is, before it is opened: opening a device does things. */
	cleanup_close int handle = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	cleanup_free char *again = str_printf("/proc/self/fd/%d", handle);
	struct stat st;

	if (handle < 0 || fstat(handle, &st) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_ino != m->map.file.inode)
		return -1;
	return open(again, O_RDONLY | O_CLOEXEC);
}

/* The file of a mapping, if the process is there and may be looked at. */
static int
open_mapped(struct dt *dt, pid_t pid, const struct procmap *map)
{
	int fd = -1;

	if (priv_may_look(dt, pid))
		procmap_open(pid, map, &fd, NULL);
	return fd;
}

void
unwinder_miss(struct dt *dt, const struct unwind_miss *m)
{
	cleanup_free char *path = strndup(m->path, UNWIND_PATH);
	struct procmap map = {.start = m->key.start, .end = m->map.end, .path = path};
	struct unwinder *u = dt->unwinder;
	cleanup_close int fd = -1;

	if (!m->map.file.dev && m->map.file.inode == UNWIND_VDSO)
		fd = usyms_vdso_image();
	else if (m->map.file.dev && (fd = open_mapped(dt, (pid_t)m->key.pid, &map)) < 0)
		fd = open_by_name(dt, m, path);
	/* Another process that maps it may be asked. */
	if (fd < 0 && m->map.file.dev)
		bpf_map_delete_elem(u->objects_fd, &m->map.file);
	else
		put_file(u, &m->map.file, fd, path);
}

/* --- what is mapped at the start */

/* As the iterator writes it. */
struct mapped {
	uint64_t pid, start, end, dev, inode, seconds, nanoseconds, generation;
};

/*
 * A program for the kernel's iterator over mappings, which tells of each file's code in whose
 * process, where, and which file it is: st_dev and st_ino are not the kernel's on every filesystem.
 */
static int
make_iterator(struct dt *dt, struct asmb *a)
{
	enum { MM_PID, START, END, FLAGS, FILE_, INODE, SB, DEV, N };
	static const enum rt_offset wanted[N] = {RT_TASK_TGID, RT_VMA_START,  RT_VMA_END,  RT_VMA_FLAGS,
						 RT_VMA_FILE,  RT_FILE_INODE, RT_INODE_SB, RT_SB_DEV};
	static const struct {
		enum rt_offset which;
		unsigned size;
		size_t to;
	} of_inode[] = {
		{RT_INODE_INO, 8, offsetof(struct mapped, inode)},
		{RT_INODE_MTIME, 8, offsetof(struct mapped, seconds)},
		{RT_INODE_MTIME_NS, 4, offsetof(struct mapped, nanoseconds)},
		{RT_INODE_GENERATION, 4, offsetof(struct mapped, generation)},
	};
	const int buf = -(int)sizeof(struct mapped);
	uint32_t off[N];
	int out = asm_label(a);

	for (size_t i = 0; i < N; i++)
		if (!rt_offset_of(dt, wanted[i], &off[i]))
			return -ENOTSUP;
	asm_mov(a, R6, R1);
	asm_load(a, 8, R8, R6, 8); /* the task */
	asm_jcci(a, BPF_JEQ, R8, 0, out);
	asm_load(a, 8, R7, R6, 16); /* its mapping */
	asm_jcci(a, BPF_JEQ, R7, 0, out);
	asm_load(a, 8, R1, R7, (int)off[FLAGS]);
	asm_alui(a, BPF_AND, R1, 4); /* VM_EXEC */
	asm_jcci(a, BPF_JEQ, R1, 0, out);
	asm_load(a, 8, R2, R7, (int)off[FILE_]);
	asm_jcci(a, BPF_JEQ, R2, 0, out);
	asm_load(a, 8, R2, R2, (int)off[INODE]);
	for (size_t i = 0; i < ARRAY_SIZE(of_inode); i++) {
		uint32_t from;

		if (!rt_offset_of(dt, of_inode[i].which, &from))
			return -ENOTSUP;
		asm_load(a, of_inode[i].size, R1, R2, (int)from);
		asm_store(a, 8, R10, buf + (int)of_inode[i].to, R1);
	}
	asm_load(a, 8, R2, R2, (int)off[SB]);
	asm_load(a, 4, R1, R2, (int)off[DEV]);
	asm_store(a, 8, R10, buf + (int)offsetof(struct mapped, dev), R1);
	asm_load(a, 4, R1, R8, (int)off[MM_PID]);
	asm_store(a, 8, R10, buf + (int)offsetof(struct mapped, pid), R1);
	asm_load(a, 8, R1, R7, (int)off[START]);
	asm_store(a, 8, R10, buf + (int)offsetof(struct mapped, start), R1);
	asm_load(a, 8, R1, R7, (int)off[END]);
	asm_store(a, 8, R10, buf + (int)offsetof(struct mapped, end), R1);
	asm_load(a, 8, R1, R6, 0); /* what it is written to */
	asm_load(a, 8, R1, R1, 0);
	asm_mov(a, R2, R10);
	asm_alui(a, BPF_ADD, R2, buf);
	asm_imm(a, R3, sizeof(struct mapped));
	asm_call(a, BPF_FUNC_seq_write);
	asm_here(a, out);
	asm_imm(a, R0, 0);
	asm_exit(a);
	return 0;
}

static int
load_iterator(struct dt *dt)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_ITER);
	struct asmb a = {0};
	int fd = make_iterator(dt, &a);

	opts.attach_btf_id = ctf_kernel_id(dt->kernel, CTF_FUNCTION, "bpf_iter_task_vma");
	if (fd == 0)
		fd = opts.attach_btf_id ? asm_finish(&a, NULL) : -ENOTSUP;
	if (fd == 0)
		fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "dtrace_maps", "GPL", a.insns, a.n,
				   &opts);
	asm_done(&a);
	return fd;
}

/* Mappings of a process, or of all (0); a descriptor that they are read from. */
static int
iterate(int prog, pid_t pid)
{
	union bpf_iter_link_info info = {.task.pid = (uint32_t)pid};
	LIBBPF_OPTS(bpf_link_create_opts, opts, .iter_info = &info, .iter_info_len = sizeof(info));
	cleanup_close int link = bpf_link_create(prog, 0, BPF_TRACE_ITER, &opts);

	return link < 0 ? link : bpf_iter_create(link);
}

static void
preload(struct dt *dt, int prog, pid_t pid, uint64_t until)
{
	cleanup_close int fd = iterate(prog, pid);
	struct mapped m[64];
	ssize_t n;

	while (fd >= 0 && (n = read(fd, m, sizeof(m))) > 0) {
		for (size_t i = 0; i < (size_t)n / sizeof(*m); i++) {
			struct procmap map = {
				.start = m[i].start, .end = m[i].end, .path = (char *)""};
			const struct unwind_file id = {
				m[i].dev, m[i].inode,
				UNWIND_EDITION(m[i].seconds, m[i].nanoseconds, m[i].generation)};
			cleanup_close int file = -1;

			if (until && time_mono_ns() > until)
				return;
			if (file_of(dt->unwinder, &id) ||
			    (file = open_mapped(dt, (pid_t)m[i].pid, &map)) < 0)
				continue;
			put_file(dt->unwinder, &id, file, "");
		}
	}
}

void
unwinder_preload(struct dt *dt)
{
	cleanup_close int prog = dt->unwinder ? load_iterator(dt) : -1;
	struct unwind_miss vdso = {.map.file = {0, UNWIND_VDSO}};

	if (!dt->unwinder || dt->unwinder->names_only)
		return;
	unwinder_miss(dt, &vdso);
	if (prog < 0) /* tables come as they are missed */
		return;
	if (!dt->procs)
		preload(dt, prog, 0, time_mono_ns() + PRELOAD_NS);
	for (size_t i = 0; dt_procs_pid(dt, i); i++)
		preload(dt, prog, dt_procs_pid(dt, i), 0);
}

/* --- names of what is gone */

static int
by_process(const void *a, const void *b)
{
	const struct unwind_map_key *x = &((const struct noted *)a)->key,
				    *y = &((const struct noted *)b)->key;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return (x->start > y->start) - (x->start < y->start);
}

static void
read_noted(struct unwinder *u)
{
	struct unwind_map_key key, *last = NULL;

	free(u->noted);
	u->noted = xcalloc(MAX_MAPS, sizeof(*u->noted));
	u->noted_at = time_mono_ns();
	for (u->n_noted = 0;
	     u->n_noted < MAX_MAPS && bpf_map_get_next_key(u->maps_fd, last, &key) == 0;) {
		struct noted *n = &u->noted[u->n_noted];

		n->key = key;
		last = &n->key;
		u->n_noted += bpf_map_lookup_elem(u->maps_fd, &key, &n->map) == 0;
	}
	qsort(u->noted, u->n_noted, sizeof(*u->noted), by_process);
}

static const struct noted *
noted_at(const struct unwinder *u, pid_t pid, uint64_t addr)
{
	size_t first = sorted_upto(u->noted, u->n_noted, key.pid, (uint64_t)pid - 1);
	size_t end = sorted_upto(u->noted, u->n_noted, key.pid, (uint64_t)pid);
	size_t i = first + sorted_upto(u->noted + first, end - first, key.start, addr);

	return i > first && addr < u->noted[i - 1].map.end ? &u->noted[i - 1] : NULL;
}

/* For usyms.c: the mapping of a process that could not be asked any more. */
static bool
find_noted(void *arg, pid_t pid, uint64_t addr, struct procmap *ret, int *ret_fd)
{
	struct unwinder *u = arg;
	const struct noted *n = noted_at(u, pid, addr);
	const struct file *f;

	if (!n && time_mono_ns() - u->noted_at > PRELOAD_NS) {
		read_noted(u);
		n = noted_at(u, pid, addr);
	}
	f = n ? file_of(u, &n->map.file) : NULL;
	if (!f)
		return false;
	*ret = (struct procmap){.start = n->key.start,
				.end = n->map.end,
				.offset = n->map.offset,
				.dev = f->id.dev,
				.inode = f->id.inode,
				.path = f->path};
	*ret_fd = f->fd;
	return true;
}

/* --- the program's side */

/* To r4 and r5, the last arguments of a function that starts at a task: it, and its registers. */
static void
gen_start(struct gen *g)
{
	static const enum rt_offset returns[] = {RT_MM_XOL,        RT_XOL_ADDR,    RT_TASK_UTASK,
						 RT_UTASK_RETURNS, RT_RETURN_NEXT, RT_RETURN_STACK,
						 RT_RETURN_ADDR};
	bool has_returns = true;
	uint32_t offset;

	gen_rt_offset_to(g, RT_TASK_MM, rt_offset_of(g->dt, RT_TASK_MM, &offset) ? offset : 0);
	for (enum rt_offset i = RT_PATH_DENTRY; i <= RT_DENTRY_NAME; i++) /* a missed file's name */
		gen_rt_offset_to(g, i, rt_offset_of(g->dt, i, &offset) ? offset : 0);
	for (enum rt_offset i = RT_MM_TREE; i < RT_N_OFFSETS; i++)
		gen_rt_offset_to(g, i, rt_offset_of(g->dt, i, &offset) ? offset : 0);
	for (size_t i = 0; i < ARRAY_SIZE(returns); i++)
		has_returns &= rt_offset_of(g->dt, returns[i], &offset);
	if (!has_returns)
		gen_rt_offset_to(g, RT_MM_XOL, 0);
	if (!rt_offset_of(g->dt, RT_MM_NUMBER, &offset))
		gen_rt_offset_to(g, RT_MM_CHANGES, 0);
	asm_call(&g->a, BPF_FUNC_get_current_task_btf);
	asm_mov(&g->a, R1, R0);
	asm_call(&g->a, BPF_FUNC_task_pt_regs);
	asm_store(&g->a, 8, R10, STACK_VALUE, R0);
	asm_call(&g->a, BPF_FUNC_get_current_task);
	asm_mov(&g->a, R4, R0);
	asm_load(&g->a, 8, R5, R10, STACK_VALUE);
}

void
gen_unwind(struct gen *g, struct place to, size_t size)
{
	gen_start(g);
	gen_place(g, R2, to);
	asm_imm(&g->a, R3, (int64_t)size);
	gen_rt(g, "rt_ustack");
}

void
gen_note_mapping(struct gen *g, struct place address)
{
	if (!unwinder_works(g->dt) || g->nobody)
		return;
	gen_start(g);
	asm_mov(&g->a, R3, R4);
	asm_mov(&g->a, R4, R5);
	asm_load(&g->a, 8, R2, address.reg, address.off);
	gen_rt(g, "rt_unote");
}

bool
unwinder_works(const struct dt *dt)
{
	return dt->unwinder && !dt->unwinder->refused;
}

bool
unwinder_give_up(struct dt *dt, const struct gen *g)
{
	bool walks = false;

	for (size_t i = 0; i < g->n_rt; i++)
		walks |= str_eq(g->rt[i].name, "rt_ustack") || str_eq(g->rt[i].name, "rt_unote");
	if (!walks)
		return false;
	dt->unwinder->refused = true;
	return true;
}

int
unwinder_map(const struct dt *dt, const char *name)
{
	const struct unwinder *u = dt->unwinder;

	if (!u)
		return -1;
	return str_eq(name, "unwind_objects")  ? u->objects_fd
	       : str_eq(name, "unwind_blocks") ? u->blocks_fd
	       : str_eq(name, "unwind_maps")   ? u->maps_fd
					       : dt->ring_fd;
}

int
unwinder_open(struct dt *dt, struct error *err)
{
	static const enum rt_offset needed[] = {
		RT_MM_TREE,  RT_VMA_START,   RT_VMA_END,	RT_VMA_OFFSET,	     RT_VMA_FLAGS,
		RT_VMA_FILE, RT_FILE_INODE,  RT_INODE_SB,	RT_INODE_INO,	     RT_SB_DEV,
		RT_INODE_MTIME, RT_INODE_MTIME_NS, RT_INODE_GENERATION};
	struct unwinder *u;
	uint32_t offset;
	int r;

	if ((!dt->takes_ustacks && !dt->takes_usyms) || dt->opts.ustackunwind == UNWIND_FP)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!rt_offset_of(dt, needed[i], &offset))
			return 0; /* a kernel of another make: by frame pointers */
	u = dt->unwinder = xcalloc(1, sizeof(*u));
	u->objects_fd = u->blocks_fd = u->maps_fd = -1;
	u->names_only = !dt->takes_ustacks;
	if ((r = dt_make_map(BPF_MAP_TYPE_HASH, "dt_objects", sizeof(struct unwind_file),
			     sizeof(struct unwind_object), MAX_FILES, 0, &u->objects_fd, err)) <
		    0 ||
	    (r = dt_make_map(BPF_MAP_TYPE_HASH, "dt_blocks", sizeof(struct unwind_block_key),
			     sizeof(struct unwind_block), MAX_BLOCKS, BPF_F_NO_PREALLOC,
			     &u->blocks_fd, err)) < 0 ||
	    (r = dt_make_map(BPF_MAP_TYPE_LRU_HASH, "dt_mappings", sizeof(struct unwind_map_key),
			     sizeof(struct unwind_map), MAX_MAPS, 0, &u->maps_fd, err)) < 0)
		return r;
	usyms_set_noted(dt->usyms, find_noted, u);
	return 0;
}

void
unwinder_close(struct dt *dt)
{
	struct unwinder *u = dt->unwinder;
	const int fds[] = {u ? u->objects_fd : -1, u ? u->blocks_fd : -1, u ? u->maps_fd : -1};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	for (size_t i = 0; u && i < u->n_files; i++) {
		if (u->files[i].fd >= 0)
			close(u->files[i].fd);
		free(u->files[i].path);
	}
	if (u) {
		free(u->files);
		free(u->noted);
	}
	free(u);
	dt->unwinder = NULL;
}
