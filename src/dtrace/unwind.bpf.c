/*
 * The walk up a user stack, as the probe fires; unwind.c has the theory.
 *
 * Functions, copied behind programs as those of rt.bpf.c are; they call one another, and their maps
 * stand for those that unwind.c makes, by name.
 *
 * What a function finds it leaves in rt->uw, and returns 0: inside of a loop the verifier of Linux 6.12
 * takes two ways through a function for one only if they end with the very same registers.  With results
 * in r0 it looked at ten times as many instructions.
 */
#include "../ctf/cfi.h"
#include "rt_bpf.h"

/* struct pt_regs */
enum { BP = 8 * 4, BX = 8 * 5, IP = 8 * 16, CS = 8 * 17, SP = 8 * 19 };

#define USER32_CS 0x23
#define VM_EXEC 4

extern char unwind_objects, unwind_blocks, unwind_maps, unwind_ring;

/* --- the kernel's tree of mappings (Documentation/core-api/maple_tree.rst) */

#define NODE_MASK 255ull
#define NODE_TYPE(entry) ((entry) >> 3 & 15)
enum { LEAF_64 = 1, RANGE_64 = 2, ARANGE_64 = 3 };

/* The slot that covers addr in the node at hand: pivots are the last addresses of slots. */
INLINE u64
slot_for(rt_t *rt, u64 addr, u64 slots)
{
	for (rt->i = 0; can_loop && rt->i < slots - 1; rt->i++) {
		u64 i = rt->i + 1, pivot;

		opaque(i);
		pivot = rt->uw.node[i & 31];
		if (pivot >= addr || (!pivot && rt->i))
			break;
	}
	return rt->i;
}

/*
 * To vma: the struct vm_area_struct at addr, or 0.  What changes meanwhile makes a wrong guess, no
 * fault.
 */
FUNC u64
rt_u_find_vma(rt_t *rt, u64 addr)
{
	rt->uw.vma = 0;
	rt->uw.entry = rt->uw.root;
	for (rt->uw.level = 0; can_loop && rt->uw.level < 16; rt->uw.level++) {
		u64 entry = rt->uw.entry, type = NODE_TYPE(entry), slots, slot;

		if (entry <= 4096 || type < LEAF_64 || type > ARANGE_64)
			return 0;
		if (bpf_probe_read_kernel((void *)rt->uw.node, sizeof(rt->uw.node),
					  (const void *)(entry & ~NODE_MASK)) < 0)
			return 0;
		slots = type == ARANGE_64 ? 10 : 16;
		slot = slots +
		       slot_for(rt, addr, slots); /* behind the parent and slots - 1 pivots */
		opaque(slot);
		rt->uw.entry = rt->uw.node[slot & 31];
		if (type == LEAF_64) {
			rt->uw.vma = rt->uw.entry;
			return 0;
		}
	}
	return 0;
}

/* --- mappings and their tables */

INLINE void
note_map(rt_t *rt)
{
	if (!bpf_map_lookup_elem(&unwind_maps, (void *)&rt->uw.key))
		bpf_map_update_elem(&unwind_maps, (void *)&rt->uw.key, (void *)&rt->uw.map,
				    BPF_ANY);
}

/* The table of the file at hand; one that is not there is asked for, once. */
FUNC u64
rt_u_find_object(rt_t *rt)
{
	struct unwind_object *o = bpf_map_lookup_elem(&unwind_objects, (void *)&rt->uw.map.file);
	u64 n = rt->uw.n_misses;

	rt->uw.object.id = rt->uw.object.root = rt->uw.object.depth = 0;
	if (o) {
		rt->uw.object.root = o->root;
		rt->uw.object.depth = o->depth;
		rt->uw.object.id = o->id;
		return 0;
	}
	opaque(n);
	if (n >= UNWIND_MISSES || bpf_map_update_elem(&unwind_objects, (void *)&rt->uw.map.file,
						      (void *)&rt->uw.object, BPF_NOEXIST) < 0)
		return 0;
	rt->uw.misses[n] = rt->uw.vma;
	rt->uw.n_misses = n + 1;
	return 0;
}

