/*
 * A stream of sections, each a stream of fields:
 *
 *	section  u32 length of the name, the name, u32 length of what follows
 *	field    u8 length of the name, the name, u32 length, bytes
 *
 * in the order in which the machine was made.  Numbers are the processor's
 * (x86: both sides are little-endian).
 */
#include "vmm/state.h"

#include "vmm/device.h"
#include "vmm/kvm_state.h"

#define FIELD_MAX (64U << 20)

static int
fail(struct state *s, int code, const char *fmt, ...)
{
	va_list ap;

	if (s->result < 0)
		return s->result;
	va_start(ap, fmt);

	cleanup_free char *text = str_vprintf(fmt, ap);

	va_end(ap);
	s->result = error_set(s->err, code, "%s: %s", s->section, text);
	return s->result;
}

static const uint8_t *
take(struct state *s, size_t len)
{
	const uint8_t *p = s->in;

	if (len > s->left) {
		fail(s, EINVAL, "the state ends early");
		return NULL;
	}
	s->in += len;
	s->left -= len;
	return p;
}

/* A length, and as many bytes. */
static const uint8_t *
take_sized(struct state *s, uint32_t *ret_len)
{
	const uint8_t *p = take(s, sizeof(*ret_len));

	if (!p)
		return NULL;
	memcpy(ret_len, p, sizeof(*ret_len));
	return take(s, *ret_len);
}

static void
put_head(struct state *s, const char *name, size_t len)
{
	uint32_t n = (uint32_t)len;

	strbuf_addc(s->out, (char)strlen(name));
	strbuf_adds(s->out, name);
	strbuf_add(s->out, &n, sizeof(n));
}

/* The next field's length, if it is the one expected. */
static bool
take_head(struct state *s, const char *name, size_t *ret_len)
{
	const uint8_t *n = take(s, 1), *is;
	uint32_t len;

	is = n ? take(s, *n) : NULL;
	if (!is)
		return false;
	if (strlen(name) != *n || memcmp(is, name, *n) != 0) {
		fail(s, EINVAL, "field \"%.*s\" where \"%s\" belongs: another version's state",
		     *n, (const char *)is, name);
		return false;
	}
	is = take(s, sizeof(len));
	if (!is)
		return false;
	memcpy(&len, is, sizeof(len));
	*ret_len = len;
	return true;
}

/* The field's bytes; NULL: saving, or it is refused. */
static const uint8_t *
field(struct state *s, const char *name, const void *p, size_t len)
{
	size_t is;

	if (s->result < 0)
		return NULL;
	if (!s->loading) {
		put_head(s, name, len);
		strbuf_add(s->out, p, len);
		return NULL;
	}
	if (!take_head(s, name, &is))
		return NULL;
	if (is != len) {
		fail(s, EINVAL, "%s has %zu bytes instead of %zu: another version's state", name, is,
		     len);
		return NULL;
	}
	return take(s, len);
}

void
state_field(struct state *s, const char *name, void *p, size_t len)
{
	const uint8_t *in = field(s, name, p, len);

	if (in)
		memcpy(p, in, len);
}

void
state_bools(struct state *s, const char *name, void *p, size_t len)
{
	const uint8_t *in = field(s, name, p, len);

	for (size_t i = 0; in && i < len; i++)
		if (!state_require(s, in[i] <= 1, name))
			return;
	if (in)
		memcpy(p, in, len);
}

void
state_blob(struct state *s, const char *name, void **data, size_t *len, size_t max)
{
	const uint8_t *in;
	size_t is;

	if (s->result < 0)
		return;
	if (!s->loading) {
		put_head(s, name, *len);
		strbuf_add(s->out, *data, *len);
		return;
	}
	if (!take_head(s, name, &is))
		return;
	if (is > max || is > FIELD_MAX) {
		fail(s, EINVAL, "%s has %zu bytes, more than %zu", name, is, max);
		return;
	}
	in = take(s, is);
	if (!in)
		return;
	free(*data);
	*data = is ? xmemdup(in, is) : NULL;
	*len = is;
}

