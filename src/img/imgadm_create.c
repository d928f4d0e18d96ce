/*
 * imgadm create: an image of a stopped VM, as a manifest and a file.
 *
 * What the VM is, `vmadm get` says (a program: vm stands above img).  Its
 * dataset gets a snapshot @final for the time of the sending; file and manifest
 * appear under their names only when they are whole.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/event.h"
#include "base/file.h"
#include "img/img_impl.h"
#include "img/imgadm.h"
#include "img/manifest.h"
#include "img/source.h"
#include "os/run.h"
#include "store/zfs.h"

/* --- compression and digest of what zfs send says */

struct sink {
	struct archive *a;
	EVP_MD_CTX *md;
	int fd;
	uint64_t size;
	char sha1[41];
	struct error error;
};

static la_ssize_t
sink_write(struct archive *a, void *arg, const void *data, size_t len)
{
	struct sink *s = arg;
	int r = fd_write_all(s->fd, data, len);

	if (r < 0) {
		error_set_errno(&s->error, -r, "writing the image file");
		archive_set_error(a, -r, "%s", error_message(&s->error));
		return -1;
	}
	EVP_DigestUpdate(s->md, data, len);
	s->size += len;
	return (la_ssize_t)len;
}

static int
add_filter(struct archive *a, enum compression c)
{
	switch (c) {
	case COMP_NONE:
		return archive_write_add_filter_none(a);
	case COMP_GZIP:
		return archive_write_add_filter_gzip(a);
	case COMP_BZIP2:
		return archive_write_add_filter_bzip2(a);
	case COMP_XZ:
		return archive_write_add_filter_xz(a);
	case COMP_ZSTD:
		return archive_write_add_filter_zstd(a);
	}
	return ARCHIVE_FATAL;
}

static int
sink_error(struct sink *s, struct error *err)
{
	if (s->error.code) {
		int r = -s->error.code;

		error_move(err, &s->error);
		return r;
	}
	return error_set(err, EIO, "compressing: %s", archive_error_string(s->a));
}

static int
sink_open(struct sink *s, enum compression c, struct error *err)
{
	struct archive_entry *e = archive_entry_new();
	int r;

	s->md = EVP_MD_CTX_new();
	EVP_DigestInit_ex(s->md, EVP_sha1(), NULL);
	s->a = archive_write_new();
	/* No padding to a block at the end: the file is the stream and nothing else. */
	archive_write_set_bytes_per_block(s->a, 0);
	archive_write_set_format_raw(s->a);
	r = add_filter(s->a, c);
	if (c == COMP_GZIP && r == ARCHIVE_OK)
		archive_write_set_filter_option(s->a, "gzip", "timestamp", NULL);
	if (r == ARCHIVE_OK)
		r = archive_write_open(s->a, s, NULL, sink_write, NULL);
	archive_entry_set_filetype(e, AE_IFREG);
	if (r == ARCHIVE_OK)
		r = archive_write_header(s->a, e);
	archive_entry_free(e);
	return r == ARCHIVE_OK ? 0 : sink_error(s, err);
}

static int
sink_close(struct sink *s, struct error *err)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (archive_write_close(s->a) != ARCHIVE_OK)
		return sink_error(s, err);
	EVP_DigestFinal_ex(s->md, digest, &len);
	cleanup_free char *hex = str_hex(digest, len);
	snprintf(s->sha1, sizeof(s->sha1), "%s", hex);
	return fsync(s->fd) < 0 ? error_set_errno(err, errno, "writing the image file") : 0;
}

static void
sink_done(struct sink *s)
{
	archive_write_free(s->a);
	EVP_MD_CTX_free(s->md);
	error_done(&s->error);
}

static int
send_to(const char *snapshot, const char *from, struct sink *s, struct cli_progress *bar,
	struct error *err)
{
	cleanup_free char *buf = xmalloc(256 * 1024);
	struct run_child c;
	uint64_t done = 0;
	ssize_t n;
	int r;

