/* vmadm as it ships. */
#include "vm/vm_ops.h"
#include "vm/vmadm.h"

int
main(int argc, char **argv)
{
	vm_ops = &vm_ops_real;
	return vmadm_main(argc, argv);
}
