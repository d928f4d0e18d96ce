/* The calls as they ship. */
#include "vm/vm_ops.h"

#include <poll.h>

#include "base/event.h"
#include "net/nictag.h"
#include "vm/vm.h"

/* An overlay's tag is "tag/vnet"; an etherstub or overlay needs no NIC. */
static int
nictag_check(const char *tag, struct error *err)
{
	cleanup_net struct net *net = NULL;
	cleanup_free char *name = xstrndup(tag, strcspn(tag, "/"));
	struct nictag t;
	int r;

	r = net_open(NULL, &net, err);
	if (r < 0)
		return r;
	r = nictag_get(net, name, &t, err);
	if (r == -ENOENT)
		return error_set_path(err, ENOENT, "nics.*.nic_tag",
				      "Invalid value(s) for: nics.*.nic_tag\n    Invalid nic tag "
				      "\"%s\": there is none on this node (nictagadm list)", tag);
	return r;
}

/* img_list() sorts by date: the last match is the newest. */
static int
img_by_name(const char *name, const char *pool, char **ret, struct error *err)
{
	cleanup_img_list struct img_list l = IMG_LIST_INIT;
	const char *at = strchr(name, '@');
	cleanup_free char *plain = at ? xstrndup(name, (size_t)(at - name)) : xstrdup(name);
	const struct image *found = NULL;
	int r = img_list(pool, &l, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < l.n; i++)
		if (str_eq(img_name(l.images[i]), plain) &&
		    (!at || str_eq(img_version(l.images[i]), at + 1)))
			found = l.images[i];
	if (!found)
		return error_set(err, ENOENT, "image %s is not installed: imgadm import %s", name,
				 name);
	*ret = xstrdup(found->uuid);
	return 0;
}

/*
 * The kernel takes the mounts of a zone that ended apart when the last reference
 * goes, a little after its last process did: until then its root is busy.  So what
 * needs the root unmounted is tried again for a while before EBUSY is believed.
 */
#define BUSY_MS 10000

static bool
still_busy(int r, uint64_t since, unsigned *wait_ms, struct error *err)
{
	if (r != -EBUSY || time_mono_ms() - since > BUSY_MS)
		return false;
	error_done(err);
	poll(NULL, 0, (int)*wait_ms);
	*wait_ms = *wait_ms < 400 ? *wait_ms * 2 : *wait_ms;
	return true;
}

static int
destroy(const char *name, unsigned flags, struct error *err)
{
	cleanup_error struct error own = ERROR_INIT;
	uint64_t since = time_mono_ms();
	unsigned wait_ms = 10;
	int r;

	do
		r = zfs_destroy(name, flags, &own);
	while (still_busy(r, since, &wait_ms, &own));
	if (r < 0)
		error_move(err, &own);
	return r;
}

static int
rename_dataset(const char *from, const char *to, unsigned flags, struct error *err)
{
	cleanup_error struct error own = ERROR_INIT;
	uint64_t since = time_mono_ms();
	unsigned wait_ms = 10;
	int r;

	do
		r = zfs_rename(from, to, flags, &own);
	while (still_busy(r, since, &wait_ms, &own));
	if (r < 0)
		error_move(err, &own);
	return r;
}

static int
rollback(const char *snapshot, bool destroy_newer, struct error *err)
{
	cleanup_error struct error own = ERROR_INIT;
	uint64_t since = time_mono_ms();
	unsigned wait_ms = 10;
	int r;

	do
		r = zfs_rollback(snapshot, destroy_newer, &own);
	while (still_busy(r, since, &wait_ms, &own));
	if (r < 0)
		error_move(err, &own);
	return r;
}

const struct vm_ops vm_ops_real = {
	.img_find = img_find,
	.img_by_name = img_by_name,
	.img_fits = img_fits,
	.img_hold = img_hold,
	.img_free = img_free,
	.zfs_exists = zfs_exists,
	.zfs_list = zfs_list,
	.zfs_get = zfs_get,
	.zfs_set = zfs_set,
	.zfs_unset = zfs_unset,
	.zfs_create = zfs_create,
	.zfs_clone = zfs_clone,
	.zvol_create = zvol_create,
	.zvol_resize = zvol_resize,
	.zfs_destroy = destroy,
	.zfs_snapshot = zfs_snapshot,
	.zfs_rollback = rollback,
	.zfs_rename = rename_dataset,
	.zfs_hold = zfs_hold,
	.zfs_release = zfs_release,
	.zone_boot = zone_boot,
	.zone_halt = zone_halt,
	.zone_quiesce = zone_quiesce,
	.zone_shutdown = zone_shutdown,
	.zone_reboot = zone_reboot,
	.zone_apply = zone_apply,
	.zone_kill = zone_kill,
	.zone_console_open = zone_console_open,
	.nictag_check = nictag_check,
};
