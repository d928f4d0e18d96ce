/*
 * Programs traced from outside: dtrace is run on testdata/victim.c.  Needs
 * root, and a kernel with BTF and uprobes.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "base/test.h"
#include "ctf/elfsyms.h"
#include "os/cgroup.h"
#include "os/ns.h"
#include "os/procmap.h"
#include "os/run.h"

static void
need_root(void)
{
	if (geteuid() != 0 || !file_exists("/sys/kernel/btf/vmlinux"))
		test_skip("needs root and a kernel with BTF");
}

/* test_built() has one buffer. */
static const char *
program(const char *name)
{
	static char *names[16];
	static size_t n;
	char *path = xstrdup(test_built(name));

	for (size_t i = 0; i < n; i++) {
		if (str_eq(names[i], path)) {
			free(path);
			return names[i];
		}
	}
	return names[n++] = path;
}

static const char *
dtrace_path(void)
{
	return program("src/dtrace/dtrace");
}

static const char *
victim(void)
{
	return program("src/dtrace/dtrace-victim");
}

/* Arguments of dtrace, behind what every test needs. */
static char *
dtrace(const char *const args[], int *ret_status)
{
	cleanup_free char *lib = str_printf("-xsyslibdir=%s", test_data("src/dtrace/lib"));
	cleanup_error struct error err = ERROR_INIT;
	const char *argv[24] = {dtrace_path(), lib, "-q"};
	char *out = NULL;
	int status;

	for (size_t i = 0; args[i]; i++)
		argv[3 + i] = args[i];
	if (run_capture(argv, &out, &status, &err) < 0)
		return str_printf("%s", error_message(&err));
	if (ret_status)
		*ret_status = status;
	if (str_ends(out, "\n")) /* what dtrace ends its output with: see testdata/run */
		out[strlen(out) - 1] = '\0';
	return out;
}
#define DTRACE(...) dtrace((const char *const[]){__VA_ARGS__, NULL}, NULL)

/* Probes know processes by the node's ids, which are those of /proc in the first namespace alone. */
static void
need_first_pids(void)
{
	need_root();
	if (!ns_pids_are_first())
		test_skip("needs the first namespace of process ids");
}

TEST(entry_has_arguments_and_return_the_value)
{
	cleanup_free char *out = NULL;

	need_root();
	out = DTRACE("-c", victim(), "-n",
		     "pid$target:a.out:victim_sum:entry"
		     "{ printf(\"%d %d %d %d %d %d %d %d|\", arg0, arg1, arg2, arg3, arg4, arg5, arg6, arg7) }"
		     "pid$target:a.out:victim_sum:return { printf(\"%d\\n\", arg1) }");
	check_str(out, "0 2 3 4 5 6 70 80|171\n1 2 3 4 5 6 70 80|172\n2 2 3 4 5 6 70 80|173\n");
}

TEST(one_by_one_works_as_well_as_many_at_once)
{
	cleanup_free char *out = NULL;

	need_root();
	out = DTRACE("-xnouprobemulti", "-c", victim(), "-n",
		     "pid$target:a.out:victim_*:entry { @[probefunc] = count() } END { printa(\"%s %@d\\n\", @) }");
	check_has(out, "victim_outer 3\n");
	check_has(out, "victim_point 3\n");
	check_has(out, "victim_sum 3\n");
}

TEST(modules_have_other_names)
{
	static const char *const modules[] = {"a.out", "dtrace-victim", "", "dtrace*"};
	cleanup_free char *libc = NULL;

	need_root();
	for (size_t i = 0; i < ARRAY_SIZE(modules); i++) {
		cleanup_free char *text = str_printf(
			"pid$target:%s:victim_outer:entry { printf(\"%%s %%s\\n\", probemod, probefunc); exit(0) }",
			modules[i]);
		cleanup_free char *out = DTRACE("-c", victim(), "-n", text);

		check_str(out, "dtrace-victim victim_outer\n");
	}
	libc = DTRACE("-c", victim(), "-n",
		      "pid$target:libc:exit:entry, pid$target:libc.so:exit:entry,"
		      "pid$target:libc.so.6:exit:entry { printf(\"%s:%s %d\\n\", probemod, probefunc, arg0) }");
	check_str(libc, "libc.so.6:exit 0\n");
}

TEST(what_is_not_there_is_named)
{
	static const struct {
		const char *spec, *message;
	} rows[] = {
		{"pid$target:a.out:nosuch:entry", "no such function or instruction in a.out"},
		{"pid$target:nolib::entry", "has no object \"nolib\""},
		{"pid$target:a.out:victim_sum:fffff", "no such function or instruction"},
		{"pid99999999:::entry", "no process has the id 99999999"},
		{"pid$nothing:::entry", "$nothing is not known"},
	};

	need_root();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_error struct error err = ERROR_INIT;
		cleanup_free char *lib = str_printf("-xsyslibdir=%s", test_data("src/dtrace/lib"));
		int r = RUN(&err, dtrace_path(), lib, "-qc", victim(), "-n", rows[i].spec);

		check_int(r, ==, -EIO);
		check_has(error_message(&err), rows[i].message);
	}
}

