/* A few properties of a VM out of the text of its zone's XML. */
#ifndef VM_VM_SCAN_H
#define VM_VM_SCAN_H

#include "base/json.h"
#include "vm/vm.h"

/* Is this field one that vm_scan() and the zone's state give? */
bool vm_scan_has(const char *field);
/* The VM with these fields and what vm_load.c needs for its state; false: read it the slow way. */
bool vm_scan(const char *path, const struct strv *fields, struct json **ret);
/* Text of a zone's XML as the JSON value of a property; NULL for NULL (vm_zone.c). */
struct json *vm_decode(const struct vm_prop *p, const char *text);

#endif
