/*
 * The files of a VM in ZONEPATH/config: metadata.json, tags.json, routes.json.
 *
 * ZONEPATH is a clone of an image, which others made: config may be a symbolic
 * link there, or any other thing, and then is refused rather than followed.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "vm/vm_job.h"

static int
config_dir(const struct json *vm, char **ret, struct error *err)
{
	cleanup_free char *dir = vm_path(vm, "config");
	struct stat st;

	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return error_set_errno(err, errno, "%s", dir);
	if (lstat(dir, &st) < 0)
		return error_set_errno(err, errno, "%s", dir);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, ENOTDIR, "%s: the image has something else there", dir);
	*ret = steal_ptr(&dir);
	return 0;
}

/* An object of the VM, or an empty one. */
static struct json *
part(const struct json *vm, const char *name)
{
	const struct json *j = json_get(vm, name);

	return j ? json_copy(j) : json_new_object();
}

int
vm_write_files(const struct json *vm, struct error *err)
{
	cleanup_free char *dir = NULL;
	cleanup_json struct json *metadata = json_new_object();
	const struct {
		const char *file;
		const struct json *j;
		unsigned mode;
	} files[] = {
		{"metadata.json", metadata, 0600}, /* passwords may be in it */
		{"tags.json", json_get(vm, "tags"), 0644},
		{"routes.json", json_get(vm, "routes"), 0644},
	};
	int r;

	json_set(metadata, "customer_metadata", part(vm, "customer_metadata"));
	json_set(metadata, "internal_metadata", part(vm, "internal_metadata"));
	r = config_dir(vm, &dir, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(files); i++) {
		cleanup_free char *path = str_printf("%s/%s", dir, files[i].file);
		cleanup_json struct json *empty = json_new_object();

		r = json_write_file(path, files[i].j ? files[i].j : empty, files[i].mode, err);
	}
	return r;
}
