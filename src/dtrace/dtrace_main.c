/* dtrace(8) in the global zone. */
#include "dtrace/dtrace_main.h"

#include <stddef.h>

int
main(int argc, char **argv)
{
	return dtrace_main(argc, argv, NULL);
}
