/*
 * Brand kvm: QEMU in a jail (brand/jail.c), told what machine to be.
 *
 * The machine is SmartOS's: i440fx, disks first on the PCI bus, then NICs, then the
 * display, so that a guest's interface and disk names stay what they were; SMBIOS
 * says SmartDC HVM with the zone's uuid.  Sockets below the zone's root/tmp:
 * vm.console (first serial port), vm.ttyb (second: metadata), vm.vnc, vm.qmp for
 * tools, and vm.ctl, a second QMP for us.  Stopping is ACPI's power button.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "zone/brand/jail.h"
#include "zone/brand/kvm/kvm.h"
#include "zone/config.h"

#define QEMU "/usr/bin/qemu-system-x86_64"
#define QMP_TIMEOUT_MS 30000 /* where the node itself is emulated, QEMU thinks for seconds */
#define VNC_SOCKET "vm.vnc"
#define UEFI_CODE "/usr/share/OVMF/OVMF_CODE_4M.fd"

/* Commas separate QEMU's options; doubled they are themselves. */
static char *
option(const char *s)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	for (; *s; s++) {
		if (*s == ',')
			strbuf_addc(&b, ',');
		strbuf_addc(&b, *s);
	}
	return strbuf_steal(&b);
}

static void
add_machine(struct daemon *d, const struct jail *j, struct strv *argv)
{
	const char *cpu = jail_attr(d, "cpu-type", "qemu64");
	const char *uuid = d->name;
	cleanup_free char *version = jail_version();

	strv_addl(argv, QEMU, "-name", NULL);
	strv_take(argv, option(d->name));
	if (str_is_uuid(uuid))
		strv_addl(argv, "-uuid", uuid, NULL);
	strv_addl(argv, "-no-user-config", "-nodefaults", "-display", "none", "-machine", NULL);
	strv_add(argv, j->kvm ? "pc,accel=kvm:tcg" : "pc,accel=tcg");
	/* `host` is KVM's word; emulation has `max` */
	strv_addl(argv, "-cpu", str_eq(cpu, "host") && !j->kvm ? "max" : cpu, "-m",
		  jail_attr(d, "ram", "256"), "-smp", jail_attr(d, "vcpus", "1"), "-rtc",
		  "base=utc", NULL);
	strv_add(argv, "-smbios");
	strv_addf(argv, "type=1,manufacturer=Joyent,product=SmartDC HVM,version=%s,serial=%s,"
		  "%s%s%ssku=001,family=Virtual Machine", version, uuid,
		  str_is_uuid(uuid) ? "uuid=" : "", str_is_uuid(uuid) ? uuid : "",
		  str_is_uuid(uuid) ? "," : "");
	strv_addl(argv, "-sandbox",
		  "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny", NULL);
}

static void
add_sockets(struct strv *argv)
{
	static const struct {
		const char *id, *path;
	} sockets[] = {{"console", "/tmp/vm.console"}, {"ttyb", "/tmp/vm.ttyb"},
		       {"qmp", "/tmp/vm.qmp"}, {"ctl", "/tmp/vm.ctl"}};

	for (size_t i = 0; i < ARRAY_SIZE(sockets); i++) {
		strv_add(argv, "-chardev");
		strv_addf(argv, "socket,id=%s,path=%s,server=on,wait=off", sockets[i].id,
			  sockets[i].path);
	}
	strv_addl(argv, "-serial", "chardev:console", "-serial", "chardev:ttyb", "-mon",
		  "chardev=qmp,mode=control", "-mon", "chardev=ctl,mode=control", NULL);
}

/* guest_block_size is "512" or "512/4096"; a serial number has 20 characters. */
static void
add_disk_props(const struct jail_disk *disk, struct strbuf *dev)
{
	const char *block = disk->res ? zone_res_attr(disk->res, "guest-block-size") : NULL;
	const char *uuid = disk->res ? zone_res_attr(disk->res, "uuid") : NULL;
	const char *slash = block ? strchr(block, '/') : NULL;

	if (block && !disk->cdrom)
		strbuf_addf(dev, ",logical_block_size=%.*s,physical_block_size=%s",
			    slash ? (int)(slash - block) : (int)strlen(block), block,
			    slash ? slash + 1 : block);
	if (uuid)
		strbuf_addf(dev, ",serial=%.20s", uuid);
}

