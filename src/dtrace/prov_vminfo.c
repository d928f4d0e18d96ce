/* vminfo: where the counters of vmstat(8) are raised.  arg0 is by how much. */
#include "dtrace/stable.h"

#define BY(e) {INT(e)}
/* Of a folio: its head has bit 6 (PG_head) if there are several, the word behind it the order. */
#define PAGES                                                                       \
	BY("(*(uint64_t *)args[0] & 64) == 0 ? 1 : "                                \
	   "1 << (*(uint64_t *)((uint64_t)args[0] + sizeof(struct page)) & 255)")

/* Whose page the folio is: of anonymous memory, of a file that some process executes, of another
 * file. */
#define IS_ANON "((uint64_t)((struct folio *)args[0])->mapping & 3) == 1"
#define WRITERS                                                                                    \
	"((uint64_t)args[0]->mapping & 3) == 0 && args[0]->mapping != 0 && "                       \
	"args[0]->mapping->host->i_writecount.counter"
#define IS_EXEC WRITERS " < 0"
#define IS_FILE WRITERS " >= 0"
#define MAPS_EXEC "(args[0]->vma->vm_flags & 4)" /* VM_EXEC */

static const struct stable_probe rows[] = {
	{"anonfree", "tp mm_page_free", IS_ANON, BY("1 << args[1]")},
	{"anonpgin", "entry swap_read_folio", NULL, PAGES},
	{"anonpgout", "entry swap_writepage", NULL, PAGES},
	{"as_fault", "entry handle_mm_fault", NULL, BY("1")},
	{"cow_fault", "entry do_wp_page", NULL, BY("1")},
	{"dfree", "tp mm_page_free", NULL, BY("1 << args[1]")},
	{"execfree", "tp mm_filemap_delete_from_page_cache", IS_EXEC, PAGES},
	{"execpgin", "entry filemap_fault", MAPS_EXEC " != 0", BY("1")},
	{"execpgout", "entry __folio_start_writeback", IS_EXEC, PAGES},
	{"fsfree", "tp mm_filemap_delete_from_page_cache", IS_FILE, PAGES},
	{"fspgin", "entry filemap_fault", MAPS_EXEC " == 0", BY("1")},
	{"fspgout", "entry __folio_start_writeback", IS_FILE, PAGES},
	{"kernel_asflt", "tp page_fault_kernel", NULL, BY("1")},
	{"maj_fault", "return handle_mm_fault", "ret & 4", BY("1")}, /* VM_FAULT_MAJOR */
	{"pgfrec", "tp mm_lru_activate", NULL, BY("1")},
	{"pgin", "tp block_bio_queue", "(args[0]->bi_opf & 0xff) == 0", BY("1")},
	{"pgout", "tp block_bio_queue", "(args[0]->bi_opf & 0xff) == 1", BY("1")},
	{"pgpgin", "tp block_bio_queue", "(args[0]->bi_opf & 0xff) == 0",
	 BY("(args[0]->bi_iter.bi_size + 4095) >> 12")},
	{"pgpgout", "tp block_bio_queue", "(args[0]->bi_opf & 0xff) == 1",
	 BY("(args[0]->bi_iter.bi_size + 4095) >> 12")},
	{"pgrec", "tp mm_lru_activate", NULL, BY("1")},
	{"pgrrun", "tp mm_vmscan_kswapd_wake", NULL, BY("1")},
	{"pgswapin", "entry swap_read_folio", NULL, PAGES},
	{"pgswapout", "entry swap_writepage", NULL, PAGES},
	{"prot_fault", "entry bad_area_access_error", NULL, BY("1")},
	{"scan", "tp mm_vmscan_lru_isolate", NULL, BY("args[3]")},
	{"swapin", "entry do_swap_page", NULL, BY("1")},
	{"swapout", "entry swap_writepage", NULL, BY("1")},
	{"zfod", "entry do_anonymous_page", NULL, BY("1")},
};

STABLE_PROVIDER(vminfo, rows);
