/*
 * Zones for real, on the machine that builds: a root of busybox, booted, entered,
 * abused and taken down, each in a directory of its own.  Needs root, user namespaces
 * and cgroup v2; no ZFS, no network.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/event.h"
#include "base/file.h"
#include "base/test.h"
#include "os/cgroup.h"
#include "os/run.h"
#include "zone/model.h"
#include "zone/zone_fixture.h"

/* Runs a line in the zone; output (may be NULL) is what it printed. */
static int
sh(struct home *h, const char *user, const char *line, char **output)
{
	const char *argv[] = {line, NULL};
	int out[2], null = open("/dev/null", O_RDWR | O_CLOEXEC), status = -1;
	char buf[8192];
	ssize_t n;

	require(pipe2(out, O_CLOEXEC) == 0);
	{
		struct zone_exec_opts o = {
			.user = user, .shell = true, .in = null, .out = out[1], .err = out[1]};
		int r = zone_exec(h->name, argv, &o, &status, &h->err);

		if (r < 0) {
			test_fail(__FILE__, __LINE__, "exec '%s': %s", line,
				  error_message(&h->err));
			status = -1;
		}
	}
	close(out[1]);
	close(null);
	n = fd_read_all(out[0], buf, sizeof(buf) - 1);
	close(out[0]);
	buf[n > 0 ? n : 0] = '\0';
	if (output)
		*output = xstrdup(buf);
	return status;
}

/* Waits, woken by events, until the zone is in that state with another init than `not`. */
static bool
wait_state(struct home *h, int events, enum zone_state want, pid_t not)
{
	uint64_t end = time_mono_ms() + 60000;

	for (;;) {
		cleanup_zone_info struct zone_info zi = {0};
		struct pollfd p = {.fd = events, .events = POLLIN};
		struct zone_event e;

		if (zone_info_read(h->name, &zi, &h->err) == 0 && zi.state == want &&
		    (not == 0 || zi.init_pid != not))
			return true;
		if (time_mono_ms() > end || poll(&p, 1, 60000) <= 0)
			return false;
		while (zone_events_read(events, &e, NULL) == 0)
			zone_event_done(&e);
	}
}

static pid_t
init_pid(struct home *h)
{
	cleanup_zone_info struct zone_info zi = {0};

	check_ok(zone_info_read(h->name, &zi, &h->err), &h->err);
	return zi.init_pid;
}

/* Pids of processes called `comm` whose command line names the zone. */
static pid_t
find_process(struct home *h, const char *comm)
{
	glob_t g;
	pid_t found = 0;

	require(glob("/proc/[0-9]*", 0, NULL, &g) == 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		cleanup_free char *f = str_printf("%s/comm", g.gl_pathv[i]);
		cleanup_free char *name = NULL;
		cleanup_free char *f2 = str_printf("%s/cmdline", g.gl_pathv[i]);
		cleanup_free char *line = NULL;
		size_t len;

		if (file_read_line(f, &name, NULL) < 0 || !str_eq(name, comm) ||
		    file_read(f2, 65536, &line, &len, NULL) < 0 ||
		    !memmem(line, len, h->name, strlen(h->name)))
			continue;
		found = atoi(g.gl_pathv[i] + strlen("/proc/"));
	}
	globfree(&g);
	return found;
}

/* Never 0, which kill(2) takes for all of us; one that just changes its part is renamed soon. */
static pid_t
await_process(struct home *h, const char *comm)
{
	uint64_t end = time_mono_ms() + 60000;
	pid_t pid;

	while ((pid = find_process(h, comm)) <= 0 && time_mono_ms() < end)
		poll(NULL, 0, 5);
	require(pid > 0);
	return pid;
}

static void
check_nothing_left(struct home *h)
{
	cleanup_free char *cgroup = zone_cgroup_path(h->name);
	cleanup_free char *mounts = NULL;
	cleanup_zone_info struct zone_info zi = {0};

	check_ok(zone_info_read(h->name, &zi, &h->err), &h->err);
	check_int(zi.state, ==, ZONE_INSTALLED);
	check_int(zi.id, ==, -1);
	check_int(zi.init_pid, ==, 0);
	check(!cgroup_exists(cgroup));
	check_ok(file_read("/proc/self/mountinfo", 0, &mounts, NULL, NULL), NULL);
	check(!strstr(mounts, h->path));
}

