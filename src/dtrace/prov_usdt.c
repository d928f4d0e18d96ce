/*
 * USDT: probes that a program was given by its author, NAMEPID:MODULE:FUNCTION:PROBE.
 *
 * The sites stand in the file as SDT notes: those of dtrace -h and of SystemTap's
 * <sys/sdt.h>, which many of Debian's programs and libraries have.  "__" in a
 * note's name is "-" in the probe's.  A provider is each process's own:
 *
 *	python1234	that process
 *	python*		every process that has it now
 *	python		the file, whoever runs it, now or later
 *
 * Files are found by the processes that map them now, and by -x usdtfile=PATH.
 *
 * Oracle's dtrace -G writes notes of another form (.note.usdt), its older ones and
 * illumos' DOF (.SUNW_dof, dof.c): they are read as well.
 *
 * Sites with a counter ("semaphore") have it raised while they are traced: that is
 * what FOO_BAR_ENABLED() asks.  Where a program asks there is a note, too, or an entry of DOF; a
 * probe that a file only asks about is a probe as well, which never fires.
 *
 * Arguments are where the note says at each site, so sites whose operands differ
 * have programs of their own.  Their types are in the section .dtrace.providers,
 * the text of the provider's definition, if dtrace -h made the header; else they are
 * numbers of the operand's size.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <unistd.h>

#include "dtrace/check.h"
#include "dtrace/priv.h"
#include "dtrace/uprobe.h"
#include "dtrace/usdt_arg.h"
#include "dtrace/usdt_note.h"

/* "a__b" to "a-b". */
static char *
shown_name(const char *name)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	for (; *name; name++) {
		if (name[0] == '_' && name[1] == '_') {
			strbuf_addc(&b, '-');
			name++;
		} else {
			strbuf_addc(&b, *name);
		}
	}
	return strbuf_steal(&b);
}

struct search {
	struct dt *dt;
	const char *const *part;
	pid_t pid; /* 0: whoever has the file */
	const char *module;
	struct ufile *file;
};

static void
add_note(struct search *s, const struct sdt_note *n)
{
	cleanup_free char *prov = s->pid ? str_printf("%s%d", n->provider,
						      (int)priv_pid_shown(s->dt, s->pid))
					 : xstrdup(n->provider);
	cleanup_free char *name = shown_name(n->name);
	const struct elfsym *sym = elfsyms_at(s->file->syms, n->pc);
	const char *const names[4] = {prov, s->module, sym ? sym->name : "", name};
	struct usite place = {.file = s->file, .pid = s->pid, .args = n->asks ? "" : n->args,
			      .never = n->asks, .note = n};

	if (!dt_part_matches(s->part[0], prov) || !dt_part_matches(s->part[2], names[2]) ||
	    !dt_part_matches(s->part[3], name) ||
	    !elfsyms_to_offset(s->file->syms, n->pc, &place.offset))
		return;
	/* The kernel raises counters in pages that come from the file, which is how .bss begins, not others. */
	if (n->semaphore && !elfsyms_to_offset(s->file->syms, n->semaphore, &place.semaphore))
		place.semaphore = 0;
	uprobe_add(s->dt, &provider_usdt, names, &place);
}

/* The i-th site that the file tells of, in notes or in DOF; NULL past the last. */
static const struct sdt_note *
site_in(struct ufile *f, size_t i)
{
	size_t n_notes = elfsyms_n_notes(f->syms), len;

	if (i < n_notes)
		return elfsyms_note(f->syms, i);
	if (!f->dof_read) {
		cleanup_free char *data = elfsyms_section(f->syms, ".SUNW_dof", &len);

		f->dof_read = true;
		if (data && !elfsyms_is_32bit(f->syms))
			f->dof = dof_parse(data, len, elfsyms_section_addr(f->syms, ".SUNW_dof"));
	}
	return f->dof && i - n_notes < f->dof->n_notes ? &f->dof->notes[i - n_notes] : NULL;
}

static bool
is_same_probe(const struct sdt_note *a, const struct sdt_note *b)
{
	return str_eq(a->provider, b->provider) && str_eq(a->name, b->name);
}

