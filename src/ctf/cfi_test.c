/* Rules of this very program, walked by hand and compared with what a frame pointer tells. */
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"
#include "base/test.h"
#include "ctf/cfi.h"
#include "ctf/elfsyms.h"

static uint64_t found[8];
static size_t n_found;
static struct cfi cfi;
static uint64_t load_bias;
static struct elfsyms *syms;

static uint32_t
rule_for(uint64_t pc)
{
	uint64_t offset;

	return elfsyms_to_offset(syms, pc - load_bias, &offset) ? cfi_at(&cfi, offset)
								: CFI_RULE(CFI_NONE, 0, 0, 0);
}

static uint64_t
word_at(uint64_t addr)
{
	return *(const uint64_t *)(uintptr_t)addr;
}

/* One frame up; false where nothing is known. */
static bool
up(uint64_t *pc, uint64_t *sp, uint64_t *fp, uint64_t *bx)
{
	uint32_t rule = rule_for(*pc - 1);
	int64_t off = (int64_t)CFI_OFFSET(rule) * 8;
	uint64_t cfa;

	switch (CFI_KIND(rule)) {
	case CFI_SP:
		cfa = *sp + (uint64_t)off;
		break;
	case CFI_FP:
		cfa = *fp + (uint64_t)off;
		break;
	case CFI_BX:
		cfa = *bx + (uint64_t)off;
		break;
	default:
		return false;
	}
	*pc = word_at(cfa - 8);
	if (CFI_SAVED_FP(rule))
		*fp = word_at(cfa - 8 * CFI_SAVED_FP(rule));
	if (CFI_SAVED_BX(rule))
		*bx = word_at(cfa - 8 * CFI_SAVED_BX(rule));
	*sp = cfa;
	return true;
}

static __attribute__((noipa)) void
walk(void)
{
	uint64_t pc, sp, fp, bx;

	__asm__ volatile("lea 0(%%rip), %0; mov %%rsp, %1; mov %%rbp, %2; mov %%rbx, %3"
			 : "=&r"(pc), "=&r"(sp), "=&r"(fp), "=&r"(bx));
	for (n_found = 0; n_found < ARRAY_SIZE(found) && up(&pc, &sp, &fp, &bx); n_found++)
		found[n_found] = pc;
}

static __attribute__((noipa)) int
middle(int n)
{
	char room[64];

	memset(room, n, sizeof(room));
	__asm__ volatile("" : : "r"(room) : "memory");
	walk();
	return room[n & 63];
}

static __attribute__((noipa, optimize("omit-frame-pointer"))) int
outer(int n)
{
	return middle(n) + middle(n + 1);
}

static int
note_bias(struct dl_phdr_info *info, size_t size, void *arg)
{
	load_bias = info->dlpi_addr; /* the first is the program */
	return 1;
}

static void
check_inside(uint64_t pc, const char *function)
{
	const struct elfsym *s = elfsyms_at(syms, pc - load_bias - 1);

	check_str(s ? s->name : "nothing", function);
}

TEST(a_stack_without_frame_pointers_is_walked)
{
	cleanup_close int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	cleanup_error struct error err = ERROR_INIT;

	check_ok(cfi_read(fd, "self", &cfi, &err), &err);
	check_ok(elfsyms_open(fd, -1, "self", &syms, &err), &err);
	check(!cfi.is_32bit && cfi.n > 100);
	for (size_t i = 1; i < cfi.n; i++)
		check(cfi.rows[i - 1].at < cfi.rows[i].at &&
		      cfi.rows[i - 1].rule != cfi.rows[i].rule);
	dl_iterate_phdr(note_bias, NULL);
	outer(3);
	check_int(n_found, >=, 3);
	check_inside(found[0], "middle");
	check_inside(found[1], "outer");
	check_inside(found[2], "test_a_stack_without_frame_pointers_is_walked");
	cfi_done(&cfi);
	elfsyms_free(syms);
}

