/*
 * What a program of a zone may say: a table of programs, and what becomes of them; then
 * one traces, loaded into the running kernel, what a process in a user namespace does.
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"
#include "dtrace/priv.h"

#define BOTH (PRIV_DTRACE_USER | PRIV_DTRACE_PROC)
#define PRIVILEGES ": DTrace requires additional privileges"

static bool
no_macro(void *arg, const char *name, int64_t *ret)
{
	*ret = 7;
	return str_eq(name, "pid");
}

static const struct remote client = {.macro = no_macro};

static const struct {
	unsigned privs;
	const char *text;
	const char *says; /* NULL: it compiles */
} rows[] = {
	{BOTH, "syscall::read:entry { @[execname, pid, ppid, tid, uid, gid, zonename] = count(); }", NULL},
	{BOTH, "syscall::read:entry { trace(copyinstr(arg1)); ustack(); }", NULL},
	{BOTH, "syscall::read:entry { this->p = (struct stat *)copyin(arg1, 144); trace(this->p->st_size); }", NULL},
	{BOTH, "syscall::read:entry { trace(fds[arg0].fi_pathname); trace(cwd); }", NULL},
	{BOTH, "BEGIN { trace(curpsinfo->pr_psargs); printf(\"%d\", curlwpsinfo->pr_lwpid); }", NULL},
	{BOTH, "proc:::create { trace(args[0]->pr_pid); trace(args[0]->pr_psargs); }", NULL},
	{BOTH, "sched:::off-cpu { trace(args[1]->pr_fname); }", NULL},
	{BOTH, "vminfo:::dfree { @ = sum(arg0); }", NULL},
	{BOTH, "sysinfo:::pswitch { @ = sum(arg0); }", NULL},
	{BOTH, "profile-97 { @[ustack()] = count(); @a[arg1] = count(); }", NULL},
	{BOTH, "BEGIN { @a = count(); } tick-1s { printa(@a); }", NULL},
	{BOTH, "tick-1s { exit(progenyof($pid)); }", NULL},
	{BOTH, "#pragma D option destructive\nsyscall::read:entry { raise(9); stop(); system(\"date\"); }", NULL},
	{BOTH, "#pragma D option destructive\nsyscall::read:entry { copyoutstr(\"a\", arg1, 2); freopen(\"/x\"); }", NULL},
	{BOTH, "typedef struct mine { int a; } mine_t; syscall::read:entry { trace(((mine_t *)copyin(arg1, 4))->a); }", NULL},
	{BOTH, "inline int twice = 2 * pid; BEGIN { trace(twice); }", NULL},
	{BOTH, "#pragma D option ustackunwind=fp\nsyscall::read:entry { @[ustack(), ustackdepth] = count(); }", NULL},
	/* providers */
	{BOTH, "fbt::vfs_read:entry { }", "does not match any probes"},
	{BOTH, "rawtp:::sched_switch { }", "does not match any probes"},
	{BOTH, "sdt:::sched_switch { }", "does not match any probes"},
	{BOTH, "io:::start { }", "does not match any probes"},
	{BOTH, "tcp:::send { }", "does not match any probes"},
	{BOTH, "vfs:::read { }", "does not match any probes"},
	{BOTH, "lockstat:::adaptive-acquire { }", "does not match any probes"},
	{BOTH, "profile-20000 { }", "does not match any probes"},
	{PRIV_DTRACE_PROC, "syscall::read:entry { }", "does not match any probes"},
	{PRIV_DTRACE_PROC, "profile-97 { }", "does not match any probes"},
	{PRIV_DTRACE_PROC, "BEGIN { } tick-1s { }", NULL},
	{PRIV_DTRACE_USER, "syscall::read:entry { }", NULL},
	/* the kernel's memory */
	{BOTH, "BEGIN { trace(`jiffies); }", "the kernel's variable `jiffies" PRIVILEGES},
	{BOTH, "BEGIN { trace(curthread); }", "curthread" PRIVILEGES},
	{BOTH, "BEGIN { trace(curthread->tgid); }", "curthread" PRIVILEGES},
	{BOTH, "BEGIN { stack(); }", "stack( )" PRIVILEGES},
	{BOTH, "BEGIN { @[stack()] = count(); }", "stack( )" PRIVILEGES},
	{BOTH, "BEGIN { @[sym(1)] = count(); }", "sym( )" PRIVILEGES},
	{BOTH, "BEGIN { trace(caller); }", "caller" PRIVILEGES},
	{BOTH, "BEGIN { trace(stackdepth); }", "stackdepth" PRIVILEGES},
	{BOTH, "BEGIN { func(1); }", "func( )" PRIVILEGES},
	{BOTH, "BEGIN { trace(d_path((struct path *)1)); }", "d_path( )" PRIVILEGES},
	{BOTH, "BEGIN { trace(d_psargs((struct task_struct *)1)); }", "d_psargs( )" PRIVILEGES},
	{BOTH, "BEGIN { trace(mutex_owned((struct mutex *)1)); }", "mutex_owned( )" PRIVILEGES},
	{BOTH, "BEGIN { trace((xlate <psinfo_t *> ((struct task_struct *)1))->pr_pid); }",
	 "pr_pid of an address of the program's own" PRIVILEGES},
	{BOTH, "BEGIN { trace(d_tgid[(struct task_struct *)1]); }",
	 "d_tgid of an address of the program's own" PRIVILEGES},
	{BOTH, "#pragma D option destructive\nBEGIN { panic(); }", "panic( )" PRIVILEGES},
	{BOTH, "#pragma D option destructive\nBEGIN { chill(1); }", "chill( )" PRIVILEGES},
	/* what words mean */
	{BOTH, "struct task_struct { int x; }; BEGIN { }", "struct task_struct: that name has a meaning"},
	{BOTH, "typedef int psinfo_t; BEGIN { }", "typedef psinfo_t: that name has a meaning"},
	{BOTH, "inline int curthread = 5; BEGIN { }", "inline curthread: that name has a meaning"},
	{BOTH, "inline int d_tgid = 5; BEGIN { }", "inline d_tgid: that name has a meaning"},
	{BOTH, "BEGIN { trace(\"#\"); } typedef int psinfo_t; BEGIN { }", "typedef psinfo_t: that name has a meaning"},
	{BOTH, "BEGIN { trace(\"/*\"); } inline int pr_x = curthread; BEGIN { trace(\"*/\"); trace(pr_x); }",
	 "curthread" PRIVILEGES},
	{BOTH, "BEGIN { trace(\"/*\"); } struct psinfo { int x; }; BEGIN { trace(\"*/\"); }",
	 "struct psinfo: that name has a meaning"},
	/* the node's files and sizes */
	{BOTH, "#pragma D option libdir=/tmp\nBEGIN { }", "option 'libdir' cannot be set"},
	{BOTH, "#pragma D option usdtfile=/bin/sh\nBEGIN { }", "option 'usdtfile' cannot be set in a zone or without"},
	{BOTH, "#pragma D option zone=all\nBEGIN { }", "option 'zone' cannot be set in a zone or without"},
	{BOTH, "#pragma D option nolibs\nBEGIN { }", "option 'nolibs' cannot be set in a zone or without"},
	{BOTH, "#pragma D option bufsize=1g\nBEGIN { }", "option 'bufsize' is from 4096 to 16777216 here"},
	{BOTH, "#pragma D option strsize=8k\nBEGIN { }", "option 'strsize' is from 8 to 4096 here"},
};

