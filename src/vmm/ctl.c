/*
 * One row a request: {"request": NAME, ...} gives an object or an error.
 * Requests run in the main thread, between two rounds of the event loop.
 */
#include "vmm/ctl.h"

#include <sys/stat.h>

#include "base/file.h"
#include "base/ipc.h"
#include "os/kvm.h"
#include "vmm/balloon.h"
#include "vmm/device.h"
#include "vmm/display/display.h"
#include "vmm/gdb.h"
#include "vmm/isa/hotplug.h"
#include "vmm/isa/isa.h"
#include "vmm/migrate.h"
#include "vmm/snapshot.h"

struct ctl {
	struct vm *vm;
	struct ipc_server *server;
	struct ipc_client *asking;    /* whose request is being served */
	struct ipc_message *message;  /* the request itself */
	struct ipc_client *migrating; /* who waits for the end of a migration */
};

/* 0: `out` is the answer; ANSWER_LATER: it comes by itself. */
typedef int request_fn(struct vm *vm, const struct json *in, struct json *out, struct error *err);
#define ANSWER_LATER 1

static int
do_status(struct vm *vm, const struct json *in, struct json *out, struct error *err)
{
	json_set_str(out, "name", vm->name);
	json_set_str(out, "state", vm->paused ? "suspended" : "running");
	json_set_int(out, "pid", getpid());
	json_set_int(out, "vcpus", vm->topology.cpus);
	json_set_int(out, "memory", (int64_t)vm->mem.ram_size);
	json_set_str(out, "uuid", config_get(vm->config, "uuid", NULL));
	return 0;
}

static void
poweroff(struct vm *vm)
{
	vm_end(vm, VM_END_POWEROFF, NULL);
}

static void
reset(struct vm *vm)
{
	vm_end(vm, VM_END_REBOOT, NULL);
}

static int
stop(struct vm *vm, struct error *err)
{
	return pm_power_button(vm)
		       ? 0
		       : error_set(err, EAGAIN, "%s does not listen to its power button", vm->name);
}

/* Exits to us only; what the kernel handled by itself is in KVM's own statistics. */
static int
do_stats(struct vm *vm, const struct json *in, struct json *out, struct error *err)
{
	static const struct {
		unsigned reason;
		const char *name;
	} names[] = {{KVM_EXIT_IO, "io"}, {KVM_EXIT_MMIO, "mmio"}, {KVM_EXIT_INTR, "intr"},
		     {KVM_EXIT_X86_RDMSR, "rdmsr"}, {KVM_EXIT_X86_WRMSR, "wrmsr"}};
	struct json *list = json_new_array();

	for (unsigned i = 0; i < vm->topology.cpus; i++) {
		struct json *v = json_new_object();

		json_set_int(v, "vcpu", i);
		for (size_t n = 0; n < ARRAY_SIZE(names); n++)
			json_set_int(v, names[n].name, (int64_t)vm->vcpu[i].exits[names[n].reason]);
		json_push(list, v);
	}
	json_set(out, "vcpus", list);
	return 0;
}

static int
do_devices(struct vm *vm, const struct json *in, struct json *out, struct error *err)
{
	struct json *list = json_new_array();
	struct pci_dev *d;
	char where[16];

	list_for_each(d, &vm->pci->devs, link) {
		struct json *o = json_new_object();

		json_set_str(o, "address", pci_where(d, where));
		json_set_str(o, "device", d->class->name);
		json_push(list, o);
	}
	json_set(out, "devices", list);
	return 0;
}

/* A new file takes its name: whatever else has that is not ours to remove. */
static int
check_output(const char *path, struct error *err)
{
	struct stat st;

	if (*path != '/')
		return error_set(err, EINVAL, "expected the absolute path of a file");
	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return error_set(err, EEXIST, "%s is not a file", path);
	return 0;
}

