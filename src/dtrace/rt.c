/*
 * The run-time functions as data: the objects that the build made of rt.bpf.c and unwind.bpf.c,
 * carried inside the program, and the offsets of the kernel's members for them.
 */
#include "dtrace/rt.h"

#include <elf.h>
#include <string.h>

#include "dtrace/gen.h"
#include "dtrace/unwind.h"
#include "dtrace/unwinder.h"
#include "rt_object.h"

__asm__(".section .rodata\n"
	".balign 8\n"
	"rt_object: .incbin \"" RT_OBJECT "\"\n"
	".balign 8\n"
	"unwind_object: .incbin \"" UNWIND_OBJECT "\"\n"
	".previous\n");
extern const char rt_object[], unwind_object[];

static const Elf64_Shdr *
section(const char *object, size_t i)
{
	const Elf64_Ehdr *h = (const void *)object;

	return (const void *)(object + h->e_shoff + i * h->e_shentsize);
}

/* A function: where its instructions stand. */
struct body {
	const char *object;
	size_t section, offset, n; /* in that section, bytes; instructions */
};

static bool
find_in(const char *object, const char *name, struct body *ret)
{
	const Elf64_Ehdr *h = (const void *)object;

	for (size_t s = 0; s < h->e_shnum; s++) {
		const Elf64_Shdr *table = section(object, s);
		const Elf64_Sym *syms = (const void *)(object + table->sh_offset);
		const char *names;

		if (table->sh_type != SHT_SYMTAB)
			continue;
		names = object + section(object, table->sh_link)->sh_offset;
		for (size_t i = 0; i < table->sh_size / sizeof(*syms); i++) {
			if (ELF64_ST_TYPE(syms[i].st_info) != STT_FUNC ||
			    !str_eq(names + syms[i].st_name, name))
				continue;
			*ret = (struct body){object, syms[i].st_shndx, syms[i].st_value,
					     syms[i].st_size / sizeof(struct bpf_insn)};
			return true;
		}
	}
	return false;
}

/* The name of the map or function that an instruction is to refer to; NULL if there is none. */
static const char *
symbol_at(const struct body *b, size_t offset)
{
	const Elf64_Ehdr *h = (const void *)b->object;

	for (size_t s = 0; s < h->e_shnum; s++) {
		const Elf64_Shdr *rels = section(b->object, s), *table;
		const Elf64_Rel *rel = (const void *)(b->object + rels->sh_offset);
		const Elf64_Sym *syms;

		if (rels->sh_type != SHT_REL || rels->sh_info != b->section)
			continue;
		table = section(b->object, rels->sh_link);
		syms = (const void *)(b->object + table->sh_offset);
		for (size_t i = 0; i < rels->sh_size / sizeof(*rel); i++)
			if (rel[i].r_offset == offset)
				return b->object + section(b->object, table->sh_link)->sh_offset +
				       syms[ELF64_R_SYM(rel[i].r_info)].st_name;
	}
	return NULL;
}

/* Where a function stands, or will: it is put behind the program. */
static int
rt_label(struct gen *g, const char *name)
{
	size_t i = 0;

	while (i < g->n_rt && !str_eq(g->rt[i].name, name))
		i++;
	if (i == g->n_rt) {
		g->rt = xreallocarray(g->rt, g->n_rt + 1, sizeof(*g->rt));
		g->rt[g->n_rt].name = name;
		g->rt[g->n_rt++].label = asm_label(&g->a);
	}
	return g->rt[i].label;
}

/* What the object left open: maps, and by what kernel memory is read. */
static int
fill_in(struct gen *g, const char *map, struct bpf_insn *insn, struct error *err)
{
	bool call = insn->code == (BPF_JMP | BPF_CALL) && insn->imm == RT_CAST;
	bool type = insn->code == (BPF_ALU64 | BPF_MOV | BPF_K) && insn->imm == RT_CAST_TYPE;

	if (map) {
		insn->src_reg = BPF_PSEUDO_MAP_FD;
		insn->imm = unwinder_map(g->dt, map);
	}
	if (!call && !type)
		return 0;
	if (!dt_has_direct(g->dt))
		return error_set(err, ENOTSUP, "this kernel has no bpf_rdonly_cast(), or does not compile BPF");
	if (call)
		insn->src_reg = BPF_PSEUDO_KFUNC_CALL;
	insn->imm = (int32_t)(call ? g->dt->cast_function : g->dt->cast_type);
	return 0;
}

