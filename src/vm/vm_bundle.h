/* A VM as one stream: `vmadm send`, `vmadm receive`. */
#ifndef VM_VM_BUNDLE_H
#define VM_VM_BUNDLE_H

#include <stdint.h>

#include "base/error.h"

/* The VM must be stopped. */
int vm_send(const char *uuid, int fd, struct error *err);
int vm_receive(int fd, char **ret_uuid, struct error *err);

/* A header of 512 bytes; for the test and the fuzzer. */
int vm_bundle_header_parse(const char *block, char ret_name[256], uint64_t *ret_size,
			   uint64_t *ret_padded, struct error *err);

#endif
