/*
 * pidPID:MODULE:FUNCTION:NAME, in one process: entry, return, or an
 * instruction at an offset (hexadecimal) in the function.
 *
 * A module is the file's name, "libc.so.6"; "libc.so", "libc" and the whole
 * path mean it too, and "a.out" the executable.  A function has the best of the names
 * at its address, but any of them finds it.  The function "-" with an offset is
 * an address as the executable was linked.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "dtrace/priv.h"
#include "dtrace/uprobe.h"
#include "dtrace/x86len.h"

/*
 * "pid123", or a pattern of that with the number behind it ("p*d123"): the process; 0 if it is
 * no such name.
 */
static pid_t
pid_of(const char *prov)
{
	size_t digits = strlen(prov);
	cleanup_free char *name = NULL;
	int pid;

	while (digits > 0 && isdigit((unsigned char)prov[digits - 1]))
		digits--;
	if (str_to_int(prov + digits, &pid) < 0 || pid <= 0)
		return 0;
	name = str_printf("pid%d", pid);
	return dt_part_matches(prov, name) ? pid : 0;
}

/* What a description may call a module besides its name. */
static bool
is_called(const char *pattern, const char *module)
{
	size_t len = strlen(pattern);

	if (str_after(module, "ld-musl-") && (str_eq(pattern, "libc") || str_eq(pattern, "libc.so")))
		return true; /* musl's library and its loader are one file */
	return dt_part_matches(pattern, module) ||
	       (strncmp(pattern, module, len) == 0 && module[len] == '.' && len > 0);
}

static bool
pid_mod_matches(const struct probe *p, const char *pattern)
{
	const char *slash = strrchr(pattern, '/');

	/* Whether it is the executable's or that very path was seen when the probe was made. */
	return str_eq(pattern, "a.out") || is_called(slash ? slash + 1 : pattern, p->mod);
}

struct search {
	struct dt *dt;
	const char *const *part;
	pid_t pid;
	const char *module;
	struct ufile *file;
	size_t found;
};

static void
add(struct search *s, const char *func, const char *name, uint64_t addr, bool at_return)
{
	const char *const names[4] = {s->part[0], s->module, func, name};
	struct usite place = {.file = s->file, .pid = s->pid, .at_return = at_return};

	if (!elfsyms_to_offset(s->file->syms, addr, &place.offset))
		return;
	uprobe_add(s->dt, &provider_pid, names, &place);
	s->found++;
}

/* The instructions that the name asks for by their offsets. */
static void
add_offsets(struct search *s, const char *func, uint64_t addr, uint64_t size)
{
	bool narrow = elfsyms_is_32bit(s->file->syms);
	cleanup_free unsigned char *code = NULL;
	size_t n, len;
	char name[20];

	if (size > 1 << 20)
		return;
	code = xcalloc(1, size + 1);
	n = elfsyms_read(s->file->syms, s->file->fd, addr, code, size);
	for (size_t at = 0; at < n; at += len) {
		len = x86_length(code + at, n - at, narrow);
		if (!len)
			return; /* data, or an instruction that is not known: no further */
		snprintf(name, sizeof(name), "%zx", at);
		if (dt_part_matches(s->part[3], name))
			add(s, func, name, addr + at, false);
	}
}

static void
add_function(struct search *s, const struct elfsym *sym, const char *func)
{
	if (dt_part_matches(s->part[3], "entry"))
		add(s, func, "entry", sym->addr, false);
	if (dt_part_matches(s->part[3], "return"))
		add(s, func, "return", sym->addr, true);
	if (!str_eq(s->part[3], "entry") && !str_eq(s->part[3], "return"))
		add_offsets(s, func, sym->addr, sym->size);
}

static void
add_address(struct search *s)
{
	uint64_t addr;
	const struct elfsym *sym;

	if (str_to_u64(s->part[3], 16, &addr) < 0)
		return;
	sym = elfsyms_at(s->file->syms, addr);
	/* It must be where an instruction begins: only its function tells. */
	if (sym) {
		cleanup_free char *offset = str_printf("%llx",
						       (unsigned long long)(addr - sym->addr));
		const char *const part[4] = {s->part[0], s->part[1], "-", offset};
		struct search inner = *s;

		inner.part = part;
		inner.found = 0;
		add_offsets(&inner, sym->name, sym->addr, sym->size);
		if (inner.found)
			add(s, "-", s->part[3], addr, false);
	}
}

static void
search_module(struct search *s, bool is_main)
{
	const char *func = s->part[2];
	const struct elfsym *sym;

	if (str_eq(func, "-")) {
		if (is_main)
			add_address(s);
		return;
	}
	for (size_t i = 0; (sym = elfsyms_sym(s->file->syms, i)); i++)
		if (sym->is_func && (!dt_is_glob(func) ? str_eq(func, sym->name)
						       : !sym->is_alias && dt_part_matches(func, sym->name)))
			add_function(s, sym, sym->name);
}

/* Is this mapping the module that the description means? */
static bool
is_meant(const char *pattern, const struct procmap *m, bool is_main)
{
	if (str_eq(pattern, "a.out"))
		return is_main;
	if (strchr(pattern, '/'))
		return str_eq(pattern, m->path);
	return is_called(pattern, module_of(m));
}

/* Why a description found nothing: `tag` is what is wrong with it. */
static int
say_why(struct dt *dt, const char *tag, char *why)
{
	free(dt->why);
	dt->why = why;
	dt->why_tag = tag;
	return 0;
}