static char *
probe_key(const struct sdt_note *n)
{
	return str_printf("%s %s", n->provider, n->name);
}

/* The probes that fire somewhere in the file. */
static struct map *
firing_in(struct ufile *f)
{
	struct map *firing = map_new(NULL);
	const struct sdt_note *n;

	for (size_t i = 0; (n = site_in(f, i)); i++) {
		cleanup_free char *key = n->asks ? NULL : probe_key(n);

		if (key)
			map_set(firing, key, NULL);
	}
	return firing;
}

static void
search_file(struct search *s)
{
	struct map *firing = NULL; /* made where something asks, which is seldom */
	const struct sdt_note *n;

	for (size_t i = 0; s->file && (n = site_in(s->file, i)); i++) {
		cleanup_free char *key = n->asks ? probe_key(n) : NULL;

		if (key && !firing)
			firing = firing_in(s->file);
		if (!key || !map_has(firing, key))
			add_note(s, n);
	}
	map_free(firing);
}

/* by_pid: probes of this process alone; else of its files, whoever maps them. */
static void
search_process(struct dt *dt, const char *const part[4], pid_t pid, bool by_pid)
{
	struct search s = {.dt = dt, .part = part, .pid = by_pid ? pid : 0};
	cleanup_procmaps struct procmaps maps = {0};

	if (pid == getpid() || !priv_pid_shown(dt, pid) || procmaps_read(pid, &maps, NULL) < 0)
		return;
	for (size_t i = 0; i < maps.n; i++) {
		const struct procmap *m = &maps.v[i];

		if (!m->exec || !m->inode)
			continue;
		s.module = module_of(m);
		if (!dt_part_matches(part[1], s.module))
			continue;
		s.file = ufile_of(dt, pid, m);
		search_file(&s);
	}
}

static void
search_all(struct dt *dt, const char *const part[4], bool by_pid)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	int pid;

	while (d && (e = readdir(d)))
		if (str_to_int(e->d_name, &pid) == 0)
			search_process(dt, part, pid, by_pid);
	if (d)
		closedir(d);
}

static bool
is_process(pid_t pid)
{
	cleanup_free char *dir = str_printf("/proc/%d", (int)pid);

	return access(dir, F_OK) == 0;
}

/* "foo1234": the process, if there is one of that number. */
static pid_t
pid_in(struct dt *dt, const char *prov)
{
	size_t len = strlen(prov), digits = len;
	int pid;

	while (digits > 0 && isdigit((unsigned char)prov[digits - 1]))
		digits--;
	/* A name may end in a digit itself: the longest tail that is a process. */
	for (; digits > 0 && digits < len; digits++) {
		if (prov[digits] != '0' && str_to_int(prov + digits, &pid) == 0 &&
		    (pid = priv_pid_here(dt, pid)) > 0 && is_process(pid))
			return pid;
	}
	return 0;
}

/* Names that other providers have: nobody wants all files of all processes read for them. */
static bool
is_taken(const char *prov)
{
	static const char *const taken[] = {"dtrace", "profile", "tick", "syscall", "rawtp", "sdt",
					    "fbt", "proc", "sched", "io", "ip", "tcp", "udp",
					    "vminfo", "sysinfo", "lockstat", "fsinfo", "vfs", "cpc",
					    "zfs"};

	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		if (str_eq(taken[i], prov))
			return true;
	return false;
}

/* Our own daemons and commands: their probes are there whether they run or not. */
static const struct {
	const char *prov, *path;
} stable[] = {
	{"smf", "/lib/svc/bin/svc.startd"}, {"vm", "/usr/sbin/vmadm"},
	{"zone", "/usr/lib/zones/zoneadmd"}, {"zone", "/usr/sbin/zoneadm"},
	{"zone", "/usr/sbin/vmadm"},
};

/* Files that are known without a process; false if the path is no program. */
static bool
search_path(struct search *s, const char *path)
{
	const char *slash = strrchr(path, '/');

	s->module = slash ? slash + 1 : path;
	s->file = ufile_at(s->dt, path);
	if (s->file && dt_part_matches(s->part[1], s->module))
		search_file(s);
	return s->file;
}

