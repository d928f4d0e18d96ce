/* bhyve(8)'s options, all of which become configuration keys. */
#ifndef VMM_OPTIONS_H
#define VMM_OPTIONS_H

#include "vmm/config.h"

enum { OPTIONS_RUN, OPTIONS_SHOWN }; /* SHOWN: help was printed, nothing is to be run */

/* argv[0] is the program.  Returns one of the above or a negative errno. */
int options_parse(int argc, char **argv, struct config *config, struct error *err);

#endif
