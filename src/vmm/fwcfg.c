#include "vmm/fwcfg.h"

#include <endian.h>

#include "base/file.h"
#include "vmm/acpi/acpi.h"
#include "vmm/isa/isa.h"
#include "vmm/smbios.h"

enum {
	KEY_SIGNATURE = 0x00, KEY_ID = 0x01, KEY_CPUS = 0x05, KEY_MAX_CPUS = 0x0f, KEY_DIR = 0x19,
	KEY_FILES = 0x20
};

#define MAX_FILES 64
#define NAME_LEN 56
/* A bit of the selector that once meant writing; the one above it makes other items (of SeaBIOS on a PC). */
#define KEY_WRITE 0x4000
enum { ID_TRADITIONAL = 1, ID_DMA = 2 };

enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };

struct item {
	uint16_t key;
	char *name; /* files only */
	uint8_t *data;
	size_t len;
};

struct fwcfg {
	struct isa_dev isa;
	struct item *item;
	unsigned n, n_files;
	const struct item *selected;
	size_t at;
	uint32_t dma_high;
};

/* ---- the guest's side ---- */

static void
select_item(struct fwcfg *f, uint16_t key)
{
	f->selected = NULL;
	f->at = 0;
	for (unsigned i = 0; i < f->n; i++) {
		if (f->item[i].key == (key & ~KEY_WRITE))
			f->selected = &f->item[i];
	}
}

/* What lies behind the end of an item reads as zero. */
static void
take(struct fwcfg *f, uint8_t *out, size_t len)
{
	size_t left = f->selected && f->at < f->selected->len ? f->selected->len - f->at : 0;
	size_t n = len < left ? len : left;

	if (n)
		memcpy(out, f->selected->data + f->at, n);
	memset(out + n, 0, len - n);
	f->at += n;
}

static uint64_t
ports_read(void *arg, uint64_t offset, unsigned size)
{
	struct fwcfg *f = arg;
	uint8_t b[8] = {0};
	uint64_t v;

	if (offset != 1)
		return 0;
	scoped_lock(&f->isa.lock);
	take(f, b, size);
	memcpy(&v, b, sizeof(v));
	return v;
}

static void
ports_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct fwcfg *f = arg;

	if (offset != 0 || size != 2)
		return;
	scoped_lock(&f->isa.lock);
	select_item(f, (uint16_t)value);
}

static uint64_t
dma_read(void *arg, uint64_t offset, unsigned size)
{
	static const uint8_t signature[8] = {'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G'};
	uint64_t v = 0;

	memcpy(&v, signature + offset, size);
	return v;
}

static uint32_t
dma_run(struct fwcfg *f, uint32_t control, uint32_t len, uint64_t address)
{
	if (control & DMA_SELECT)
		select_item(f, (uint16_t)(control >> 16));
	if (control & DMA_READ) {
		uint8_t *to = mem_ptr(&f->isa.vm->mem, address, len);

		if (!to && len)
			return DMA_ERROR;
		if (len)
			take(f, to, len);
		return 0;
	}
	/* No item of ours can be written. */
	if (control & DMA_WRITE)
		return DMA_ERROR;
	if (control & DMA_SKIP)
		f->at = len > SIZE_MAX - f->at ? SIZE_MAX : f->at + len;
	return 0;
}

static void
dma_start(struct fwcfg *f, uint64_t at)
{
	struct {
		uint32_t control, len;
		uint64_t address;
	} __attribute__((packed)) d;
	uint32_t result;

	if (!mem_read(&f->isa.vm->mem, at, &d, sizeof(d)))
		return;
	result = htobe32(dma_run(f, be32toh(d.control), be32toh(d.len), be64toh(d.address)));
	mem_write(&f->isa.vm->mem, at, &result, sizeof(result));
}

static void
dma_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct fwcfg *f = arg;

	scoped_lock(&f->isa.lock);
	if (offset == 0 && size == 4)
		f->dma_high = be32toh((uint32_t)value);
	else if (offset == 4 && size == 4)
		dma_start(f, (uint64_t)f->dma_high << 32 | be32toh((uint32_t)value));
	else if (offset == 0 && size == 8)
		dma_start(f, be64toh(value));
}

/* ---- filling it ---- */

/* Data is copied. */
static struct item *
add_item(struct fwcfg *f, uint16_t key, const void *data, size_t len)
{
	f->item = xreallocarray(f->item, f->n + 1, sizeof(*f->item));
	f->item[f->n] = (struct item){.key = key, .data = xmemdup(data, len), .len = len};
	return &f->item[f->n++];
}

static void
add_file(struct fwcfg *f, const char *name, const void *data, size_t len)
{
	struct item *i = add_item(f, (uint16_t)(KEY_FILES + f->n_files++), data, len);

	i->name = xstrdup(name);
}

