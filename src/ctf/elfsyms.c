/* ELF files through libelf, which reads (ELF_C_READ) instead of mapping. */
#include "ctf/elfsyms.h"

#include <fcntl.h>
#include <gelf.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sorted.h"
#include "base/str.h"
#include "ctf/elf_impl.h"

#define MAX_SECTION (256u << 20)
#define MAX_SYMS (4u << 20)
#define MAX_NOTES 65536

struct segment {
	uint64_t addr, offset, file_size, mem_size;
};

struct elfsyms {
	Elf *elf, *debug; /* kept: names point into them */
	GElf_Ehdr head;
	struct {
		char *data;
		size_t len;
		uint64_t addr;
	} kept[3]; /* of kept_sections */
	struct segment *segments;
	size_t n_segments;
	struct elfsym *syms;
	size_t n_syms, cap_syms;
	struct sdt_note *notes;
	size_t n_notes;
	char *interp;
	unsigned char build_id[64];
	size_t build_id_len;
};

void
elfsyms_free(struct elfsyms *e)
{
	if (!e)
		return;
	elf_end(e->elf);
	elf_end(e->debug);
	free(e->segments);
	free(e->syms);
	free(e->notes);
	free(e->interp);
	for (size_t i = 0; i < ARRAY_SIZE(e->kept); i++)
		free(e->kept[i].data);
	free(e);
}

Elf_Data *
elf_section_data(Elf_Scn *scn)
{
	GElf_Shdr sh;

	if (!gelf_getshdr(scn, &sh) || sh.sh_type == SHT_NOBITS || sh.sh_size > MAX_SECTION)
		return NULL;
	return elf_getdata(scn, NULL);
}

Elf_Scn *
elf_section_named(Elf *elf, const char *name, GElf_Shdr *ret)
{
	Elf_Scn *scn = NULL;
	size_t strings;

	if (elf_getshdrstrndx(elf, &strings) != 0)
		return NULL;
	while ((scn = elf_nextscn(elf, scn)))
		if (gelf_getshdr(scn, ret) && str_eq(elf_strptr(elf, strings, ret->sh_name), name))
			return scn;
	return NULL;
}

/* --- symbols */

/* Global before weak before local, and of those the plainest name. */
static uint8_t
rank_of(unsigned bind, const char *name)
{
	uint8_t rank = bind == STB_GLOBAL ? 40 : bind == STB_WEAK ? 30 : 0;

	for (size_t i = 0; i < 2 && name[i] == '_'; i++)
		rank -= 8;
	return rank + 16;
}

static void
add_table(struct elfsyms *e, Elf *elf, Elf_Scn *scn)
{
	Elf_Data *data = elf_section_data(scn);
	GElf_Shdr sh;
	size_t n;

	if (!data || !gelf_getshdr(scn, &sh) || !sh.sh_entsize)
		return;
	n = data->d_size / sh.sh_entsize;
	for (size_t i = 0; i < n && e->n_syms < MAX_SYMS; i++) {
		const char *name;
		unsigned type;
		GElf_Sym sym;

		if (!gelf_getsym(data, (int)i, &sym) || sym.st_shndx == SHN_UNDEF || !sym.st_value)
			continue;
		type = GELF_ST_TYPE(sym.st_info);
		if (type != STT_FUNC && type != STT_OBJECT && type != STT_GNU_IFUNC &&
		    type != STT_NOTYPE)
			continue;
		name = elf_strptr(elf, sh.sh_link, sym.st_name);
		if (str_empty(name) || (type == STT_NOTYPE && GELF_ST_BIND(sym.st_info) == STB_LOCAL))
			continue;
		if (e->n_syms == e->cap_syms) {
			e->cap_syms = e->cap_syms ? 2 * e->cap_syms : 1024;
			e->syms = xreallocarray(e->syms, e->cap_syms, sizeof(*e->syms));
		}
		e->syms[e->n_syms++] = (struct elfsym){
			.addr = sym.st_value,
			.size = sym.st_size,
			.name = name,
			.is_func = type == STT_FUNC || type == STT_GNU_IFUNC,
			.rank = rank_of(GELF_ST_BIND(sym.st_info), name)};
	}
}