static struct dt *
open_confined(struct confine *z)
{
	cleanup_free char *lib = str_printf("syslibdir=%s", test_data("src/dtrace/lib"));
	struct error err = ERROR_INIT;
	struct dt *dt;

	if (!file_exists("/sys/kernel/btf/vmlinux"))
		test_skip("needs a kernel with BTF");
	check_ok(dt_open(&dt, &err), &err);
	check_ok(dt_set_option(dt, lib, &err), &err);
	dt->confine = z;
	dt->remote = &client;
	return dt;
}

TEST(programs_of_zones)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct confine z = {.zone = (char *)(uintptr_t)"web", .privs = rows[i].privs,
				    .cgroup = 1, .user_ns = 1, .uid_base = 100000, .pid_ns = -1};
		cleanup_error struct error err = ERROR_INIT;
		struct dt *dt = open_confined(&z);
		int r = dt_compile(dt, rows[i].text, strlen(rows[i].text), "", &err);

		if ((r < 0) != !!rows[i].says ||
		    (rows[i].says && !strstr(error_message(&err), rows[i].says)))
			test_fail(__FILE__, __LINE__, "%s: %s", rows[i].text, r < 0 ? error_message(&err) : "it compiles");
		/* What compiles is written, and passes the verifier. */
		if (r == 0 && geteuid() == 0 && dt_enable(dt, &err) < 0 &&
		    !strstr(error_message(&err), "locked down in this kernel"))
			test_fail(__FILE__, __LINE__, "%s: %s", rows[i].text, error_message(&err));
		dt_close(dt);
	}
}