TEST(every_instruction_is_a_probe_and_none_is_torn)
{
	cleanup_free char *out = NULL, *list = NULL;

	need_root();
	/* Whatever lengths we believe in, the program must do the same as before. */
	out = DTRACE("-c", victim(), "-n",
		     "pid$target:a.out:victim_outer: { @[probename] = count() }"
		     "pid$target:a.out:victim_sum:return { printf(\"%d \", arg1) }"
		     "END { printa(\"%s=%@d \", @) }");
	check_has(out, "171 172 173 ");
	check_has(out, "entry=3 ");
	check_has(out, "return=3 ");
	check_has(out, " 0=3 ");
	list = DTRACE("-l", "-c", victim(), "-n", "pid$target:a.out:victim_outer:1");
	check(!strstr(list, "victim_outer 1\n") || strstr(out, " 1=3 "));
}

TEST(stacks_of_processes_have_names)
{
	cleanup_free char *out = NULL, *keys = NULL;

	need_first_pids();
	/* It ends before the aggregation is printed. */
	out = DTRACE("-c", victim(), "-n",
		     "pid$target:a.out:victim_sum:entry { ustack(3); exit(0) }");
	check_has(out, "dtrace-victim`victim_sum\n");
	check_has(out, "dtrace-victim`victim_outer+0x");
	check_has(out, "dtrace-victim`main+0x");
	keys = DTRACE("-c", victim(), "-n",
		      "pid$target:a.out:victim_sum:entry { usym(arg0); uaddr(uregs[R_PC] + 1);"
		      " usym(uregs[R_PC]); umod(uregs[R_PC]); ufunc(ucaller); exit(0) }");
	check_has(keys, "0x0 ");
	check_has(keys, "dtrace-victim`victim_sum+0x1 ");
	check_has(keys, "dtrace-victim`victim_sum ");
	check_has(keys, "dtrace-victim ");
	check_has(keys, "dtrace-victim`victim_outer ");
}

TEST(stacks_are_values)
{
	cleanup_free char *out = NULL;

	need_first_pids();
	out = DTRACE("-q", "-c", victim(), "-n",
		     "pid$target:a.out:victim_sum:entry /ustack(2).depth == 2/ { self->s = ustack(3) }"
		     "pid$target:a.out:victim_sum:entry { self->s.depth--; printf(\"%d<%k>\", self->s.pid == pid, self->s);"
		     " ufunc(self->s.addrs[1]); self->s.depth++; trace(self->s); exit(0) }");
	check_has(out, "1<\ndtrace-victim`victim_sum\ndtrace-victim`victim_outer+0x");
	check(strstr(out, "main") > strchr(out, '>'));
	check_has(strchr(out, '>'), "dtrace-victim`victim_outer ");
	check_has(strchr(out, '>'), "dtrace-victim`main+0x");
}

TEST(stacks_stand_where_the_format_says)
{
	cleanup_free char *out = NULL;

	need_first_pids();
	out = DTRACE("-xstackindent=5", "-c", victim(), "-n",
		     "pid$target:a.out:victim_sum:entry { printf(\"<%k><%-3k><%9k><%*k>\", ustack(1), ustack(1),"
		     " ustack(1), -2, ustack(1)); @[ustack(1)] = sum(7); printa(\"<%-4k>%@d\\n\", @);"
		     " ustack(1); clear(@); trunc(@); exit(0) }");
	check_has(out, "<\ndtrace-victim`victim_sum\n><\n   dtrace-victim`victim_sum\n>"
		       "<\ndtrace-victim`victim_sum\n><\n  dtrace-victim`victim_sum\n>"
		       "<\n    dtrace-victim`victim_sum\n>7\n");
	check_has(out, "\n     dtrace-victim`victim_sum\n");
}

static const char *
stack_victim(void)
{
	return program("src/dtrace/dtrace-victim-stack");
}

TEST(stacks_without_frame_pointers_are_whole)
{
	cleanup_free char *out = NULL, *keys = NULL, *signals = NULL, *depth = NULL;

	need_first_pids();
	out = DTRACE("-c", stack_victim(), "-n",
		     "syscall::getppid:entry/pid == $target/ { ustack(); exit(0) }");
	check_has(out, "stack`stack_compare+0x");
	check_has(out, "libc.so.6`qsort");
	check_has(out, "stack`stack_sort+0x");
	check_has(out, "stack`main+0x");
	check_has(out, "libc.so.6`__libc_start_main+0x");
	check_has(out, "stack`_start+0x");
	/* As keys, which are shown when the process is gone; with return probes under way. */
	keys = DTRACE("-c", stack_victim(), "-n",
		      "pid$target:a.out:stack_compare:entry, pid$target:a.out:stack_sort:return"
		      "{ @[probefunc, ustack(40)] = count() }");
	check_has(keys, "stack`stack_compare\n");
	check_has(keys, "stack`stack_sort+0x");
	check_has(keys, "stack`main+0x");
	check(!strstr(keys, "[uprobes]") && !strstr(keys, "`0x7ffffffff"));
	signals = DTRACE("-c", stack_victim(), "-n",
			 "pid$target:a.out:stack_handler:entry { ustack() }");
	check_has(signals, "stack`stack_handler\n");
	check_has(signals, "libc.so.6`raise+0x");
	check_has(signals, "stack`stack_raise+0x");
	check_has(signals, "stack`_start+0x");
	depth = DTRACE("-c", stack_victim(), "-n",
		       "pid$target:a.out:stack_sort:entry { printf(\"%d\", ustackdepth); ufunc(ucaller) }");
	check_has(depth, "5");
	check_has(depth, "stack`main");
}