static int
usdt_provide(struct dt *dt, const char *const part[4], struct error *err)
{
	struct search s = {.dt = dt, .part = part};
	const char *prov = part[0];
	pid_t pid;

	if (is_taken(prov) || str_after(prov, "pid"))
		return 0;
	if (!*prov || str_eq(prov, "*")) { /* of any provider: those of -p's or -c's process */
		pid = dt->target > 0 ? priv_pid_here(dt, (int)dt->target) : 0;
		if (pid > 0)
			search_process(dt, part, pid, true);
		return 0;
	}
	/* Of no interest in a zone: they are the node's. */
	for (size_t i = 0; i < ARRAY_SIZE(stable) && !dt->confine; i++)
		if (str_eq(stable[i].prov, prov))
			search_path(&s, stable[i].path);
	for (size_t i = 0; i < dt->opts.usdtfiles.n; i++)
		if (!search_path(&s, dt->opts.usdtfiles.v[i]))
			return error_set(err, ENOENT, "usdtfile: %s is no ELF file that can be read",
					 dt->opts.usdtfiles.v[i]);
	if (!dt_is_glob(prov) && (pid = pid_in(dt, prov)) > 0) {
		search_process(dt, part, pid, true);
	} else {
		search_all(dt, part, dt_is_glob(prov));
	}
	/* -Z: whoever starts one of these files later, too. */
	if (dt_is_glob(prov) && dt->opts.zdefs)
		search_all(dt, part, false);
	return 0;
}

/* One probe of several processes: one program. */
static bool
usdt_together(const struct probe *a, const struct probe *b)
{
	return is_same_probe(usite_of(a)->note, usite_of(b)->note);
}

/* Do the two sites have their arguments in the same places? */
static bool
is_alike(const struct usite *a, const struct usite *b)
{
	if (strstr(a->args, "(%rip)")) /* from the instruction: no two sites are alike */
		return a->file == b->file && a->offset == b->offset;
	return str_eq(a->args, b->args);
}

/* The sites of the hook by the places of their arguments: each sort is a variant. */
struct variants {
	const struct usite **first; /* of each sort */
	size_t n;
};

static int
usdt_prepare(struct dt *dt, struct hook *h, struct error *err)
{
	struct variants *v = h->own;

	if (v)
		return 0;
	h->own = v = xcalloc(1, sizeof(*v));
	for (size_t i = 0; i < h->n; i++) {
		for (struct usite *s = usite_of(h->probes[i]); s; s = s->next) {
			for (s->variant = 0; s->variant < v->n; s->variant++)
				if (is_alike(v->first[s->variant], s))
					break;
			if (s->variant < v->n)
				continue;
			v->first = xreallocarray(v->first, v->n + 1, sizeof(*v->first));
			v->first[v->n++] = s;
		}
	}
	return 0;
}

/* --- types */

/*
 * The text comes from a file that anybody may have written, and D would run its clauses and
 * follow its pragmas: nothing is left but providers, and types that have no meaning yet.
 */
static void
keep_definitions(struct dt *dt, struct ast *ast)
{
	struct node **link = &ast->top;

	while (*link) {
		const struct node *n = *link;
		const struct type_body *body = n->kind == N_DECL && n->type_expr ? n->type_expr->body
										 : NULL;
		cleanup_free char *tag =
			body && body->tag ? str_printf("%s %s",
						       body->kind == CTF_ENUM    ? "enum"
						       : body->kind == CTF_UNION ? "union"
										 : "struct",
						       body->tag)
					  : NULL;
		bool is_type = n->kind == N_DECL && (n->storage == STORE_TYPEDEF || !n->name);

		if (n->kind == N_PROVIDER ||
		    (is_type && !(tag && ctf_find(dt->types, tag)) &&
		     !(n->name && ctf_find(dt->types, n->name))))
			link = &(*link)->next;
		else
			*link = n->next;
	}
}

