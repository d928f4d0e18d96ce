/*
 * io: requests given to a disk and done by it; waiting for one.  What start shows
 * (block, bytes, address) is the same at done, so that they can be matched.
 * Flushes move no data and are not shown.
 *
 * All probes have arguments of one type, lib/io.d's d_io_t, so that a clause may
 * stand for several of them.
 */
#include "dtrace/stable.h"

#define IO(e, page)                                                                \
	{.expr = e, .native = "d_io_t *", .xlate = "bufinfo_t *"},                 \
		{.expr = e, .native = "d_io_t *", .xlate = "devinfo_t *"},         \
		{.expr = page, .native = "struct page *", .xlate = "fileinfo_t *"}
/* The page that the data begins in; 0 if there is no data. */
#define PAGE(bio)                                                                  \
	bio " == 0 ? (struct page *)0 : " bio "->bi_io_vec == 0 ? (struct page *)0 : " \
	bio "->bi_io_vec[" bio "->bi_iter.bi_idx].bv_page"
#define REQUEST IO("(d_io_t *)args[0]", PAGE("args[0]->bio"))
#define BIO IO("(d_io_t *)((uint64_t)args[0] + 1)", PAGE("args[0]"))
#define BUFFER IO("(d_io_t *)((uint64_t)args[0] + 2)", "args[0]->b_page")

#define NO_FLUSH "(args[0]->cmd_flags & 0xff) != 2"

static const struct stable_probe rows[] = {
	{"start", "tp block_rq_issue", NO_FLUSH, {REQUEST, MORE("0")}},
	/* Not the parts of one that completes in parts. */
	{"done", "tp block_rq_complete", NO_FLUSH " && args[2] >= args[0]->__data_len",
	 {REQUEST, MORE("256 + (args[1] & 255)")}},
	{"wait-start", "entry submit_bio_wait", NULL, {BIO, MORE("0")}},
	{"wait-start", "entry __wait_on_buffer", NULL, {BUFFER, MORE("0")}},
	{"wait-done", "return submit_bio_wait", NULL, {BIO, MORE("0")}},
	{"wait-done", "return __wait_on_buffer", NULL, {BUFFER, MORE("0")}},
};

STABLE_PROVIDER(io, rows);
