/*
 * What a zone is told about memory, processors and time: files laid over those of
 * /proc, which would speak of the whole node.
 *
 * No FUSE: the files lie in /run/zones/NAME/proc and are ordinary.  fanotify asks us
 * for permission before one is opened or read; we write what is true now into it and
 * say yes.  So nothing runs while nobody looks, and when the daemon dies the kernel
 * lets everybody through to what was true last.
 *
 * A zone that reads in a loop costs our time, not its own: what is younger than FRESH_MS
 * is not written again.  A reader that keeps its file open (top) sees new values every
 * REREAD_MS; not at each read, since what is longer than its buffer takes several.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "os/mount.h"
#include "zone/brand/lx/lx.h"

#define FRESH_MS 20
#define REREAD_MS 500

struct view {
	const char *name;
	void (*write)(struct daemon *d, struct strbuf *b);
};

struct views {
	struct daemon *d;
	int fan;
	struct event_source *source;
	struct {
		int fd;
		ino_t ino;
		uint64_t when;
	} file[8];
};

/* ---- what is true ---- */

/* A line "key value" or "key: value kB" of a text. */
static uint64_t
value_of(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *p = text; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
		if (strncmp(p, key, n) == 0 && (p[n] == ' ' || p[n] == ':'))
			return strtoull(p + n + 1, NULL, 10);
	return 0;
}

/* A control file with a single number; "max" and absent are UINT64_MAX. */
static uint64_t
control(struct daemon *d, const char *file)
{
	cleanup_free char *text = NULL;
	uint64_t n;

	if (cgroup_read(d->cgroup, file, &text, NULL) < 0 || str_to_u64(str_trim(text), 10, &n) < 0)
		return UINT64_MAX;
	return n;
}

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void
write_meminfo(struct daemon *d, struct strbuf *b)
{
	/* of memory.stat, in bytes; their names in meminfo */
	static const struct {
		const char *key, *name;
	} rows[] = {
		{"file", "Cached"}, {"active_anon", "Active(anon)"}, {"inactive_anon", "Inactive(anon)"},
		{"active_file", "Active(file)"}, {"inactive_file", "Inactive(file)"},
		{"unevictable", "Unevictable"}, {"file_dirty", "Dirty"}, {"file_writeback", "Writeback"},
		{"anon", "AnonPages"}, {"file_mapped", "Mapped"}, {"shmem", "Shmem"}, {"slab", "Slab"},
		{"slab_reclaimable", "SReclaimable"}, {"slab_unreclaimable", "SUnreclaim"},
		{"kernel_stack", "KernelStack"}, {"pagetables", "PageTables"},
	};
	cleanup_free char *host = NULL, *stat = NULL;
	uint64_t total, used, cache, swap, swap_used, cap;

	if (file_read("/proc/meminfo", 65536, &host, NULL, NULL) < 0)
		return;
	if (!zone_config_rctl(d->config, "zone.max-physical-memory", &cap) ||
	    cgroup_read(d->cgroup, "memory.stat", &stat, NULL) < 0) {
		strbuf_adds(b, host); /* all of the node is the zone's */
		return;
	}
	total = least(cap >> 10, value_of(host, "MemTotal"));
	used = least(control(d, "memory.current") >> 10, total);
	cache = least(value_of(stat, "file") >> 10, used);
	swap = least(control(d, "memory.swap.max") >> 10, value_of(host, "SwapTotal"));
	swap_used = control(d, "memory.swap.current");
	swap_used = swap_used == UINT64_MAX ? 0 : least(swap_used >> 10, swap);
	strbuf_addf(b, "MemTotal:       %8" PRIu64 " kB\nMemFree:        %8" PRIu64
		       " kB\nMemAvailable:   %8" PRIu64 " kB\nBuffers:               0 kB\n",
		    total, total - used, total - used + cache);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		strbuf_addf(b, "%s:%*s%8" PRIu64 " kB\n", rows[i].name,
			    15 - (int)strlen(rows[i].name), "", value_of(stat, rows[i].key) >> 10);
	strbuf_addf(b, "SwapTotal:      %8" PRIu64 " kB\nSwapFree:       %8" PRIu64
		       " kB\nSwapCached:            0 kB\n", swap, swap - swap_used);
}

