/* Questions to the monitor of a running virtual machine. */
#ifndef VM_VM_QMP_H
#define VM_VM_QMP_H

#include "base/json.h"
#include "base/str.h"

/* wanted: types as `vmadm info` takes them; none is all.  An object with one member a type. */
int vm_info(const char *uuid, const struct strv *wanted, struct json **ret, struct error *err);
/* "nmi" or "screenshot". */
int vm_sysrq(const char *uuid, const char *type, struct error *err);

#endif