static void
add_directory(struct fwcfg *f)
{
	struct strbuf dir = STRBUF_INIT;
	uint32_t count = htobe32(f->n_files);

	strbuf_add(&dir, &count, sizeof(count));
	for (unsigned i = 0; i < f->n; i++) {
		struct {
			uint32_t size;
			uint16_t key, reserved;
			char name[NAME_LEN];
		} e = {htobe32((uint32_t)f->item[i].len), htobe16(f->item[i].key), 0, ""};

		if (!f->item[i].name)
			continue;
		snprintf(e.name, sizeof(e.name), "%s", f->item[i].name);
		strbuf_add(&dir, &e, sizeof(e));
	}
	add_item(f, KEY_DIR, dir.data, dir.len);
	strbuf_done(&dir);
}

static void
add_memory_map(struct fwcfg *f)
{
	struct e820 {
		uint64_t address, size;
		uint32_t type;
	} __attribute__((packed)) map[2] = {{0, mem_low_size(&f->isa.vm->mem), 1},
					    {MEM_HIGH_BASE, mem_high_size(&f->isa.vm->mem), 1}};

	add_file(f, "etc/e820", map, sizeof(map[0]) * (map[1].size ? 2 : 1));
}

/* Commands for the firmware: where to put the tables, what to patch in them. */
enum { LOAD_ALLOCATE = 1, LOAD_POINTER = 2, LOAD_CHECKSUM = 3, ZONE_HIGH = 1, ZONE_FSEG = 2 };
#define TABLES "etc/acpi/tables"
#define RSDP "etc/acpi/rsdp"

struct loader {
	uint32_t command;
	union {
		struct {
			char file[NAME_LEN];
			uint32_t align;
			uint8_t zone;
		} __attribute__((packed)) allocate;
		struct {
			char dest[NAME_LEN], source[NAME_LEN];
			uint32_t offset;
			uint8_t size;
		} __attribute__((packed)) pointer;
		struct {
			char file[NAME_LEN];
			uint32_t offset, start, len;
		} __attribute__((packed)) checksum;
		uint8_t pad[124];
	};
} __attribute__((packed));

_Static_assert(sizeof(struct loader) == 128, "table loader command");

static void
load(struct strbuf *b, struct loader l)
{
	strbuf_add(b, &l, sizeof(l));
}

static void
add_acpi(struct fwcfg *f)
{
	struct strbuf b = STRBUF_INIT;
	struct acpi a;

	acpi_build(f->isa.vm, &a);
	add_file(f, TABLES, a.tables.data, a.tables.len);
	add_file(f, RSDP, a.rsdp, sizeof(a.rsdp));
	load(&b, (struct loader){LOAD_ALLOCATE, .allocate = {RSDP, 16, ZONE_FSEG}});
	load(&b, (struct loader){LOAD_ALLOCATE, .allocate = {TABLES, 64, ZONE_HIGH}});
	for (const struct acpi_pointer *p = a.pointer; p < a.pointer + a.n_pointers; p++)
		load(&b, (struct loader){LOAD_POINTER, .pointer = {TABLES, TABLES, (uint32_t)p->at,
								   (uint8_t)p->size}});
	load(&b, (struct loader){LOAD_POINTER, .pointer = {RSDP, TABLES, 24, 8}});
	for (const struct acpi_checksum *c = a.checksum; c < a.checksum + a.n_checksums; c++)
		load(&b, (struct loader){LOAD_CHECKSUM, .checksum = {TABLES, (uint32_t)c->at,
								     (uint32_t)c->start,
								     (uint32_t)c->len}});
	load(&b, (struct loader){LOAD_CHECKSUM, .checksum = {RSDP, 8, 0, 20}});
	load(&b, (struct loader){LOAD_CHECKSUM, .checksum = {RSDP, 32, 0, 36}});
	add_file(f, "etc/table-loader", b.data, b.len);
	strbuf_done(&b);
	acpi_done(&a);
}

static void
add_smbios(struct fwcfg *f)
{
	struct smbios s;

	smbios_build(f->isa.vm, &s);
	add_file(f, "etc/smbios/smbios-tables", s.tables.data, s.tables.len);
	add_file(f, "etc/smbios/smbios-anchor", s.anchor, sizeof(s.anchor));
	smbios_done(&s);
}

/* Disks behind a controller are named one by one, in the way that SeaBIOS and OVMF know them. */
static const struct controller {
	const char *class, *name, *list, *before, *after;
} controllers[] = {
	{"ahci", "pci8086,2922", "port", "/drive@", "/disk@0"},
	{"ahci-hd", "pci8086,2922", "port", "/drive@", "/disk@0"},
	{"ahci-cd", "pci8086,2922", "port", "/drive@", "/disk@0"},
	{"virtio-scsi", "scsi", "target", "/channel@0/disk@", ",0"},
};

