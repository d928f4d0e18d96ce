/* A client of a few messages; Linux' requests as a driver of virtio sends them are src/vmm/virtio_test.c. */
#include "os/p9.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/str.h"
#include "base/test.h"
#include "os/p9_test.h"

struct client {
	struct p9 *p9;
	struct p9_message m;
	const uint8_t *answer;
};

static void
begin(struct client *c, uint8_t type)
{
	c->m.data = p9_request(c->p9);
	p9_begin(&c->m, type);
}

/* The type of the answer; an error's number, negative. */
static int
end(struct client *c)
{
	put_le32(c->m.data, c->m.len);
	require(p9_answer(c->p9, c->m.len, 8192, &c->answer) >= 7);
	return c->answer[4] == 7 ? -(int)get_le32(c->answer + 7) : c->answer[4];
}

static int
walk(struct client *c, const char *name, uint32_t to)
{
	begin(c, 110);
	p9_put(&c->m, 4, 0);
	p9_put(&c->m, 4, to);
	p9_put(&c->m, 2, 1);
	p9_text(&c->m, name);
	return end(c);
}

TEST(a_file_is_found_and_read_and_nothing_outside)
{
	cleanup_free char *dir = xstrdup("/tmp/p9_test.XXXXXX");
	cleanup_error struct error err = ERROR_INIT;
	struct client c = {0};

	require(mkdtemp(dir));

	cleanup_free char *file = str_printf("%s/f", dir), *link = str_printf("%s/l", dir);

	require(file_write_atomic(file, "hello", 5, 0644, &err) == 0 && symlink("/etc", link) == 0);
	check_int(p9_open("/nowhere", false, &c.p9, &err), ==, -ENOENT);
	error_done(&err);
	require(p9_open(dir, true, &c.p9, &err) == 0);
	begin(&c, 104); /* attach before version: nothing is agreed yet */
	p9_put(&c.m, 4, 0);
	check_int(end(&c), ==, -EINVAL);
	begin(&c, 100);
	p9_put(&c.m, 4, 8192);
	p9_text(&c.m, "9P2000.L");
	check_int(end(&c), ==, 101);
	begin(&c, 104);
	p9_put(&c.m, 4, 0);
	check_int(end(&c), ==, 105);
	check_int(walk(&c, "..", 1), ==, -EINVAL);
	check_int(walk(&c, "f/f", 1), ==, -EINVAL);
	check_int(walk(&c, "none", 1), ==, -ENOENT);
	check_int(walk(&c, "f", 1), ==, 111);
	begin(&c, 12); /* for writing: the share is read only */
	p9_put(&c.m, 4, 1);
	p9_put(&c.m, 4, O_WRONLY);
	check_int(end(&c), ==, -EROFS);
	begin(&c, 12);
	p9_put(&c.m, 4, 1);
	p9_put(&c.m, 4, O_RDONLY);
	check_int(end(&c), ==, 13);
	begin(&c, 116);
	p9_put(&c.m, 4, 1);
	p9_put(&c.m, 8, 1);
	p9_put(&c.m, 4, 100);
	check_int(end(&c), ==, 117);
	check_int(get_le32(c.answer + 7), ==, 4);
	check(memcmp(c.answer + 11, "ello", 4) == 0);
	/* A link is a thing of its own, never what it leads to. */
	check_int(walk(&c, "l", 2), ==, 111);
	check_int(c.answer[9], ==, 0x02);
	begin(&c, 12);
	p9_put(&c.m, 4, 2);
	p9_put(&c.m, 4, O_RDONLY);
	check_int(end(&c), ==, -EPERM);
	p9_free(c.p9);
	file_remove_tree(dir, NULL);
}
