/*
 * What compiles passes the verifier: programs that a grammar writes from fixed
 * random numbers are loaded into the running kernel.  Needs root.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

#define PROGRAMS (getenv("FUZZ_PROGRAMS") ? atoi(getenv("FUZZ_PROGRAMS")) : 24)

TEST(what_compiles_loads)
{
	unsigned char data[160];
	uint64_t seed = 42;

	if (geteuid() != 0 || !file_exists("/sys/kernel/btf/vmlinux"))
		test_skip("needs root and a kernel with BTF");
	setenv("FUZZ_LOAD", "1", 1);
	for (int i = 0; i < PROGRAMS; i++) {
		for (size_t k = 0; k < sizeof(data); k++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			data[k] = (unsigned char)(seed >> 56);
		}
		data[0] &= 127;
		check_int(LLVMFuzzerTestOneInput(data, sizeof(data)), ==, 0);
	}
}