static bool
add_tables(struct elfsyms *e, Elf *elf, unsigned type)
{
	size_t before = e->n_syms;
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;

	while ((scn = elf_nextscn(elf, scn)))
		if (gelf_getshdr(scn, &sh) && sh.sh_type == type)
			add_table(e, elf, scn);
	return e->n_syms > before;
}

static int
by_address(const void *a, const void *b)
{
	const struct elfsym *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	if (x->is_func != y->is_func)
		return x->is_func ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank > y->rank ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void
sort_symbols(struct elfsyms *e)
{
	size_t n = 0;

	if (!e->n_syms)
		return;
	qsort(e->syms, e->n_syms, sizeof(*e->syms), by_address);
	for (size_t i = 0; i < e->n_syms; i++) {
		struct elfsym *s = &e->syms[i];

		/* .symtab and .dynsym have the same names. */
		if (n && e->syms[n - 1].addr == s->addr && str_eq(e->syms[n - 1].name, s->name))
			continue;
		s->is_alias = n && e->syms[n - 1].addr == s->addr;
		e->syms[n++] = *s;
	}
	e->n_syms = n;
	for (size_t i = n; i-- > 0;) {
		uint64_t next = i + 1 < n ? e->syms[i + 1].addr : e->syms[i].addr + 4096;
		struct elfsym *s = &e->syms[i];

		if (i + 1 < n && next == s->addr)
			s->size = s->size ? s->size : e->syms[i + 1].size;
		else if (!s->size)
			s->size = next - s->addr;
	}
}

/* --- separate debug files */

/* A regular file below root, whatever symbolic links the tree has; -1 if there is none. */
static int
open_below(int root_fd, const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void
read_build_id(Elf *elf, unsigned char *id, size_t *ret_len)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;

	*ret_len = 0;
	while ((scn = elf_nextscn(elf, scn))) {
		size_t off = 0, name, desc;
		Elf_Data *data;
		GElf_Nhdr nh;

		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_NOTE || !(data = elf_section_data(scn)))
			continue;
		while ((off = gelf_getnote(data, off, &nh, &name, &desc)) > 0) {
			if (nh.n_type != NT_GNU_BUILD_ID || nh.n_namesz != 4 || nh.n_descsz > 64 ||
			    memcmp((char *)data->d_buf + name, "GNU", 4) != 0)
				continue;
			memcpy(id, (char *)data->d_buf + desc, nh.n_descsz);
			*ret_len = nh.n_descsz;
			return;
		}
	}
}

/* Takes the debug file at path, if it is this very program's. */
static bool
try_debug(struct elfsyms *e, int root_fd, const char *path)
{
	unsigned char id[64];
	size_t len;
	cleanup_close int fd = open_below(root_fd, path);
	Elf *elf = fd >= 0 ? elf_begin(fd, ELF_C_READ, NULL) : NULL;

	if (elf && elf_kind(elf) == ELF_K_ELF) {
		read_build_id(elf, id, &len);
		if (len == e->build_id_len && memcmp(id, e->build_id, len) == 0 &&
		    add_tables(e, elf, SHT_SYMTAB)) {
			elf_cntl(elf, ELF_C_FDDONE);
			e->debug = elf;
			return true;
		}
	}
	elf_end(elf);
	return false;
}

static void
find_debug(struct elfsyms *e, int root_fd, const char *path)
{
	cleanup_free char *hex = str_hex(e->build_id, e->build_id_len), *dir = xstrdup(path),
			  *link = NULL;
	cleanup_free char *by_id = NULL;
	char *slash = strrchr(dir, '/');
	Elf_Data *data;
	Elf_Scn *scn;
	GElf_Shdr sh;

	if (!e->build_id_len) /* a debug link alone has a checksum of the whole file: not worth it */
		return;
	by_id = str_printf("/usr/lib/debug/.build-id/%.2s/%s.debug", hex, hex + 2);
	if (try_debug(e, root_fd, by_id))
		return;
	scn = elf_section_named(e->elf, ".gnu_debuglink", &sh);
	data = scn ? elf_section_data(scn) : NULL;
	if (!data || !data->d_size || !memchr(data->d_buf, 0, data->d_size) || !slash)
		return;
	link = xstrdup(data->d_buf);
	if (strchr(link, '/'))
		return;
	*slash = '\0';
	for (size_t i = 0; i < 3; i++) {
		static const char *const places[][2] = {
			{"", "/"}, {"", "/.debug/"}, {"/usr/lib/debug", "/"}};
		cleanup_free char *file = str_printf("%s%s%s%s", places[i][0], dir, places[i][1],
						     link);

		if (try_debug(e, root_fd, file))
			return;
	}
}