/* Which file that is. */
INLINE void
identify(rt_t *rt, volatile struct unwind_file *f, u64 file)
{
	u64 inode = load(file + rt->off[RT_FILE_INODE]);

	f->dev = load4(load(inode + rt->off[RT_INODE_SB]) + rt->off[RT_SB_DEV]);
	f->inode = load(inode + rt->off[RT_INODE_INO]);
	f->edition = UNWIND_EDITION(load(inode + rt->off[RT_INODE_MTIME]),
				    load4(inode + rt->off[RT_INODE_MTIME_NS]),
				    load4(inode + rt->off[RT_INODE_GENERATION]));
}

INLINE void
identify_vdso(rt_t *rt, volatile struct unwind_file *f)
{
	f->dev = f->edition = 0;
	f->inode = UNWIND_VDSO + (rt->uw.word == 4);
}

/* What is to be known of the mapping at hand: its file, and that one's table. */
FUNC u64
rt_u_find_file(rt_t *rt)
{
	u64 file = load(rt->uw.vma + rt->off[RT_VMA_FILE]);

	rt->uw.object.id = UNWIND_NO_TABLE;
	if (file) {
		identify(rt, &rt->uw.map.file, file);
		note_map(rt);
	} else if (rt->uw.key.start == load(rt->uw.mm + rt->off[RT_MM_VDSO])) {
		rt->uw.map.offset = 0;
		identify_vdso(rt, &rt->uw.map.file);
	} else {
		return 0;
	}
	rt_u_find_object(rt);
	return 0;
}

/* The mapping around pc to be at hand; one that ends at 0 if there is none. */
FUNC u64
rt_u_find_map(rt_t *rt, u64 pc)
{
	if (pc - rt->uw.key.start < rt->uw.map.end - rt->uw.key.start)
		return 0;
	rt_u_find_vma(rt, pc);
	rt->uw.key.start = load(rt->uw.vma + rt->off[RT_VMA_START]);
	rt->uw.map.end = load(rt->uw.vma + rt->off[RT_VMA_END]);
	rt->uw.map.offset = load(rt->uw.vma + rt->off[RT_VMA_OFFSET]) << 12;
	if (!rt->uw.vma || pc - rt->uw.key.start >= rt->uw.map.end - rt->uw.key.start ||
	    !(load(rt->uw.vma + rt->off[RT_VMA_FLAGS]) & VM_EXEC))
		rt->uw.key.start = rt->uw.map.end = 0;
	else
		rt_u_find_file(rt);
	return 0;
}

/* What was not there goes to the consumer. */
FUNC u64
rt_u_tell_misses(rt_t *rt)
{
	while (can_loop && rt->uw.n_misses > 0) {
		u64 n = rt->uw.n_misses - 1, vma, file;

		rt->uw.n_misses = n;
		opaque(n);
		if (n >= UNWIND_MISSES)
			return 0;
		vma = rt->uw.misses[n];
		rt->uw.miss.clause = DT_MISS;
		rt->uw.miss.probe = 0;
		rt->uw.miss.key.pid = rt->uw.key.pid;
		rt->uw.miss.key.start = load(vma + rt->off[RT_VMA_START]);
		rt->uw.miss.map.end = load(vma + rt->off[RT_VMA_END]);
		rt->uw.miss.map.offset = load(vma + rt->off[RT_VMA_OFFSET]) << 12;
		file = load(vma + rt->off[RT_VMA_FILE]);
		if (file) {
			identify(rt, &rt->uw.miss.map.file, file);
			path_name(rt, (char *)rt->uw.miss.path, file + rt->off[RT_FILE_PATH],
				  UNWIND_PATH);
		} else {
			identify_vdso(rt, &rt->uw.miss.map.file);
			rt->uw.miss.path[0] = 0;
		}
		bpf_ringbuf_output(&unwind_ring, (void *)&rt->uw.miss, sizeof(rt->uw.miss),
				   BPF_RB_FORCE_WAKEUP);
	}
	return 0;
}