/* Those that dtrace -h of ours left, or else that Oracle's -G did, or illumos'. */
static char *
definitions_in(const struct ufile *f, size_t *ret_len)
{
	char *own = elfsyms_section(f->syms, ".dtrace.providers", ret_len);
	cleanup_free char *notes = own ? NULL : elfsyms_section(f->syms, ".note.usdt", ret_len);

	if (own)
		return own;
	if (notes)
		return usdt_note_definitions(notes, *ret_len, ret_len);
	if (!f->dof)
		return NULL;
	*ret_len = f->dof->definitions_len;
	return xmemdup(f->dof->definitions, *ret_len);
}

/* The definitions that the file carries, read when first asked for. */
static void
read_definitions(struct dt *dt, struct ufile *f, const char *module)
{
	cleanup_free char *text = NULL;
	size_t len;

	if (f->definitions_read)
		return;
	f->definitions_read = true;
	text = definitions_in(f, &len);
	for (size_t at = 0; text && at < len; at += strlen(text + at) + 1) {
		cleanup_error struct error err = ERROR_INIT;
		struct ast *ast;

		/*
		 * A file may carry anything: what is not D, or declares what is known (to the
		 * library, too), is passed over.
		 */
		if (!text[at] || dt_load_library_for(dt, text + at, &err) < 0 ||
		    dt_parse(dt, text + at, strlen(text + at), module, &ast, &err) < 0)
			continue;
		keep_definitions(dt, ast);
		(void)dt_check(dt, ast, &err);
		f->definitions = xreallocarray(f->definitions, f->n_definitions + 1,
					       sizeof(*f->definitions));
		f->definitions[f->n_definitions++] = ast;
	}
}

/* The definition of the probe; NULL if its file has none. */
static const struct node *
definition_of(struct dt *dt, const struct probe *p)
{
	const struct usite *s = usite_of(p);

	read_definitions(dt, s->file, p->mod);
	for (size_t i = 0; i < s->file->n_definitions; i++) {
		for (const struct node *n = s->file->definitions[i]->top; n; n = n->next) {
			if (n->kind != N_PROVIDER || !str_eq(n->name, s->note->provider))
				continue;
			for (const struct node *probe = n->body; probe; probe = probe->next)
				if (str_eq(probe->name, s->note->name))
					return probe;
		}
	}
	return NULL;
}

/* A parameter's type in words that live as long as dt; NULL if it is not known here. */
static const char *
type_name(struct dt *dt, const struct node *param)
{
	cleanup_error struct error err = ERROR_INIT;
	const struct ctf_type *t;

	if (dt_type(dt, param, param->type_expr, &t, &err) < 0)
		return NULL;
	return ctf_spelling(dt, t);
}

static bool
plain_arg(const struct probe *p, unsigned i, struct probe_arg *ret)
{
	static const char *const names[2][4] = {{"uint8_t", "uint16_t", "uint32_t", "uint64_t"},
						{"int8_t", "int16_t", "int32_t", "int64_t"}};
	struct usdt_arg a;
	int r = usdt_arg_parse(usite_of(p)->args, i, &a);

	if (r == 0)
		return false;
	*ret = (struct probe_arg){.native = "uint64_t", .from = i, .is_user = true};
	if (r > 0)
		ret->native = names[a.is_signed][a.size == 1 ? 0 : a.size == 2 ? 1 : a.size == 4 ? 2 : 3];
	return true;
}

static bool
usdt_arg(struct dt *dt, const struct probe *p, unsigned i, struct probe_arg *ret)
{
	const struct node *def = definition_of(dt, p), *own, *shown;
	const char *native, *xlate = NULL;
	unsigned from = i, k = 0;

	if (!def)
		return plain_arg(p, i, ret);
	shown = def->has_body ? def->body : def->args; /* ": ()" shows none */
	for (; shown && k < i; k++)
		shown = shown->next;
	if (!shown)
		return false;
	own = shown;
	/* probe p(struct foo *f) : (fooinfo_t *f): the argument of the same name, translated. */
	if (def->has_body) {
		from = 0;
		for (own = def->args; own && !str_eq(own->name, shown->name); own = own->next)
			from++;
		if (!own)
			return false;
	}
	native = type_name(dt, own);
	if (own != shown)
		xlate = type_name(dt, shown);
	if (!native || (own != shown && !xlate))
		return plain_arg(p, from, ret);
	*ret = (struct probe_arg){.native = native, .from = from, .is_user = true,
				  .xlate = xlate && !str_eq(xlate, native) ? xlate : NULL};
	return true;
}