/* --- notes */

/* A string at *at, before end; moves behind its NUL. */
static const char *
take_string(const char **at, const char *end)
{
	const char *s = *at, *nul = s < end ? memchr(s, 0, (size_t)(end - s)) : NULL;

	if (!nul)
		return NULL;
	*at = nul + 1;
	return s;
}

static uint64_t
take_address(const char **at, unsigned size)
{
	uint64_t v = 0;

	memcpy(&v, *at, size);
	*at += size;
	return v;
}

static void
keep_note(struct elfsyms *e, const struct sdt_note *n)
{
	if (e->n_notes == MAX_NOTES)
		return;
	if (e->n_notes % 64 == 0)
		e->notes = xreallocarray(e->notes, e->n_notes + 64, sizeof(*n));
	e->notes[e->n_notes++] = *n;
}

/* Addresses in a note are as it was linked first: .stapsdt.base tells if prelink moved it. */
static void
add_note(struct elfsyms *e, const char *at, size_t size, uint64_t base, bool asks)
{
	unsigned word = e->head.e_ident[EI_CLASS] == ELFCLASS32 ? 4 : 8;
	const char *end = at + size;
	struct sdt_note n = {.asks = asks};
	uint64_t linked;

	if (size < 3 * word)
		return;
	n.pc = take_address(&at, word);
	linked = take_address(&at, word);
	n.semaphore = take_address(&at, word);
	n.provider = take_string(&at, end);
	n.name = take_string(&at, end);
	n.args = take_string(&at, end);
	if (!n.provider || !n.name || !n.args)
		return;
	if (base && linked) {
		n.pc += base - linked;
		n.semaphore += n.semaphore ? base - linked : 0;
	}
	keep_note(e, &n);
}

/* "place, function, provider, name, number of arguments (a byte), operands". */
static void
add_usdt_note(struct elfsyms *e, const char *at, size_t size, bool asks)
{
	const char *end = at + size;
	struct sdt_note n = {.asks = asks};

	if (size < 16)
		return;
	n.pc = take_address(&at, 8);
	take_address(&at, 8);
	n.provider = take_string(&at, end);
	n.name = take_string(&at, end);
	if (!n.provider || !n.name || at++ == end || !(n.args = take_string(&at, end)))
		return;
	keep_note(e, &n);
}

static void
read_usdt_notes(struct elfsyms *e)
{
	Elf_Data *data;
	GElf_Shdr sh;
	Elf_Scn *scn = elf_section_named(e->elf, ".note.usdt", &sh);
	size_t off = 0, name, desc;
	GElf_Nhdr nh;

	if (!scn || !(data = elf_section_data(scn)))
		return;
	while ((off = gelf_getnote(data, off, &nh, &name, &desc)) > 0)
		if ((nh.n_type == 1 || nh.n_type == 2) && nh.n_namesz == 5 &&
		    memcmp((char *)data->d_buf + name, "usdt", 5) == 0)
			add_usdt_note(e, (char *)data->d_buf + desc, nh.n_descsz, nh.n_type == 2);
}

static void
read_notes(struct elfsyms *e, const char *section, const char *owner, bool asks)
{
	GElf_Shdr sh, base;
	Elf_Scn *scn = elf_section_named(e->elf, section, &sh);
	Elf_Data *data = scn ? elf_section_data(scn) : NULL;
	size_t off = 0, name, desc, len = strlen(owner) + 1;
	GElf_Nhdr nh;

	if (!data)
		return;
	if (!elf_section_named(e->elf, ".stapsdt.base", &base))
		base.sh_addr = 0;
	while ((off = gelf_getnote(data, off, &nh, &name, &desc)) > 0)
		if (nh.n_type == 3 && nh.n_namesz == len &&
		    memcmp((char *)data->d_buf + name, owner, len) == 0)
			add_note(e, (char *)data->d_buf + desc, nh.n_descsz, base.sh_addr, asks);
}

