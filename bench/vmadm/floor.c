/*
 * The floor under `vmadm create` of a tiny LX image: what no zone can do
 * without.  Clones IMAGE@final as DATASET, makes a process in namespaces of
 * its own, changes its root to the clone and runs busybox true there.  Prints
 * milliseconds.
 *
 *	floor IMAGE DATASET
 */
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void
check(int bad, const char *what)
{
	if (bad) {
		perror(what);
		exit(1);
	}
}

static void
clone_dataset(char *snapshot, char *dataset)
{
	pid_t pid = fork();
	int status;

	check(pid < 0, "fork");
	if (pid == 0) {
		execlp("zfs", "zfs", "clone", snapshot, dataset, (char *)NULL);
		_exit(127);
	}
	check(waitpid(pid, &status, 0) != pid || status != 0, "zfs clone");
}

int
main(int argc, char **argv)
{
	char snapshot[256], root[256];
	struct clone_args args = {.flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS |
					   CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWCGROUP,
				  .exit_signal = SIGCHLD};
	double start = now_ms();
	int status;
	long pid;

	if (argc != 3) {
		fprintf(stderr, "usage: floor IMAGE DATASET\n");
		return 2;
	}
	snprintf(snapshot, sizeof(snapshot), "%s@final", argv[1]);
	snprintf(root, sizeof(root), "/%s/root", argv[2]);
	clone_dataset(snapshot, argv[2]);
	pid = syscall(SYS_clone3, &args, sizeof(args));
	check(pid < 0, "clone3");
	if (pid == 0) {
		if (chroot(root) < 0 || chdir("/") < 0)
			_exit(126);
		execl("/bin/busybox", "true", (char *)NULL);
		_exit(127);
	}
	check(waitpid((pid_t)pid, &status, 0) != pid || status != 0, "the zone's program");
	printf("%.1f\n", now_ms() - start);
	return 0;
}
