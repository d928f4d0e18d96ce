/*
 * The walk up a user stack, as the probe fires; unwind.c has the theory.
 *
 * Functions, copied behind programs as those of rt.bpf.c are; they call one another, and their maps
 * stand for those that unwind.c makes, by name.
 */
#include "../ctf/cfi.h"
#include "rt_bpf.h"

/* struct pt_regs, in words */
enum { BP = 4, BX = 5, IP = 16, CS = 17, SP = 19 };

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

/* The struct vm_area_struct at addr, or 0.  What changes meanwhile makes a wrong guess, no fault.
 */
FUNC u64
rt_u_vma_at(rt_t *rt, u64 addr)
{
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
		if (type == LEAF_64)
			return rt->uw.entry;
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
rt_u_find_object(rt_t *rt, u64 vma)
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
	rt->uw.misses[n] = vma;
	rt->uw.n_misses = n + 1;
	return 0;
}

/* The mapping at hand and the one before change places. */
INLINE void
swap_maps(rt_t *rt)
{
	struct unwind_object object = {rt->uw.object.id, rt->uw.object.root, rt->uw.object.depth};
	u64 start = rt->uw.key.start, end = rt->uw.map.end, offset = rt->uw.map.offset;

	rt->uw.key.start = rt->uw.last.start;
	rt->uw.map.end = rt->uw.last.end;
	rt->uw.map.offset = rt->uw.last.offset;
	rt->uw.object.id = rt->uw.last.object.id;
	rt->uw.object.root = rt->uw.last.object.root;
	rt->uw.object.depth = rt->uw.last.object.depth;
	rt->uw.last.start = start;
	rt->uw.last.end = end;
	rt->uw.last.offset = offset;
	rt->uw.last.object.id = object.id;
	rt->uw.last.object.root = object.root;
	rt->uw.last.object.depth = object.depth;
}

/* The mapping around pc to be at hand; 0 if there is none. */
FUNC u64
rt_u_find_map(rt_t *rt, u64 pc)
{
	u64 vma, file, inode;

	if (pc - rt->uw.key.start < rt->uw.map.end - rt->uw.key.start)
		return 1;
	swap_maps(rt);
	if (pc - rt->uw.key.start < rt->uw.map.end - rt->uw.key.start)
		return 1;
	vma = rt_u_vma_at(rt, pc);
	if (!vma)
		return 0;
	rt->uw.object.id = 0;
	rt->uw.key.start = load(vma + rt->off[RT_VMA_START]);
	rt->uw.map.end = load(vma + rt->off[RT_VMA_END]);
	rt->uw.map.offset = load(vma + rt->off[RT_VMA_OFFSET]) << 12;
	if (pc < rt->uw.key.start || pc >= rt->uw.map.end ||
	    !(load(vma + rt->off[RT_VMA_FLAGS]) & VM_EXEC)) {
		rt->uw.key.start = rt->uw.map.end = 0;
		return 0;
	}
	file = load(vma + rt->off[RT_VMA_FILE]);
	if (!file) {
		if (rt->uw.key.start != load(rt->uw.mm + rt->off[RT_MM_VDSO]))
			return 1;
		rt->uw.map.offset = 0;
		rt->uw.map.file.dev = 0;
		rt->uw.map.file.inode = UNWIND_VDSO + (rt->uw.word == 4);
		rt_u_find_object(rt, vma);
		return 1;
	}
	inode = load(file + rt->off[RT_FILE_INODE]);
	rt->uw.map.file.inode = load(inode + rt->off[RT_INODE_INO]);
	rt->uw.map.file.dev = load4(load(inode + rt->off[RT_INODE_SB]) + rt->off[RT_SB_DEV]);
	note_map(rt);
	rt_u_find_object(rt, vma);
	return 1;
}