TEST(frame_pointers_alone_are_an_option)
{
	cleanup_free char *out = NULL;

	need_first_pids();
	out = DTRACE("-xustackunwind=fp", "-c", victim(), "-n",
		     "pid$target:a.out:victim_sum:entry { ustack(3); exit(0) }");
	check_has(out, "dtrace-victim`victim_sum\n");
	check_has(out, "dtrace-victim`victim_outer+0x");
}

/* A child that is gone long before its record is shown: what the walk noted has its names. */
TEST(a_process_that_nobody_looked_at_has_names)
{
	cleanup_free char *command = str_printf("%s fork", stack_victim()), *out = NULL;

	need_first_pids();
	out = DTRACE("-c", command, "-n",
		     "syscall::getppid:entry/ppid == $target/ { @[ustack(30)] = count() }");
	check_has(out, "stack`stack_sort+0x");
	check_has(out, "stack`_start+0x");
}

/* The command that runs a script with that text; the caller's. */
static char *
shell(const char *text)
{
	cleanup_free char *path = str_printf("%s/script", test_tmpdir());

	check_int(file_write_atomic(path, text, strlen(text), 0600, NULL), ==, 0);
	return str_printf("/bin/sh %s", path);
}

/* One that runs a new copy of the victim, "one", which nobody else has mapped. */
static char *
shell_one(void)
{
	cleanup_free char *text = str_printf("cd %s; cat %s > one; chmod 755 one; ./one; true\n",
					     test_tmpdir(), stack_victim());

	return shell(text);
}

/* A program that only that process had mapped, ended at its first stack: its file is found by name.
 */
TEST(a_program_that_nobody_runs_any_more_has_names)
{
	cleanup_free char *command = shell_one(), *out = NULL;

	need_first_pids();
	out = DTRACE("-w", "-c", command, "-n",
		     "syscall::getppid:entry/execname == \"one\" && progenyof($target)/ { raise(9); @[ustack()] = count() }");
	check_has(out, "one`stack_compare+0x");
}

/* No stack is taken: the address that is shown by name is noted itself, in every form and place. */
TEST(an_address_of_a_process_that_is_gone_has_a_name)
{
	cleanup_free char *command = shell_one(), *out = NULL;

	need_first_pids();
	out = DTRACE("-c", command, "-n",
		     "syscall::rt_sigaction:entry/execname == \"one\" && progenyof($target) && arg1/"
		     "{ this->f = *(uint64_t *)copyin(arg1, 8); @[usym(this->f)] = count();"
		     "  @m[umod(this->f)] = count(); @a[uaddr(this->f + 1)] = count(); ufunc(uregs[R_PC]); }");
	check_has(out, "libc.so.6`");
	check_has(out, "one`stack_handler ");
	check_has(out, "one  ");
	check_has(out, "one`stack_handler+0x1");
	check(!strstr(out, "0x7f") && !strstr(out, "0x5"));
}

/* What was remembered of an address must not outlast what is mapped there. */
TEST(a_stack_goes_through_what_is_mapped_now)
{
	cleanup_free char *command = str_printf("%s moved", stack_victim()), *out = NULL;

	need_first_pids();
	out = DTRACE("-c", command, "-n",
		     "syscall::getppid:entry/pid == $target/ { @[ustackdepth] = count() }");
	check_str(out, "\n        7                6");
}

/*
 * One file in two processes at a time, then another program in that very file: each process is ended
 * when its stack is whole, so when the table was read, and is the right one.
 */
TEST(a_file_that_became_another_has_another_table)
{
	cleanup_free char *text = str_printf("cd %s; cat %s > two; chmod 755 two; ./two forever & ./two forever\n"
					     "wait; cat %s > two; ./two forever; true\n",
					     test_tmpdir(), stack_victim(),
					     program("src/dtrace/dtrace-victim-stack-plain"));
	cleanup_free char *command = shell(text), *out = NULL;

	need_first_pids();
	out = DTRACE("-w", "-c", command, "-n",
		     "syscall::getppid:entry/execname == \"two\" && progenyof($target) && ustackdepth == 9/"
		     "{ raise(9); @[pid] = count() } END { printa(\"%@d whole\\n\", @) }");
	check_str(out, "1 whole\n1 whole\n1 whole\n");
}