/* A capped zone has as many processors as it can keep busy. */
static unsigned
processors(struct daemon *d)
{
	long have = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t cap;

	if (have < 1)
		have = 1;
	if (!zone_config_rctl(d->config, "zone.cpu-cap", &cap) || cap == 0)
		return (unsigned)have;
	return (unsigned)least((cap + 99) / 100, (uint64_t)have);
}

static void
write_cpuinfo(struct daemon *d, struct strbuf *b)
{
	unsigned left = processors(d);
	cleanup_free char *host = NULL;

	if (file_read("/proc/cpuinfo", 0, &host, NULL, NULL) < 0)
		return;
	for (char *p = host; *p && left > 0; left--) {
		char *end = strstr(p, "\n\n");
		size_t n = end ? (size_t)(end + 2 - p) : strlen(p);

		strbuf_add(b, p, n);
		p += n;
	}
}

static uint64_t
age_ms(struct daemon *d)
{
	uint64_t now = time_real_ms();

	return d->rt.boot_ms && d->rt.boot_ms < now ? now - d->rt.boot_ms : 0;
}

/* Processor time in ms: of all processors, and what was used of it. */
static void
times(struct daemon *d, uint64_t *ret_all, uint64_t *ret_user, uint64_t *ret_system)
{
	cleanup_free char *stat = NULL;

	*ret_all = age_ms(d) * processors(d);
	*ret_user = *ret_system = 0;
	if (cgroup_read(d->cgroup, "cpu.stat", &stat, NULL) == 0) {
		*ret_user = value_of(stat, "user_usec") / 1000;
		*ret_system = value_of(stat, "system_usec") / 1000;
	}
	*ret_user = least(*ret_user, *ret_all);
	*ret_system = least(*ret_system, *ret_all - *ret_user);
}

static void
write_uptime(struct daemon *d, struct strbuf *b)
{
	uint64_t all, user, system, age = age_ms(d);

	times(d, &all, &user, &system);
	all -= user + system;
	strbuf_addf(b, "%" PRIu64 ".%02" PRIu64 " %" PRIu64 ".%02" PRIu64 "\n", age / 1000,
		    age % 1000 / 10, all / 1000, all % 1000 / 10);
}

static void
write_stat(struct daemon *d, struct strbuf *b)
{
	uint64_t all, user, system, pids = control(d, "pids.current");
	unsigned n = processors(d);

	times(d, &all, &user, &system);
	strbuf_addf(b, "cpu  %" PRIu64 " 0 %" PRIu64 " %" PRIu64 " 0 0 0 0 0 0\n", user / 10,
		    system / 10, (all - user - system) / 10);
	for (unsigned i = 0; i < n; i++)
		strbuf_addf(b, "cpu%u %" PRIu64 " 0 %" PRIu64 " %" PRIu64 " 0 0 0 0 0 0\n", i,
			    user / 10 / n, system / 10 / n, (all - user - system) / 10 / n);
	strbuf_addf(b, "intr 0\nctxt 0\nbtime %" PRIu64 "\nprocesses %" PRIu64
		       "\nprocs_running 1\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
		    d->rt.boot_ms / 1000, pids == UINT64_MAX ? 1 : pids);
}

static const struct view views[] = {
	{"meminfo", write_meminfo},
	{"cpuinfo", write_cpuinfo},
	{"uptime", write_uptime},
	{"stat", write_stat},
};

/* ---- files ---- */

static char *
directory(struct daemon *d)
{
	return zone_path_run(d->name, "proc");
}

