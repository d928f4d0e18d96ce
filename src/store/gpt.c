/*
 * Writing a GUID partition table (UEFI 2.10, chapter 5).
 *
 * LBA 0 holds a protective MBR, LBA 1 the header, LBA 2.. 128 entries of 128
 * bytes; the last blocks hold the entries and the header once more.  Data
 * partitions lie between, on 1 MiB boundaries.  Blocks are the device's logical
 * ones.  All is written, the primary header last, and only then is the kernel
 * told.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "store/disk.h"
#include "store/zfs_impl.h"

enum { GPT_ENTRIES = 128, GPT_ENTRY_SIZE = 128 };
#define MIB (1ULL << 20)

struct gpt_guid {
	uint8_t b[16];
};
struct gpt_header {
	char signature[8];
	uint32_t revision;
	uint32_t size;
	uint32_t crc;
	uint32_t reserved;
	uint64_t my_lba;
	uint64_t alternate_lba;
	uint64_t first_usable;
	uint64_t last_usable;
	struct gpt_guid disk;
	uint64_t entries_lba;
	uint32_t n_entries;
	uint32_t entry_size;
	uint32_t entries_crc;
} __attribute__((packed));
struct gpt_entry {
	struct gpt_guid type;
	struct gpt_guid unique;
	uint64_t first;
	uint64_t last;
	uint64_t attributes;
	uint16_t name[36];
} __attribute__((packed));

struct gpt {
	uint32_t block;
	uint64_t blocks;
	struct gpt_entry entries[GPT_ENTRIES];
};

static uint32_t
crc32_of(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t crc = ~0U;

	while (len--) {
		crc ^= *p++;
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (0xedb88320U & -(crc & 1));
	}
	return ~crc;
}

/* Text to the mixed-endian form on disk: the first three groups are little-endian numbers. */
static void
guid_parse(const char *text, struct gpt_guid *g)
{
	static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
	size_t n = 0;

	for (const char *p = text; *p && n < 16;) {
		if (*p == '-') {
			p++;
			continue;
		}
		char two[3] = {p[0], p[1], 0};

		g->b[order[n++]] = (uint8_t)strtoul(two, NULL, 16);
		p += 2;
	}
}

static void
guid_random(struct gpt_guid *g)
{
	char text[UUID_LEN + 1];

	uuid_random(text);
	guid_parse(text, g);
}

static int
measure(int fd, const char *path, struct gpt *g, struct error *err)
{
	struct stat st;
	uint64_t bytes;
	int block;

	if (fstat(fd, &st) < 0)
		return error_set_errno(err, errno, "%s", path);
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(fd, BLKGETSIZE64, &bytes) < 0 || ioctl(fd, BLKSSZGET, &block) < 0)
			return error_set_errno(err, errno, "%s", path);
	} else if (S_ISREG(st.st_mode)) {
		bytes = (uint64_t)st.st_size;
		block = 512;
	} else {
		return error_set(err, ENODEV, "%s is neither a disk nor an image file", path);
	}
	g->block = (uint32_t)block;
	g->blocks = bytes / g->block;
	return 0;
}

static int
place(struct gpt *g, const char *path, const struct disk_part *parts, size_t n, struct error *err)
{
	uint64_t align = MIB / g->block, next = align;
	/* The end is cut to 1 MiB too, which leaves room for the second table. */
	uint64_t end = g->blocks * g->block < 4 * MIB ? 0 : (g->blocks - align) / align * align;

	if (n > GPT_ENTRIES)
		return error_set(err, EINVAL, "%s: %zu partitions", path, n);
	for (size_t i = 0; i < n; i++) {
		struct gpt_entry *e = &g->entries[i];
		uint64_t want = (parts[i].size + MIB - 1) / MIB * align;

		if (parts[i].size == 0)
			want = end > next ? end - next : 0;
		if (want == 0 || next + want > end)
			return error_set(err, ENOSPC, "%s is too small: no room for partition %zu (%s)",
					 path, i + 1, parts[i].label);
		guid_parse(parts[i].type, &e->type);
		guid_random(&e->unique);
		e->first = next;
		e->last = next + want - 1;
		for (size_t k = 0; parts[i].label[k] && k < 36; k++)
			e->name[k] = (uint16_t)(unsigned char)parts[i].label[k];
		next += want;
	}
	return 0;
}

static int
put(int fd, const char *path, const void *data, size_t len, uint64_t offset, struct error *err)
{
	ssize_t n = pwrite(fd, data, len, (off_t)offset);

	if (n == (ssize_t)len)
		return 0;
	return error_set_errno(err, n < 0 ? errno : EIO, "%s", path);
}

