#include "zone/zone_fixture.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"
#include "os/cgroup.h"
#include "os/run.h"
#include "zone/model.h"

#define BUSYBOX "/bin/busybox"

static const char *const applets[] = {"sh",   "true", "cat",    "id",	  "ps",	  "sleep",
				      "echo", "ls",   "reboot", "poweroff", "hostname", "mknod",
				      "mount", "touch", "kill", "test",	  "stat",  "ln", "ip"};

/* A zone's name is unique on the machine: its cgroup is. */
struct home
make_zone(const char *word)
{
	struct home h = {.name = str_printf("t%d-%s", (int)getppid(), word)};
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_free char *root = NULL;
	cleanup_free char *dirs = NULL;

	if (getuid() != 0)
		test_skip("needs root");
	if (!cgroup_root())
		test_skip("needs cgroup v2");
	if (access(BUSYBOX, X_OK) < 0)
		test_skip("needs " BUSYBOX);
	zone_set_root(test_tmpdir());
	setenv("ATOLL_ZONEADMD", test_built("src/zone/zoneadmd"), 1);
	h.path = str_printf("%s/zones/%s", test_tmpdir(), h.name);
	root = str_printf("%s/root", h.path);
	for (const char *const *d = (const char *const[]){"bin", "sbin", "etc", "tmp", "root", "proc",
							   NULL}; *d; d++) {
		cleanup_free char *dir = str_printf("%s/%s", root, *d);

		require(file_mkdir_p(dir, 0755, &h.err) == 0);
		if (str_eq(*d, "tmp"))
			require(chmod(dir, 01777) == 0);
	}
	{
		cleanup_free char *to = str_printf("%s/bin/busybox", root);
		cleanup_free char *init = str_printf("%s/sbin/init", root);
		cleanup_free char *passwd = str_printf("%s/etc/passwd", root);
		cleanup_free char *inittab = str_printf("%s/etc/inittab", root);
		static const char users[] = "root:x:0:0:root:/root:/bin/sh\n"
					    "bob:x:1000:1000::/tmp:/bin/sh\n";
		static const char tab[] = "::sysinit:/bin/echo booted\n";

		require(RUN(&h.err, "cp", BUSYBOX, to) == 0);
		require(symlink("/bin/busybox", init) == 0);
		for (size_t i = 0; i < ARRAY_SIZE(applets); i++) {
			cleanup_free char *link = str_printf("%s/bin/%s", root, applets[i]);

			require(symlink("busybox", link) == 0);
		}
		require(file_write_atomic(passwd, users, strlen(users), 0644, NULL) == 0);
		require(file_write_atomic(inittab, tab, strlen(tab), 0644, NULL) == 0);
	}
	require(zone_config_new(h.name, "lx", h.path, &c, &h.err) == 0);
	check_ok(zone_create(c, &h.err), &h.err);
	check_ok(zone_set_installed(h.name, &h.err), &h.err);
	return h;
}

void
home_done(struct home *h)
{
	free(h->name);
	free(h->path);
	error_done(&h->err);
}

char *
in_root(const struct home *h, const char *file)
{
	return str_printf("%s/root/%s", h->path, file);
}

/* Reads the console until the text was seen; what came behind it is there for the next call. */
bool
console_shows(int fd, const char *text)
{
	static struct strbuf b;
	struct pollfd p = {.fd = fd, .events = POLLIN};

	for (;;) {
		char *hit = b.len ? strstr(b.data, text) : NULL;
		char buf[1024];
		ssize_t n;

		if (hit) {
			size_t used = (size_t)(hit - b.data) + strlen(text);

			memmove(b.data, b.data + used, b.len - used + 1);
			b.len -= used;
			return true;
		}
		if (poll(&p, 1, 60000) <= 0)
			return false;
		n = read(fd, buf, sizeof(buf));
		if (n <= 0)
			return false;
		strbuf_add(&b, buf, (size_t)n);
	}
}
