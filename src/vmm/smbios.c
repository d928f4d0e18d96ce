#include "vmm/smbios.h"

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

struct table {
	struct smbios *s;
	size_t at; /* of the structure in s->tables */
	struct strv strings;
	uint16_t handle;
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

static uint16_t
begin(struct table *t, struct smbios *s, uint8_t type, uint16_t handle)
{
	uint8_t head[4] = {type, 0, (uint8_t)handle, (uint8_t)(handle >> 8)};

	*t = (struct table){.s = s, .at = s->tables.len};
	strbuf_add(&s->tables, head, sizeof(head));
	return handle;
}

static void
put(struct table *t, uint64_t v, unsigned size)
{
	strbuf_add(&t->s->tables, &v, size);
}

/* A string's number; 0 for an empty one. */
static void
put_string(struct table *t, const char *s)
{
	if (*s)
		strv_add(&t->strings, s);
	put(t, *s ? t->strings.n : 0, 1);
}

static void
end(struct table *t)
{
	t->s->tables.data[t->at + 1] = (char)(t->s->tables.len - t->at);
	for (size_t i = 0; i < t->strings.n; i++)
		strbuf_add(&t->s->tables, t->strings.v[i], strlen(t->strings.v[i]) + 1);
	if (t->strings.n == 0)
		strbuf_addc(&t->s->tables, 0);
	strbuf_addc(&t->s->tables, 0);
	strv_done(&t->strings);
}

static void
bios(struct vm *vm, struct smbios *s)
{
	struct table t;

	begin(&t, s, 0, 0);
	put_string(&t, value(vm, "bios.vendor"));
	put_string(&t, value(vm, "bios.version"));
	put(&t, 0xe800, 2);
	put_string(&t, value(vm, "bios.release_date"));
	put(&t, 0, 1);
	put(&t, 1 << 3, 8);	    /* characteristics not told */
	put(&t, 0x1800, 2);	    /* UEFI, virtual machine */
	put(&t, 0xffffffffffff, 6); /* releases, extended size: none */
	end(&t);
}

/* The first three fields of a UUID are little endian here. */
static void
put_uuid(struct table *t, const char *text)
{
	static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
	uint8_t raw[16] = {0};
	unsigned n = 0;

	for (const char *p = text; p && *p && n < 32; p++) {
		if (*p == '-')
			continue;

		char digit[2] = {*p, 0};

		raw[n / 2] = (uint8_t)(raw[n / 2] << 4 | strtoul(digit, NULL, 16));
		n++;
	}
	for (unsigned i = 0; i < 16; i++)
		put(t, raw[order[i]], 1);
}

static void
machine(struct vm *vm, struct smbios *s)
{
	const char *uuid = config_get(vm->config, "uuid", NULL);
	struct table t;

	begin(&t, s, 1, 0x100);
	put_string(&t, value(vm, "system.manufacturer"));
	put_string(&t, value(vm, "system.product_name"));
	put_string(&t, value(vm, "system.version"));
	put_string(&t, value(vm, "system.serial_number"));
	put_uuid(&t, uuid);
	put(&t, 6, 1); /* woken by the power switch */
	put_string(&t, value(vm, "system.sku"));
	put_string(&t, value(vm, "system.family_name"));
	end(&t);

	begin(&t, s, 2, 0x200);
	put_string(&t, value(vm, "board.manufacturer"));
	put_string(&t, value(vm, "board.product_name"));
	put_string(&t, value(vm, "board.version"));
	put_string(&t, value(vm, "board.serial_number"));
	put_string(&t, value(vm, "board.asset_tag"));
	put(&t, 1, 1); /* hosting board */
	put_string(&t, value(vm, "board.location"));
	put(&t, 0x300, 2);
	put(&t, 10, 1); /* motherboard */
	put(&t, 0, 1);
	end(&t);

	begin(&t, s, 3, 0x300);
	put_string(&t, value(vm, "chassis.manufacturer"));
	put(&t, 1, 1); /* other */
	put_string(&t, value(vm, "chassis.version"));
	put_string(&t, value(vm, "chassis.serial_number"));
	put_string(&t, value(vm, "chassis.asset_tag"));
	put(&t, 0x03030303 & 0xffffff, 3); /* safe, safe, safe */
	put(&t, 3, 1);			   /* no security */
	put(&t, 0, 4);
	put(&t, 0, 4); /* height, cords, contained elements */
	put_string(&t, value(vm, "chassis.sku"));
	end(&t);
}

static void
processors(struct vm *vm, struct smbios *s)
{
	const struct vm_topology *tp = &vm->topology;
	struct table t;

	for (unsigned i = 0; i < tp->sockets; i++) {
		unsigned cores = tp->cores, threads = tp->cores * tp->threads;
		cleanup_free char *name = str_printf("CPU %u", i);

		begin(&t, s, 4, (uint16_t)(0x400 + i));
		put_string(&t, name);
		put(&t, 3, 1);	   /* central processor */
		put(&t, 0xfe, 1);  /* family: see family 2 */
		put_string(&t, "Atoll");
		put(&t, 0, 8);
		put(&t, 0, 1);
		put(&t, 0, 1);	   /* voltage */
		put(&t, 0, 2);
		put(&t, 2000, 2);
		put(&t, 2000, 2);
		put(&t, 0x41, 1);  /* populated, enabled */
		put(&t, 1, 1);
		put(&t, 0xffffffffffff, 6); /* no cache structures */
		put(&t, 0, 3);
		put(&t, cores > 254 ? 255 : cores, 1);
		put(&t, cores > 254 ? 255 : cores, 1);
		put(&t, threads > 254 ? 255 : threads, 1);
		put(&t, 4, 2);	   /* 64-bit */
		put(&t, 1, 2);	   /* family 2: other */
		put(&t, cores, 2);
		put(&t, cores, 2);
		put(&t, threads, 2);
		end(&t);
	}
}

static void
memory(struct vm *vm, struct smbios *s)
{
	uint64_t mib = vm->mem.ram_size >> 20;
	struct table t;

	begin(&t, s, 16, 0x1000);
	put(&t, 3, 1); /* system board */
	put(&t, 3, 1); /* system memory */
	put(&t, 3, 1); /* no error correction */
	put(&t, 0x80000000, 4);
	put(&t, 0xfffe, 2);
	put(&t, 1, 2);
	put(&t, vm->mem.ram_size, 8);
	end(&t);

	begin(&t, s, 17, 0x1100);
	put(&t, 0x1000, 2);
	put(&t, 0xfffe, 2);
	put(&t, 64, 2);
	put(&t, 64, 2);
	put(&t, mib < 0x7fff ? mib : 0x7fff, 2);
	put(&t, 9, 1); /* DIMM */
	put(&t, 0, 1);
	put_string(&t, "DIMM 0");
	put(&t, 0, 1);
	put(&t, 7, 1); /* RAM */
	put(&t, 2, 2);
	put(&t, 0, 2);
	put(&t, 0, 4); /* manufacturer, serial, asset tag, part */
	put(&t, 0, 1);
	put(&t, mib < 0x7fff ? 0 : mib, 4);
	put(&t, 0, 2);
	put(&t, 0, 6); /* voltages */
	end(&t);
}

void
smbios_build(struct vm *vm, struct smbios *ret)
{
	struct smbios s = {0};
	struct table t;

	bios(vm, &s);
	machine(vm, &s);
	processors(vm, &s);
	memory(vm, &s);
	begin(&t, &s, 32, 0x2000); /* boot status: no errors */
	put(&t, 0, 7);
	end(&t);
	begin(&t, &s, 127, 0x7f00);
	end(&t);

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
	uint8_t sum = 0;

	memcpy(s->anchor + 16, &tables, sizeof(tables));
	s->anchor[5] = 0;
	for (size_t i = 0; i < sizeof(s->anchor); i++)
		sum += s->anchor[i];
	s->anchor[5] = (uint8_t)-sum;
}

void
smbios_done(struct smbios *s)
{
	strbuf_done(&s->tables);
}