static int
copy_body(struct gen *g, const struct body *b, struct error *err)
{
	const struct bpf_insn *insns =
		(const void *)(b->object + section(b->object, b->section)->sh_offset + b->offset);

	for (size_t k = 0; k < b->n; k++) {
		const char *symbol = symbol_at(b, b->offset + k * sizeof(*insns));
		struct bpf_insn i = insns[k];
		int r;

		if (symbol && i.code == (BPF_JMP | BPF_CALL)) {
			asm_call_local(&g->a, rt_label(g, symbol));
			continue;
		}
		if ((r = fill_in(g, symbol, &i, err)) < 0)
			return r;
		asm_emit(&g->a, i.code, i.dst_reg, i.src_reg, i.off, i.imm);
	}
	return 0;
}

struct place
gen_rt_place(struct gen *g, size_t off)
{
	return (struct place){R7, (int)(g->dt->rt_off + off)};
}

size_t
rt_size(const struct dt *dt)
{
	return dt->unwinder ? sizeof(struct rt) : offsetof(struct rt, uw);
}

void
gen_rt(struct gen *g, const char *name)
{
	gen_place(g, R1, gen_rt_place(g, 0));
	asm_call_local(&g->a, rt_label(g, name));
}

int
gen_rt_bodies(struct gen *g, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < g->n_rt; i++) {
		struct body b = {0};

		if (!find_in(rt_object, g->rt[i].name, &b))
			find_in(unwind_object, g->rt[i].name, &b);
		asm_here(&g->a, g->rt[i].label);
		r = copy_body(g, &b, err);
	}
	return r;
}