TEST(boot_enter_halt)
{
	cleanup_home struct home h = make_zone("life");
	cleanup_free char *id = NULL, *host = NULL, *bob = NULL, *file = NULL;
	struct stat st;

	check_ok(zone_boot(h.name, NULL, &h.err), &h.err);
	check_int(zone_boot(h.name, NULL, &h.err), ==, -EBUSY);
	check_int(sh(&h, NULL, "true", NULL), ==, 0);
	check_int(sh(&h, NULL, "exit 7", NULL), ==, 7);
	check_int(sh(&h, NULL, "kill -9 $$", NULL), ==, 137);
	check_int(sh(&h, NULL, "id -u; id -g", &id), ==, 0);
	check_str(id, "0\n0\n");
	check_int(sh(&h, NULL, "hostname", &host), ==, 0);
	check_has(host, h.name);
	check_int(sh(&h, "bob", "id -u; echo $HOME; touch /tmp/f", &bob), ==, 0);
	check_has(bob, "1000\n/tmp\n");

	/* what the zone's root makes is root's on disk and never the real root's doing */
	check_int(sh(&h, NULL, "echo x > /root/file", NULL), ==, 0);
	file = in_root(&h, "root/file");
	check_int(stat(file, &st), ==, 0);
	check_int(st.st_uid, ==, 0);
	check_ok(zone_halt(h.name, &h.err), &h.err);
	check_int(zone_halt(h.name, &h.err), ==, -ESRCH);
	check_nothing_left(&h);
}

TEST(zone_root_is_not_root)
{
	cleanup_home struct home h = make_zone("power");
	cleanup_free char *path = NULL, *status = NULL;
	static const char *const refused[] = {
		"echo x > /proc/sys/kernel/core_pattern", "mknod /tmp/null c 1 3",
		/* masked: the null device, or not there */
		"test -f /proc/sysrq-trigger", "test -f /proc/kcore", "test -f /proc/timer_list",
		"echo 1 > /sys/kernel/profiling", "mount -o remount,rw /sys",
		"echo 1000000 > /sys/fs/cgroup/memory.max",
		/* it may lift the first wall, the mount flag; the second stands */
		"mount -o remount,rw /proc/sys && echo x > /proc/sys/kernel/core_pattern",
	};

	check_ok(zone_boot(h.name, NULL, &h.err), &h.err);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (sh(&h, NULL, refused[i], NULL) == 0)
			test_fail(__FILE__, __LINE__, "allowed: %s", refused[i]);
	check_int(sh(&h, NULL, "echo 5 > /proc/sys/net/ipv4/ip_default_ttl", NULL), ==, 0);
	check_int(sh(&h, NULL, "test -c /dev/null && test ! -e /dev/sda", NULL), ==, 0);
	path = str_printf("/proc/%d/status", (int)init_pid(&h));
	check_ok(file_read(path, 0, &status, NULL, &h.err), &h.err);
	check_has(status, "Uid:\t1048576\t");
	check_has(status, "Seccomp:\t2");
	check_ok(zone_halt(h.name, &h.err), &h.err);
	check_nothing_left(&h);
}

TEST(ready_then_boot)
{
	cleanup_home struct home h = make_zone("ready");
	struct zone_boot_opts o = {.ready_only = true};
	enum zone_state s;

	check_ok(zone_boot(h.name, &o, &h.err), &h.err);
	check_ok(zone_state_now(h.name, &s, &h.err), &h.err);
	check_int(s, ==, ZONE_READY);
	check_ok(zone_boot(h.name, NULL, &h.err), &h.err);
	check_int(sh(&h, NULL, "true", NULL), ==, 0);
	check_ok(zone_halt(h.name, &h.err), &h.err);
	check_ok(zone_boot(h.name, &o, &h.err), &h.err);
	check_ok(zone_halt(h.name, &h.err), &h.err);
	check_nothing_left(&h);
}