static int
screenshot(struct vm *vm, const char *path, struct error *err)
{
	cleanup_free char *png = NULL;
	size_t len;
	int r;

	TRY(check_output(path, err));
	r = display_screenshot(vm, &png, &len, err);
	return r < 0 ? r : file_write_atomic(path, png, len, 0600, err);
}

static int
do_balloon(struct vm *vm, const struct json *in, struct json *out, struct error *err)
{
	return balloon_describe(vm, out, err);
}

static int
set_balloon(struct vm *vm, const char *size, struct error *err)
{
	uint64_t bytes;

	if (str_to_size(size, &bytes) < 0 || bytes == 0)
		return error_set(err, EINVAL, "\"%s\": expected a size such as 512M", size);
	return balloon_set(vm, bytes, err);
}

/* What stands behind disks may have grown. */
static void
refresh(struct vm *vm)
{
	struct pci_dev *d;

	list_for_each(d, &vm->pci->devs, link) {
		if (d->class->refresh)
			d->class->refresh(d);
	}
}

/* The guest stands still while its memory is written, and then goes on or ends. */
static int
do_snapshot(struct vm *vm, const struct json *in, struct json *out, struct error *err)
{
	const char *path = json_str(json_get(in, "arg"), "");
	uint64_t began = time_mono_ms(), bytes = 0;

	TRY(check_output(path, err));
	scoped_pause(vm);
	TRY(snapshot_save(vm, path, &bytes, err));
	json_set_int(out, "memory", (int64_t)bytes);
	json_set_int(out, "ms", (int64_t)(time_mono_ms() - began));
	return 0;
}

static int
do_save(struct vm *vm, const struct json *in, struct json *out, struct error *err)
{
	bool was_paused = vm->paused;
	int r;

	vm_pause(vm);
	r = do_snapshot(vm, in, out, err);
	if (r == 0)
		vm_end(vm, VM_END_POWEROFF, NULL);
	else if (!was_paused)
		vm_resume(vm);
	return r;
}

static void
migrated(void *arg, const struct migrate_status *status)
{
	struct ctl *ctl = arg;
	struct ipc_client *c = steal_ptr(&ctl->migrating);
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *out = json_new_object();

	if (!c)
		return;
	json_set_int(out, "downtime_us", (int64_t)status->downtime_us);
	json_set_int(out, "rounds", status->round);
	json_set_int(out, "bytes", (int64_t)status->bytes);
	error_set(&err, EIO, "%s", status->message);
	/* A client that is gone has no use for the answer. */
	if (status->state == MIGRATE_DONE)
		(void)ipc_reply(c, steal_ptr(&out), NULL, 0);
	else
		(void)ipc_reply_error(c, &err);
}

static int
do_migrate(struct vm *vm, const struct json *in, struct json *out, struct error *err)
{
	const char *address = json_str(json_get(in, "arg"), "");
	int64_t ms = json_int(json_get(in, "downtime"), 300);
	struct ctl *ctl = vm_find_part(vm, "ctl");
	int r;

	if (ms < 1 || ms > 3600000)
		return error_set(err, EINVAL, "downtime: expected milliseconds, at most an hour");
	if (ctl->message->n_fds > 0) {
		cleanup_close int fd = ipc_message_steal_fd(ctl->message, 0);

		r = migrate_start_fd(vm, fd, (unsigned)ms, migrated, ctl, err);
	} else {
		r = migrate_start(vm, address, (unsigned)ms, migrated, ctl, err);
	}
	if (r < 0)
		return r;
	ctl->migrating = ctl->asking;
	return ANSWER_LATER;
}