/* The last row that begins at `at` or before it: five halvings, no branches. */
INLINE u64
row_for(const struct unwind_block *b, u64 at)
{
	u64 pos = 0;

#pragma unroll
	for (u64 step = UNWIND_ROWS / 2; step; step /= 2) {
		u64 next = (pos + step) & (UNWIND_ROWS - 1), above;

		above = (at - b->rows[next].at) >> 63; /* 1 if that row begins behind it */
		opaque(above);
		pos += step & (above - 1);
		opaque(pos);
	}
	return pos & (UNWIND_ROWS - 1);
}

/* One level of the table down: `block` to be what its row for uw.at says, a block or at last a rule. */
FUNC u64
rt_u_descend(rt_t *rt)
{
	struct unwind_block *b = bpf_map_lookup_elem(&unwind_blocks, (void *)&rt->uw.block);
	u64 at = rt->uw.at, row;

	rt->uw.block.block = UNWIND_NO_TABLE;
	if (!b)
		return 0;
	row = row_for(b, at);
	if (b->rows[row].at <= at)
		rt->uw.block.block = b->rows[row].what;
	return 0;
}

/* To rule: that for the place uw.at of the file at hand, by its table. */
FUNC u64
rt_u_search(rt_t *rt)
{
	rt->uw.rule = UNWIND_MAPPED | CFI_NONE;
	rt->uw.block.object = rt->uw.object.id;
	rt->uw.block.block = rt->uw.object.root;
	if (!rt->uw.block.object || rt->uw.block.object == UNWIND_NO_TABLE)
		return 0;
	for (rt->uw.level = 0; can_loop && rt->uw.level <= rt->uw.object.depth; rt->uw.level++)
		rt_u_descend(rt);
	if (rt->uw.block.block != UNWIND_NO_TABLE)
		rt->uw.rule = UNWIND_MAPPED | rt->uw.block.block;
	return 0;
}

/* Where a place in memory is remembered: return addresses are spread well by their last bits. */
INLINE volatile struct unwind_hot *
hot(rt_t *rt, u64 pc)
{
	u64 row = pc ^ pc >> 9;

	opaque(row);
	return &rt->uw.hot[row & (UNWIND_HOT - 1)];
}

/* By the mapping and its file's table.  A file whose table is on its way will be asked again. */
FUNC u64
rt_u_find_rule(rt_t *rt, u64 pc)
{
	volatile struct unwind_hot *h;

	rt->uw.rule = 0;
	rt_u_find_map(rt, pc);
	if (!rt->uw.map.end)
		return 0;
	rt->uw.at = pc - rt->uw.key.start + rt->uw.map.offset;
	rt_u_search(rt);
	if (!rt->uw.space || !rt->uw.object.id)
		return 0;
	h = hot(rt, pc);
	h->at = pc;
	h->space = rt->uw.space;
	h->rule = rt->uw.rule;
	return 0;
}

/* To rule: that of the frame at hand with UNWIND_MAPPED, or 0 if no code is mapped there. */
FUNC u64
rt_u_to_rule(rt_t *rt)
{
	u64 pc = rt->uw.ip - !rt->uw.exact;
	volatile struct unwind_hot *h = hot(rt, pc);

	if (h->at == pc && h->space == rt->uw.space)
		rt->uw.rule = h->rule;
	else
		rt_u_find_rule(rt, pc);
	return 0;
}

/* --- frames */

/* Most frames are smaller than what is read at once. */
FUNC u64
rt_u_read(rt_t *rt, u64 addr)
{
	u64 in = addr & (UNWIND_WINDOW - 1), start = addr - in;
	const volatile char *at;

	if (start != rt->uw.window) {
		rt->uw.window = start;
		if (bpf_probe_read_user((void *)rt->uw.words, UNWIND_WINDOW, (const void *)start) < 0) {
			rt->uw.window = UNWIND_NO_WINDOW;
			rt->uw.got = 0;
			return 0;
		}
	}
	opaque(in);
	at = (const volatile char *)rt->uw.words + (in & (UNWIND_WINDOW - 1));
	rt->uw.got = *(const volatile u64 *)at;
	if (rt->uw.word == 4)
		rt->uw.got = *(const volatile u32 *)at;
	return 0;
}

