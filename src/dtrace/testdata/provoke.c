/*
 * Makes happen what providers tell of: provoke WHAT [FILE].  In a network of its own, so that
 * ports are free and nobody else speaks; the same numbers each time, for tests that compare.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT 4040

static void
need(long result, const char *what)
{
	if (result < 0)
		err(1, "%s", what);
}

/* --- network */

static void
own_network(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd;

	need(unshare(CLONE_NEWNET), "unshare");
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	need(fd, "socket");
	need(ioctl(fd, SIOCSIFFLAGS, &lo), "lo");
	close(fd);
}

static socklen_t
loopback(int family, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port),
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT};

	if (family == AF_INET)
		memcpy(ret, &in, sizeof(in));
	else
		memcpy(ret, &in6, sizeof(in6));
	return family == AF_INET ? sizeof(in) : sizeof(in6);
}

/* A socket on PORT. */
static int
server(int family, int type, int backlog)
{
	struct sockaddr_storage at = {0};
	socklen_t len = loopback(family, PORT, &at);
	int fd = socket(family, type, 0);

	need(fd, "socket");
	need(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), "SO_REUSEADDR");
	need(bind(fd, (struct sockaddr *)&at, len), "bind");
	if (type == SOCK_STREAM)
		need(listen(fd, backlog), "listen");
	return fd;
}

/* A socket on PORT + 1 + i that is connected, or tries to be, to PORT. */
static int
client(int family, int i, int flags)
{
	struct sockaddr_storage from = {0}, to = {0};
	int fd = socket(family, SOCK_STREAM | flags, 0);

	need(fd, "socket");
	need(bind(fd, (struct sockaddr *)&from, loopback(family, (uint16_t)(PORT + 1 + i), &from)),
	     "bind");
	if (connect(fd, (struct sockaddr *)&to, loopback(family, PORT, &to)) < 0 &&
	    errno != EINPROGRESS && errno != ECONNREFUSED)
		err(1, "connect");
	return fd;
}

static struct tcp_info
info_of(int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	need(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), "TCP_INFO");
	return info;
}

static void
wait_state(int fd, int state)
{
	while (info_of(fd).tcpi_state != state)
		poll(NULL, 0, 1);
}

/* Each step waits until the one before is known at both ends: the order is always the same. */
static void
talk(int family)
{
	int listener = server(family, SOCK_STREAM, 1), fd = client(family, 0, 0), peer;
	char text[8];

	peer = accept(listener, NULL, NULL);
	need(peer, "accept");
	need(write(fd, "hello", 5), "write");
	need(read(peer, text, 5), "read");
	while (info_of(fd).tcpi_unacked)
		poll(NULL, 0, 1);
	need(shutdown(fd, SHUT_WR), "shutdown");
	wait_state(fd, TCP_FIN_WAIT2);
	need(shutdown(peer, SHUT_WR), "shutdown");
	wait_state(peer, TCP_CLOSE);
	close(peer);
	close(fd);
}

static void tcp(const char *file) { talk(AF_INET); }
static void tcp6(const char *file) { talk(AF_INET6); }
static void refused(const char *file) { client(AF_INET, 0, 0); }

/* The peer of a connection that is no more than a shadow here resets it. */
static void
time_wait(const char *file)
{
	int listener = server(AF_INET, SOCK_STREAM, 1), fd = client(AF_INET, 0, 0), peer;
	char text[1];

	peer = accept(listener, NULL, NULL);
	need(peer, "accept");
	close(fd);
	need(read(peer, text, 1), "read"); /* its FIN */
	need(setsockopt(peer, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger)),
	     "SO_LINGER");
	close(peer);
}

/* Nobody accepts, and the third SYN is sent again. */
static void
again(const char *file)
{
	struct pollfd p = {.events = POLLOUT};

	server(AF_INET, SOCK_STREAM, 0);
	client(AF_INET, 0, SOCK_NONBLOCK);
	client(AF_INET, 1, SOCK_NONBLOCK);
	p.fd = client(AF_INET, 2, SOCK_NONBLOCK);
	poll(&p, 1, 1500);
}

static void
datagram(int family, const void *options, socklen_t n_options)
{
	struct sockaddr_storage to = {0}, from = {0};
	int peer = server(family, SOCK_DGRAM, 0), fd = socket(family, SOCK_DGRAM, 0);
	char text[8];

	need(fd, "socket");
	need(bind(fd, (struct sockaddr *)&from, loopback(family, PORT + 1, &from)), "bind");
	if (n_options)
		need(setsockopt(fd, IPPROTO_IP, IP_OPTIONS, options, n_options), "IP_OPTIONS");
	need(connect(fd, (struct sockaddr *)&to, loopback(family, PORT, &to)), "connect");
	need(send(fd, "hello", 5, 0), "send");
	need(recv(peer, text, sizeof(text), 0), "recv");
}

