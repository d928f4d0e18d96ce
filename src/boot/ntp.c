/* Start method of svc:/network/ntp: chronyd, if the configuration names a server. */
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "boot/method.h"
#include "os/run.h"

#define CHRONY_CONF "/etc/chrony/chrony.conf"

static bool
names_a_source(const char *conf)
{
	static const char *const words[] = {"server ", "pool ", "peer ", "refclock ", NULL};

	for (const char *s = conf; *s; s += strcspn(s, "\n"), s += *s == '\n')
		for (size_t i = 0; words[i]; i++)
			if (str_after(s, words[i]))
				return true;
	return false;
}

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *conf = NULL;

	method_init("network/ntp");
	if (file_read(CHRONY_CONF, 1 << 20, &conf, NULL, &err) < 0)
		return method_fail(&err, "chrony");
	if (!names_a_source(conf)) {
		method_log("no NTP server is configured (ntp_hosts): the clock is the machine's own");
		return SMF_EXIT_NODAEMON;
	}
	if (file_mkdir_p("/var/lib/chrony", 0750, &err) < 0 ||
	    file_mkdir_p("/run/chrony", 0750, &err) < 0)
		return method_fail(&err, "chrony");
	execl("/usr/sbin/chronyd", "/usr/sbin/chronyd", "-f", CHRONY_CONF, (char *)NULL);
	error_set_errno(&err, errno, "/usr/sbin/chronyd");
	return method_fail(&err, "chronyd");
}
