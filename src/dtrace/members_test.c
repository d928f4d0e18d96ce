/*
 * What stable providers say: testdata/provoke.c makes a thing happen, and the members of the
 * probe's arguments have the values they must have.  What needs kprobes is in testdata/node.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "base/test.h"
#include "os/ns.h"
#include "os/run.h"

/*
 * provoke by a name ($$1) that nobody else's processes have, and so its execname: another run of this
 * test may be under way on the machine.
 */
static const char *
our_name(void)
{
	static char name[16];
	char path[4096];

	snprintf(name, sizeof(name), "provoke%d", (int)getpid());
	snprintf(path, sizeof(path), "%s/%s", test_tmpdir(), name);
	require(symlink(test_built("src/dtrace/dtrace-provoke"), path) == 0 || errno == EEXIST);
	return name;
}

/* Output of a program while provoke does something, not held by dtrace: timeout's child. */
static char *
provoke(const char *what, const char *file, const char *program)
{
	const char *name = our_name();
	cleanup_free char *dtrace = xstrdup(test_built("src/dtrace/dtrace"));
	cleanup_free char *lib = str_printf("-xsyslibdir=%s", test_data("src/dtrace/lib"));
	cleanup_free char *command = str_printf("timeout 60 %s/%s %s %s", test_tmpdir(), name, what, file);
	cleanup_error struct error err = ERROR_INIT;
	char *out = NULL;
	int status;

	/* with what it says of drops and faults */
	if (run_capture((const char *const[]){"sh", "-c", "exec \"$@\" 2>&1", "sh", dtrace, lib, "-xstrsize=80", "-q",
					      "-xargref", "-c", command, "-n", program, name, NULL},
			&out, &status, &err) < 0)
		return str_printf("%s", error_message(&err));
	/* what dtrace ends its output with: see testdata/run */
	if (str_ends(out, "\n"))
		out[strlen(out) - 1] = '\0';
	return out;
}

static void
need_root(void)
{
	if (geteuid() != 0 || !file_exists("/sys/kernel/btf/vmlinux"))
		test_skip("needs root and a kernel with BTF");
}

#define OURS "execname == $$1"
/* State changes may be seen in whatever thread is interrupted, and others may have the same ports. */
#define OUR_NET "syscall::unshare:return /" OURS "/ { net = curthread->nsproxy->net_ns }"
#define OUR_SOCKET "((struct sock *)arg1)->__sk_common.skc_net.net == net"

