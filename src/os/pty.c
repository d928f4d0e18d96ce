#include "os/pty.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"

static int
finish(int *master, int *ret_master, int *ret_slave, struct error *err)
{
	int unlock = 0, slave;

	if (ioctl(*master, TIOCSPTLCK, &unlock) < 0)
		return error_set_errno(err, errno, "unlocking a terminal");
	slave = ioctl(*master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return error_set_errno(err, errno, "opening a terminal");
	*ret_master = steal_fd(master);
	*ret_slave = slave;
	return 0;
}

int
pty_open(int *ret_master, int *ret_slave, struct error *err)
{
	cleanup_close int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (master < 0)
		return error_set_errno(err, errno, "/dev/ptmx");
	return finish(&master, ret_master, ret_slave, err);
}

int
pty_open_here(int *ret_master, int *ret_slave, struct error *err)
{
	cleanup_close int path = open("/dev/pts/ptmx", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	cleanup_close int master = -1;
	struct statfs fs;
	struct stat st;

	if (path < 0)
		return error_set_errno(err, errno, "/dev/pts/ptmx");
	if (fstatfs(path, &fs) < 0 || fs.f_type != DEVPTS_SUPER_MAGIC || fstat(path, &st) < 0 ||
	    !S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2))
		return error_set(err, EINVAL, "/dev/pts is not a devpts filesystem");
	master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW);
	if (master < 0)
		return error_set_errno(err, errno, "/dev/pts/ptmx");
	return finish(&master, ret_master, ret_slave, err);
}

int
pty_raw(int fd, struct termios *old, struct error *err)
{
	struct termios t;

	if (tcgetattr(fd, &t) < 0)
		return error_set_errno(err, errno, "terminal");
	if (old)
		*old = t;
	cfmakeraw(&t);
	if (tcsetattr(fd, TCSANOW, &t) < 0)
		return error_set_errno(err, errno, "terminal");
	return 0;
}

int
pty_restore(int fd, const struct termios *old)
{
	return tcsetattr(fd, TCSADRAIN, old) < 0 ? -errno : 0;
}

void
pty_copy_size(int from, int to)
{
	struct winsize ws;

	if (ioctl(from, TIOCGWINSZ, &ws) == 0)
		ioctl(to, TIOCSWINSZ, &ws);
}

int
pty_take(int fd, struct error *err)
{
	if (setsid() < 0)
		return error_set_errno(err, errno, "setsid");
	if (ioctl(fd, TIOCSCTTY, 0) < 0)
		return error_set_errno(err, errno, "controlling terminal");
	for (int i = 0; i < 3; i++)
		if (dup2(fd, i) < 0)
			return error_set_errno(err, errno, "dup2");
	return 0;
}