static const struct {
	const char *type, *member;
	bool may_lack; /* the offset is 0 then */
} rows[RT_N_OFFSETS] = {
	[RT_TASK_TGID] = {"struct task_struct", "tgid"},
	[RT_TASK_PARENT] = {"struct task_struct", "real_parent"},
	[RT_TASK_MM] = {"struct task_struct", "mm"},
	[RT_TASK_COMM] = {"struct task_struct", "comm"},
	[RT_TASK_CGROUPS] = {"struct task_struct", "cgroups"},
	[RT_PATH_DENTRY] = {"struct path", "dentry"},
	[RT_PATH_MNT] = {"struct path", "mnt"},
	[RT_MOUNT_MNT] = {"struct mount", "mnt"},
	[RT_MOUNT_PARENT] = {"struct mount", "mnt_parent"},
	[RT_MOUNT_POINT] = {"struct mount", "mnt_mountpoint"},
	[RT_VFSMOUNT_ROOT] = {"struct vfsmount", "mnt_root"},
	[RT_DENTRY_PARENT] = {"struct dentry", "d_parent"},
	[RT_DENTRY_NAME] = {"struct dentry", "d_name.name"},
	[RT_KOBJECT_NAME] = {"struct kobject", "name"},
	[RT_KOBJECT_PARENT] = {"struct kobject", "parent"},
	[RT_MM_ARG_START] = {"struct mm_struct", "arg_start"},
	[RT_MM_ARG_END] = {"struct mm_struct", "arg_end"},
	[RT_CSS_SET_CGRP] = {"struct css_set", "dfl_cgrp"},
	[RT_CGROUP_LEVEL] = {"struct cgroup", "level"},
	[RT_CGROUP_ANCESTORS] = {"struct cgroup", "ancestors"},
	[RT_CGROUP_KN] = {"struct cgroup", "kn"},
	[RT_KN_NAME] = {"struct kernfs_node", "name"},
	[RT_TASK_SIGNAL] = {"struct task_struct", "signal"},
	[RT_SIGNAL_PIDS] = {"struct signal_struct", "pids"},
	[RT_PID_LEVEL] = {"struct pid", "level"},
	[RT_PID_NUMBERS] = {"struct pid", "numbers"},
	[RT_TASK_CRED] = {"struct task_struct", "cred"},
	[RT_CRED_USER_NS] = {"struct cred", "user_ns"},
	[RT_USER_NS_INUM] = {"struct user_namespace", "ns.inum"},
	[RT_USER_NS_PARENT] = {"struct user_namespace", "parent"},
	[RT_CRED_UID] = {"struct cred", "uid"},
	[RT_CRED_EUID] = {"struct cred", "euid"},
	[RT_CRED_SUID] = {"struct cred", "suid"},
	[RT_CRED_GID] = {"struct cred", "gid"},
	[RT_CRED_EGID] = {"struct cred", "egid"},
	[RT_CRED_SGID] = {"struct cred", "sgid"},
	[RT_CRED_PERMITTED] = {"struct cred", "cap_permitted"},
	[RT_MM_FLAGS] = {"struct mm_struct", "flags"},
	[RT_MM_TREE] = {"struct mm_struct", "mm_mt.ma_root"},
	[RT_MM_NUMBER] = {"struct mm_struct", "context.ctx_id"},
	[RT_MM_CHANGES] = {"struct mm_struct", "mm_lock_seq"},
	[RT_MM_VDSO] = {"struct mm_struct", "context.vdso"},
	[RT_MM_XOL] = {"struct mm_struct", "uprobes_state.xol_area"},
	[RT_XOL_ADDR] = {"struct xol_area", "vaddr"},
	[RT_TASK_UTASK] = {"struct task_struct", "utask"},
	[RT_UTASK_RETURNS] = {"struct uprobe_task", "return_instances"},
	[RT_RETURN_NEXT] = {"struct return_instance", "next"},
	[RT_RETURN_STACK] = {"struct return_instance", "stack"},
	[RT_RETURN_ADDR] = {"struct return_instance", "orig_ret_vaddr"},
	[RT_VMA_START] = {"struct vm_area_struct", "vm_start"},
	[RT_VMA_END] = {"struct vm_area_struct", "vm_end"},
	[RT_VMA_OFFSET] = {"struct vm_area_struct", "vm_pgoff"},
	[RT_VMA_FLAGS] = {"struct vm_area_struct", "vm_flags"},
	[RT_VMA_FILE] = {"struct vm_area_struct", "vm_file"},
	[RT_FILE_INODE] = {"struct file", "f_inode"},
	[RT_FILE_PATH] = {"struct file", "f_path"},
	[RT_INODE_SB] = {"struct inode", "i_sb"},
	[RT_INODE_INO] = {"struct inode", "i_ino"},
	[RT_INODE_MTIME] = {"struct inode", "i_mtime_sec"},
	[RT_INODE_MTIME_NS] = {"struct inode", "i_mtime_nsec"},
	[RT_INODE_GENERATION] = {"struct inode", "i_generation"},
	[RT_SB_DEV] = {"struct super_block", "s_dev"},
	[RT_DENTRY_SB] = {"struct dentry", "d_sb"},
	[RT_SB_MOUNTS] = {"struct super_block", "s_mounts"},
	[RT_SB_ROOT] = {"struct super_block", "s_root"},
	/* One before 6.18, the other since. */
	[RT_MOUNT_INSTANCE] = {"struct mount", "mnt_instance", .may_lack = true},
	[RT_MOUNT_NEXT] = {"struct mount", "mnt_next_for_sb", .may_lack = true},
	[RT_PAGE_HEAD] = {"struct page", "compound_head"},
	[RT_FOLIO_MAPPING] = {"struct folio", "mapping"},
	[RT_MAPPING_HOST] = {"struct address_space", "host"},
	[RT_INODE_MAPPING] = {"struct inode", "i_mapping"},
	[RT_INODE_DENTRY] = {"struct inode", "i_dentry"},
	[RT_DENTRY_ALIAS] = {"struct dentry", "d_u"},
};

bool
rt_offset_of(struct dt *dt, enum rt_offset which, uint32_t *ret)
{
	const struct ctf_type *t = ctf_find(dt->kernel, rows[which].type);
	cleanup_strv struct strv names = STRV_INIT;
	uint64_t bits = 0;
	struct ctf_member m;

	strv_split(&names, rows[which].member, ".");
	for (size_t i = 0; i < names.n; i++) {
		if (!t || !ctf_find_member(t, names.v[i], &m))
			return false;
		bits += m.bit_offset;
		t = m.type;
	}
	*ret = (uint32_t)(bits / 8);
	return true;
}

void
gen_rt_offset_to(struct gen *g, enum rt_offset which, uint32_t offset)
{
	struct place to = gen_rt_place(g, offsetof(struct rt, off) + 8 * (size_t)which);

	asm_storei(&g->a, 8, to.reg, to.off, (int32_t)offset);
}

int
gen_rt_offset(struct gen *g, const struct node *where, enum rt_offset which, struct error *err)
{
	uint32_t offset = 0;

	if (!rt_offset_of(g->dt, which, &offset) && !rows[which].may_lack)
		return d_error(err, where->line, "D_UNKNOWN",
			       "this kernel has no %s.%s, which %s needs", rows[which].type,
			       rows[which].member, where->name ? where->name : "this");
	gen_rt_offset_to(g, which, offset);
	return 0;
}
