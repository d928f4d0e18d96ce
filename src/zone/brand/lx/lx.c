/*
 * Brand lx: a Linux distribution with its own init, on the real kernel.
 *
 * What the distribution finds is what systemd calls the container interface:
 * /proc, /sys (read-only: no udev), /dev with a handful of nodes, a cgroup2 tree
 * of its own at /sys/fs/cgroup, tmpfs at /run, container=lxc in init's environment.
 * NICs come with addresses and routes already set; hostname, resolvers and hosts
 * are written into its files before it starts, from outside, never following a
 * link of the zone's (os/mount.h).  /native holds static tools of the platform.
 */
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "os/mount.h"
#include "os/pidfd.h"
#include "store/zfs.h"
#include "zone/config.h"
#include "zone/zoneadmd/zoneadmd.h"
#include "zone/brand/lx/lx.h"

#define NATIVE_DIR "/usr/lib/brand/lx/native"

/* ---- mounts ---- */

static int
plan_root(struct daemon *d, struct zone_plan *p, struct error *err)
{
	cleanup_free char *path =
		str_printf("%s/root", zone_config_get(d->config, "zonepath"));
	int r;

	p->root_path = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (p->root_path < 0)
		return error_set_errno(err, errno, "root of the zone %s", path);
	r = mnt_clone(p->root_path, "", false, &p->root, err);
	if (r == 0)
		r = mnt_idmap(p->root, p->user_ns, false, err);
	if (r == 0)
		r = mnt_set(p->root, MOUNT_ATTR_NODEV, false, err);
	return r < 0 ? error_wrap(err, r, "%s", path) : 0;
}

/* device resources: names or patterns of the host's /dev. */
static int
plan_devices(struct daemon *d, int dev, struct error *err)
{
	zone_res_each(res, d->config, "device") {
		const char *match = zone_res_get(res, "match");
		glob_t g = {0};
		int r = 0;

		if (!str_after(match, "/dev/") || strstr(match, ".."))
			return error_set(err, EINVAL, "device %s is not below /dev", match);
		if (glob(match, 0, NULL, &g) == 0)
			for (size_t i = 0; i < g.gl_pathc && r == 0; i++)
				r = plan_device(dev, g.gl_pathv[i] + strlen("/dev/"),
						g.gl_pathv[i], 0660, err);
		globfree(&g);
		if (r < 0 && r != -EEXIST)
			return r;
	}
	if (zone_res_next(d->config, "dataset", NULL))
		return plan_device(dev, "zfs", "/dev/zfs", 0666, err);
	return 0;
}

static int
plan_dev_mounts(struct daemon *d, struct zone_plan *p, struct error *err)
{
	const uint64_t safe = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	int dev = -1, console = -1, r;

	r = plan_dev(&dev, err);
	if (r < 0)
		return r;
	plan_mount_fd(p, "/dev", dev);
	r = plan_devices(d, dev, err);
	if (r == 0)
		r = mnt_idmap(dev, p->user_ns, false, err);
	if (r == 0)
		r = mnt_clone(d->console_slave, "", false, &console, err);
	if (r < 0)
		return r;
	plan_mount_fd(p, "/dev/console", console)->file = true;
	plan_mount_fs(p, "/dev/pts", "devpts", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, "mode=620",
		      "gid=5", "ptmxmode=666", NULL);
	plan_mount_fs(p, "/dev/shm", "tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, "mode=1777",
		      NULL);
	plan_mount_fs(p, "/dev/mqueue", "mqueue", safe, NULL)->optional = true;
	return 0;
}

