#include "vmm/boot/boot.h"

#include "vmm/vm.h"

int
boot_load(struct vm *vm, struct error *err)
{
	const char *kernel = config_get(vm->config, "boot.kernel", NULL);

	if (kernel)
		return boot_linux(vm, kernel, err);
	return error_set(err, EINVAL,
			 "nothing to boot: expected -l kernel,FILE or -l bootrom,ROM[,VARS]");
}