TEST(killed_daemon_is_not_noticed)
{
	cleanup_home struct home h = make_zone("kill");
	pid_t init, daemon_pid, keeper;
	int events = -1;

	require(zone_events_open(&events, &h.err) == 0);
	check_ok(zone_boot(h.name, NULL, &h.err), &h.err);
	init = init_pid(&h);
	for (int i = 0; i < 3; i++) {
		daemon_pid = await_process(&h, "zoneadmd");
		kill(daemon_pid, SIGKILL);
		check_int(sh(&h, NULL, "true", NULL), ==, 0);
		check_ok(zone_kill(h.name, SIGCONT, &h.err), &h.err); /* the new one answers */
		check_int(find_process(&h, "zoneadmd"), !=, daemon_pid);
	}
	keeper = await_process(&h, "zsched");
	kill(keeper, SIGKILL);
	check_ok(zone_kill(h.name, SIGCONT, &h.err), &h.err);
	check_int(init_pid(&h), ==, init);

	/* both at once: the next command starts them anew */
	keeper = await_process(&h, "zsched");
	daemon_pid = await_process(&h, "zoneadmd");
	kill(keeper, SIGSTOP);
	kill(daemon_pid, SIGKILL);
	kill(keeper, SIGKILL);
	check_ok(zone_kill(h.name, SIGCONT, &h.err), &h.err);
	check_int(init_pid(&h), ==, init);
	check_int(sh(&h, NULL, "true", NULL), ==, 0);
	check_ok(zone_halt(h.name, &h.err), &h.err);
	check_nothing_left(&h);
	zone_events_close(events);
}

/* Whoever asked for the boot was killed at some moment of it; what comes after waits for nothing else. */
TEST(quiesce_whatever_is_under_way)
{
	cleanup_home struct home h = make_zone("quiet");
	cleanup_free char *lock = zone_path_run(h.name, "zoneadmd.lock");

	check_ok(zone_quiesce(h.name, &h.err), &h.err);
	for (int i = 0; i < 12; i++) {
		cleanup_close int held = -1;
		pid_t pid = fork();

		if (pid == 0) {
			zone_boot(h.name, NULL, &h.err);
			_exit(0);
		}
		if (i < 11) {
			poll(NULL, 0, i * 3);
			kill(pid, SIGKILL);
		}
		waitpid(pid, NULL, 0);
		check_ok(zone_quiesce(h.name, &h.err), &h.err);
		check_ok(file_lock(lock, false, &held, &h.err), &h.err); /* no daemon */
		check_nothing_left(&h);
	}
}

TEST(reboot_and_halt_from_inside)
{
	cleanup_home struct home h = make_zone("inside");
	cleanup_zone_info struct zone_info zi = {0};
	int events = -1;
	pid_t init;

	require(zone_events_open(&events, &h.err) == 0);
	check_ok(zone_boot(h.name, NULL, &h.err), &h.err);
	init = init_pid(&h);
	sh(&h, NULL, "reboot -f", NULL);
	check(wait_state(&h, events, ZONE_RUNNING, init));
	check_ok(zone_info_read(h.name, &zi, &h.err), &h.err);
	check_int(zi.init_restarts, ==, 1);

	/* also when the daemon was killed in between: the keeper saw the status */
	kill(await_process(&h, "zoneadmd"), SIGKILL);
	init = init_pid(&h);
	sh(&h, NULL, "reboot -f", NULL);
	check(wait_state(&h, events, ZONE_RUNNING, init));
	sh(&h, NULL, "poweroff -f", NULL);
	check(wait_state(&h, events, ZONE_INSTALLED, 0));
	check_nothing_left(&h);
	zone_events_close(events);
}