/* Addresses in 32-bit programs have no sign, whatever the operand says. */
static bool
is_narrow_pointer(struct dt *dt, const struct probe *p, const struct usite *s, unsigned i)
{
	const struct node *def = elfsyms_is_32bit(s->file->syms) ? definition_of(dt, p) : NULL;
	const struct node *param = def ? def->args : NULL;
	cleanup_error struct error none = ERROR_INIT;
	const struct ctf_type *t;

	while (param && i--)
		param = param->next;
	return param && dt_type(dt, param, param->type_expr, &t, &none) == 0 && ctf_is_pointer(t);
}

/* --- code */

/* The operand's address into r0. */
static void
gen_operand_address(struct gen *g, const struct usite *s, const struct usdt_arg *a)
{
	int64_t value = a->value;
	const struct elfsym *sym = NULL;

	for (size_t i = 0; *a->symbol && !sym && i < elfsyms_count(s->file->syms); i++)
		if (str_eq(elfsyms_sym(s->file->syms, i)->name, a->symbol))
			sym = elfsyms_sym(s->file->syms, i);
	if (sym)
		value += (int64_t)(sym->addr - s->note->pc);
	if (a->reg >= 0)
		uprobe_gen_reg(g, a->reg);
	else
		asm_imm(&g->a, R0, 0);
	if (a->index >= 0) {
		asm_load(&g->a, 8, R1, R6, a->index);
		asm_alui(&g->a, BPF_MUL, R1, (int32_t)a->scale);
		asm_alu(&g->a, BPF_ADD, R0, R1);
	}
	asm_imm(&g->a, R1, value);
	asm_alu(&g->a, BPF_ADD, R0, R1);
}

static int
gen_arg_at(struct gen *g, const struct probe *p, const struct usite *s, unsigned i,
	   struct error *err)
{
	struct usdt_arg a;
	int r = usdt_arg_parse(s->args, i, &a);

	if (r > 0 && a.is_signed)
		a.is_signed = !is_narrow_pointer(g->dt, p, s, i);
	if (r < 0)
		return d_error(err, g->clause->node->line, "D_ARGS_XLATOR",
			       "argument %u of %s:%s:%s:%s stands where it cannot be read (%s)", i,
			       p->prov, p->mod, p->func, p->name, s->args);
	if (r == 0 || a.where == USDT_CONST) {
		asm_imm(&g->a, R0, r ? a.value : 0);
		return 0;
	}
	if (a.where == USDT_MEMORY) {
		gen_operand_address(g, s, &a);
		uprobe_gen_load(g, a.size, a.is_signed);
		return 0;
	}
	uprobe_gen_reg(g, a.reg);
	if (a.shift)
		asm_alui(&g->a, BPF_RSH, R0, (int32_t)a.shift);
	if (a.size < 8)
		asm_extend(&g->a, R0, a.size, a.is_signed);
	return 0;
}

/* The cookie tells which sort of site this is; the last needs no question. */
static int
usdt_gen_arg(struct gen *g, const struct hook *h, unsigned i, struct error *err)
{
	const struct variants *v = h->own;
	struct asmb *a = &g->a;
	int done = asm_label(a), next, r;

	for (size_t k = 0; k < v->n; k++) {
		next = asm_label(a);
		if (k + 1 < v->n) {
			asm_mov(a, R1, R6);
			asm_call(a, BPF_FUNC_get_attach_cookie);
			asm_alui(a, BPF_RSH, R0, 32);
			asm_jcci(a, BPF_JNE, R0, (int32_t)k, next);
		}
		if ((r = gen_arg_at(g, h->probes[0], v->first[k], i, err)) < 0)
			return r;
		if (k + 1 < v->n)
			asm_jmp(a, done);
		asm_here(a, next);
	}
	asm_here(a, done);
	return 0;
}

