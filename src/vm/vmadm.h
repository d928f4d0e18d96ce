/* Parts of the command that are files of their own. */
#ifndef VM_VMADM_H
#define VM_VMADM_H

#include <stdbool.h>

#include "base/error.h"

int vmadm_main(int argc, char **argv);

/* Joins the terminal and the console until ^] or the end of either. */
int vmadm_console(const char *uuid, struct error *err);

struct vmadm_events_opts {
	const char *uuid; /* NULL: all VMs */
	bool full, json, ready;
};
/* Prints events of vminfod until interrupted. */
int vmadm_events(const struct vmadm_events_opts *opts, struct error *err);

#endif
