/*
 * BPF programs at kernel functions, by one of two ways.
 *
 * A trampoline (fentry, fexit) is built for one function from its prototype in
 * BTF: nothing is saved but the arguments, and fexit has both them and the
 * result.  It needs a program for each function.  kprobe.multi hooks any number
 * of functions with one call and one program, and saves all registers each time:
 * it is taken for many functions, and for those that BTF does not describe
 * (GCC's .isra and .constprop).
 *
 * Arguments that point to structures are fetched by bpf_get_func_arg() (inlined
 * by the verifier): loaded from the context they would be typed pointers, with
 * which the verifier allows no arithmetic, and D does.
 */
#include <bpf/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dtrace/function.h"

/* A function may be listed, described, and yet be no place for a trampoline: GCC cut its parameters. */
void
function_choose(struct dt *dt, struct function_hook *fh, const char *name, const char *module,
		bool at_return, size_t n)
{
	struct ctf *types = dt_module_types(dt, module);

	*fh = (struct function_hook){.mode = FN_MULTI, .at_return = at_return, .name = name,
				     .module = module};
	if (!types)
		return;
	fh->proto = ctf_find_function(types, name);
	fh->btf_id = ctf_kernel_id(types, CTF_FUNCTION, name);
	if (n <= FN_FEW && fh->btf_id && fh->proto && !ctf_is_variadic(fh->proto))
		fh->mode = FN_TRAMPOLINE;
}

/* Of a stack taken there: the program, the trampoline, and the function itself. */
unsigned
function_frames(const struct function_hook *fh)
{
	return fh->mode == FN_TRAMPOLINE ? 3 : fh->at_return ? 0 : 1;
}

static bool
is_structure_pointer(const struct ctf_type *t)
{
	t = ctf_resolve(t);
	return ctf_kind(t) == CTF_POINTER && ctf_is_aggregate(ctf_target(t));
}

/* Slots that a parameter takes in a trampoline's context: structures by value may take two. */
static int
slots(const struct ctf_type *t)
{
	return ctf_is_aggregate(t) && ctf_size(t) > 8 ? 2 : 1;
}

static int
trampoline_arg(struct gen *g, const struct function_hook *fh, unsigned i)
{
	const struct ctf_type *t = NULL;
	struct asmb *a = &g->a;
	int slot = 0;

	if (i == FN_RESULT) {
		asm_mov(a, R1, R6);
		asm_mov(a, R2, R10);
		asm_alui(a, BPF_ADD, R2, STACK_VALUE);
		asm_storei(a, 8, R10, STACK_VALUE, 0);
		asm_call(a, BPF_FUNC_get_func_ret);
		asm_load(a, 8, R0, R10, STACK_VALUE);
		return 0;
	}
	for (unsigned k = 0; k < i && k < ctf_n_params(fh->proto); k++)
		slot += slots(ctf_param_at(fh->proto, k, NULL));
	if (i < ctf_n_params(fh->proto))
		t = ctf_param_at(fh->proto, i, NULL);
	if (!t) {
		asm_imm(a, R0, 0);
	} else if (is_structure_pointer(t)) {
		asm_mov(a, R1, R6);
		asm_imm(a, R2, slot);
		asm_mov(a, R3, R10);
		asm_alui(a, BPF_ADD, R3, STACK_VALUE);
		asm_storei(a, 8, R10, STACK_VALUE, 0);
		asm_call(a, BPF_FUNC_get_func_arg);
		asm_load(a, 8, R0, R10, STACK_VALUE);
	} else {
		asm_load(a, 8, R0, R6, 8 * slot);
	}
	return 0;
}

static int
register_arg(struct gen *g, const struct function_hook *fh, unsigned i, struct error *err)
{
	static const char *const regs[] = {"di", "si", "dx", "cx", "r8", "r9"};
	const struct ctf_type *type = ctf_find(g->dt->kernel, "struct pt_regs");
	const char *reg = i == FN_RESULT ? "ax" : i < ARRAY_SIZE(regs) ? regs[i] : NULL;
	struct ctf_member m;

	if (!reg || (fh->at_return && i != FN_RESULT)) {
		asm_imm(&g->a, R0, 0);
		return 0;
	}
	if (!type || !ctf_find_member(type, reg, &m))
		return error_set(err, ENOTSUP, "this kernel's pt_regs has no \"%s\"", reg);
	asm_load(&g->a, 8, R0, R6, (int)(m.bit_offset / 8));
	return 0;
}

int
function_gen_arg(struct gen *g, const struct function_hook *fh, unsigned i, struct error *err)
{
	const struct ctf_type *t = NULL;
	int r = 0;

	if (fh->mode == FN_TRAMPOLINE)
		r = trampoline_arg(g, fh, i);
	else
		r = register_arg(g, fh, i, err);
	if (fh->proto && i == FN_RESULT)
		t = ctf_target(fh->proto);
	else if (fh->proto && i < ctf_n_params(fh->proto))
		t = ctf_param_at(fh->proto, i, NULL);
	/* Above a narrow argument its register holds anything. */
	if (r == 0 && t && ctf_is_integral(t) && ctf_size(t) < 8)
		asm_extend(&g->a, R0, (unsigned)ctf_size(t), ctf_is_signed(t));
	return r;
}