/* Files of /proc that tell about or command the host get the host's /dev/null above them. */
static int
plan_masks(struct zone_plan *p, struct error *err)
{
	static const char *const files[] = {"/proc/kcore", "/proc/sysrq-trigger",
					    "/proc/timer_list", "/proc/latency_stats"};
	cleanup_close int null = open("/dev/null", O_PATH | O_CLOEXEC);
	struct stat st;

	if (null < 0 || fstat(null, &st) < 0 || !S_ISCHR(st.st_mode) ||
	    st.st_rdev != makedev(1, 3))
		return error_set(err, EINVAL, "the host's /dev/null is not the null device");
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int fd = -1, r;

		if (access(files[i], F_OK) < 0)
			continue;
		r = mnt_clone(null, "", false, &fd, err);
		if (r < 0)
			return r;
		plan_mount_fd(p, files[i], fd)->file = true;
	}
	return 0;
}

static int
plan_kernel_mounts(struct daemon *d, struct zone_plan *p, struct error *err)
{
	cleanup_error struct error why = ERROR_INIT;
	const uint64_t safe = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

	plan_mount_fs(p, "/proc", "proc", safe, NULL);
	plan_bind(p, "/proc/sys", MOUNT_ATTR_RDONLY | safe);
	plan_bind(p, "/proc/sys/net", 0);
	plan_bind(p, "/proc/irq", MOUNT_ATTR_RDONLY | safe);
	plan_bind(p, "/proc/bus", MOUNT_ATTR_RDONLY | safe);
	plan_mount_fs(p, "/sys", "sysfs", MOUNT_ATTR_RDONLY | safe, NULL);
	plan_mount_fs(p, "/sys/fs/cgroup", "cgroup2", safe, NULL);
	if (lx_views_start(d, &why) < 0)
		log_warn("the zone sees the node's memory and processors: %s", error_message(&why));
	else if (lx_views_plan(d, p, err) < 0)
		return -EIO;
	return plan_masks(p, err);
}

