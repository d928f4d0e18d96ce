/* The metadata protocol, the keys, and agent and tools together over real sockets. */
#include "base/test.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "os/run.h"
#include "vm/mdata/agent.h"
#include "vm/mdata/keys.h"
#include "vm/vm_fake.h"
#include "vm/vm_job.h"

#define UUID "0d21e0a6-53cb-4f3a-9c8d-6f8d6e3d0a01"


TEST(crc32)
{
	check_int(mdata_crc32("123456789", 9), ==, 0xcbf43926u);
	check_int(mdata_crc32("", 0), ==, 0);
}

/* A request as the protocol's description gives it, and what it means. */
TEST(requests)
{
	static const struct {
		const char *line;
		bool ok;
		enum mdata_verb verb;
		const char *key, *value;
	} rows[] = {
		{"GET user-script", true, MDATA_GET, "user-script", NULL},
		{"GET user-script\r", true, MDATA_GET, "user-script", NULL},
		{"KEYS", true, MDATA_KEYS, NULL, NULL},
		{"NEGOTIATE V2", true, MDATA_NEGOTIATE, "V2", NULL},
		{"", false, 0, NULL, NULL},
		{"GET", false, 0, NULL, NULL},
		{"GET ", false, 0, NULL, NULL},
		{"get x", false, 0, NULL, NULL},
		{"PUT x y", false, 0, NULL, NULL},
		{"V2", false, 0, NULL, NULL},
		{"V2 ", false, 0, NULL, NULL},
		{"V2 21 265ae1d8 dc4fae17 GET W10=", true, MDATA_GET, "[]", NULL},
		{"V2 22 265ae1d8 dc4fae17 GET W10=", false, 0, NULL, NULL}, /* length */
		{"V2 21 265ae1d9 dc4fae17 GET W10=", false, 0, NULL, NULL}, /* crc */
		{"V2 99999999999999999999 265ae1d8 x", false, 0, NULL, NULL},
		{"V2 -1 265ae1d8 x", false, 0, NULL, NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct mdata_request q = {0};
		cleanup_free char *line = xstrdup(rows[i].line);
		bool ok;

		/* The crc of the one good frame is computed here, as a client does. */
		if (str_after(line, "V2 21 265ae1d8")) {
			const char *body = line + 15;

			free(steal_ptr(&line));
			body = rows[i].line + 15;
			line = str_printf("V2 %zu %08x %s", strlen(body),
					  mdata_crc32(body, strlen(body)), body);
		}
		ok = mdata_request_parse(line, strlen(line), &q);
		if (ok != rows[i].ok)
			test_fail(__FILE__, __LINE__, "\"%s\": %d", rows[i].line, ok);
		if (ok) {
			check_int(q.verb, ==, rows[i].verb);
			check_str(q.key, rows[i].key);
		}
		mdata_request_done(&q);
	}
}

TEST(requests_and_replies_round_trip)
{
	struct mdata_request q = {.verb = MDATA_PUT, .v2 = true, .id = "dc4fae17"};
	struct mdata_request r = {0};
	cleanup_free char *text = NULL;
	cleanup_free char *reply = NULL;
	cleanup_free char *data = NULL;
	enum mdata_status status;
	size_t len;

	q.key = xstrdup("user-script");
	q.value = xstrdup("#!/bin/sh\n\n.\nexit 0\n");
	q.value_len = strlen(q.value);
	text = mdata_request_print(&q);
	require(mdata_request_parse(text, strlen(text) - 1, &r));
	check_str(r.key, q.key);
	check_str(r.value, q.value);
	reply = mdata_reply_print(&q, MDATA_SUCCESS, q.value, q.value_len);
	require(mdata_reply_parse(reply, strlen(reply) - 1, "dc4fae17", &status, &data, &len));
	check_str(data, q.value);
	free(steal_ptr(&data));
	check(!mdata_reply_parse(reply, strlen(reply) - 1, "deadbeef", &status, &data, &len));
	reply[20] ^= 1;
	check(!mdata_reply_parse(reply, strlen(reply) - 1, "dc4fae17", &status, &data, &len));
	mdata_request_done(&q);
	mdata_request_done(&r);
}

TEST(v1_data_is_lines_with_dots_doubled)
{
	struct mdata_request q = {.verb = MDATA_GET};
	cleanup_free char *a = mdata_reply_print(&q, MDATA_SUCCESS, "one\n.two\n..", 11);
	cleanup_free char *b = mdata_reply_print(&q, MDATA_NOTFOUND, NULL, 0);

	check_str(a, "SUCCESS\none\n..two\n...\n.\n");
	check_str(b, "NOTFOUND\n");
}

static const char vm_text[] =
	"{\"uuid\":\"" UUID "\",\"alias\":\"web\",\"ram\":512,\"brand\":\"lx\","
	"\"vnc_password\":\"secret\",\"resolvers\":[\"8.8.8.8\"],"
	"\"nics\":[{\"mac\":\"02:08:20:01:02:03\",\"ip\":\"10.0.0.5\"}],"
	"\"routes\":{\"10.9.0.0/16\":\"10.0.0.1\",\"10.8.0.0/16\":\"nics[0]\","
	"\"10.7.0.0/16\":\"macs[2:8:20:1:2:3]\"},"
	"\"internal_metadata_namespaces\":[\"ops\"],"
	"\"customer_metadata\":{\"k\":\"v\",\"n\":5,\"b\":true,\"ops:x\":\"mine\",\"a_pw\":\"mine\"},"
	"\"internal_metadata\":{\"a_pw\":\"theirs\",\"ops:x\":\"theirs\",\"hidden\":\"h\","
	"\"operator-script\":\"#!/bin/sh\"}}";

TEST(keys)
{
	static const struct {
		const char *key, *value;
	} rows[] = {
		{"k", "v"},
		{"n", "5"},
		{"b", "true"},
		{"absent", NULL},
		{"hidden", NULL},            /* internal metadata stays inside */
		{"internal_metadata", NULL},
		{"a_pw", "theirs"},
		{"ops:x", "theirs"},
		{"sdc:uuid", UUID},
		{"sdc:alias", "web"},
		{"sdc:hostname", "web"},
		{"sdc:ram", "512"},
		{"sdc:resolvers", "[\"8.8.8.8\"]"},
		{"sdc:operator-script", "#!/bin/sh"},
		{"sdc:vnc_password", NULL},
		{"sdc:internal_metadata", NULL},
		{"sdc:", NULL},
		{"sdc:nics", "[{\"mac\":\"02:08:20:01:02:03\",\"ip\":\"10.0.0.5\"}]"},
		{"sdc:routes",
		 "[{\"linklocal\":false,\"dst\":\"10.9.0.0/16\",\"gateway\":\"10.0.0.1\"},"
		 "{\"linklocal\":true,\"dst\":\"10.8.0.0/16\",\"gateway\":\"10.0.0.5\"},"
		 "{\"linklocal\":true,\"dst\":\"10.7.0.0/16\",\"gateway\":\"10.0.0.5\"}]"},
	};
	cleanup_json struct json *vm = NULL;
	cleanup_free char *list = NULL;

	require(json_parse(vm_text, (size_t)-1, &vm, NULL) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *v = mdata_value(vm, rows[i].key);

		check_str(v, rows[i].value);
	}
	list = mdata_key_list(vm);
	check_str(list, "k\nn\nb\nops:x");
	check(!mdata_read_only(vm, "k"));
	check(mdata_read_only(vm, "sdc:uuid"));
	check(mdata_read_only(vm, "root_pw"));
	check(mdata_read_only(vm, "ops:y"));
	check(!mdata_read_only(vm, "opsy"));
}

/* ---- agent and tools ------------------------------------------------------------------------- */

static pid_t agent_pid;
static char *sock;

static void
start_agent(void)
{
	int ready[2];
	char c;

	require(pipe(ready) == 0);
	agent_pid = fork();
	if (agent_pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves no daemon */
		struct event_loop *l;
		struct mdata_agent *a;

		if (event_new(&l, NULL) < 0 || mdata_agent_start(l, &a, NULL) < 0)
			_exit(1);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		event_run(l);
		_exit(0);
	}
	close(ready[1]);
	require(read(ready[0], &c, 1) == 1);
	close(ready[0]);
}

static void
setup(void)
{
	static const char payload[] =
		"{\"brand\":\"lx\",\"uuid\":\"" UUID "\",\"kernel_version\":\"4.3\","
		"\"image_uuid\":\"" VM_FAKE_IMAGE "\",\"autoboot\":false,"
		"\"customer_metadata\":{\"user-script\":\"#!/bin/sh\\n.\\nexit\\n\"},"
		"\"internal_metadata\":{\"root_pw\":\"secret\"}}";
	cleanup_json struct json *j = NULL;
	cleanup_free char *uuid = NULL;
	cleanup_error struct error err = ERROR_INIT;

	vm_fake_init(test_tmpdir());
	require(json_parse(payload, (size_t)-1, &j, NULL) == 0);
	check_ok(vm_create(j, &uuid, &err), &err);
	sock = str_printf("%s/var/zonecontrol/" UUID "/metadata.sock", test_tmpdir());
}

static void
teardown(void)
{
	kill(agent_pid, SIGKILL);
	waitpid(agent_pid, NULL, 0);
}

/* One of the tools; its exit status, and what it printed. */
static int
tool(const char *name, const char *a, const char *b, char **ret_out)
{
	cleanup_free char *link = str_printf("%s/%s", test_tmpdir(), name);
	cleanup_free char *path = str_printf("%s/%s.out", test_tmpdir(), name);
	int status;
	pid_t pid;

	if (symlink(test_built("src/vm/mdata-get"), link) < 0)
		require(errno == EEXIST);
	setenv("MDATA_SOCKET", sock, 1);
	pid = fork();
	if (pid == 0) {
		if (!freopen(path, "w", stdout) || !freopen("/dev/null", "w", stderr))
			_exit(99);
		execl(link, name, a, b, NULL);
		_exit(99);
	}
	require(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	if (ret_out) {
		free(*ret_out);
		*ret_out = NULL;
		file_read(path, 0, ret_out, NULL, NULL);
	}
	return WEXITSTATUS(status);
}

TEST(tools_and_agent)
{
	cleanup_free char *out = NULL;
	cleanup_json struct json *vm = NULL;
	cleanup_error struct error err = ERROR_INIT;
	struct stat st;

	setup();
	start_agent();
	require(stat(sock, &st) == 0);
	check_int(st.st_mode & 0777, ==, 0600);
	check_int(st.st_uid, ==, geteuid());
	check_int(tool("mdata-get", "user-script", NULL, &out), ==, 0);
	check_str(out, "#!/bin/sh\n.\nexit\n\n");
	check_int(tool("mdata-get", "nothing", NULL, NULL), ==, 1);
	check_int(tool("mdata-get", "root_pw", NULL, &out), ==, 0);
	check_str(out, "secret\n");
	check_int(tool("mdata-get", "sdc:uuid", NULL, &out), ==, 0);
	check_str(out, UUID "\n");
	check_int(tool("mdata-put", "k", "v w", NULL), ==, 0);
	check_int(tool("mdata-put", "sdc:uuid", "x", NULL), ==, 2);
	check_int(tool("mdata-put", "root_pw", "x", NULL), ==, 2);
	check_int(tool("mdata-list", NULL, NULL, &out), ==, 0);
	check_str(out, "user-script\nk\n");
	check_ok(vm_load(UUID, VM_LOAD_FILES, &vm, &err), &err);
	check_str(json_str(json_lookup(vm, "customer_metadata.k"), NULL), "v w");
	check_str(json_str(json_lookup(vm, "internal_metadata.root_pw"), NULL), "secret");
	check_int(tool("mdata-delete", "k", NULL, NULL), ==, 0);
	check_int(tool("mdata-get", "k", NULL, NULL), ==, 1);
	check_int(tool("mdata-get", NULL, NULL, NULL), ==, 3);
	check_int(tool("mdata-list", "x", NULL, NULL), ==, 3);
	teardown();
	/* It dies and comes back: the socket is there again. */
	start_agent();
	check_int(tool("mdata-get", "sdc:uuid", NULL, NULL), ==, 0);
	teardown();
}

static int
dial(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval wait = {.tv_sec = 60};

	require(fd >= 0 && strlen(sock) < sizeof(addr.sun_path));
	memcpy(addr.sun_path, sock, strlen(sock) + 1);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	require(connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	return fd;
}

/* Reads until text ends with `end`. */
static char *
hear(int fd, const char *end)
{
	struct strbuf b = STRBUF_INIT;

	for (;;) {
		ssize_t n = read(fd, strbuf_reserve(&b, 4096), 4096);

		if (n <= 0)
			break;
		b.len += (size_t)n;
		b.data[b.len] = '\0';
		if (str_ends(b.data, end))
			break;
	}
	return strbuf_steal(&b);
}

TEST(hostile_guests)
{
	static const char two[] = "GET sdc:alias\nGET sdc:uuid\n";
	cleanup_free char *big = xmalloc(3 << 20);
	cleanup_free char *text = NULL;
	int fd, many[64];

	signal(SIGPIPE, SIG_IGN); /* connections over the limit are closed on us */
	setup();
	start_agent();
	/* An empty line, as a client on a serial port begins; then requests in one packet. */
	fd = dial();
	require(fd_write_all(fd, "\n", 1) == 0);
	text = hear(fd, "\n");
	check_str(text, "invalid command\n");
	free(steal_ptr(&text));
	require(fd_write_all(fd, two, strlen(two)) == 0);
	text = hear(fd, UUID "\n.\n");
	check_str(text, "NOTFOUND\nSUCCESS\n" UUID "\n.\n");
	free(steal_ptr(&text));
	/* A line without end, longer than lines may be: answered when it ends, then all is well. */
	memset(big, 'x', 3 << 20);
	big[(3 << 20) - 1] = '\n';
	require(fd_write_all(fd, big, 3 << 20) == 0);
	require(fd_write_all(fd, "NEGOTIATE V2\n", 13) == 0);
	text = hear(fd, "V2_OK\n");
	check_str(text, "invalid command\nV2_OK\n");
	free(steal_ptr(&text));
	/* Zero bytes, half requests, many connections, and one that never reads. */
	require(fd_write_all(fd, "GET \0x\n", 7) == 0);
	text = hear(fd, "\n");
	check_str(text, "invalid command\n");
	for (size_t i = 0; i < ARRAY_SIZE(many); i++) {
		many[i] = dial();
		if (write(many[i], "GET user", 8) < 0)
			continue;
	}
	close(fd);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		close(many[i]);
	check_int(tool("mdata-get", "sdc:uuid", NULL, NULL), ==, 0);
	teardown();
}

TEST(sockets_follow_the_zones)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *uuid = NULL;
	cleanup_json struct json *j = NULL;

	setup();
	start_agent();
	check(file_exists(sock));
	check_ok(vm_delete(UUID, &err), &err);
	/* The agent hears of it by its own event: ask until it has, but not for ever. */
	for (int i = 0; i < 6000 && file_exists(sock); i++)
		poll(NULL, 0, 10);
	check(!file_exists(sock));
	teardown();
}

/* A virtual machine: we play its VMM, and connect, reset and connect again. */
TEST(serial_port_of_a_virtual_machine)
{
	static const char payload[] =
		"{\"brand\":\"kvm\",\"uuid\":\"" UUID "\",\"autoboot\":false,"
		"\"customer_metadata\":{\"k\":\"v\"},"
		"\"disks\":[{\"size\":64,\"model\":\"virtio\"}]}";
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	cleanup_json struct json *j = NULL;
	cleanup_free char *uuid = NULL;
	cleanup_free char *tmp = NULL;
	cleanup_error struct error err = ERROR_INIT;
	int listener;

	vm_fake_init(test_tmpdir());
	require(json_parse(payload, (size_t)-1, &j, NULL) == 0);
	check_ok(vm_create(j, &uuid, &err), &err);
	start_agent();
	tmp = str_printf("%s/zones/" UUID "/root/tmp", test_tmpdir());
	check_ok(file_mkdir_p(tmp, 0755, &err), &err);
	check_ok(vm_start(UUID, NULL, &err), &err);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/vm.ttyb", tmp);
	require(bind(listener, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	require(listen(listener, 4) == 0);
	for (int i = 0; i < 2; i++) {
		struct pollfd p = {.fd = listener, .events = POLLIN};
		cleanup_free char *text = NULL;
		int fd;

		require(poll(&p, 1, 60000) == 1);
		fd = accept(listener, NULL, NULL);
		require(fd_write_all(fd, "\nGET k\r\n", 8) == 0);
		text = hear(fd, ".\n");
		check_str(text, "invalid command\nSUCCESS\nv\n.\n");
		close(fd); /* the guest is reset */
	}
	close(listener);
	teardown();
}

TEST(corpus_replays)
{
	test_corpus("src/vm/mdata/corpus", LLVMFuzzerTestOneInput);
}
