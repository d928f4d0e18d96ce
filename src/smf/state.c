/*
 * The state file; see state.h.
 */
#include "smf/state.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/map.h"
#include "base/str.h"

#define STATE_MAGIC 0x31544154534d53ull /* "SMSTAT1" */
#define STATE_MAX_RECS 32768
#define STATE_GROW 64 /* records the file grows by */

struct state_header {
	uint64_t magic;
	uint32_t rec_size;
	uint32_t n;           /* records in use or once used */
	uint64_t generation;
	int32_t startd;
	char boot_id[40];
	char reserved[440];
};

struct state {
	struct state_header *h; /* whole reservation: header and STATE_MAX_RECS records */
	struct state_rec *recs;
	struct map *index;      /* fmri to slot + 1; readers fill it as n grows */
	size_t indexed;
	size_t room;            /* records the file has room for */
	int fd;
	bool writer;
};

#define MAP_SIZE (sizeof(struct state_header) + STATE_MAX_RECS * sizeof(struct state_rec))

static void
boot_id(char buf[40])
{
	cleanup_free char *line = NULL;

	memset(buf, 0, 40);
	if (file_read_line("/proc/sys/kernel/random/boot_id", &line, NULL) == 0)
		strncpy(buf, line, 39);
}

void
state_free(struct state *s)
{
	if (!s)
		return;
	if (s->h)
		munmap(s->h, MAP_SIZE);
	if (s->fd >= 0)
		close(s->fd);
	map_free(s->index);
	free(s);
}

static struct state *
state_new(int fd, bool writer)
{
	struct state *s = xcalloc(1, sizeof(*s));

	s->fd = fd;
	s->writer = writer;
	s->index = map_new(NULL);
	return s;
}

static int
map_file(struct state *s, const char *path, struct error *err)
{
	void *at = mmap(NULL, MAP_SIZE, s->writer ? PROT_READ | PROT_WRITE : PROT_READ,
			MAP_SHARED | MAP_NORESERVE, s->fd, 0);

	if (at == MAP_FAILED)
		return error_set_errno(err, errno, "%s", path);
	s->h = at;
	s->recs = (struct state_rec *)(void *)(s->h + 1);
	return 0;
}

static int
see_size(struct state *s, struct error *err)
{
	struct stat st;

	if (fstat(s->fd, &st) < 0)
		return error_set_errno(err, errno, "state file");
	s->room = st.st_size < (off_t)sizeof(*s->h)
			  ? 0
			  : ((size_t)st.st_size - sizeof(*s->h)) / sizeof(struct state_rec);
	return 0;
}

/* Enters the records that came since the last look into the index. */
static void
see_records(struct state *s)
{
	uint32_t n = __atomic_load_n(&s->h->n, __ATOMIC_ACQUIRE);

	if (n > s->room)
		(void)see_size(s, NULL);
	if (n > s->room)
		n = (uint32_t)s->room;
	for (; s->indexed < n; s->indexed++)
		map_set(s->index, s->recs[s->indexed].fmri, (void *)(s->indexed + 1));
}

static bool
usable(struct state *s)
{
	char now[40];

	boot_id(now);
	return s->room > 0 && s->h->magic == STATE_MAGIC &&
	       s->h->rec_size == sizeof(struct state_rec) && s->h->n <= s->room &&
	       memcmp(s->h->boot_id, now, sizeof(now)) == 0;
}

int
state_create(const char *path, struct state **ret, bool *ret_old, struct error *err)
{
	cleanup_state struct state *s = NULL;
	bool old;
	int fd, r;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return error_set_errno(err, errno, "%s", path);
	s = state_new(fd, true);
	r = see_size(s, err);
	if (r == 0)
		r = map_file(s, path, err);
	if (r < 0)
		return r;
	old = usable(s);
	if (!old) {
		if (ftruncate(fd, 0) < 0 ||
		    ftruncate(fd, sizeof(*s->h) + STATE_GROW * sizeof(struct state_rec)) < 0)
			return error_set_errno(err, errno, "%s", path);
		s->room = STATE_GROW;
		s->h->rec_size = sizeof(struct state_rec);
		boot_id(s->h->boot_id);
		s->h->magic = STATE_MAGIC;
	}
	s->h->startd = getpid();
	see_records(s);
	for (size_t i = 0; i < s->indexed; i++) {
		if (s->recs[i].seq & 1) /* its writer was killed within a change */
			s->recs[i].seq++;
	}
	*ret_old = old;
	*ret = steal_ptr(&s);
	return 0;
}

