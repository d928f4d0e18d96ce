/* The file system of a NoCloud disk, by libarchive. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>

#include "zone/brand/nocloud.h"

#define OPTIONS "volume-id=cidata,iso-level=3,rockridge=useful"

static int
put(struct archive *a, const struct nocloud_file *f)
{
	struct archive_entry *e = archive_entry_new();
	size_t len = strlen(f->text);
	int r;

	archive_entry_set_pathname(e, f->name);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0400); /* passwords may be in it */
	archive_entry_set_size(e, (int64_t)len);
	r = archive_write_header(a, e);
	if (r == ARCHIVE_OK && archive_write_data(a, f->text, len) != (ssize_t)len)
		r = ARCHIVE_FATAL;
	archive_entry_free(e);
	return r;
}

int
nocloud_image(const struct nocloud_file files[NOCLOUD_FILES], int fd, struct error *err)
{
	struct archive *a = archive_write_new();
	int r = archive_write_set_format_iso9660(a), code = 0;

	if (r == ARCHIVE_OK)
		r = archive_write_set_options(a, OPTIONS);
	if (r == ARCHIVE_OK)
		r = archive_write_open_fd(a, fd);
	for (size_t i = 0; i < NOCLOUD_FILES && r == ARCHIVE_OK; i++)
		if (files[i].text)
			r = put(a, &files[i]);
	if (r == ARCHIVE_OK)
		r = archive_write_close(a);
	if (r != ARCHIVE_OK)
		code = error_set(err, EIO, "NoCloud disk: %s", archive_error_string(a));
	archive_write_free(a);
	return code;
}