/* --- the file */

static void
read_segments(struct elfsyms *e, int fd)
{
	size_t n;
	GElf_Phdr ph;

	if (elf_getphdrnum(e->elf, &n) != 0 || n > 65536)
		return;
	e->segments = xcalloc(n ? n : 1, sizeof(*e->segments));
	for (size_t i = 0; i < n; i++) {
		if (!gelf_getphdr(e->elf, (int)i, &ph))
			continue;
		if (ph.p_type == PT_LOAD)
			e->segments[e->n_segments++] =
				(struct segment){ph.p_vaddr, ph.p_offset, ph.p_filesz, ph.p_memsz};
		if (ph.p_type == PT_INTERP && ph.p_filesz > 1 && ph.p_filesz < 4096 && !e->interp) {
			e->interp = xcalloc(1, ph.p_filesz + 1);
			if (pread(fd, e->interp, ph.p_filesz, (off_t)ph.p_offset) < 0)
				e->interp[0] = '\0';
		}
	}
}

/* Sections that others read, small ones. */
static const char *const kept_sections[] = {".dtrace.providers", ".note.usdt", ".SUNW_dof"};

/* Addresses in a program that may be loaded anywhere stand in its relocations, not in the section. */
static void
apply_relative(const struct elfsyms *e, const GElf_Shdr *to, char *data, size_t len)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;

	while (e->head.e_type == ET_DYN && (scn = elf_nextscn(e->elf, scn)) && gelf_getshdr(scn, &sh)) {
		Elf_Data *table = sh.sh_type == SHT_RELA ? elf_section_data(scn) : NULL;
		GElf_Rela r;

		for (int i = 0; table && gelf_getrela(table, i, &r); i++)
			if (GELF_R_TYPE(r.r_info) == R_X86_64_RELATIVE && r.r_offset >= to->sh_addr &&
			    len >= 8 && r.r_offset - to->sh_addr <= len - 8)
				memcpy(data + (r.r_offset - to->sh_addr), &r.r_addend, 8);
	}
}

static void
keep_section(struct elfsyms *e, size_t i)
{
	GElf_Shdr sh;
	Elf_Scn *scn = elf_section_named(e->elf, kept_sections[i], &sh);
	Elf_Data *data = scn && sh.sh_size <= 1 << 20 ? elf_section_data(scn) : NULL;

	if (!data || !data->d_buf)
		return;
	e->kept[i].data = xcalloc(1, data->d_size + 1);
	memcpy(e->kept[i].data, data->d_buf, data->d_size);
	e->kept[i].len = data->d_size;
	e->kept[i].addr = sh.sh_addr;
	if (sh.sh_flags & SHF_ALLOC)
		apply_relative(e, &sh, e->kept[i].data, e->kept[i].len);
}

uint64_t
elfsyms_section_addr(const struct elfsyms *e, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(e->kept); i++)
		if (str_eq(kept_sections[i], name))
			return e->kept[i].addr;
	return 0;
}

char *
elfsyms_section(const struct elfsyms *e, const char *name, size_t *ret_len)
{
	for (size_t i = 0; i < ARRAY_SIZE(e->kept); i++) {
		if (!str_eq(kept_sections[i], name) || !e->kept[i].data)
			continue;
		*ret_len = e->kept[i].len;
		return xmemdup(e->kept[i].data, e->kept[i].len + 1);
	}
	return NULL;
}

int
elfsyms_open(int fd, int root_fd, const char *path, struct elfsyms **ret, struct error *err)
{
	cleanup_elfsyms struct elfsyms *e = NULL;
	struct stat st;
	bool table;

	if (elf_version(EV_CURRENT) == EV_NONE)
		abort();
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(err, ENOEXEC, "%s: not a regular file", path);
	e = xcalloc(1, sizeof(*e));
	e->elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!e->elf || elf_kind(e->elf) != ELF_K_ELF || !gelf_getehdr(e->elf, &e->head))
		return error_set(err, ENOEXEC, "%s: not an ELF file", path);
	read_segments(e, fd);
	read_build_id(e->elf, e->build_id, &e->build_id_len);
	table = add_tables(e, e->elf, SHT_SYMTAB);
	add_tables(e, e->elf, SHT_DYNSYM);
	if (!table && root_fd >= 0)
		find_debug(e, root_fd, path);
	read_notes(e, ".note.stapsdt", "stapsdt", false);
	read_notes(e, ".note.dtrace", "dtrace", true); /* usdt_make.c */
	read_usdt_notes(e);
	for (size_t i = 0; i < ARRAY_SIZE(e->kept); i++)
		keep_section(e, i);
	/* All that is wanted was read: the descriptor is needed no more. */
	elf_cntl(e->elf, ELF_C_FDDONE);
	sort_symbols(e);
	*ret = steal_ptr(&e);
	return 0;
}