TEST(memory_of_a_process_is_read)
{
	cleanup_free char *out = NULL;

	need_root();
	out = DTRACE("-c", victim(), "-n",
		     "struct pt { int x; int y; char name[8]; };"
		     "pid$target:a.out:victim_outer:entry { printf(\"%s\", copyinstr(arg1)) }"
		     "pid$target:a.out:victim_point:entry"
		     "{ this->p = (struct pt *)copyin(arg0, sizeof(struct pt));"
		     "  printf(\" %d,%d %s\\n\", this->p->x, this->p->y, stringof(this->p->name)) }");
	/* A page that the program has not touched yet cannot be read: the first text may be missing. */
	check_has(out, "text 1,7 corner\ntext 2,7 corner\n");
}

TEST(evaltimes_differ_in_what_is_loaded)
{
	cleanup_free char *early = NULL, *late = NULL, *stripped = NULL;
	int status = 0;

	need_root();
	late = DTRACE("-xevaltime=main", "-c", victim(), "-n",
		      "pid$target:a.out:_start:entry { printf(\"start\") } pid$target:a.out:main:entry { printf(\"main\") }");
	check_str(late, "main");
	stripped = DTRACE("-xevaltime=main", "-c", "/bin/true", "-n",
			  "pid$target:libc.so.6:__libc_start_main:entry { printf(\"start\") } END { printf(\"ended\") }");
	check_str(stripped, "ended");
	early = dtrace((const char *const[]){"-xevaltime=exec", "-c", victim(), "-n",
					     "pid$target:libc.so.6:exit:entry { exit(0) }", NULL},
		       &status);
	check_int(status, !=, 0);
}

/* --- USDT */

static const char *
victim_usdt(void)
{
	return program("src/dtrace/dtrace-victim-usdt");
}

TEST(probes_of_a_program_have_their_arguments)
{
	cleanup_free char *out = NULL, *want = NULL;

	need_root();
	/* Two sites of one probe, with their operands in different places. */
	out = DTRACE("-c", victim_usdt(), "-n",
		     "victim$target:::step { printf(\"%s %d %s\\n\", probefunc, args[0],"
		     " arg0 < 0 ? copyinstr((uintptr_t)args[1]) : \"-\") }");
	check_str(out, "victim_steps 0 -\nvictim_steps 1 -\nvictim_steps 2 -\nvictim_steps -7 seven\n");
}

TEST(arguments_have_the_types_of_the_definition)
{
	cleanup_free char *out = NULL;

	need_root();
	out = DTRACE("-c", victim_usdt(), "-n",
		     "victim$target:::box-made { printf(\"%d x %d, %d\\n\", args[0]->width,"
		     " args[0]->height, args[1]) }");
	check_has(out, "3 x 4, 9\n");
	check_has(out, "4 x 4, 8\n");
	check_has(out, "5 x 4, 7\n");
	check_has(out, "seen\n"); /* the counter was raised */
}

TEST(arguments_that_cannot_be_had_are_errors)
{
	const char *const odd = program("src/dtrace/dtrace-victim-odd");
	cleanup_free char *number = NULL, *place = NULL, *whole = NULL, *command = NULL;
	cleanup_error struct error err = ERROR_INIT;
	int status = 0;

	need_root();
	/* Of a type that nobody knows: the number that was passed. */
	number = DTRACE("-c", odd, "-n", "odd$target:::lost { printf(\"<%d>\", args[0]) }");
	check_has(number, "<1>");
	command = str_printf("%s -xsyslibdir=%s -xerrtags -qc %s -n 'odd$target:::far { trace(arg0) }' 2>&1",
			     dtrace_path(), test_data("src/dtrace/lib"), odd);
	check_ok(run_capture((const char *const[]){"sh", "-c", command, NULL}, &place, &status, &err), &err);
	check_int(status, ==, 1);
	check_has(place, "[D_ARGS_XLATOR]");
	check_has(place, "8f@%xmm0");
	/* The probes are there all the same. */
	whole = DTRACE("-c", odd, "-n", "odd$target::: { printf(\"%s \", probename) }");
	check_has(whole, "lost far own ");
}

TEST(nobody_looks_and_nothing_is_seen)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *alone = NULL, *other = NULL;

	need_root();
	check_ok(RUN_OUTPUT(&alone, &err, victim_usdt()), &err);
	check_str(alone, "");
	other = DTRACE("-c", victim_usdt(), "-n", "victim$target:::quiet { printf(\"q\") }");
	check_str(other, "qqq");
}