TEST(shutdown_asks_then_kills)
{
	cleanup_home struct home h = make_zone("shut");
	cleanup_free char *init = in_root(&h, "sbin/init");
	static const char deaf[] = "#!/bin/sh\ntrap '' TERM INT PWR USR1 USR2\n"
				   "while :; do sleep 1000; done\n";
	uint64_t start;

	check_ok(zone_boot(h.name, NULL, &h.err), &h.err);
	check_ok(zone_shutdown(h.name, true, 30, &h.err), &h.err);
	check_int(sh(&h, NULL, "true", NULL), ==, 0);
	check_ok(zone_shutdown(h.name, false, 30, &h.err), &h.err);
	check_nothing_left(&h);

	check_int(unlink(init), ==, 0);
	check_ok(file_write_atomic(init, deaf, strlen(deaf), 0755, NULL), NULL);
	check_ok(zone_boot(h.name, NULL, &h.err), &h.err);
	start = time_mono_ms();
	check_ok(zone_shutdown(h.name, false, 1, &h.err), &h.err);
	check_int(time_mono_ms() - start, >=, 900);
	check_nothing_left(&h);
}

TEST(console_survives_reboot)
{
	cleanup_home struct home h = make_zone("console");
	cleanup_close int fd = -1;

	check_ok(zone_console_open(h.name, &fd, &h.err), &h.err); /* before it is booted */
	check_ok(zone_boot(h.name, NULL, &h.err), &h.err);
	check(console_shows(fd, "booted"));
	check_ok(zone_reboot(h.name, &h.err), &h.err);
	check(console_shows(fd, "Zone rebooting"));
	check(console_shows(fd, "booted"));
	check_ok(zone_halt(h.name, &h.err), &h.err);
	check(console_shows(fd, "[NOTICE: Zone halted]"));
	check_nothing_left(&h);
}

/* Trees a hostile zone may have left: what its next boot does, and that the host is not touched. */
static const struct hostile {
	const char *word;
	const char *remove, *link, *to;
	const char *message; /* NULL: it boots */
} hostile[] = {
	{"dev", NULL, "dev", "/etc", "/dev is, or lies behind, a symbolic link"},
	{"dev2", NULL, "dev", "../../../outside", "/dev is, or lies behind, a symbolic link"},
	{"proc", "proc", "proc", "/etc", "/proc is, or lies behind, a symbolic link"},
	{"sys", NULL, "sys", "../../outside", "/sys is, or lies behind"},
	{"run", NULL, "run", "/", "/run is, or lies behind"},
	{"native", NULL, "native", "/etc", "/native is, or lies behind"},
	{"procfile", "proc", "proc", NULL, "Not a directory"},
	{"resolv", NULL, "etc/resolv.conf", "../../../../outside/victim", NULL},
	{"hosts", NULL, "etc/hosts", "/outside/victim", NULL},
	{"hostname", NULL, "etc/hostname", "OUTSIDE/victim", NULL},
	{"etc", "etc", "etc", "OUTSIDE", NULL},
	{"noinit", "sbin", NULL, NULL, "executing /sbin/init"},
	{"init", "sbin", "sbin/init", "OUTSIDE/victim", "executing /sbin/init"},
};

