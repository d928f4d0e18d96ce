/*
 * Start method of svc:/system/device/local: udevd, then every device there is
 * is announced again, so that drivers are loaded and nodes made.
 */
#include <stdlib.h>

#include "base/file.h"
#include "base/str.h"
#include "boot/method.h"
#include "os/run.h"

#define COLDPLUG_SECONDS 180

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	const char *udevd = "/usr/lib/systemd/systemd-udevd";

	method_init("device/local");
	if (file_mkdir_p("/run/udev", 0755, &err) < 0)
		return method_fail(&err, "udev");
	if (!file_exists("/run/udev/control") && RUN(&err, udevd, "--daemon") < 0)
		return method_fail(&err, "udevd does not start");
	if (RUN(&err, "udevadm", "trigger", "--type=subsystems", "--action=add") < 0 ||
	    RUN(&err, "udevadm", "trigger", "--type=devices", "--action=add") < 0)
		return method_fail(&err, "devices cannot be announced");
	/* A driver that hangs must not keep the rest of the node down. */
	if (METHOD_RUN("waiting for devices", COLDPLUG_SECONDS, &err, "udevadm", "settle",
		       "--timeout=170") < 0)
		method_say("some devices are not ready: %s", error_message(&err));
	return SMF_EXIT_OK;
}