	r = zfs_send_start(snapshot, from, 0, &c, err);
	if (r < 0)
		return r;
	while ((n = fd_read_all(c.out, buf, 256 * 1024)) > 0) {
		if (archive_write_data(s->a, buf, (size_t)n) < 0) {
			run_abort(&c);
			return sink_error(s, err);
		}
		done += (uint64_t)n;
		if (bar)
			cli_progress_set(bar, done);
	}
	return zfs_send_finish(&c, snapshot, err);
}

/* --- what is imaged */

struct create {
	const char *vm;
	bool incremental;
	bool quiet;
	enum compression compression;
	int max_depth; /* of origins, 0: any */
	struct json *record; /* vmadm get */
	struct json *manifest;
	char *dataset;
	char *origin_snapshot; /* or NULL */
	char *stem; /* of both files' names */
	char *file;
};

static void
create_done(struct create *c)
{
	json_free(c->record);
	json_free(c->manifest);
	free(c->dataset);
	free(c->origin_snapshot);
	free(c->stem);
	free(c->file);
}

static const struct {
	const char *brand, *type, *os;
	bool hvm;
} brands[] = {
	{"lx", "lx-dataset", "linux", false},	     {"kvm", "zvol", "other", true},
	{"bhyve", "zvol", "other", true},	     {"joyent", "zone-dataset", "smartos", false},
	{"joyent-minimal", "zone-dataset", "smartos", false},
};

static const char *
record_str(const struct create *c, const char *field)
{
	return json_str(json_lookup(c->record, field), "");
}

static int
load_vm(struct create *c, struct error *err)
{
	cleanup_free char *text = NULL;
	int r;

	r = img_need_uuid(c->vm, err);
	if (r == 0)
		r = RUN_OUTPUT(&text, err, "vmadm", "get", c->vm);
	if (r < 0)
		return r == -EINVAL ? r : img_error(err, -r, "VmNotFound", "VM %s: vmadm get failed",
						    c->vm);
	r = json_parse(text, (size_t)-1, &c->record, err);
	if (r < 0)
		return error_wrap(err, r, "vmadm get %s", c->vm);
	if (!str_eq(record_str(c, "state"), "stopped"))
		return img_error(err, EBUSY, "VmNotStopped",
				 "VM %s is %s: it must be stopped to be imaged", c->vm,
				 record_str(c, "state"));
	return 0;
}

static int
find_dataset(struct create *c, size_t brand, struct error *err)
{
	const char *name = record_str(c, "zfs_filesystem");
	const struct json *disk = json_lookup(c->record, "disks[0]");

	if (brands[brand].hvm) {
		name = json_str(json_get(disk, "zfs_filesystem"), NULL);
		if (!name)
			c->dataset = zvol_name_of_path(json_str(json_get(disk, "path"), ""));
	}
	if (!c->dataset)
		c->dataset = xstrdup(name);
	if (!zfs_name_ok(c->dataset))
		return error_set(err, ENOENT, "VM %s has no dataset to image", c->vm);
	return zfs_origin(c->dataset, &c->origin_snapshot, err);
}

/* The VM's image lends what describes the system inside. */
static void
inherit(struct json *m, const struct image *from)
{
	static const char *const fields[] = {"os",	   "requirements", "users",
					     "nic_driver", "disk_driver",  "cpu_type",
					     "generate_passwords", "inherited_directories", "traits"};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct json *v = json_get(from->manifest, fields[i]);

		if (v && !json_get(m, fields[i]))
			json_set(m, fields[i], json_copy(v));
	}
}

static void
set_default(struct json *m, const char *field, const char *value)
{
	if (!json_get(m, field))
		json_set_str(m, field, value);
}

static int
add_volume_fields(struct create *c, struct error *err)
{
	struct json *m = c->manifest;
	uint64_t size;
	int r;

	r = zfs_get_u64(c->dataset, "volsize", &size, err);
	if (r < 0)
		return r;
	if (!json_get(m, "image_size"))
		json_set_int(m, "image_size", (int64_t)((size + (1 << 20) - 1) >> 20));
	set_default(m, "nic_driver", "virtio");
	set_default(m, "disk_driver", "virtio");
	set_default(m, "cpu_type", "host");
	return 0;
}

