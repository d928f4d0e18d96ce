/*
 * Start method of svc:/system/smartdc/init: the kernel parameters that zones
 * and virtual machines rely on, this processor's virtualization, and the
 * devices that device/local did not announce.  Other drivers are loaded when
 * their node is opened (see device_local.c) or when the kernel is asked for a
 * veth or a rule set.
 */
#include <glob.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "boot/coldplug.h"
#include "boot/method.h"
#include "os/run.h"

#define SETTINGS "/etc/sysctl.d/*.conf"

/* "fs.protected_links = 1", as sysctl.conf has it; a '/' in a name stays one. */
static int
set(char *line, struct error *err)
{
	cleanup_free char *path = NULL;
	char *value = strchr(line, '=');

	if (!value)
		return error_set(err, EINVAL, "no '='");
	*value++ = '\0';
	path = str_printf("/proc/sys/%s", str_trim(line));
	if (!strchr(path + strlen("/proc/sys/"), '/'))
		for (char *p = path + strlen("/proc/sys/"); *p; p++)
			if (*p == '.')
				*p = '/';
	return file_write(path, str_trim(value), err);
}

static void
set_all(const char *file)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv lines = STRV_INIT;
	cleanup_free char *text = NULL;

	if (file_read(file, 0, &text, NULL, &err) < 0) {
		method_log("%s", error_message(&err));
		return;
	}
	strv_words(&lines, text, "\n");
	for (size_t i = 0; i < lines.n; i++) {
		char *line = str_trim(lines.v[i]);

		if (*line && !strchr("#;", *line) && set(line, &err) < 0)
			method_log("%s: %s: %s", file, line, error_message(&err));
	}
}

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
	glob_t files = {0};

	method_init("smartdc/init");
	module = kvm_module();
	if (!module)
		method_log("this processor runs no virtual machines");
	else if (RUN(&err, "modprobe", "-q", module) < 0)
		method_log("%s", error_message(&err));
	if (coldplug_announce(true, &err) < 0)
		method_log("%s", error_message(&err));
	/* In the order of their names, the later one wins. */
	if (glob(SETTINGS, 0, NULL, &files) == 0)
		for (size_t i = 0; i < files.gl_pathc; i++)
			set_all(files.gl_pathv[i]);
	globfree(&files);
	return SMF_EXIT_OK;
}
