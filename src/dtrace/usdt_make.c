/*
 * dtrace -h and dtrace -G.
 *
 * The header holds everything that a probe needs: PROVIDER_PROBE(args) is a nop
 * and a note that says where it is and where its arguments are (operands, chosen
 * by the compiler); PROVIDER_PROBE_ENABLED() reads a counter that the kernel
 * raises while somebody traces the probe.  The note has SystemTap's format, so
 * gdb, perf and bpftrace see the probes too.  Where a program asks there is a nop with a
 * note of ours (.note.dtrace, laid out alike): a probe may be asked about and have no site.  Nothing is left to do at link
 * time; the object of -G has the counters (stronger than the header's weak
 * ones) so that build rules written for DTrace, which link it, go on working.
 *
 * Both carry the text of the definitions in the section .dtrace.providers:
 * that is how dtrace knows the arguments' types (prov_usdt.c).
 */
#include "dtrace/usdt_make.h"

#include <ctype.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "ctf/elfsyms.h"

#define NAME_LONGEST 53 /* a process id comes behind it */
#define PROBES ".probes"
#define PROVIDERS ".dtrace.providers"

/* What all headers share; the numbers of local labels are far from what people use. */
static const char common[] =
	"#include <unistd.h>\n\n"
	"#ifndef DTRACE_NOTE_\n"
	"#ifdef __LP64__\n"
	"#define DTRACE_WORD_ \".8byte \"\n"
	"#define DTRACE_ARG_ \"-8@\"\n"
	"#else\n"
	"#define DTRACE_WORD_ \".4byte \"\n"
	"#define DTRACE_ARG_ \"-4@\"\n"
	"#endif\n"
	"#define DTRACE_NOTE_(name, provider, probe, args) \\\n"
	"\t\"9990: nop\\n\" \\\n"
	"\t\".pushsection .note.\" name \",\\\"?\\\",\\\"note\\\"\\n.balign 4\\n\" \\\n"
	"\t\".4byte 9992f-9991f, 9994f-9993f, 3\\n\" \\\n"
	"\t\"9991: .asciz \\\"\" name \"\\\"\\n9992: .balign 4\\n\" \\\n"
	"\t\"9993: \" DTRACE_WORD_ \"9990b\\n\" \\\n"
	"\tDTRACE_WORD_ \"_.stapsdt.base\\n\" \\\n"
	"\tDTRACE_WORD_ provider \"_\" probe \"_semaphore\\n\" \\\n"
	"\t\".asciz \\\"\" provider \"\\\"\\n.asciz \\\"\" probe \"\\\"\\n\" \\\n"
	"\t\".asciz \\\"\" args \"\\\"\\n9994: .balign 4\\n.popsection\\n\" \\\n"
	"\t\".ifndef _.stapsdt.base\\n\" \\\n"
	"\t\".pushsection .stapsdt.base,\\\"aG\\\",\\\"progbits\\\",.stapsdt.base,comdat\\n\" \\\n"
	"\t\".weak _.stapsdt.base\\n.hidden _.stapsdt.base\\n\" \\\n"
	"\t\"_.stapsdt.base: .space 1\\n.size _.stapsdt.base, 1\\n.popsection\\n.endif\\n\"\n"
	"#endif\n"
	"#ifndef DTRACE_SITE\n"
	"#define DTRACE_SITE(provider, probe, args) DTRACE_NOTE_(\"stapsdt\", provider, probe, args)\n"
	"#endif\n\n";

static char *
macro_name(const char *provider, const char *probe)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	strbuf_addf(&b, "%s_", provider);
	for (; *probe; probe++) {
		strbuf_addc(&b, *probe);
		if (probe[0] == '_' && probe[1] == '_')
			probe++;
	}
	for (size_t i = 0; i < b.len; i++)
		b.data[i] = (char)toupper((unsigned char)b.data[i]);
	return strbuf_steal(&b);
}