/* A word of the stack; 0 if it cannot be read.  Mostly it was read with the one before. */
INLINE u64
user_word(rt_t *rt, u64 addr)
{
	u64 in = addr - rt->uw.window;

	opaque(in);
	if (rt->uw.word == 8 && in < UNWIND_WINDOW)
		return *(const volatile u64 *)((const volatile char *)rt->uw.words + in);
	rt_u_read(rt, addr);
	return rt->uw.got;
}

/* The signal frame's struct ucontext: its registers are in order r8 ... r15, di, si, bp, bx, dx,
 * ax, cx, sp, ip. */
FUNC u64
rt_u_from_signal(rt_t *rt)
{
	u64 regs = rt->uw.sp + 40;

	rt->uw.fp = user_word(rt, regs + 8 * 10);
	rt->uw.bx = user_word(rt, regs + 8 * 11);
	rt->uw.ip = user_word(rt, regs + 8 * 16);
	rt->uw.sp = user_word(rt, regs + 8 * 15);
	rt->uw.exact = 1;
	return 0;
}

/* A return probe put its own address into the slot below the CFA and keeps the one that belongs there. */
FUNC u64
rt_u_behind_trampoline(rt_t *rt)
{
	u64 task = bpf_get_current_task(), slot = rt->uw.cfa - rt->uw.word;

	rt->a = load(load(task + rt->off[RT_TASK_UTASK]) + rt->off[RT_UTASK_RETURNS]);
	for (rt->i = 0; can_loop && rt->i < 64 && rt->a; rt->i++) {
		if (load(rt->a + rt->off[RT_RETURN_STACK]) == slot) {
			rt->uw.ip = load(rt->a + rt->off[RT_RETURN_ADDR]);
			return 0;
		}
		rt->a = load(rt->a + rt->off[RT_RETURN_NEXT]);
	}
	return 0;
}

/* The CFA by the rule; 0: it cannot be told. */
FUNC u64
rt_u_find_cfa(rt_t *rt)
{
	u64 rule = rt->uw.rule, kind = CFI_KIND(rule), word = rt->uw.word;
	u64 number = (u64)(long)CFI_OFFSET((u32)rule), off = number * word;

	if (kind == CFI_SP)
		rt->uw.cfa = rt->uw.sp + off;
	else if (kind == CFI_FP)
		rt->uw.cfa = rt->uw.fp + off;
	else if (kind == CFI_BX)
		rt->uw.cfa = rt->uw.bx + off;
	else if (kind == CFI_FP_DEREF)
		rt->uw.cfa = user_word(rt, rt->uw.fp + off);
	else if (kind == CFI_PLT)
		rt->uw.cfa = rt->uw.sp + word + ((rt->uw.ip & 15) >= number ? word : 0);
	else /* a compiler at run time keeps frame pointers, and so do many programs */
		rt->uw.cfa = rt->uw.fp >= rt->uw.sp ? rt->uw.fp + 2 * word : 0;
	return 0;
}

/* The caller's registers, by the CFA; upwards, as the window goes. */
FUNC u64
rt_u_restore(rt_t *rt)
{
	u64 saved = CFI_SAVED_BX(rt->uw.rule);

	if (saved)
		rt->uw.bx = user_word(rt, rt->uw.cfa - saved * rt->uw.word);
	saved = rt->uw.guessed ? 2 : CFI_SAVED_FP(rt->uw.rule);
	if (saved)
		rt->uw.fp = user_word(rt, saved == CFI_AT_FP ? rt->uw.fp
							     : rt->uw.cfa - saved * rt->uw.word);
	rt->uw.sp = rt->uw.cfa;
	rt->uw.ip = user_word(rt, rt->uw.cfa - rt->uw.word);
	if (rt->uw.ip && rt->uw.ip == rt->uw.trampoline)
		rt_u_behind_trampoline(rt);
	return 0;
}

