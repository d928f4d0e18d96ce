/*
 * io: requests given to a disk and done by it; waiting for one.  What start shows
 * (block, bytes, address) is the same at done, so that they can be matched.
 * Flushes move no data and are not shown.
 */
#include "dtrace/stable.h"

#define IO(type, e)                                                                \
	{.expr = e, .native = type, .xlate = "bufinfo_t *"},                       \
		{.expr = e, .native = type, .xlate = "devinfo_t *"},               \
		{.expr = e, .native = type, .xlate = "fileinfo_t *"}

#define NO_FLUSH "(args[0]->cmd_flags & 0xff) != 2"

static const struct stable_probe rows[] = {
	{"start", "tp block_rq_issue", NO_FLUSH, {IO("struct request *", "args[0]")}},
	/* Not the parts of one that completes in parts. */
	{"done", "tp block_rq_complete", NO_FLUSH " && args[2] >= args[0]->__data_len",
	 {IO("struct request *", "args[0]")}},
	{"wait-start", "entry submit_bio_wait", NULL, {IO("struct bio *", "args[0]")}},
	{"wait-done", "return submit_bio_wait", NULL, {IO("struct bio *", "args[0]")}},
};

STABLE_PROVIDER(io, rows);
