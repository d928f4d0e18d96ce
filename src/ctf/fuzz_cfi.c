/* Feeds bytes to the reader of unwinding tables, as a whole ELF file; rows must be in order. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "ctf/cfi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_close int fd = memfd_create("fuzz", MFD_CLOEXEC);
	cleanup_cfi struct cfi cfi = {0};

	if (fd < 0 || fd_write_all(fd, (const char *)data, size) < 0 ||
	    cfi_read(fd, "fuzz", &cfi, NULL) < 0)
		return 0;
	for (size_t i = 1; i < cfi.n; i++)
		if (cfi.rows[i - 1].at >= cfi.rows[i].at ||
		    cfi_at(&cfi, cfi.rows[i].at) != cfi.rows[i].rule)
			abort();
	return 0;
}
