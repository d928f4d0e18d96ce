/*
 * cgroups on the build host's cgroup2: birth inside, ids, signals, the empty event.
 */
#include "os/cgroup.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "base/test.h"

static char path[64];

static int
new_cgroup(void)
{
	cleanup_error struct error err = ERROR_INIT;
	int fd = -1;

	if (!cgroup_root())
		test_skip("no cgroup2 here");
	snprintf(path, sizeof(path), "atoll-test-%d/inner", getpid());
	if (cgroup_create(path, &fd, &err) < 0)
		test_skip("cannot make a cgroup: %s", error_message(&err));
	return fd;
}

static void
remove_cgroup(void)
{
	cleanup_error struct error err = ERROR_INIT;
	char top[64];

	snprintf(top, sizeof(top), "%.*s", (int)strcspn(path, "/"), path);
	check_ok(cgroup_remove(top, &err), &err);
	check(!cgroup_exists(path));
}

static void
exit_7(void *arg)
{
	*(int *)arg = getpid();
	_exit(7);
}

TEST(vfork_runs_in_the_cgroup_and_shares_memory)
{
	cleanup_error struct error err = ERROR_INIT;
	int fd = new_cgroup(), pidfd = -1, seen = 0, status;
	pid_t pid;

	for (int i = 0; i < 20; i++) {
		pid = cgroup_vfork(fd, exit_7, &seen, &pidfd, &err);
		check_int(pid, >, 0);
		check_int(seen, ==, pid);
		check_int(waitpid(pid, &status, 0), ==, pid);
		check_int(WEXITSTATUS(status), ==, 7);
		close(pidfd);
	}
	close(fd);
	remove_cgroup();
}

static void
on_empty(struct cgroup_watch *w, void *arg)
{
	event_quit(arg, 5);
}

TEST(members_are_listed_signalled_and_their_end_is_an_event)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_event struct event_loop *l = NULL;
	CLEANUP(cgroup_watch_freep) struct cgroup_watch *w = NULL;
	cleanup_free pid_t *pids = NULL;
	cleanup_free char *where = NULL;
	int fd = new_cgroup(), status;
	size_t n = 0;
	pid_t pid;

	check_int(cgroup_populated(fd), ==, 0);
	pid = cgroup_fork(fd, 0, NULL, &err);
	if (pid == 0) {
		pause();
		_exit(0);
	}
	check_int(pid, >, 0);
	check_int(cgroup_populated(fd), ==, 1);
	check_ok(cgroup_pids(fd, &pids, &n, &err), &err);
	check_int(n, ==, 1);
	check_int(pids[0], ==, pid);
	check_ok(cgroup_of_pid(pid, &where, &err), &err);
	check(where && str_ends(where, path));
	check_int(cgroup_remove(path, NULL), ==, -EBUSY);
	check_ok(event_new(&l, &err), &err);
	check_ok(cgroup_watch(l, fd, on_empty, l, &w, &err), &err);
	check_int(cgroup_signal(fd, SIGTERM, &err), ==, 1);
	check_int(event_run(l), ==, 5);
	check_int(waitpid(pid, &status, 0), ==, pid);
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	close(fd);
	remove_cgroup();
}

TEST(an_empty_cgroup_is_told_at_once)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_event struct event_loop *l = NULL;
	struct cgroup_watch *w = NULL;
	int fd = new_cgroup();

	check_ok(event_new(&l, &err), &err);
	check_ok(cgroup_watch(l, fd, on_empty, l, &w, &err), &err);
	check_int(event_run(l), ==, 5);
	cgroup_watch_free(w);
	close(fd);
	remove_cgroup();
}

TEST(kill_reaches_every_generation)
{
	cleanup_error struct error err = ERROR_INIT;
	int fd = new_cgroup(), status;
	pid_t pid;

	pid = cgroup_fork(fd, 0, NULL, &err);
	if (pid == 0) {
		signal(SIGTERM, SIG_IGN);
		if (fork() == 0 && fork() == 0)
			pause();
		pause();
	}
	check_ok(cgroup_kill(fd, &err), &err);
	check_int(waitpid(pid, &status, 0), ==, pid);
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	close(fd);
	for (int i = 0; i < 60000 && cgroup_remove(path, NULL) == -EBUSY; i++)
		usleep(1000);
	remove_cgroup();
}

TEST(ids_differ_and_foreign_directories_have_none)
{
	int a = new_cgroup(), tmp = open("/proc", O_RDONLY | O_DIRECTORY);
	uint64_t id = cgroup_id(a);
	struct stat st;

	check_int(id, !=, 0);
	check_int(cgroup_id(tmp), ==, 0);
	check(fstat(a, &st) == 0 && st.st_ino == id);
	close(a);
	close(tmp);
	remove_cgroup();
}

TEST(paths_cannot_climb_out)
{
	cleanup_error struct error err = ERROR_INIT;

	cgroup_set_root("/nonexistent");
	check_int(cgroup_create("svc/../../etc", NULL, &err), ==, -EINVAL);
	check_int(cgroup_create("..", NULL, &err), ==, -EINVAL);
	check_int(cgroup_open("svc/x", &(int){0}, &err), ==, -ENOENT);
	check_has(err.message, "svc/x");
	check_int(cgroup_remove("svc/x", &err), ==, 0);
}

TEST(keyed_files)
{
	cleanup_error struct error err = ERROR_INIT;
	const char *dir = test_tmpdir();
	cleanup_free char *file = str_printf("%s/memory.events", dir);
	static const char text[] = "low 0\noom 12\noom_kill 3\n";
	int fd = open(dir, O_RDONLY | O_DIRECTORY);
	uint64_t n = 0;

	check_ok(file_write_atomic(file, text, strlen(text), 0644, &err), &err);
	check_int(cgroup_read_key(fd, "memory.events", "oom", &n), ==, 0);
	check_int(n, ==, 12);
	check_int(cgroup_read_key(fd, "memory.events", "oom_kill", &n), ==, 0);
	check_int(n, ==, 3);
	check_int(cgroup_read_key(fd, "memory.events", "max", &n), ==, -ENOENT);
	close(fd);
}
