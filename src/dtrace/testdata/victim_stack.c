/*
 * A program built as Debian builds its own, without frame pointers: getppid() is called from a
 * comparison inside libc's qsort(), getpgrp() inside a signal's handler.  With an argument a
 * child does that.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int stack_compare(const void *a, const void *b);
int stack_sort(int *v, size_t n);
void stack_handler(int sig);
void stack_raise(int sig);

static volatile int sink;

__attribute__((noipa)) int
stack_compare(const void *a, const void *b)
{
	sink = getppid();
	return *(const int *)a - *(const int *)b;
}

__attribute__((noipa)) int
stack_sort(int *v, size_t n)
{
	qsort(v, n, sizeof(*v), stack_compare);
	return v[0];
}

__attribute__((noipa)) void
stack_handler(int sig)
{
	sink = getpgrp() + sig;
}

__attribute__((noipa)) void
stack_raise(int sig)
{
	raise(sig);
	sink = sig;
}

int
main(int argc, char **argv)
{
	int v[] = {3, 1, 2};
	pid_t child = argc > 1 ? fork() : 0;

	if (child)
		return waitpid(child, NULL, 0) != child;

	sink = stack_sort(v, 3);
	signal(SIGUSR1, stack_handler);
	stack_raise(SIGUSR1);
	return 0;
}
