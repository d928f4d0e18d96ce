/*
 * Start method of svc:/system/device/local: udevd, then the devices that may
 * be disks, NICs and consoles are announced again and waited for.  The rest
 * (sensors, buttons, the processors' own drivers) follows when the node is as
 * good as up, and nobody waits for it (smartdc_init.c).
 *
 * A driver whose device is no hardware (vhost-net, tun, fuse) is loaded by the
 * kernel when its node is opened; the nodes come from modules.devname.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>

#include "base/file.h"
#include "base/str.h"
#include "boot/coldplug.h"
#include "boot/method.h"
#include "os/run.h"

#define COLDPLUG_SECONDS 180
#define UDEVD "/usr/lib/systemd/systemd-udevd"

/* One line of modules.devname: "vhost_net vhost-net c10:238". */
static int
make_node(const char *line, struct error *err)
{
	char name[64], type;
	unsigned maj, min;
	cleanup_free char *path = NULL, *slash = NULL;

	if (sscanf(line, "%*s %63s %c%u:%u", name, &type, &maj, &min) != 4 || strstr(name, ".."))
		return 0;
	path = str_printf("/dev/%s", name);
	if (strchr(name, '/')) {
		int r;

		slash = xstrdup(path);
		*strrchr(slash, '/') = '\0';
		r = file_mkdir_p(slash, 0755, err);
		if (r < 0)
			return r;
	}
	if (mknod(path, (type == 'b' ? S_IFBLK : S_IFCHR) | 0600, makedev(maj, min)) < 0 &&
	    errno != EEXIST)
		return error_set_errno(err, errno, "%s", path);
	return 0;
}

static int
make_nodes(struct error *err)
{
	cleanup_strv struct strv lines = STRV_INIT;
	cleanup_free char *path = NULL, *text = NULL;
	struct utsname u;
	int r;

	uname(&u);
	path = str_printf("/lib/modules/%s/modules.devname", u.release);
	r = file_read(path, 0, &text, NULL, err);
	if (r < 0)
		return r;
	strv_words(&lines, text, "\n");
	for (size_t i = 0; r == 0 && i < lines.n; i++)
		if (lines.v[i][0] != '#')
			r = make_node(lines.v[i], err);
	return r;
}

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;

	method_init("device/local");
	if (make_nodes(&err) < 0) {
		method_say("no nodes for drivers on demand: %s", error_message(&err));
		error_done(&err);
	}
	if (file_mkdir_p("/run/udev", 0755, &err) < 0)
		return method_fail(&err, "udev");
	if (!file_exists("/run/udev/control") && RUN(&err, UDEVD, "--daemon") < 0)
		return method_fail(&err, "udevd does not start");
	if (coldplug_announce(false, &err) < 0)
		return method_fail(&err, "devices cannot be announced");
	/* A driver that hangs must not keep the rest of the node down. */
	if (METHOD_RUN("waiting for devices", COLDPLUG_SECONDS, &err, "udevadm", "settle",
		       "--timeout=170") < 0)
		method_say("some devices are not ready: %s", error_message(&err));
	return SMF_EXIT_OK;
}
