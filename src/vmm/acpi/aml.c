#include "vmm/acpi/aml.h"

#include <assert.h>
#include <stdlib.h>

enum {
	OP_ZERO = 0x00, OP_ONE = 0x01, OP_NAME = 0x08, OP_BYTE = 0x0a, OP_WORD = 0x0b,
	OP_DWORD = 0x0c, OP_STRING = 0x0d, OP_QWORD = 0x0e, OP_SCOPE = 0x10, OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12, OP_METHOD = 0x14, OP_EXT_DEVICE = 0x5b82,
	OP_EXT_REGION = 0x5b80, OP_EXT_FIELD = 0x5b81, OP_IF = 0xa0
};

static void
byte(struct aml *a, unsigned v)
{
	strbuf_addc(&a->out, (char)v);
}

static void
word(struct aml *a, unsigned v)
{
	byte(a, v & 0xff);
	byte(a, v >> 8 & 0xff);
}

static void
dword(struct aml *a, uint32_t v)
{
	word(a, v & 0xffff);
	word(a, v >> 16);
}

static void
qword(struct aml *a, uint64_t v)
{
	dword(a, (uint32_t)v);
	dword(a, (uint32_t)(v >> 32));
}

void
aml_done(struct aml *a)
{
	strbuf_done(&a->out);
}

void
aml_op(struct aml *a, unsigned op)
{
	if (op > 0xff)
		byte(a, op >> 8);
	byte(a, op & 0xff);
}

static void
begin(struct aml *a, unsigned op, int kind)
{
	assert(a->depth < AML_DEPTH);
	aml_op(a, op);
	a->open[a->depth].kind = kind;
	a->open[a->depth++].at = a->out.len;
}

/* PkgLength counts itself: one byte up to 63, else a nibble and one to three bytes. */
static unsigned
package_length(size_t content, uint8_t ret[4])
{
	for (unsigned extra = 0; extra < 4; extra++) {
		size_t total = content + 1 + extra;

		if (total >= (extra ? 1ULL << (4 + 8 * extra) : 64))
			continue;
		if (extra == 0) {
			ret[0] = (uint8_t)total;
			return 1;
		}
		ret[0] = (uint8_t)(extra << 6 | (total & 15));
		for (unsigned i = 0; i < extra; i++)
			ret[1 + i] = (uint8_t)(total >> (4 + 8 * i));
		return 1 + extra;
	}
	abort(); /* no table of ours comes near 256 MiB */
}

static void
insert(struct aml *a, size_t at, const void *bytes, size_t len)
{
	size_t tail = a->out.len - at;

	strbuf_reserve(&a->out, len);
	memmove(a->out.data + at + len, a->out.data + at, tail);
	memcpy(a->out.data + at, bytes, len);
	a->out.len += len;
	a->out.data[a->out.len] = '\0';
}

void
aml_end(struct aml *a)
{
	assert(a->depth > 0);

	size_t at = a->open[--a->depth].at;
	uint8_t len[4];

	if (a->open[a->depth].kind == AML_BUFFER) {
		/* BufferSize is an integer object in front of the bytes. */
		size_t size = a->out.len - at;
		uint8_t head[3] = {OP_WORD, (uint8_t)size, (uint8_t)(size >> 8)};

		insert(a, at, head, sizeof(head));
	}

	unsigned n = package_length(a->out.len - at, len);

	insert(a, at, len, n);
}

static unsigned
segments(const char *path)
{
	unsigned n = *path ? 1 : 0;

	for (const char *p = path; *p; p++)
		n += *p == '.';
	return n;
}

void
aml_path(struct aml *a, const char *path)
{
	if (*path == '\\')
		byte(a, (unsigned char)*path++);

	unsigned n = segments(path);

	if (n == 0)
		byte(a, 0);
	else if (n == 2)
		byte(a, 0x2e);
	else if (n > 2) {
		byte(a, 0x2f);
		byte(a, n);
	}
	while (*path) {
		size_t len = strcspn(path, ".");

		assert(len <= 4);
		strbuf_add(&a->out, path, len);
		strbuf_add(&a->out, "____", 4 - len);
		path += len + (path[len] == '.');
	}
}

void
aml_scope(struct aml *a, const char *path)
{
	begin(a, OP_SCOPE, AML_PACKAGE);
	aml_path(a, path);
}

void
aml_device(struct aml *a, const char *name)
{
	begin(a, OP_EXT_DEVICE, AML_PACKAGE);
	aml_path(a, name);
}

void
aml_method(struct aml *a, const char *name, unsigned n_args)
{
	begin(a, OP_METHOD, AML_PACKAGE);
	aml_path(a, name);
	byte(a, n_args);
}

void
aml_package(struct aml *a, unsigned n_elements)
{
	begin(a, OP_PACKAGE, AML_PACKAGE);
	byte(a, n_elements);
}