static int
do_migrate_status(struct vm *vm, const struct json *in, struct json *out, struct error *err)
{
	static const char *const words[] = {
		[MIGRATE_COPYING] = "copying", [MIGRATE_DONE] = "done", [MIGRATE_FAILED] = "failed"};
	struct migrate_status s;

	TRY(migrate_status(vm, &s, err));
	json_set_str(out, "state", words[s.state]);
	json_set_int(out, "round", s.round);
	json_set_int(out, "bytes", (int64_t)s.bytes);
	json_set_int(out, "left", (int64_t)s.left);
	if (s.state == MIGRATE_FAILED)
		json_set_str(out, "message", s.message);
	return 0;
}

static int
start_gdb(struct vm *vm, const char *address, struct error *err)
{
	return gdb_start(vm, address, false, err);
}

static const struct {
	const char *name;
	/* One of them: */
	request_fn *run;
	void (*just)(struct vm *vm);
	int (*ask)(struct vm *vm, struct error *err);
	int (*with)(struct vm *vm, const char *arg, struct error *err);
} requests[] = {
	{"status", do_status},
	{"poweroff", .just = poweroff},
	{"reset", .just = reset},
	{"stop", .ask = stop},
	{"nmi", .ask = vm_nmi},
	{"suspend", .just = vm_pause},
	{"resume", .just = vm_resume},
	{"stats", do_stats},
	{"devices", do_devices},
	{"screenshot", .with = screenshot},
	{"balloon", do_balloon},
	{"set-balloon", .with = set_balloon},
	{"refresh", .just = refresh},
	{"snapshot", do_snapshot},
	{"save", do_save},
	{"migrate", do_migrate},
	{"migrate-status", do_migrate_status},
	{"migrate-cancel", .ask = migrate_cancel},
	{"gdb", .with = start_gdb},
	{"device-add", .with = hotplug_add},
	{"device-remove", .with = hotplug_remove},
};

static int
serve(struct vm *vm, size_t i, const struct json *in, struct json *out, struct error *err)
{
	if (requests[i].run)
		return requests[i].run(vm, in, out, err);
	if (requests[i].ask)
		return requests[i].ask(vm, err);
	if (requests[i].with)
		return requests[i].with(vm, json_str(json_get(in, "arg"), ""), err);
	requests[i].just(vm);
	return 0;
}

static void
on_request(struct ipc_client *c, struct ipc_message *m, void *arg)
{
	struct ctl *ctl = arg;
	const char *name = json_str(json_get(m->body, "request"), "");
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *out = json_new_object();
	int r = error_set(&err, EOPNOTSUPP, "no request \"%s\"", name);

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		if (!str_eq(requests[i].name, name))
			continue;
		error_done(&err);
		ctl->asking = c;
		ctl->message = m;
		r = serve(ctl->vm, i, m->body, out, &err);
		break;
	}
	/* A client that is gone has no use for the answer. */
	if (r < 0)
		(void)ipc_reply_error(c, &err);
	else if (r != ANSWER_LATER)
		(void)ipc_reply(c, steal_ptr(&out), NULL, 0);
}

static void
on_closed(struct ipc_client *c, void *arg)
{
	struct ctl *ctl = arg;

	if (ctl->migrating == c)
		ctl->migrating = NULL;
}

static void
ctl_free(void *arg)
{
	struct ctl *ctl = arg;

	ipc_server_free(ctl->server);
	free(ctl);
}

int
ctl_start(struct vm *vm, struct error *err)
{
	cleanup_free char *path = str_printf("%s/%s.sock", CTL_DIR, vm->name);
	const char *set = config_get(vm->config, "ctl.path", NULL);
	struct ctl *ctl;
	int r;

	if (str_eq(set, "none"))
		return 0;
	if (!set && (r = file_mkdir_p(CTL_DIR, 0700, err)) < 0)
		return r;
	ctl = xcalloc(1, sizeof(*ctl));
	ctl->vm = vm;
	vm_add_part(vm, &(struct vm_part){.name = "ctl", .free = ctl_free, .arg = ctl});
	return ipc_listen(vm->loop, set ? set : path, 0600, on_request, on_closed, ctl, &ctl->server, err);
}
