/* See coldplug.h. */
#include "boot/coldplug.h"

#include "base/str.h"
#include "os/run.h"

/* Waited for by svc:/system/device/local. */
static const char *const early[] = {
	"block", "drm",	 "graphics", "hid", "mmc", "nd",     "net", "nvme", "nvme-subsystem", "pci",
	"platform", "scsi", "serio", "usb", "virtio", "vmbus", "xen", "zfs",
};

/* No driver waits for one of these, and no link: devtmpfs makes their nodes as they have to be. */
static const char *const never[] = {
	"ata_device", "ata_link",      "ata_port",   "bdi",	       "clockevents", "clocksource",
	"container",  "event_source",  "leds",	     "machinecheck",   "mem",	      "memory",
	"memory_tiering", "node",      "pci_bus",    "pci_express",    "powercap",    "regulator",
	"scsi_host",  "serial-base",   "thermal",    "tty",	       "vc",	      "vtconsole",
	"wakeup",     "workqueue",
};

int
coldplug_announce(bool late, struct error *err)
{
	const char *argv[ARRAY_SIZE(early) + ARRAY_SIZE(never) + 4] = {"udevadm", "trigger", "--action=add"};
	cleanup_strv struct strv args = STRV_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(early); i++)
		strv_addf(&args, "--subsystem-%s=%s", late ? "nomatch" : "match", early[i]);
	for (size_t i = 0; late && i < ARRAY_SIZE(never); i++)
		strv_addf(&args, "--subsystem-nomatch=%s", never[i]);
	for (size_t i = 0; i < args.n; i++)
		argv[3 + i] = args.v[i];
	return run_capture(argv, NULL, NULL, err);
}
