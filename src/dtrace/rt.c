/*
 * The run-time functions as data: the object that the build made of rt.bpf.c,
 * carried inside the program, and the offsets of the kernel's members for them.
 */
#include "dtrace/rt.h"

#include <elf.h>
#include <string.h>

#include "dtrace/gen.h"
#include "rt_object.h"

__asm__(".section .rodata\n"
	".balign 8\n"
	"rt_object: .incbin \"" RT_OBJECT "\"\n"
	".previous\n");
extern const char rt_object[];

static const Elf64_Shdr *
section(size_t i)
{
	const Elf64_Ehdr *h = (const void *)rt_object;

	return (const void *)(rt_object + h->e_shoff + i * h->e_shentsize);
}

/* The function's instructions; NULL if there is none of that name. */
static const struct bpf_insn *
find(const char *name, size_t *ret_n)
{
	const Elf64_Ehdr *h = (const void *)rt_object;

	for (size_t s = 0; s < h->e_shnum; s++) {
		const Elf64_Shdr *table = section(s);
		const Elf64_Sym *syms = (const void *)(rt_object + table->sh_offset);
		const char *names;

		if (table->sh_type != SHT_SYMTAB)
			continue;
		names = rt_object + section(table->sh_link)->sh_offset;
		for (size_t i = 0; i < table->sh_size / sizeof(*syms); i++) {
			if (ELF64_ST_TYPE(syms[i].st_info) != STT_FUNC ||
			    !str_eq(names + syms[i].st_name, name))
				continue;
			*ret_n = syms[i].st_size / sizeof(struct bpf_insn);
			return (const void *)(rt_object + section(syms[i].st_shndx)->sh_offset +
					      syms[i].st_value);
		}
	}
	return NULL;
}

struct place
gen_rt_place(struct gen *g, size_t off)
{
	return (struct place){R7, (int)(g->dt->rt_off + off)};
}

void
gen_rt(struct gen *g, const char *name)
{
	size_t i = 0;

	while (i < g->n_rt && !str_eq(g->rt[i].name, name))
		i++;
	if (i == g->n_rt) {
		g->rt = xreallocarray(g->rt, g->n_rt + 1, sizeof(*g->rt));
		g->rt[g->n_rt].name = name;
		g->rt[g->n_rt++].label = asm_label(&g->a);
	}
	gen_place(g, R1, gen_rt_place(g, 0));
	asm_call_local(&g->a, g->rt[i].label);
}

void
gen_rt_bodies(struct gen *g)
{
	for (size_t i = 0; i < g->n_rt; i++) {
		size_t n = 0;
		const struct bpf_insn *insns = find(g->rt[i].name, &n);

		asm_here(&g->a, g->rt[i].label);
		for (size_t k = 0; k < n; k++)
			asm_emit(&g->a, insns[k].code, insns[k].dst_reg, insns[k].src_reg,
				 insns[k].off, insns[k].imm);
	}
}

int
gen_rt_offset(struct gen *g, const struct node *where, enum rt_offset which, struct error *err)
{
	static const struct {
		const char *type, *member;
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
	};
	const struct ctf_type *t = ctf_find(g->dt->kernel, rows[which].type);
	cleanup_strv struct strv names = STRV_INIT;
	struct place to = gen_rt_place(g, offsetof(struct rt, off) + 8 * (size_t)which);
	uint64_t bits = 0;
	struct ctf_member m;

	strv_split(&names, rows[which].member, ".");
	for (size_t i = 0; i < names.n; i++) {
		if (!t || !ctf_find_member(t, names.v[i], &m))
			return d_error(err, where->line, "D_UNKNOWN",
				       "this kernel has no %s.%s, which %s needs", rows[which].type,
				       rows[which].member, where->name ? where->name : "this");
		bits += m.bit_offset;
		t = m.type;
	}
	asm_storei(&g->a, 8, to.reg, to.off, (int32_t)(bits / 8));
	return 0;
}
