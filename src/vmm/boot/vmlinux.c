/*
 * A kernel decompressing itself inside the guest costs a third of the boot
 * and touches twice the memory; a RAM disk of 1.7 MB takes another 160 ms of
 * an emulated processor.  So it is done once on the host, and the result kept
 * under a name made of the file's identity.
 *
 * A RAM disk is what Linux takes for one: members of either compression one
 * after the other, zeroes between them.  One that is anything else, too large
 * or no archive is left to the guest; an empty file in the cache says so.
 */
#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/str.h"
#include "vmm/boot/boot.h"

#define SETUP_SECTS 0x1f1
#define HEADER_MAGIC 0x202 /* "HdrS" */
enum { PAYLOAD_OFFSET = 0x248, PAYLOAD_LENGTH = 0x24c };
#define KERNEL_MAX (512U << 20)
#define INITRD_MAX (64U << 20)

struct payload {
	const uint8_t *data;
	size_t len;	/* compressed, without the size behind it */
	size_t out_len; /* as that size says */
};

static int
find_payload(const uint8_t *image, size_t size, struct payload *ret, struct error *err)
{
	uint64_t setup, at, len;

	if (size < 0x1000 || get_le32(image + HEADER_MAGIC) != 0x53726448)
		return error_set(err, ENOTSUP, "neither a vmlinux nor a bzImage");
	setup = (image[SETUP_SECTS] ? image[SETUP_SECTS] : 4U) + 1U;
	at = setup * 512 + get_le32(image + PAYLOAD_OFFSET);
	len = get_le32(image + PAYLOAD_LENGTH);
	if (len < 8 || at > size || len > size - at)
		return error_set(err, EINVAL, "the bzImage's payload lies outside of it");
	*ret = (struct payload){image + at, len - 4, get_le32(image + at + len - 4)};
	if (ret->out_len < 4096 || ret->out_len > KERNEL_MAX)
		return error_set(err, EINVAL, "the bzImage's payload has an impossible size");
	return 0;
}

/* What is still to be read, and room for what comes out; both move forward. */
struct stream {
	const uint8_t *in;
	size_t in_len;
	uint8_t *out;
	size_t room;
};

static void
forward(struct stream *s, size_t in, size_t out)
{
	s->in += in;
	s->in_len -= in;
	s->out += out;
	s->room -= out;
}

static bool
unzstd(struct stream *s)
{
	size_t len = ZSTD_findFrameCompressedSize(s->in, s->in_len);
	size_t n = ZSTD_isError(len) ? len : ZSTD_decompress(s->out, s->room, s->in, len);

	if (ZSTD_isError(n))
		return false;
	forward(s, len, n);
	return true;
}

static bool
ungzip(struct stream *s)
{
	z_stream z = {.next_in = (uint8_t *)(uintptr_t)s->in, .avail_in = (unsigned)s->in_len,
		      .next_out = s->out, .avail_out = (unsigned)s->room};
	bool ok;

	if (inflateInit2(&z, 15 + 32) != Z_OK)
		return false;
	ok = inflate(&z, Z_FINISH) == Z_STREAM_END;
	inflateEnd(&z);
	if (ok)
		forward(s, z.total_in, z.total_out);
	return ok;
}

static const struct format {
	const char *name;
	uint8_t magic[4];
	size_t magic_len;
	bool (*decompress)(struct stream *s);
} formats[] = {
	{"zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4, unzstd},
	{"gzip", {0x1f, 0x8b}, 2, ungzip},
};

static const struct format *
format_of(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (len > 4 && memcmp(data, formats[i].magic, formats[i].magic_len) == 0)
			return &formats[i];
	return NULL;
}

static int
decompress(const struct payload *p, uint8_t *out, struct error *err)
{
	struct stream s = {p->data, p->len, out, p->out_len};
	const struct format *f = format_of(p->data, p->len);

	if (!f)
		return error_set(err, ENOTSUP, "the bzImage is compressed with neither zstd nor gzip");
	if (!f->decompress(&s) || s.room)
		return error_set(err, EIO, "the bzImage's %s payload is damaged", f->name);
	return 0;
}

/*
 * Linux writes its cleared memory (a fifth of it) and its section table into the file: what is
 * zero in guest memory anyway is not kept.  Gives what is left of the file.
 */
static size_t
trim(uint8_t *elf, size_t len)
{
	Elf64_Ehdr *eh = (Elf64_Ehdr *)elf;
	Elf64_Phdr *ph;
	size_t end;

	if (len < sizeof(*eh) || memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0 ||
	    eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_phentsize != sizeof(*ph) ||
	    eh->e_phoff % 8 || eh->e_phoff > len || eh->e_phnum > (len - eh->e_phoff) / sizeof(*ph))
		return len; /* whoever loads it says what is wrong with it */
	ph = (Elf64_Phdr *)(elf + eh->e_phoff);
	end = eh->e_phoff + eh->e_phnum * sizeof(*ph);
	for (unsigned i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_offset > len || ph[i].p_filesz > len - ph[i].p_offset)
			return len;
		while (ph[i].p_type == PT_LOAD && ph[i].p_filesz &&
		       !elf[ph[i].p_offset + ph[i].p_filesz - 1])
			ph[i].p_filesz--;
		if (ph[i].p_offset + ph[i].p_filesz > end)
			end = ph[i].p_offset + ph[i].p_filesz;
	}
	eh->e_shoff = 0;
	eh->e_shnum = eh->e_shstrndx = 0;
	return end;
}

