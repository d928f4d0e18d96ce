/*
 * Probes of vmadm's journal, stable.  vm_probes.h is made of this file: see src/smf/smf_probes.d.
 */
provider vm {
	/* "create", "delete" ... of a VM, step by step. */
	probe step__start(char *uuid, char *action, char *step);
	probe step__done(char *uuid, char *action, char *step);
};
