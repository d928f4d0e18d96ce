/* See medium.h. */
#include "boot/medium.h"

#include <sys/mount.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "boot/method.h"
#include "os/run.h"

#define LABEL "ATOLL"
#define MAX_FILE (1 << 20)

static const char *const types[] = {"iso9660", "vfat"};

/* Every volume with our label: an ISO on a stick shows its EFI partition, too. */
static int
volumes(struct strv *ret, struct error *err)
{
	cleanup_free char *out = NULL;
	int status, r;

	r = run_capture((const char *const[]){"blkid", "-c", "/dev/null", "-t", "LABEL=" LABEL, "-o",
					      "device", NULL},
			&out, &status, err);
	if (r < 0)
		return r;
	/* 2: nothing has it. */
	if (status == 0)
		strv_words(ret, out, "\n");
	return 0;
}

/* The one that holds an image: boot/platform-STAMP. */
static bool
holds_image(void)
{
	return file_exists(MEDIUM_DIR "/boot/boot_archive");
}

bool
medium_present(void)
{
	bool was = is_mountpoint(MEDIUM_DIR);

	if (medium_mount(NULL) < 0)
		return false;
	if (!was)
		medium_unmount();
	return true;
}

int
medium_mount(struct error *err)
{
	cleanup_strv struct strv devices = STRV_INIT;
	int r;

	if (is_mountpoint(MEDIUM_DIR))
		return 0;
	r = file_mkdir_p(MEDIUM_DIR, 0700, err);
	if (r == 0)
		r = volumes(&devices, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < devices.n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(types); k++) {
			if (mount(devices.v[i], MEDIUM_DIR, types[k], MS_RDONLY | MS_NODEV | MS_NOSUID,
				  NULL) < 0)
				continue;
			if (holds_image())
				return 0;
			umount2(MEDIUM_DIR, 0);
		}
	return error_set(err, ENOENT, "there is no boot medium (a volume " LABEL " with an image)");
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