/* What was not there goes to the consumer. */
FUNC u64
rt_u_tell_misses(rt_t *rt)
{
	while (can_loop && rt->uw.n_misses > 0) {
		u64 n = rt->uw.n_misses - 1, vma, file, inode;

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
			inode = load(file + rt->off[RT_FILE_INODE]);
			rt->uw.miss.map.file.inode = load(inode + rt->off[RT_INODE_INO]);
			rt->uw.miss.map.file.dev =
				load4(load(inode + rt->off[RT_INODE_SB]) + rt->off[RT_SB_DEV]);
			path_name(rt, (char *)rt->uw.miss.path, file + rt->off[RT_FILE_PATH],
				  UNWIND_PATH);
		} else {
			rt->uw.miss.map.file.dev = 0;
			rt->uw.miss.map.file.inode = UNWIND_VDSO + (rt->uw.word == 4);
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

FUNC u64
rt_u_rule_at(rt_t *rt, u64 at)
{
	rt->uw.block.object = rt->uw.object.id;
	rt->uw.block.block = rt->uw.object.root;
	if (!rt->uw.block.object || rt->uw.block.object == UNWIND_NO_TABLE)
		return 0;
	for (rt->uw.level = 0; can_loop && rt->uw.level <= rt->uw.object.depth; rt->uw.level++) {
		struct unwind_block *b = bpf_map_lookup_elem(&unwind_blocks, (void *)&rt->uw.block);
		u64 row;

		if (!b)
			return 0;
		row = row_for(b, at);
		if (b->rows[row].at > at)
			return 0;
		rt->uw.block.block = b->rows[row].what;
	}
	return rt->uw.block.block;
}

/* --- frames */

INLINE u64
user_word(rt_t *rt, u64 addr)
{
	u64 v = 0;

	if (rt->uw.word == 8)
		bpf_probe_read_user(&v, 8, (const void *)addr);
	else
		bpf_probe_read_user(&v, 4, (const void *)addr);
	return v;
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
	return rt->uw.ip != 0;
}

/* A return probe put its own address there and keeps the one that belongs there. */
FUNC u64
rt_u_behind_trampoline(rt_t *rt, u64 slot)
{
	u64 task = bpf_get_current_task();

	rt->a = load(load(task + rt->off[RT_TASK_UTASK]) + rt->off[RT_UTASK_RETURNS]);
	for (rt->i = 0; can_loop && rt->i < 64 && rt->a; rt->i++) {
		if (load(rt->a + rt->off[RT_RETURN_STACK]) == slot)
			return load(rt->a + rt->off[RT_RETURN_ADDR]);
		rt->a = load(rt->a + rt->off[RT_RETURN_NEXT]);
	}
	return rt->uw.trampoline;
}

/* The CFA by a rule; 0: it cannot be told. */
FUNC u64
rt_u_cfa_of(rt_t *rt, u64 rule)
{
	u64 off = (u64)(long)CFI_OFFSET((u32)rule), kind = CFI_KIND(rule), word = rt->uw.word;

	if (kind == CFI_SP)
		return rt->uw.sp + off * word;
	if (kind == CFI_FP)
		return rt->uw.fp + off * word;
	if (kind == CFI_BX)
		return rt->uw.bx + off * word;
	if (kind == CFI_FP_DEREF)
		return user_word(rt, rt->uw.fp + off * word);
	if (kind == CFI_PLT)
		return rt->uw.sp + word + ((rt->uw.ip & 15) >= off ? word : 0);
	/* Nothing is known: a compiler at run time keeps frame pointers, and so do many programs.
	 */
	return rt->uw.fp >= rt->uw.sp ? rt->uw.fp + 2 * word : 0;
}

/* To the caller's frame; 0: there is none. */
FUNC u64
rt_u_to_caller(rt_t *rt)
{
	u64 rule, kind, cfa, ip, word = rt->uw.word, saved;

	if (!rt_u_find_map(rt, rt->uw.ip - !rt->uw.exact))
		return 0;
	rule = rt_u_rule_at(rt, rt->uw.ip - !rt->uw.exact - rt->uw.key.start + rt->uw.map.offset);
	opaque(rule);
	kind = CFI_KIND(rule);
	rt->uw.exact = 0;
	if (kind == CFI_END)
		return 0;
	if (kind == CFI_SIGNAL)
		return rt_u_from_signal(rt);
	cfa = rt_u_cfa_of(rt, rule);
	if (cfa <= rt->uw.sp)
		return 0;
	ip = user_word(rt, cfa - word);
	if (ip && ip == rt->uw.trampoline)
		ip = rt_u_behind_trampoline(rt, cfa - word);
	if (kind == CFI_NONE && !rt_u_find_map(rt, ip - 1))
		return 0; /* it was a guess, and a bad one */
	saved = kind == CFI_NONE ? 2 : CFI_SAVED_FP(rule);
	if (saved)
		rt->uw.fp = user_word(rt, saved == CFI_AT_FP ? rt->uw.fp : cfa - saved * word);
	saved = CFI_SAVED_BX(rule);
	if (saved)
		rt->uw.bx = user_word(rt, cfa - saved * word);
	rt->uw.sp = cfa;
	rt->uw.ip = ip;
	return ip != 0;
}

/* Registers of the process at the place where it left for the kernel; 0: it is a kernel's thread.
 */
FUNC u64
rt_u_start(rt_t *rt, u64 task, u64 regs)
{
	u64 cs;

	rt->uw.mm = load(task + rt->off[RT_TASK_MM]);
	if (!rt->uw.mm ||
	    bpf_probe_read_kernel((void *)rt->uw.regs, sizeof(rt->uw.regs), (const void *)regs) < 0)
		return 0;
	cs = rt->uw.regs[CS];
	if ((cs & 3) != 3)
		return 0;
	rt->uw.word = cs == USER32_CS ? 4 : 8;
	rt->uw.ip = rt->uw.regs[IP];
	rt->uw.sp = rt->uw.regs[SP];
	rt->uw.fp = rt->uw.regs[BP];
	rt->uw.bx = rt->uw.regs[BX];
	rt->uw.root = load(rt->uw.mm + rt->off[RT_MM_TREE]);
	rt->uw.trampoline =
		rt->off[RT_MM_XOL]
			? load(load(rt->uw.mm + rt->off[RT_MM_XOL]) + rt->off[RT_XOL_ADDR])
			: 0;
	rt->uw.key.pid = bpf_get_current_pid_tgid() >> 32;
	rt->uw.key.start = rt->uw.map.end = 0;
	rt->uw.last.start = rt->uw.last.end = 0;
	rt->uw.exact = 1;
	rt->uw.n_misses = 0;
	return rt->uw.ip != 0;
}

/* Frames of the task to dst, `size` bytes of zeros before; their number. */
FUNC long
rt_ustack(rt_t *rt, char *dst, u64 size, u64 task, u64 regs)
{
	u64 more = rt_u_start(rt, task, regs);

	if (!more)
		return 0;
	for (rt->n = 0; can_loop && rt->n < size / 8; rt->n++) {
		u64 at = rt->n;

		opaque(at);
		if (at >= size / 8)
			break;
		*(u64 *)(dst + 8 * at) = rt->uw.ip;
		rt->uw.more = rt_u_to_caller(rt);
		if (!rt->uw.more) {
			rt->n = at + 1;
			break;
		}
	}
	more = rt->n;
	rt_u_tell_misses(rt);
	return (long)more;
}
