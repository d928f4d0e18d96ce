/* Maps of this process and of a child: what the kernel shows is what we mapped. */
#include "os/procmap.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "base/test.h"

TEST(an_address_is_found_in_its_mapping)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_procmaps struct procmaps m = {0};
	const struct procmap *p;

	check_ok(procmaps_read(getpid(), &m, &err), &err);
	p = procmaps_at(&m, (uint64_t)(uintptr_t)&test_skip);
	require(p);
	check(p->exec);
	check(p->inode != 0);
	p = procmaps_at(&m, (uint64_t)(uintptr_t)&m);
	require(p);
	check(p->write && !p->exec);
	check(!procmaps_at(&m, 16));
}

TEST(a_deleted_file_is_opened_all_the_same)
{
	cleanup_free char *path = str_printf("%s/a name", test_tmpdir()), *text = NULL;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_procmaps struct procmaps m = {0};
	cleanup_close int fd = -1, again = -1;
	const struct procmap *p;
	char buf[5] = "";
	void *at;

	if (geteuid() != 0)
		test_skip("needs root");
	check_ok(file_write_atomic(path, "hello", 5, 0600, &err), &err);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	at = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	require(at != MAP_FAILED);
	unlink(path);
	check_ok(procmaps_read(getpid(), &m, &err), &err);
	p = procmaps_at(&m, (uint64_t)(uintptr_t)at);
	require(p);
	check_has(p->path, "a name");
	check_ok(procmap_open(getpid(), p, &again, &err), &err);
	check_int(read(again, buf, 5), ==, 5);
	check(memcmp(buf, "hello", 5) == 0);
}

TEST(a_device_is_not_opened)
{
	cleanup_error struct error err = ERROR_INIT;
	struct procmap p = {.path = (char *)"x"};
	int fd = -1;

	check_int(procmap_open(getpid(), &p, &fd, &err), <, 0);
	check_int(fd, ==, -1);
}

TEST(a_process_that_is_gone_has_no_maps)
{
	cleanup_error struct error err = ERROR_INIT;
	struct procmaps m = {0};
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	check(proc_start_time(pid) != 0);
	waitpid(pid, NULL, 0);
	check_int(procmaps_read(pid, &m, &err), ==, -ESRCH);
	check_int(proc_start_time(pid), ==, 0);
	check_int(proc_inner_pid(pid), ==, 0);
	check(proc_start_time(getpid()) != 0);
	check(proc_inner_pid(getpid()) > 0);
}
