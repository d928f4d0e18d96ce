/*
 * iogen DEVICE DEPTH COUNT: random reads of 4 KiB with O_DIRECT, DEPTH of them
 * in flight, between the words IO-BEGIN and IO-END.  Linux' own aio calls, so
 * that it needs no library in a guest.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096
#define MAX_DEPTH 256

int
main(int argc, char **argv)
{
	static struct iocb cb[MAX_DEPTH], *list[MAX_DEPTH];
	static struct io_event done[MAX_DEPTH];
	unsigned depth = argc == 4 ? (unsigned)atoi(argv[2]) : 0, count = 0, started = 0, ended = 0;
	aio_context_t ctx = 0;
	struct timespec a, b;
	uint64_t blocks, x = 88172645463325252;
	char *memory;
	int fd;

	if (depth == 0 || depth > MAX_DEPTH) {
		fprintf(stderr, "usage: iogen DEVICE DEPTH COUNT\n");
		return 2;
	}
	count = (unsigned)atoi(argv[3]);
	fd = open(argv[1], O_RDONLY | O_DIRECT);
	blocks = fd < 0 ? 0 : (uint64_t)lseek(fd, 0, SEEK_END) / BLOCK;
	if (!blocks || syscall(SYS_io_setup, depth, &ctx) < 0 ||
	    posix_memalign((void **)&memory, BLOCK, (size_t)depth * BLOCK)) {
		perror(argv[1]);
		return 1;
	}
	printf("IO-BEGIN\n");
	fflush(stdout);
	sleep(1); /* so that whoever counts has seen the word */
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (unsigned i = 0; i < depth; i++)
		done[i].obj = (uintptr_t)&cb[i];
	for (long n = depth; ended < count;) {
		long submit = 0;

		for (long i = 0; i < n && started < count; i++, started++) {
			struct iocb *c = (struct iocb *)(uintptr_t)done[i].obj;

			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			*c = (struct iocb){.aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = (uint32_t)fd,
					   .aio_buf = (uintptr_t)(memory + (c - cb) * BLOCK),
					   .aio_nbytes = BLOCK,
					   .aio_offset = (int64_t)(x % blocks * BLOCK)};
			list[submit++] = c;
		}
		if (submit && syscall(SYS_io_submit, ctx, submit, list) != submit)
			return 1;
		n = syscall(SYS_io_getevents, ctx, 1, (long)depth, done, NULL);
		if (n < 0)
			return 1;
		for (long i = 0; i < n; i++) {
			if (done[i].res != BLOCK)
				return 1;
		}
		ended += (unsigned)n;
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("IO-END %u %ld\n", ended,
	       (b.tv_sec - a.tv_sec) * 1000000L + (b.tv_nsec - a.tv_nsec) / 1000);
	fflush(stdout);
	sleep(1);
	return 0;
}