bool
state_require(struct state *s, bool ok, const char *what)
{
	if (s->loading && !ok)
		fail(s, EINVAL, "%s is out of range", what);
	return ok;
}

void
state_refuse(struct state *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);

	cleanup_free char *text = str_vprintf(fmt, ap);

	va_end(ap);
	fail(s, ENOTSUP, "%s", text);
}

void
state_none(struct pci_dev *d, struct state *s)
{
}

/* ---- sections ---- */

static void
save_section(struct state *s, const char *name, state_fn *fn, void *arg)
{
	uint32_t len = (uint32_t)strlen(name);
	size_t at;

	strbuf_add(s->out, &len, sizeof(len));
	strbuf_adds(s->out, name);
	at = s->out->len;
	strbuf_add(s->out, &len, sizeof(len));
	fn(arg, s);
	len = (uint32_t)(s->out->len - at - sizeof(len));
	memcpy(s->out->data + at, &len, sizeof(len));
}

static void
load_section(struct state *s, const char *name, state_fn *fn, void *arg)
{
	uint32_t len;
	const uint8_t *p = take_sized(s, &len);

	if (!p)
		return;
	if (len != strlen(name) || memcmp(p, name, len) != 0) {
		fail(s, EINVAL, "the state has \"%.*s\" in its place: another configuration",
		     len < 64 ? (int)len : 64, (const char *)p);
		return;
	}
	p = take_sized(s, &len);
	if (!p)
		return;

	struct state inner = {.loading = true, .in = p, .left = len, .section = name,
			      .err = s->err};

	fn(arg, &inner);
	if (inner.result == 0 && inner.left)
		fail(&inner, EINVAL, "%zu bytes more than expected: another version's state",
		     inner.left);
	s->result = inner.result;
}

static void
section(struct state *s, const char *name, state_fn *fn, void *arg)
{
	if (s->result < 0)
		return;
	s->section = name;
	if (s->loading)
		load_section(s, name, fn, arg);
	else
		save_section(s, name, fn, arg);
}

static void
pci_section(void *arg, struct state *s)
{
	pci_state(arg, s);
}

static void
walk(struct vm *vm, struct state *s)
{
	struct vm_part *part;
	struct pci_dev *d;
	char where[16];

	/* Routes and pins of devices need the chips; the vcpus' pending interrupts come last. */
	if (vm->fd >= 0)
		section(s, "chips", kvm_state_chips, vm);
	list_for_each(part, &vm->parts, link) {
		if (part->state)
			section(s, part->name, part->state, part->arg);
	}
	list_for_each(d, &vm->pci->devs, link) {
		cleanup_free char *name =
			str_printf("%s %s", pci_where(d, where), d->class->name);

		section(s, name, pci_section, d);
	}
	for (unsigned i = 0; vm->vcpu && i < vm->topology.cpus; i++) {
		cleanup_free char *name = str_printf("vcpu %u", i);

		section(s, name, kvm_state_vcpu, &vm->vcpu[i]);
	}
	if (vm->fd >= 0)
		section(s, "clock", kvm_state_clock, vm);
}

static int
save(struct vm *vm, struct strbuf *out, bool moving, struct error *err)
{
	struct state s = {.out = out, .moving = moving, .err = err};

	walk(vm, &s);
	return s.result;
}

int
state_save(struct vm *vm, struct strbuf *out, struct error *err)
{
	return save(vm, out, false, err);
}

int
state_save_moving(struct vm *vm, struct strbuf *out, struct error *err)
{
	return save(vm, out, true, err);
}

int
state_load(struct vm *vm, const void *data, size_t len, struct error *err)
{
	struct state s = {.loading = true, .in = data, .left = len, .err = err};

	walk(vm, &s);
	if (s.result == 0 && s.left)
		fail(&s, EINVAL, "%zu bytes behind the last section", s.left);
	return s.result;
}
