/* zoneadm(8) that is killed in the middle of changing datasets: the next command finishes, or undoes. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"
#include "os/run.h"
#include "zone/model.h"

/*
 * A `zfs` whose datasets are files: it says in `log` what it did, and while there is a file `hold` it
 * waits, before it makes or renames anything.  As the real one's, in the kernel, its work cannot be killed.
 */
static const char fake_zfs[] =
	"#!/bin/sh\n"
	"cd \"$FAKE\" || exit 1\n"
	"verb=$1\n"
	"for last; do before=$name name=$last; done\n"
	"file() { echo \"$1\" | tr / %; }\n"
	"ds=$(file \"$name\")\n"
	"case $verb in\n"
	"list) case \" $* \" in *' -j '*)\n"
	"	printf '{\"datasets\":{'; sep=\n"
	"	for f in *@*; do [ -e \"$f\" ] || continue; n=$(echo \"$f\" | tr % /)\n"
	"	printf '%s\"%s\":{\"name\":\"%s\",\"type\":\"SNAPSHOT\",\"properties\":{}}' \"$sep\" \"$n\" \"$n\"; sep=,; done\n"
	"	echo '}}' ;;\n"
	"	*) [ -e \"$ds\" ] && echo \"$name\" || { echo \"cannot open '$name': dataset does not exist\" >&2; exit 1; } ;;\n"
	"	esac; exit ;;\n"
	"esac\n"
	"{ echo \"$verb begins\" >>log\n"
	"while [ -e hold ] && [ $verb != destroy ]; do sleep 0.02; done\n"
	"case $verb in\n"
	"create|snapshot|clone) [ ! -e \"$ds\" ] || { echo \"cannot create '$name': dataset already exists\" >&2; exit 1; }\n"
	"	: >\"$ds\" ;;\n"
	"rename) [ -e \"$(file \"$before\")\" ] || { echo \"cannot open '$before': dataset does not exist\" >&2; exit 1; }\n"
	"	mv \"$(file \"$before\")\" \"$ds\" ;;\n"
	"destroy) [ -e \"$ds\" ] || { echo \"cannot open '$name': dataset does not exist\" >&2; exit 1; }\n"
	"	rm \"$ds\" ;;\n"
	"esac\n"
	"echo \"$verb ends\" >>log; } & wait $!\n";

static char *
at(const char *name)
{
	return str_printf("%s/%s", test_tmpdir(), name);
}

static bool
there(const char *name)
{
	cleanup_free char *path = at(name);

	return file_exists(path);
}

static void
hold(bool on)
{
	cleanup_free char *path = at("hold");

	if (on)
		check_ok(file_write_atomic(path, "", 0, 0600, NULL), NULL);
	else
		check(unlink(path) == 0);
}

static void
make_zone(const char *name, enum zone_state state)
{
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_free char *path = str_printf("/zones/%s", name), *zfs = at("zfs");
	cleanup_free char *search = str_printf("%s:%s", test_tmpdir(), getenv("PATH"));

	zone_set_root(test_tmpdir());
	check_ok(file_write_atomic(zfs, fake_zfs, strlen(fake_zfs), 0755, NULL), NULL);
	setenv("FAKE", test_tmpdir(), 1);
	setenv("PATH", search, 1);
	check_ok(zone_config_new(name, "lx", path, &c, NULL), NULL);
	check_ok(zone_create(c, NULL), NULL);
	if (state == ZONE_INSTALLED) {
		cleanup_free char *ds = str_printf("%s/zones%%%s", test_tmpdir(), name);

		check_ok(file_write_atomic(ds, "", 0, 0600, NULL), NULL);
		check_ok(zone_set_installed(name, NULL), NULL);
	}
}

#define ZONEADM(zone, ...) \
	((const char *const[]){test_built("src/zone/zoneadm"), "-R", test_tmpdir(), "-z", zone, __VA_ARGS__, NULL})

static pid_t
start(const char *const argv[])
{
	struct run_opts o = {.in = RUN_NULL, .out = RUN_NULL, .err = RUN_INHERIT};
	struct run_child c;

	require(run_start(argv, &o, &c, NULL) == 0);
	close(c.pidfd);
	return c.pid;
}

static int
run(const char *const argv[])
{
	int status = -1;

	run_capture(argv, NULL, &status, NULL);
	return status;
}

static bool
log_has(const char *line)
{
	cleanup_free char *path = at("log"), *text = NULL;

	return file_read(path, 0, &text, NULL, NULL) == 0 && strstr(text, line);
}

/* Waits for a lock that somebody else has.  /proc/locks shows none whose first owner is gone to a
 * namespace of pids. */
static bool
waits_for_a_lock(pid_t pid)
{
	cleanup_free char *path = str_printf("/proc/%d/syscall", (int)pid), *text = NULL;
	char *end;

	require(file_read(path, 0, &text, NULL, NULL) == 0);
	return strtol(text, &end, 10) == SYS_flock && *end == ' ';
}

/* Kills zoneadm as soon as its zfs, whose log begins anew, has begun; the zfs goes on once nothing
 * holds it. */
static void
kill_at(const char *const argv[], const char *begun)
{
	cleanup_free char *log = at("log");
	pid_t pid;

	unlink(log);
	hold(true);
	pid = start(argv);
	while (!log_has(begun))
		poll(NULL, 0, 5);
	kill(pid, SIGKILL);
	require(waitpid(pid, NULL, 0) == pid);
}

TEST(uninstall_waits_for_what_a_killed_install_started)
{
	pid_t pid;
	int status;

	make_zone("a", ZONE_CONFIGURED);
	kill_at(ZONEADM("a", "install"), "create begins");
	pid = start(ZONEADM("a", "uninstall", "-F"));
	while (!waits_for_a_lock(pid)) {
		require(!log_has("destroy begins"));
		poll(NULL, 0, 5);
	}
	hold(false);
	require(waitpid(pid, &status, 0) == pid);
	check_int(status, ==, 0);
	check(log_has("create ends"));
	check(!there("zones%a"));
}

TEST(clone_leaves_no_snapshot)
{
	make_zone("source", ZONE_INSTALLED);
	make_zone("c", ZONE_CONFIGURED);
	kill_at(ZONEADM("c", "clone", "source"), "snapshot begins");
	hold(false);
	check_int(run(ZONEADM("c", "uninstall", "-F")), ==, 0);
	check(log_has("snapshot ends"));
	check(!there("zones%source@clone-c"));
	/* and the next one is not in the way of it, if there was no uninstall */
	kill_at(ZONEADM("c", "clone", "source"), "snapshot begins");
	hold(false);
	check_int(run(ZONEADM("c", "clone", "source")), !=, 0); /* it is incomplete */
	check_int(run(ZONEADM("c", "uninstall", "-F")), ==, 0);
	check_int(run(ZONEADM("c", "clone", "source")), ==, 0);
	check(there("zones%c"));
}

TEST(move_is_finished_by_another)
{
	cleanup_zone_info struct zone_info zi = {0};

	make_zone("m", ZONE_INSTALLED);
	make_zone("n", ZONE_CONFIGURED);
	kill_at(ZONEADM("m", "move", "/zones/o"), "rename begins");
	hold(false);
	while (!log_has("rename ends"))
		poll(NULL, 0, 5);
	check_int(run(ZONEADM("m", "move", "/zones/n")), !=, 0); /* another's */
	check_int(run(ZONEADM("m", "move", "/zones/o")), ==, 0);
	check_ok(zone_info_read("m", &zi, NULL), NULL);
	check_str(zi.path, "/zones/o");
	check(there("zones%o") && !there("zones%m"));
}