static void udp(const char *file) { datagram(AF_INET, NULL, 0); }
static void udp6(const char *file) { datagram(AF_INET6, NULL, 0); }
static void options(const char *file) { datagram(AF_INET, "\1\1\1\0", 4); }

/* --- processes */

static void *
idle(void *arg)
{
	return NULL;
}

static void
thread(const char *file)
{
	pthread_t t;

	if (pthread_create(&t, NULL, idle, NULL) != 0 || pthread_join(t, NULL) != 0)
		errx(1, "no thread");
}

static pthread_mutex_t contended = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t shared = PTHREAD_RWLOCK_INITIALIZER;

static void
hold(void)
{
	struct timespec t = {.tv_nsec = 3000000};

	nanosleep(&t, NULL);
}

static __attribute__((noinline)) void *
use_locks(void *arg)
{
	for (int i = 0; i < *(int *)arg; i++) {
		pthread_mutex_lock(&contended);
		hold();
		pthread_mutex_unlock(&contended);
		pthread_rwlock_rdlock(&shared);
		hold();
		pthread_rwlock_unlock(&shared);
		pthread_rwlock_wrlock(&shared);
		hold();
		pthread_rwlock_unlock(&shared);
	}
	return NULL;
}

/* Two threads, each 40 times or as often as is said: a mutex, a lock for reading, the same for writing. */
static void
locks(const char *times)
{
	int n = times ? atoi(times) : 40;
	pthread_t t;

	if (pthread_create(&t, NULL, use_locks, &n) != 0)
		errx(1, "no thread");
	use_locks(&n);
	pthread_join(t, NULL);
}

static sigjmp_buf back;

static void
handle(int sig)
{
	siglongjmp(back, 1);
}

static void
fault(const char *file)
{
	static const int signals[] = {SIGSEGV, SIGFPE, SIGILL, SIGTRAP};
	volatile int zero = 0, seven = 7;
	void *volatile nowhere = (void *)0x10;

	for (volatile size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		signal(signals[i], handle);
		if (sigsetjmp(back, 1))
			continue;
		if (i == 0)
			*(volatile char *)nowhere = 1;
		else if (i == 1)
			seven = seven / zero;
		else if (i == 2)
			__asm__ volatile("ud2");
		else
			__asm__ volatile("int3");
	}
}

/* One that is waited for, one that is ignored, one that is handled, one that ends a child. */
static void
signals(const char *file)
{
	sigset_t set;
	int status;
	pid_t pid;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR1);
	need(sigtimedwait(&set, NULL, &(struct timespec){5, 0}), "sigtimedwait");
	signal(SIGUSR2, SIG_IGN);
	kill(getpid(), SIGUSR2);
	signal(SIGURG, handle);
	if (!sigsetjmp(back, 1))
		kill(getpid(), SIGURG);
	pid = fork();
	need(pid, "fork");
	if (pid == 0)
		pause();
	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
}

/* --- files */

/* 4096 bytes past the page cache. */
static void
direct(const char *file)
{
	_Alignas(4096) static char data[4096];
	int fd = open(file ? file : "", O_RDONLY | O_DIRECT | O_CLOEXEC);

	need(fd, file ? file : "FILE");
	need(pread(fd, data, sizeof(data), 8192), "read");
	close(fd);
}

/* 3 KiB from 8192 on, through the page cache and down to the disk. */
static void
written(const char *file)
{
	static const char data[3072] = "written";
	int fd = open(file ? file : "", O_WRONLY | O_CLOEXEC);

	need(fd, file ? file : "FILE");
	need(pwrite(fd, data, sizeof(data), 8192), "write");
	need(fdatasync(fd), "fdatasync");
	close(fd);
}

static const struct {
	const char *what;
	void (*make)(const char *file);
	int network;
} deeds[] = {
	{"again", again, 1}, {"direct", direct, 0}, {"fault", fault, 0},   {"options", options, 1},
	{"locks", locks, 0}, {"refused", refused, 1}, {"signals", signals, 0}, {"tcp", tcp, 1}, {"tcp6", tcp6, 1},
	{"thread", thread, 0}, {"time-wait", time_wait, 1}, {"udp", udp, 1}, {"udp6", udp6, 1},
	{"written", written, 0},
};

int
main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(deeds) / sizeof(*deeds); i++) {
		if (strcmp(deeds[i].what, argv[1]) != 0)
			continue;
		if (deeds[i].network)
			own_network();
		deeds[i].make(argv[2]);
		return 0;
	}
	fprintf(stderr, "usage: provoke WHAT [FILE]\n");
	return 2;
}
