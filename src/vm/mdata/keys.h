/* Which metadata key of a guest is what: see mdata(8) for the list of sdc: keys. */
#ifndef VM_MDATA_KEYS_H
#define VM_MDATA_KEYS_H

#include "base/json.h"
#include "vm/mdata/proto.h"

/*
 * GET and KEYS of a VM (loaded with VM_LOAD_FILES).  The text is the caller's;
 * NULL: not found.
 */
char *mdata_value(const struct json *vm, const char *key);
char *mdata_key_list(const struct json *vm);
/* May the guest change this key?  If not, why. */
const char *mdata_read_only(const struct json *vm, const char *key);

/*
 * Answers a request of the VM `uuid`, changing its metadata.json if it asks for
 * that; never fails: what goes wrong is told to the guest.
 */
char *mdata_answer(const char *uuid, const struct mdata_request *q);

#endif
