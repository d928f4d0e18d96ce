/* What src/base promises. */
#include "base/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cli.h"
#include "base/error.h"
#include "base/event.h"
#include "base/file.h"
#include "base/iov.h"
#include "base/ipc.h"
#include "base/json.h"
#include "base/list.h"
#include "base/map.h"
#include "base/sock.h"
#include "base/sorted.h"
#include "base/str.h"
#include "base/sum.h"
#include "base/table.h"
#include "base/xml.h"

TEST(errors_wrap_outwards)
{
	cleanup_error struct error err = ERROR_INIT;

	check_int(error_set(&err, ENOENT, "no %s", "image"), ==, -ENOENT);
	check_int(error_wrap(&err, -ENOENT, "zone %d", 3), ==, -ENOENT);
	check_str(error_message(&err), "zone 3: no image");
	check_int(error_set(NULL, EIO, "nobody listens"), ==, -EIO);
}

TEST(sums_are_of_bytes_and_of_words)
{
	/* The header of RFC 1071's time: its own checksum makes the sum all ones. */
	static const uint8_t ip[20] = {0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61,
				       0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7};
	static const uint8_t odd[3] = {0xff, 0xff, 0x01};

	check_int(sum16(ip, sizeof(ip), 0), ==, 0xffff);
	check_int(sum16(odd, sizeof(odd), 0), ==, 0x0100);
	check_int(sum16(odd, 2, 0xffff), ==, 0xffff);
	check_int(sum8(ip, 4), ==, 0x45 + 0x73);
	check_int((uint8_t)(sum8(ip, 20) + (uint8_t)-sum8(ip, 20)), ==, 0);
	check(bytes_zero("\0\0\0", 3));
	check(!bytes_zero("\0\0\1", 3));
	check(!bytes_zero("\1", 1));
}

TEST(scattered_memory_is_copied_cut_and_joined)
{
	char a[] = "abcdef", b[] = "ghij", out[16] = "";
	struct iovec v[3] = {{a, 6}, {a, 0}, {b, 4}};
	unsigned n = 0;

	check_int(iov_to_buf(v, 3, 4, out, sizeof(out)), ==, 6);
	check_str(out, "efghij");
	check_int(iov_from_buf(v, 3, 5, "XYZ", 3), ==, 3);
	check_str(a, "abcdeX");
	check_str(b, "YZij");
	check_int(iov_from_buf(v, 3, 10, "no", 2), ==, 0);
	n = 3;
	check(iov_cut(v, &n, 7, UINT64_MAX) == &v[2]);
	check_int(n, ==, 1);
	check(v[2].iov_base == b + 1 && v[2].iov_len == 3);
	n = 0;
	check(iov_add(v, &n, 2, a, 2));
	check(iov_add(v, &n, 2, a + 2, 1));
	check(iov_add(v, &n, 2, b, 1));
	check_int(n, ==, 2);
	check(v[0].iov_len == 3);
	check(!iov_add(v, &n, 2, a, 1));
	check(iov_add(v, &n, 2, b + 1, 1));
}