TEST(hostile_roots)
{
	cleanup_free char *dir = NULL, *victim = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		const struct hostile *t = &hostile[i];
		cleanup_home struct home h = make_zone(t->word);
		cleanup_zone_config struct zone_config *c = NULL;
		cleanup_free char *link = t->link ? in_root(&h, t->link) : NULL;
		cleanup_free char *gone = t->remove ? in_root(&h, t->remove) : NULL;
		cleanup_free char *after = NULL;
		const char *to = t->to;
		char full[512];
		int r;

		if (!dir) {
			dir = str_printf("%s/outside", test_tmpdir());
			victim = str_printf("%s/victim", dir);
			check_ok(file_mkdir_p(dir, 0777, NULL), NULL);
			check_ok(file_write_atomic(victim, "intact", 6, 0666, NULL), NULL);
		}
		check_ok(zone_config_read(h.name, &c, &h.err), &h.err);
		zone_config_set_attr(c, "resolvers", "string", "10.0.0.1,10.0.0.2");
		check_ok(zone_config_write(c, &h.err), &h.err);
		if (gone)
			check_ok(file_remove_tree(gone, NULL), NULL);
		if (to && str_after(to, "OUTSIDE")) {
			snprintf(full, sizeof(full), "%s%s", dir, str_after(to, "OUTSIDE"));
			to = full;
		}
		if (link && to) {
			cleanup_free char *parent = xstrndup(link, (size_t)(strrchr(link, '/') - link));

			check_ok(file_mkdir_p(parent, 0755, NULL), NULL);
			check_int(symlink(to, link), ==, 0);
		} else if (link) {
			check_ok(file_write_atomic(link, "", 0, 0644, NULL), NULL);
		}
		r = zone_boot(h.name, NULL, &h.err);
		if (t->message && r == 0)
			test_fail(__FILE__, __LINE__, "%s: booted", t->word);
		if (t->message && r < 0)
			check_has(h.err.message, t->message);
		if (!t->message) {
			if (r < 0)
				test_fail(__FILE__, __LINE__, "%s: %s", t->word,
					  error_message(&h.err));
			check_ok(zone_halt(h.name, &h.err), &h.err);
		}
		check_nothing_left(&h);
		check_ok(file_read(victim, 100, &after, NULL, &h.err), &h.err);
		check_str(after, "intact");
	}
}

TEST(files_are_written)
{
	cleanup_home struct home h = make_zone("files");
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_free char *text = NULL;
	struct zone_res *fs;
	cleanup_free char *share = str_printf("%s/share", test_tmpdir());
	cleanup_free char *shared = str_printf("%s/f", share);
	struct strv ro = STRV_INIT;

	check_ok(file_mkdir_p(share, 0755, NULL), NULL);
	check_ok(file_write_atomic(shared, "shared", 6, 0644, NULL), NULL);
	check_ok(zone_config_read(h.name, &c, &h.err), &h.err);
	zone_config_set_attr(c, "hostname", "string", "pearl");
	zone_config_set_attr(c, "dns-domain", "string", "example.com");
	zone_config_set_attr(c, "resolvers", "string", "10.0.0.1,10.0.0.2");
	zone_config_set_attr(c, "tmpfs", "uint", "1");
	fs = zone_res_add(c, "fs");
	zone_res_set(fs, "dir", "/mnt/share");
	zone_res_set(fs, "special", share);
	zone_res_set(fs, "type", "lofs");
	strv_add(&ro, "ro");
	zone_res_set_options(fs, &ro);
	strv_done(&ro);
	check_ok(zone_config_write(c, &h.err), &h.err);
	check_ok(zone_boot(h.name, NULL, &h.err), &h.err);
	check_int(sh(&h, NULL, "hostname; cat /etc/hostname /etc/resolv.conf /etc/hosts /mnt/share/f; "
		     "cat /native/.zonecontrol/zonename", &text), ==, 0);
	check_has(text, "pearl\npearl\n");
	check_has(text, "search example.com\nnameserver 10.0.0.1\nnameserver 10.0.0.2\n");
	check_has(text, "127.0.1.1\tpearl");
	check_has(text, "shared");
	check_has(text, h.name);
	check_int(sh(&h, NULL, "touch /mnt/share/x", NULL), !=, 0);
	check_ok(zone_halt(h.name, &h.err), &h.err);
	check_nothing_left(&h);
}

/* A limit is enforced or the zone does not boot. */
TEST(limits)
{
	cleanup_home struct home h = make_zone("limits");
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_close int fd = -1;
	cleanup_free char *controllers = NULL, *max = NULL;
	cleanup_free char *path = zone_cgroup_path(h.name);
	int r;

	check_ok(zone_config_read(h.name, &c, &h.err), &h.err);
	zone_config_set_rctl(c, "zone.max-lwps", 100, "deny");
	check_ok(zone_config_write(c, &h.err), &h.err);
	check_ok(cgroup_open("", &fd, &h.err), &h.err);
	check_ok(cgroup_read(fd, "cgroup.controllers", &controllers, &h.err), &h.err);
	r = zone_boot(h.name, NULL, &h.err);
	if (!strstr(controllers, "pids")) {
		check_int(r, <, 0);
		check_has(h.err.message, "limits of zone");
		check_nothing_left(&h);
		return;
	}
	check_ok(r, &h.err);
	close(steal_fd(&fd));
	check_ok(cgroup_open(path, &fd, &h.err), &h.err);
	check_ok(cgroup_read(fd, "pids.max", &max, &h.err), &h.err);
	check_has(max, "100");
	check_ok(zone_halt(h.name, &h.err), &h.err);
	check_nothing_left(&h);
}