/* The kernel wants the same counter of all who are at one place. */
TEST(the_instruction_of_a_site_has_a_pid_probe)
{
	cleanup_free char *both = NULL, *alone = NULL;

	need_root();
	both = DTRACE("-c", victim_usdt(), "-n",
		      "victim$target:::box-made { @[\"usdt\"] = count() }"
		      "pid$target:a.out:main: { @[\"pid\"] = count() } END { printa(\"%s=%@d \", @) }");
	check_has(both, "usdt=3 ");
	check_has(both, "pid=");
	alone = DTRACE("-c", victim_usdt(), "-n", "pid$target:a.out:main: { @ = count() }");
	check(*alone && !strstr(alone, "cannot"));
}

TEST(a_provider_without_a_number_is_whoever_runs_the_file)
{
	static const char text[] = "victim:::quiet { printf(\"%s:%s \", probeprov, probename) }";
	cleanup_free char *out = NULL, *later = NULL, *file = NULL, *command = NULL,
			  *both = NULL;

	need_root();
	out = DTRACE("-c", victim_usdt(), "-n", text);
	check_str(out, "victim:quiet victim:quiet victim:quiet ");
	/* Mapped and named: one file all the same. */
	file = str_printf("-xusdtfile=%s", victim_usdt());
	both = DTRACE(file, "-c", victim_usdt(), "-n", text);
	check_str(both, "victim:quiet victim:quiet victim:quiet ");
	/* Nobody maps the file when the probes are set. */
	command = str_printf("env %s", victim_usdt());
	later = DTRACE(file, "-xevaltime=exec", "-c", command, "-n", text);
	check_str(later, "victim:quiet victim:quiet victim:quiet ");
}

TEST(wildcards_find_the_process)
{
	cleanup_free char *out = NULL;

	need_root();
	out = DTRACE("-l", "-c", victim_usdt(), "-n", "vict*$target:::");
	check_has(out, "victim");
	check_has(out, "box-made");
	check_has(out, "quiet");
	check_has(out, "step");
}

TEST(descriptions_without_a_provider_find_the_target)
{
	cleanup_free char *list = NULL, *text = NULL, *out = NULL;

	need_root();
	list = DTRACE("-l", "-c", victim_usdt(), "-f", "main");
	check_has(list, "victim");
	check_has(list, "quiet");
	text = xstrdup("::main:quiet { @[strlen(probeprov) > 6 && substr(probeprov, 0, 6) == "
		       "\"victim\"] = count() }");
	out = DTRACE("-c", victim_usdt(), "-n", text);
	check_has(out, " 1 ");
}

TEST(what_plockstat_writes_is_accepted)
{
	cleanup_error struct error err = ERROR_INIT, bad = ERROR_INIT;
	cleanup_free char *text = NULL, *out = NULL;
	const char *plockstat = program("src/dtrace/plockstat");

	need_root();
	check_ok(RUN_OUTPUT(&text, &err, plockstat, "-AV", "-n", "5", "-s", "3", "-e", "60", "x"), &err);
	out = DTRACE("-c", victim(), "-n", text);
	check_has(out, "\036"); /* for how long; nobody used a lock */
	check_int(RUN(&bad, plockstat, "-s", "0", "x"), <, 0);
	check_has(error_message(&bad), "-s 0");
}

/* Domains below dtrace keep the header that dtrace -h makes of their definitions. */
TEST(stable_headers_are_up_to_date)
{
	static const char *const names[] = {"src/smf/smf_probes", "src/zone/zone_probes",
					    "src/vm/vm_probes"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_free char *rel_d = str_printf("%s.d", names[i]), *rel_h = str_printf("%s.h", names[i]);
		cleanup_free char *d = xstrdup(test_data(rel_d)), *h = xstrdup(test_data(rel_h));
		cleanup_free char *made = NULL, *kept = NULL;
		cleanup_error struct error err = ERROR_INIT;

		check_ok(RUN_OUTPUT(&made, &err, dtrace_path(), "-h", "-s", d, "-o", "-"), &err);
		if (getenv("TEST_UPDATE"))
			check_ok(file_write_atomic(h, made, strlen(made), 0644, &err), &err);
		check_ok(file_read(h, 0, &kept, NULL, &err), &err);
		check_str(kept, made);
	}
}

/* A probe without a site is known, and who asks about it is told. */
TEST(a_probe_may_only_be_asked_about)
{
	cleanup_free char *usdtfile = str_printf("-xusdtfile=%s", victim_usdt()), *list = NULL, *out = NULL,
			  *all = NULL;

	need_first_pids();
	list = DTRACE(usdtfile, "-ln", "victim:::asked");
	check_has(list, "main");
	check_has(list, "asked");
	out = DTRACE("-c", victim_usdt(), "-n", "victim$target:::asked { printf(\"never\") }");
	check_str(out, "asked\nasked\nasked\n");
	/* Others of the program fire as ever, beside it too. */
	all = DTRACE("-c", victim_usdt(), "-n",
		     "victim$target:::asked, victim$target:::quiet { @[probename] = count() } END { printa(\"%s %@d\", @) }");
	check_has(all, "asked\nasked\nasked\n");
	check_has(all, "quiet 3");
}

