/*
 * PCI functions in the configuration: -s to keys, keys to devices, and the
 * addresses firmware would hand out.
 */
#include <linux/pci_regs.h>

#include "vmm/device.h"

#define PCI_CLASS_ROW(id) extern const struct pci_class pci_class_##id;
#include "vmm/dev/table.h"
#undef PCI_CLASS_ROW

#define PCI_CLASS_ROW(id) &pci_class_##id,
const struct pci_class *const pci_classes[] = {
#include "vmm/dev/table.h"
	NULL};
#undef PCI_CLASS_ROW

static const struct pci_class *
pci_class_find(const char *name)
{
	for (size_t i = 0; pci_classes[i]; i++) {
		if (str_eq(pci_classes[i]->name, name))
			return pci_classes[i];
	}
	return NULL;
}

void
pci_list_classes(FILE *out)
{
	for (size_t i = 0; pci_classes[i]; i++) {
		const struct pci_class *c = pci_classes[i];

		fprintf(out, "%-16s %s\n", c->name, c->summary);
		for (const struct pci_opt *o = c->opts; o && o->name; o++) {
			cleanup_free char *left = str_printf("%s%s%s", o->name, o->arg ? "=" : "",
							     o->arg ? o->arg : "");

			fprintf(out, "    %-24s %s%s\n", left, o->help,
				str_eq(o->name, c->main_opt) ? " (its name may be left out)" : "");
		}
	}
}

static int
unknown_class(const char *name, struct error *err)
{
	static const struct {
		const char *name, *why;
	} absent[] = {
		{"uart", "serial ports are com1 to com4 (-l)"},
		{"hda", "there is no sound"},
	};
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(absent); i++) {
		if (str_eq(absent[i].name, name))
			return error_set(err, ENOTSUP, "no device \"%s\": %s", name, absent[i].why);
	}
	for (size_t i = 0; pci_classes[i]; i++)
		strbuf_addf(&b, "%s%s", i ? ", " : "", pci_classes[i]->name);
	return error_set(err, EINVAL, "no device \"%s\"; there are %s", name, b.data);
}

static const struct pci_opt *
find_opt(const struct pci_class *c, const char *name)
{
	for (const struct pci_opt *o = c->opts; o && o->name; o++) {
		size_t len = strlen(o->name);

		/* "port*" stands for port0, port1, ... */
		if (len && o->name[len - 1] == '*' ? strncmp(o->name, name, len - 1) == 0
						   : strcmp(o->name, name) == 0)
			return o;
	}
	return NULL;
}

static int
unknown_opt(const struct pci_class *c, const char *word, struct error *err)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	for (const struct pci_opt *o = c->opts; o && o->name; o++)
		strbuf_addf(&b, "%s%s", b.len ? ", " : "", o->name);
	return error_set(err, EINVAL, "%s has no option \"%s\"; expected %s", c->name, word,
			 b.len ? b.data : "none");
}