static const struct {
	const char *what, *program, *out;
	bool first_pids; /* $target and si_pid are what the namespace says, pid is the node's */
} rows[] = {
	{"fault",
	 "proc:::fault /" OURS "/ { printf(\"%d %d %d %d\\n\", args[0], args[1]->si_signo,"
	 " args[1]->si_code, args[0] == FLTBOUNDS ? args[1]->si_addr : 0) }",
	 "6 11 1 16\n" /* FLTBOUNDS, SEGV_MAPERR */
	 "8 8 1 0\n"   /* FLTIZDIV, FPE_INTDIV */
	 "1 4 2 0\n"   /* FLTILL, ILL_ILLOPN */
	 "3 5 128 0\n" /* FLTBPT, SI_KERNEL */},
	{"signals", "proc:::signal-clear /" OURS "/ { printf(\"%d\", args[0] == SIGUSR1) }", "1"},
	{"signals",
	 "proc:::signal-send, proc:::signal-discard /" OURS " && args[1]->pr_fname == execname/"
	 " { @[args[2], probename, args[1]->pr_pid == args[0]->pr_lwpid] = count() }"
	 " END { setopt(\"aggsortkey\"); printa(\"%d %s %d\\n\", @) }",
	 "10 signal-send 1\n12 signal-discard 1\n12 signal-send 1\n15 signal-send 1\n"
	 "17 signal-discard 1\n17 signal-send 1\n23 signal-send 1\n"},
	{"signals",
	 "proc:::signal-handle /" OURS "/ { printf(\"%d \", args[0]) }"
	 "proc:::signal-handle /" OURS " && arg2 != 0/ { printf(\"%d %d %d \", args[1]->si_signo,"
	 " args[1]->si_code == SI_USER, args[1]->si_pid == pid) }",
	 "23 23 1 1 15 ", true},
	{"signals",
	 "proc:::exit /" OURS "/ { @[args[0] == CLD_KILLED, args[0] == CLD_EXITED] = count() }"
	 " END { printa(\"%d%d %@d \", @) }",
	 "01 1 10 1 "},
	{"thread",
	 "proc:::lwp-create /" OURS "/ { printf(\"%d %d %d %s %d \", args[1]->pr_pid == pid,"
	 " args[0]->pr_lwpid != pid, args[1]->pr_nlwp, args[0]->pr_clname, args[0]->pr_name == $$1) }"
	 "proc:::create /" OURS "/ { printf(\"a process\") }"
	 "proc:::lwp-exit /" OURS "/ { printf(\"%d\", tid == pid) }",
	 "1 1 2 TS 1 01"},
	{"thread", "sysinfo:::nthreads /" OURS "/ { printf(\"%d\", arg0) }", "1"},
	{"thread",
	 "syscall::exit_group:entry /" OURS "/ { printf(\"%d %d %d %d %c %d %d %d\","
	 " curlwpsinfo->pr_syscall, curlwpsinfo->pr_flag, curlwpsinfo->pr_state == SONPROC,"
	 " curlwpsinfo->pr_nice == curthread->static_prio - 100, curlwpsinfo->pr_sname, curlwpsinfo->pr_time.tv_nsec > 10000,"
	 " curpsinfo->pr_size > curpsinfo->pr_rssize && curpsinfo->pr_rssize > 100,"
	 " walltimestamp / 1000000000 - curpsinfo->pr_start.tv_sec < 60) }",
	 "231 0 1 1 O 1 1 1"},
	{"thread",
	 "proc:::create /pid == $target/ { printf(\"%d %d %d %d %d %d\", args[0]->pr_ppid == pid,"
	 " args[0]->pr_uid, args[0]->pr_gid, args[0]->pr_dmodel == PR_MODEL_LP64,"
	 " args[0]->pr_nlwp, args[0]->pr_sid == curpsinfo->pr_sid) }",
	 "1 0 0 1 1 1", true},
	/* a connection, from both ends, and where it came from */
	{"tcp",
	 OUR_NET "tcp:::connect-established, tcp:::accept-established /" OUR_SOCKET "/ { printf(\"%s %d %d %s:%d > %s:%d %x %d %s\\n\","
	 " probename, args[2]->ip_ver, args[3]->tcps_active, args[2]->ip_saddr, args[4]->tcp_sport,"
	 " args[2]->ip_daddr, args[4]->tcp_dport, args[4]->tcp_flags, args[4]->tcp_offset,"
	 " tcp_state_string[args[3]->tcps_state]) }",
	 "connect-established 4 1 127.0.0.1:4040 > 127.0.0.1:4041 12 20 state-established\n"
	 "accept-established 4 0 127.0.0.1:4041 > 127.0.0.1:4040 10 20 state-established\n"},
	{"tcp6",
	 OUR_NET "tcp:::connect-established, tcp:::accept-established /" OUR_SOCKET "/ { printf(\"%d %d %s:%d > %s:%d %s\\n\","
	 " args[2]->ip_ver, args[3]->tcps_active, args[2]->ip_saddr, args[4]->tcp_sport,"
	 " args[2]->ip_daddr, args[4]->tcp_dport, xlate <conninfo_t> ((struct sock *)arg1).ci_protocol) }",
	 "6 1 ::1:4040 > ::1:4041 ipv6\n6 0 ::1:4041 > ::1:4040 ipv6\n"},
	/* the tracepoint alone, as this runs where functions cannot be hooked, too */
	{"tcp",
	 OUR_NET "tcp::inet_sock_set_state:state-change /" OUR_SOCKET "/ { printf(\"%d %s to %s\\n\", args[3]->tcps_lport,"
	 " tcp_state_string[args[5]->tcps_state], tcp_state_string[args[3]->tcps_state]) }",
	 "4040 state-closed to state-listen\n"
	 "4041 state-closed to state-syn-sent\n"
	 "4041 state-syn-sent to state-established\n"
	 "4040 state-syn-received to state-established\n"
	 "4041 state-established to state-fin-wait-1\n"
	 "4040 state-established to state-close-wait\n"
	 "4041 state-fin-wait-1 to state-fin-wait-2\n"
	 "4040 state-close-wait to state-last-ack\n"
	 "4041 state-fin-wait-2 to state-closed\n"
	 "0 state-last-ack to state-closed\n"
	 "4040 state-listen to state-closed\n"},
	/* its numbers when the client has sent five bytes and closes: relative to the first */
	{"tcp",
	 OUR_NET "tcp::inet_sock_set_state:state-change /" OUR_SOCKET " && args[3]->tcps_state == TCP_STATE_FIN_WAIT_1/ {"
	 " printf(\"%d %d %d %d %d \", args[3]->tcps_addr == args[1]->cs_addr, args[3]->tcps_local,"
	 " args[3]->tcps_rport, args[3]->tcps_suna - args[3]->tcps_iss, args[3]->tcps_snxt - args[3]->tcps_suna);"
	 " printf(\"%d %d %d \", args[3]->tcps_rnxt == args[3]->tcps_rack,"
	 " args[3]->tcps_sack_fack == args[3]->tcps_suna, args[3]->tcps_sack_snxt == args[3]->tcps_suna);"
	 " printf(\"%d %d %d %d %d %d %d %s\", args[3]->tcps_swnd, args[3]->tcps_snd_ws == args[3]->tcps_rcv_ws,"
	 " args[3]->tcps_rwnd >= 65483, args[3]->tcps_cwnd >= 10, args[3]->tcps_mss, args[3]->tcps_rto >= 200"
	 " && args[3]->tcps_rto <= 120000, args[3]->tcps_retransmit, args[3]->tcps_raddr) }",
	 "1 1 4040 6 0 1 1 1 65536 1 1 1 32768 1 0 127.0.0.1"},
	/* a port that nobody listens on answers with a reset; a SYN that nobody answers is sent again */
	{"refused", "mib:::tcpOutRsts /" OURS "/ { @ = sum(arg0) } END { printa(\"%@d\", @) }", "1"},
	{"again", OUR_NET "tcp::inet_sock_set_state:state-change /" OUR_SOCKET " && args[3]->tcps_lport == 4043/ { printf(\"%s \","
	 " tcp_state_string[args[3]->tcps_state]) }", "state-syn-sent state-closed "},
};

