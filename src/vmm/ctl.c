/*
 * One row a request: {"request": NAME, ...} gives an object or an error.
 * Requests run in the main thread, between two rounds of the event loop.
 */
#include "vmm/ctl.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/ipc.h"
#include "base/str.h"
#include "os/kvm.h"
#include "vmm/isa/isa.h"
#include "vmm/pci.h"

struct ctl {
	struct vm *vm;
	struct ipc_server *server;
};

typedef int request_fn(struct vm *vm, const struct json *in, struct json *out, struct error *err);

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

static int
do_poweroff(struct vm *vm, const struct json *in, struct json *out, struct error *err)
{
	vm_end(vm, VM_END_POWEROFF, NULL);
	return 0;
}

static int
do_reset(struct vm *vm, const struct json *in, struct json *out, struct error *err)
{
	vm_end(vm, VM_END_REBOOT, NULL);
	return 0;
}

static int
do_stop(struct vm *vm, const struct json *in, struct json *out, struct error *err)
{
	if (!pm_power_button(vm))
		return error_set(err, EAGAIN, "%s does not listen to its power button", vm->name);
	return 0;
}

static int
do_nmi(struct vm *vm, const struct json *in, struct json *out, struct error *err)
{
	return vm_nmi(vm, err);
}

static int
do_suspend(struct vm *vm, const struct json *in, struct json *out, struct error *err)
{
	vm_pause(vm);
	return 0;
}

static int
do_resume(struct vm *vm, const struct json *in, struct json *out, struct error *err)
{
	vm_resume(vm);
	return 0;
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

static const struct {
	const char *name;
	request_fn *run;
} requests[] = {
	{"status", do_status}, {"poweroff", do_poweroff}, {"reset", do_reset},
	{"stop", do_stop},     {"nmi", do_nmi},		  {"suspend", do_suspend},
	{"resume", do_resume}, {"stats", do_stats},	  {"devices", do_devices},
};

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
		r = requests[i].run(ctl->vm, m->body, out, &err);
		break;
	}
	/* A client that is gone has no use for the answer. */
	if (r < 0)
		(void)ipc_reply_error(c, &err);
	else
		(void)ipc_reply(c, steal_ptr(&out), NULL, 0);
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
	return ipc_listen(vm->loop, set ? set : path, 0600, on_request, NULL, ctl, &ctl->server, err);
}