/* Probes that an older -G left as DOF: a seventh argument is on the stack, others change places. */
TEST(probes_of_an_older_dtrace_are_traced)
{
	const char *victim_dof = program("src/dtrace/dtrace-victim-dof");
	cleanup_free char *out = NULL, *asked = NULL, *records = NULL;
	cleanup_free char *path = str_printf("%s/records", test_tmpdir());
	cleanup_error struct error err = ERROR_INIT;

	need_root();
	/* Apart from the program's own output, which may come before theirs, behind, or between. */
	out = DTRACE("-o", path, "-c", victim_dof, "-n",
		     "olden$target:::step { printf(\"%s %d%d%d%d%d%d %d|\", probefunc, args[0], args[2], args[3],"
		     " args[4], args[5], args[6], arg1 == args[1]) }"
		     "olden$target:::swapped { printf(\"%d %d|\", args[1], strlen(copyinstr(arg0)) > 5) }");
	check_str(out, "done");
	check_ok(file_read(path, 0, &records, NULL, &err), &err);
	check_str(records, "olden_step 034567 1|0 1|0 1|olden_step 134567 1|10 1|10 1|olden_step 234567 1|20 1|20 1|\n");
	asked = DTRACE("-c", victim_dof, "-n", "olden$target:::is-asked { trace(0) }");
	check_has(asked, "done");
}

TEST(objects_and_headers_are_made)
{
	cleanup_free char *dir = xstrdup(test_tmpdir()), *d = str_printf("%s/p.d", dir),
			  *o = str_printf("%s/p.o", dir), *h = str_printf("%s/p.h", dir),
			  *data = NULL;
	static const char text[] = "provider p { probe a__b(int); };";
	cleanup_error struct error err = ERROR_INIT, none = ERROR_INIT, bad = ERROR_INIT;
	cleanup_elfsyms struct elfsyms *e = NULL;
	cleanup_close int fd = -1;
	size_t len;

	check_ok(file_write_atomic(d, text, strlen(text), 0600, &err), &err);
	check_ok(RUN(&err, dtrace_path(), "-G", "-s", d, "-o", o), &err);
	fd = open(o, O_RDONLY | O_CLOEXEC);
	check_ok(elfsyms_open(fd, -1, o, &e, &err), &err);
	require(e);
	data = elfsyms_section(e, ".dtrace.providers", &len);
	check_str(data, text);
	free(steal_ptr(&data));
	check_ok(RUN(&err, dtrace_path(), "-h", "-s", d, "-o", h), &err);
	check_ok(file_read(h, 0, &data, NULL, &err), &err);
	check_has(data, "#define P_A_B(arg0)");
	check_has(data, "#define P_A_B_ENABLED()");
	/* An object without a site of the provider; a file without a provider. */
	check_int(RUN(&none, dtrace_path(), "-G", "-s", d, "-o", o, o), <, 0);
	check_has(error_message(&none), "no probe sites found for declared provider \"p\"");
	check_ok(file_write_atomic(d, "BEGIN", 5, 0600, &err), &err);
	check_int(RUN(&bad, dtrace_path(), "-h", "-s", d, "-o", h), <, 0);
	check_has(error_message(&bad), "defines no provider");
}

/* A program of 32 bits without a libc; false where it cannot be made or run. */
static bool
make_narrow(const char *dir)
{
	static const char *const files[][2] = {
		{"p.d", "provider p { probe a(int n, char *text); probe asked(); };\n"},
		{"unistd.h", ""},
		{"main.c",
		 "#include \"p.h\"\n"
		 "void _start(void);\n"
		 "void\n_start(void)\n{\n"
		 "	char text[] = \"on the stack\";\n"
		 "	for (int i = -1; i < 2; i++)\n"
		 "		P_A(i, text);\n"
		 "	__asm__ volatile(\"int $0x80\" :: \"a\"(1), \"b\"(P_ASKED_ENABLED() ? 7 : 8));\n"
		 "}\n"}};
	cleanup_error struct error err = ERROR_INIT, none = ERROR_INIT;
	int status = -1;
	cleanup_free char *d = str_printf("%s/p.d", dir), *h = str_printf("%s/p.h", dir),
			  *o = str_printf("%s/p.o", dir), *c = str_printf("%s/main.c", dir),
			  *m = str_printf("%s/main.o", dir), *out = str_printf("%s/narrow", dir);

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		cleanup_free char *path = str_printf("%s/%s", dir, files[i][0]);

		check_ok(file_write_atomic(path, files[i][1], strlen(files[i][1]), 0600, &err), &err);
	}
	check_ok(RUN(&err, dtrace_path(), "-h", "-s", d, "-o", h), &err);
	if (RUN(&none, "gcc", "-m32", "-O1", "-ffreestanding", "-fno-stack-protector", "-fno-pic", "-I", dir, "-c", c,
		"-o", m) < 0)
		return false;
	check_ok(RUN(&err, dtrace_path(), "-32", "-G", "-s", d, "-o", o, m), &err);
	check_ok(RUN(&err, "gcc", "-m32", "-nostdlib", "-static", "-no-pie", "-o", out, m, o), &err);
	/* a kernel that does not know such programs ends it otherwise, or does not start it */
	return run_capture((const char *const[]){out, NULL}, NULL, &status, &none) == 0 && status == 8;
}