/* The library takes longer than all the rest: it is read if it is used, or could be mistaken. */
TEST(what_needs_the_library)
{
	static const struct {
		const char *text;
		bool needs;
	} texts[] = {
		{"BEGIN { exit(0); }", false},
		{"syscall::read:entry /pid == $pid && uid/ { @[execname, zonename, tid] = count(); }", false},
		{"BEGIN { trace(curpsinfo->pr_psargs); }", true},
		{"proc:::create { trace(args[0]->pr_pid); }", true},
		{"inline int mine = 3; BEGIN { trace(mine); }", true},
	};
	struct confine z = {.zone = (char *)(uintptr_t)"web", .privs = BOTH, .cgroup = 1, .user_ns = 1,
			    .uid_base = 100000, .pid_ns = -1};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		cleanup_error struct error err = ERROR_INIT;
		struct dt *dt = open_confined(&z);

		check_ok(dt_compile(dt, texts[i].text, strlen(texts[i].text), "", &err), &err);
		if (dt->library != texts[i].needs)
			test_fail(__FILE__, __LINE__, "%s: the library %s read", texts[i].text,
				  dt->library ? "was" : "was not");
		/* Nothing that comes later gives its words another meaning. */
		check(dt_compile(dt, "typedef int psinfo_t; BEGIN { }", 31, "", &err) < 0);
		check_has(error_message(&err), "typedef psinfo_t: that name has a meaning");
		dt_close(dt);
	}
}

/* A user's program has more before it: that passes the verifier, too. */
TEST(programs_of_users)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct confine z = {.zone = (char *)(uintptr_t)"global", .privs = rows[i].privs,
				    .user_ns = 1, .pid_ns = -1, .owner_only = true,
				    .owner = 3000000000, .group = 3000000001};
		cleanup_error struct error err = ERROR_INIT;
		struct dt *dt;
		int r;

		if (rows[i].says || geteuid() != 0)
			continue;
		dt = open_confined(&z);
		r = dt_compile(dt, rows[i].text, strlen(rows[i].text), "", &err);
		if ((r < 0 || (r = dt_enable(dt, &err)) < 0) &&
		    !strstr(error_message(&err), "locked down in this kernel"))
			test_fail(__FILE__, __LINE__, "%s: %s", rows[i].text, error_message(&err));
		dt_close(dt);
	}
}

/* With dtrace_kernel there is no confinement, but what changes others stays root's. */
TEST(with_dtrace_kernel)
{
	cleanup_error struct error err = ERROR_INIT;
	struct dt *dt = open_confined(NULL);
	const char *text = "BEGIN { trace(`jiffies); stack(); trace(curthread->tgid); }";

	check_ok(dt_compile(dt, text, strlen(text), "", &err), &err);
	check_int(dt_set_option(dt, "destructive", &err), ==, -EPERM);
	check_has(error_message(&err), "destructive actions (-w) on all processes are root's");
	dt_close(dt);
}

TEST(words_of_user_attr)
{
	static const char passwd[] = "root:x:0:0::/root:/bin/sh\n# no\nann:x:1000:1000::/:/bin/sh\n"
				     "bob:x:1001:1001\n\nsix\nann2:x:1000:1000::/:/bin/sh\nodd:x:1x:1\nmax:x:4294967295:1";
	static const char attr[] = "# comment\nroot::::type=normal\nann::::type=normal;defaultpriv=basic,dtrace_proc;x=y\n"
				   "bob:::\nann::::defaultpriv=all\nmax::::defaultpriv=all,!dtrace_kernel";
	static const struct {
		uint32_t uid;
		const char *name;
		unsigned privs;
	} users[] = {{0, "root", 0},	    {1000, "ann", PRIV_DTRACE_PROC},
		     {1001, "bob", 0},	    {1, NULL, 0},
		     {4294967295u, "max", PRIV_OF_ZONES}};

	for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
		cleanup_free char *name = NULL, *none = NULL, *none2 = NULL;

		check_int(priv_of_user(attr, passwd, users[i].uid, &name), ==, users[i].privs);
		check_str(name ? name : "-", users[i].name ? users[i].name : "-");
		check_int(priv_of_user("", passwd, users[i].uid, &none), ==, 0);
		check_int(priv_of_user(attr, "", users[i].uid, &none2), ==, 0);
		check(!none2);
	}
}

TEST(words_of_limit_priv)
{
	check_int(priv_parse(NULL), ==, BOTH);
	check_int(priv_parse("default"), ==, BOTH);
	check_int(priv_parse("default,!dtrace_user"), ==, PRIV_DTRACE_PROC);
	check_int(priv_parse("default,dtrace_proc,dtrace_user"), ==, BOTH);
	check_int(priv_parse("default,-dtrace_proc,-dtrace_user"), ==, 0);
	check_int(priv_parse("basic"), ==, 0);
	check_int(priv_parse("basic,dtrace_user"), ==, PRIV_DTRACE_USER);
	check_int(priv_parse("all,-dtrace_proc"), ==, PRIV_DTRACE_USER | PRIV_DTRACE_KERNEL);
	check_int(priv_parse("dtrace_userx, dtrace_kernel"), ==, PRIV_DTRACE_KERNEL);
}
