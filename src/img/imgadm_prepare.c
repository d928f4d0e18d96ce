/*
 * imgadm create -s: a script runs in the VM before it is imaged, and what it did there
 * is taken back afterwards.
 *
 * The snapshot says how far we were: one that is there when we begin was left by a
 * create that was killed, and the VM is put back to it first.  Zones only: a virtual
 * machine has no inside that we could reach without its help.
 */
#include "base/file.h"
#include "img/img_impl.h"
#include "img/imgadm.h"
#include "os/run.h"
#include "store/zfs.h"

#define SNAPSHOT "imgadm-create-pre-prepare"
#define SCRIPT_MAX (1u << 20)

/* Of what a script that failed has printed, the last line says most. */
static int
script_failed(const char *vm, int status, char *output, struct error *err)
{
	cleanup_strv struct strv lines = STRV_INIT;

	strv_words(&lines, output, "\n");
	return img_error(err, EIO, "PrepareImageError",
			 "the prepare script failed in VM %s (exit status %d)%s%s", vm, status,
			 lines.n ? ": " : "", lines.n ? lines.v[lines.n - 1] : "");
}

static int
run_script(const char *vm, const char *script, size_t len, struct error *err)
{
	const char *argv[] = {"zlogin", "-Q", vm, "exec /bin/sh 2>&1", NULL};
	cleanup_free char *output = NULL;
	int status = 0, r;

	r = RUN(err, "vmadm", "start", vm);
	if (r < 0)
		return error_wrap(err, r, "starting VM %s", vm);
	r = run_feed(argv, script, len, &output, &status, err);
	if (r == 0 && status)
		r = script_failed(vm, status, output, err);
	if (RUN(r < 0 ? NULL : err, "vmadm", "stop", vm) < 0 && r == 0)
		r = error_wrap(err, -EIO, "stopping VM %s", vm);
	return r;
}

int
imgadm_unprepare(const char *dataset, struct error *err)
{
	cleanup_free char *snapshot = str_printf("%s@" SNAPSHOT, dataset);
	int r = zfs_exists(snapshot, err);

	if (r > 0)
		r = zfs_rollback(snapshot, true, err);
	else
		return r;
	return r < 0 ? r : zfs_destroy(snapshot, 0, err);
}

int
imgadm_prepare(const char *vm, const char *dataset, const char *path, struct error *err)
{
	cleanup_free char *snapshot = str_printf("%s@" SNAPSHOT, dataset);
	cleanup_free char *script = NULL;
	size_t len;
	int r;

	r = file_read(path, SCRIPT_MAX, &script, &len, err);
	if (r == 0)
		r = imgadm_unprepare(dataset, err);
	if (r == 0)
		r = zfs_snapshot(snapshot, false, NULL, err);
	if (r < 0)
		return r;
	r = run_script(vm, script, len, err);
	if (r < 0) {
		cleanup_error struct error undo = ERROR_INIT;

		if (imgadm_unprepare(dataset, &undo) < 0)
			error_wrap(err, r, "%s; then", error_message(&undo));
	}
	return r;
}
