/* See procmap.h. */
#include "os/procmap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/file.h"
#include "base/sorted.h"
#include "base/str.h"

/* "7f00-7f10 r-xp 00001000 fe:01 1234   /usr/lib/libc.so.6" */
static bool
parse_line(char *line, struct procmap *m)
{
	unsigned long long start, end, offset, inode;
	unsigned major, minor;
	char perm[5];
	int at = 0;

	if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu %n", &start, &end, perm, &offset, &major,
		   &minor, &inode, &at) < 7 || !at)
		return false;
	*m = (struct procmap){.start = start,
			      .end = end,
			      .offset = offset,
			      .dev = makedev(major, minor),
			      .inode = inode,
			      .exec = perm[2] == 'x',
			      .write = perm[1] == 'w',
			      .path = xstrdup(line + at)};
	return true;
}

int
procmaps_read(pid_t pid, struct procmaps *ret, struct error *err)
{
	cleanup_free char *path = str_printf("/proc/%d/maps", (int)pid), *text = NULL;
	cleanup_strv struct strv lines = STRV_INIT;
	struct procmaps m = {0};
	int r = file_read(path, 0, &text, NULL, err);

	if (r == -ENOENT || r == -ESRCH)
		return error_set(err, ESRCH, "no process has the id %d", (int)pid);
	if (r < 0)
		return r;
	strv_words(&lines, text, "\n");
	m.v = xcalloc(lines.n + 1, sizeof(*m.v));
	for (size_t i = 0; i < lines.n; i++)
		m.n += parse_line(lines.v[i], &m.v[m.n]);
	*ret = m;
	return 0;
}

void
procmaps_done(struct procmaps *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->v[i].path);
	free(m->v);
	*m = (struct procmaps){0};
}

const struct procmap *
procmaps_at(const struct procmaps *m, uint64_t addr)
{
	size_t i = sorted_upto(m->v, m->n, end, addr); /* those that end before it or there */

	return i < m->n && m->v[i].start <= addr ? &m->v[i] : NULL;
}

int
procmap_open(pid_t pid, const struct procmap *m, int *ret_fd, struct error *err)
{
	cleanup_free char *path = str_printf("/proc/%d/map_files/%llx-%llx", (int)pid,
					     (unsigned long long)m->start,
					     (unsigned long long)m->end);
	/* What it is, before it is opened: opening a device does things. */
	cleanup_close int handle = open(path, O_PATH | O_CLOEXEC), fd = -1;
	cleanup_free char *again = str_printf("/proc/self/fd/%d", handle);
	struct stat st;

	if (handle < 0)
		return error_set_errno(err, errno, "cannot open %s of process %d", m->path,
				       (int)pid);
	if (fstat(handle, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(err, EINVAL, "%s is no regular file", m->path);
	fd = open(again, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set_errno(err, errno, "cannot read %s", m->path);
	*ret_fd = steal_fd(&fd);
	return 0;
}

int
proc_root_open(pid_t pid, int *ret_fd, struct error *err)
{
	cleanup_free char *path = str_printf("/proc/%d/root", (int)pid);
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_set_errno(err, errno, "cannot open the root of process %d", (int)pid);
	*ret_fd = fd;
	return 0;
}

uint64_t
proc_start_time(pid_t pid)
{
	cleanup_free char *path = str_printf("/proc/%d/stat", (int)pid), *text = NULL;
	cleanup_strv struct strv words = STRV_INIT;
	uint64_t start;
	char *end;

	if (file_read(path, 4096, &text, NULL, NULL) < 0)
		return 0;
	end = strrchr(text, ')'); /* the name may hold anything */
	if (!end)
		return 0;
	strv_words(&words, end + 1, " \n");
	/* Field 22 of the line; the first behind the name is the third. */
	return words.n > 19 && str_to_u64(words.v[19], 10, &start) == 0 ? start : 0;
}

pid_t
proc_inner_pid(pid_t pid)
{
	cleanup_free char *path = str_printf("/proc/%d/status", (int)pid), *text = NULL;
	cleanup_strv struct strv ids = STRV_INIT;
	char *line;
	int inner;

	if (file_read(path, 65536, &text, NULL, NULL) < 0 || !(line = strstr(text, "\nNSpid:")))
		return 0;
	line += strlen("\nNSpid:");
	line[strcspn(line, "\n")] = '\0';
	strv_words(&ids, line, " \t");
	return ids.n && str_to_int(ids.v[ids.n - 1], &inner) == 0 ? inner : 0;
}
