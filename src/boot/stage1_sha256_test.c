/* The vectors are of FIPS 180-4's examples; the two implementations must agree on every length. */
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "boot/stage1_sha256.h"

static const struct {
	const char *text, *hex;
} vectors[] = {
	{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
};

TEST(known_digests)
{
	char hex[65];

	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		sha256_hex(vectors[i].text, strlen(vectors[i].text), hex);
		check_str(hex, vectors[i].hex);
		sha256_hex_portable(vectors[i].text, strlen(vectors[i].text), hex);
		check_str(hex, vectors[i].hex);
	}
}

TEST(both_ways_agree_on_every_length)
{
	unsigned char data[300];
	char a[65], b[65];

	for (size_t i = 0; i < sizeof data; i++)
		data[i] = i * 7 + 3;
	for (size_t n = 0; n <= sizeof data; n++) {
		sha256_hex(data, n, a);
		sha256_hex_portable(data, n, b);
		check_str(a, b);
	}
}

TEST(a_million_times_a)
{
	size_t n = 1000000;
	char *data = malloc(n), hex[65];

	require(data);
	memset(data, 'a', n);
	sha256_hex(data, n, hex);
	check_str(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	free(data);
}