struct output {
	uint8_t *data;
	size_t room, len;
};

/* Straight from the kernel: the heap need not grow for it. */
static int
output_alloc(struct output *o, size_t room, struct error *err)
{
	o->data = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (o->data == MAP_FAILED)
		return error_set_errno(err, errno, "no memory to decompress into");
	o->room = room;
	return 0;
}

typedef int unpack_fn(const uint8_t *image, size_t size, struct output *o, struct error *err);

static int
unpack_kernel(const uint8_t *image, size_t size, struct output *o, struct error *err)
{
	struct payload p = {0};

	TRY(find_payload(image, size, &p, err));
	TRY(output_alloc(o, p.out_len, err));
	TRY(decompress(&p, o->data, err));
	o->len = trim(o->data, p.out_len);
	return 0;
}

static int
unpack_initrd(const uint8_t *image, size_t size, struct output *o, struct error *err)
{
	struct stream s = {.in = image, .in_len = size};

	TRY(output_alloc(o, INITRD_MAX, err));
	s.out = o->data;
	s.room = INITRD_MAX;
	while (s.in_len) {
		const struct format *f = format_of(s.in, s.in_len);

		if (*s.in == 0) {
			forward(&s, 1, 0);
			continue;
		}
		if (!f || !f->decompress(&s))
			return 0;
		/* Archives begin at multiples of four bytes; zeroes may lie between them. */
		forward(&s, 0, s.room % 4);
	}
	if (memcmp(o->data, "07070", 5) == 0)
		o->len = INITRD_MAX - s.room;
	return 0;
}

static int
unpack(int fd, size_t size, unpack_fn *how, const char *target, struct error *err)
{
	const uint8_t *image = mmap(NULL, size ? size : 1, PROT_READ, MAP_PRIVATE, fd, 0);
	struct output o = {.data = MAP_FAILED};
	int r;

	if (image == MAP_FAILED)
		return error_set_errno(err, errno, "cannot map it");
	r = how(image, size, &o, err);
	if (r == 0)
		r = file_write_atomic(target, o.data, o.len, 0600, err);
	if (o.data != MAP_FAILED)
		munmap(o.data, o.room);
	munmap((void *)(uintptr_t)image, size ? size : 1);
	return r;
}

/* The open file of what `how` makes of fd, made now if it is not in the cache. */
static int
open_unpacked(int fd, const char *kind, unpack_fn *how, const char *cache_dir, int *ret_fd,
	      struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set_errno(err, errno, "fstat");

	cleanup_free char *path =
		str_printf("%s/%s%llx-%llx-%llx-%llx.%lx", cache_dir, kind,
			   (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
			   (unsigned long long)st.st_size, (unsigned long long)st.st_mtim.tv_sec,
			   (unsigned long)st.st_mtim.tv_nsec);
	int cached = open(path, O_RDONLY | O_CLOEXEC);

	if (cached < 0) {
		cleanup_close int dir = -1;

		TRY(file_mkdir_p(cache_dir, 0700, err));
		dir = open(cache_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir >= 0)
			cache_forget_oldest(dir, kind);
		TRY(unpack(fd, (size_t)st.st_size, how, path, err));
		cached = open(path, O_RDONLY | O_CLOEXEC);
	}
	*ret_fd = cached;
	return cached < 0 ? error_set_errno(err, errno, "%s", path) : 0;
}

int
vmlinux_open(const char *kernel, const char *cache_dir, int *ret_fd, bool *ret_linux,
	     struct error *err)
{
	cleanup_close int fd = -1;
	char magic[4] = "";
	int r;

	TRY(file_open(kernel, O_RDONLY, &fd, err));
	if (pread(fd, magic, 4, 0) < 0)
		return error_set_errno(err, errno, "%s", kernel);
	*ret_linux = memcmp(magic, "\177ELF", 4) != 0;
	if (!*ret_linux) {
		*ret_fd = steal_fd(&fd);
		return 0;
	}
	r = open_unpacked(fd, "vmlinux-", unpack_kernel, cache_dir, ret_fd, err);
	return r < 0 ? error_wrap(err, r, "%s", kernel) : 0;
}

int
initrd_open(const char *path, const char *cache_dir, uint64_t max, int *ret_fd, struct error *err)
{
	cleanup_close int fd = -1, unpacked = -1;
	cleanup_error struct error ignored = ERROR_INIT;
	uint8_t magic[8];
	struct stat st;

	TRY(file_open(path, O_RDONLY, &fd, err));
	/* Without a cache the guest does it itself, as it would elsewhere. */
	if (pread(fd, magic, sizeof(magic), 0) == sizeof(magic) &&
	    format_of(magic, sizeof(magic)) &&
	    open_unpacked(fd, "initrd-", unpack_initrd, cache_dir, &unpacked, &ignored) == 0 &&
	    fstat(unpacked, &st) == 0 && st.st_size > 0 && (uint64_t)st.st_size <= max)
		*ret_fd = steal_fd(&unpacked);
	else
		*ret_fd = steal_fd(&fd);
	return 0;
}
