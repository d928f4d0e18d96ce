/*
 * `vmadm send` and `vmadm receive`: a VM as one stream.
 *
 * The stream is a row of parts, each a header of 512 bytes, magic, version,
 * checksum, name, size, padded size, text fields that each end with a zero byte,
 * and behind it its content padded with zeros to 512.  The first part is the VM
 * as JSON; each further one, whose size is 0, is followed by a `zfs send -R`
 * stream of one dataset, which knows its own end.  That is SmartOS's form, so
 * that its bundles can be received where their datasets can.
 *
 * A receive is a create whose datasets come from the stream: it has the same
 * journal and the same undo.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/event.h"
#include "base/file.h"
#include "vm/mdata/proto.h"
#include "vm/vm_bundle.h"
#include "vm/vm_job.h"

#define BLOCK 512
#define MAGIC "MAGIC-VMBUNDLE"
#define JSON_MAX (16u << 20)
#define SNAPSHOT "sending"

struct part {
	char name[256];
	uint64_t size, padded;
};

/* ---- headers ------------------------------------------------------------------- */

/* Header bytes of a part; -ENAMETOOLONG. */
static int
header_print(const struct part *p, char ret[BLOCK], struct error *err)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	const char *const fields[] = {MAGIC, "1"};

	memset(ret, 0, BLOCK);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		strbuf_add(&b, fields[i], strlen(fields[i]) + 1);
	strbuf_addf(&b, "%08x", mdata_crc32(p->name, strlen(p->name)));
	strbuf_addc(&b, '\0');
	strbuf_add(&b, p->name, strlen(p->name) + 1);
	strbuf_addf(&b, "%llu", (unsigned long long)p->size);
	strbuf_addc(&b, '\0');
	strbuf_addf(&b, "%llu", (unsigned long long)p->padded);
	strbuf_addc(&b, '\0');
	if (b.len > BLOCK)
		return error_set(err, ENAMETOOLONG, "the name %s is too long", p->name);
	memcpy(ret, b.data, b.len);
	return 0;
}

/* The next zero-terminated field of a header, or NULL. */
static const char *
field(const char *block, size_t *at)
{
	const char *s = block + *at;
	const char *end = *at < BLOCK ? memchr(s, '\0', BLOCK - *at) : NULL;

	if (!end)
		return NULL;
	*at += (size_t)(end - s) + 1;
	return s;
}

int
vm_bundle_header_parse(const char *block, char ret_name[256], uint64_t *ret_size,
		       uint64_t *ret_padded, struct error *err)
{
	size_t at = 0;
	const char *magic = field(block, &at), *version = field(block, &at);
	const char *checksum = field(block, &at), *name = field(block, &at);
	const char *size = field(block, &at), *padded = field(block, &at);
	uint64_t n, m;

	if (!str_eq(magic, MAGIC))
		return error_set(err, EINVAL, "the input is no VM that was sent");
	if (!str_eq(version, "1"))
		return error_set(err, EINVAL, "the VM was sent in version %s of the form, which is "
					      "not known", version ? version : "?");
	if (!padded || !*checksum || !*name || strlen(name) >= 256 ||
	    str_to_u64(size, 10, &n) < 0 || str_to_u64(padded, 10, &m) < 0 || m < n ||
	    m % BLOCK || m - n >= BLOCK)
		return error_set(err, EINVAL, "a part of the stream has a bad header");
	memcpy(ret_name, name, strlen(name) + 1);
	*ret_size = n;
	*ret_padded = m;
	return 0;
}

/* ---- send ------------------------------------------------------------------------ */

static int
put(int fd, const void *data, size_t len, struct error *err)
{
	int r = fd_write_all(fd, data, len);

	return r < 0 ? error_set_errno(err, -r, "cannot write the stream") : 0;
}

static int
put_part(int fd, const char *name, const char *data, size_t len, struct error *err)
{
	struct part p = {.size = len, .padded = (len + BLOCK - 1) / BLOCK * BLOCK};
	static const char zeros[BLOCK];
	char block[BLOCK];
	int r;

	if (strlen(name) >= sizeof(p.name))
		return error_set(err, ENAMETOOLONG, "the name %s is too long", name);
	memcpy(p.name, name, strlen(name) + 1);
	r = header_print(&p, block, err);
	if (r == 0)
		r = put(fd, block, BLOCK, err);
	if (r == 0 && len)
		r = put(fd, data, len, err);
	if (r == 0 && p.padded > len)
		r = put(fd, zeros, p.padded - len, err);
	return r;
}

/* The datasets of a VM that are streams of their own: the root, and kvm's volumes. */
static void
datasets_of(const struct json *vm, struct strv *ret)
{
	cleanup_free char *root = vm_dataset(vm);
	const struct json *d;

	strv_add(ret, root);
	json_array_each(d, json_get(vm, "disks")) {
		const char *name = json_str(json_get(d, "zfs_filesystem"), NULL);
		const char *rest = name ? str_after(name, root) : NULL;

		if (rest && *rest == '-')
			strv_add(ret, name);
	}
}

