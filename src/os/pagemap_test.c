#include "os/pagemap.h"

#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/test.h"

#define PAGE 4096U

struct seen {
	const uint8_t *at;
	unsigned pages, first;
};

static int
see(void *arg, const uint8_t *at, uint64_t len, struct error *err)
{
	struct seen *s = arg;

	s->first = s->pages ? s->first : (unsigned)((at - s->at) / PAGE);
	s->pages += (unsigned)(len / PAGE);
	return 0;
}

TEST(pages_that_hold_something_and_pages_that_were_written)
{
	uint8_t *m = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cleanup_error struct error err = ERROR_INIT;
	struct pagemap p = PAGEMAP_INIT;
	struct seen s = {.at = m};

	require(m != MAP_FAILED && madvise(m, 64 * PAGE, MADV_NOHUGEPAGE) == 0);
	m[3 * PAGE] = m[4 * PAGE] = 1;
	if (pagemap_open(&p, true, &err) < 0 || pagemap_track(&p, m, 64 * PAGE, &err) < 0)
		test_skip("%s", error_message(&err));
	check_ok(pagemap_walk(&p, m, 64 * PAGE, see, &s, &err), &err);
	check_int(s.pages, ==, 2);
	check_int(s.first, ==, 3);
	s = (struct seen){.at = m};
	check_ok(pagemap_walk(&p, m, 64 * PAGE, see, &s, &err), &err);
	check_int(s.pages, ==, 0);
	m[40 * PAGE] = m[3 * PAGE] = 2;
	check_ok(pagemap_walk(&p, m, 64 * PAGE, see, &s, &err), &err);
	check_int(s.pages, ==, 2);
	pagemap_close(&p);
	munmap(m, 64 * PAGE);
}
