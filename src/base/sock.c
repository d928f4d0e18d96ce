#include "base/sock.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

int
sock_tcp_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len,
		 struct error *err)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	bool six = len >= 2 && text[0] == '[' && text[len - 1] == ']';
	cleanup_free char *host = six ? xstrndup(text + 1, len - 2) : xstrndup(text, len);
	struct sockaddr_storage sa = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&sa;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&sa;
	uint64_t port;
	bool ok;

	if (six)
		ok = inet_pton(AF_INET6, host, &v6->sin6_addr) == 1;
	else
		ok = inet_pton(AF_INET, *host ? host : "127.0.0.1", &v4->sin_addr) == 1;
	if (!ok || str_to_u64(colon ? colon + 1 : text, 10, &port) < 0 || port == 0 || port > 65535)
		return error_set(err, EINVAL, "\"%s\": expected [ADDRESS:]PORT", text);
	sa.ss_family = six ? AF_INET6 : AF_INET;
	*(six ? &v6->sin6_port : &v4->sin_port) = htons((uint16_t)port);
	*ret = sa;
	*ret_len = six ? sizeof(*v6) : sizeof(*v4);
	return 0;
}

int
sock_set_timeout(int fd, unsigned seconds, struct error *err)
{
	struct timeval t = {.tv_sec = (time_t)seconds};

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) < 0)
		return error_set_errno(err, errno, "cannot set a time limit");
	return 0;
}

static int
open_tcp(const char *address, int flags, struct sockaddr_storage *sa, socklen_t *len, int *ret,
	 struct error *err)
{
	static const int on = 1;
	int r = sock_tcp_address(address, sa, len, err);

	if (r < 0)
		return r;

	cleanup_close int fd = socket(sa->ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		return error_set_errno(err, errno, "%s", address);
	*ret = steal_fd(&fd);
	return 0;
}

int
sock_tcp_listen(const char *address, int flags, int *ret_fd, struct error *err)
{
	struct sockaddr_storage sa;
	socklen_t len;
	cleanup_close int fd = -1;
	int r = open_tcp(address, flags, &sa, &len, &fd, err);

	if (r < 0)
		return r;
	if (bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, 16) < 0)
		return error_set_errno(err, errno, "%s", address);
	*ret_fd = steal_fd(&fd);
	return 0;
}

int
sock_tcp_connect(const char *address, unsigned seconds, int *ret_fd, struct error *err)
{
	struct sockaddr_storage sa;
	socklen_t len;
	cleanup_close int fd = -1;
	int r = open_tcp(address, 0, &sa, &len, &fd, err);

	if (r < 0 || (r = sock_set_timeout(fd, seconds, err)) < 0)
		return r;
	if (connect(fd, (struct sockaddr *)&sa, len) < 0)
		return error_set_errno(err, errno == EINPROGRESS ? ETIMEDOUT : errno, "%s", address);
	*ret_fd = steal_fd(&fd);
	return 0;
}

static int
open_unix(const char *path, int type, struct sockaddr_un *sa, int *ret, struct error *err)
{
	*sa = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(sa->sun_path))
		return error_set(err, ENAMETOOLONG, "%s: the path is too long", path);
	memcpy(sa->sun_path, path, strlen(path) + 1);
	*ret = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	return *ret < 0 ? error_set_errno(err, errno, "%s", path) : 0;
}

/*
 * Is this a socket whose process is gone?  One that lives is of another type, which the kernel
 * says before anything reaches it; a datagram socket takes the connection without knowing of it.
 */
static bool
left_over(const struct sockaddr_un *sa)
{
	cleanup_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct stat st;

	return fd >= 0 && lstat(sa->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	       connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 && errno == ECONNREFUSED;
}

static int
listen_unix(const char *path, int type, int *ret_fd, struct error *err)
{
	struct sockaddr_un sa;
	cleanup_close int fd = -1;
	int r = open_unix(path, type, &sa, &fd, err);

	if (r < 0)
		return r;
	r = bind(fd, (struct sockaddr *)&sa, sizeof(sa));
	if (r < 0 && errno == EADDRINUSE) {
		if (!left_over(&sa))
			return error_set(err, EADDRINUSE,
					 "%s: in use: a process listens there, or it is no socket", path);
		(void)unlink(path); /* if that fails, so does bind() */
		r = bind(fd, (struct sockaddr *)&sa, sizeof(sa));
	}
	if (r < 0 || listen(fd, 64) < 0)
		return error_set_errno(err, errno, "%s", path);
	*ret_fd = steal_fd(&fd);
	return 0;
}

int
sock_unix_listen(const char *path, int flags, int *ret_fd, struct error *err)
{
	return listen_unix(path, SOCK_STREAM | flags, ret_fd, err);
}

int
sock_unix_listen_mode(const char *path, int type, mode_t mode, int *ret_fd, struct error *err)
{
	mode_t mask = umask(0777 & ~mode);
	int r = listen_unix(path, type, ret_fd, err);

	umask(mask);
	return r;
}

int
sock_unix_connect(const char *path, int type, int *ret_fd, struct error *err)
{
	struct sockaddr_un sa;
	cleanup_close int fd = -1;
	int r = open_unix(path, type, &sa, &fd, err);

	if (r < 0)
		return r;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return error_set_errno(err, errno, "%s", path);
	*ret_fd = steal_fd(&fd);
	return 0;
}

int
sock_send_all(int fd, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return -errno;
		p += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}