/* fd of a loaded module's BTF in the kernel; 0 for the kernel's own. */
static int
btf_fd_of(const char *module, int *ret, struct error *err)
{
	uint32_t id = 0;

	*ret = 0;
	if (str_eq(module, "vmlinux"))
		return 0;
	while (bpf_btf_get_next_id(id, &id) == 0) {
		char name[64] = "";
		struct bpf_btf_info info = {.name = (uintptr_t)name, .name_len = sizeof(name)};
		uint32_t len = sizeof(info);
		int fd = bpf_btf_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (bpf_btf_get_info_by_fd(fd, &info, &len) == 0 && info.kernel_btf &&
		    str_eq(name, module)) {
			*ret = fd;
			return 0;
		}
		close(fd);
	}
	return error_set(err, ENOENT, "the kernel has no types of module \"%s\"", module);
}

static int
refused(struct error *err, int r, const char *name, bool at_return)
{
	return error_set(err, -r, "fbt::%s:%s cannot be traced: the kernel says \"%s\"%s", name,
			 at_return ? "return" : "entry", strerror(-r),
			 r == -EBUSY || r == -EINVAL || r == -ENOENT || r == -ESRCH
				 ? " (it is one that tracing itself needs, or inlined)"
				 : "");
}

/* Described by BTF, but compiled under another name ("f.isra.0") with other parameters. */
static bool
try_otherwise(struct dt *dt, struct function_hook *fh)
{
	const struct function *f = function_find(dt, fh->name);

	if (!f || str_eq(f->name, fh->name) || !str_eq(f->module, fh->module))
		return false;
	fh->name = f->name;
	fh->mode = FN_MULTI;
	fh->proto = NULL;
	return true;
}

static int
attach_trampoline(struct dt *dt, struct hook *h, struct gen *g, struct function_hook *fh,
		  struct error *err)
{
	struct prog_kind kind = {BPF_PROG_TYPE_TRACING,
				 fh->at_return ? BPF_TRACE_FEXIT : BPF_TRACE_FENTRY, fh->btf_id, 0};
	int r = btf_fd_of(fh->module, &kind.btf_fd, err), fd;

	if (r == 0)
		r = hook_load(dt, h, g, &kind, err);
	if (kind.btf_fd > 0)
		close(kind.btf_fd);
	if (r == -ENOENT)
		return try_otherwise(dt, fh)
			       ? -EAGAIN
			       : refused(err, r, fh->name, fh->at_return);
	if (r < 0)
		return r;
	fd = bpf_raw_tracepoint_open(NULL, h->prog_fd);
	if (fd < 0)
		return refused(err, fd, fh->name, fh->at_return);
	hook_add_fd(h, fd);
	return 0;
}

/* By name if that says which: the kernel finds names itself, and takes the first of several. */
static int
link_functions(struct dt *dt, const struct hook *h, bool at_return, const struct function *f,
	       const uint64_t *cookies, size_t n, int *ret_fd, struct error *err)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .kprobe_multi.flags = at_return ? BPF_F_KPROBE_MULTI_RETURN : 0);
	cleanup_free const char **names = NULL;
	cleanup_free uint64_t *addr = NULL, *cookie_at = NULL;
	cleanup_free size_t *which = NULL;
	size_t n_places;
	int r;

	if (!function_ambiguous(dt, f, n)) {
		names = xcalloc(n, sizeof(*names));
		for (size_t i = 0; i < n; i++)
			names[i] = f[i].name;
		opts.kprobe_multi.syms = names;
		opts.kprobe_multi.cnt = (uint32_t)n;
		opts.kprobe_multi.cookies = (const __u64 *)cookies;
	} else {
		r = function_places(dt, f, n, &addr, &which, &n_places, err);
		if (r < 0)
			return r;
		cookie_at = xcalloc(n_places + 1, sizeof(*cookie_at));
		for (size_t i = 0; i < n_places; i++)
			cookie_at[i] = cookies ? cookies[which[i]] : 0;
		opts.kprobe_multi.addrs = (const unsigned long *)addr;
		opts.kprobe_multi.cnt = (uint32_t)n_places;
		opts.kprobe_multi.cookies = (const __u64 *)cookie_at;
	}
	*ret_fd = bpf_link_create(h->prog_fd, 0, BPF_TRACE_KPROBE_MULTI, &opts);
	return 0;
}

int
function_attach(struct dt *dt, struct hook *h, struct gen *g, struct function_hook *fh,
		const struct function *f, const uint64_t *cookies, size_t n, struct error *err)
{
	const struct prog_kind kind = {BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI, 0, 0};
	int r, fd;

	if (fh->mode == FN_TRAMPOLINE)
		return attach_trampoline(dt, h, g, fh, err);
	if ((r = hook_load(dt, h, g, &kind, err)) < 0 ||
	    (r = link_functions(dt, h, fh->at_return, f, cookies, n, &fd, err)) < 0)
		return r;
	if (fd == -EOPNOTSUPP)
		return error_set(err, EOPNOTSUPP,
				 "this kernel cannot hook many functions at once (CONFIG_FPROBE)");
	if (fd < 0 && n == 1)
		return refused(err, fd, f->name, fh->at_return);
	if (fd < 0)
		return error_set_errno(err, -fd, "cannot hook %zu functions", n);
	hook_add_fd(h, fd);
	return 0;
}