static int
fill_manifest(struct create *c, size_t brand, struct error *err)
{
	cleanup_image struct image *from = NULL;
	struct json *m = c->manifest, *req;
	char uuid[UUID_LEN + 1], now[32];
	const char *slash = strchr(c->dataset, '/');
	cleanup_free char *pool = xstrndup(c->dataset, (size_t)(slash - c->dataset));
	const char *at = c->origin_snapshot ? strchr(c->origin_snapshot, '@') : NULL;
	int r = 0;

	if (at) {
		const char *name = strrchr(c->origin_snapshot, '/') + 1;
		cleanup_free char *origin = xstrndup(name, (size_t)(at - name));

		if (img_find(origin, pool, &from, NULL) == 0)
			inherit(m, from);
		if (c->incremental && (!from || !str_eq(at, "@final")))
			return error_set(err, EINVAL, "-i: the VM's origin %s is no image",
					 c->origin_snapshot);
		if (c->incremental)
			json_set_str(m, "origin", origin);
	} else if (c->incremental) {
		return error_set(err, EINVAL, "-i: VM %s was not made of an image", c->vm);
	}
	uuid_random(uuid);
	json_set_int(m, "v", 2);
	set_default(m, "uuid", uuid);
	set_default(m, "owner", "00000000-0000-0000-0000-000000000000");
	set_default(m, "type", brands[brand].type);
	set_default(m, "os", brands[brand].os);
	set_default(m, "state", "active");
	json_set_bool(m, "disabled", false);
	if (!json_get(m, "public"))
		json_set_bool(m, "public", false);
	set_default(m, "published_at", time_iso(time_real_ms(), now));
	if (json_type(json_get(m, "requirements")) != JSON_OBJECT)
		json_set(m, "requirements", json_new_object());
	req = json_get(m, "requirements");
	if (!str_eq(brands[brand].type, "zone-dataset") && !json_get(req, "brand"))
		json_set_str(req, "brand", brands[brand].brand);
	if (str_eq(json_str(json_get(req, "brand"), NULL), ""))
		json_remove(req, "brand");
	if (brands[brand].hvm)
		r = add_volume_fields(c, err);
	return r == 0 ? manifest_check(m, MANIFEST_SHOW, err) : r;
}

/* How many images stand below the one that would be made. */
static int
check_depth(const struct create *c, struct error *err)
{
	cleanup_free char *next = xstrdup(json_str(json_get(c->manifest, "origin"), NULL));
	int depth = 1;

	for (; next && depth <= 64; depth++) {
		cleanup_image struct image *i = NULL;

		if (img_find(next, NULL, &i, NULL) < 0)
			break;
		free(next);
		next = xstrdup(img_origin(i));
	}
	if (c->max_depth == 0 || depth <= c->max_depth)
		return 0;
	return error_set(err, EINVAL, "the image would have an origin depth of %d, more than %d", depth,
			 c->max_depth);
}

/* File names are made of the name and version, of which only harmless characters are kept. */
static char *
slug(const char *s)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	for (; *s; s++) {
		char ch = *s >= 'A' && *s <= 'Z' ? (char)(*s | 32) : *s;

		if ((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || strchr("._", ch))
			strbuf_addc(&b, ch);
		else if (b.len && b.data[b.len - 1] != '-')
			strbuf_addc(&b, '-');
	}
	return strbuf_steal(&b);
}

static int
choose_names(struct create *c, const char *output, struct error *err)
{
	cleanup_free char *name = slug(json_str(json_get(c->manifest, "name"), "image"));
	cleanup_free char *version = slug(json_str(json_get(c->manifest, "version"), "0"));
	const char *suffix = compression_suffix(c->compression);
	bool volume = manifest_is_volume(c->manifest);
	struct stat st;

	if (output && stat(output, &st) == 0 && S_ISDIR(st.st_mode))
		c->stem = str_printf("%s/%s-%s", output, name, version);
	else if (output)
		c->stem = xstrdup(output);
	else
		c->stem = str_printf("%s-%s", name, version);
	c->file = str_printf("%s.%s%s%s", c->stem, volume ? "zvol" : "zfs", *suffix ? "." : "", suffix);
	if (file_exists(c->file))
		return error_set(err, EEXIST, "%s exists", c->file);
	return 0;
}

