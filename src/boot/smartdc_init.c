/*
 * Start method of svc:/system/smartdc/init: the kernel parameters that zones
 * and virtual machines rely on, and this processor's virtualization.  Other
 * drivers are loaded when their node is opened (see device_local.c) or by the
 * kernel when it is asked for a veth or a rule set.
 */
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "boot/method.h"
#include "os/run.h"

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

/* NULL if the processor has none, or its firmware does not let us. */
static const char *
kvm_module(void)
{
	static const struct {
		const char *flag, *module;
	} kinds[] = {{"svm", "kvm_amd"}, {"vmx", "kvm_intel"}};
	cleanup_free char *text = NULL;
	cleanup_strv struct strv words = STRV_INIT;
	char *end;

	if (file_read("/proc/cpuinfo", 0, &text, NULL, NULL) < 0)
		return NULL;
	/* The first processor is like the others. */
	end = strstr(text, "\n\n");
	if (end)
		*end = '\0';
	strv_words(&words, text, " \t\n");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strv_has(&words, kinds[i].flag))
			return kinds[i].module;
	return NULL;
}

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	const char *module;

	method_init("smartdc/init");
	module = kvm_module();
	if (!module)
		method_log("this processor runs no virtual machines");
	else if (RUN(&err, "modprobe", "-q", module) < 0)
		method_log("%s", error_message(&err));
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		if (file_write(settings[i].path, settings[i].value, &err) < 0)
			method_log("%s (%s): %s", settings[i].path, settings[i].why,
				   error_message(&err));
	return SMF_EXIT_OK;
}