static void
add_probe(struct strbuf *b, const char *provider, const struct node *probe)
{
	cleanup_free char *macro = macro_name(provider, probe->name);
	size_t n = 0, i;

	for (const struct node *a = probe->args; a; a = a->next)
		n++;
	strbuf_addf(b, "extern volatile unsigned short %s_%s_semaphore;\n", provider, probe->name);
	strbuf_addf(b,
		    "__attribute__((weak, visibility(\"hidden\"), section(\"" PROBES "\")))\n"
		    "volatile unsigned short %s_%s_semaphore = 0;\n",
		    provider, probe->name);
	strbuf_addf(b,
		    "#define %s_ENABLED() \\\n\t(__extension__({ \\\n"
		    "\t\t__asm__ volatile(DTRACE_NOTE_(\"dtrace\", \"%s\", \"%s\", \"\")); \\\n"
		    "\t\t__builtin_expect(%s_%s_semaphore, 0); \\\n\t}))\n",
		    macro, provider, probe->name, provider, probe->name);
	strbuf_addf(b, "#define %s(", macro);
	for (i = 0; i < n; i++)
		strbuf_addf(b, "%sarg%zu", i ? ", " : "", i);
	strbuf_addf(b, ") \\\n\t__asm__ volatile(DTRACE_SITE(\"%s\", \"%s\", \"\"", provider, probe->name);
	for (i = 0; i < n; i++)
		strbuf_addf(b, " DTRACE_ARG_ \"%%%zu%s\"", i, i + 1 < n ? " " : "");
	strbuf_adds(b, ") \\\n\t\t::");
	for (i = 0; i < n; i++)
		strbuf_addf(b, "%s \"nor\"((long)(arg%zu))", i ? "," : "", i);
	strbuf_adds(b, ")\n\n");
}

/* A text as a string of the assembler, inside a string of C. */
static void
add_quoted(struct strbuf *b, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\')
			strbuf_addf(b, "\\\\\\%c", c);
		else if (c == '\n')
			strbuf_adds(b, "\\\\n");
		else if (c == '\t')
			strbuf_addc(b, ' ');
		else if (c >= ' ' && c < 0x7f)
			strbuf_addc(b, (char)c);
	}
}

static int
parse(struct dt *dt, const char *text, size_t len, const char *file, struct ast **ret,
      struct error *err)
{
	bool found = false;
	int r = dt_parse(dt, text, len, file, ret, err);

	if (r < 0)
		return r;
	for (const struct node *n = (*ret)->top; n; n = n->next) {
		if (n->kind != N_PROVIDER)
			continue;
		found = true;
		if (strlen(n->name) > NAME_LONGEST)
			return error_set(err, ENAMETOOLONG,
					 "%s:%d: the name of provider \"%s\" is longer than %d characters",
					 file, n->line, n->name, NAME_LONGEST);
	}
	return found ? 0 : error_set(err, ENOENT, "%s defines no provider", file);
}

int
dt_usdt_header(struct dt *dt, const char *text, size_t len, const char *file, FILE *out,
	       struct error *err)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	const char *slash = strrchr(file, '/');
	struct ast *ast;
	int r = parse(dt, text, len, file, &ast, err);

	if (r < 0)
		return r;
	strbuf_addf(&b, "/* Made by dtrace -h from %s. */\n#pragma once\n\n",
		    slash ? slash + 1 : file);
	strbuf_adds(&b, common);
	strbuf_adds(&b, "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
	for (const struct node *n = ast->top; n; n = n->next) {
		if (n->kind != N_PROVIDER)
			continue;
		for (const struct node *probe = n->body; probe; probe = probe->next)
			add_probe(&b, n->name, probe);
		/* Once in a program, whoever includes it: a group of its own. */
		strbuf_addf(&b,
			    "__asm__(\".pushsection " PROVIDERS ",\\\"G\\\",@progbits,%s.providers,comdat\\n\"\n"
			    "\t\".asciz \\\"",
			    n->name);
		add_quoted(&b, text, len);
		strbuf_adds(&b, "\\\"\\n.popsection\\n\");\n\n");
	}
	strbuf_adds(&b, "#ifdef __cplusplus\n}\n#endif\n");
	return fwrite(b.data, 1, b.len, out) == b.len && fflush(out) == 0
		       ? 0
		       : error_set_errno(err, errno, "cannot write the header");
}

/* --- the object */

struct object {
	Elf *elf;
	int class; /* ELFCLASS32 or ELFCLASS64 */
	struct strbuf names, sections; /* string tables */
	GElf_Sym *symbols;
	size_t n_symbols;
};