TEST(arguments_have_the_values_they_should_have)
{
	need_root();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *out = NULL;

		if (rows[i].first_pids && !ns_pids_are_first()) {
			printf("# needs the first namespace of process ids: %s\n", rows[i].program);
			continue;
		}
		out = provoke(rows[i].what, "", rows[i].program);
		/* the kernel leaves a program out that interrupts itself, at another's event: told, and tried again */
		for (int n = 0; n < 2 && !str_eq(out, rows[i].out); n++) {
			printf("# once: \"%s\"\n", out);
			free(out);
			out = provoke(rows[i].what, "", rows[i].program);
		}
		check_str(out, rows[i].out);
	}
}

/* The path of a file of 16 KiB, the caller's; without a disk below it the test is skipped. */
static char *
file_on_a_disk(const char *name, struct stat *ret)
{
	static const char text[16384];
	cleanup_free char *path = str_printf("%s/%s", test_tmpdir(), name);
	cleanup_error struct error err = ERROR_INIT;

	need_root();
	require_ok(file_write_atomic(path, text, sizeof(text), 0600, &err), &err);
	require(stat(path, ret) == 0);
	if (major(ret->st_dev) == 0)
		test_skip("the files of tests are on no disk of their own");
	return steal_ptr(&path);
}

/* Where the disk has those bytes of a file, in sectors; 0: its filesystem does not say. */
static uint64_t
sector_of(const char *path, uint64_t at, const struct stat *st)
{
	struct {
		struct fiemap map;
		struct fiemap_extent extent;
	} m = {.map = {.fm_start = at, .fm_length = 512, .fm_flags = FIEMAP_FLAG_SYNC, .fm_extent_count = 1}};
	cleanup_free char *partition = str_printf("/sys/dev/block/%u:%u/start", major(st->st_dev), minor(st->st_dev));
	cleanup_free char *start = NULL;
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, FS_IOC_FIEMAP, &m) < 0 || m.map.fm_mapped_extents != 1 ||
	    m.extent.fe_flags & FIEMAP_EXTENT_UNKNOWN)
		return 0;
	file_read_line(partition, &start, NULL);
	return (m.extent.fe_physical + at - m.extent.fe_logical) / 512 + (start ? strtoull(start, NULL, 10) : 0);
}

