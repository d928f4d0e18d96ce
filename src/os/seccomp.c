/*
 * The tree: rows become sorted single numbers, the gaps between them intervals
 * with the default action.  A node compares with the middle boundary (JGE) and
 * goes on into its right half, or jumps over that into its left one; jumps in
 * classic BPF are forward and at most 255 instructions, so a node whose right
 * half is longer jumps by a JA.  Installing takes time by the instruction.
 */
#include "os/seccomp.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

struct code {
	struct sock_filter *v;
	size_t n, cap;
};

static size_t
emit(struct code *c, uint16_t op, uint8_t jt, uint8_t jf, uint32_t k)
{
	if (c->n == c->cap) {
		c->cap = c->cap ? c->cap * 2 : 64;
		c->v = xreallocarray(c->v, c->cap, sizeof(*c->v));
	}
	c->v[c->n] = (struct sock_filter){op, jt, jf, k};
	return c->n++;
}

int
seccomp_number(const char *name, bool compat)
{
	uint32_t arch = compat ? SCMP_ARCH_X86 : SCMP_ARCH_NATIVE;
	int nr = seccomp_syscall_resolve_name_arch(arch, name);

	return nr < 0 ? -1 : nr; /* pseudo numbers are negative: not in this architecture */
}

struct point {
	uint32_t from; /* this number and up ... */
	uint32_t what; /* ... get this return value */
};

static uint32_t
return_value(int action)
{
	if (action == SCMP_ALLOW)
		return SECCOMP_RET_ALLOW;
	if (action == SCMP_KILL)
		return SECCOMP_RET_KILL_PROCESS;
	if (action == SCMP_TRAP)
		return SECCOMP_RET_TRAP;
	return SECCOMP_RET_ERRNO | ((uint32_t)action & SECCOMP_RET_DATA);
}

static int
compare_points(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

/* What a leaf does that is more than to return: looks at the call's arguments. */
#define LEAF_CLONE 0xfffffff1u
#define LEAF_UNSHARE 0xfffffff2u

static void
emit_leaf(struct code *c, uint32_t what, uint32_t otherwise)
{
	if (what != LEAF_CLONE && what != LEAF_UNSHARE) {
		emit(c, BPF_RET | BPF_K, 0, 0, what);
		return;
	}
	/* both have their flags in the first argument; x86-64 and i386 are little endian */
	emit(c, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, args[0]));
	emit(c, BPF_JMP | BPF_JSET | BPF_K, 0, 1, CLONE_NEWUSER);
	emit(c, BPF_RET | BPF_K, 0, 0, return_value(EPERM));
	emit(c, BPF_RET | BPF_K, 0, 0, otherwise);
}

static void
emit_tree(struct code *c, const struct point *p, size_t n, uint32_t otherwise)
{
	size_t mid = n / 2, at;

	if (n == 1) {
		emit_leaf(c, p[0].what, otherwise);
		return;
	}
	at = emit(c, BPF_JMP | BPF_JGE | BPF_K, 0, 0, p[mid].from);
	emit_tree(c, p + mid, n - mid, otherwise);

	size_t right = c->n - (at + 1);

	if (right <= UINT8_MAX) {
		c->v[at].jf = (uint8_t)right;
	} else { /* nr >= p[mid]: skip a JA, which leads over the right half */
		emit(c, BPF_JMP | BPF_JA, 0, 0, 0);
		memmove(&c->v[at + 2], &c->v[at + 1], right * sizeof(*c->v));
		c->v[at].jt = 1;
		c->v[at + 1] = (struct sock_filter){BPF_JMP | BPF_JA, 0, 0, (uint32_t)right};
	}
	emit_tree(c, p, mid, otherwise);
}

static void
emit_arch(struct code *c, const struct seccomp_policy *policy, bool compat)
{
	cleanup_free struct point *points = NULL;
	cleanup_free struct point *rules = NULL;
	uint32_t otherwise = return_value(policy->otherwise);
	size_t n_rules = 0, n = 0, max = 3;

	for (const struct seccomp_rule *r = policy->rules; r->name; r++)
		max++;
	rules = xcalloc(max, sizeof(*rules));
	for (const struct seccomp_rule *r = policy->rules; r->name; r++) {
		int nr = seccomp_number(r->name, compat);

		if (nr >= 0)
			rules[n_rules++] = (struct point){(uint32_t)nr, return_value(r->action)};
	}
	if (policy->deny_new_userns) {
		rules[n_rules++] = (struct point){(uint32_t)seccomp_number("clone", compat), LEAF_CLONE};
		rules[n_rules++] =
			(struct point){(uint32_t)seccomp_number("unshare", compat), LEAF_UNSHARE};
		/* its flags are behind a pointer, where a filter cannot look */
		rules[n_rules++] =
			(struct point){(uint32_t)seccomp_number("clone3", compat), return_value(ENOSYS)};
	}
	qsort(rules, n_rules, sizeof(*rules), compare_points);

	points = xcalloc(2 * n_rules + 1, sizeof(*points));
	points[n++] = (struct point){0, otherwise};
	for (size_t i = 0; i < n_rules; i++) {
		if (points[n - 1].from == rules[i].from)
			n--; /* two rows about one number: the later one counts */
		points[n++] = rules[i];
		points[n++] = (struct point){rules[i].from + 1, otherwise};
	}
	emit(c, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
	emit_tree(c, points, n, otherwise);
}

int
seccomp_compile(const struct seccomp_policy *p, struct sock_fprog *ret, struct error *err)
{
	struct code c = {0};
	size_t skip;

	/* native calls, but not those of the x32 form (bit 30) */
	emit(&c, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, arch));
	emit(&c, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, AUDIT_ARCH_X86_64);
	skip = emit(&c, BPF_JMP | BPF_JA, 0, 0, 0);
	emit(&c, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
	emit(&c, BPF_JMP | BPF_JGE | BPF_K, 0, 1, 0x40000000);
	emit(&c, BPF_RET | BPF_K, 0, 0, return_value(ENOSYS));
	emit_arch(&c, p, false);
	c.v[skip].k = (uint32_t)(c.n - (skip + 1));

	if (p->compat) {
		emit(&c, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, AUDIT_ARCH_I386);
		emit(&c, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS);
		emit_arch(&c, p, true);
	} else {
		emit(&c, BPF_RET | BPF_K, 0, 0, return_value(ENOSYS));
	}
	if (c.n > BPF_MAXINSNS) {
		free(c.v);
		return error_set(err, E2BIG, "system call filter of %zu instructions", c.n);
	}
	*ret = (struct sock_fprog){.len = (unsigned short)c.n, .filter = c.v};
	return 0;
}

int
seccomp_install(const struct sock_fprog *prog, struct error *err)
{
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, prog) < 0)
		return error_set_errno(err, errno, "installing a system call filter");
	return 0;
}
