/*
 * What happens to VMs, as vminfod and `vmadm events` tell it.
 *
 * A watch holds the VMs as it saw them last.  A zone that changed is read again
 * and compared: {"date", "zonename", "uuid", "alias", "type": "create"|"modify"|
 * "delete", "changes": [{"prettyPath", "path", "from", "to", "action"}], "vm"}.
 */
#ifndef VM_VM_WATCH_H
#define VM_VM_WATCH_H

#include "base/cleanup.h"
#include "base/json.h"

struct vm_watch;

int vm_watch_open(struct vm_watch **ret, struct error *err);
void vm_watch_close(struct vm_watch *w);
DEFINE_CLEANUP(vm_watch_close, struct vm_watch *);
#define cleanup_vm_watch CLEANUP(vm_watch_closep)
/* Becomes readable when vm_watch_next() may have something. */
int vm_watch_fd(const struct vm_watch *w);
/* 0 an event, 1 none now. */
int vm_watch_next(struct vm_watch *w, struct json **ret_event, struct error *err);
/* Looks at every VM again; events of what differs come from vm_watch_next(). */
int vm_watch_rescan(struct vm_watch *w, struct error *err);
/* {"date", "type": "ready", "vms": {uuid: vm}}; the caller's. */
struct json *vm_watch_ready(const struct vm_watch *w);
/* The VMs as an array (the caller's); one of them (the watch's), or NULL. */
struct json *vm_watch_vms(const struct vm_watch *w);
const struct json *vm_watch_vm(const struct vm_watch *w, const char *uuid);

/* The changes between two values, as the "changes" of an event; the caller's. */
struct json *vm_diff(const struct json *from, const struct json *to);

#endif
