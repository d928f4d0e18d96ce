#include "os/caps.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int
caps_drop_bounding(uint64_t drop, struct error *err)
{
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++) {
		if (!(drop & CAP_BIT(cap)))
			continue;
		/* EINVAL: this kernel does not know it, so nobody has it */
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
			return error_set_errno(err, errno, "dropping capability %d", cap);
	}
	return 0;
}

int
caps_limit(uint64_t keep, struct error *err)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return error_set_errno(err, errno, "clearing ambient capabilities");
	if (syscall(SYS_capget, &head, data) < 0)
		return error_set_errno(err, errno, "capabilities");
	for (int i = 0; i < 2; i++) {
		uint32_t mask = (uint32_t)(keep >> (32 * i));

		data[i].permitted &= mask;
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &head, data) < 0)
		return error_set_errno(err, errno, "setting capabilities");
	return 0;
}
