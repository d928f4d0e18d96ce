/* Feeds bytes to the parser of GRUB's environment block; what parses must print and parse again. */
#include <stdlib.h>
#include <string.h>

#include "boot/pi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_conf struct conf *env = NULL, *back = NULL;
	char block[PI_ENV_SIZE], text[PI_ENV_SIZE], again[PI_ENV_SIZE];

	/* Short inputs are filled up, as most of a block is filling. */
	memset(block, '#', sizeof(block));
	memcpy(block, data, size < sizeof(block) ? size : sizeof(block));
	if (pi_env_parse(block, sizeof(block), &env, NULL) < 0 || pi_env_print(env, text, NULL) < 0)
		return 0;
	if (pi_env_parse(text, sizeof(text), &back, NULL) < 0 || pi_env_print(back, again, NULL) < 0 ||
	    memcmp(text, again, sizeof(text)) != 0)
		abort();
	return 0;
}
