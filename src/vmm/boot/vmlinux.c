/*
 * A kernel decompressing itself inside the guest costs a third of the boot
 * and touches twice the memory.  So it is done once on the host, and the
 * result kept under a name made of the file's identity.
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
#define PAYLOAD_OFFSET 0x248
#define PAYLOAD_LENGTH 0x24c
#define KERNEL_MAX (512U << 20)

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

static bool
unzstd(const struct payload *p, uint8_t *out)
{
	return ZSTD_decompress(out, p->out_len, p->data, p->len) == p->out_len;
}

static bool
ungzip(const struct payload *p, uint8_t *out)
{
	z_stream z = {.next_in = (uint8_t *)(uintptr_t)p->data, .avail_in = (unsigned)p->len,
		      .next_out = out, .avail_out = (unsigned)p->out_len};
	bool ok;

	if (inflateInit2(&z, 15 + 32) != Z_OK)
		return false;
	ok = inflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out == p->out_len;
	inflateEnd(&z);
	return ok;
}

static const struct {
	const char *name;
	uint8_t magic[4];
	size_t magic_len;
	bool (*decompress)(const struct payload *p, uint8_t *out);
} formats[] = {
	{"zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4, unzstd},
	{"gzip", {0x1f, 0x8b}, 2, ungzip},
};

static int
decompress(const struct payload *p, uint8_t *out, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		if (memcmp(p->data, formats[i].magic, formats[i].magic_len) != 0)
			continue;
		if (!formats[i].decompress(p, out))
			return error_set(err, EIO, "the bzImage's %s payload is damaged",
					 formats[i].name);
		return 0;
	}
	return error_set(err, ENOTSUP, "the bzImage is compressed with neither zstd nor gzip");
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

static int
unpack(int fd, const char *target, struct error *err)
{
	struct payload p;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return error_set_errno(err, errno, "fstat");

	size_t size = (size_t)st.st_size;
	const uint8_t *image = mmap(NULL, size ? size : 1, PROT_READ, MAP_PRIVATE, fd, 0);

	if (image == MAP_FAILED)
		return error_set_errno(err, errno, "cannot map the kernel");
	r = find_payload(image, size, &p, err);
	if (r == 0) {
		/* Straight from the allocator: the heap need not grow for it. */
		uint8_t *out = mmap(NULL, p.out_len, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		r = out == MAP_FAILED ? error_set_errno(err, errno, "no memory to decompress into")
				      : decompress(&p, out, err);
		if (r == 0)
			r = file_write_atomic(target, out, trim(out, p.out_len), 0600, err);
		if (out != MAP_FAILED)
			munmap(out, p.out_len);
	}
	munmap((void *)(uintptr_t)image, size);
	return r;
}

int
vmlinux_open(const char *kernel, const char *cache_dir, int *ret_fd, bool *ret_linux,
	     struct error *err)
{
	cleanup_close int fd = open(kernel, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char magic[4] = "";
	int r;

	if (fd < 0 || fstat(fd, &st) < 0 || pread(fd, magic, 4, 0) < 0)
		return error_set_errno(err, errno, "%s", kernel);
	if (memcmp(magic, "\177ELF", 4) == 0) {
		*ret_fd = steal_fd(&fd);
		*ret_linux = false;
		return 0;
	}

	cleanup_free char *path =
		str_printf("%s/vmlinux-%llx-%llx-%llx-%llx.%lx", cache_dir,
			   (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
			   (unsigned long long)st.st_size, (unsigned long long)st.st_mtim.tv_sec,
			   (unsigned long)st.st_mtim.tv_nsec);
	int cached = open(path, O_RDONLY | O_CLOEXEC);

	if (cached < 0) {
		r = file_mkdir_p(cache_dir, 0700, err);
		if (r == 0)
			r = unpack(fd, path, err);
		if (r < 0)
			return error_wrap(err, r, "%s", kernel);
		cached = open(path, O_RDONLY | O_CLOEXEC);
		if (cached < 0)
			return error_set_errno(err, errno, "%s", path);
	}
	*ret_fd = cached;
	*ret_linux = true;
	return 0;
}