static void
add_disk(const struct jail_disk *disk, size_t i, struct strv *argv)
{
	cleanup_free char *path = option(disk->path);
	cleanup_strbuf struct strbuf dev = STRBUF_INIT;
	bool virtio = str_eq(disk->model, "virtio") || !disk->model;
	bool scsi = str_eq(disk->model, "scsi");

	strv_add(argv, "-drive");
	strv_addf(argv, "file=%s,if=none,id=drive%zu,format=raw,media=%s%s%s", path, i,
		  disk->cdrom ? "cdrom" : "disk",
		  disk->cdrom || disk->nocloud ? ",readonly=on" : "",
		  !disk->device ? "" : disk->notrim ? ",cache=none" : ",cache=none,discard=unmap");
	strv_add(argv, "-device");
	if (disk->cdrom && !scsi)
		strbuf_adds(&dev, "ide-cd");
	else if (virtio)
		strbuf_adds(&dev, "virtio-blk-pci");
	else if (scsi)
		strbuf_addf(&dev, "scsi-%s,bus=scsi0.0", disk->cdrom ? "cd" : "hd");
	else
		strbuf_adds(&dev, "ide-hd");
	strbuf_addf(&dev, ",drive=drive%zu,id=disk%zu", i, i);
	if (disk->bootindex > 0)
		strbuf_addf(&dev, ",bootindex=%d", disk->bootindex);
	add_disk_props(disk, &dev);
	strv_add(argv, dev.data);
}

static void
add_disks(const struct jail *j, struct strv *argv)
{
	bool scsi = false;

	for (size_t i = 0; i < j->n_disks; i++)
		scsi |= str_eq(j->disks[i].model, "scsi");
	if (scsi)
		strv_addl(argv, "-device", "virtio-scsi-pci,id=scsi0", NULL);
	for (size_t i = 0; i < j->n_disks; i++)
		add_disk(&j->disks[i], i, argv);
}

static const struct {
	const char *model, *device;
} nic_models[] = {
	{"virtio", "virtio-net-pci"}, {"e1000", "e1000"}, {"rtl8139", "rtl8139"},
};

/* How long and for how many packets QEMU waits; it is asked for only where no vhost sends them. */
static void
add_nic_tuning(struct daemon *d, struct strbuf *dev)
{
	const char *burst = jail_attr(d, "virtio-txburst", NULL);
	const char *timer = jail_attr(d, "virtio-txtimer", NULL);

	if (timer)
		strbuf_addf(dev, ",tx=timer,x-txtimer=%s", timer);
	if (burst)
		strbuf_addf(dev, ",x-txburst=%s", burst);
}

static int
add_nics(struct daemon *d, const struct jail *j, struct strv *argv, struct error *err)
{
	bool tuned = jail_attr(d, "virtio-txburst", NULL) || jail_attr(d, "virtio-txtimer", NULL);

	for (size_t i = 0; i < j->n_nics; i++) {
		const struct jail_nic *n = &j->nics[i];
		cleanup_strbuf struct strbuf dev = STRBUF_INIT;
		const char *device = NULL;
		char mac[MAC_STRLEN];

		for (size_t k = 0; k < ARRAY_SIZE(nic_models); k++)
			if (str_eq(nic_models[k].model, n->model ? n->model : "virtio"))
				device = nic_models[k].device;
		if (!device)
			return error_set(err, EINVAL, "NIC %s: model %s is not known", n->nic.name,
					 n->model);
		strv_add(argv, "-netdev");
		if (n->vhost_fd >= 0 && !tuned)
			strv_addf(argv, "tap,id=net%zu,fd=%d,vhost=on,vhostfd=%d", i, n->tap_fd,
				  n->vhost_fd);
		else
			strv_addf(argv, "tap,id=net%zu,fd=%d", i, n->tap_fd);
		strbuf_addf(&dev, "%s,netdev=net%zu,mac=%s", device, i, mac_print(&n->nic.mac, mac));
		if (n->bootindex > 0)
			strbuf_addf(&dev, ",bootindex=%d", n->bootindex);
		if (str_eq(device, "virtio-net-pci"))
			add_nic_tuning(d, &dev);
		strv_addl(argv, "-device", dev.data, NULL);
	}
	return 0;
}

