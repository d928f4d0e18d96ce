/*
 *	header, at 0
 *	configuration, key=value lines
 *	state (state.h)
 *	memory, at a multiple of 2 MiB, as it lies in this process: RAM below 4 GiB, then the rest.
 *	Pages that are zero are holes in the file.
 *
 * The file is mapped privately over guest memory, so it must not be changed in
 * place while a guest restored from it runs; a new snapshot of the same name is
 * another file.
 */
#include "vmm/snapshot.h"

#include <sys/stat.h>

#include "base/file.h"
#include "vmm/device.h"
#include "vmm/dirty.h"

#define MAGIC "ATOLLVM1"
#define VERSION 1U
#define ALIGNMENT (2ULL << 20)
#define CONFIG_MAX (1U << 20)
#define STATE_MAX (512U << 20)
#define PAGE 4096U

struct header {
	char magic[8];
	uint32_t version, config_len;
	uint64_t state_len, memory_at, memory_size;
};

/* ---- saving ---- */

struct writer {
	int fd;
	const struct mem *mem;
	uint64_t memory_at, bytes;
};

static int
write_at(int fd, const void *buf, uint64_t len, uint64_t at, struct error *err)
{
	int r = fd_pwrite_all(fd, buf, len, (off_t)at);

	return r < 0 ? error_set_errno(err, -r, "cannot write the snapshot") : 0;
}

/* Stretches of pages that are not zero. */
static int
write_run(void *arg, uint64_t gpa, const uint8_t *hva, uint64_t len, struct error *err)
{
	struct writer *w = arg;
	uint64_t at = w->memory_at + (uint64_t)(hva - w->mem->slot[0].hva), begin = 0, i = 0;
	int r = 0;

	for (; r == 0 && i <= len; i += PAGE) {
		if (i < len && !bytes_zero(hva + i, PAGE))
			continue;
		if (i > begin) {
			r = write_at(w->fd, hva + begin, i - begin, at + begin, err);
			w->bytes += i - begin;
		}
		begin = i + PAGE;
	}
	return r;
}

static char *
dump_config(struct vm *vm)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		abort(); /* out of memory is fatal everywhere */
	config_dump(vm->config, f);
	fclose(f);
	return text;
}

static int
write_all(struct vm *vm, int fd, uint64_t *ret_bytes, struct error *err)
{
	cleanup_free char *config = dump_config(vm);
	cleanup_strbuf struct strbuf state = STRBUF_INIT;
	cleanup_dirty struct dirty pages = DIRTY_INIT;
	struct header h = {.version = VERSION, .config_len = (uint32_t)strlen(config),
			   .memory_size = vm->mem.ram_size};
	struct writer w = {.fd = fd, .mem = &vm->mem};
	uint64_t at = sizeof(h);

	TRY(state_save(vm, &state, err));
	TRY(dirty_open(&pages, &vm->mem, false, err));
	memcpy(h.magic, MAGIC, 8);
	h.state_len = state.len;
	h.memory_at = (at + h.config_len + h.state_len + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	w.memory_at = h.memory_at;
	if (ftruncate(fd, (off_t)(h.memory_at + h.memory_size)) < 0)
		return error_set_errno(err, errno, "cannot make the snapshot");
	TRY(write_at(fd, &h, sizeof(h), 0, err));
	TRY(write_at(fd, config, h.config_len, at, err));
	TRY(write_at(fd, state.data, state.len, at + h.config_len, err));
	TRY(dirty_walk(&pages, write_run, &w, err));
	if (fsync(fd) < 0)
		return error_set_errno(err, errno, "cannot write the snapshot");
	*ret_bytes = w.bytes;
	return 0;
}

int
snapshot_save(struct vm *vm, const char *path, uint64_t *ret_bytes, struct error *err)
{
	cleanup_free char *new = str_printf("%s.new", path);
	cleanup_close int fd = open(new, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r;

	if (fd < 0)
		return error_set_errno(err, errno, "%s", new);
	r = write_all(vm, fd, ret_bytes, err);
	if (r == 0 && rename(new, path) < 0)
		r = error_set_errno(err, errno, "%s", path);
	if (r < 0)
		(void)unlink(new); /* the message is about what came first */
	return r < 0 ? error_wrap(err, r, "%s", path) : 0;
}

/* ---- loading ---- */

static int
read_at(int fd, void *buf, size_t len, uint64_t at, struct error *err)
{
	ssize_t n = fd_pread_all(fd, buf, len, (off_t)at);

	if (n < 0)
		return error_set_errno(err, (int)-n, "cannot read the snapshot");
	return (size_t)n == len ? 0 : error_set(err, EINVAL, "the snapshot ends early");
}

/* The open file and its checked header. */
static int
open_snapshot(const char *path, struct header *h, struct error *err)
{
	cleanup_close int fd = -1;
	struct stat st;

	TRY(file_open(path, O_RDONLY, &fd, err));
	if (fstat(fd, &st) < 0)
		return error_set_errno(err, errno, "%s", path);
	if (pread(fd, h, sizeof(*h), 0) != sizeof(*h) || memcmp(h->magic, MAGIC, 8) != 0)
		return error_set(err, EINVAL, "%s: not a snapshot", path);
	if (h->version != VERSION)
		return error_set(err, ENOTSUP, "%s: a snapshot of version %u; this reads %u", path,
				 h->version, VERSION);
	if (h->config_len > CONFIG_MAX || h->state_len > STATE_MAX ||
	    h->memory_at % ALIGNMENT || h->memory_at < sizeof(*h) + h->config_len + h->state_len ||
	    h->memory_at > (uint64_t)st.st_size ||
	    h->memory_size > (uint64_t)st.st_size - h->memory_at)
		return error_set(err, EINVAL, "%s: the snapshot is damaged", path);
	return steal_fd(&fd);
}

int
snapshot_config(const char *path, struct config *config, struct error *err)
{
	struct header h;
	cleanup_close int fd = open_snapshot(path, &h, err);
	cleanup_free char *text = fd < 0 ? NULL : xcalloc(1, h.config_len + 1UL);
	cleanup_strv struct strv lines = STRV_INIT;
	int r = fd < 0 ? fd : read_at(fd, text, h.config_len, sizeof(h), err);

	if (r < 0)
		return r;
	strv_split(&lines, text, "\n");
	for (size_t i = 0; i < lines.n; i++) {
		const char *eq = strchr(lines.v[i], '=');
		cleanup_free char *key = xstrndup(lines.v[i], eq ? (size_t)(eq - lines.v[i]) : 0);

		if (!eq || config_find(config, key))
			continue;
		r = config_set(config, key, eq + 1, err);
		if (r < 0)
			return error_wrap(err, r, "%s", path);
	}
	return 0;
}

int
snapshot_load(struct vm *vm, const char *path, struct error *err)
{
	struct header h;
	cleanup_close int fd = open_snapshot(path, &h, err);
	cleanup_free void *state = NULL;
	int r;

	if (fd < 0)
		return fd;
	if (h.memory_size != vm->mem.ram_size)
		return error_set(err, EINVAL, "%s: a machine of %lluM; this one has %lluM", path,
				 (unsigned long long)(h.memory_size >> 20),
				 (unsigned long long)(vm->mem.ram_size >> 20));
	state = xmalloc(h.state_len);
	if ((r = read_at(fd, state, h.state_len, sizeof(h) + h.config_len, err)) < 0 ||
	    (r = mem_map_file(&vm->mem, fd, h.memory_at, err)) < 0 ||
	    (r = state_load(vm, state, h.state_len, err)) < 0)
		return error_wrap(err, r, "%s", path);
	return 0;
}
