/* vminfod over fake zones: answers, events, bad requests; and the differ. */
#include "base/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "vm/vm.h"
#include "vm/vm_fake.h"
#include "vm/vm_watch.h"
#include "vm/vminfod.h"

#define UUID "0d21e0a6-53cb-4f3a-9c8d-6f8d6e3d0a01"

static void
make(void)
{
	static const char payload[] =
		"{\"brand\":\"lx\",\"uuid\":\"" UUID "\",\"kernel_version\":\"4.3\","
		"\"image_uuid\":\"" VM_FAKE_IMAGE "\",\"alias\":\"web\",\"autoboot\":false}";
	cleanup_json struct json *j = NULL;
	cleanup_free char *uuid = NULL;
	cleanup_error struct error err = ERROR_INIT;

	require(json_parse(payload, (size_t)-1, &j, NULL) == 0);
	check_ok(vm_create(j, &uuid, &err), &err);
}

static int
update(const char *text)
{
	cleanup_json struct json *j = NULL;
	cleanup_error struct error err = ERROR_INIT;

	require(json_parse(text, (size_t)-1, &j, NULL) == 0);
	return vm_update(UUID, j, &err);
}

TEST(differences)
{
	static const struct {
		const char *from, *to, *want;
	} rows[] = {
		{"{\"a\":1}", "{\"a\":1}", "[]"},
		{"{\"a\":1}", "{\"a\":2}",
		 "[{\"prettyPath\":\"a\",\"path\":[\"a\"],\"from\":1,\"to\":2,\"action\":\"changed\"}]"},
		{"{\"t\":{\"x\":1}}", "{\"t\":{\"x\":1,\"y\":2}}",
		 "[{\"prettyPath\":\"t.y\",\"path\":[\"t\",\"y\"],\"to\":2,\"action\":\"added\"}]"},
		{"{\"n\":[{\"ip\":1},{\"ip\":2}]}", "{\"n\":[{\"ip\":1}]}",
		 "[{\"prettyPath\":\"n.1\",\"path\":[\"n\",1],\"from\":{\"ip\":2},"
		 "\"action\":\"removed\"}]"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_json struct json *a = NULL, *b = NULL, *d = NULL;
		cleanup_free char *text = NULL;

		require(json_parse(rows[i].from, (size_t)-1, &a, NULL) == 0);
		require(json_parse(rows[i].to, (size_t)-1, &b, NULL) == 0);
		d = vm_diff(a, b);
		text = json_print(d, false);
		check_str(text, rows[i].want);
	}
}

/* The next event, which must be of that type. */
static struct json *
next(struct vm_watch *w, const char *type)
{
	struct json *e = NULL;
	cleanup_error struct error err = ERROR_INIT;

	check_int(vm_watch_next(w, &e, &err), ==, 0);
	require(e);
	check_str(json_str(json_get(e, "type"), NULL), type);
	return e;
}

TEST(a_watch_sees_what_happens)
{
	cleanup_vm_watch struct vm_watch *w = NULL;
	cleanup_error struct error err = ERROR_INIT;
	struct json *e = NULL;

	vm_fake_init(test_tmpdir());
	check_ok(vm_watch_open(&w, &err), &err);
	check_int(vm_watch_next(w, &e, &err), ==, 1);
	make();
	e = next(w, "create");
	check_str(json_str(json_get(e, "uuid"), NULL), UUID);
	json_free(e);
	while (vm_watch_next(w, &e, &err) == 0)
		json_free(e);
	check(update("{\"alias\":\"db\"}") == 0);
	e = next(w, "modify");
	check_str(json_str(json_lookup(e, "changes[0].prettyPath"), NULL), "alias");
	check_str(json_str(json_lookup(e, "changes[0].from"), NULL), "web");
	check_str(json_str(json_lookup(e, "changes[0].to"), NULL), "db");
	json_free(e);
	check(update("{\"set_tags\":{\"role\":\"x\"}}") == 0);
	e = next(w, "modify");
	check_str(json_str(json_lookup(e, "changes[0].prettyPath"), NULL), "tags.role");
	json_free(e);
	check_ok(vm_start(UUID, NULL, &err), &err);
	e = next(w, "modify");
	json_free(e);
	while (vm_watch_next(w, &e, &err) == 0)
		json_free(e);
	check_str(vm_state(vm_watch_vm(w, UUID)), "running");
	check_ok(vm_delete(UUID, &err), &err);
	for (;;) {
		char type[16];

		require(vm_watch_next(w, &e, &err) == 0);
		snprintf(type, sizeof(type), "%s", json_str(json_get(e, "type"), ""));
		json_free(e);
		if (str_eq(type, "delete"))
			break;
	}
	check_int(vm_watch_next(w, &e, &err), ==, 1);
}

static pid_t daemon_pid;
static uint16_t port;

static void
start(void)
{
	int ready[2];

	require(pipe(ready) == 0);
	daemon_pid = fork();
	if (daemon_pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves no daemon */
		struct event_loop *l;
		struct vminfod *d;
		uint16_t p;

		if (event_new(&l, NULL) < 0 || vminfod_start(l, 0, &d, &p, NULL) < 0 ||
		    write(ready[1], &p, sizeof(p)) != sizeof(p))
			_exit(1);
		event_run(l);
		_exit(0);
	}
	close(ready[1]);
	require(read(ready[0], &port, sizeof(port)) == sizeof(port));
	close(ready[0]);
}

static int
dial(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval wait = {.tv_sec = 60};

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	require(fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	return fd;
}

/* The whole answer to a request on a connection of its own. */
static char *
get(const char *text)
{
	struct strbuf b = STRBUF_INIT;
	int fd = dial();

	require(fd_write_all(fd, text, strlen(text)) == 0);
	for (;;) {
		ssize_t n = read(fd, strbuf_reserve(&b, 4096), 4096);

		if (n <= 0)
			break;
		b.len += (size_t)n;
		b.data[b.len] = '\0';
	}
	close(fd);
	return strbuf_steal(&b);
}

TEST(http)
{
	static const struct {
		const char *request, *has;
	} rows[] = {
		{"GET /ping HTTP/1.0\r\n\r\n", "{\"ping\":\"pong\"}"},
		{"GET /status HTTP/1.0\r\n\r\n", "\"numVms\":1"},
		{"GET /vms HTTP/1.0\r\n\r\n", "\"alias\":\"web\""},
		{"GET /vms?filter={\"alias\":\"db\"} HTTP/1.0\r\n\r\n", "\r\n\r\n[]\n"},
		{"GET /vms?filter=%7B%22alias%22%3A%22web%22%7D HTTP/1.0\r\n\r\n",
		 "\"alias\":\"web\""},
		{"GET /vms?filter=x HTTP/1.0\r\n\r\n", "400 BadRequest"},
		{"GET /vms?other HTTP/1.0\r\n\r\n", "400 BadRequest"},
		{"GET /vms/" UUID " HTTP/1.0\r\n\r\n", "\"alias\":\"web\""},
		{"GET /vms/none HTTP/1.0\r\n\r\n", "404 NotFound"},
		{"GET /vms/ HTTP/1.0\r\n\r\n", "404 NotFound"},
		{"GET /../etc/passwd HTTP/1.0\r\n\r\n", "404 NotFound"},
		{"POST /vms HTTP/1.0\r\n\r\n", "405 MethodNotAllowed"},
		{"rubbish\r\n\r\n", "400 BadRequest"},
		{"\r\n\r\n", "400 BadRequest"},
	};
	cleanup_free char *big = xmalloc(20000);
	cleanup_free char *text = NULL;

	vm_fake_init(test_tmpdir());
	make();
	start();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *got = get(rows[i].request);

		check_has(got, rows[i].has);
	}
	memset(big, 'x', 19999);
	big[19999] = '\0';
	text = get(big); /* never a request: cut off */
	check_str(text, "");
	kill(daemon_pid, SIGKILL);
	waitpid(daemon_pid, NULL, 0);
}

TEST(event_stream)
{
	static const char request[] = "GET /events HTTP/1.1\r\n\r\n";
	struct strbuf b CLEANUP(strbuf_done) = STRBUF_INIT;
	bool told = false;
	int fd;

	vm_fake_init(test_tmpdir());
	make();
	start();
	fd = dial();
	require(fd_write_all(fd, request, strlen(request)) == 0);
	while (!b.len || !strstr(b.data, "\"alias\":\"db\"")) {
		ssize_t n = read(fd, strbuf_reserve(&b, 4096), 4096);

		require(n > 0);
		b.len += (size_t)n;
		b.data[b.len] = '\0';
		if (!told && strstr(b.data, "\"type\":\"ready\"")) {
			check(update("{\"alias\":\"db\"}") == 0);
			told = true;
		}
	}
	check_has(b.data, "Transfer-Encoding: chunked");
	check_has(b.data, "\"type\":\"modify\"");
	close(fd);
	kill(daemon_pid, SIGKILL);
	waitpid(daemon_pid, NULL, 0);
}