/* The zone's own numbers, also when the daemon that gives them is another, or none. */
TEST(proc_tells_of_the_zone)
{
	cleanup_home struct home h = make_zone("proc");
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_free char *uptime = NULL, *cpus = NULL, *stat = NULL, *later = NULL;

	check_ok(zone_config_read(h.name, &c, &h.err), &h.err);
	check_ok(zone_boot(h.name, NULL, &h.err), &h.err);
	check_int(sh(&h, NULL, "cat /proc/uptime", &uptime), ==, 0);
	check_int(atoi(uptime), <, 600); /* the machine runs longer than its tests */
	check_int(sh(&h, NULL, "cat /proc/cpuinfo; cat /proc/meminfo", &cpus), ==, 0);
	check_has(cpus, "processor\t: 0\n");
	check_has(cpus, "MemTotal: ");
	check_int(sh(&h, NULL, "cat /proc/stat", &stat), ==, 0);
	check_has(stat, "cpu0 ");
	check_has(stat, "\nbtime ");
	kill(await_process(&h, "zoneadmd"), SIGKILL);
	check_int(sh(&h, NULL, "cat /proc/uptime", NULL), ==, 0);
	check_ok(zone_kill(h.name, SIGCONT, &h.err), &h.err);
	poll(NULL, 0, 30);
	check_int(sh(&h, NULL, "cat /proc/uptime", &later), ==, 0);
	check(strcmp(uptime, later) != 0);
	check_ok(zone_halt(h.name, &h.err), &h.err);
	check_nothing_left(&h);
}

/* What QEMU says when it refuses is the message of the boot, and nothing stays. */
TEST(kvm_that_does_not_start)
{
	cleanup_home struct home h = make_zone("kvmbad");
	cleanup_zone_config struct zone_config *c = NULL;

	if (access("/usr/bin/qemu-system-x86_64", X_OK) < 0)
		test_skip("needs QEMU");
	check_ok(zone_config_read(h.name, &c, &h.err), &h.err);
	zone_config_set(c, "brand", "kvm");
	zone_config_set_attr(c, "ram", "uint", "64");
	zone_config_set_attr(c, "qemu-extra-opts", "string", "LWZyb2JuaWNhdGU="); /* -frobnicate */
	check_ok(zone_config_write(c, &h.err), &h.err);
	check_int(zone_boot(h.name, NULL, &h.err), <, 0);
	check_has(h.err.message, "frobnicate");
	check_nothing_left(&h);
}

TEST(not_installed_does_not_boot)
{
	cleanup_home struct home h = make_zone("conf");

	check_ok(zone_set_configured(h.name, &h.err), &h.err);
	check_int(zone_boot(h.name, NULL, &h.err), ==, -EBUSY);
	check_has(h.err.message, "not installed");
	check_int(zone_boot("nosuch", NULL, &h.err), ==, -ENOENT);
	check_int(zone_boot("../x", NULL, &h.err), ==, -EINVAL);
}

