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
#include <sys/utsname.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "zone/brand/jail.h"
#include "zone/brand/kvm/kvm.h"
#include "zone/config.h"

#define QEMU "/usr/bin/qemu-system-x86_64"
#define QMP_TIMEOUT_MS 5000

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
	struct utsname u;

	uname(&u);
	strv_addl(argv, QEMU, "-name", NULL);
	strv_take(argv, option(d->name));
	if (str_is_uuid(uuid))
		strv_addl(argv, "-uuid", uuid, NULL);
	strv_addl(argv, "-no-user-config", "-nodefaults", "-display", "none", "-machine", NULL);
	strv_add(argv, j->kvm ? "pc,accel=kvm:tcg" : "pc,accel=tcg");
	/* `host` is KVM's word; emulation has `max` */
	strv_addl(argv, "-cpu", str_eq(cpu, "host") && !j->kvm ? "max" : cpu, "-m",
		  jail_attr(d, "ram", "256"), "-smp", jail_attr(d, "vcpus", "1"), "-rtc", "base=utc", NULL);
	strv_add(argv, "-smbios");
	strv_addf(argv, "type=1,manufacturer=Joyent,product=SmartDC HVM,version=7.%s,serial=%s,"
		  "%s%s%ssku=001,family=Virtual Machine", u.release, uuid,
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

static void
add_disk(const struct jail_disk *disk, size_t i, int bootindex, struct strv *argv)
{
	cleanup_free char *path = option(disk->path);
	bool virtio = str_eq(disk->model, "virtio") || !disk->model;
	bool scsi = str_eq(disk->model, "scsi");

	strv_add(argv, "-drive");
	strv_addf(argv, "file=%s,if=none,id=drive%zu,format=raw,media=%s%s%s", path, i,
		  disk->cdrom ? "cdrom" : "disk", disk->cdrom ? ",readonly=on" : "",
		  !disk->device ? "" : disk->notrim ? ",cache=none" : ",cache=none,discard=unmap");
	strv_add(argv, "-device");
	if (disk->cdrom && !scsi)
		strv_addf(argv, "ide-cd,drive=drive%zu,id=disk%zu", i, i);
	else if (virtio)
		strv_addf(argv, "virtio-blk-pci,drive=drive%zu,id=disk%zu", i, i);
	else if (scsi)
		strv_addf(argv, "scsi-%s,drive=drive%zu,id=disk%zu,bus=scsi0.0",
			  disk->cdrom ? "cd" : "hd", i, i);
	else
		strv_addf(argv, "ide-hd,drive=drive%zu,id=disk%zu", i, i);
	if (bootindex > 0) {
		cleanup_free char *last = xstrdup(argv->v[argv->n - 1]);

		strv_remove(argv, argv->n - 1);
		strv_addf(argv, "%s,bootindex=%d", last, bootindex);
	}
}

/* order=cdn: c disks, d CDs, n network; the disk that says boot=true goes first among disks. */
static int
boot_index(const char *order, char kind, bool first)
{
	const char *at = strchr(order, kind);

	return at ? 1 + 10 * (int)(at - order) + (first ? 0 : 1) : 0;
}

static void
add_disks(const struct jail *j, const char *order, struct strv *argv)
{
	bool scsi = false;
	int used[2] = {0};

	for (size_t i = 0; i < j->n_disks; i++)
		scsi |= str_eq(j->disks[i].model, "scsi");
	if (scsi)
		strv_addl(argv, "-device", "virtio-scsi-pci,id=scsi0", NULL);
	for (size_t i = 0; i < j->n_disks; i++) {
		const struct jail_disk *disk = &j->disks[i];
		int index = boot_index(order, disk->cdrom ? 'd' : 'c', disk->boot);

		/* indices are unique: later ones of a kind follow */
		if (index > 0 && !disk->boot)
			index += used[disk->cdrom]++;
		add_disk(disk, i, index, argv);
	}
}

static const struct {
	const char *model, *device;
} nic_models[] = {
	{"virtio", "virtio-net-pci"}, {"e1000", "e1000"}, {"rtl8139", "rtl8139"},
};

static int
add_nics(const struct jail *j, const char *order, struct strv *argv, struct error *err)
{
	for (size_t i = 0; i < j->n_nics; i++) {
		const struct jail_nic *n = &j->nics[i];
		int index = boot_index(order, 'n', false);
		const char *device = NULL;
		char mac[MAC_STRLEN];

		for (size_t k = 0; k < ARRAY_SIZE(nic_models); k++)
			if (str_eq(nic_models[k].model, n->model ? n->model : "virtio"))
				device = nic_models[k].device;
		if (!device)
			return error_set(err, EINVAL, "NIC %s: model %s is not known", n->nic.name,
					 n->model);
		strv_add(argv, "-netdev");
		if (n->vhost_fd >= 0)
			strv_addf(argv, "tap,id=net%zu,fd=%d,vhost=on,vhostfd=%d", i, n->tap_fd,
				  n->vhost_fd);
		else
			strv_addf(argv, "tap,id=net%zu,fd=%d", i, n->tap_fd);
		strv_add(argv, "-device");
		if (index > 0)
			strv_addf(argv, "%s,netdev=net%zu,mac=%s,bootindex=%d", device, i,
				  mac_print(&n->nic.mac, mac), index + (int)i);
		else
			strv_addf(argv, "%s,netdev=net%zu,mac=%s", device, i,
				  mac_print(&n->nic.mac, mac));
	}
	return 0;
}

static int
add_vga(struct daemon *d, struct strv *argv, struct error *err)
{
	static const char *const known[] = {"std", "cirrus", "vmware", "qxl"};
	const char *vga = jail_attr(d, "vga", "std"), *port = jail_attr(d, "vnc-port", "0");
	bool ok = false;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		ok |= str_eq(known[i], vga);
	if (!ok)
		return error_set(err, ENOTSUP, "vga %s is not supported", vga);
	strv_addl(argv, "-vga", vga, NULL);
	if (!str_eq(port, "-1"))
		strv_addl(argv, "-vnc", "unix:/tmp/vm.vnc", NULL);
	/* behind everything that SmartOS gives: no address of those moves */
	strv_addl(argv, "-object", "rng-random,id=rng0,filename=/dev/urandom", "-device",
		  "virtio-rng-pci,rng=rng0", NULL);
	return 0;
}

int
kvm_argv(struct daemon *d, const struct jail *j, struct strv *argv, struct error *err)
{
	cleanup_free char *order = jail_boot_order(d);
	int r;

	add_machine(d, j, argv);
	add_sockets(argv);
	add_disks(j, order, argv);
	r = add_nics(j, order, argv, err);
	if (r == 0)
		r = add_vga(d, argv, err);
	if (r == 0)
		r = jail_add_words(d, "qemu-extra-opts", argv, err);
	return r;
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
	return kvm_argv(d, j, &p->argv, err);
}

static int
kvm_started(struct daemon *d, struct error *err)
{
	int r = jail_wait(d, "vm.ctl", err);

	return r < 0 ? r : jail_dhcp_start(d, d->brand_data, err);
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

static int
kvm_ask(struct daemon *d, bool reboot, struct error *err)
{
	cleanup_close int fd = -1;
	int r;

	r = zone_vm_connect(d->name, "vm.ctl", &fd, err);
	if (r == 0)
		r = qmp_expect(fd, "QMP", err);
	if (r == 0)
		r = qmp_say(fd, "{\"execute\":\"qmp_capabilities\"}\n", err);
	/* the power button; a guest that is to come back is booted again when it is off */
	if (r == 0)
		r = qmp_say(fd, "{\"execute\":\"system_powerdown\"}\n", err);
	return r;
}

const struct brand_ops kvm_ops = {
	.name = "kvm",
	.plan = kvm_plan,
	.started = kvm_started,
	.ask = kvm_ask,
	.resume = jail_resume,
	.stopped = jail_stopped,
};