static int
write_file(struct create *c, const char *snapshot, struct error *err)
{
	cleanup_free char *partial = str_printf("%s.partial", c->file);
	cleanup_close int fd = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	const char *from = c->incremental ? c->origin_snapshot : NULL;
	struct cli_progress *bar = NULL;
	struct sink s = {.fd = fd};
	uint64_t estimate = 0;
	struct json *file, *files;
	int r;

	if (fd < 0)
		return error_set_errno(err, errno, "%s", partial);
	r = zfs_send_size(snapshot, from, 0, &estimate, err);
	if (r == 0)
		r = sink_open(&s, c->compression, err);
	if (r == 0) {
		if (!c->quiet)
			bar = cli_progress_new(c->file, estimate);
		r = send_to(snapshot, from, &s, bar, err);
		cli_progress_free(bar);
	}
	if (r == 0)
		r = sink_close(&s, err);
	if (r == 0 && rename(partial, c->file) < 0)
		r = error_set_errno(err, errno, "%s", c->file);
	if (r < 0)
		unlink(partial);
	sink_done(&s);
	if (r < 0)
		return r;
	file = json_new_object();
	json_set_str(file, "sha1", s.sha1);
	json_set_int(file, "size", (int64_t)s.size);
	json_set_str(file, "compression", compression_name(c->compression));
	files = json_new_array();
	json_push(files, file);
	json_set(c->manifest, "files", files);
	return 0;
}

static int
make_image(struct create *c, struct error *err)
{
	cleanup_free char *snapshot = str_printf("%s@final", c->dataset);
	cleanup_free char *path = str_printf("%s.imgmanifest", c->stem);
	int r, dr;

	r = zfs_snapshot(snapshot, false, NULL, err);
	if (r < 0)
		return r;
	r = write_file(c, snapshot, err);
	dr = zfs_destroy(snapshot, 0, r < 0 ? NULL : err);
	if (r < 0)
		return r;
	if (dr < 0)
		return dr;
	r = json_write_file(path, c->manifest, 0644, err);
	if (r == 0) {
		printf("Manifest:\n  %s\nImage file:\n  %s\n", path, c->file);
		fflush(stdout);
	}
	return r;
}

static int
publish(const char *url, const struct json *manifest, const char *file, bool quiet,
	struct error *err)
{
	struct source s = {.url = (char *)url, .type = (char *)"imgapi"};
	cleanup_free char *title = imgadm_title(manifest);
	struct cli_progress *bar = NULL;
	struct manifest_file f;
	int r;

	manifest_file(manifest, &f);
	if (!quiet)
		bar = cli_progress_new(json_str(json_get(manifest, "name"), "image"), f.size);
	r = source_publish(&s, manifest, file, imgadm_progress, bar, err);
	cli_progress_free(bar);
	if (r == 0)
		printf("Published image %s to %s\n", title, url);
	return r;
}