TEST(whole_transfers_are_whole)
{
	char path[] = "/tmp/base_test.XXXXXX", buf[8] = "";
	cleanup_close int fd = mkstemp(path);
	int pair[2];

	require(fd >= 0);
	unlink(path);
	check_int(fd_write_all(fd, "0123", 4), ==, 0);
	check_int(fd_pwrite_all(fd, "abcd", 4, 2), ==, 0);
	check_int(fd_pread_all(fd, buf, 8, 1), ==, 5);
	check_str(buf, "1abcd");
	check_int(fd_pread_all(fd, buf, 8, 6), ==, 0);
	check_int(fd_pwrite_all(-1, "x", 1, 0), ==, -EBADF);
	require(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	check_int(sock_send_all(pair[0], "hello", 5), ==, 0);
	check_int(fd_read_all(pair[1], buf, 5), ==, 5);
	close(pair[1]);
	check_int(sock_send_all(pair[0], "hello", 5), ==, -EPIPE);
	close(pair[0]);
}

TEST(numbers_are_whole_strings_in_range)
{
	static const struct {
		const char *s;
		int r;
		int64_t v;
	} rows[] = {{"0", 0, 0},
		    {"-5", 0, -5},
		    {"9223372036854775807", 0, INT64_MAX},
		    {"9223372036854775808", -ERANGE, 0},
		    {"", -EINVAL, 0},
		    {" 1", -EINVAL, 0},
		    {"1 ", -EINVAL, 0},
		    {"1x", -EINVAL, 0}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t v = 0;

		check_int(str_to_i64(rows[i].s, 10, &v), ==, rows[i].r);
		check_int(v, ==, rows[i].v);
	}
}

TEST(sizes)
{
	static const struct {
		const char *s;
		int r;
		uint64_t v;
	} rows[] = {{"10", 0, 10},      {"10k", 0, 10240}, {"1.5G", 0, 1610612736},
		    {"2TB", 0, 2199023255552}, {"18446744073709551615", 0, UINT64_MAX},
		    {"-1", -EINVAL, 0}, {"G", -EINVAL, 0}, {"1X", -EINVAL, 0},
		    {"99999999E", -ERANGE, 0}};
	char buf[16];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t v = 0;

		check_int(str_to_size(rows[i].s, &v), ==, rows[i].r);
		check(v == rows[i].v);
	}
	check_str(str_human_size(0, buf), "0B");
	check_str(str_human_size(1536, buf), "1.50K");
	check_str(str_human_size(512ull << 20, buf), "512M");
	check_str(str_human_size(12ull * 1073741824 + 200000000, buf), "12.2G");
}

TEST(words_and_pieces)
{
	cleanup_strv struct strv pieces = STRV_INIT, words = STRV_INIT;
	cleanup_free char *joined = NULL;

	strv_split(&pieces, "a,,b,", ",");
	check_int(pieces.n, ==, 4);
	strv_words(&words, "  one two\tthree ", " \t");
	joined = strv_join(&words, "+");
	check_str(joined, "one+two+three");
	strv_remove(&words, 1);
	check_int(words.n, ==, 2);
	check_str(words.v[1], "three");
	check(!words.v[2]);
}

TEST(sorted_arrays)
{
	const struct {
		char pad;
		uint64_t addr;
	} v[] = {{0, 10}, {0, 20}, {0, 20}, {0, UINT64_MAX}};
	static const struct {
		uint64_t key;
		size_t n, want;
	} rows[] = {
		{0, 4, 0},  {9, 4, 0},	{10, 4, 1}, {15, 4, 1}, {20, 4, 3}, {21, 4, 3}, {20, 2, 2},
		{20, 0, 0}, {20, 1, 1}, {UINT64_MAX - 1, 4, 3}, {UINT64_MAX, 4, 4},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_int(sorted_upto(v, rows[i].n, addr, rows[i].key), ==, rows[i].want);
}

TEST(base64_both_ways)
{
	static const char *const rows[][2] = {
		{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}};
	cleanup_free char *bad = NULL;
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *enc = str_base64(rows[i][0], strlen(rows[i][0]));
		cleanup_free char *dec = NULL;

		check_str(enc, rows[i][1]);
		check_int(str_unbase64(enc, &dec, &len), ==, 0);
		check_str(dec, rows[i][0]);
	}
	check_int(str_unbase64("Z", &bad, &len), ==, -EINVAL);
	check_int(str_unbase64("Zg==Zg==", &bad, &len), ==, -EINVAL);
	check_int(str_unbase64("Z*==", &bad, &len), ==, -EINVAL);
}

TEST(uuids)
{
	char uuid[UUID_LEN + 1];

	uuid_random(uuid);
	check(str_is_uuid(uuid));
	check(!str_is_uuid("not-a-uuid"));
	check(!str_is_uuid("00000000-0000-0000-0000-00000000000g"));
}

