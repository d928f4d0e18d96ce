/*
 * vsock connect PORT | listen PORT: this guest's end of a connection with the host (CID 2).  Sends its standard input, says that it
 * sends no more, and prints what comes.
 */
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void
copy(int from, int to)
{
	static char buf[65536];
	ssize_t n, w;

	while ((n = read(from, buf, sizeof(buf))) > 0)
		for (ssize_t at = 0; at < n; at += w)
			if ((w = write(to, buf + at, (size_t)(n - at))) <= 0)
				exit(1);
	if (n < 0)
		exit(1);
}

int
main(int argc, char **argv)
{
	struct sockaddr_vm a = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST};
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (argc != 3 || fd < 0)
		return 2;
	a.svm_port = (unsigned)atoi(argv[2]);
	if (strcmp(argv[1], "listen") == 0) {
		a.svm_cid = VMADDR_CID_ANY;
		if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 1) < 0)
			return 1;
		fd = accept(fd, NULL, NULL);
	} else if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		perror("vsock");
		return 1;
	}
	copy(0, fd);
	shutdown(fd, SHUT_WR);
	copy(fd, 1);
	return 0;
}
