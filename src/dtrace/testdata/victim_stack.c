/*
 * A program built as Debian builds its own, without frame pointers: getppid() is called from a
 * comparison inside libc's qsort(), getpgrp() inside a signal's handler.
 *
 *	fork		a child does that
 *	forever		getppid() again and again, if not forever
 *	moved		getppid() six times below functions that take turns at one address
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

/* Two of the same length, each in a page of its own, that differ in what they have on the stack. */
#define FRAME(name, size)                                             \
	__attribute__((noipa, aligned(4096))) void name(void (*f)(void)) \
	{                                                             \
		volatile char room[size];                             \
                                                                      \
		room[0] = 1;                                          \
		f();                                                  \
		(void)room[0]; /* nothing that stands elsewhere */      \
	}
void stack_small(void (*f)(void));
void stack_large(void (*f)(void));
FRAME(stack_small, 300)
FRAME(stack_large, 700)

static void *returns_to;

/* The place in the caller must be the same each time, or there is nothing to be mistaken about. */
__attribute__((noipa)) static void
ask(void)
{
	if (returns_to && returns_to != __builtin_return_address(0))
		abort();
	returns_to = __builtin_return_address(0);
	sink = getppid();
}

/* Where in the program's file the function stands. */
static off_t
place_in_file(void (*function)(void (*)(void)))
{
	unsigned long start, end, offset, at = (unsigned long)function;
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];

	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &offset) == 3 && at >= start && at < end) {
			fclose(maps);
			return (off_t)(at - start + offset);
		}
	}
	abort();
}

static void
call_at_one_address(void)
{
	void (*const functions[])(void (*)(void)) = {stack_small, stack_large};
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	void *at = NULL;

	for (int i = 0; i < 6; i++) {
		at = mmap(at, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | (at ? MAP_FIXED : 0), fd,
			  place_in_file(functions[i % 2]));
		if (at == MAP_FAILED)
			abort();
		((void (*)(void (*)(void)))at)(ask);
	}
	close(fd);
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int v[] = {3, 1, 2};

	if (strcmp(what, "fork") == 0) {
		pid_t child = fork();

		if (child)
			return waitpid(child, NULL, 0) != child;
	}
	if (strcmp(what, "moved") == 0) {
		call_at_one_address();
		return 0;
	}
	for (long i = 0; strcmp(what, "forever") == 0 && i < 3000000; i++)
		sink = stack_sort(v, 3);
	sink = stack_sort(v, 3);
	signal(SIGUSR1, stack_handler);
	stack_raise(SIGUSR1);
	return 0;
}