TEST(map_keeps_order_over_growth_and_removal)
{
	cleanup_map struct map *m = map_new(free);
	struct map_iter it = {0};
	char key[16];
	int want = 1;

	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "key%d", i);
		map_set(m, key, str_printf("%d", i));
	}
	for (int i = 0; i < 1000; i += 2) {
		snprintf(key, sizeof(key), "key%d", i);
		check(map_remove(m, key));
	}
	check(!map_remove(m, "key0"));
	check_int(map_size(m), ==, 500);
	while (map_next(m, &it)) {
		check_int(atoi(it.value), ==, want);
		want += 2;
	}
	check_int(want, ==, 1001);
	for (int i = 0; i < 3000; i++) { /* holes are squeezed out, not piled up */
		map_set(m, "again", xstrdup("x"));
		map_remove(m, "again");
	}
	check_str(map_get(m, "key999"), "999");
}

TEST(json_round_trip)
{
	const char *text = "{\"a\":[1,-2,2.5,true,null,\"\\u00e9\"],\"b\":{\"c\":\"d\"}}";
	cleanup_json struct json *j = NULL;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *again = NULL;

	check_ok(json_parse(text, (size_t)-1, &j, &err), &err);
	again = json_print(j, false);
	check_str(again, "{\"a\":[1,-2,2.5,true,null,\"é\"],\"b\":{\"c\":\"d\"}}");
	check_int(json_int(json_lookup(j, "a[1]"), 0), ==, -2);
	check_str(json_str(json_lookup(j, "b.c"), NULL), "d");
	check(!json_lookup(j, "a[9]"));
	check(!json_lookup(j, "b.c.d"));
	json_set_int(json_get(j, "b"), "c", 7);
	check_int(json_int(json_lookup(j, "b.c"), 0), ==, 7);
	check(json_remove(j, "a"));
	check(!json_get(j, "a"));
}

TEST(json_refuses)
{
	static const char *const rows[][2] = {
		{"", "empty"},
		{"{\"a\":1,\"a\":2}", "given twice"},
		{"{\"a\":1,}", "line 1, column"},
		{"\n{]", "line 2, column 2"},
		{"\"\\u0000\"", "NUL"},
		{"[1] x", "not JSON"},
	};
	cleanup_free char *deep = xmalloc(100001);
	struct json *j = NULL;
	cleanup_error struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		check_int(json_parse(rows[i][0], (size_t)-1, &j, &err), ==, -EINVAL);
		check_has(error_message(&err), rows[i][1]);
	}
	memset(deep, '[', 100000);
	deep[100000] = '\0';
	check_int(json_parse(deep, (size_t)-1, &j, &err), ==, -EINVAL);
	check_has(error_message(&err), "nested");
}

TEST(xml_round_trip_and_refusals)
{
	const char *text = "<?xml version=\"1.0\"?>\n<zone name=\"a&amp;b\"><attr name=\"x\"/>"
			   "<other/><attr name=\"y\"/></zone>";
	static const char *const bad[] = {"", "<a>", "<a></b>", "text",
					  "<!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/passwd\">"};
	cleanup_error struct error err = ERROR_INIT;
	cleanup_xml struct xml *x = NULL;
	struct xml_node *n;
	cleanup_free char *out = NULL;
	int count = 0;

	require(xml_parse(text, strlen(text), "t.xml", &x, &err) == 0);
	check_str(xml_attr(xml_root(x), "name"), "a&b");
	xml_each(n, xml_root(x), "attr")
		count++;
	check_int(count, ==, 2);
	n = xml_add(xml_root(x), "new");
	xml_set_attr(n, "v", "<\"");
	out = xml_print(x);
	check_has(out, "<new v=\"&lt;&quot;\"/>");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct xml *none = NULL;

		check_int(xml_parse(bad[i], strlen(bad[i]), "bad.xml", &none, &err), ==, -EINVAL);
		check_has(error_message(&err), "bad.xml: line ");
	}
}