size_t
elfsyms_count(const struct elfsyms *e)
{
	return e->n_syms;
}

const struct elfsym *
elfsyms_sym(const struct elfsyms *e, size_t i)
{
	return i < e->n_syms ? &e->syms[i] : NULL;
}

const struct elfsym *
elfsyms_at(const struct elfsyms *e, uint64_t addr)
{
	/* A symbol inside another may end before addr: the outer one is a few before it. */
	for (size_t i = sorted_upto(e->syms, e->n_syms, addr, addr), tries = 16; i-- > 0 && tries-- > 0;) {
		const struct elfsym *s = &e->syms[i];

		if (addr - s->addr < s->size) {
			while (i > 0 && e->syms[i - 1].addr == s->addr)
				s = &e->syms[--i];
			return s;
		}
	}
	return NULL;
}

const struct elfsym *
elfsyms_function(const struct elfsyms *e, const char *name)
{
	for (size_t i = 0; i < e->n_syms; i++)
		if (e->syms[i].is_func && str_eq(e->syms[i].name, name))
			return &e->syms[i];
	return NULL;
}

size_t
elfsyms_n_notes(const struct elfsyms *e)
{
	return e->n_notes;
}

const struct sdt_note *
elfsyms_note(const struct elfsyms *e, size_t i)
{
	return i < e->n_notes ? &e->notes[i] : NULL;
}

uint64_t
elfsyms_entry(const struct elfsyms *e)
{
	return e->head.e_entry;
}

bool
elfsyms_is_32bit(const struct elfsyms *e)
{
	return e->head.e_ident[EI_CLASS] == ELFCLASS32;
}

const char *
elfsyms_interp(const struct elfsyms *e)
{
	return str_empty(e->interp) ? NULL : e->interp;
}

bool
elfsyms_to_offset(const struct elfsyms *e, uint64_t addr, uint64_t *ret)
{
	for (size_t i = 0; i < e->n_segments; i++) {
		const struct segment *s = &e->segments[i];

		if (addr >= s->addr && addr - s->addr < s->file_size) {
			*ret = addr - s->addr + s->offset;
			return true;
		}
	}
	/* The rest of a segment's last page is in the file's mapping, too: where .bss begins. */
	for (size_t i = 0; i < e->n_segments; i++) {
		const struct segment *s = &e->segments[i];
		uint64_t end = (s->addr + s->file_size + 4095) & ~4095ull;

		if (addr >= s->addr && addr < end && addr - s->addr < s->mem_size) {
			*ret = addr - s->addr + s->offset;
			return true;
		}
	}
	return false;
}

bool
elfsyms_to_addr(const struct elfsyms *e, uint64_t offset, uint64_t *ret)
{
	for (size_t i = 0; i < e->n_segments; i++) {
		const struct segment *s = &e->segments[i];

		if (offset >= s->offset && offset - s->offset < s->file_size) {
			*ret = offset - s->offset + s->addr;
			return true;
		}
	}
	/* Behind the last byte from the file its mapping goes on with zeros (.bss). */
	for (size_t i = 0; i < e->n_segments; i++) {
		const struct segment *s = &e->segments[i];

		if (offset >= s->offset && offset - s->offset < s->mem_size) {
			*ret = offset - s->offset + s->addr;
			return true;
		}
	}
	return false;
}

size_t
elfsyms_read(const struct elfsyms *e, int fd, uint64_t addr, void *buf, size_t size)
{
	uint64_t off;
	ssize_t n;

	if (!elfsyms_to_offset(e, addr, &off))
		return 0;
	n = pread(fd, buf, size, (off_t)off);
	return n > 0 ? (size_t)n : 0;
}