TEST(the_c_librarys_corners_have_rules)
{
	cleanup_close int fd = -1;
	cleanup_cfi struct cfi c = {0};
	cleanup_elfsyms struct elfsyms *e = NULL;
	cleanup_error struct error err = ERROR_INIT;
	const struct elfsym *s;
	size_t kinds[8] = {0};
	uint64_t offset;

	fd = open("/lib/x86_64-linux-gnu/libc.so.6", O_RDONLY | O_CLOEXEC);
	check_ok(cfi_read(fd, "libc", &c, &err), &err);
	check_ok(elfsyms_open(fd, -1, "libc", &e, &err), &err);
	for (size_t i = 0; i < c.n; i++)
		kinds[CFI_KIND(c.rows[i].rule)]++;
	check(kinds[CFI_SP] > 10000 && kinds[CFI_FP] > 100 && kinds[CFI_PLT] > 0 &&
	      kinds[CFI_SIGNAL] > 0 && kinds[CFI_END] > 0);
	s = elfsyms_function(e, "qsort");
	check(s && elfsyms_to_offset(e, s->addr, &offset));
	check_int(cfi_at(&c, offset), ==, CFI_RULE(CFI_SP, 0, 0, 1)); /* at its first instruction */
	check_int(CFI_KIND(cfi_at(&c, 0)), ==, CFI_NONE);
}

TEST(nonsense_is_refused_or_has_no_rows)
{
	static const char text[] =
		"no program at all, but long enough to hold the header of one ....";
	cleanup_close int fd = memfd_create("nonsense", MFD_CLOEXEC);
	cleanup_cfi struct cfi c = {0};
	cleanup_error struct error err = ERROR_INIT;

	check_int(fd_write_all(fd, text, sizeof(text)), ==, 0);
	check_int(cfi_read(fd, "nonsense", &c, &err), ==, -ENOEXEC);
}

/* A whole small program with bytes of its tables turned, one after the other. */
TEST(files_that_lie_do_no_harm)
{
	const char *path = test_built("src/ctf/cfi-victim");
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *data = NULL;
	uint64_t seed = 1;
	size_t len;

	check_ok(file_read(path, 0, &data, &len, &err), &err);
	require(data && len > 4096);
	check_int(LLVMFuzzerTestOneInput((const uint8_t *)data, len), ==, 0);
	for (size_t i = 0; i < 3000; i++) {
		size_t at;
		char was;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		/* .eh_frame stands behind the code, on the third page of so small a program */
		at = i % 4 ? 0x2000 + (seed >> 33) % 0x200 : (seed >> 33) % len;
		was = data[at];
		data[at] = (char)(seed >> 25);
		check_int(LLVMFuzzerTestOneInput((const uint8_t *)data, len), ==, 0);
		data[at] = was;
	}
}

static size_t
rows_of(int fd)
{
	cleanup_cfi struct cfi c = {0};
	cleanup_error struct error err = ERROR_INIT;

	check_ok(cfi_read(fd, "victim", &c, &err), &err);
	return c.n;
}

/* A sparse file has a table of any size, which would be read into memory. */
TEST(a_table_larger_than_any_is_not_read)
{
	cleanup_close int fd = memfd_create("large", MFD_CLOEXEC);
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *data = NULL;
	const Elf64_Shdr *names;
	const Elf64_Ehdr *head;
	Elf64_Shdr *sections;
	size_t len;

	check_ok(file_read(test_built("src/ctf/cfi-victim"), 0, &data, &len, &err), &err);
	check_int(fd_write_all(fd, data, len), ==, 0);
	check_int(ftruncate(fd, 128 << 20), ==, 0);
	check_int(rows_of(fd), >, 0);
	head = (const void *)data;
	sections = (void *)(data + head->e_shoff);
	names = &sections[head->e_shstrndx];
	for (size_t i = 0; i < head->e_shnum; i++)
		if (str_eq(data + names->sh_offset + sections[i].sh_name, ".eh_frame"))
			sections[i].sh_size = 65 << 20;
	check_int(pwrite(fd, data, len, 0), ==, len);
	check_int(rows_of(fd), ==, 0);
}

/* Small programs with most instructions that tables have: the fuzzer begins with them. */
TEST(the_corpus_is_replayed)
{
	test_corpus("src/ctf/testdata/fuzz_cfi", LLVMFuzzerTestOneInput);
}
