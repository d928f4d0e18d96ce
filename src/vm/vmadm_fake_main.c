/* vmadm over fake datasets below $VM_FAKE_ROOT, for tests of the command itself. */
#include <stdlib.h>

#include "vm/vm_fake.h"
#include "vm/vmadm.h"

int
main(int argc, char **argv)
{
	const char *root = getenv("VM_FAKE_ROOT");

	if (!root || *root != '/')
		return 99;
	vm_fake_init(root);
	return vmadm_main(argc, argv);
}
