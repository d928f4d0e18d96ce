/*
 * dtrace(8) in a zone, and of users in the global zone: asks the broker (dtraced(8)) and does what
 * has to be done here: reads the D scripts, starts the command of -c, writes the output and the
 * files, runs the commands of system().  All with this process's own rights.
 *
 * Zones have it as a static program (zone_main.c; /native/usr/sbin/dtrace in lx zones): it knows as much
 * of the options as names files.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dtrace/dtrace_main.h"
#include "dtrace/priv_deed.h"
#include "dtrace/request.h"

static int sock = -1;
static int go = -1;		    /* where the command of -c waits */
static int out = STDOUT_FILENO;    /* -o's or freopen()'s file */
static int first_out = STDOUT_FILENO; /* where output went at first */

static int
fail(const char *what, int error)
{
	fprintf(stderr, "dtrace: %s%s%s\n", what, error ? ": " : "", error ? strerror(error) : "");
	exit(1);
}

/* --- the request */

static void
add_file(struct strbuf *request, const char *path)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_free char *what = str_printf("failed to open %s", path);
	FILE *f = fopen(path, "re");
	char buf[4096];
	size_t n;

	if (!f)
		fail(what, errno);
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0 && text.len <= REQUEST_MAX)
		strbuf_add(&text, buf, n);
	if (ferror(f))
		fail(what, errno);
	fclose(f);
	if (text.len && memchr(text.data, 0, text.len))
		fail(what, EINVAL);
	request_add(request, REQUEST_FILE, path);
	request_add(request, REQUEST_TEXT, text.data ? text.data : "");
}

static void
add_ids(struct strbuf *request)
{
	const struct {
		const char *name;
		int value;
	} ids[] = {{"pid", getpid()},	    {"ppid", getppid()},      {"uid", (int)getuid()},
		   {"euid", (int)geteuid()}, {"gid", (int)getgid()},  {"egid", (int)getegid()},
		   {"pgid", getpgrp()},	    {"sid", getsid(0)}};

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		cleanup_free char *text = str_printf("%s=%d", ids[i].name, ids[i].value);

		request_add(request, REQUEST_ID, text);
	}
}

/* The command, held until the broker's process has it in its hand; its exit tells why it could not. */
static pid_t
hold_command(const char *command)
{
	cleanup_strv struct strv words = STRV_INIT;
	int ends[2];
	pid_t pid;
	char c;

	strv_words(&words, command, " \t");
	if (!words.n)
		fail("-c needs a command", 0);
	if (pipe2(ends, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		fail("cannot start the command", errno);
	if (pid == 0) {
		close(ends[1]);
		if (read(ends[0], &c, 1) != 1)
			_exit(127);
		execvp(words.v[0], words.v);
		_exit(errno & 0xff);
	}
	close(ends[0]);
	go = ends[1];
	return pid;
}

static void
take_options(int argc, char **argv, struct strbuf *request)
{
	cleanup_free char **copy = xcalloc((size_t)argc + 1, sizeof(*copy));
	const char *command = NULL;
	int opt, n = 0;

	for (int i = 0; i < argc; i++) {
		request_add(request, REQUEST_ARG, i ? argv[i] : "dtrace");
		if (!str_eq(argv[i], "-32") && !str_eq(argv[i], "-64"))
			copy[n++] = argv[i];
	}
	opterr = 0; /* the consumer tells */
	while ((opt = getopt(n, copy, DTRACE_LETTERS)) != -1) {
		if (opt == 's')
			add_file(request, optarg);
		if (opt == 'c')
			command = optarg;
	}
	add_ids(request);
	if (command) {
		cleanup_free char *pid = str_printf("%d", (int)hold_command(command));

		request_add(request, REQUEST_PID, pid);
	}
}

static void
connect_broker(void)
{
	static const char *const paths[] = {"/native/.zonecontrol/" REQUEST_SOCKET,
					    "/.zonecontrol/" REQUEST_SOCKET, REQUEST_GLOBAL};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int size = 2 * REQUEST_MAX, error = ENOENT;

	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (sock < 0)
		fail("failed to initialize dtrace", errno);
	setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		strcpy(addr.sun_path, paths[i]);
		if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) == 0)
			return;
		if (errno != ENOENT)
			error = errno;
	}
	if (error == EACCES || error == EPERM)
		fail("failed to initialize dtrace: DTrace requires additional privileges", 0);
	fail("failed to initialize dtrace: the broker of the global zone does not answer", error);
}

/* --- what is done here */

static void
write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			fail("cannot write", errno);
		data += n;
		len -= (size_t)n;
	}
}

static void
open_out(const char *path, const char *how)
{
	int fd = *path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666) : first_out;
	cleanup_free char *what = str_printf("%s%s", how, path);

	if (fd < 0)
		fail(what, errno);
	if (out != first_out)
		close(out);
	out = fd;
}

static void
truncate_out(void)
{
	struct stat st;

	/* Pipes and terminals have nothing that could be cut. */
	if (fstat(out, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	if (ftruncate(out, 0) < 0 || lseek(out, 0, SEEK_SET) < 0)
		fail("ftruncate()", errno);
}

/* One packet; true at the last. */
static bool
take_packet(char *packet, size_t len, int *status)
{
	char *text = packet + 1;

	packet[len] = '\0';
	switch (packet[0]) {
	case DEED_OUT:
		write_all(out, text, len - 1);
		return false;
	case DEED_ERR:
		write_all(STDERR_FILENO, text, len - 1);
		return false;
	case DEED_OPEN:
		open_out(text, "failed to open ");
		first_out = out;
		return false;
	case DEED_REOPEN:
		open_out(text, "freopen() of ");
		return false;
	case DEED_TRUNCATE:
		truncate_out();
		return false;
	case DEED_SYSTEM:
		/* The D program's own text: destructive, so -w allowed it. */
		if (system(text) < 0)
			fail("system()", errno);
		return false;
	case REQUEST_GO:
		write_all(go, "x", 1);
		return false;
	case DEED_EXIT:
		*status = (unsigned char)text[0];
		return true;
	}
	fail("the broker is of another version", 0);
	return true;
}

static void
on_signal(int sig)
{
	int saved = errno;

	send(sock, "i", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	signal(sig, SIG_DFL); /* the second ends us at once */
	errno = saved;
}

int
dtrace_client(int argc, char **argv)
{
	cleanup_strbuf struct strbuf request = STRBUF_INIT;
	char *packet = xmalloc(REQUEST_FRAME + 4096);
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	int status = 1, resets = 0;
	ssize_t n;

	connect_broker();
	take_options(argc, argv, &request);
	if (request.len > REQUEST_MAX)
		fail("a program and its arguments are too long for a zone (128 KiB)", 0);
	if (send(sock, request.data, request.len, MSG_NOSIGNAL) < 0 && errno != EPIPE)
		fail("cannot ask the broker of the global zone", errno);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	for (;;) {
		n = recv(sock, packet, REQUEST_FRAME + 4095, 0);
		/* Refused before the request was read: what was said is still there to be read. */
		if (n < 0 && (errno == EINTR || (errno == ECONNRESET && !resets++)))
			continue;
		if (n <= 0)
			fail("the consumer in the global zone has ended", 0);
		if (take_packet(packet, (size_t)n, &status))
			break;
	}
	free(packet);
	return status;
}
