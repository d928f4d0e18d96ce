/*
 * What compiles passes the verifier: programs that a grammar writes from fixed
 * random numbers are loaded into the running kernel.  Needs root.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"
#include "base/test.h"
#include "dtrace/dt.h"
#include "dtrace/ident.h"

#define PROGRAMS (getenv("FUZZ_PROGRAMS") ? atoi(getenv("FUZZ_PROGRAMS")) : 24)

static void
load_programs(int n)
{
	unsigned char data[160];
	uint64_t seed = getenv("FUZZ_SEED") ? strtoull(getenv("FUZZ_SEED"), NULL, 10) : 42;

	if (geteuid() != 0 || !file_exists("/sys/kernel/btf/vmlinux"))
		test_skip("needs root and a kernel with BTF");
	setenv("FUZZ_LOAD", "1", 1);
	for (int i = 0; i < n; i++) {
		for (size_t k = 0; k < sizeof(data); k++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			data[k] = (unsigned char)(seed >> 56);
		}
		data[0] &= 127;
		check_int(LLVMFuzzerTestOneInput(data, sizeof(data)), ==, 0);
	}
}

TEST(what_compiles_loads)
{
	load_programs(PROGRAMS);
}

/* A zone's: with a check before, and around each read of memory. */
TEST(what_compiles_in_a_zone_loads)
{
	setenv("FUZZ_ZONE", "1", 1);
	load_programs(PROGRAMS / 2);
}

/* A name that D gets later is one that the fuzzer says. */
TEST(the_grammar_knows_every_name)
{
	cleanup_free char *text = NULL;
	const struct ident *name;

	require(file_read(test_data("src/dtrace/fuzz_compile.c"), 0, &text, NULL, NULL) == 0);
	for (size_t i = 0; (name = ident_at(i)); i++) {
		/* d_: the library's words; breakpoint() is always an error */
		if (!strstr(text, name->name) && !str_after(name->name, "d_") && !str_eq(name->name, "breakpoint"))
			test_fail(__FILE__, __LINE__, "no program says %s", name->name);
	}
}

TEST(the_corpus_is_replayed)
{
	test_corpus("src/dtrace/testdata/fuzz_compile", LLVMFuzzerTestOneInput);
}

/* ^C while probes are attached: BEGIN and END are there, for what there is; the others are not attached. */
TEST(an_interrupt_ends_attaching)
{
	static const char text[] = "BEGIN, END, syscall:::entry, sdt:::sched_switch { @[probename] = count(); }";
	cleanup_free char *lib = str_printf("syslibdir=%s", test_data("src/dtrace/lib"));
	volatile sig_atomic_t interrupted = 1;
	cleanup_error struct error err = ERROR_INIT;
	struct dt *dt;

	if (geteuid() != 0 || !file_exists("/sys/kernel/btf/vmlinux"))
		test_skip("needs root and a kernel with BTF");
	check_ok(dt_open(&dt, &err), &err);
	check_ok(dt_set_option(dt, lib, &err), &err);
	check_ok(dt_compile(dt, text, sizeof(text) - 1, "", &err), &err);
	dt->interrupted = &interrupted;
	check_ok(dt_enable(dt, &err), &err);
	check(dt->n_hooks > 2);
	for (size_t i = 0; i < dt->n_hooks; i++)
		check_int(dt->hooks[i]->prog_fd >= 0, ==, dt->hooks[i]->probes[0]->ops->manual);
	dt_stop(dt);
	check_ok(dt_fire(dt, "END", &err), &err);
	dt_close(dt);
}