static bool
is_offset(const char *name)
{
	return *name && name[strspn(name, "0123456789abcdefABCDEF")] == '\0';
}

static bool
has_function(const struct search *s, const char *name)
{
	const struct elfsym *sym;

	for (size_t i = 0; s->file && (sym = elfsyms_sym(s->file->syms, i)); i++)
		if (sym->is_func && str_eq(sym->name, name))
			return true;
	return false;
}

/* Of modules that were looked at in vain. */
static int
say_what_is_missing(struct search *s, pid_t shown, size_t modules, bool has_func)
{
	const char *mod = s->part[1], *func = s->part[2], *name = s->part[3];
	bool known = dt_is_glob(name) || str_eq(name, "entry") || str_eq(name, "return");
	struct dt *dt = s->dt;

	if (!modules)
		return say_why(dt, NULL,
			       str_printf("process %d has no object \"%s\"", (int)shown, mod));
	if (str_eq(func, "-") && *mod && !str_eq(mod, "a.out"))
		return say_why(dt, "D_PROC_LIB", xstrdup("only the executable, a.out, has the function \"-\""));
	if (str_eq(func, "-") ? !is_offset(name) : !known && !is_offset(name))
		return say_why(dt, "D_PROC_NAME",
			       xstrdup(str_eq(func, "-") ? "the function \"-\" has offsets alone"
							 : "a probe is entry, return or an offset"));
	if (!dt_is_glob(func) && !str_eq(func, "-") && !has_func)
		return say_why(dt, "D_PROC_FUNC",
			       str_printf("no such function or instruction in %s of process %d",
					  *mod ? mod : "any object", (int)shown));
	return say_why(dt, known ? NULL : "D_PROC_OFF",
		       str_printf("no such function or instruction in %s of process %d",
				  *mod ? mod : "any object", (int)shown));
}

static int
pid_provide(struct dt *dt, const char *const part[4], struct error *err)
{
	pid_t shown = pid_of(part[0]);
	cleanup_free char *prov = str_printf("pid%d", (int)shown);
	const char *const own[4] = {prov, part[1], part[2], part[3]};
	struct search s = {.dt = dt, .part = own, .pid = priv_pid_here(dt, shown)};
	cleanup_free char *exe = str_printf("/proc/%d/exe", (int)s.pid);
	cleanup_procmaps struct procmaps maps = {0};
	cleanup_map struct map *seen = map_new(NULL);
	char path[4096] = "";
	size_t modules = 0;
	bool has_func = false;

	if (!shown) {
		const char *digits = str_after(part[0], "pid");

		if (digits && *digits && digits[strspn(digits, "0123456789")] == '\0')
			say_why(dt, "D_PROC_BADPID", xstrdup("it names no process"));
		return 0;
	}
	if (!s.pid || procmaps_read(s.pid, &maps, NULL) < 0)
		return say_why(dt, "D_PROC_GRAB", str_printf("no process has the id %d", (int)shown));
	if (readlink(exe, path, sizeof(path) - 1) < 0)
		path[0] = '\0';
	for (size_t i = 0; i < maps.n; i++) {
		const struct procmap *m = &maps.v[i];
		bool is_main = str_eq(m->path, path);

		if (!m->exec || !m->inode || !is_meant(part[1], m, is_main) || map_has(seen, m->path))
			continue;
		map_set(seen, m->path, NULL);
		modules++;
		s.module = module_of(m);
		s.file = ufile_of(dt, s.pid, m);
		if (s.file)
			search_module(&s, is_main);
		has_func |= !s.found && has_function(&s, part[2]);
	}
	return s.found ? 0 : say_what_is_missing(&s, shown, modules, has_func);
}

static bool
pid_together(const struct probe *a, const struct probe *b)
{
	const struct usite *x = usite_of(a), *y = usite_of(b);

	return x->at_return == y->at_return && str_eq(a->name, "entry") == str_eq(b->name, "entry") &&
	       elfsyms_is_32bit(x->file->syms) == elfsyms_is_32bit(y->file->syms);
}

static const struct ctf_type *
pid_arg_type(struct dt *dt, const struct probe *p, unsigned i)
{
	return i < 10 ? dt->t_long : NULL;
}

static int
pid_prepare(struct dt *dt, struct hook *h, struct error *err)
{
	h->at_entry = str_eq(h->probes[0]->name, "entry") &&
		      !elfsyms_is_32bit(usite_of(h->probes[0])->file->syms);
	return 0;
}

static int
pid_gen_arg(struct gen *g, const struct hook *h, unsigned i, struct error *err)
{
	const struct usite *s = usite_of(h->probes[0]);

	if (s->at_return && i == 1)
		uprobe_gen_reg(g, 80); /* rax in struct pt_regs */
	else if (s->at_return || !str_eq(h->probes[0]->name, "entry"))
		asm_imm(&g->a, R0, 0);
	else
		uprobe_gen_arg(g, s, i);
	return 0;
}

const struct provider provider_pid = {
	.name = "pid",
	.provide = pid_provide,
	.mod_matches = pid_mod_matches,
	.together = pid_together,
	.arg_type = pid_arg_type,
	.prepare = pid_prepare,
	.gen_probe = uprobe_gen_probe,
	.gen_arg = pid_gen_arg,
	.attach = uprobe_attach,
};