static void
refresh(struct views *v, size_t i, uint64_t older_than_ms)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	uint64_t now = time_mono_ms();

	if (v->file[i].when && now - v->file[i].when < older_than_ms)
		return;
	views[i].write(v->d, &b);
	/* never empty meanwhile: somebody may just read it */
	if (b.len && pwrite(v->file[i].fd, b.data, b.len, 0) == (ssize_t)b.len &&
	    ftruncate(v->file[i].fd, (off_t)b.len) == 0)
		v->file[i].when = now;
}

static void
on_look(struct event_source *s, int fan, uint32_t events, void *arg)
{
	struct views *v = arg;
	char buf[4096] __attribute__((aligned(8)));
	ssize_t len = read(fan, buf, sizeof(buf));

	for (struct fanotify_event_metadata *e = (void *)buf; len > 0 && FAN_EVENT_OK(e, len);
	     e = FAN_EVENT_NEXT(e, len)) {
		struct fanotify_response yes = {.fd = e->fd, .response = FAN_ALLOW};
		struct stat st;

		if (e->fd < 0)
			continue;
		for (size_t i = 0; fstat(e->fd, &st) == 0 && i < ARRAY_SIZE(views); i++)
			if (st.st_ino == v->file[i].ino)
				refresh(v, i, e->mask & FAN_OPEN_PERM ? FRESH_MS : REREAD_MS);
		if (write(fan, &yes, sizeof(yes)) < 0)
			log_warn("/proc of the zone: %s", strerror(errno));
		close(e->fd);
	}
}

void
lx_views_free(struct daemon *d)
{
	struct views *v = d->brand_data;

	d->brand_data = NULL;
	if (!v)
		return;
	event_source_free(v->source);
	if (v->fan >= 0)
		close(v->fan); /* whoever waits for an answer is let through */
	for (size_t i = 0; i < ARRAY_SIZE(views); i++)
		if (v->file[i].fd >= 0)
			close(v->file[i].fd);
	free(v);
}

static int
open_files(struct views *v, struct error *err)
{
	cleanup_free char *dir = directory(v->d);
	int r = file_mkdir_p(dir, 0755, err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(views); i++) {
		cleanup_free char *path = str_printf("%s/%s", dir, views[i].name);
		struct stat st;

		v->file[i].fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0444);
		if (v->file[i].fd < 0 || fstat(v->file[i].fd, &st) < 0)
			return error_set_errno(err, errno, "%s", path);
		v->file[i].ino = st.st_ino;
		refresh(v, i, 0);
		if (fanotify_mark(v->fan, FAN_MARK_ADD, FAN_OPEN_PERM | FAN_ACCESS_PERM, AT_FDCWD,
				  path) < 0)
			return error_set_errno(err, errno, "%s", path);
	}
	return r;
}

int
lx_views_start(struct daemon *d, struct error *err)
{
	struct views *v = xcalloc(1, sizeof(*v));
	int r;

	lx_views_free(d);
	d->brand_data = v;
	v->d = d;
	for (size_t i = 0; i < ARRAY_SIZE(views); i++)
		v->file[i].fd = -1;
	v->fan = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK,
			       O_RDONLY | O_LARGEFILE | O_CLOEXEC);
	r = v->fan < 0 ? error_set_errno(err, errno, "fanotify") : open_files(v, err);
	if (r == 0)
		r = event_add_fd(d->loop, v->fan, EPOLLIN, on_look, v, &v->source, err);
	if (r < 0)
		lx_views_free(d);
	return r;
}

int
lx_views_plan(struct daemon *d, struct zone_plan *p, struct error *err)
{
	cleanup_free char *dir = directory(d);

	for (size_t i = 0; i < ARRAY_SIZE(views); i++) {
		cleanup_free char *path = str_printf("%s/%s", dir, views[i].name);
		cleanup_free char *target = str_printf("/proc/%s", views[i].name);
		int fd = -1, r;

		r = mnt_clone(AT_FDCWD, path, false, &fd, err);
		if (r < 0)
			return r;
		plan_mount_fd(p, target, fd)->file = true;
		r = mnt_set(fd, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
					MOUNT_ATTR_NOEXEC, false, err);
		if (r < 0)
			return r;
	}
	return 0;
}
