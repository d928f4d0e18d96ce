/*
 * Start method of svc:/system/filesystem/root: the file systems in RAM that
 * everything expects.  What stage 1 or init mounted stays.
 */
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/str.h"
#include "boot/method.h"

static const struct {
	const char *source, *target, *type;
	unsigned long flags;
	const char *data;
	bool optional; /* not every kernel or firmware has it */
} mounts[] = {
	{"proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, false},
	{"sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, false},
	{"devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755", false},
	{"devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=0620,gid=5,ptmxmode=0666", false},
	{"shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777", false},
	{"huge", "/dev/hugepages", "hugetlbfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
	 "mode=0700,pagesize=2M", true},
	{"run", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755", false},
	{"tmp", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=25%", false},
	{"bpf", "/sys/fs/bpf", "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700", true},
	{"tracefs", "/sys/kernel/tracing", "tracefs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, true},
	{"securityfs", "/sys/kernel/security", "securityfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL,
	 true},
	{"efivarfs", "/sys/firmware/efi/efivars", "efivarfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL,
	 true},
};

/* In /run: others find their place made. */
static const char *const directories[] = {
	"/run/lock", "/run/sshd", "/run/udev", "/run/zones", "/run/atoll", NULL,
};

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;

	method_init("filesystem/root");
	(void)mkdir("/dev/hugepages", 0700); /* devtmpfs has none; without it bhyve(8) copies kernels */
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		if (mounts[i].optional && !file_exists(mounts[i].target))
			continue;
		if (mount_if_needed(mounts[i].source, mounts[i].target, mounts[i].type,
				    mounts[i].flags, mounts[i].data, &err) == 0)
			continue;
		if (!mounts[i].optional)
			return method_fail(&err, "a file system of the platform is missing");
		method_log("%s", error_message(&err));
	}
	umask(022);
	for (size_t i = 0; directories[i]; i++)
		if (file_mkdir_p(directories[i], 0755, &err) < 0)
			return method_fail(&err, "/run cannot be laid out");
	return SMF_EXIT_OK;
}
