/*
 * Start method of svc:/system/smartdc/init: kernel modules and parameters that
 * zones and virtual machines rely on.  A module this machine has no use for
 * (kvm_intel on AMD) is no failure.
 */
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "boot/method.h"
#include "os/run.h"

static const char *const modules[] = {"kvm_amd", "kvm_intel", "vhost_net", "tun",  "veth",
				      "fuse",	 "overlay",   "nf_tables", "loop", "zram"};

static const struct {
	const char *path, *value, *why;
} settings[] = {
	{"/proc/sys/kernel/dmesg_restrict", "1", "zones see no kernel log"},
	{"/proc/sys/kernel/kptr_restrict", "1", "nor kernel addresses"},
	{"/proc/sys/kernel/unprivileged_bpf_disabled", "1", "BPF is the platform's"},
	{"/proc/sys/kernel/sysrq", "1", "a console may ask for help"},
	{"/proc/sys/kernel/pid_max", "4194304", "many zones, many processes"},
	{"/proc/sys/fs/inotify/max_user_instances", "65536", "an init system in every zone"},
	{"/proc/sys/fs/inotify/max_user_watches", "1048576", "likewise"},
	{"/proc/sys/kernel/keys/maxkeys", "65536", "likewise"},
	{"/proc/sys/vm/max_map_count", "1048576", "databases"},
	{"/proc/sys/vm/swappiness", "10", "swap is a zvol: for emergencies"},
	{"/proc/sys/net/ipv4/neigh/default/gc_thresh3", "65536", "many VNICs"},
	{"/proc/sys/net/core/bpf_jit_enable", "1", "the switch is BPF"},
};

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;

	method_init("smartdc/init");
	for (size_t i = 0; i < ARRAY_SIZE(modules); i++)
		if (RUN(&err, "modprobe", "-q", modules[i]) < 0)
			method_log("no module %s", modules[i]);
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		if (file_write(settings[i].path, settings[i].value, &err) < 0)
			method_log("%s (%s): %s", settings[i].path, settings[i].why,
				   error_message(&err));
	return SMF_EXIT_OK;
}
