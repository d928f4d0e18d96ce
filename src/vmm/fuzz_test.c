/* The fuzzer's target with its corpus, and with made-up inputs: random ones, and ones shaped like a driver. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "base/test.h"

#define DEVICES 18
#define VIRTIO_DEVICES 8

struct op {
	uint8_t what, size_log;
	uint16_t where;
	uint32_t offset, value;
};

static void
run(uint8_t device, const struct op *ops, size_t n)
{
	uint8_t *input = malloc(1 + n * sizeof(*ops));

	input[0] = device;
	memcpy(input + 1, ops, n * sizeof(*ops));
	LLVMFuzzerTestOneInput(input, 1 + n * sizeof(*ops));
	free(input);
}

TEST(random_accesses_break_nothing)
{
	static struct op ops[400];

	for (unsigned round = 1; round <= 10 * DEVICES; round++) {
		test_seed(round * 0x9e3779b97f4a7c15);
		for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
			ops[i] = (struct op){(uint8_t)test_random(), (uint8_t)test_random(),
					     (uint16_t)test_random(), test_random(), test_random()};
			/* Small values are indexes, lengths, bits. */
			if (test_random() % 2)
				ops[i].value &= 0x1f;
			if (test_random() % 2)
				ops[i].offset &= 0x1fff;
		}
		run((uint8_t)(round % DEVICES), ops, sizeof(ops) / sizeof(ops[0]));
	}
}

/* Sets queues up as a driver does, with rings full of random descriptors. */
TEST(random_rings_break_nothing)
{
	static struct op ops[1400];

	for (unsigned round = 1; round <= 8 * VIRTIO_DEVICES; round++) {
		unsigned n = 0;
		const uint16_t modern = 4 << 8;

		test_seed(round * 0xd1342543de82ef95);
#define OP(...) ops[n++] = (struct op){__VA_ARGS__}
		OP(1, 0, modern, 20, 3);
		OP(1, 2, modern, 8, 1);
		OP(1, 2, modern, 12, 1); /* VERSION_1 */
		OP(1, 0, modern, 20, 11);
		for (unsigned q = 0; q < 4; q++) {
			OP(1, 1, modern, 22, q);
			OP(1, 1, modern, 24, 16);
			OP(1, 2, modern, 32, 0x10000 + q * 0x10000);
			OP(1, 2, modern, 40, 0x11000 + q * 0x10000);
			OP(1, 2, modern, 48, 0x12000 + q * 0x10000);
			OP(1, 1, modern, 28, 1);
		}
		OP(1, 0, modern, 20, 15);
		while (n + 8 < sizeof(ops) / sizeof(ops[0])) {
			unsigned q = test_random() % 4, base = 0x10000 + q * 0x10000,
				 i = test_random() % 16;

			OP(6, 2, 0, base + 16 * i,
			   test_random() % 8 ? test_random() % 0x400000 : test_random());
			OP(6, 2, 0, base + 16 * i + 4, 0);
			OP(6, 2, 0, base + 16 * i + 8,
			   test_random() % 4 ? test_random() % 8192 : test_random());
			OP(6, 2, 0, base + 16 * i + 12,
			   test_random() % 8 | (test_random() % 18) << 16);
			OP(6, 1, 0, base + 0x1004 + 2 * i, test_random() % 17);
			OP(6, 1, 0, base + 0x1002, test_random() % 64);
			OP(1, 1, modern, 0x3000 + 4 * q, q);
			if (test_random() % 32 == 0)
				OP(1, 0, modern, 20, test_random() % 16);
		}
		run((uint8_t)(round % VIRTIO_DEVICES), ops, n);
	}
}

/* What libFuzzer found worth keeping. */
TEST(the_corpus_breaks_nothing)
{
	test_corpus("src/vmm/testdata/fuzz_device", LLVMFuzzerTestOneInput);
}
