/* dtrace(8) in zones. */
#include "dtrace/dtrace_main.h"

int
main(int argc, char **argv)
{
	return dtrace_client(argc, argv);
}
