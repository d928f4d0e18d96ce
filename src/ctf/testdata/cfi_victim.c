/* A small program whose tables cfi_test.c turns bytes of. */
#include <stdio.h>

int
main(int argc, char **argv)
{
	return printf("%d %s\n", argc, argv[0]) < 0;
}