TEST(a_program_of_32_bits_has_probes)
{
	cleanup_free char *path = str_printf("%s/narrow", test_tmpdir()), *out = NULL;

	need_first_pids();
	if (!make_narrow(test_tmpdir()))
		test_skip("needs a compiler and a kernel for 32 bits");
	out = dtrace((const char *const[]){"-c", path, "-n",
					   "p$target:::a { printf(\"%d %d %s|\", args[0], args[0] < 0,"
					   " copyinstr((uintptr_t)args[1])) } p$target:::asked {}"
					   "proc:::exit /pid == $target/"
					   "{ printf(\"%d\", curpsinfo->pr_wstat >> 8) }",
					   NULL},
		     NULL);
	check_str(out, "-1 1 on the stack|0 0 on the stack|1 0 on the stack|7");
}

/* --- a process that runs already */

static struct run_child
start_victim(void)
{
	const struct run_opts opts = {.in = RUN_PIPE, .out = RUN_PIPE, .err = RUN_INHERIT};
	const char *argv[] = {victim(), "run", NULL};
	cleanup_error struct error err = ERROR_INIT;
	struct run_child c;
	char line[6];

	check_ok(run_start(argv, &opts, &c, &err), &err);
	require(fd_read_all(c.out, line, 6) == 6); /* "ready\n" */
	return c;
}

/* One round of the victim. */
static void
turn(struct run_child *c)
{
	char byte = 0;

	require(write(c->in, "go\n", 3) == 3);
	while (byte != '\n')
		require(read(c->out, &byte, 1) == 1);
}

static struct run_child
start_dtrace(struct run_child *c, const char *text)
{
	const struct run_opts opts = {.in = RUN_NULL, .out = RUN_PIPE, .err = RUN_INHERIT};
	cleanup_free char *lib = str_printf("-xsyslibdir=%s", test_data("src/dtrace/lib"));
	cleanup_free char *pid = str_printf("%d", (int)c->pid);
	const char *argv[] = {dtrace_path(), lib, "-qp", pid, "-n", text, NULL};
	cleanup_error struct error err = ERROR_INIT;
	struct run_child d;

	check_ok(run_start(argv, &opts, &d, &err), &err);
	return d;
}

TEST(the_end_of_the_process_ends_the_trace)
{
	struct run_child c, d;
	char byte = 0;
	int status;

	need_root();
	c = start_victim();
	d = start_dtrace(&c, "BEGIN { printf(\"!\") } pid$target::victim_outer:entry { printf(\"+\") }"
			     "END { printf(\".\") }");
	require(read(d.out, &byte, 1) == 1);
	check_int(byte, ==, '!');
	turn(&c); /* BEGIN fires before the others are set: this one may be missed */
	turn(&c);
	close(steal_fd(&c.in));
	check_ok(run_wait(&c, &status, NULL), &(struct error)ERROR_INIT);
	check_int(status, ==, 0);
	while (read(d.out, &byte, 1) == 1 && byte != '.')
		;
	check_int(byte, ==, '.');
	check_ok(run_wait(&d, &status, NULL), &(struct error)ERROR_INIT);
	check_int(status, ==, 0);
}

TEST(a_zombie_is_not_waited_for)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *arg = NULL;
	siginfo_t info;
	pid_t pid;

	need_root();
	pid = fork();
	if (pid == 0)
		_exit(0);
	require(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
	arg = str_printf("%d", (int)pid);
	check_int(RUN(&err, dtrace_path(), "-p", arg, "-n", "BEGIN"), <, 0);
	check_has(error_message(&err), "it is a zombie");
	waitpid(pid, NULL, 0);
}

/* --- zones: a cgroup is all that makes one here */

