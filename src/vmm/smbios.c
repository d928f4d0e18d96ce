#include "vmm/smbios.h"

#include <assert.h>

#include "base/sum.h"
#include "vmm/device.h"

/* SmartOS' values where nobody says otherwise: guests (cloud-init) recognise it by them. */
static const char *const defaults[][2] = {
	{"bios.vendor", "Joyent"},
	{"bios.version", "1"},
	{"bios.release_date", "01/01/2026"},
	{"system.manufacturer", "Joyent"},
	{"system.product_name", "SmartDC HVM"},
	{"system.version", "7"},
	{"system.sku", "001"},
	{"system.family_name", "Virtual Machine"},
	{"board.manufacturer", "Joyent"},
	{"board.product_name", "SmartDC HVM"},
	{"chassis.manufacturer", "Joyent"},
};

static const char *
value(struct vm *vm, const char *key)
{
	const char *fallback = "";

	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++) {
		if (str_eq(defaults[i][0], key))
			fallback = defaults[i][1];
	}
	return config_get(vm->config, key, fallback);
}

/*
 * One structure.  fields, behind commas: a key of the configuration is its string, "=text" that
 * one, and hexadecimal digits are bytes as they lie.
 */
static void
add(struct vm *vm, struct smbios *s, unsigned type, unsigned handle, const char *fields)
{
	cleanup_strbuf struct strbuf strings = STRBUF_INIT;
	uint8_t head[4] = {(uint8_t)type, 0, (uint8_t)handle, (uint8_t)(handle >> 8)}, raw[32];
	size_t at = s->tables.len, len;
	unsigned n = 0;

	strbuf_add(&s->tables, head, sizeof(head));
	for (; *fields; fields += len + (fields[len] == ',')) {
		char w[64] = "";

		len = strcspn(fields, ",");
		assert(len < sizeof(w));
		memcpy(w, fields, len);

		const char *text = memchr(w, '.', len) ? value(vm, w) : str_after(w, "=");

		if (text) {
			if (*text)
				strbuf_add(&strings, text, strlen(text) + 1);
			strbuf_addc(&s->tables, *text ? (char)++n : 0);
		} else if (str_unhex(w, raw, len / 2) == 0) {
			strbuf_add(&s->tables, raw, len / 2);
		}
	}
	s->tables.data[at + 1] = (char)(s->tables.len - at);
	strbuf_add(&s->tables, strings.data, strings.len);
	strbuf_add(&s->tables, "\0", n ? 1 : 2);
}

/* A number in little-endian bytes. */
struct hex {
	char digits[17];
};

static struct hex
hex(uint64_t v, unsigned size)
{
	struct hex h = {{0}};

	for (unsigned i = 0; i < 2 * size; i++)
		h.digits[i ^ 1] = "0123456789abcdef"[v >> (4 * i) & 15];
	return h;
}

static void
machine(struct vm *vm, struct smbios *s)
{
	/* Where the bytes stand in the text: the first three fields are little-endian here. */
	static const uint8_t order[16] = {6,  4,  2,  0,  11, 9,  16, 14,
					  19, 21, 24, 26, 28, 30, 32, 34};
	const char *text = config_get(vm->config, "uuid", "");
	char uuid[33] = "00000000000000000000000000000000";

	for (unsigned i = 0; str_is_uuid(text) && i < 16; i++)
		memcpy(uuid + 2 * i, text + order[i], 2);

	cleanup_free char *system = str_printf(
		"system.manufacturer,system.product_name,system.version,system.serial_number,"
		"%s,06,system.sku,system.family_name", uuid); /* woken by the power switch */

	add(vm, s, 1, 0x100, system);
	add(vm, s, 2, 0x200, /* hosting board, in the chassis, a motherboard */
	    "board.manufacturer,board.product_name,board.version,board.serial_number,board.asset_tag,"
	    "01,board.location,0003,0a,00");
	add(vm, s, 3, 0x300, /* other; safe three times, no security; no height, cords, elements */
	    "chassis.manufacturer,01,chassis.version,chassis.serial_number,chassis.asset_tag,"
	    "030303,03,00000000,00000000,chassis.sku");
}

static void
processors(struct vm *vm, struct smbios *s)
{
	unsigned cores = vm->topology.cores, threads = cores * vm->topology.threads;
	unsigned cores8 = cores > 254 ? 255 : cores, threads8 = threads > 254 ? 255 : threads;

	for (unsigned i = 0; i < vm->topology.sockets; i++) {
		/* A central processor of family "other", 2 GHz, populated, without caches; 64 bits. */
		cleanup_free char *fields = str_printf(
			"=CPU %u,03,fe,=Atoll,0000000000000000,00,00,0000,d007,d007,41,01,ffffffffffff,"
			"000000,%02x,%02x,%02x,0400,0100,%s,%s,%s", i, cores8, cores8, threads8,
			hex(cores, 2).digits, hex(cores, 2).digits, hex(threads, 2).digits);

		add(vm, s, 4, 0x400 + i, fields);
	}
}

static void
memory(struct vm *vm, struct smbios *s)
{
	uint64_t mib = vm->mem.ram_size >> 20;
	/* System memory on the board, without error correction. */
	cleanup_free char *array =
		str_printf("03,03,03,00000080,feff,0100,%s", hex(vm->mem.ram_size, 8).digits);
	/* One DIMM of RAM, 64 bits wide. */
	cleanup_free char *device = str_printf(
		"0010,feff,4000,4000,%s,09,00,=DIMM 0,00,07,0200,0000,00000000,00,%s,0000,000000000000",
		hex(mib < 0x7fff ? mib : 0x7fff, 2).digits, hex(mib < 0x7fff ? 0 : mib, 4).digits);

	add(vm, s, 16, 0x1000, array);
	add(vm, s, 17, 0x1100, device);
}

void
smbios_build(struct vm *vm, struct smbios *ret)
{
	struct smbios s = {0};

	/* No characteristics told; UEFI, a virtual machine; no releases, no extended size. */
	add(vm, &s, 0, 0,
	    "bios.vendor,bios.version,00e8,bios.release_date,00,0800000000000000,0018,ffffffffffff");
	machine(vm, &s);
	processors(vm, &s);
	memory(vm, &s);
	add(vm, &s, 32, 0x2000, "00000000000000"); /* boot status: no errors */
	add(vm, &s, 127, 0x7f00, "");

	uint32_t size = (uint32_t)s.tables.len;

	memcpy(s.anchor, "_SM3_", 5);
	s.anchor[6] = sizeof(s.anchor);
	s.anchor[7] = 3;
	s.anchor[8] = 2;
	s.anchor[10] = 1;
	memcpy(s.anchor + 12, &size, sizeof(size));
	smbios_place(&s, 0);
	*ret = s;
}

void
smbios_place(struct smbios *s, uint64_t tables)
{
	memcpy(s->anchor + 16, &tables, sizeof(tables));
	s->anchor[5] = 0;
	s->anchor[5] = (uint8_t)-sum8(s->anchor, sizeof(s->anchor));
}

void
smbios_done(struct smbios *s)
{
	strbuf_done(&s->tables);
}