TEST(xml_external_entity_is_not_read)
{
	const char *text = "<!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/hostname\">]><a>&e;</a>";
	cleanup_error struct error err = ERROR_INIT;
	cleanup_xml struct xml *x = NULL;
	cleanup_free char *content = NULL;

	if (xml_parse(text, strlen(text), "x", &x, &err) < 0)
		return; /* refusing it is as good */
	content = xml_text(xml_root(x));
	check_str(content, "");
}

static char *
print_table(struct table *t, enum table_style style)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	table_print(t, f, style);
	fclose(f);
	return text;
}

TEST(tables)
{
	static const struct table_col cols[] = {
		{"name", "NAME", 6}, {"ram", "RAM", 4, TABLE_RIGHT, true}, {"note", "NOTE", 0}};
	cleanup_table struct table *t = table_new(cols, ARRAY_SIZE(cols));
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *human = NULL, *parsable = NULL, *json = NULL;

	check_ok(table_sort(t, "-ram", &err), &err);
	table_row(t);
	table_set(t, "name", "a");
	table_setf(t, "ram", "%d", 9);
	table_set(t, "note", "x:y");
	table_row(t);
	table_set(t, "name", "b");
	table_setf(t, "ram", "%d", 10);
	human = print_table(t, TABLE_HUMAN);
	check_str(human, "NAME     RAM  NOTE\nb         10  -\na          9  x:y\n");
	parsable = print_table(t, TABLE_PARSABLE);
	check_str(parsable, "b:10:\na:9:x\\:y\n");
	check_int(table_select(t, "nope", &err), ==, -EINVAL);
	check_has(error_message(&err), "there are: name,ram,note");
	check_ok(table_select(t, "ram", &err), &err);
	json = print_table(t, TABLE_JSON);
	check_has(json, "\"ram\": 10");
}

TEST(options)
{
	char *argv[] = {(char *)"list", (char *)"-Hp", (char *)"-oa,b", (char *)"--sort=c",
			(char *)"-n", (char *)"5", (char *)"rest", (char *)"-H", NULL};
	bool header = false, parsable = false, help;
	const char *fields = NULL, *sort = NULL;
	int number = 0, first = 0;
	const struct cli_opt opts[] = {{'H', NULL, CLI_FLAG, &header},
				       {'p', NULL, CLI_FLAG, &parsable},
				       {'o', NULL, CLI_STR, &fields, "FIELD,...", "fields"},
				       {'s', "sort", CLI_STR, &sort},
				       {'n', NULL, CLI_INT, &number},
				       {0}};
	cleanup_error struct error err = ERROR_INIT;
	char *bad[] = {(char *)"list", (char *)"-o", NULL};

	check_ok(cli_parse(8, argv, opts, &first, &help, &err), &err);
	check(header && parsable && !help);
	check_str(fields, "a,b");
	check_str(sort, "c");
	check_int(number, ==, 5);
	check_int(first, ==, 6);
	check_int(cli_parse(2, bad, opts, &first, &help, &err), ==, -EINVAL);
	check_str(error_message(&err), "option -o needs FIELD,...");
}

TEST(files_are_replaced_whole)
{
	cleanup_free char *path = str_printf("%s/deep/er/file", test_tmpdir());
	cleanup_free char *dir = str_printf("%s/deep/er", test_tmpdir());
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *text = NULL;
	int lock = -1, second = -1;
	size_t len;

	check_ok(file_mkdir_p(dir, 0755, &err), &err);
	check_ok(file_write_atomic(path, "one", 3, 0600, &err), &err);
	check_ok(file_write_atomic(path, "two\n", 4, 0600, &err), &err);
	check_ok(file_read(path, 0, &text, &len, &err), &err);
	check_str(text, "two\n");
	check_int(file_read(path, 2, &text, &len, &err), ==, -EFBIG);
	check_ok(file_lock(path, true, &lock, &err), &err);
	check_int(file_lock(path, false, &second, &err), ==, -EWOULDBLOCK);
	close(lock);
	check_int(file_read("/nonexistent/x", 0, &text, &len, &err), ==, -ENOENT);
	check_has(error_message(&err), "/nonexistent/x");
	check_ok(file_remove_tree(dir, &err), &err);
	check(!file_exists(dir));
	check_ok(file_remove_tree(dir, &err), &err);
}