static void
plan_tmpfs(struct daemon *d, struct zone_plan *p)
{
	const char *tmpfs = zone_config_attr(d->config, "tmpfs");
	cleanup_free char *size = NULL;
	uint64_t mib = 0;

	plan_mount_fs(p, "/run", "tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, "mode=0755", NULL);
	/* 0 or nothing: /tmp is on the zone's disk, as SmartOS has it */
	if (!tmpfs || str_to_u64(tmpfs, 10, &mib) < 0 || mib == 0)
		return;
	size = str_printf("size=%llum", (unsigned long long)mib);
	plan_mount_fs(p, "/tmp", "tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, "mode=1777", size,
		      NULL);
}

/* Host files are root's; where the filesystem can, they are the zone root's in the zone. */
static int
bind_host(struct zone_plan *p, const char *path, bool recursive, uint64_t attrs, int *ret,
	  struct error *err)
{
	cleanup_close int fd = -1;
	cleanup_free char *real = realpath(path, NULL);
	int r;

	if (!real)
		return error_set_errno(err, errno, "%s", path);
	r = mnt_clone(AT_FDCWD, real, recursive, &fd, err);
	if (r < 0)
		return r;
	r = mnt_idmap(fd, p->user_ns, recursive, NULL);
	if (r < 0)
		log_warn("%s: no id mapping on that filesystem, owners are unmapped", path);
	r = mnt_set(fd, attrs, recursive, err);
	if (r < 0)
		return r;
	*ret = steal_fd(&fd);
	return 0;
}

/* For zonename(1).  The zone may write in that directory, so no link there is followed. */
static int
write_zonename(struct daemon *d, const char *control, struct error *err)
{
	cleanup_close int fd = open(control, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_free char *line = str_printf("%s\n", d->name);

	if (fd < 0)
		return error_set_errno(err, errno, "%s", control);
	return path_write_in(fd, "/zonename", line, strlen(line), 0444, err);
}

static int
plan_native(struct daemon *d, struct zone_plan *p, struct error *err)
{
	cleanup_free char *control = zone_path_control(d->name);
	cleanup_free char *native = str_printf("%s%s", zone_root(), NATIVE_DIR);
	int fd = -1, r;

	if (str_after(d->brand->zonecontrol, "/native") && file_exists(native)) {
		r = bind_host(p, native, false,
			      MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, &fd, err);
		if (r < 0)
			return r;
		plan_mount_fd(p, "/native", fd);
	} else {
		plan_mount_fs(p, "/native", "tmpfs",
			      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
			      "mode=0755", "size=64k", NULL);
	}
	r = file_mkdir_p(control, 0700, err);
	if (r == 0)
		r = write_zonename(d, control, err);
	if (r < 0)
		return r;
	r = bind_host(p, control, false,
		      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, &fd, err);
	if (r < 0)
		return r;
	plan_mount_fd(p, d->brand->zonecontrol, fd);
	return 0;
}

static const struct {
	const char *option;
	uint64_t attr;
} fs_options[] = {
	{"ro", MOUNT_ATTR_RDONLY}, {"rw", 0}, {"nosuid", MOUNT_ATTR_NOSUID}, {"suid", 0},
	{"nodevices", MOUNT_ATTR_NODEV}, {"nodev", MOUNT_ATTR_NODEV}, {"noexec", MOUNT_ATTR_NOEXEC},
	{"exec", 0}, {"noatime", MOUNT_ATTR_NOATIME}, {"nosetuid", MOUNT_ATTR_NOSUID},
};

static int
plan_fs(struct daemon *d, struct zone_plan *p, struct error *err)
{
	zone_res_each(res, d->config, "fs") {
		const char *dir = zone_res_get(res, "dir"), *type = zone_res_get(res, "type");
		cleanup_strv struct strv options = STRV_INIT;
		uint64_t attrs = MOUNT_ATTR_NODEV;
		int fd = -1, r;

		if (!str_eq(type, "lofs") && !str_eq(type, "none"))
			return error_set(err, ENOTSUP, "fs %s: type %s is not supported", dir,
					 type);
		zone_res_options(res, &options);
		for (size_t i = 0; i < options.n; i++) {
			size_t k = 0;

			while (k < ARRAY_SIZE(fs_options) &&
			       !str_eq(fs_options[k].option, options.v[i]))
				k++;
			if (k == ARRAY_SIZE(fs_options))
				return error_set(err, EINVAL, "fs %s: option %s is not known", dir,
						 options.v[i]);
			attrs |= fs_options[k].attr;
		}
		r = bind_host(p, zone_res_get(res, "special"), true, attrs, &fd, err);
		if (r < 0)
			return error_wrap(err, r, "fs %s", dir);
		plan_mount_fd(p, dir, fd)->follow = true;
	}
	return 0;
}

/* ---- files ---- */

static const char *
hostname_of(struct daemon *d)
{
	const char *h = zone_config_attr(d->config, "hostname");

	return str_empty(h) ? d->name : h;
}

static bool
has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = text; (p = strstr(p, word)); p += n)
		if ((p == text || strchr(" \t\n", p[-1])) && (!p[n] || strchr(" \t\n.", p[n])))
			return true;
	return false;
}

static int
write_hosts(struct daemon *d, int root, struct error *err)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	cleanup_free char *old = NULL;
	int r;

	r = path_read_in(root, "/etc/hosts", 1024 * 1024, &old, NULL, NULL);
	if (r < 0)
		old = xstrdup("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
	else if (has_word(old, hostname_of(d)))
		return 0;
	strbuf_adds(&b, old);
	if (b.len && b.data[b.len - 1] != '\n')
		strbuf_addc(&b, '\n');
	strbuf_addf(&b, "127.0.1.1\t%s\n", hostname_of(d));
	return path_write_in(root, "/etc/hosts", b.data, b.len, 0644, err);
}

static int
write_resolvers(struct daemon *d, int root, struct error *err)
{
	const char *resolvers = zone_config_attr(d->config, "resolvers");
	const char *domain = zone_config_attr(d->config, "dns-domain");
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	cleanup_strv struct strv list = STRV_INIT;

	if (resolvers)
		strv_words(&list, resolvers, ", ");
	if (!list.n)
		return 0; /* the zone's own business, or DHCP's */
	strbuf_adds(&b, "# written at every boot of the zone; see vmadm(8), resolvers\n");
	if (!str_empty(domain))
		strbuf_addf(&b, "search %s\n", domain);
	for (size_t i = 0; i < list.n; i++)
		strbuf_addf(&b, "nameserver %s\n", list.v[i]);
	return path_write_in(root, "/etc/resolv.conf", b.data, b.len, 0644, err);
}