static int
add_vga(struct daemon *d, struct strv *argv, struct error *err)
{
	static const char *const known[] = {"std", "cirrus", "vmware", "qxl"};
	const char *vga = jail_attr(d, "vga", "std");
	bool ok = false;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		ok |= str_eq(known[i], vga);
	if (!ok)
		return error_set(err, ENOTSUP, "vga %s is not supported", vga);
	strv_addl(argv, "-vga", vga, NULL);
	/* behind everything that SmartOS gives: no address of those moves */
	strv_addl(argv, "-object", "rng-random,id=rng0,filename=/dev/urandom", "-device",
		  "virtio-rng-pci,rng=rng0", NULL);
	return 0;
}

/* Firmware other than SeaBIOS; its variables last as long as the zone's root. */
static int
add_firmware(struct daemon *d, struct strv *argv, struct error *err)
{
	const char *rom = jail_attr(d, "bootrom", "bios");

	if (str_eq(rom, "bios") || str_eq(rom, "uefi-csm"))
		return 0; /* SeaBIOS is a CSM without the UEFI around it */
	if (!str_eq(rom, "uefi"))
		return error_set(err, ENOTSUP, "bootrom %s: brand kvm has bios and uefi", rom);
	strv_addl(argv, "-drive",
		  "if=pflash,unit=0,format=raw,readonly=on,file=" UEFI_CODE, "-drive",
		  "if=pflash,unit=1,format=raw,file=/tmp/" JAIL_UEFI_VARS, NULL);
	return jail_uefi_vars(d, err);
}

/* What SmartOS lets the operator replace as a whole: the screen and its input. */
static int
add_options(struct daemon *d, struct strv *argv, struct error *err)
{
	int r;

	if (jail_attr(d, "qemu-opts", NULL)) {
		r = jail_add_words(d, "qemu-opts", argv, err);
		if (r < 0)
			return r;
	} else {
		strv_add(argv, "-vnc");
		strv_addf(argv, "unix:/tmp/" VNC_SOCKET "%s",
			  jail_attr(d, "vnc-password", NULL) ? ",password=on" : "");
		strv_addl(argv, "-k", "en-us", "-usb", "-device", "usb-tablet", NULL);
	}
	return jail_add_words(d, "qemu-extra-opts", argv, err);
}

int
kvm_argv(struct daemon *d, struct jail *j, struct strv *argv, struct error *err)
{
	cleanup_free char *once = jail_boot_once(d);
	cleanup_free char *order = jail_boot_order(d);
	int r;

	add_machine(d, j, argv);
	add_sockets(argv);
	if (once) {
		/* only the firmware's own order can change with the guest's first reset */
		strv_add(argv, "-boot");
		strv_addf(argv, "order=%s,once=%s", order, once);
	} else {
		jail_number(j, order);
	}
	add_disks(j, argv);
	r = add_nics(d, j, argv, err);
	if (r == 0)
		r = add_vga(d, argv, err);
	if (r == 0)
		r = add_firmware(d, argv, err);
	return r < 0 ? r : add_options(d, argv, err);
}

static int
kvm_plan(struct daemon *d, struct zone_plan *p, struct error *err)
{
	struct jail *j = NULL;
	int r;

	if (access(QEMU, X_OK) < 0)
		return error_set(err, ENOENT, "%s is not on this node", QEMU);
	r = jail_plan(d, p, &j, err);
	if (r < 0)
		return r;
	jail_free(d->brand_data);
	d->brand_data = j;
	if (j->n_pci)
		return error_set(err, ENOTSUP, "pci_devices are for brand bhyve");
	return kvm_argv(d, j, &p->argv, err);
}

/* ---- QMP: one JSON object a line ---- */