static uint32_t
add_name(struct strbuf *b, const char *name)
{
	uint32_t at = (uint32_t)b->len;

	strbuf_add(b, name, strlen(name) + 1);
	return at;
}

static Elf_Scn *
add_section(struct object *o, const char *name, const GElf_Shdr *head, void *data, size_t len,
	    size_t align, Elf_Type what)
{
	Elf_Scn *scn = elf_newscn(o->elf);
	Elf_Data *d = scn ? elf_newdata(scn) : NULL;
	GElf_Shdr sh = *head;

	if (!d)
		abort();
	sh.sh_name = add_name(&o->sections, name);
	gelf_update_shdr(scn, &sh);
	*d = (Elf_Data){.d_buf = data, .d_size = len, .d_align = align, .d_type = what,
			.d_version = EV_CURRENT};
	return scn;
}

static void
add_symbol(struct object *o, const GElf_Sym *sym)
{
	o->symbols = xreallocarray(o->symbols, o->n_symbols + 1, sizeof(*sym));
	o->symbols[o->n_symbols++] = *sym;
}

/* Two bytes for each probe, each with its symbol. */
static size_t
add_counters(struct object *o, const struct ast *ast)
{
	size_t n = 0;

	for (const struct node *p = ast->top; p; p = p->next) {
		for (const struct node *probe = p->kind == N_PROVIDER ? p->body : NULL; probe;
		     probe = probe->next) {
			cleanup_free char *name = str_printf("%s_%s_semaphore", p->name, probe->name);

			add_symbol(o, &(GElf_Sym){.st_name = add_name(&o->names, name),
						  .st_info = GELF_ST_INFO(STB_GLOBAL, STT_OBJECT),
						  .st_other = STV_HIDDEN,
						  .st_shndx = 1,
						  .st_value = 2 * n,
						  .st_size = 2});
			n++;
		}
	}
	return n;
}

/* The table of symbols, whose names are in section `names`; its memory is the caller's. */
static void *
add_symbols(struct object *o, size_t names)
{
	size_t size = gelf_fsize(o->elf, ELF_T_SYM, 1, EV_CURRENT);
	GElf_Shdr sh = {.sh_type = SHT_SYMTAB, .sh_link = (GElf_Word)names, .sh_entsize = size,
			.sh_info = 1 /* no local symbols but the first */};
	Elf_Scn *scn = add_section(o, ".symtab", &sh, xcalloc(o->n_symbols, size), o->n_symbols * size,
				   o->class == ELFCLASS64 ? 8 : 4, ELF_T_SYM);

	for (size_t i = 0; i < o->n_symbols; i++)
		gelf_update_sym(elf_getdata(scn, NULL), (int)i, &o->symbols[i]);
	return elf_getdata(scn, NULL)->d_buf;
}

static int
write_object(int fd, int class, const struct ast *ast, const char *text, size_t len, struct error *err)
{
	struct object o = {.elf = elf_begin(fd, ELF_C_WRITE, NULL), .class = class};
	const GElf_Shdr kept = {.sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC | SHF_WRITE},
			plain = {.sh_type = SHT_PROGBITS}, strings = {.sh_type = SHT_STRTAB};
	cleanup_free char *counters = NULL, *copy = xcalloc(1, len + 1);
	cleanup_free void *symbols = NULL;
	GElf_Ehdr head;
	Elf_Scn *scn;
	size_t n;
	int r = 0;

	memcpy(copy, text, len);
	if (!o.elf || !gelf_newehdr(o.elf, class) || !gelf_getehdr(o.elf, &head))
		return error_set(err, EIO, "cannot make an object: %s", elf_errmsg(-1));
	strbuf_addc(&o.names, '\0');
	strbuf_addc(&o.sections, '\0');
	add_symbol(&o, &(GElf_Sym){0});
	n = add_counters(&o, ast);
	counters = xcalloc(n + 1, 2);
	add_section(&o, PROBES, &kept, counters, 2 * n, 2, ELF_T_BYTE);
	add_section(&o, PROVIDERS, &plain, copy, len + 1, 1, ELF_T_BYTE);
	add_section(&o, ".note.GNU-stack", &plain, NULL, 0, 1, ELF_T_BYTE);
	scn = add_section(&o, ".strtab", &strings, o.names.data, o.names.len, 1, ELF_T_BYTE);
	symbols = add_symbols(&o, elf_ndxscn(scn));
	add_name(&o.sections, ".shstrtab");
	scn = add_section(&o, ".shstrtab", &strings, o.sections.data, o.sections.len, 1, ELF_T_BYTE);
	/* Its own name is in it twice: the table was taken before it moved. */
	elf_getdata(scn, NULL)->d_buf = o.sections.data;
	elf_getdata(scn, NULL)->d_size = o.sections.len;
	head.e_ident[EI_DATA] = ELFDATA2LSB;
	head.e_type = ET_REL;
	head.e_machine = class == ELFCLASS64 ? EM_X86_64 : EM_386;
	head.e_version = EV_CURRENT;
	head.e_shstrndx = (GElf_Half)elf_ndxscn(scn);
	if (!gelf_update_ehdr(o.elf, &head) || elf_update(o.elf, ELF_C_WRITE) < 0)
		r = error_set(err, EIO, "cannot write an object: %s", elf_errmsg(-1));
	elf_end(o.elf);
	strbuf_done(&o.names);
	strbuf_done(&o.sections);
	free(o.symbols);
	return r;
}

