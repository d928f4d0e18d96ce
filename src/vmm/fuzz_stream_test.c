/* The target for hostile peers with made-up input: shaped like what they send, and changed. */
#include <stdint.h>
#include <string.h>

#include "base/test.h"

TEST(a_node_that_lies_is_refused)
{
	uint8_t in[512];

	for (unsigned round = 1; round <= 40; round++) {
		size_t n = 1;

		test_seed(round * 0x9e3779b97f4a7c15);
		in[0] = test_random() % 4 ? 2 : 0;
		while (n + 96 < sizeof(in)) {
			/* a record: PAGES, ZERO, DEVICES, or something else; where; how much */
			uint64_t h[3] = {test_random() % 2 ? 2 + test_random() % 3
							   : test_random() % 16,
					 test_random() % 2 ? test_random() % (2 << 20)
							   : (uint64_t)test_random() << 32,
					 test_random() % 4
						 ? test_random() % 64
						 : (uint64_t)test_random() << (test_random() % 33)};
			size_t len = h[2] < 64 ? h[2] : 64;

			memcpy(in + n, h, sizeof(h));
			n += sizeof(h);
			for (size_t i = 0; i < len; i++)
				in[n++] = (uint8_t)test_random();
		}
		LLVMFuzzerTestOneInput(in, n);
	}
}

TEST(a_debugger_that_babbles_is_left)
{
	static const char *const packets[] = {
		"$g#67", "$G00#00", "$m1000,40#00", "$M10,4:00112233#00", "$Z0,10,1#00", "$z0,10,1#00",
		"$Z4,ffffffffffffffff,8#00", "$Hg1#00", "$Hc-1#00", "$T1#00", "$?#3f", "$c#63", "$s#73",
		"$qSupported#00", "$qXfer:features:read:target.xml:0,fff#00", "$qfThreadInfo#00", "\3",
		"$D#44", "$k#6b", "$m,#00", "$Z9,#00", "$#00", "#"};
	uint8_t in[400];

	for (unsigned round = 1; round <= 60; round++) {
		size_t n = 1;

		test_seed(round * 0xa0761d6478bd642f);
		in[0] = 4;
		while (n + 64 < sizeof(in)) {
			const char *p = packets[test_random() % (sizeof(packets) / sizeof(packets[0]))];
			size_t len = strlen(p);

			memcpy(in + n, p, len);
			if (test_random() % 4 == 0)
				in[n + test_random() % len] = (uint8_t)test_random();
			n += len;
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

		test_seed(round * 0xd1342543de82ef95);
		in[0] = 1;
		if (test_random() % 8) {
			memcpy(in + n, greeting, sizeof(greeting) - 1);
			n += sizeof(greeting) - 1;
		}
		while (n < sizeof(in))
			in[n++] = (uint8_t)(test_random() % 2 ? test_random() % 8 : test_random());
		LLVMFuzzerTestOneInput(in, n);
	}
}
