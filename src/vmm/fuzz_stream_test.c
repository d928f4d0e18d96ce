/* The target for hostile peers with made-up input: shaped like what they send, and changed. */
#include <stdint.h>
#include <string.h>

#include "base/test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t state;

static uint32_t
next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

TEST(a_node_that_lies_is_refused)
{
	uint8_t in[512];

	for (unsigned round = 1; round <= 40; round++) {
		size_t n = 1;

		state = round * 0x9e3779b97f4a7c15;
		in[0] = next() % 4 ? 2 : 0;
		while (n + 96 < sizeof(in)) {
			/* a record: PAGES, ZERO, DEVICES, or something else; where; how much */
			uint64_t h[3] = {next() % 2 ? 2 + next() % 3 : next() % 16,
					 next() % 2 ? next() % (2 << 20) : (uint64_t)next() << 32,
					 next() % 4 ? next() % 64 : (uint64_t)next() << (next() % 33)};
			size_t len = h[2] < 64 ? h[2] : 64;

			memcpy(in + n, h, sizeof(h));
			n += sizeof(h);
			for (size_t i = 0; i < len; i++)
				in[n++] = (uint8_t)next();
		}
		LLVMFuzzerTestOneInput(in, n);
	}
}

TEST(a_viewer_that_babbles_is_left)
{
	static const char greeting[] = "RFB 003.008\n\1\1";
	uint8_t in[400];

	for (unsigned round = 1; round <= 60; round++) {
		size_t n = 1;

		state = round * 0xd1342543de82ef95;
		in[0] = 1;
		if (next() % 8) {
			memcpy(in + n, greeting, sizeof(greeting) - 1);
			n += sizeof(greeting) - 1;
		}
		while (n < sizeof(in))
			in[n++] = (uint8_t)(next() % 2 ? next() % 8 : next());
		LLVMFuzzerTestOneInput(in, n);
	}
}
