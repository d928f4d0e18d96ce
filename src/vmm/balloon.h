/* The memory balloon: memory the guest lends back to the host (virtio-balloon). */
#ifndef VMM_BALLOON_H
#define VMM_BALLOON_H

#include <stdint.h>

#include "base/json.h"
#include "vmm/vm.h"

/* Asks the guest to make do with so many bytes; it follows when it can. */
int balloon_set(struct vm *vm, uint64_t bytes, struct error *err);
/* Adds target, actual and what the guest tells of its memory to an object, all in bytes. */
int balloon_describe(struct vm *vm, struct json *out, struct error *err);

#endif
