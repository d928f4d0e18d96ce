/*
 * mdata-get, mdata-put, mdata-list, mdata-delete: a guest's side of the metadata
 * protocol.  One static program under four names, so that it runs in any Linux
 * userland it is bind-mounted into.
 *
 * Where the node is: a socket in a zone, the second serial port in a virtual
 * machine.  A serial port may hold rubbish and belongs to one asker at a time, so
 * it is locked, and drained until an empty line is answered "invalid command".
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "vm/mdata/proto.h"

enum { EXIT_OK = 0, EXIT_NOTFOUND = 1, EXIT_ERROR = 2, EXIT_USAGE = 3, EXIT_AGAIN = 10 };

#define REPLY_MS 6000
#define REPLY_MAX (16u << 20)
#define ATTEMPTS 3

static const char *const sockets[] = {
	"/.zonecontrol/metadata.sock",
	"/native/.zonecontrol/metadata.sock",
	"/var/run/smartdc/metadata.sock",
};
static const char *const serials[] = {"/dev/ttyS1"};

static const char *name;

/* ---- the line to the node ---------------------------------------------------------------- */

struct line {
	int fd;
	bool serial;
	struct strbuf in;
};

static int
connect_socket(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(addr.sun_path) || access(path, F_OK) < 0)
		return -1;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int
open_serial(const char *path)
{
	struct termios t;
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (flock(fd, LOCK_EX) < 0 || tcgetattr(fd, &t) < 0) {
		close(fd);
		return -1;
	}
	cfmakeraw(&t);
	cfsetspeed(&t, B115200);
	t.c_cflag |= CLOCAL;
	tcsetattr(fd, TCSAFLUSH, &t);
	return fd;
}

static bool
line_open(struct line *l)
{
	const char *given = getenv("MDATA_SOCKET");

	l->fd = given ? connect_socket(given) : -1;
	for (size_t i = 0; !given && l->fd < 0 && i < ARRAY_SIZE(sockets); i++)
		l->fd = connect_socket(sockets[i]);
	for (size_t i = 0; !given && l->fd < 0 && i < ARRAY_SIZE(serials); i++) {
		l->fd = open_serial(serials[i]);
		l->serial = l->fd >= 0;
	}
	return l->fd >= 0;
}