/* main,key=value,flag... */
int
pci_parse_opts(const struct pci_class *c, struct config *node, const char *text, struct error *err)
{
	cleanup_strv struct strv words = STRV_INIT;

	strv_words(&words, text, ",");
	for (size_t i = 0; i < words.n; i++) {
		char *word = words.v[i], *eq = strchr(word, '=');
		const struct pci_opt *o;
		int r;

		if (eq)
			*eq = '\0';
		o = find_opt(c, word);
		if (o && !eq && o->arg)
			return error_set(err, EINVAL, "%s: option %s needs a value: %s=%s", c->name,
					 word, word, o->arg);
		if (o)
			r = config_set(node, word, eq ? eq + 1 : "true", err);
		else if (i == 0 && c->main_opt && !eq)
			r = config_set(node, c->main_opt, word, err);
		else
			r = unknown_opt(c, word, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool
parse_address(const char *text, unsigned v[3])
{
	cleanup_strv struct strv p = STRV_INIT;
	static const unsigned max[3] = {255, 31, 7};
	int n[3] = {0, 0, 0};
	size_t first;

	/* slot, slot:fn, bus:slot:fn; SmartOS also writes "slot/fn". */
	strv_split(&p, text, ":/");
	if (p.n < 1 || p.n > 3)
		return false;
	first = p.n == 3 ? 0 : 1;
	for (size_t i = 0; i < p.n; i++) {
		if (str_to_int(p.v[i], &n[first + i]) < 0)
			return false;
	}
	for (size_t i = 0; i < 3; i++) {
		if (n[i] < 0 || (unsigned)n[i] > max[i])
			return false;
		v[i] = (unsigned)n[i];
	}
	return true;
}

int
pci_parse_slot(struct config *config, const char *arg, struct error *err)
{
	size_t where_len = strcspn(arg, ",");
	cleanup_free char *where = xstrndup(arg, where_len);
	const char *rest = arg[where_len] ? arg + where_len + 1 : "";
	size_t name_len = strcspn(rest, ",");
	cleanup_free char *name = xstrndup(rest, name_len);
	const char *opts = rest[name_len] ? rest + name_len + 1 : "";
	const struct pci_class *class;
	struct config *node;
	unsigned at[3];
	int r;

	if (!parse_address(where, at) || !*name)
		return error_set(err, EINVAL,
				 "-s %s: expected [bus:]slot[:function],device[,options]", arg);
	class = pci_class_find(name);
	if (!class) {
		r = unknown_class(name, err);
		return error_wrap(err, r, "-s %s", arg);
	}

	cleanup_free char *path = str_printf("pci.%u.%u.%u", at[0], at[1], at[2]);
	cleanup_free char *key = str_printf("%s.device", path);
	const char *old = config_get(config, key, NULL);

	if (old)
		return error_set(err, EEXIST, "-s %s: %s is taken by %s", arg, where, old);
	r = config_branch(config, path, &node, err);
	if (r == 0)
		r = config_set(node, "device", name, err);
	if (r == 0)
		r = class->parse ? class->parse(node, opts, err)
				 : pci_parse_opts(class, node, opts, err);
	return r < 0 ? error_wrap(err, r, "-s %s", arg) : 0;
}

/* pci.B.S.F: three levels of numbers. */
static int
create_function(struct vm *vm, unsigned bus, unsigned slot, struct config *fn_node,
		struct error *err)
{
	const char *name = config_get(fn_node, "device", NULL);
	const struct pci_class *class;
	cleanup_free char *path = config_path(fn_node);
	int fn, r;

	if (str_to_int(config_name(fn_node), &fn) < 0 || fn < 0 || fn > 7)
		return error_set(err, EINVAL, "%s: a function is 0 to 7", path);
	if (!name)
		return error_set(err, EINVAL, "%s.device is not set", path);
	class = pci_class_find(name);
	if (!class) {
		r = unknown_class(name, err);
		return error_wrap(err, r, "%s", path);
	}
	return pci_create(vm, class, bus, slot, (unsigned)fn, fn_node, NULL, err);
}

static int
create_bus(struct vm *vm, struct config *bus_node, struct error *err)
{
	int bus, slot;

	if (str_to_int(config_name(bus_node), &bus) < 0 || bus < 0 || bus > 255)
		return 0; /* pci.enable_bars and the like */
	for (struct config *s = NULL; (s = config_next(bus_node, s));) {
		if (str_to_int(config_name(s), &slot) < 0 || slot < 0 || slot > 31)
			return error_set(err, EINVAL, "pci.%d.%s: a slot is 0 to 31", bus,
					 config_name(s));
		for (struct config *f = NULL; (f = config_next(s, f));) {
			TRY(create_function(vm, (unsigned)bus, (unsigned)slot, f, err));
		}
	}
	return 0;
}

static bool
has_class(struct vm *vm, const char *name)
{
	struct pci_dev *d;

	/* amd_hostbridge is a host bridge, too. */
	list_for_each(d, &vm->pci->devs, link) {
		if (str_eq(d->class->name, name) || str_eq(str_after(d->class->name, "amd_"), name))
			return true;
	}
	return false;
}

/* What every machine has; made where SmartOS puts it if the configuration does not name it. */
static int
create_default(struct vm *vm, const char *name, unsigned slot, struct error *err)
{
	struct config *node;
	cleanup_free char *path = str_printf("pci.0.%u.0", slot);
	int r;

	if (has_class(vm, name))
		return 0;
	if (pci_find(vm, 0, slot, 0))
		return error_set(err, EEXIST, "0:%u:0 is kept for %s", slot, name);
	r = config_branch(vm->config, path, &node, err);
	return r < 0 ? r : pci_create(vm, pci_class_find(name), 0, slot, 0, node, NULL, err);
}

int
pci_create_all(struct vm *vm, struct error *err)
{
	struct config *pci = config_find(vm->config, "pci");
	struct pci_dev *d, *first;

	for (struct config *b = NULL; pci && (b = config_next(pci, b));) {
		TRY(create_bus(vm, b, err));
	}
	TRY(create_default(vm, "hostbridge", 0, err));
	TRY(create_default(vm, "lpc", 31, err));
	list_for_each(d, &vm->pci->devs, link) {
		first = pci_find(vm, d->bus, d->slot, 0);
		if (d->fn && !first)
			return error_set(err, EINVAL,
					 "%u:%u:%u: a slot needs a function 0 for the guest to find it",
					 d->bus, d->slot, d->fn);
		if (d->fn)
			first->cfg[PCI_HEADER_TYPE] |= 0x80;
	}
	return 0;
}

int
pci_find_text(struct vm *vm, const char *where, struct pci_dev **ret, struct error *err)
{
	unsigned at[3];
	struct pci_dev *d;

	if (!parse_address(where, at))
		return error_set(err, EINVAL, "\"%s\": expected [bus:]slot[:function]", where);
	d = pci_find(vm, at[0], at[1], at[2]);
	if (!d)
		return error_set(err, ENOENT, "%s has no device at %s", vm->name, where);
	*ret = d;
	return 0;
}

int
pci_add(struct vm *vm, const char *arg, struct pci_dev **ret, struct error *err)
{
	cleanup_free char *where = xstrndup(arg, strcspn(arg, ","));
	const struct pci_class *class;
	unsigned at[3];
	int r;

	if (!parse_address(where, at) || at[0] || at[2] || at[1] == 0 || at[1] > 30)
		return error_set(err, EINVAL, "\"%s\": expected SLOT,device[,options]", arg);
	if (pci_find(vm, 0, at[1], 0))
		return error_set(err, EEXIST, "slot %u is taken", at[1]);
	TRY(pci_parse_slot(vm->config, arg, err));

	cleanup_free char *path = str_printf("pci.0.%u.0", at[1]);
	struct config *node = config_find(vm->config, path);

	class = pci_class_find(config_get(node, "device", ""));
	if (!class->hotplug)
		r = error_set(err, ENOTSUP, "%s cannot be added to a running machine", class->name);
	else
		r = pci_create(vm, class, 0, at[1], 0, node, ret, err);
	/* What its init() had made before it failed. */
	if (r < 0)
		config_remove(vm->config, path);
	return r;
}

struct window {
	uint64_t next, end;
};

static int
place(struct window *w, uint64_t size, uint64_t *ret, struct error *err)
{
	uint64_t at = (w->next + size - 1) & ~(size - 1);

	if (at < w->next || at + size > w->end)
		return error_set(err, ENOSPC, "no room for a BAR of %llu bytes",
				 (unsigned long long)size);
	w->next = at + size;
	*ret = at;
	return 0;
}

/* BARs this large go above RAM if they can; the rest stays in reach of 32 bits. */
#define LARGE_BAR (64ULL << 20)

int
pci_assign(struct vm *vm, bool enable, struct error *err)
{
	struct window io = {PCI_PORTS_BASE, PCI_PORTS_END};
	struct window mem32 = {PCI_MEM32_BASE, PCI_MEM32_END};
	uint64_t top = MEM_HIGH_BASE + mem_high_size(&vm->mem);
	struct window mem64 = {top < (32ULL << 30) ? 32ULL << 30 : top, 1ULL << 46};
	struct pci_dev *d;

	list_for_each(d, &vm->pci->devs, link) {
		for (unsigned i = 0; i < PCI_BARS; i++) {
			struct pci_bar *b = &d->bar[i];
			unsigned off = PCI_BASE_ADDRESS_0 + 4 * i;
			struct window *w = &mem32;
			uint64_t addr = 0;

			if (b->type == PCI_BAR_NONE || i == PCI_BAR_ROM)
				continue;
			if (b->type == PCI_BAR_IO)
				w = &io;
			else if (b->type == PCI_BAR_MEM64 && b->size >= LARGE_BAR)
				w = &mem64;
			TRY(place(w, b->size, &addr, err));
			pci_cfg_write(d, off, 4, (uint32_t)addr);
			if (b->type == PCI_BAR_MEM64)
				pci_cfg_write(d, off + 4, 4, (uint32_t)(addr >> 32));
		}
		if (enable)
			pci_cfg_write(d, PCI_COMMAND, 2,
				      PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	}
	return 0;
}
