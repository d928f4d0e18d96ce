/*
 * What the run-time functions (*.bpf.c) share.  The verifier walks a loop only until it sees a
 * state again.  may_goto lets it widen numbers, unless they decided a branch: so whatever a loop
 * carries lives in struct rt, in map memory, of which the verifier knows nothing, and every
 * access to text goes through get() and put(), which look at the bound.
 */
#ifndef DTRACE_RT_BPF_H
#define DTRACE_RT_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "rt.h"

#define FUNC __attribute__((noinline, used))
#define INLINE static inline __attribute__((always_inline))

#define can_loop                                                         \
	({                                                               \
		__label__ l_break, l_on;                                 \
		int yes = 1;                                             \
		asm volatile goto("may_goto %l[l_break]" : : : : l_break); \
		goto l_on;                                               \
	l_break:                                                         \
		yes = 0;                                                 \
	l_on:;                                                           \
		yes;                                                     \
	})
#define opaque(v) asm volatile("" : "+r"(v))

typedef volatile struct rt rt_t;

INLINE u64
get(const char *s, u64 i, u64 size)
{
	opaque(i);
	return i < size ? (u8)s[i] : 0;
}

INLINE void
put(char *s, u64 i, u64 size, u64 c)
{
	opaque(i);
	if (i < size)
		s[i] = (char)c;
}

INLINE void
add(rt_t *rt, char *dst, u64 size, u64 c)
{
	put(dst, rt->j, size, c);
	rt->j = rt->j + 1;
}

/* bpf_rdonly_cast(), which rt.c puts in the place of this call; direct.c tells why. */
static const volatile void *(*const kernel_memory)(u64 addr, u64 type) = (void *)RT_CAST;

/*
 * 0 where nothing can be read.  Written out, as the compiler would share one load between this
 * pointer and one into a map, which the verifier does not allow.
 */
INLINE u64
load(u64 addr)
{
	u64 v;

	asm volatile("%0 = *(u64 *)(%1 + 0)" : "=r"(v) : "r"(kernel_memory(addr, RT_CAST_TYPE)));
	return v;
}

INLINE u64
load4(u64 addr)
{
	u64 v;

	asm volatile("%0 = *(u32 *)(%1 + 0)" : "=r"(v) : "r"(kernel_memory(addr, RT_CAST_TYPE)));
	return v;
}

/* The names noted in rt->names, last first, each behind a slash; dst is 2 * size. */
INLINE void
join_names(rt_t *rt, char *dst, u64 size)
{
	rt->j = 0;
	while (can_loop && rt->k > 0) {
		u64 at, k = rt->k - 1;
		long n;

		rt->k = k;
		opaque(k);
		if (k >= RT_NAMES)
			break;
		add(rt, dst, size, '/');
		at = rt->j;
		opaque(at);
		if (at >= size)
			break;
		n = bpf_probe_read_kernel_str(dst + at, (u32)size, (const void *)rt->names[k]);
		if (n > 1)
			rt->j = rt->j + (u64)n - 1;
	}
	if (!rt->j)
		add(rt, dst, size, '/');
	put(dst, rt->j < size ? rt->j : size - 1, size, 0);
}

INLINE void
note_name(rt_t *rt, u64 name)
{
	u64 k = rt->k;

	opaque(k);
	if (k < RT_NAMES) {
		rt->names[k] = name;
		rt->k = k + 1;
	}
}

/* The name of a dentry in a struct mount as its mount namespace sees it; dst is 2 * size. */
INLINE void
dentry_name(rt_t *rt, char *dst, u64 dentry, u64 mount, u64 size)
{
	rt->k = 0;
	rt->a = dentry;
	rt->b = mount;
	if (!rt->a) {
		put(dst, 0, size, 0);
		return;
	}
	for (rt->i = 0; can_loop && rt->i < 2 * RT_NAMES && rt->a; rt->i++) {
		u64 root = load(rt->b + rt->off[RT_MOUNT_MNT] + rt->off[RT_VFSMOUNT_ROOT]);
		u64 parent = load(rt->a + rt->off[RT_DENTRY_PARENT]);

		if (rt->a == root) {
			parent = load(rt->b + rt->off[RT_MOUNT_PARENT]);
			if (parent == rt->b || !parent)
				break;
			rt->a = load(rt->b + rt->off[RT_MOUNT_POINT]);
			rt->b = parent;
			continue;
		}
		if (parent == rt->a && !rt->b)
			break;
		if (parent == rt->a) { /* of no mount: "socket:[12]", a pipe */
			note_name(rt, load(rt->a + rt->off[RT_DENTRY_NAME]));
			break;
		}
		note_name(rt, load(rt->a + rt->off[RT_DENTRY_NAME]));
		rt->a = parent;
	}
	join_names(rt, dst, size);
}

/*
 * Where the whole of its filesystem was mounted first; 0 if it is not.  A superblock's mounts are a
 * list from the first on; since 6.18 they are chained, the last one first.
 */
INLINE u64
first_mount(rt_t *rt, u64 dentry)
{
	rt->n = load(dentry + rt->off[RT_DENTRY_SB]);
	rt->b = rt->n + rt->off[RT_SB_MOUNTS];
	rt->a = load(rt->b);
	rt->n = load(rt->n + rt->off[RT_SB_ROOT]);
	rt->k = 0;
	for (rt->i = 0; can_loop && rt->i < 1024 && rt->a && rt->a != rt->b; rt->i++) {
		u64 mount = rt->a - rt->off[RT_MOUNT_INSTANCE];

		if (load(mount + rt->off[RT_MOUNT_MNT] + rt->off[RT_VFSMOUNT_ROOT]) == rt->n)
			rt->k = mount;
		if (rt->k && rt->off[RT_MOUNT_INSTANCE])
			break;
		rt->a = load(rt->a + rt->off[RT_MOUNT_NEXT]);
	}
	return rt->k;
}

/* The same of a struct path. */
INLINE void
path_name(rt_t *rt, char *dst, u64 path, u64 size)
{
	dentry_name(rt, dst, load(path + rt->off[RT_PATH_DENTRY]),
		    load(path + rt->off[RT_PATH_MNT]) - rt->off[RT_MOUNT_MNT], size);
}

#endif