static int
send_dataset(int fd, const char *name, struct error *err)
{
	cleanup_free char *snap = str_printf("%s@" SNAPSHOT, name);
	struct run_child child = {0};
	char *buf = NULL;
	int r, status = 0;

	r = put_part(fd, name, NULL, 0, err);
	if (r == 0)
		r = zfs_send_start(snap, NULL, ZFS_SEND_REPLICATE, &child, err);
	if (r < 0)
		return r;
	buf = xmalloc(1 << 20);
	for (;;) {
		ssize_t n = read(child.out, buf, 1 << 20);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		r = put(fd, buf, (size_t)n, err);
		if (r < 0)
			break;
	}
	free(buf);
	if (r < 0) {
		run_abort(&child);
		return r;
	}
	r = run_wait(&child, &status, err);
	if (r == 0 && status)
		r = error_set(err, EIO, "zfs send %s failed", snap);
	return r;
}

int
vm_send(const char *uuid, int fd, struct error *err)
{
	cleanup_json struct json *vm = NULL;
	cleanup_strv struct strv datasets = STRV_INIT;
	cleanup_close int lock = -1;
	cleanup_free char *text = NULL;
	size_t taken = 0;
	int r = vm_load(uuid, VM_LOAD_ALL, &vm, err);

	if (r == 0)
		r = vm_lock(json_str(json_get(vm, "uuid"), ""), true, &lock, err);
	if (r < 0)
		return r;
	if (!str_eq(json_str(json_get(vm, "zone_state"), ""), "installed"))
		return error_set(err, EBUSY, "VM %s is '%s': only a stopped VM can be sent", uuid,
				 vm_state(vm));
	datasets_of(vm, &datasets);
	for (; r == 0 && taken < datasets.n; taken++) {
		cleanup_free char *snap = str_printf("%s@" SNAPSHOT, datasets.v[taken]);

		r = zfs_snapshot(snap, true, NULL, err);
		if (r < 0)
			break;
	}
	text = json_print(vm, false);
	if (r == 0)
		r = put_part(fd, "JSON", text, strlen(text), err);
	for (size_t i = 0; r == 0 && i < datasets.n; i++)
		r = send_dataset(fd, datasets.v[i], err);
	for (size_t i = 0; i < taken; i++) {
		cleanup_free char *snap = str_printf("%s@" SNAPSHOT, datasets.v[i]);

		zfs_destroy(snap, ZFS_RECURSIVE, NULL);
	}
	return r;
}

/* ---- receive ------------------------------------------------------------------------- */

static int
get(int fd, void *data, size_t len, struct error *err)
{
	ssize_t n = fd_read_all(fd, data, len);

	if (n < 0)
		return error_set_errno(err, (int)-n, "cannot read the stream");
	return (size_t)n == len ? 0 : error_set(err, EPIPE, "the stream is cut short");
}

static int
get_header(int fd, char name[256], uint64_t *size, uint64_t *padded, struct error *err)
{
	char block[BLOCK];
	int r = get(fd, block, BLOCK, err);

	return r < 0 ? r : vm_bundle_header_parse(block, name, size, padded, err);
}

static int
get_vm(int fd, struct json **ret, struct error *err)
{
	cleanup_free char *text = NULL;
	char name[256];
	uint64_t size, padded;
	int r = get_header(fd, name, &size, &padded, err);

	if (r < 0)
		return r;
	if (!str_eq(name, "JSON") || !size || size > JSON_MAX)
		return error_set(err, EINVAL, "the stream does not begin with a VM");
	text = xmalloc(padded);
	r = get(fd, text, padded, err);
	if (r == 0)
		r = json_parse(text, size, ret, err);
	return r < 0 ? error_wrap(err, r, "the VM in the stream") : 0;
}

/* One dataset of the stream, which must be one of the VM's. */
static int
get_dataset(struct vm_job *job, int fd, const struct strv *wanted, struct error *err)
{
	cleanup_free char *mark = str_printf("%s=%s", VM_MARK, job->mark);
	cleanup_free char *snap = NULL;
	struct run_child child = {0};
	char name[256];
	uint64_t size, padded;
	int r = get_header(fd, name, &size, &padded, err);

	if (r < 0)
		return r;
	if (size || !strv_has(wanted, name))
		return error_set(err, EINVAL, "the stream holds %s, which is not the VM's", name);
	r = zfs_receive_start(name, ZFS_PROPS(mark), 0, fd, &child, err);
	if (r == 0)
		r = zfs_receive_finish(&child, name, err);
	if (r < 0)
		return r;
	snap = str_printf("%s@" SNAPSHOT, name);
	return zfs_destroy(snap, ZFS_RECURSIVE, err);
}

static int
receive_datasets(struct vm_job *job, int fd, struct error *err)
{
	cleanup_strv struct strv wanted = STRV_INIT;
	int r = 0;

	datasets_of(job->vm, &wanted);
	for (size_t i = 0; r == 0 && i < wanted.n; i++)
		r = get_dataset(job, fd, &wanted, err);
	return r < 0 ? r : zfs_mount(job->root, err);
}

int
vm_receive(int fd, char **ret_uuid, struct error *err)
{
	struct json *vm = NULL;
	int r = get_vm(fd, &vm, err);

	return r < 0 ? r : vm_create_received(vm, receive_datasets, fd, ret_uuid, err);
}
