/*
 * The brands there are, and what their processes may ask of the kernel.
 *
 * A zone's root is root in its own user namespace only, so most of what follows
 * is a second wall: calls that load code into the kernel or reach hardware, and
 * corners of the kernel in which user namespaces have found holes (keyrings, BPF,
 * perf, io_uring, userfaultfd, the parsers of new filesystem contexts).  ENOSYS
 * where programs know how to do without, EPERM where they expect to be refused.
 */
#include "zone/brand/brand.h"

#include <errno.h>

#include "base/str.h"
#include "os/caps.h"

static const struct seccomp_rule os_rules[] = {
	/* kernel code and its replacement */
	{"init_module", EPERM}, {"finit_module", EPERM}, {"delete_module", EPERM},
	{"create_module", ENOSYS}, {"kexec_load", EPERM}, {"kexec_file_load", EPERM},
	/* hardware, clocks, the whole machine */
	{"iopl", EPERM}, {"ioperm", EPERM}, {"settimeofday", EPERM}, {"stime", EPERM},
	{"clock_settime", EPERM}, {"clock_settime64", EPERM}, {"clock_adjtime", EPERM},
	{"clock_adjtime64", EPERM}, {"adjtimex", EPERM}, {"swapon", EPERM}, {"swapoff", EPERM},
	{"acct", EPERM}, {"quotactl", EPERM}, {"quotactl_fd", EPERM}, {"syslog", EPERM},
	{"vhangup", EPERM}, {"lookup_dcookie", ENOSYS}, {"nfsservctl", ENOSYS},
	{"pciconfig_read", EPERM}, {"pciconfig_write", EPERM},
	/* files by handle pass by every path (the shocker hole) */
	{"open_by_handle_at", EPERM},
	/* objects that know no namespace */
	{"keyctl", ENOSYS}, {"add_key", ENOSYS}, {"request_key", ENOSYS},
	/* tracing and programs in the kernel */
	{"bpf", EPERM}, {"perf_event_open", EPERM}, {"userfaultfd", EPERM},
	{"io_uring_setup", ENOSYS}, {"io_uring_enter", ENOSYS}, {"io_uring_register", ENOSYS},
	/* filesystem contexts; mount(2) stays */
	{"fsopen", ENOSYS}, {"fsconfig", ENOSYS}, {"fsmount", ENOSYS}, {"fspick", ENOSYS},
	/* NUMA placement of others, dead system calls */
	{"move_pages", EPERM}, {"migrate_pages", EPERM}, {"uselib", ENOSYS}, {"ustat", ENOSYS},
	{"sysfs", ENOSYS}, {"_sysctl", ENOSYS}, {"vm86", EPERM}, {"vm86old", EPERM},
	{0},
};
static const struct seccomp_policy os_policy = {
	.rules = os_rules, .otherwise = SCMP_ALLOW, .compat = true};

#define OS_DROP_CAPS                                                                     \
	(CAP_BIT(CAP_SYS_MODULE) | CAP_BIT(CAP_SYS_RAWIO) | CAP_BIT(CAP_SYS_TIME) |      \
	 CAP_BIT(CAP_MAC_ADMIN) | CAP_BIT(CAP_MAC_OVERRIDE) | CAP_BIT(CAP_SYSLOG) |      \
	 CAP_BIT(CAP_WAKE_ALARM) | CAP_BIT(CAP_BLOCK_SUSPEND) | CAP_BIT(CAP_PERFMON) |   \
	 CAP_BIT(CAP_BPF) | CAP_BIT(CAP_CHECKPOINT_RESTORE) | CAP_BIT(CAP_AUDIT_READ))

/* A virtual machine monitor needs no new programs, users, mounts or namespaces. */
static const struct seccomp_rule vmm_rules[] = {
	{"init_module", SCMP_KILL}, {"finit_module", SCMP_KILL}, {"delete_module", SCMP_KILL},
	{"kexec_load", SCMP_KILL}, {"kexec_file_load", SCMP_KILL}, {"mount", EPERM},
	{"umount2", EPERM}, {"pivot_root", EPERM}, {"chroot", EPERM}, {"move_mount", EPERM},
	{"open_tree", EPERM}, {"mount_setattr", EPERM}, {"fsopen", EPERM}, {"fsconfig", EPERM},
	{"fsmount", EPERM}, {"fspick", EPERM}, {"setns", EPERM}, {"ptrace", EPERM},
	{"process_vm_readv", EPERM}, {"process_vm_writev", EPERM}, {"pidfd_getfd", EPERM},
	{"keyctl", EPERM}, {"add_key", EPERM}, {"request_key", EPERM}, {"bpf", EPERM},
	{"perf_event_open", EPERM}, {"userfaultfd", EPERM}, {"open_by_handle_at", EPERM},
	{"iopl", EPERM}, {"ioperm", EPERM}, {"swapon", EPERM}, {"swapoff", EPERM},
	{"reboot", EPERM}, {"settimeofday", EPERM}, {"clock_settime", EPERM},
	{"clock_adjtime", EPERM}, {"adjtimex", EPERM}, {"acct", EPERM}, {"syslog", EPERM},
	{"quotactl", EPERM}, {"setuid", EPERM}, {"setgid", EPERM}, {"setreuid", EPERM},
	{"setregid", EPERM}, {"setresuid", EPERM}, {"setresgid", EPERM}, {"setgroups", EPERM},
	{"personality", EPERM}, {"unshare", EPERM}, {"modify_ldt", EPERM},
	{0},
};
static const struct seccomp_policy vmm_policy = {
	.rules = vmm_rules, .otherwise = SCMP_ALLOW, .compat = false, .deny_new_userns = true};

static const struct brand brands[] = {
	{"lx", "LX", false, "/sbin/init", "/native/.zonecontrol", &os_policy, OS_DROP_CAPS, 60,
	 -1, "a Linux distribution"},
	{"joyent", "OS", false, "/sbin/init", "/.zonecontrol", &os_policy, OS_DROP_CAPS, 60,
	 -1, "a native zone"},
	{"kvm", "KVM", true, NULL, NULL, &vmm_policy, ~UINT64_C(0), 180,
	 -1, "a virtual machine run by QEMU"},
	{"bhyve", "BHYV", true, NULL, NULL, &vmm_policy, ~UINT64_C(0), 180,
	 0, "a virtual machine run by bhyve(8)"},
	{0},
};

const struct brand *
brand_at(size_t i)
{
	return i < ARRAY_SIZE(brands) - 1 ? &brands[i] : NULL;
}

const struct brand *
brand_find(const char *name)
{
	for (size_t i = 0; brands[i].name; i++)
		if (str_eq(brands[i].name, name))
			return &brands[i];
	return NULL;
}
