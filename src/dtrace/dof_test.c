/* DOF as testdata/victim_dof.c has it: read from the program, cut short, and damaged. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/test.h"
#include "dtrace/dof.h"

static struct elfsyms *
victim(void)
{
	const char *path = test_built("src/dtrace/dtrace-victim-dof");
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	cleanup_error struct error err = ERROR_INIT;
	struct elfsyms *e = NULL;

	check_ok(elfsyms_open(fd, -1, path, &e, &err), &err);
	require(e);
	return e;
}

TEST(probes_of_an_older_dtrace_are_found)
{
	cleanup_elfsyms struct elfsyms *e = victim();
	cleanup_strbuf struct strbuf seen = STRBUF_INIT;
	cleanup_dof struct dof *d = NULL;
	size_t len = 0;
	cleanup_free char *data = elfsyms_section(e, ".SUNW_dof", &len);

	d = dof_parse(data, len, elfsyms_section_addr(e, ".SUNW_dof"));
	require(d);
	for (size_t i = 0; i < d->n_notes; i++) {
		const struct sdt_note *n = &d->notes[i];
		const struct elfsym *s = elfsyms_at(e, n->pc);

		require(s);
		strbuf_addf(&seen, "%s:%s:%s+%d%s %s\n", n->provider, s->name, n->name,
			    (int)(n->pc - s->addr), n->asks ? "?" : "", n->args);
	}
	check_str(seen.data, "olden:olden_step:step+38 8@%rdi 8@%rsi 8@%rdx 8@%rcx 8@%r8 8@%r9 8@0(%rsp)\n"
			     "olden:olden_swapped:swapped+0 8@%rdi 8@%rsi\n"
			     "olden:olden_swapped:swapped+5 8@%rdi 8@%rsi\n"
			     "olden:olden_asked:is__asked+9 \n"
			     "olden:olden_asked:is__asked+0? \n");
	check_has(d->definitions, "\tprobe swapped(int a0, char * a1) : (char * a1, int a0);\n");
	check_has(d->definitions, "\tprobe is__asked();\n");
}

/* Every byte less, every byte another: nothing is read that is not there. */
TEST(what_is_damaged_is_passed_over)
{
	cleanup_elfsyms struct elfsyms *e = victim();
	size_t len = 0;
	cleanup_free char *data = elfsyms_section(e, ".SUNW_dof", &len);

	require(data && len > 64);
	for (size_t n = 0; n < len; n++)
		LLVMFuzzerTestOneInput((unsigned char *)data, n);
	for (size_t i = 0; i < len; i++) {
		static const char values[] = {'\0', '\1', '\177', '\377'};
		char was = data[i];

		for (size_t k = 0; k < sizeof(values); k++) {
			data[i] = values[k];
			LLVMFuzzerTestOneInput((unsigned char *)data, len);
		}
		data[i] = was;
	}
}

TEST(the_corpus_is_replayed)
{
	test_corpus("src/dtrace/testdata/fuzz_dof", LLVMFuzzerTestOneInput);
}
