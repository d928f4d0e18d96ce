/*
 * Stage 1: the first program of the boot archive.
 *
 * The boot archive is an uncompressed cpio.  The kernel unpacks it into its root file system, which
 * is memory, and starts this program from there as /init:
 *
 *	/init			this program, static
 *	/boot/layers		one line per layer, bottom first: "SHA256 BYTES NAME"
 *	/boot/NAME		the layers: squashfs images.  They stay in memory compressed, once
 *	/boot/modules/order	names of the kernel modules needed to mount them, in load order
 *	/boot/modules/NAME.ko
 *	/overlay/		copied over the finished root.  Empty in our own archive; whoever boots
 *				the node may append another cpio (a second `initrd` in GRUB, iPXE or
 *				QEMU) with files such as /overlay/system/boot/answers.json
 *
 * What it does, in order: mounts dev, proc, sys and run; loads the modules; checks every layer
 * against its sha256; mounts each through a loop device and stacks them with overlayfs under a
 * tmpfs of bounded size; copies /overlay; removes what is no longer needed from memory; moves the
 * mounts and gives the process to /sbin/init of the new root.
 *
 * The memory file system of the kernel cannot be unmounted: it stays below the new root with the
 * layers in it, and is visible read-only as /platform, so that an installer can copy them.
 *
 * Nothing here can be repaired by hand, as there is no shell yet.  So the only answer to a failure
 * is one line that says what failed and what it may come from; the machine then waits for a reset
 * (or restarts after `panic=SECONDS`, the kernel's own parameter).
 *
 * Kernel parameters read here: init=PATH (default /sbin/init), overlay_size=SIZE (a tmpfs size such
 * as 512m or 25%; default 50%), verify=no (leave out the sha256 of the layers), panic=SECONDS.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "boot/stage1_sha256.h"

#define MAX_LAYERS 16
#define NEW_ROOT   "/newroot"

struct layer {
	char sha256[65];
	unsigned long long size;
	char name[128];
};

static char cmdline[4096];
static int kmsg = -1;

/* Everything said goes to the kernel log, which every console shows. */
static void vsay(int level, const char *fmt, va_list ap)
{
	char buf[900];
	int n = snprintf(buf, sizeof buf, "<%d>stage1: ", level);
	int m = vsnprintf(buf + n, sizeof buf - n, fmt, ap);

	if (m < 0)
		return;
	n += m < (int)sizeof buf - n ? m : (int)sizeof buf - n - 1;
	if (kmsg < 0 || write(kmsg, buf, n) < 0)
		(void)!write(STDERR_FILENO, buf + 3, n - 3);
}

static void __attribute__((format(printf, 1, 2))) say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay(6, fmt, ap);
	va_end(ap);
}

/* Value of kernel parameter `name`, or NULL.  The last one given counts. */
static const char *param(const char *name, char *buf, size_t size)
{
	const char *found = NULL;
	size_t len = strlen(name);

	for (const char *p = cmdline; *p; p += strcspn(p, " \n"), p += strspn(p, " \n")) {
		size_t n = strcspn(p, " \n");

		if (n <= len || strncmp(p, name, len) != 0 || p[len] != '=' || n - len - 1 >= size)
			continue;
		memcpy(buf, p + len + 1, n - len - 1);
		buf[n - len - 1] = '\0';
		found = buf;
	}
	return found;
}

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *fmt, ...)
{
	char buf[16];
	va_list ap;
	long wait = 0;

	va_start(ap, fmt);
	vsay(2, fmt, ap);
	va_end(ap);
	if (param("panic", buf, sizeof buf))
		wait = strtol(buf, NULL, 10);
	if (wait > 0) {
		struct timespec ts = { .tv_sec = wait };

		while (nanosleep(&ts, &ts) != 0 && errno == EINTR)
			continue;
		reboot(RB_AUTOBOOT);
	}
	for (;;)
		pause();
}

