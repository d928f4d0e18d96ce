/* This very program read back, and files that lie. */
#include "ctf/elfsyms.h"

#include <elf.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/str.h"
#include "base/test.h"
#include "ctf/demangle.h"

int elfsyms_test_object = 5;
int elfsyms_test_function(int x);

__attribute__((noinline)) int
elfsyms_test_function(int x)
{
	return x + elfsyms_test_object;
}

/* A probe as sys/sdt.h of SystemTap lays it down, written out: the note is the interface. */
static int
probe_here(long value)
{
	__asm__ volatile("990: nop\n"
			 ".pushsection .note.stapsdt,\"?\",\"note\"\n"
			 ".balign 4\n"
			 ".4byte 992f-991f, 994f-993f, 3\n"
			 "991: .asciz \"stapsdt\"\n"
			 "992: .balign 4\n"
			 "993: .8byte 990b, 0, 0\n"
			 ".asciz \"elfsyms\"\n.asciz \"here\"\n.asciz \"-8@%0\"\n"
			 "994: .balign 4\n"
			 ".popsection\n" ::"r"(value));
	return (int)value;
}

static struct elfsyms *
open_self(int *fd)
{
	cleanup_error struct error err = ERROR_INIT;
	struct elfsyms *e = NULL;

	*fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	check_ok(elfsyms_open(*fd, -1, "self", &e, &err), &err);
	require(e);
	return e;
}

TEST(functions_are_found_by_name_and_address)
{
	cleanup_close int fd = -1;
	cleanup_elfsyms struct elfsyms *e = open_self(&fd);
	const struct elfsym *s = elfsyms_function(e, "elfsyms_test_function");
	uint64_t off, addr;
	char code[4];

	require(s);
	check_int(elfsyms_test_function(probe_here(1)), ==, 6);
	check(s->size > 0 && s->is_func);
	check(elfsyms_at(e, s->addr + s->size - 1) == s);
	check(elfsyms_at(e, s->addr) == s);
	check(elfsyms_to_offset(e, s->addr, &off));
	check(elfsyms_to_addr(e, off, &addr));
	check(addr == s->addr);
	check_int(elfsyms_read(e, fd, s->addr, code, sizeof(code)), ==, sizeof(code));
	check(memcmp(code, (const void *)(uintptr_t)elfsyms_test_function, sizeof(code)) == 0);
	check(!elfsyms_function(e, "elfsyms_test_object"));
	check(!elfsyms_at(e, 1));
	check(!elfsyms_to_offset(e, 1ull << 60, &off));
	check(elfsyms_interp(e) != NULL);
	check(!elfsyms_is_32bit(e));
}

TEST(notes_are_read)
{
	cleanup_close int fd = -1;
	cleanup_elfsyms struct elfsyms *e = open_self(&fd);
	bool found = false;

	for (size_t i = 0; i < elfsyms_n_notes(e); i++) {
		const struct sdt_note *n = elfsyms_note(e, i);

		if (!str_eq(n->provider, "elfsyms"))
			continue;
		found = true;
		check_str(n->name, "here");
		check_has(n->args, "-8@%");
		check(n->semaphore == 0);
	}
	check(found);
}

/* Every prefix and every changed word of the head: errors or less, never a crash. */
TEST(files_that_lie_are_borne)
{
	cleanup_free char *path = str_printf("%s/x", test_tmpdir()), *data = NULL;
	cleanup_error struct error err = ERROR_INIT;
	size_t len;

	check_ok(file_read("/proc/self/exe", 0, &data, &len, &err), &err);
	for (size_t i = 0; i < 64 + 40; i++) {
		static const uint32_t values[] = {0, 0xffffffff, 0x7fffffff, 64};
		cleanup_elfsyms struct elfsyms *e = NULL;
		cleanup_free char *copy = xcalloc(1, len);
		size_t n = i < 64 ? len : (i - 64) * len / 40;
		cleanup_close int fd = -1;

		memcpy(copy, data, len);
		if (i >= 16 && i < 60)
			memcpy(copy + i, &values[i % 4], 4);
		check_ok(file_write_atomic(path, copy, n, 0600, &err), &err);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (elfsyms_open(fd, -1, path, &e, &err) == 0)
			for (size_t k = 0; k < elfsyms_count(e); k += 97)
				elfsyms_at(e, elfsyms_sym(e, k)->addr);
	}
}

TEST(names_are_demangled)
{
	static const struct {
		const char *name, *shown;
	} rows[] = {
		{"main", NULL},
		{"_start", NULL},
		{"_ZN3foo3barEi", "foo::bar(int)"},
		{"_ZNSt6vectorIiSaIiEE9push_backEOi",
		 "std::vector<int, std::allocator<int> >::push_back(int&&)"},
		{"_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", "core::fmt::Formatter::pad"},
		{"_RNvC6_123foo3bar", "123foo::bar"},
		{"_ZN", NULL},
	};
	cleanup_strbuf struct strbuf deep = STRBUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *shown = demangle(rows[i].name);

		check_str(shown, rows[i].shown);
	}
	strbuf_adds(&deep, "_Z1f");
	for (int i = 0; i < 4000; i++)
		strbuf_addc(&deep, 'P');
	strbuf_addc(&deep, 'i');
	free(demangle(deep.data)); /* it may give up; it may not fall over */
}
