/*
 * Delegated datasets: a zone administers them with its own zfs(8).
 *
 * Two things make that work.  ZFS knows which user namespace a dataset belongs to
 * (`zfs zone`), which must be said at every boot, for the namespace is a new one.
 * And what the zone mounts is not id-mapped, unlike its root: numbers on disk are
 * numbers of the host.  So the files of a delegated dataset must belong to the zone's
 * range of uids; those that a fresh dataset (root's), another node, or a SmartOS pool
 * brings are shifted into it once, and the dataset remembers the range in UID_BASE.
 *
 * What is in there was made by a hostile zone: the walk opens nothing but directories,
 * follows no link, and crosses no mount, for the dataset is mounted where nobody can
 * get at it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "os/mount.h"
#include "store/zfs.h"
#include "zone/zoneadmd/zoneadmd.h"

#define UID_BASE "atoll:uid-base"
#define DEPTH_MAX 4096

struct shift {
	uint32_t from, to;
};

static uint32_t
shifted(const struct shift *s, uint32_t id)
{
	return id - s->from < ZONE_UID_RANGE ? id - s->from + s->to : id;
}

/* The name in dir; "": dir itself. */
static int
shift_one(const struct shift *s, int dir, const char *name, const struct stat *st)
{
	uid_t uid = shifted(s, st->st_uid);
	gid_t gid = shifted(s, st->st_gid);

	if (uid == st->st_uid && gid == st->st_gid)
		return 0;
	if (fchownat(dir, name, uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	/* a change of owner takes these away */
	if (st->st_mode & (S_ISUID | S_ISGID) && !S_ISLNK(st->st_mode) && *name &&
	    fchmodat(dir, name, st->st_mode & 07777, 0) < 0)
		return -errno;
	return 0;
}

/* Takes fd.  Its own owner was changed by whoever opened it. */
static int
shift_directory(const struct shift *s, int fd, unsigned depth)
{
	DIR *d = depth < DEPTH_MAX ? fdopendir(fd) : NULL;
	struct dirent *e;
	int r = 0;

	if (!d) {
		r = depth < DEPTH_MAX ? -errno : -ELOOP;
		close(fd);
		return r;
	}
	while (r == 0 && (e = readdir(d))) {
		struct stat st;

		if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
			continue;
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			r = -errno;
			break;
		}
		r = shift_one(s, dirfd(d), e->d_name, &st);
		if (r == 0 && S_ISDIR(st.st_mode)) {
			int sub = openat(dirfd(d), e->d_name,
					 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			r = sub < 0 ? -errno : shift_directory(s, sub, depth + 1);
		}
	}
	closedir(d);
	return r;
}

static int
shift_dataset(struct daemon *d, const char *name, uint32_t from, struct error *err)
{
	cleanup_free char *source = str_printf("source=%s", name);
	cleanup_free char *prop = str_printf("%s=%" PRIu32, UID_BASE, d->rt.uid_base);
	struct shift s = {.from = from, .to = d->rt.uid_base};
	cleanup_close int mount = -1;
	struct stat st;
	int top, r;

	r = mnt_new("zfs", (const char *const[]){source, NULL},
		    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, &mount, err);
	if (r < 0)
		return error_wrap(err, r, "dataset %s", name);
	top = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top < 0 || fstat(top, &st) < 0)
		return error_set_errno(err, errno, "dataset %s", name);
	r = shift_one(&s, top, "", &st);
	if (r == 0)
		r = shift_directory(&s, top, 0);
	else
		close(top);
	if (r < 0)
		return error_set(err, -r, "dataset %s: its files cannot be given to the zone: %s",
				 name, strerror(-r));
	log_info("dataset %s: its files belong to the zone now", name);
	close(steal_fd(&mount));
	return zfs_set(name, ZFS_PROPS(prop), err);
}

int
delegate_attach(struct daemon *d, const char *dataset, struct error *err)
{
	cleanup_zfs_list struct zfs_list l = ZFS_LIST_INIT;
	int r;

	r = zfs_list(dataset, ZFS_FILESYSTEM, -1, ZFS_PROPS(UID_BASE), &l, err);
	for (size_t i = 0; r == 0 && i < l.n; i++) {
		const char *value = zfs_list_get(&l, i, UID_BASE);
		uint64_t from = 0;

		if (value && str_to_u64(value, 10, &from) < 0)
			from = 0;
		if (!value || from != d->rt.uid_base)
			r = shift_dataset(d, l.ds[i].name, (uint32_t)from, err);
	}
	return r < 0 ? r : zfs_zone_attach(dataset, d->proc.pid, err);
}