static bool
line_send(struct line *l, const char *text)
{
	size_t len = strlen(text);

	while (len) {
		ssize_t n = write(l->fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

/* The next line without its newline, the caller's; NULL after REPLY_MS or at the end. */
static char *
line_read(struct line *l)
{
	for (;;) {
		char *end = l->in.len ? memchr(l->in.data, '\n', l->in.len) : NULL;
		struct pollfd p = {.fd = l->fd, .events = POLLIN};
		ssize_t n;

		if (end) {
			size_t len = (size_t)(end - l->in.data);
			char *text = xstrndup(l->in.data, len);

			memmove(l->in.data, end + 1, l->in.len - len - 1);
			l->in.len -= len + 1;
			return text;
		}
		
		if (l->in.len > REPLY_MAX || poll(&p, 1, REPLY_MS) <= 0)
			return NULL;
		n = read(l->fd, strbuf_reserve(&l->in, 4096), 4096);
		if (n <= 0)
			return NULL;
		l->in.len += (size_t)n;
		l->in.data[l->in.len] = '\0';
	}
}

static bool
expect(struct line *l, const char *send, const char *want)
{
	if (!line_send(l, send))
		return false;
	for (int i = 0; i < 64; i++) {
		cleanup_free char *text = line_read(l);

		if (!text)
			return false;
		if (str_eq(str_trim(text), want))
			return true;
	}
	return false;
}

static bool
negotiate(struct line *l)
{
	strbuf_reset(&l->in);
	if (l->serial && !expect(l, "\n", "invalid command"))
		return false;
	return expect(l, "NEGOTIATE V2\n", "V2_OK");
}

/* ---- a request ------------------------------------------------------------------------------ */

static void
make_id(char id[17])
{
	uint32_t n;

	while (getrandom(&n, sizeof(n), 0) != sizeof(n))
		;
	snprintf(id, 17, "%08x", n);
}

static bool
ask(struct line *l, struct mdata_request *q, enum mdata_status *ret, char **ret_data,
    size_t *ret_len)
{
	cleanup_free char *text = NULL;

	make_id(q->id);
	text = mdata_request_print(q);
	if (!line_send(l, text))
		return false;
	for (;;) {
		cleanup_free char *reply = line_read(l);

		if (!reply)
			return false;
		/* Answers to somebody before us, and noise, are passed over. */
		if (mdata_reply_parse(reply, strlen(reply), q->id, ret, ret_data, ret_len))
			return true;
	}
}

static int
transact(struct mdata_request *q)
{
	enum mdata_status status;
	char *data = NULL;
	size_t len = 0;
	bool done = false;

	for (int i = 0; i < ATTEMPTS && !done; i++) {
		struct line l = {.fd = -1};

		if (!line_open(&l)) {
			fprintf(stderr, "%s: ERROR: could not open the metadata channel\n", name);
			return EXIT_ERROR;
		}
		done = negotiate(&l) && ask(&l, q, &status, &data, &len);
		close(l.fd);
		strbuf_done(&l.in);
	}
	if (!done) {
		fprintf(stderr, "%s: ERROR: the node does not answer\n", name);
		return EXIT_AGAIN;
	}
	switch (status) {
	case MDATA_NOTFOUND:
		fprintf(stderr, "No metadata for '%s'\n", q->key ? q->key : "");
		break;
	case MDATA_FAILURE:
		fprintf(stderr, "%s: ERROR: %s\n", name, data);
		break;
	case MDATA_SUCCESS:
		if (q->verb == MDATA_GET || (q->verb == MDATA_KEYS && len)) {
			fwrite(data, 1, len, stdout);
			putchar('\n');
		}
		break;
	}
	free(data);
	if (status == MDATA_SUCCESS && fflush(stdout) != 0)
		return EXIT_ERROR;
	return status == MDATA_SUCCESS	? EXIT_OK
	       : status == MDATA_NOTFOUND ? EXIT_NOTFOUND
					  : EXIT_ERROR;
}

/* ---- the four names ---------------------------------------------------------------------------- */

static const struct command {
	const char *name;
	enum mdata_verb verb;
	int min, max; /* operands */
	const char *usage;
} commands[] = {
	{"mdata-get", MDATA_GET, 1, 1, "KEY"},
	{"mdata-put", MDATA_PUT, 1, 2, "KEY [VALUE]"},
	{"mdata-delete", MDATA_DELETE, 1, 1, "KEY"},
	{"mdata-list", MDATA_KEYS, 0, 0, ""},
};

static bool
read_input(struct mdata_request *q)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	size_t n;

	do {
		n = fread(strbuf_reserve(&b, 4096), 1, 4096, stdin);
		b.len += n;
	} while (n && b.len < MDATA_LINE_MAX);
	q->value_len = b.len;
	q->value = xmalloc(b.len + 1);
	if (b.len)
		memcpy(q->value, b.data, b.len);
	q->value[b.len] = '\0';
	return !ferror(stdin);
}

int
main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	const struct command *c = NULL;
	struct mdata_request q = {.v2 = true};
	int r;

	name = slash ? slash + 1 : argv[0];
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (str_eq(name, commands[i].name))
			c = &commands[i];
	if (!c) {
		fprintf(stderr, "%s: call me mdata-get, mdata-put, mdata-delete or mdata-list\n",
			name);
		return EXIT_USAGE;
	}
	if (argc == 2 && str_eq(argv[1], "--help")) {
		printf("usage: %s %s\n", c->name, c->usage);
		return EXIT_SUCCESS;
	}
	if (argc - 1 < c->min || argc - 1 > c->max || (argc > 1 && !*argv[1])) {
		fprintf(stderr, "usage: %s %s\n", c->name, c->usage);
		return EXIT_USAGE;
	}
	q.verb = c->verb;
	q.key = argc > 1 ? xstrdup(argv[1]) : NULL;
	if (q.verb == MDATA_PUT && argc > 2) {
		q.value = xstrdup(argv[2]);
		q.value_len = strlen(q.value);
	} else if (q.verb == MDATA_PUT && !read_input(&q)) {
		fprintf(stderr, "%s: ERROR: cannot read standard input\n", name);
		return EXIT_ERROR;
	}
	r = transact(&q);
	mdata_request_done(&q);
	return r;
}
