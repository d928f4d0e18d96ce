/*
 * From configuration to a running guest: a list of named steps, then the
 * event loop until the machine ends.
 */
#include "vmm/machine.h"

#include <poll.h>
#include <signal.h>

#include "vmm/boot/boot.h"
#include "vmm/ctl.h"
#include "vmm/device.h"
#include "vmm/gdb.h"
#include "vmm/isa/isa.h"
#include "vmm/migrate.h"
#include "vmm/snapshot.h"

/* Keys that other bhyves know and this one has nothing for: better refused than passed over. */
static const struct {
	const char *key, *why;
} unsupported[] = {
	{"domains", "NUMA domains (-n) are not supported"},
	{"lpc.pc-testdev", "there is no test device"},
	{"lpc.pcireg", "the LPC bridge's ids are those the firmware knows"},
	{"x86.ioapic", "a guest without the I/O APIC has no serial port"},
};

static int
refuse_unsupported(struct vm *vm, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(unsupported); i++) {
		if (config_find(vm->config, unsupported[i].key))
			return error_set_path(err, ENOTSUP, unsupported[i].key, "%s: %s",
					      unsupported[i].key, unsupported[i].why);
	}

	const char *layout = config_get(vm->config, "keyboard.layout", "us");
	const char *fwcfg = config_get(vm->config, "lpc.fwcfg", "qemu");

	/* bhyve's own firmware asks fwctl; stock firmware, which runs here, asks fw_cfg. */
	if (!str_eq(fwcfg, "qemu") && !str_eq(fwcfg, "bhyve"))
		return error_set(err, EINVAL, "lpc.fwcfg: \"%s\" is not qemu or bhyve", fwcfg);
	if (!str_after(layout, "us") && !str_eq(layout, "default"))
		return error_set(err, ENOTSUP, "keyboard.layout: there is no \"%s\"; VNC clients that "
				 "send scan codes need none, the others have a US keyboard", layout);
	return 0;
}

static int
assign_pci(struct vm *vm, struct error *err)
{
	bool enable;
	int r = config_bool(vm->config, "pci.enable_bars", true, &enable, err);

	/* Firmware expects to find the devices switched off and places them itself. */
	if (config_get(vm->config, "lpc.bootrom", NULL))
		enable = false;
	return r < 0 ? r : pci_assign(vm, enable, err);
}

/* -r FILE, or -r tcp=ADDRESS:PORT or unix=PATH: the state of a machine that ran before. */
static int
restore(struct vm *vm, struct error *err)
{
	const char *from = config_get(vm->config, "restore", NULL);
	bool stream = from && (str_after(from, "tcp=") || str_after(from, "unix="));

	if (!from)
		return 0;
	vm_pause(vm);
	return stream ? migrate_receive(vm, from, err) : snapshot_load(vm, from, err);
}

static const struct {
	const char *name;
	int (*run)(struct vm *vm, struct error *err);
} steps[] = {
	{"options", refuse_unsupported},
	{"isa", isa_create_all},
	{"pci", pci_create_all},
	{"addresses", assign_pci},
	{"boot", boot_load},
	{"restore", restore},
	{"control", ctl_start},
	{"debugger", gdb_start_configured},
};

static void
ended(struct event_source *s, int fd, uint32_t events, void *arg)
{
	event_quit(arg, 0);
}

/* SIGTERM presses the power button; a guest that does not listen is switched off. */
static void
on_term(struct event_source *s, int signo, void *arg)
{
	struct vm *vm = arg;

	if (!pm_power_button(vm))
		vm_end(vm, VM_END_POWEROFF, NULL);
}

static bool
waits_for_debugger(struct vm *vm)
{
	bool wait = false;

	/* gdb_start_configured() has refused what is no truth value. */
	(void)config_bool(vm->config, "gdb.wait", false, &wait, NULL);
	return wait && config_get(vm->config, "gdb.port", NULL);
}

/*
 * Where there is one processor, making this thread's walls would keep the guest from its first
 * instruction: it gets the few milliseconds of a scheduler's turn, unless it ends before.
 */
static void
guest_first(struct vm *vm)
{
	struct pollfd end = {.fd = vm->end_fd, .events = POLLIN};

	(void)poll(&end, 1, 4); /* a signal only makes it shorter */
}

/*
 * Variables of a firmware, a snapshot and images are mapped: who cuts such a file short, or has no
 * room where it is written, ends the machine, but not without a word.
 */
static void
on_bus(int signo)
{
	static const char text[] = "bhyve: a file that the guest's memory or firmware lies in "
				   "shrank, or there is no room to write it\n";

	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(VM_END_ERROR);
}

/* The sanitizers make calls of their own. */
#ifdef __SANITIZE_ADDRESS__
#define SANDBOX_DEFAULT false
#else
#define SANDBOX_DEFAULT true
#endif

int
machine_run(struct config *config, struct error *err)
{
	cleanup_event struct event_loop *loop = NULL;
	cleanup_vm struct vm *vm = NULL;
	struct event_source *end, *term;
	bool suspended, sandbox;
	int r;

	/* A peer that went away is an error of that connection, no more. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGBUS, on_bus);
	TRY(config_bool(config, "sandbox", SANDBOX_DEFAULT, &sandbox, err));
	if (sandbox)
		TRY(sandbox_prepare(err));
	TRY(event_new(&loop, err));
	TRY(vm_new(config, loop, &vm, err));
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		r = steps[i].run(vm, err);
		if (r < 0)
			return error_wrap(err, r, "%s", vm->name);
	}
	TRY(config_bool(config, "suspend_at_boot", false, &suspended, err));
	TRY(event_add_fd(loop, vm->end_fd, EPOLLIN, ended, loop, &end, err));
	TRY(event_add_signal(loop, SIGTERM, on_term, vm, &term, err));
	if (suspended)
		vm_pause(vm);
	TRY(vm_start(vm, err));
	guest_first(vm);
	sandbox_enter(SANDBOX_MAIN);
	if (!suspended && !waits_for_debugger(vm))
		vm_resume(vm);
	r = event_run(loop);
	if (r < 0)
		return error_set_errno(err, -r, "event loop");
	vm_wait(vm);
	event_source_free(end);
	event_source_free(term);
	if (vm->end == VM_END_ERROR)
		return error_set(err, EIO, "%s: %s", vm->name, vm->end_message);
	return vm->end;
}
