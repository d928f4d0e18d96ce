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

static void
load_programs(int n)
{
	unsigned char data[160];
	uint64_t seed = getenv("FUZZ_SEED") ? strtoull(getenv("FUZZ_SEED"), NULL, 10) : 42;

	if (geteuid() != 0 || !file_exists("/sys/kernel/btf/vmlinux"))
		test_skip("needs root and a kernel with BTF");
	setenv("FUZZ_LOAD", "1", 1);
	for (int i = 0; i < n; i++) {
		for (size_t k = 0; k < sizeof(data); k++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			data[k] = (unsigned char)(seed >> 56);
		}
		data[0] &= 127;
		check_int(LLVMFuzzerTestOneInput(data, sizeof(data)), ==, 0);
	}
}

TEST(what_compiles_loads)
{
	load_programs(PROGRAMS);
}

/* A zone's: with a check before, and around each read of memory. */
TEST(what_compiles_in_a_zone_loads)
{
	setenv("FUZZ_ZONE", "1", 1);
	load_programs(PROGRAMS / 2);
}