static void
protective_mbr(const struct gpt *g, uint8_t *mbr)
{
	uint64_t size = g->blocks - 1;
	uint32_t size32 = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size, one = 1;

	mbr[446 + 2] = 2; /* CHS of LBA 1 */
	mbr[446 + 4] = 0xee;
	memset(mbr + 446 + 5, 0xff, 3);
	memcpy(mbr + 446 + 8, &one, 4);
	memcpy(mbr + 446 + 12, &size32, 4);
	mbr[510] = 0x55;
	mbr[511] = 0xaa;
}

static int
write_tables(int fd, const char *path, const struct gpt *g, struct error *err)
{
	uint64_t table_blocks = (sizeof(g->entries) + g->block - 1) / g->block;
	cleanup_free uint8_t *block = xcalloc(1, g->block);
	struct gpt_header h = {
		.signature = {'E', 'F', 'I', ' ', 'P', 'A', 'R', 'T'},
		.revision = 0x10000,
		.size = sizeof(h),
		.first_usable = 2 + table_blocks,
		.last_usable = g->blocks - 2 - table_blocks,
		.n_entries = GPT_ENTRIES,
		.entry_size = GPT_ENTRY_SIZE,
		.entries_crc = crc32_of(g->entries, sizeof(g->entries)),
	};
	uint64_t entries[2] = {g->blocks - 1 - table_blocks, 2};
	uint64_t header[2] = {g->blocks - 1, 1};
	int r;

	guid_random(&h.disk);
	protective_mbr(g, block);
	r = put(fd, path, block, g->block, 0, err);
	/* The copy at the end first, the header the kernel reads last. */
	for (int i = 0; r == 0 && i < 2; i++) {
		r = put(fd, path, g->entries, sizeof(g->entries), entries[i] * g->block, err);
		if (r < 0)
			return r;
		h.my_lba = header[i];
		h.alternate_lba = header[1 - i];
		h.entries_lba = entries[i];
		h.crc = 0;
		h.crc = crc32_of(&h, sizeof(h));
		memset(block, 0, g->block);
		memcpy(block, &h, sizeof(h));
		r = put(fd, path, block, g->block, header[i] * g->block, err);
	}
	if (r == 0 && fsync(fd) < 0)
		r = error_set_errno(err, errno, "%s", path);
	return r;
}

/* Old labels at the start and end of a partition must not be taken for its content. */
static int
wipe_ends(int fd, const char *path, const struct gpt *g, size_t n, struct error *err)
{
	cleanup_free char *zeros = xcalloc(1, MIB);
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		uint64_t first = g->entries[i].first * g->block;
		uint64_t end = (g->entries[i].last + 1) * g->block;

		r = put(fd, path, zeros, MIB, first, err);
		if (r == 0 && end - first > MIB)
			r = put(fd, path, zeros, MIB, end - MIB, err);
	}
	return r;
}

int
disk_partition(const char *path, const struct disk_part *parts, size_t n, struct error *err)
{
	/* O_EXCL on a block device: not while it is mounted or in a pool. */
	cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC | O_EXCL);
	cleanup_free struct gpt *g = xcalloc(1, sizeof(*g));
	struct stat st;
	int r;

	if (fd < 0)
		return error_set_errno(err, errno, "%s", path);
	r = measure(fd, path, g, err);
	if (r == 0)
		r = place(g, path, parts, n, err);
	if (r == 0)
		r = wipe_ends(fd, path, g, n, err);
	if (r == 0)
		r = write_tables(fd, path, g, err);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0 || !S_ISBLK(st.st_mode))
		return 0;
	if (ioctl(fd, BLKRRPART) < 0)
		return error_set_errno(err, errno, "%s: having the kernel read the new partitions",
				       path);
	/*
	 * udev watches whole disks: when we close, it has the kernel read the table
	 * once more, and the nodes go and come back.  Wait until that is over.
	 */
	close(steal_fd(&fd));
	r = RUN(err, "udevadm", "settle", "--timeout=60");
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		cleanup_free char *node = disk_partition_path(path, (int)i + 1);

		r = device_wait(node, DEVICE_TIMEOUT_MS, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int
disk_partition_bootable(const char *path, struct error *err)
{
	static const struct disk_part parts[] = {
		{DISK_GPT_BIOS_BOOT, "BIOS boot", MIB},
		{DISK_GPT_ESP, "ATOLLBOOT", DISK_ESP_SIZE},
		{DISK_GPT_ZFS, "zfs", 0},
	};

	return disk_partition(path, parts, ARRAY_SIZE(parts), err);
}
