#include "store/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/event.h"
#include "base/file.h"

void
disk_list_done(struct disk_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct disk *d = &l->disks[i];

		free(d->name);
		free(d->path);
		free(d->type);
		free(d->vendor);
		free(d->model);
		free(d->serial);
	}
	free(l->disks);
	*l = (struct disk_list)DISK_LIST_INIT;
}

/* --- one disk from sysfs */

/* The attribute DIR/attr as text, trimmed; "" if there is none. */
static char *
attr(const char *dir, const char *name)
{
	cleanup_free char *path = str_printf("%s/%s", dir, name);
	cleanup_free char *text = NULL;

	if (file_read_line(path, &text, NULL) < 0)
		return xstrdup("");
	return xstrdup(str_trim(text));
}

static uint64_t
attr_u64(const char *dir, const char *name)
{
	cleanup_free char *text = attr(dir, name);
	uint64_t n = 0;

	str_to_u64(text, 10, &n);
	return n;
}

/* What the device's place in the tree says about how it is attached; the first match counts. */
static const struct {
	const char *part;
	const char *type;
} transports[] = {
	{"/usb", "USB"},     {"/nvme", "NVME"}, {"/virtio", "VIRTIO"},
	{"/mmc", "MMC"},     {"/ata", "SATA"},  {"/xen", "XEN"},
};

static char *
transport(const char *dir)
{
	char real[PATH_MAX];
	const char *devices;

	if (!realpath(dir, real))
		return xstrdup("SCSI");
	devices = strstr(real, "/devices/");
	for (size_t i = 0; devices && i < ARRAY_SIZE(transports); i++) {
		if (strstr(devices, transports[i].part))
			return xstrdup(transports[i].type);
	}
	return xstrdup("SCSI");
}

/* SCSI keeps it in vital product data page 0x80: 4 bytes of header, then text. */
static char *
serial_of(const char *dir)
{
	static const char *const places[] = {"serial", "device/serial"};
	cleanup_free char *path = str_printf("%s/device/vpd_pg80", dir);
	cleanup_free char *page = NULL;
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		cleanup_free char *s = attr(dir, places[i]);

		if (*s)
			return steal_ptr(&s);
	}
	if (file_read(path, 4096, &page, &len, NULL) < 0 || len <= 4)
		return xstrdup("");
	for (size_t i = 4; i < len; i++) {
		if (page[i] < ' ' || page[i] > '~')
			page[i] = ' ';
	}
	return xstrdup(str_trim(page + 4));
}

/* Our ISO, also when written to a stick or disk: an ISO 9660 volume named ATOLL... */
static bool
holds_our_iso(const char *path)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char sector[2048];

	return fd >= 0 && pread(fd, sector, sizeof(sector), 16 * 2048) == sizeof(sector) &&
	       memcmp(sector + 1, "CD001", 5) == 0 && memcmp(sector + 40, "ATOLL", 5) == 0;
}

/* Our disk image: a partition that calls itself ATOLLUSB. */
static bool
holds_our_partition(const char *dir, const char *name)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	bool found = false;

	while (d && !found && (e = readdir(d))) {
		cleanup_free char *path = NULL, *text = NULL;

		if (!str_after(e->d_name, name))
			continue;
		path = str_printf("%s/%s/uevent", dir, e->d_name);
		found = file_read(path, 0, &text, NULL, NULL) == 0 &&
			strstr(text, "PARTNAME=ATOLLUSB");
	}
	if (d)
		closedir(d);
	return found;
}

static bool
is_disk(const char *dir, const char *name)
{
	cleanup_free char *device = str_printf("%s/device", dir);
	cleanup_free char *scsi_type = attr(dir, "device/type");
	static const char *const never[] = {"loop", "ram", "zram", "zd",  "dm-",
					    "md",   "nbd", "sr",   "fd"};

	for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
		if (str_after(name, never[i]))
			return false;
	}
	/* boot areas of eMMC are disks of their own to the kernel */
	if (str_after(name, "mmcblk") && (strstr(name, "boot") || strstr(name, "rpmb")))
		return false;
	if (str_eq(scsi_type, "5")) /* optical */
		return false;
	return file_exists(device) && attr_u64(dir, "hidden") == 0;
}

static void
read_disk(const char *root, const char *dir, const char *name, struct disk *d)
{
	d->name = xstrdup(name);
	d->path = str_printf("%s/dev/%s", root, name);
	for (char *p = d->name; *p; p++) {
		if (*p == '!') /* "cciss!c0d0": a slash in /dev */
			*p = '/';
	}
	d->type = transport(dir);
	d->vendor = attr(dir, "device/vendor");
	if (str_after(d->vendor, "0x")) {
		/* virtio gives a PCI number */
		free(d->vendor);
		d->vendor = xstrdup(str_eq(d->type, "VIRTIO") ? "VirtIO" : "");
	}
	d->model = attr(dir, "device/model");
	if (!*d->model && str_eq(d->type, "VIRTIO")) {
		free(d->model);
		d->model = xstrdup("Block Device");
	}
	d->serial = serial_of(dir);
	d->size = attr_u64(dir, "size") * 512;
	d->block_size = (uint32_t)attr_u64(dir, "queue/physical_block_size");
	d->removable = attr_u64(dir, "removable") != 0;
	d->ssd = attr_u64(dir, "queue/rotational") == 0;
	d->read_only = attr_u64(dir, "ro") != 0;
	d->boot_medium = holds_our_iso(d->path) || holds_our_partition(dir, name);
}