static void mount_or_die(const char *what, const char *where, const char *type,
			 unsigned long flags, const char *data)
{
	if (mkdir(where, 0755) != 0 && errno != EEXIST)
		die("cannot make directory %s: %m", where);
	if (mount(what, where, type, flags, data) != 0)
		die("cannot mount %s on %s (%s): %m", what, where, data ? data : "no options");
}

static char *read_text(const char *path, char *buf, size_t size)
{
	size_t n = 0;
	ssize_t r;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	while (n < size - 1 && (r = read(fd, buf + n, size - 1 - n)) > 0)
		n += r;
	close(fd);
	buf[n] = '\0';
	return buf;
}

static void mount_basics(void)
{
	static const struct {
		const char *from, *to;
	} links[] = {
		{ "/dev/fd", "/proc/self/fd" },
		{ "/dev/stdin", "/proc/self/fd/0" },
		{ "/dev/stdout", "/proc/self/fd/1" },
		{ "/dev/stderr", "/proc/self/fd/2" },
	};
	int fd;

	mount_or_die("dev", "/dev", "devtmpfs", MS_NOSUID, "mode=0755");
	kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	mount_or_die("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_or_die("sys", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_or_die("run", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=20%");
	if (!read_text("/proc/cmdline", cmdline, sizeof cmdline))
		die("cannot read /proc/cmdline: %m");
	for (size_t i = 0; i < sizeof links / sizeof links[0]; i++)
		if (symlink(links[i].to, links[i].from) != 0)
			die("cannot make %s: %m", links[i].from);
	/* The kernel opened a console for us only if the archive had the device node. */
	fd = open("/dev/console", O_RDWR | O_NOCTTY);
	if (fd >= 0) {
		for (int i = 0; i < 3; i++)
			dup2(fd, i);
		if (fd > 2)
			close(fd);
	}
}

static void load_modules(void)
{
	char order[4096], path[PATH_MAX], *save = NULL;

	if (!read_text("/boot/modules/order", order, sizeof order))
		die("the boot archive has no /boot/modules/order: %m");
	for (char *m = strtok_r(order, "\n", &save); m; m = strtok_r(NULL, "\n", &save)) {
		int fd;

		snprintf(path, sizeof path, "/boot/modules/%s", m);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			die("kernel module %s is not in the boot archive: %m", path);
		if (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST)
			die("cannot load kernel module %s: %m (is it of this kernel?)", path);
		close(fd);
	}
}

static size_t read_layers(struct layer *layers)
{
	char text[4096], *save = NULL;
	size_t n = 0;

	if (!read_text("/boot/layers", text, sizeof text))
		die("the boot archive has no /boot/layers: %m (was its download cut short?)");
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		if (n == MAX_LAYERS)
			die("/boot/layers names more than %d layers", MAX_LAYERS);
		if (sscanf(l, "%64[0-9a-f] %llu %127[^/ ]", layers[n].sha256, &layers[n].size,
			   layers[n].name) != 3 || strlen(layers[n].sha256) != 64)
			die("/boot/layers: bad line \"%s\"", l);
		n++;
	}
	if (n == 0)
		die("/boot/layers is empty");
	return n;
}