int
imgadm_create(int argc, char **argv)
{
	const char *manifest_path = NULL, *output = NULL, *compression = "gzip", *url = NULL;
	const char *script = NULL;
	struct create c = {0};
	const struct cli_opt opts[] = {
		{'m', NULL, CLI_STR, &manifest_path, "FILE", "manifest fields to start from (- is stdin)"},
		{'o', "output-template", CLI_STR, &output, "PATH", "directory, or name without suffix"},
		{'c', "compression", CLI_STR, &compression, "KIND", "none gzip bzip2 xz zstd"},
		{'i', "incremental", CLI_FLAG, &c.incremental, NULL, "only what differs from the VM's image"},
		{'\0', "max-origin-depth", CLI_INT, &c.max_depth, "N", "refuse longer chains of origins"},
		{'s', "prepare-script", CLI_STR, &script, "FILE", "run in the zone first; undone later"},
		{'p', "publish", CLI_STR, &url, "URL", "publish it to this image server"},
		{'q', "quiet", CLI_FLAG, &c.quiet, NULL, "no progress bar"},
		{0},
	};
	cleanup_error struct error err = ERROR_INIT;
	size_t brand = 0;
	int first, status, r = 0;

	if (imgadm_parse(argc, argv, opts, 1, -1, &first, &status))
		return status;
	if (compression_parse(compression, &c.compression, &err) < 0)
		return imgadm_usage(&err);
	c.vm = argv[first++];
	c.manifest = json_new_object();
	if (manifest_path) {
		json_free(steal_ptr(&c.manifest));
		r = json_read_file(manifest_path, &c.manifest, &err);
		if (r == 0 && json_type(c.manifest) != JSON_OBJECT)
			r = error_set(&err, EINVAL, "manifest: must be an object");
	}
	for (; r == 0 && first < argc; first++) {
		cleanup_free char *name = xstrndup(argv[first], strcspn(argv[first], "="));
		const char *value = argv[first] + strlen(name);

		r = *value ? manifest_set(c.manifest, name, value + 1, &err)
			   : error_set(&err, EINVAL, "\"%s\" is not FIELD=VALUE", argv[first]);
	}
	if (r == 0)
		r = load_vm(&c, &err);
	if (r == 0) {
		while (brand < ARRAY_SIZE(brands) && !str_eq(record_str(&c, "brand"), brands[brand].brand))
			brand++;
		if (brand == ARRAY_SIZE(brands))
			r = error_set(&err, EINVAL, "VMs of brand %s cannot be imaged",
				      record_str(&c, "brand"));
	}
	if (r == 0)
		r = find_dataset(&c, brand, &err);
	if (r == 0)
		r = fill_manifest(&c, brand, &err);
	if (r == 0)
		r = check_depth(&c, &err);
	if (r == 0)
		r = choose_names(&c, output, &err);
	if (r == 0 && script && brands[brand].hvm)
		r = error_set(&err, ENOTSUP, "-s: a script runs in zones, not in virtual machines");
	if (r == 0 && script)
		r = imgadm_prepare(c.vm, c.dataset, script, &err);
	if (r == 0) {
		cleanup_error struct error undo = ERROR_INIT;

		r = make_image(&c, &err);
		if (script && imgadm_unprepare(c.dataset, &undo) < 0 && r == 0) {
			error_move(&err, &undo);
			r = -EIO;
		}
	}
	if (r == 0 && url)
		r = publish(url, c.manifest, c.file, c.quiet, &err);
	status = r < 0 ? imgadm_error(&err) : CLI_OK;
	create_done(&c);
	return status;
}

int
imgadm_publish(int argc, char **argv)
{
	const char *manifest_path = NULL, *file = NULL;
	bool quiet = false;
	const struct cli_opt opts[] = {
		{'m', NULL, CLI_STR, &manifest_path, "MANIFEST", "the image's manifest"},
		{'f', NULL, CLI_STR, &file, "FILE", "the image's file"},
		{'q', "quiet", CLI_FLAG, &quiet, NULL, "no progress bar"},
		{0},
	};
	cleanup_json struct json *m = NULL;
	cleanup_error struct error err = ERROR_INIT;
	int first, status, r;

	if (imgadm_parse(argc, argv, opts, 1, 1, &first, &status))
		return status;
	if (!manifest_path || !file) {
		error_set(&err, EINVAL, "-m MANIFEST and -f FILE are both needed");
		return imgadm_usage(&err);
	}
	r = json_read_file(manifest_path, &m, &err);
	if (r == 0)
		r = manifest_check(m, MANIFEST_INSTALL, &err);
	if (r == 0)
		r = publish(argv[first], m, file, quiet, &err);
	return r < 0 ? imgadm_error(&err) : CLI_OK;
}