/* The first words of RFB; the kinds of authentication that are offered. */
static void
check_screen(struct home *h, const char *want_types)
{
	cleanup_free char *host = NULL;
	struct sockaddr_in sa = {.sin_family = AF_INET};
	cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char version[13] = "", types[8] = "";
	int port = 0;

	check_ok(zone_vnc_address(h->name, &host, &port, &h->err), &h->err);
	require(host && inet_pton(AF_INET, host, &sa.sin_addr) == 1);
	sa.sin_port = htons((uint16_t)port);
	require(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	check_int(fd_read_all(fd, version, 12), ==, 12);
	check_str(version, "RFB 003.008\n");
	check_int(fd_write_all(fd, version, 12), ==, 0);
	check_int(fd_read_all(fd, types, strlen(want_types)), ==, (int)strlen(want_types));
	check_str(types, want_types);
}

/* A virtual machine without disks: its firmware runs, and QEMU has nothing but its jail. */
TEST(kvm_in_its_jail)
{
	cleanup_home struct home h = make_zone("kvm");
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_free char *status_path = NULL, *status = NULL, *qmp = NULL, *iso = NULL;
	cleanup_free char *maps_path = NULL, *mounts = NULL, *cmd_path = NULL, *cmd = NULL;
	struct zone_res *cd;
	struct stat st;
	size_t len;
	pid_t pid;

	if (access("/usr/bin/qemu-system-x86_64", X_OK) < 0)
		test_skip("needs QEMU");
	iso = in_root(&h, "cd.iso");
	check_ok(file_write_atomic(iso, "not much of a CD", 16, 0644, NULL), NULL);
	check_int(truncate(iso, 65536), ==, 0);
	check_ok(zone_config_read(h.name, &c, &h.err), &h.err);
	zone_config_set(c, "brand", "kvm");
	zone_config_set_attr(c, "ram", "uint", "64");
	zone_config_set_attr(c, "vnc-password", "string", "c2VjcmV0"); /* secret */
	cd = zone_res_add(c, "device");
	zone_res_set(cd, "match", "/cd.iso");
	zone_res_set_attr(cd, "media", "cdrom");
	zone_res_set_attr(cd, "model", "ide");
	check_ok(zone_config_write(c, &h.err), &h.err);
	check_ok(zone_boot(h.name, NULL, &h.err), &h.err);

	pid = init_pid(&h);
	status_path = str_printf("/proc/%d/status", (int)pid);
	check_ok(file_read(status_path, 0, &status, NULL, &h.err), &h.err);
	check_has(status, "Uid:\t1048577\t1048577\t1048577\t1048577");
	check_has(status, "CapEff:\t0000000000000000");
	check_has(status, "CapBnd:\t0000000000000000");
	check_has(status, "NoNewPrivs:\t1");
	check_has(status, "Seccomp:\t2");
	check_has(status, "Seccomp_filters:\t2"); /* ours and QEMU's own */
	maps_path = str_printf("/proc/%d/mountinfo", (int)pid);
	check_ok(file_read(maps_path, 0, &mounts, NULL, &h.err), &h.err);
	check(!strstr(mounts, "/sys "));
	check(!strstr(mounts, "/home"));
	cmd_path = str_printf("/proc/%d/cmdline", (int)pid);
	check_ok(file_read(cmd_path, 0, &cmd, &len, &h.err), &h.err);
	for (size_t i = 0; i + 1 < len; i++)
		if (!cmd[i])
			cmd[i] = ' ';
	check_has(cmd, "product=SmartDC HVM");
	check_has(cmd, "ide-cd,drive=drive0,id=disk0,bootindex=");
	check(!strstr(cmd, "secret"));
	check_screen(&h, "\1\2"); /* one kind: a password */

	qmp = in_root(&h, "tmp/vm.qmp");
	check_int(stat(qmp, &st), ==, 0);
	check_int(zone_exec(h.name, (const char *const[]){"true", NULL},
			    &(struct zone_exec_opts){0}, &(int){0}, &h.err), ==, -ENOTSUP);
	kill(await_process(&h, "zoneadmd"), SIGKILL);
	{
		cleanup_close int fd = -1;

		check_ok(zone_vm_connect(h.name, "vm.console", &fd, &h.err), &h.err);
	}
	check_ok(zone_kill(h.name, SIGCONT, &h.err), &h.err); /* the new daemon answers */
	check_screen(&h, "\1\2");
	/* nothing in there hears the power button: after its time it is killed */
	check_ok(zone_shutdown(h.name, false, 1, &h.err), &h.err);
	check_nothing_left(&h);
}