/* Writes "aaa..." and "bbb..." over and over. */
static pid_t
start_writer(const char *path)
{
	pid_t pid = fork();

	require(pid >= 0);
	for (unsigned i = 0; pid == 0; i++) {
		char text[5000];

		memset(text, i % 2 ? 'a' : 'b', sizeof(text));
		if (file_write_atomic(path, text, i % 2 ? 5000 : 3000, 0644, NULL) < 0)
			_exit(1);
	}
	return pid;
}

/* Two at once, killed at any moment: the file is whole, and no writer leaves anything that the next does not take away. */
TEST(killed_writers_leave_nothing)
{
	cleanup_free char *dir = str_printf("%s/killed", test_tmpdir());
	cleanup_free char *path = str_printf("%s/file", dir), *other = str_printf("%s/other", dir);
	cleanup_free char *left = str_printf("%s/.unfinished.%u", dir, geteuid());
	cleanup_error struct error err = ERROR_INIT;
	unsigned n_left = 0;
	struct stat st;

	check_ok(file_mkdir_p(dir, 0755, &err), &err);
	for (unsigned i = 0; i < 100 || (n_left == 0 && i < 5000); i++) {
		pid_t pids[2] = {start_writer(path), start_writer(path)};
		cleanup_free char *text = NULL;
		size_t len = 0;

		while (!file_exists(path))
			usleep(100);
		usleep(i * 37 % 2000);
		for (unsigned k = 0; k < ARRAY_SIZE(pids); k++) {
			kill(pids[k], SIGKILL);
			require(waitpid(pids[k], NULL, 0) == pids[k]);
		}
		check_ok(file_read(path, 0, &text, &len, &err), &err);
		check_int(len, ==, *text == 'a' ? 5000 : 3000);
		check(strspn(text, *text == 'a' ? "a" : "b") == len);
		n_left += file_exists(left);
		/* what is left, is of nobody; nor does it lend its mode */
		require(!file_exists(left) || chmod(left, 0666) == 0);
		check_ok(file_write_atomic(other, "x", 1, 0600, &err), &err);
		check(!file_exists(left));
		check(stat(other, &st) == 0 && st.st_mode == (S_IFREG | 0600));
	}
	check(n_left > 0);
}

/* What others may lay where we write: links, pipes, files of theirs whose lock they keep, locks of
 * the directory. */
TEST(strangers_hold_no_writer_up)
{
	cleanup_free char *path = str_printf("%s/file", test_tmpdir());
	cleanup_free char *other = str_printf("%s/other", test_tmpdir());
	cleanup_free char *left = str_printf("%s/.unfinished.%u", test_tmpdir(), geteuid());
	cleanup_error struct error err = ERROR_INIT;
	cleanup_close int dir = open(test_tmpdir(), O_RDONLY | O_DIRECTORY);
	cleanup_close int theirs = -1;
	cleanup_free char *text = NULL;

	require(flock(dir, LOCK_EX) == 0);
	check_ok(file_write_atomic(other, "kept", 4, 0600, &err), &err);
	require(symlink("other", left) == 0);
	check_ok(file_write_atomic(path, "1", 1, 0600, &err), &err);
	require(mkfifo(left, 0600) == 0);
	check_ok(file_write_atomic(path, "2", 1, 0600, &err), &err);
	if (geteuid() == 0) {
		theirs = open(left, O_RDWR | O_CREAT, 0666);
		require(theirs >= 0 && fchown(theirs, 1, 1) == 0 && flock(theirs, LOCK_EX) == 0);
		check_ok(file_write_atomic(path, "3", 1, 0600, &err), &err);
	}
	check(!file_exists(left));
	check_ok(file_read(other, 0, &text, NULL, &err), &err);
	check_str(text, "kept");
	require(mkdir(left, 0700) == 0);
	check_int(file_write_atomic(path, "4", 1, 0600, &err), ==, -EISDIR);
	check_has(error_message(&err), path);
}