/* Any other device is named by its address; OVMF wants some name, and SeaBIOS takes each. */
static void
add_boot_path(struct strbuf *b, const struct pci_dev *d, struct config *node)
{
	const struct controller *c = NULL;
	struct config *list = NULL;
	cleanup_free char *fn = d->fn ? str_printf(",%x", d->fn) : xstrdup("");
	int disk;

	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
		if (str_eq(controllers[i].class, d->class->name))
			c = &controllers[i];
	if (c)
		list = config_find(node, c->list);
	if (!list) {
		strbuf_addf(b, "/pci@i0cf8/device@%x%s\n", d->slot, fn);
		return;
	}
	for (struct config *n = NULL; (n = config_next(list, n));)
		if (str_to_int(config_name(n), &disk) == 0)
			strbuf_addf(b, "/pci@i0cf8/%s@%x%s%s%x%s\n", c->name, d->slot, fn,
				    c->before, (unsigned)disk, c->after);
}

/* Open Firmware paths of the devices with a bootindex, lowest first. */
static int
add_boot_order(struct fwcfg *f, struct error *err)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	struct pci_dev *d;

	for (uint64_t next = 0; next <= 255; next++) {
		list_for_each(d, &f->isa.vm->pci->devs, link) {
			cleanup_free char *path = str_printf("pci.%u.%u.%u", d->bus, d->slot, d->fn);
			struct config *node = config_find(f->isa.vm->config, path);
			uint64_t index = 256;

			if (node)
				TRY(config_u64(node, "bootindex", 0, 255, 256, &index, err));
			if (index == next)
				add_boot_path(&b, d, node);
		}
	}
	if (b.len)
		add_file(f, "bootorder", b.data, b.len + 1);
	return 0;
}

/* SeaBIOS writes to the first serial port what it, boot loaders and DOS write to a screen. */
static void
add_bios_console(struct fwcfg *f)
{
	static const uint8_t port[2] = {0xf8, 0x03};

	if (config_get(f->isa.vm->config, "lpc.com1.path", NULL))
		add_file(f, "etc/sercon-port", port, sizeof(port));
}

/* fwcfg.N.name with .string or .file */
static int
add_user_files(struct fwcfg *f, struct error *err)
{
	struct config *list = config_find(f->isa.vm->config, "fwcfg");

	for (struct config *n = NULL; list && (n = config_next(list, n));) {
		const char *name = config_get(n, "name", NULL);
		const char *string = config_get(n, "string", NULL);
		const char *file = config_get(n, "file", NULL);
		cleanup_free char *data = NULL;
		size_t len = 0;
		int r = 0;

		if (!name || strlen(name) >= NAME_LEN || (!string && !file) ||
		    f->n_files >= MAX_FILES)
			return error_set(err, EINVAL,
					 "fwcfg.%s: expected a name of at most %d characters, and "
					 "string or file",
					 config_name(n), NAME_LEN - 1);
		if (file)
			r = file_read(file, 0, &data, &len, err);
		if (r < 0)
			return r;
		add_file(f, name, file ? data : string, file ? len : strlen(string));
	}
	return 0;
}

int
fwcfg_describe(struct fwcfg *f, struct error *err)
{
	uint32_t id = ID_TRADITIONAL | ID_DMA;
	uint16_t cpus = (uint16_t)f->isa.vm->topology.cpus;

	add_item(f, KEY_SIGNATURE, "QEMU", 4);
	add_item(f, KEY_ID, &id, sizeof(id));
	add_item(f, KEY_CPUS, &cpus, sizeof(cpus));
	add_item(f, KEY_MAX_CPUS, &cpus, sizeof(cpus));
	add_memory_map(f);
	add_acpi(f);
	add_smbios(f);
	TRY(add_boot_order(f, err));
	add_bios_console(f);
	TRY(add_user_files(f, err));
	add_directory(f);
	return 0;
}

/* The items are made again; where the guest was reading goes along. */
static void
fwcfg_state(void *arg, struct state *s)
{
	struct fwcfg *f = arg;
	uint64_t at = f->at;
	uint16_t key = f->selected ? f->selected->key : UINT16_MAX;

	STATE(s, key, at, f->dma_high);
	if (!state_loading(s))
		return;
	select_item(f, key);
	f->at = at;
}

static void
fwcfg_done(void *arg)
{
	struct fwcfg *f = arg;

	for (unsigned i = 0; i < f->n; i++) {
		free(f->item[i].name);
		free(f->item[i].data);
	}
	free(f->item);
}

struct fwcfg *
fwcfg_new(struct vm *vm)
{
	struct fwcfg *f = isa_new(vm, "fwcfg", sizeof(*f), fwcfg_state, fwcfg_done);

	isa_add_range(f, &vm->pio, 0x510, 2, ports_read, ports_write);
	isa_add_range(f, &vm->pio, 0x514, 8, dma_read, dma_write);
	return f;
}