TEST(a_zone_is_traced_alone)
{
	cleanup_free char *name = str_printf("dttest%d", (int)getpid()), *path = str_printf("zones/%s", name);
	cleanup_free char *lib = str_printf("-xsyslibdir=%s", test_data("src/dtrace/lib")), *all = NULL;
	const struct run_opts opts = {.in = RUN_NULL, .out = RUN_PIPE, .err = RUN_INHERIT};
	const char *argv[] = {dtrace_path(), lib, "-qz", name, "-xusdtfile", "-n",
			      "BEGIN { printf(\"!\") } victim:::quiet { printf(\"%s\", zonename == $$1 ? \"+\" : \"-\"); quiet++ }"
			      /* the run under way when the probes begin may have the end alone */
			      "victim:::step /arg0 == -7 && quiet/ { printf(\".\"); exit(0) }",
			      name, NULL};
	cleanup_free char *file = str_printf("-xusdtfile=%s", victim_usdt());
	cleanup_error struct error err = ERROR_INIT;
	cleanup_close int cgroup = -1;
	struct run_child d;
	char out[16] = "";
	pid_t pid;

	need_root();
	if (!cgroup_root() || cgroup_create(path, &cgroup, &err) < 0)
		test_skip("no cgroup can be made here");
	argv[4] = file;
	check_ok(run_start(argv, &opts, &d, &err), &err);
	require(read(d.out, out, 1) == 1);
	/* Until the zone's own comes through, others run outside: none of them may be seen. */
	for (int seen = 0; !seen;) {
		struct pollfd p = {.fd = d.out, .events = POLLIN};

		check_ok(RUN(&err, victim_usdt()), &err);
		pid = cgroup_fork(cgroup, 0, NULL, &err);
		if (pid == 0) {
			execl(victim_usdt(), "victim", NULL);
			_exit(127);
		}
		require(pid > 0);
		waitpid(pid, NULL, 0);
		seen = poll(&p, 1, 10) > 0;
	}
	require(fd_read_all(d.out, out + 1, sizeof(out) - 2) > 0);
	check(!strchr(out, '-'));
	check_has(out, "+");
	check_has(out, ".");
	run_abort(&d);
	check_ok(cgroup_remove(path, &err), &err);
	check_int(RUN(&err, dtrace_path(), lib, "-z", name, "-n", "BEGIN"), <, 0);
	check_has(error_message(&err), "no such zone is running");
}

/* First byte of victim_sum() in the process: 0xcc is a breakpoint. */
static int
first_byte(pid_t pid)
{
	cleanup_free char *path = str_printf("/proc/%d/mem", (int)pid);
	cleanup_error struct error err = ERROR_INIT;
	cleanup_procmaps struct procmaps maps = {0};
	cleanup_elfsyms struct elfsyms *e = NULL;
	cleanup_close int fd = open(victim(), O_RDONLY | O_CLOEXEC), mem = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t off = 0;
	unsigned char byte = 0;

	check_ok(elfsyms_open(fd, -1, "victim", &e, &err), &err);
	require(elfsyms_to_offset(e, elfsyms_function(e, "victim_sum")->addr, &off));
	check_ok(procmaps_read(pid, &maps, &err), &err);
	for (size_t i = 0; i < maps.n; i++) {
		const struct procmap *m = &maps.v[i];

		if (m->exec && str_ends(m->path, "dtrace-victim") && off >= m->offset &&
		    off < m->offset + m->end - m->start)
			require(pread(mem, &byte, 1, (off_t)(m->start + off - m->offset)) == 1);
	}
	return byte;
}

TEST(a_killed_consumer_leaves_no_probe_behind)
{
	struct pollfd p = {.events = POLLIN};
	struct run_child c, d;
	char byte = 0;
	int before;

	need_root();
	c = start_victim();
	before = first_byte(c.pid);
	check_int(before, !=, 0xcc);
	d = start_dtrace(&c, "pid$target::victim_sum:entry { printf(\"+\") }");
	p.fd = d.out;
	while (first_byte(c.pid) != 0xcc) /* the test's own time limit ends this */
		usleep(1000);
	/* It fires when all that dtrace attaches is there, which may be later. */
	do
		turn(&c);
	while (poll(&p, 1, 10) == 0);
	require(read(d.out, &byte, 1) == 1);
	check_int(byte, ==, '+');
	run_abort(&d); /* SIGKILL */
	while (first_byte(c.pid) == 0xcc)
		turn(&c);
	check_int(first_byte(c.pid), ==, before);
	turn(&c);
	run_abort(&c);
}

TEST(a_command_dies_with_a_killed_consumer)
{
	const struct run_opts opts = {.in = RUN_NULL, .out = RUN_PIPE, .err = RUN_INHERIT};
	cleanup_free char *lib = str_printf("-xsyslibdir=%s", test_data("src/dtrace/lib"));
	const char *argv[] = {dtrace_path(), lib, "-qc", "sleep 1000", "-n",
			      "BEGIN { printf(\"%d\\n\", $target) }", NULL};
	cleanup_error struct error err = ERROR_INIT;
	struct run_child d;
	char text[16] = "";
	size_t n = 0;
	int pid;

	need_root();
	check_ok(run_start(argv, &opts, &d, &err), &err);
	while (n < sizeof(text) - 1 && read(d.out, &text[n], 1) == 1 && text[n] != '\n')
		n++;
	text[n] = '\0';
	require(str_to_int(text, &pid) == 0);
	check_int(kill(pid, 0), ==, 0);
	run_abort(&d);
	while (proc_start_time(pid) != 0 && kill(pid, 0) == 0) {
		cleanup_free char *path = str_printf("/proc/%d/stat", pid), *stat = NULL;

		if (file_read(path, 0, &stat, NULL, NULL) < 0 || strstr(stat, ") Z "))
			break; /* nobody reaps it here, but it is dead */
		usleep(1000);
	}
}