static bool
nic_is_dhcp(const struct zone_res *nic)
{
	static const char *const attrs[] = {"ips", "ip"};

	for (size_t i = 0; i < ARRAY_SIZE(attrs); i++) {
		const char *v = zone_res_attr(nic, attrs[i]);

		if (v && strstr(v, "dhcp"))
			return true;
	}
	return false;
}

/*
 * The distribution's own network scripts: told to leave NICs alone that have their
 * addresses, and to ask DHCP for the others.  ifupdown's file where it exists,
 * and systemd-networkd's, which only counts where that is enabled.
 */
static int
write_network(struct daemon *d, int root, struct error *err)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	cleanup_close int fd = -1;
	int r;

	strbuf_adds(&b, "# AUTOMATIC ZONE CONFIG: written at every boot of the zone\n"
			"auto lo\niface lo inet loopback\n");
	zone_res_each(nic, d->config, "net")
		strbuf_addf(&b, "\nauto %s\niface %s inet %s\n", zone_res_get(nic, "physical"),
			    zone_res_get(nic, "physical"), nic_is_dhcp(nic) ? "dhcp" : "manual");
	if (path_open_in(root, "/etc/network/interfaces", 0, &fd, NULL) == 0) {
		r = path_write_in(root, "/etc/network/interfaces", b.data, b.len, 0644, err);
		if (r < 0)
			return r;
		close(steal_fd(&fd));
	}
	if (path_open_in(root, "/etc/systemd/network", PATH_DIR, &fd, NULL) < 0)
		return 0;
	zone_res_each(nic, d->config, "net") {
		const char *name = zone_res_get(nic, "physical");
		cleanup_free char *file = str_printf("/etc/systemd/network/10-zone-%s.network",
						     name);
		cleanup_free char *text = str_printf(
			"# AUTOMATIC ZONE CONFIG: written at every boot of the zone\n"
			"[Match]\nName=%s\n\n%s", name,
			nic_is_dhcp(nic) ? "[Network]\nDHCP=yes\n" : "[Link]\nUnmanaged=yes\n");

		r = path_write_in(root, file, text, strlen(text), 0644, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
write_files(struct daemon *d, int root, struct error *err)
{
	cleanup_free char *name = str_printf("%s\n", hostname_of(d));
	cleanup_close int etc = -1;
	int r;

	/* an image without /etc (an application in a box) has no files to keep right */
	if (path_open_in(root, "/etc", PATH_DIR, &etc, NULL) < 0)
		return 0;
	r = path_write_in(root, "/etc/hostname", name, strlen(name), 0644, err);
	if (r == 0)
		r = write_hosts(d, root, err);
	if (r == 0)
		r = write_resolvers(d, root, err);
	if (r == 0)
		r = write_network(d, root, err);
	return r;
}

/* ---- hooks ---- */

static int
plan_program(struct daemon *d, struct zone_plan *p, struct error *err)
{
	const char *init = zone_config_attr(d->config, "init-name");
	const char *args = d->bootargs ? d->bootargs : zone_config_get(d->config, "bootargs");
	cleanup_strv struct strv words = STRV_INIT;
	cleanup_zone_info struct zone_info zi = {0};
	int r;

	r = zone_info_read(d->name, &zi, err);
	if (r < 0)
		return r;
	if (str_empty(init))
		init = d->brand->init;
	if (args)
		strv_words(&words, args, " \t");
	/* illumos boot arguments: -i another init, -s single user; the rest goes to init */
	if (words.n >= 2 && str_eq(words.v[0], "-i")) {
		strv_add(&p->argv, words.v[1]);
		strv_remove(&words, 0);
		strv_remove(&words, 0);
	} else {
		strv_add(&p->argv, init);
	}
	if (p->argv.v[0][0] != '/')
		return error_set(err, EINVAL, "init '%s' is no absolute path", p->argv.v[0]);
	for (size_t i = 0; i < words.n; i++)
		strv_add(&p->argv, str_eq(words.v[i], "-s") ? "single" : words.v[i]);

	strv_add(&p->env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	strv_add(&p->env, "TERM=linux");
	strv_add(&p->env, "HOME=/");
	strv_add(&p->env, "container=lxc");
	if (zi.uuid[0])
		strv_addf(&p->env, "container_uuid=%s", zi.uuid);
	p->hostname = xstrdup(hostname_of(d));
	if (strlen(p->hostname) > 64)
		p->hostname[64] = '\0';
	return 0;
}

static int
lx_plan(struct daemon *d, struct zone_plan *p, struct error *err)
{
	int r;

	r = plan_program(d, p, err);
	if (r == 0)
		r = plan_root(d, p, err);
	if (r == 0)
		r = write_files(d, p->root_path, err);
	if (r == 0)
		r = plan_dev_mounts(d, p, err);
	if (r == 0)
		r = plan_kernel_mounts(d, p, err);
	if (r < 0)
		return r;
	plan_tmpfs(d, p);
	r = plan_native(d, p, err);
	return r < 0 ? r : plan_fs(d, p, err);
}

static int
lx_network(struct daemon *d, int netns_fd, struct zone_plan *p, struct error *err)
{
	zone_res_each(res, d->config, "dataset") {
		int r = delegate_attach(d, zone_res_get(res, "name"), err);

		if (r < 0)
			return r;
	}
	return zone_net_up(d, netns_fd, err);
}

/*
 * How its init is asked to end.  By the program that /sbin/init leads to: systemd and
 * busybox take signals, others have shutdown(8), and SIGPWR is what is left.
 */
static int
lx_ask(struct daemon *d, bool reboot, struct error *err)
{
	cleanup_free char *path =
		str_printf("%s/root", zone_config_get(d->config, "zonepath"));
	cleanup_close int root = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_free char *program = NULL;
	int signo = SIGPWR;

	if (root < 0)
		return error_set_errno(err, errno, "%s", path);
	if (path_resolve_in(root, d->brand->init, &program, NULL) < 0)
		program = xstrdup("");
	if (strstr(program, "systemd"))
		signo = SIGRTMIN + (reboot ? 5 : 4);
	else if (strstr(program, "busybox"))
		signo = reboot ? SIGTERM : SIGUSR2;
	else if (reboot)
		signo = SIGINT;
	return pidfd_signal(d->proc.pidfd, signo, err);
}

static void
lx_stopped(struct daemon *d)
{
	cleanup_error struct error err = ERROR_INIT;

	lx_views_free(d);
	if (!d->config)
		return;
	zone_res_each(res, d->config, "dataset")
		if (zfs_zone_detach(zone_res_get(res, "name"), d->rt.init_pid, &err) < 0)
			log_warn("%s", error_message(&err));
}

static int
lx_resume(struct daemon *d, struct error *err)
{
	cleanup_error struct error why = ERROR_INIT;

	if (lx_views_start(d, &why) < 0)
		log_warn("the zone sees old numbers in /proc: %s", error_message(&why));
	return 0;
}

const struct brand_ops lx_ops = {
	.name = "lx",
	.plan = lx_plan,
	.network = lx_network,
	.ask = lx_ask,
	.resume = lx_resume,
	.stopped = lx_stopped,
	.release = lx_views_free,
};

/* A native zone is the same house with the platform's programs in it. */
const struct brand_ops joyent_ops = {
	.name = "joyent",
	.plan = lx_plan,
	.network = lx_network,
	.ask = lx_ask,
	.resume = lx_resume,
	.stopped = lx_stopped,
	.release = lx_views_free,
};
