/* A program with probes of its own; it says when somebody looks. */
#include <stdio.h>

#include "victim.h"

struct box {
	int width, height;
};

int victim_steps(int from, const char *text);

__attribute__((noipa)) int
victim_steps(int from, const char *text)
{
	VICTIM_STEP(from, text);
	if (from == 2)
		VICTIM_STEP(-7, "seven");
	return from + 1;
}

int
main(int argc, char **argv)
{
	struct box b = {3, 4};

	for (int i = 0; i < 3;) {
		i = victim_steps(i, argv[0]);
		if (VICTIM_BOX_MADE_ENABLED()) {
			puts("seen");
			VICTIM_BOX_MADE(&b, 10 - i);
		}
		VICTIM_QUIET();
		if (VICTIM_ASKED_ENABLED())
			puts("asked");
		b.width++;
	}
	return argc - 1;
}