int
state_open(const char *path, struct state **ret, struct error *err)
{
	cleanup_state struct state *s = NULL;
	int fd, r;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set_errno(err, errno, "%s", path);
	s = state_new(fd, false);
	r = see_size(s, err);
	if (r == 0)
		r = map_file(s, path, err);
	if (r < 0)
		return r;
	if (!usable(s))
		return error_set(err, EBADMSG, "%s is not a state file of this boot", path);
	*ret = steal_ptr(&s);
	return 0;
}

uint64_t
state_generation(const struct state *s)
{
	return __atomic_load_n(&s->h->generation, __ATOMIC_ACQUIRE);
}

pid_t
state_startd(const struct state *s)
{
	return s->h->startd;
}

size_t
state_size(struct state *s)
{
	see_records(s);
	return s->indexed;
}

static struct state_rec *
find(struct state *s, const char *fmri)
{
	uintptr_t at;

	see_records(s);
	at = (uintptr_t)map_get(s->index, fmri);
	return at ? &s->recs[at - 1] : NULL;
}

struct state_rec *
state_rec(struct state *s, const char *fmri, struct error *err)
{
	struct state_rec *r = find(s, fmri);
	size_t n = s->indexed;

	if (r) {
		r->used = 1;
		return r;
	}
	if (strlen(fmri) >= sizeof(r->fmri) || n >= STATE_MAX_RECS) {
		error_set(err, ENOSPC, "%s: no room in the state file", fmri);
		return NULL;
	}
	if (n == s->room) {
		off_t size = (off_t)(sizeof(*s->h) + (n + STATE_GROW) * sizeof(*r));

		if (ftruncate(s->fd, size) < 0) {
			error_set_errno(err, errno, "state file");
			return NULL;
		}
		s->room = n + STATE_GROW;
	}
	r = &s->recs[n];
	memset(r, 0, sizeof(*r));
	strcpy(r->fmri, fmri);
	r->state = SMF_UNINITIALIZED;
	r->used = 1;
	__atomic_store_n(&s->h->n, (uint32_t)n + 1, __ATOMIC_RELEASE);
	see_records(s);
	return r;
}

struct state_rec *
state_rec_at(struct state *s, size_t i)
{
	return &s->recs[i];
}

void
state_drop(struct state *s, struct state_rec *r)
{
	char fmri[SMF_FMRI_MAX];
	uint32_t seq;

	state_begin(r);
	seq = r->seq;
	memcpy(fmri, r->fmri, sizeof(fmri));
	memset(r, 0, sizeof(*r));
	memcpy(r->fmri, fmri, sizeof(fmri));
	r->state = SMF_UNINITIALIZED;
	r->seq = seq;
	state_end(s, r);
}

void
state_begin(struct state_rec *r)
{
	__atomic_store_n(&r->seq, r->seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void
state_end(struct state *s, struct state_rec *r)
{
	__atomic_store_n(&r->seq, r->seq + 1, __ATOMIC_RELEASE);
	__atomic_add_fetch(&s->h->generation, 1, __ATOMIC_RELEASE);
}

bool
state_read_at(struct state *s, size_t i, struct state_rec *ret)
{
	const struct state_rec *r = &s->recs[i];

	/* A writer killed within a change leaves seq odd until the next startd: take it as it is. */
	for (int tries = 0; tries < 1000; tries++) {
		uint32_t seq = __atomic_load_n(&r->seq, __ATOMIC_ACQUIRE);

		memcpy(ret, r, sizeof(*ret));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!(seq & 1) && __atomic_load_n(&r->seq, __ATOMIC_RELAXED) == seq)
			break;
	}
	return ret->used;
}

bool
state_read(struct state *s, const char *fmri, struct state_rec *ret)
{
	struct state_rec *r = find(s, fmri);

	return r && state_read_at(s, (size_t)(r - s->recs), ret);
}
