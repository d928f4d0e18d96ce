/*
 * Files: read whole, write so that a crash leaves the old or the new content
 * and never half of it, lock, and make or remove trees.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/str.h"

/*
 * Reads at most max bytes (-EFBIG beyond); max 0 means 64 MiB.  *ret is
 * NUL-terminated and the caller's; ret_len may be NULL.  Works on /proc and
 * /sys files, whose size is not known.  path "-" is standard input.
 */
int file_read(const char *path, size_t max, char **ret, size_t *ret_len, struct error *err);
/* The same at a directory fd. */
int file_read_at(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len,
		 struct error *err);
/*
 * Opens what is a file or a block device, and nothing else: a FIFO would wait for its other end.
 */
int file_open(const char *path, int flags, int *ret_fd, struct error *err);
/* First line of a small file without its newline (sysfs attributes). */
int file_read_line(const char *path, char **ret, struct error *err);

/*
 * `.unfinished.UID` beside it is written, fsynced, renamed over path, and the directory fsynced.
 * Whoever is killed at it leaves that name at most, which the next write in the directory takes.
 */
int file_write_atomic(const char *path, const void *data, size_t len, mode_t mode,
		      struct error *err);
/* One write(2) to an existing file (sysfs, cgroup, /proc): no O_CREAT. */
int file_write(const char *path, const char *text, struct error *err);

int file_mkdir_p(const char *path, mode_t mode, struct error *err);
/* Removes the tree without following symbolic links or crossing mounts; absent is success. */
int file_remove_tree(const char *path, struct error *err);
bool file_exists(const char *path);

/*
 * An advisory lock that ends with its fd: *ret_fd is open and locked.  Waits;
 * with wait false, -EWOULDBLOCK if another holds it.
 */
int file_lock(const char *path, bool wait, int *ret_fd, struct error *err);

/* All of buf, over short writes and EINTR. */
int fd_write_all(int fd, const void *buf, size_t len);
/* Up to len bytes, over short reads and EINTR; fewer only at end of file. */
ssize_t fd_read_all(int fd, void *buf, size_t len);
/* The same at an offset. */
int fd_pwrite_all(int fd, const void *buf, size_t len, off_t at);
ssize_t fd_pread_all(int fd, void *buf, size_t len, off_t at);

#endif