static int
by_type_and_name(const void *pa, const void *pb)
{
	const struct disk *a = pa, *b = pb;
	int c = strcmp(a->type, b->type);
	size_t la = strlen(a->name), lb = strlen(b->name);

	if (c)
		return c;
	/* sdb before sdaa: letters count up like digits */
	if (la != lb && str_after(a->name, "sd") && str_after(b->name, "sd"))
		return la < lb ? -1 : 1;
	if (la != lb && str_after(a->name, "vd") && str_after(b->name, "vd"))
		return la < lb ? -1 : 1;
	return strverscmp(a->name, b->name);
}

int
disk_list_at(const char *root, struct disk_list *ret, struct error *err)
{
	cleanup_disk_list struct disk_list l = DISK_LIST_INIT;
	cleanup_free char *block = str_printf("%s/sys/block", root);
	DIR *dir = opendir(block);
	struct dirent *e;

	if (!dir)
		return error_set_errno(err, errno, "%s", block);
	while ((e = readdir(dir))) {
		cleanup_free char *path = NULL;
		struct disk d = {0};

		if (e->d_name[0] == '.')
			continue;
		path = str_printf("%s/%s", block, e->d_name);
		if (!is_disk(path, e->d_name) || attr_u64(path, "size") == 0)
			continue;
		read_disk(root, path, e->d_name, &d);
		l.disks = xreallocarray(l.disks, l.n + 1, sizeof(*l.disks));
		l.disks[l.n++] = d;
	}
	closedir(dir);
	if (l.n)
		qsort(l.disks, l.n, sizeof(*l.disks), by_type_and_name);
	*ret = l;
	l = (struct disk_list)DISK_LIST_INIT;
	return 0;
}

int
disk_list(struct disk_list *ret, struct error *err)
{
	return disk_list_at("", ret, err);
}

const struct disk *
disk_find(const struct disk_list *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++) {
		if (str_eq(l->disks[i].name, name) || str_eq(l->disks[i].path, name))
			return &l->disks[i];
	}
	return NULL;
}

/* --- partitions and their disks */

int
disk_of_partition(const char *path, char **ret, struct error *err)
{
	char real[PATH_MAX];
	cleanup_free char *sys = NULL, *partition = NULL;
	struct stat st;
	char *slash;

	if (stat(path, &st) < 0)
		return error_set_errno(err, errno, "%s", path);
	if (!S_ISBLK(st.st_mode))
		return error_set(err, ENODEV, "%s is not a block device", path);
	sys = str_printf("/sys/dev/block/%u:%u", major(st.st_rdev), minor(st.st_rdev));
	if (!realpath(sys, real))
		return error_set_errno(err, errno, "%s", sys);
	partition = str_printf("%s/partition", real);
	if (file_exists(partition))
		*strrchr(real, '/') = '\0';
	slash = strrchr(real, '/');
	for (char *p = slash; *p; p++) {
		if (*p == '!')
			*p = '/';
	}
	*ret = str_printf("/dev%s", slash);
	return 0;
}

char *
disk_partition_path(const char *disk, int number)
{
	size_t len = strlen(disk);
	bool digit = len && disk[len - 1] >= '0' && disk[len - 1] <= '9';

	return str_printf("%s%s%d", disk, digit ? "p" : "", number);
}

/* --- waiting */

/* udev tells after it made the links (group 2); the kernel before (1). */
static int
uevent_open(struct error *err)
{
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK, .nl_groups = 1 | 2};
	cleanup_close int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				      NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return error_set_errno(err, errno, "listening for device events");
	return steal_fd(&fd);
}

int
device_wait_for(int (*ready)(void *arg), void *arg, int timeout_ms, const char *what,
		struct error *err)
{
	uint64_t end = time_mono_ms() + (uint64_t)(timeout_ms < 0 ? 0 : timeout_ms);
	cleanup_close int fd = -1;
	int r;

	/* Asked first without the socket: almost always it is there already. */
	r = ready(arg);
	if (r)
		return r;
	fd = uevent_open(err);
	if (fd < 0)
		return fd;
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		uint64_t now = time_mono_ms();
		char buf[8192];
		int wait_ms = -1;

		r = ready(arg);
		if (r)
			return r;
		if (timeout_ms >= 0) {
			if (now >= end)
				return error_set(err, ETIMEDOUT, "%s did not appear within %d s",
						 what, timeout_ms / 1000);
			wait_ms = (int)(end - now);
		}
		r = poll(&p, 1, wait_ms);
		if (r < 0 && errno != EINTR)
			return error_set_errno(err, errno, "waiting for %s", what);
		/* An overflow (ENOBUFS) is an event too. */
		while (r > 0 && recv(fd, buf, sizeof(buf), 0) > 0)
			;
	}
}

static int
node_ready(void *arg)
{
	return file_exists(arg);
}

int
device_wait(const char *path, int timeout_ms, struct error *err)
{
	int r = device_wait_for(node_ready, (void *)path, timeout_ms, path, err);

	return r < 0 ? r : 0;
}