/*
 * Does the object ask whether a probe of that provider is traced?  Then it wants its counter: it
 * has the header's weak one, or none; the object that -G made has all of them.
 */
static bool
asks(int fd, const char *provider)
{
	cleanup_free char *start = str_printf("%s_", provider);
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;
	bool found = false;

	while (elf && !found && (scn = elf_nextscn(elf, scn)) && gelf_getshdr(scn, &sh)) {
		Elf_Data *data = sh.sh_type == SHT_SYMTAB ? elf_getdata(scn, NULL) : NULL;
		GElf_Sym sym;

		for (int i = 0; !found && data && gelf_getsym(data, i, &sym); i++) {
			const char *name = elf_strptr(elf, sh.sh_link, sym.st_name);

			found = name && str_after(name, start) && str_ends(name, "_semaphore") &&
				(sym.st_shndx == SHN_UNDEF || GELF_ST_BIND(sym.st_info) == STB_WEAK);
		}
	}
	elf_end(elf);
	return found;
}

/* Has the object, which has to be of that class, a site of that provider? */
static int
has_site(const char *path, int class, const char *provider, bool *ret, struct error *err)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	cleanup_elfsyms struct elfsyms *e = NULL;
	int r;

	if (fd < 0)
		return error_set_errno(err, errno, "cannot open %s", path);
	if ((r = elfsyms_open(fd, -1, path, &e, err)) < 0)
		return r;
	if (elfsyms_is_32bit(e) != (class == ELFCLASS32))
		return error_set(err, EINVAL, "%s is an object of %d bits, but those of %s are asked for", path,
				 elfsyms_is_32bit(e) ? 32 : 64,
				 class == ELFCLASS32 ? "32 (-32)" : "64 (-64)");
	for (size_t i = 0; i < elfsyms_n_notes(e); i++)
		*ret |= str_eq(elfsyms_note(e, i)->provider, provider);
	*ret = *ret || asks(fd, provider);
	return 0;
}

int
dt_usdt_object(struct dt *dt, const char *text, size_t len, const char *file,
	       const struct strv *objects, const char *path, struct error *err)
{
	int class = dt->opts.model == MODEL_ILP32 ? ELFCLASS32 : ELFCLASS64;
	cleanup_close int fd = -1;
	struct ast *ast;
	int r = parse(dt, text, len, file, &ast, err);

	if (r < 0)
		return r;
	for (const struct node *p = ast->top; p; p = p->next) {
		bool found = !objects->n;

		if (p->kind != N_PROVIDER)
			continue;
		for (size_t i = 0; i < objects->n; i++)
			if ((r = has_site(objects->v[i], class, p->name, &found, err)) < 0)
				return r;
		if (!found)
			return error_set(err, ENOENT,
					 "no probe sites found for declared provider \"%s\"", p->name);
	}
	elf_version(EV_CURRENT);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return error_set_errno(err, errno, "cannot write %s", path);
	return write_object(fd, class, ast, text, len, err);
}