struct counts {
	struct event_loop *loop;
	int timers, signals, children, status, deferred;
};

static void
on_timer(struct event_source *s, void *arg)
{
	struct counts *c = arg;

	if (++c->timers < 3)
		event_timer_reset(s, 1);
	else
		kill(getpid(), SIGUSR1);
}

static void
on_signal(struct event_source *s, int signo, void *arg)
{
	struct counts *c = arg;

	c->signals += signo == SIGUSR1;
	event_source_free(s);
	if (c->children)
		event_quit(c->loop, 42);
}

static void
on_child(struct event_source *s, pid_t pid, const siginfo_t *si, void *arg)
{
	struct counts *c = arg;

	c->children++;
	c->status = si->si_status;
	if (c->signals)
		event_quit(c->loop, 42);
}

static void
on_deferred(struct event_source *s, void *arg)
{
	((struct counts *)arg)->deferred++;
}

TEST(event_loop)
{
	struct counts c = {0};
	cleanup_error struct error err = ERROR_INIT;
	struct event_source *s;
	pid_t pid;

	require(event_new(&c.loop, &err) == 0);
	pid = fork();
	if (pid == 0)
		_exit(7);
	check_ok(event_add_timer(c.loop, 1, on_timer, &c, &s, &err), &err);
	check_ok(event_add_signal(c.loop, SIGUSR1, on_signal, &c, &s, &err), &err);
	check_ok(event_add_child(c.loop, pid, (int)syscall(SYS_pidfd_open, pid, 0), on_child, &c, &s,
				 &err), &err);
	check_ok(event_defer(c.loop, on_deferred, &c, &s, &err), &err);
	check_int(event_run(c.loop), ==, 42);
	check_int(c.timers, ==, 3);
	check_int(c.signals, ==, 1);
	check_int(c.children, ==, 1);
	check_int(c.status, ==, 7);
	check_int(c.deferred, ==, 1);
	event_free(c.loop);
}

static void
on_request(struct ipc_client *c, struct ipc_message *m, void *arg)
{
	cleanup_error struct error err = ERROR_INIT;
	const char *op = json_str(json_get(m->body, "op"), "");

	if (str_eq(op, "echo")) {
		struct json *answer = json_new_object();

		json_set_int(answer, "uid", m->cred.uid);
		json_set_int(answer, "fds", (int64_t)m->n_fds);
		ipc_reply(c, answer, m->fds, m->n_fds);
	} else if (str_eq(op, "quit")) {
		ipc_reply_ok(c);
		event_quit(arg, 0);
	} else {
		error_set_path(&err, ENOTSUP, "op", "unknown operation \"%s\"", op);
		ipc_reply_error(c, &err);
	}
}

static void
serve(const char *path)
{
	struct event_loop *l;
	struct ipc_server *s;

	if (event_new(&l, NULL) < 0 || ipc_listen(l, path, 0600, on_request, NULL, l, &s, NULL) < 0)
		_exit(1);
	event_run(l);
	ipc_server_free(s);
	event_free(l);
	_exit(0);
}

static int
call(int fd, const char *op, const int *fds, size_t n, struct ipc_message *m, struct error *err)
{
	cleanup_json struct json *request = json_new_object();

	json_set_str(request, "op", op);
	return ipc_call(fd, request, fds, n, m, err);
}

