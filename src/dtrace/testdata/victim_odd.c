/* A program whose probes are not as our header makes them: arguments that cannot be understood, a counter in .bss. */
#include "victim_odd.h"

volatile unsigned short odd_own_semaphore;

int
main(int argc, char **argv)
{
	ODD_LOST(argc);
	/* What a compiler writes of a floating-point number. */
	__asm__ volatile(DTRACE_SITE("odd", "far", "8f@%%xmm0") ::: "memory");
	if (odd_own_semaphore)
		__asm__ volatile(DTRACE_SITE("odd", "own", "") ::: "memory");
	return argc - 1;
}
