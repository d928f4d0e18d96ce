/* See medium.h. */
#include "boot/medium.h"

#include <sys/mount.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "boot/method.h"

/* ISO 9660 volume (CD, or the same written to a stick), FAT file system of the USB image. */
static const struct {
	const char *device, *type, *module_data;
} media[] = {
	{"/dev/disk/by-label/ATOLL", "iso9660", NULL},
	{"/dev/disk/by-label/ATOLL", "vfat", "umask=0077"},
	{"/dev/disk/by-label/ATOLLUSB", "vfat", "umask=0077"},
};

#define MAX_FILE (1 << 20)

bool
medium_present(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(media); i++)
		if (file_exists(media[i].device))
			return true;
	return false;
}

int
medium_mount(struct error *err)
{
	int r, code = ENOENT;

	if (is_mountpoint(MEDIUM_DIR))
		return 0;
	r = file_mkdir_p(MEDIUM_DIR, 0700, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(media); i++) {
		if (!file_exists(media[i].device))
			continue;
		if (mount(media[i].device, MEDIUM_DIR, media[i].type, MS_RDONLY | MS_NODEV | MS_NOSUID,
			  media[i].module_data) == 0)
			return 0;
		code = errno;
	}
	return code == ENOENT ? error_set(err, ENOENT, "there is no boot medium")
			      : error_set_errno(err, code, "the boot medium cannot be mounted");
}

void
medium_unmount(void)
{
	if (is_mountpoint(MEDIUM_DIR))
		umount2(MEDIUM_DIR, 0);
}

int
medium_file(const char *name, char **ret, struct error *err)
{
	cleanup_free char *path = str_printf(MEDIUM_DIR "/%s", name);
	cleanup_free char *to = str_printf("/run/atoll/%s", strrchr(name, '/') ? strrchr(name, '/') + 1 : name);
	cleanup_free char *text = NULL;
	size_t len;
	int r = medium_mount(err);

	if (r < 0)
		return r;
	r = file_read(path, MAX_FILE, &text, &len, err);
	medium_unmount();
	if (r == 0)
		r = file_write_atomic(to, text, len, 0600, err);
	if (r == 0)
		*ret = steal_ptr(&to);
	return r;
}