void
aml_int(struct aml *a, uint64_t v)
{
	if (v == 0) {
		byte(a, OP_ZERO);
	} else if (v == 1) {
		byte(a, OP_ONE);
	} else if (v <= 0xff) {
		byte(a, OP_BYTE);
		byte(a, (unsigned)v);
	} else if (v <= 0xffff) {
		byte(a, OP_WORD);
		word(a, (unsigned)v);
	} else if (v <= 0xffffffff) {
		byte(a, OP_DWORD);
		dword(a, (uint32_t)v);
	} else {
		byte(a, OP_QWORD);
		qword(a, v);
	}
}

void
aml_string(struct aml *a, const char *s)
{
	byte(a, OP_STRING);
	strbuf_add(&a->out, s, strlen(s) + 1);
}

/* Three letters of five bits and four hex digits, big endian. */
void
aml_eisaid(struct aml *a, const char *id)
{
	uint32_t v = 0;

	assert(strlen(id) == 7);
	for (unsigned i = 0; i < 3; i++)
		v = v << 5 | ((uint32_t)id[i] - 0x40);
	v = v << 16 | (uint32_t)strtoul(id + 3, NULL, 16);
	byte(a, OP_DWORD);
	dword(a, __builtin_bswap32(v));
}

void
aml_name(struct aml *a, const char *name)
{
	byte(a, OP_NAME);
	aml_path(a, name);
}

void
aml_name_int(struct aml *a, const char *name, uint64_t v)
{
	aml_name(a, name);
	aml_int(a, v);
}

void
aml_name_string(struct aml *a, const char *name, const char *s)
{
	aml_name(a, name);
	aml_string(a, s);
}

void
aml_name_eisaid(struct aml *a, const char *name, const char *id)
{
	aml_name(a, name);
	aml_eisaid(a, id);
}

void
aml_name_resources(struct aml *a, const char *name)
{
	aml_name(a, name);
	begin(a, OP_BUFFER, AML_BUFFER);
}

void
aml_res_io(struct aml *a, uint16_t min, uint16_t max, uint8_t len)
{
	byte(a, 0x47);
	byte(a, 1); /* 16-bit decoding */
	word(a, min);
	word(a, max);
	byte(a, 1);
	byte(a, len);
}

void
aml_res_irq(struct aml *a, unsigned irq)
{
	byte(a, 0x22); /* edge, active high */
	word(a, 1U << irq);
}

void
aml_res_memory32(struct aml *a, uint32_t base, uint32_t len)
{
	byte(a, 0x86);
	word(a, 9);
	byte(a, 0); /* read only: it is somebody else's */
	dword(a, base);
	dword(a, len);
}

/* Address space descriptors: type 0 memory, 1 ports, 2 buses; producer, fixed at both ends. */
static void
window_head(struct aml *a, unsigned tag, unsigned body, unsigned type, unsigned flags)
{
	byte(a, tag);
	word(a, body);
	byte(a, type);
	byte(a, 0x0c);
	byte(a, flags);
}

void
aml_res_bus_window(struct aml *a, uint16_t min, uint16_t max)
{
	window_head(a, 0x88, 13, 2, 0);
	word(a, 0);
	word(a, min);
	word(a, max);
	word(a, 0);
	word(a, (unsigned)max - min + 1);
}

void
aml_res_io_window(struct aml *a, uint16_t min, uint16_t max)
{
	window_head(a, 0x88, 13, 1, 3);
	word(a, 0);
	word(a, min);
	word(a, max);
	word(a, 0);
	word(a, (unsigned)max - min + 1);
}

void
aml_res_memory_window(struct aml *a, uint64_t min, uint64_t max)
{
	if (max <= UINT32_MAX) {
		window_head(a, 0x87, 23, 0, 1);
		dword(a, 0);
		dword(a, (uint32_t)min);
		dword(a, (uint32_t)max);
		dword(a, 0);
		dword(a, (uint32_t)(max - min + 1));
		return;
	}
	window_head(a, 0x8a, 43, 0, 1);
	qword(a, 0);
	qword(a, min);
	qword(a, max);
	qword(a, 0);
	qword(a, max - min + 1);
}

void
aml_end_resources(struct aml *a)
{
	byte(a, 0x79);
	byte(a, 0);
	aml_end(a);
}

void
aml_if(struct aml *a)
{
	begin(a, OP_IF, AML_PACKAGE);
}

void
aml_io_region(struct aml *a, const char *name, uint16_t port, uint8_t len)
{
	aml_op(a, OP_EXT_REGION);
	aml_path(a, name);
	byte(a, 1); /* system I/O */
	aml_int(a, port);
	aml_int(a, len);
}

#define FIELD_DWORD 3
#define FIELD_WRITE_AS_ZEROS (2 << 5)

void
aml_dword_fields(struct aml *a, const char *region, const char *const names[])
{
	begin(a, OP_EXT_FIELD, AML_PACKAGE);
	aml_path(a, region);
	byte(a, FIELD_DWORD | FIELD_WRITE_AS_ZEROS);
	for (; *names; names++) {
		aml_path(a, *names);
		byte(a, 32); /* bits: a length of one byte */
	}
	aml_end(a);
}