static void verify_layer(const struct layer *l, int fd)
{
	char hex[65];
	void *p;

	p = mmap(NULL, l->size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (p == MAP_FAILED)
		die("cannot map %s: %m", l->name);
	sha256_hex(p, l->size, hex);
	munmap(p, l->size);
	if (strcmp(hex, l->sha256) != 0)
		die("%s is damaged: its sha256 is %s, should be %s; write the medium anew or "
		    "load another image", l->name, hex, l->sha256);
}

/* Attaches `fd` to a free loop device, whose path goes to `dev`. */
static void attach_loop(const struct layer *l, int fd, char *dev, size_t size)
{
	struct loop_config config = {
		.fd = fd,
		.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR,
	};
	int ctl, n, loop;

	ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (ctl < 0)
		die("cannot open /dev/loop-control: %m");
	n = ioctl(ctl, LOOP_CTL_GET_FREE);
	if (n < 0)
		die("no free loop device for %s: %m", l->name);
	close(ctl);
	snprintf(dev, size, "/dev/loop%d", n);
	loop = open(dev, O_RDONLY | O_CLOEXEC);
	if (loop < 0)
		die("cannot open %s: %m", dev);
	snprintf((char *)config.info.lo_file_name, LO_NAME_SIZE, "%s", l->name);
	if (ioctl(loop, LOOP_CONFIGURE, &config) != 0)
		die("cannot attach %s to %s: %m", l->name, dev);
	/* With autoclear the device lives as long as somebody has it open: leave it to the mount,
	 * and hold it until then by not closing `loop` (this process passes on with exec). */
}

static void mount_layer(const struct layer *l, const char *where, bool verify)
{
	char path[PATH_MAX], dev[32];
	struct stat st;
	int fd;

	snprintf(path, sizeof path, "/boot/%s", l->name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("layer %s is not in the boot archive: %m", l->name);
	if (fstat(fd, &st) != 0)
		die("cannot stat %s: %m", path);
	if ((unsigned long long)st.st_size != l->size)
		die("%s has %lld bytes, should have %llu: the boot archive is incomplete (too little "
		    "memory, or a download cut short)", l->name, (long long)st.st_size, l->size);
	if (verify)
		verify_layer(l, fd);
	attach_loop(l, fd, dev, sizeof dev);
	mount_or_die(dev, where, "squashfs", MS_RDONLY | MS_NODEV, NULL);
	close(fd);
}

/* Mounts the layers and stacks them on NEW_ROOT under a writable tmpfs. */
static void mount_root(void)
{
	struct layer layers[MAX_LAYERS];
	char lower[1024] = "", options[1200], size[32], where[64], buf[8];
	size_t n = read_layers(layers), used = 0;
	bool verify = !(param("verify", buf, sizeof buf) && strcmp(buf, "no") == 0);

	if (mkdir("/layers", 0755) != 0)
		die("cannot make directory /layers: %m");
	for (size_t i = 0; i < n; i++) {
		snprintf(where, sizeof where, "/layers/%zu", i);
		mount_layer(&layers[i], where, verify);
	}
	/* overlayfs wants the uppermost layer first */
	for (size_t i = n; i-- > 0;)
		used += snprintf(lower + used, sizeof lower - used, "%s/layers/%zu",
				 used ? ":" : "", i);
	if (!param("overlay_size", size, sizeof size))
		strcpy(size, "50%");
	snprintf(options, sizeof options, "mode=0755,size=%s", size);
	mount_or_die("root-rw", "/rw", "tmpfs", MS_NOSUID | MS_NODEV, options);
	if (mkdir("/rw/upper", 0755) != 0 || mkdir("/rw/work", 0755) != 0)
		die("cannot make the writable layer: %m");
	snprintf(options, sizeof options, "lowerdir=%s,upperdir=/rw/upper,workdir=/rw/work", lower);
	mount_or_die("root", NEW_ROOT, "overlay", 0, options);
}

static int copy_file(int from, const char *name, int to, const struct stat *st)
{
	off_t left = st->st_size;
	int in, out, e = 0;

	in = openat(from, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (in < 0)
		return -errno;
	unlinkat(to, name, 0);
	out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0) {
		e = -errno;
		close(in);
		return e;
	}
	while (left > 0) {
		ssize_t n = sendfile(out, in, NULL, left);

		if (n <= 0) {
			e = n < 0 ? -errno : -EIO;
			break;
		}
		left -= n;
	}
	if (e == 0 && (fchown(out, st->st_uid, st->st_gid) != 0 ||
		       fchmod(out, st->st_mode & 07777) != 0))
		e = -errno;
	close(out);
	close(in);
	return e;
}

static int copy_link(int from, const char *name, int to)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(from, name, target, sizeof target - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	unlinkat(to, name, 0);
	return symlinkat(target, to, name) == 0 ? 0 : -errno;
}

/*
 * Copies the tree `from` over the tree `to`; takes both descriptors.  A directory that exists keeps
 * its owner and mode, and may be reached through a symbolic link (/lib -> usr/lib).  Returns how many
 * files were copied.
 */
static unsigned copy_tree(int from, int to)
{
	DIR *d = fdopendir(from);
	struct dirent *de;
	unsigned files = 0;

	if (!d)
		die("cannot read /overlay: %m");
	while ((de = readdir(d))) {
		const char *name = de->d_name;
		struct stat st;
		int sub_from, sub_to, e = 0;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			die("/overlay: cannot stat %s: %m", name);
		if (S_ISDIR(st.st_mode)) {
			if (mkdirat(to, name, st.st_mode & 07777) != 0 && errno != EEXIST)
				die("/overlay: cannot make directory %s: %m", name);
			sub_from = openat(from, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
			sub_to = openat(to, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			if (sub_from < 0 || sub_to < 0)
				die("/overlay: cannot open directory %s: %m", name);
			files += copy_tree(sub_from, sub_to);
			continue;
		}
		if (S_ISREG(st.st_mode))
			e = copy_file(from, name, to, &st);
		else if (S_ISLNK(st.st_mode))
			e = copy_link(from, name, to);
		else
			continue;
		if (e != 0)
			die("/overlay: cannot copy %s: %s", name, strerror(-e));
		files++;
	}
	closedir(d);
	close(to);
	return files;
}

static void apply_overlay(void)
{
	int from = open("/overlay", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int to;
	unsigned n;

	if (from < 0)
		return;
	/* Links in the new root are relative to it. */
	to = open(NEW_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (to < 0)
		die("cannot open %s: %m", NEW_ROOT);
	n = copy_tree(from, to);
	if (n > 0)
		say("%u file%s of the boot medium copied over the image", n, n == 1 ? "" : "s");
}

/* Removes a tree of the memory file system; what is mounted below is left alone. */
static void remove_tree(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct dirent *de;
	DIR *d;

	if (fd < 0 || !(d = fdopendir(fd))) {
		unlinkat(at, name, 0);
		return;
	}
	while ((de = readdir(d))) {
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		if (de->d_type == DT_DIR)
			remove_tree(fd, de->d_name);
		else
			unlinkat(fd, de->d_name, 0);
	}
	closedir(d);
	unlinkat(at, name, AT_REMOVEDIR);
}

static void free_memory(void)
{
	static const char *const trees[] = { "/kernel", "/overlay", "/boot/modules", "/init", "/root" };

	for (size_t i = 0; i < sizeof trees / sizeof trees[0]; i++)
		remove_tree(AT_FDCWD, trees[i]);
}

static void switch_root(char **argv)
{
	static const char *const moved[] = { "/dev", "/proc", "/sys", "/run" };
	static char init[256] = "/sbin/init";
	char where[64];

	mkdir(NEW_ROOT "/platform", 0755);
	if (mount("/boot", NEW_ROOT "/platform", NULL, MS_BIND, NULL) != 0 ||
	    mount(NULL, NEW_ROOT "/platform", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) != 0)
		die("cannot mount /platform: %m");
	for (size_t i = 0; i < sizeof moved / sizeof moved[0]; i++) {
		snprintf(where, sizeof where, "%s%s", NEW_ROOT, moved[i]);
		mkdir(where, 0755);
		if (mount(moved[i], where, NULL, MS_MOVE, NULL) != 0)
			die("cannot move %s to %s: %m", moved[i], where);
	}
	param("init", init, sizeof init);
	if (chdir(NEW_ROOT) != 0 || mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 ||
	    chdir("/") != 0)
		die("cannot switch to the new root: %m");
	argv[0] = init;
	execv(init, argv);
	die("cannot execute %s: %m", init);
}

int main(int argc, char **argv)
{
	if (getpid() != 1) {
		fprintf(stderr, "stage1: runs only as the first program of a boot archive\n");
		return 2;
	}
	umask(022);
	mount_basics();
	load_modules();
	mount_root();
	apply_overlay();
	free_memory();
	switch_root(argv);
}