/* To the caller's frame; ip 0: there is none. */
FUNC u64
rt_u_to_caller(rt_t *rt)
{
	u64 kind = CFI_KIND(rt->uw.rule);

	rt->uw.exact = 0;
	rt->uw.guessed = kind == CFI_NONE;
	rt->uw.cfa = 0;
	if (kind == CFI_SIGNAL) {
		rt_u_from_signal(rt);
		return 0;
	}
	if (rt->uw.rule && kind != CFI_END)
		rt_u_find_cfa(rt);
	if (rt->uw.cfa > rt->uw.sp)
		rt_u_restore(rt);
	else
		rt->uw.ip = 0;
	return 0;
}

/*
 * What the address space's number (never used again) and the count of its changes make together, for as
 * long as it stays as it is.  Now and then 0, so that mappings in use are noted again.
 */
INLINE u64
space_of(rt_t *rt)
{
	rt->uw.walks++;
	if (!rt->off[RT_MM_CHANGES] || !(rt->uw.walks % UNWIND_REFRESH))
		return 0;
	return load(rt->uw.mm + rt->off[RT_MM_NUMBER]) << 32 |
	       load4(rt->uw.mm + rt->off[RT_MM_CHANGES]);
}

/* Registers of the process at the place where it left for the kernel; ip 0: it is a kernel's thread. */
FUNC u64
rt_u_start(rt_t *rt, u64 task, u64 regs)
{
	u64 cs;

	rt->uw.mm = load(task + rt->off[RT_TASK_MM]);
	cs = load(regs + CS);
	rt->uw.ip = 0;
	if (!rt->uw.mm || (cs & 3) != 3)
		return 0;
	rt->uw.word = cs == USER32_CS ? 4 : 8;
	rt->uw.ip = load(regs + IP);
	rt->uw.sp = load(regs + SP);
	rt->uw.fp = load(regs + BP);
	rt->uw.bx = load(regs + BX);
	rt->uw.root = load(rt->uw.mm + rt->off[RT_MM_TREE]);
	rt->uw.trampoline =
		rt->off[RT_MM_XOL]
			? load(load(rt->uw.mm + rt->off[RT_MM_XOL]) + rt->off[RT_XOL_ADDR])
			: 0;
	rt->uw.key.pid = bpf_get_current_pid_tgid() >> 32;
	rt->uw.key.start = rt->uw.map.end = 0;
	rt->uw.space = space_of(rt);
	rt->uw.window = UNWIND_NO_WINDOW;
	rt->uw.exact = 1;
	rt->uw.guessed = 0;
	rt->uw.n_misses = 0;
	return 0;
}

/* Where addr is mapped goes to unwind_maps, and its file is asked for: names of what will be gone. */
FUNC long
rt_unote(rt_t *rt, u64 addr, u64 task, u64 regs)
{
	rt_u_start(rt, task, regs);
	if (!rt->uw.ip)
		return 0;
	rt->uw.ip = addr;
	rt_u_to_rule(rt);
	if (rt->uw.n_misses)
		rt_u_tell_misses(rt);
	return 0;
}

/* Frames of the task to dst, `size` bytes of zeros before; their number. */
FUNC long
rt_ustack(rt_t *rt, char *dst, u64 size, u64 task, u64 regs)
{
	rt_u_start(rt, task, regs);
	for (rt->n = 0; can_loop && rt->uw.ip; rt->n++) {
		u64 at = rt->n;

		opaque(at);
		if (at >= size / 8)
			break;
		rt_u_to_rule(rt);
		if (rt->uw.guessed && !rt->uw.rule)
			break; /* a guess, and a bad one */
		*(u64 *)(dst + 8 * at) = rt->uw.ip;
		rt_u_to_caller(rt);
	}
	if (rt->uw.n_misses)
		rt_u_tell_misses(rt);
	return (long)rt->n;
}