TEST(ipc_carries_errors_descriptors_and_credentials)
{
	cleanup_free char *path = str_printf("%s/s", test_tmpdir());
	cleanup_error struct error err = ERROR_INIT;
	struct ipc_message m = IPC_MESSAGE_INIT;
	int fd = -1, status, pipes[2];
	pid_t pid = fork();

	if (pid == 0)
		serve(path);
	while (ipc_connect(path, &fd, &err) < 0)
		usleep(1000);
	require(pipe(pipes) == 0);
	check_ok(call(fd, "echo", pipes, 2, &m, &err), &err);
	check_int(json_int(json_get(m.body, "uid"), -1), ==, getuid());
	check_int(m.n_fds, ==, 2);
	check_int(write(m.fds[1], "x", 1), ==, 1);
	ipc_message_done(&m);
	check_int(call(fd, "nonsense", NULL, 0, &m, &err), ==, -ENOTSUP);
	check_has(error_message(&err), "nonsense");
	check_str(err.path, "op");
	check_int(send(fd, "not json", 8, 0), ==, 8);
	check_int(ipc_recv(fd, &m, &err), ==, 0);
	check(json_get(m.body, "error"));
	ipc_message_done(&m);
	check_ok(call(fd, "quit", NULL, 0, &m, &err), &err);
	ipc_message_done(&m);
	close(fd);
	waitpid(pid, &status, 0);
	check_int(WEXITSTATUS(status), ==, 0);
}

TEST(numbers_at_any_address)
{
	uint8_t b[16] = {0};

	put_be32(b + 1, 0x01020304);
	check(memcmp(b, "\0\1\2\3\4\0", 6) == 0);
	check_int(get_be16(b + 2), ==, 0x0203);
	check_int(get_le32(b + 1), ==, 0x04030201);
	put_le16(b + 7, 0xabcdef); /* what does not fit is cut off */
	check(memcmp(b + 6, "\0\xef\xcd\0", 4) == 0);
	put_be64(b + 3, 0x1122334455667788);
	check_int(get_be64(b + 3), ==, 0x1122334455667788);
	check_int(b[3], ==, 0x11);
}

TEST(sockets_by_name)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *path = str_printf("%s/socket", test_tmpdir());
	cleanup_free char *longer = str_printf("%s/%0120d", test_tmpdir(), 1);
	cleanup_close int listening = -1, client = -1, other = -1;
	struct sockaddr_storage sa;
	struct stat st;
	socklen_t len;
	mode_t mask;

	check_ok(sock_unix_listen(path, 0, &listening, &err), &err);
	check_ok(sock_unix_connect(path, SOCK_STREAM, &client, &err), &err);
	cleanup_closep(&listening);
	/* The old one is in the way no more. */
	check_ok(sock_unix_listen(path, SOCK_NONBLOCK, &listening, &err), &err);
	cleanup_closep(&listening);
	mask = umask(0077);
	check_ok(sock_unix_listen_mode(path, SOCK_SEQPACKET, 0646, &listening, &err), &err);
	check_int(umask(mask), ==, 0077);
	check(stat(path, &st) == 0 && (st.st_mode & 07777) == 0646);
	/* What lives is left alone, of whatever type, and so is what is no socket. */
	check_int(sock_unix_listen(path, 0, &other, &err), ==, -EADDRINUSE);
	check_has(error_message(&err), "a process listens there");
	error_done(&err);
	check(unlink(path) == 0);
	check_ok(file_write_atomic(path, "x", 1, 0600, &err), &err);
	check_int(sock_unix_listen(path, 0, &other, &err), ==, -EADDRINUSE);
	error_done(&err);
	check(stat(path, &st) == 0 && S_ISREG(st.st_mode));
	check_int(sock_unix_connect(longer, SOCK_STREAM, &client, &err), ==, -ENAMETOOLONG);
	check_has(error_message(&err), "too long");
	check(sock_tcp_address("[::1]:80", &sa, &len, NULL) == 0 && sa.ss_family == AF_INET6);
	check(sock_tcp_address("5900", &sa, &len, NULL) == 0 && sa.ss_family == AF_INET);
	for (size_t i = 0; i < 5; i++) {
		static const char *const bad[] = {"", "1.2.3:4", "1.2.3.4:", "1.2.3.4:65536", "::1:80"};

		check_int(sock_tcp_address(bad[i], &sa, &len, NULL), ==, -EINVAL);
	}
}