/* --- sites that ask whether somebody traces */

/* Those with a counter, of a probe that has no site to raise it: whatever is there does. */
static int
attach_counter(struct dt *dt, struct hook *h, const struct usite *s, struct error *err)
{
	struct gen g = {.dt = dt, .hook = h};
	int r;

	asm_imm(&g.a, R0, 0);
	asm_exit(&g.a);
	r = asm_finish(&g.a, err);
	if (r == 0)
		r = uprobe_attach_site(dt, h, &g, s, err);
	asm_done(&g.a);
	return r;
}

/* Those of other -G: a program of its own there sets the int whose address is the site's operand. */
static int
attach_asking(struct dt *dt, struct hook *h, const struct usite *like, const struct sdt_note *n,
	      struct error *err)
{
	struct usite site = {.file = like->file, .pid = like->pid, .args = n->args, .note = n};
	struct gen g = {.dt = dt, .hook = h};
	struct asmb *a = &g.a;
	struct usdt_arg arg;
	int r;

	if (!*n->args)
		return error_set(err, ENOTSUP, "it wants a register changed, as illumos' kernel does");
	if (usdt_arg_parse(n->args, 0, &arg) <= 0 || arg.where == USDT_CONST ||
	    !elfsyms_to_offset(site.file->syms, n->pc, &site.offset))
		return 0; /* it goes on as if nobody did */
	asm_mov(a, R6, R1);
	if (arg.where == USDT_MEMORY) {
		gen_operand_address(&g, &site, &arg);
		asm_storei(a, 8, R10, -8, 0);
		asm_mov(a, R1, R10);
		asm_alui(a, BPF_ADD, R1, -8);
		asm_imm(a, R2, 8);
		asm_mov(a, R3, R0);
		asm_call(a, BPF_FUNC_probe_read_user);
		asm_load(a, 8, R0, R10, -8);
	} else {
		uprobe_gen_reg(&g, arg.reg);
	}
	asm_mov(a, R1, R0);
	asm_storei(a, 4, R10, -8, 1);
	asm_mov(a, R2, R10);
	asm_alui(a, BPF_ADD, R2, -8);
	asm_imm(a, R3, 4);
	asm_call(a, BPF_FUNC_probe_write_user);
	asm_imm(a, R0, 0);
	asm_exit(a);
	r = asm_finish(a, err);
	if (r == 0)
		r = uprobe_attach_site(dt, h, &g, &site, err);
	asm_done(a);
	return r;
}

static int
usdt_attach(struct dt *dt, struct hook *h, struct gen *g, struct error *err)
{
	cleanup_error struct error why = ERROR_INIT;
	int r = uprobe_attach(dt, h, g, err);

	for (size_t i = 0; i < h->n && r == 0; i++) {
		const struct usite *s = usite_of(h->probes[i]);
		const struct sdt_note *n;

		if (s->never && s->semaphore) {
			r = attach_counter(dt, h, s, err);
			continue;
		}
		for (size_t k = 0; (n = site_in(s->file, k)); k++) {
			if (n->asks && !n->semaphore && is_same_probe(n, s->note) && attach_asking(dt, h, s, n, &why) < 0) {
				/* A kernel that lets nobody write: what is asked for is traced all the same. */
				fprintf(stderr, "dtrace: %s:%s:%s:%s is traced, but the program cannot be told so: %s\n", h->probes[i]->prov,
					h->probes[i]->mod, h->probes[i]->func, h->probes[i]->name,
					error_message(&why));
				return 0;
			}
		}
	}
	return r;
}

static void
usdt_hook_done(struct hook *h)
{
	struct variants *v = h->own;

	if (v)
		free(v->first);
}

const struct provider provider_usdt = {
	.name = "usdt",
	.provide = usdt_provide,
	.together = usdt_together,
	.arg = usdt_arg,
	.prepare = usdt_prepare,
	.hook_done = usdt_hook_done,
	.gen_probe = uprobe_gen_probe,
	.gen_arg = usdt_gen_arg,
	.attach = usdt_attach,
};