/* Reads lines until one has `key`; everything QEMU says is bounded and not trusted. */
static int
qmp_expect(int fd, const char *key, struct error *err)
{
	uint64_t end = time_mono_ms() + QMP_TIMEOUT_MS;
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	char buf[4096];

	for (;;) {
		uint64_t now = time_mono_ms();
		struct pollfd p = {.fd = fd, .events = POLLIN};
		char *nl;
		ssize_t n;

		while (b.data && (nl = memchr(b.data, '\n', b.len))) {
			cleanup_json struct json *j = NULL;
			size_t len = (size_t)(nl - b.data) + 1;
			struct json *bad;
			bool found;

			if (json_parse(b.data, len, &j, err) < 0)
				return error_wrap(err, -EPROTO, "QMP");
			bad = json_get(j, "error");
			if (bad)
				return error_set(err, EIO, "QEMU: %s",
						 json_str(json_get(bad, "desc"), "error"));
			found = json_get(j, key) != NULL;
			memmove(b.data, b.data + len, b.len - len + 1);
			b.len -= len;
			if (found)
				return 0;
		}
		if (now >= end || b.len > 65536 || poll(&p, 1, (int)(end - now)) <= 0)
			return error_set(err, ETIMEDOUT, "QEMU does not answer");
		n = read(fd, buf, sizeof(buf));
		if (n <= 0)
			return error_set(err, EIO, "QEMU closed the connection");
		strbuf_add(&b, buf, (size_t)n);
	}
}

static int
qmp_say(int fd, const char *line, struct error *err)
{
	int r = fd_write_all(fd, line, strlen(line));

	return r < 0 ? error_set_errno(err, -r, "QMP") : qmp_expect(fd, "return", err);
}

/* A conversation with QEMU; the caller closes it. */
static int
qmp_open(struct daemon *d, int *ret, struct error *err)
{
	cleanup_close int fd = -1;
	int r;

	r = zone_vm_connect(d->name, "vm.ctl", &fd, err);
	if (r == 0)
		r = qmp_expect(fd, "QMP", err);
	if (r == 0)
		r = qmp_say(fd, "{\"execute\":\"qmp_capabilities\"}\n", err);
	if (r < 0)
		return r;
	*ret = steal_fd(&fd);
	return 0;
}

static int
kvm_ask(struct daemon *d, bool reboot, struct error *err)
{
	cleanup_close int fd = -1;
	int r = qmp_open(d, &fd, err);

	/* the power button; a guest that is to come back is booted again when it is off */
	return r < 0 ? r : qmp_say(fd, "{\"execute\":\"system_powerdown\"}\n", err);
}

/* By QMP, not by the command line: who may see our processes may not see passwords. */
static int
set_vnc_password(struct daemon *d, struct error *err)
{
	const char *coded = jail_attr(d, "vnc-password", NULL);
	cleanup_json struct json *q = json_new_object();
	struct json *args = json_new_object();
	cleanup_free char *password = NULL;
	cleanup_free char *text = NULL;
	cleanup_free char *line = NULL;
	cleanup_close int fd = -1;
	size_t len;
	int r;

	json_set_str(q, "execute", "set_password");
	json_set(q, "arguments", args);
	if (!coded || jail_attr(d, "qemu-opts", NULL))
		return 0;
	if (str_unbase64(coded, &password, &len) < 0)
		return error_set(err, EINVAL, "vnc-password is not base64");
	json_set_str(args, "protocol", "vnc");
	json_set_str(args, "password", password);
	text = json_print(q, false);
	line = str_printf("%s\n", text);
	r = qmp_open(d, &fd, err);
	if (r == 0)
		r = qmp_say(fd, line, err);
	return r < 0 ? error_wrap(err, r, "vnc_password") : 0;
}

static int
kvm_started(struct daemon *d, struct error *err)
{
	int r = jail_wait(d, "vm.ctl", err);

	if (r == 0)
		r = set_vnc_password(d, err);
	return r < 0 ? r : jail_started(d, err);
}

const struct brand_ops kvm_ops = {
	.name = "kvm",
	.plan = kvm_plan,
	.started = kvm_started,
	.ask = kvm_ask,
	.apply = set_vnc_password,
	.resume = jail_resume,
	.stopped = jail_stopped,
	.release = jail_release,
};