/*
 * A request of 4096 bytes; whether the disk is virtual or not, whatever its driver.  On a busy disk it starts
 * in the name of whoever gives the disk its next work, so it is known by its place, not by who runs.
 */
TEST(a_disk_is_known_by_name_and_number)
{
	struct stat st;
	cleanup_free char *file = file_on_a_disk("data", &st), *out = NULL, *program = NULL;
	uint64_t sector = sector_of(file, 8192, &st);

	if (!sector)
		test_skip("the filesystem does not say where a file is");
	program = str_printf("io:::start /args[0]->b_blkno == %ju && args[0]->b_flags & B_READ/ { t[arg0] = args[0]->b_blkno;"
		      " printf(\"%%d %%d %%d %%d %%d|\", args[0]->b_bcount, args[0]->b_flags & (B_READ | B_WRITE | B_DONE) ,"
		      " args[0]->b_bufsize, args[0]->b_resid, args[0]->b_error) }"
		      "io:::done /t[arg0]/ { printf(\"%%d %%d %%d %%d %%d %%d|%%d:%%d %%d %%d %%d %%s %%s\", t[arg0] == args[0]->b_blkno,"
		      " args[0]->b_lblkno == args[0]->b_blkno, args[0]->b_bcount, args[0]->b_flags & (B_READ | B_WRITE | B_DONE | B_ERROR),"
		      " args[0]->b_error, args[0]->b_resid, args[1]->dev_major, args[1]->dev_minor,"
		      " getmajor(args[0]->b_edev) == args[1]->dev_major, strlen(args[1]->dev_name) > 1,"
		      " strstr(args[1]->dev_pathname, args[1]->dev_statname) != NULL,"
		      " args[2]->fi_pathname, args[2]->fi_mount); t[arg0] = 0 }", (uintmax_t)sector);
	out = provoke("direct", file, program);
	{
		cleanup_free char *want = str_printf("4096 64 4096 0 0|1 1 4096 66 0 0|%u:%u 1 1 1 <none> <none>",
						     major(st.st_dev), minor(st.st_dev));

		check_str(out, want);
	}
}

/* The file that a page of the cache is written back for, whoever does it. */
TEST(the_file_of_a_request_is_known)
{
	struct stat st;
	cleanup_free char *file = file_on_a_disk("data.of.provoke", &st), *out = NULL, *want = NULL;

	out = provoke("written", file,
		      "io:::start /args[2]->fi_name == \"data.of.provoke\" && args[2]->fi_offset == 8192/ { printf(\"%s %s %d %d\","
		      " args[2]->fi_pathname, args[2]->fi_dirname, strlen(args[2]->fi_fs) > 1,"
		      " strlen(args[2]->fi_mount) > 0); exit(0) }");
	want = str_printf("%s %s 1 1", file, test_tmpdir());
	check_str(out, want);
}

TEST(a_cpu_has_a_package_and_a_node)
{
	cleanup_free char *out = NULL, *line = NULL, *want = NULL;
	cleanup_error struct error err = ERROR_INIT;

	need_root();
	if (file_read_line("/sys/devices/system/cpu/cpu0/topology/physical_package_id", &line, &err) < 0)
		test_skip("this machine does not say which packages it has");
	out = provoke("thread", "", "BEGIN { printf(\"%d %d\", xlate <cpuinfo_t> (0).cpu_chip, chip == curcpu->cpu_chip); exit(0) }");
	want = str_printf("%s 1", line);
	check_str(out, want);
}
