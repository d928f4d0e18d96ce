/*
 * Subroutines.  Simple ones are a few instructions; those that walk text or the
 * kernel's lists are functions of rt.bpf.c, called with texts in scratch buffers.
 */
#include <net/if_arp.h>
#include <string.h>
#include <sys/socket.h>

#include "dtrace/check.h"
#include "dtrace/priv.h"

/* What each takes: 's' text or NULL, 'n' number or pointer, 'p' pointer, 'P' the same or text. */
static const char *const shapes[F_NFUNCS] = {
	[F_STRLEN] = "s",	[F_STRJOIN] = "ss",	[F_STRCHR] = "sn",	[F_STRRCHR] = "sn",
	[F_STRSTR] = "ss",	[F_INDEX] = "ssn",	[F_RINDEX] = "ssn",	[F_SUBSTR] = "snn",
	[F_STRTOK] = "ss",	[F_TOUPPER] = "s",	[F_TOLOWER] = "s",	[F_LLTOSTR] = "nn",
	[F_STRTOLL] = "sn",	[F_BASENAME] = "s",	[F_DIRNAME] = "s",	[F_CLEANPATH] = "s",
	[F_COPYIN] = "nn",	[F_COPYINSTR] = "nn",	[F_COPYINTO] = "nnp",	[F_ALLOCA] = "n",
	[F_BCOPY] = "Ppn",	[F_RAND] = "",		[F_PROGENYOF] = "n",	[F_HTONS] = "n",
	[F_HTONL] = "n",	[F_HTONLL] = "n",	[F_NTOHS] = "n",	[F_NTOHL] = "n",
	[F_NTOHLL] = "n",	[F_INET_NTOA] = "p",	[F_INET_NTOA6] = "pn",	[F_INET_NTOP] = "np",
	[F_LINK_NTOP] = "np",	[F_GETMAJOR] = "n",	[F_GETMINOR] = "n",	[F_SPECULATION] = "",
	[F_JSON] = "ss",	[F_MSGDSIZE] = "p",	[F_DDI_PATHNAME] = "pn", [F_D_PATH] = "p",
	[F_D_MOUNT] = "p",	[F_D_PAGE_FILE] = "p",	[F_D_FILE_PATH] = "p",	[F_D_FILE_MOUNT] = "p",
	[F_D_PSARGS] = "p",	[F_D_ZONENAME] = "p",	[F_MUTEX_OWNED] = "p",	[F_MUTEX_OWNER] = "p",
	[F_MUTEX_TYPE_ADAPTIVE] = "p", [F_MUTEX_TYPE_SPIN] = "p",
	[F_RW_ISWRITER] = "p",	[F_RW_READ_HELD] = "p",	[F_RW_WRITE_HELD] = "p",
};

/* Arguments that are constants, and of which the compiler can say that they are wrong. */
static int
check_sizes(struct dt *dt, const struct node *n, enum func f, struct error *err)
{
	const struct node *size = f == F_ALLOCA ? n->args : f == F_COPYIN ? n->args->next : NULL;
	const struct node *strict = f == F_INET_NTOA6 ? n->args->next : NULL;

	if (size && size->is_const && (uint64_t)size->value > dt->opts.scratchsize)
		return d_error(err, n->line, "D_ALLOCA_SIZE",
			       "%s(%llu) is larger than scratchsize %u", n->name,
			       (unsigned long long)size->value, dt->opts.scratchsize);
	if (strict && !strict->is_const)
		return d_error(err, n->line, "D_PROTO_ARG",
			       "%s( ) argument #2 must be an integer constant", n->name);
	if (f == F_INET_NTOA6 && ctf_is_pointer(n->args->type) &&
	    ctf_is_integral(ctf_target(ctf_resolve(n->args->type))))
		return d_error(err, n->line, "D_PROTO_ARG",
			       "%s( ) argument #1 must be an in6_addr_t *", n->name);
	return 0;
}

int
func_check(struct checker *c, struct node *n, enum func f, struct error *err)
{
	const char *shape = shapes[f];
	int i = 1, r;

	c->dt->uses_rt = true;
	if ((r = check_sizes(c->dt, n, f, err)) < 0)
		return r;
	if (f == F_COPYIN || f == F_COPYINTO || f == F_ALLOCA || f == F_BCOPY)
		c->dt->uses_alloca = true;
	c->dt->uses_strtok |= f == F_STRTOK;
	for (struct node *arg = n->args; arg && *shape; arg = arg->next, shape++, i++) {
		bool text = dt_is_string(c->dt, arg->type) || ctf_is_string(arg->type);
		bool number = !dt_is_string(c->dt, arg->type) &&
			      (ctf_is_integral(arg->type) || ctf_is_pointer(arg->type));

		if (*shape == 's' && arg->is_const && !arg->value)
			continue; /* NULL: a fault, when it comes to that */
		if (*shape == 's' ? !text
		    : *shape == 'P'		   ? !ctf_is_pointer(arg->type)
		    : *shape == 'p'		   ? !number || !ctf_is_pointer(arg->type)
						   : !number) {
			cleanup_free char *name = ctf_name(arg->type);

			return d_error(err, n->line, "D_PROTO_ARG",
				       "%s( ) argument #%d is incompatible with prototype: it is \"%s\"",
				       n->name, i, name);
		}
	}
	return 0;
}

/* --- helpers */

/* n's text in a buffer of its own. */
static int
text_slot(struct gen *g, struct node *n, struct place *ret, struct error *err)
{
	*ret = gen_slot(g, g->dt->opts.strsize);
	return gen_real_text(g, n, *ret, g->dt->opts.strsize, false, err);
}

/* r0 into a field of struct rt. */
static void
set_rt(struct gen *g, size_t field)
{
	struct place p = gen_rt_place(g, field);

	asm_store(&g->a, 8, p.reg, p.off, R0);
}

static void
swap(struct gen *g, int bits)
{
	asm_emit(&g->a, BPF_ALU | BPF_END | BPF_TO_BE, R0, 0, 0, bits);
}

/* r0: an address; the member of the kernel's structure there into r0. */
static int
load_member(struct gen *g, const struct node *n, const char *type, const char *member, size_t size,
	    struct error *err)
{
	const struct ctf_type *t = ctf_find(g->dt->kernel, type);
	struct ctf_member m;

	if (!t || !ctf_find_member(t, member, &m))
		return d_error(err, n->line, "D_UNKNOWN", "this kernel has no %s.%s, which %s( ) needs",
			       type, member, n->name);
	asm_alui(&g->a, BPF_ADD, R0, (int32_t)(m.bit_offset / 8));
	gen_load_kernel(g, (unsigned)size);
	return 0;
}

/* --- numbers */

static int
gen_strlen(struct gen *g, struct node *n, struct error *err)
{
	struct place text;
	int r = text_slot(g, n->args, &text, err);

	if (r < 0)
		return r;
	/* Reading it over itself is the cheapest way to have it measured. */
	gen_copy_text(g, text, g->dt->opts.strsize, text);
	asm_alui(&g->a, BPF_SUB, R0, 1);
	return 0;
}

static int
gen_index(struct gen *g, struct node *n, bool last, struct error *err)
{
	struct place text, sub;
	struct node *from = n->args->next->next;
	int r;

	if ((r = text_slot(g, n->args, &text, err)) < 0 ||
	    (r = text_slot(g, n->args->next, &sub, err)) < 0)
		return r;
	asm_imm(&g->a, R0, last ? INT32_MAX : 0);
	if (from && (r = gen_scalar(g, from, err)) < 0)
		return r;
	asm_mov(&g->a, R5, R0);
	gen_place(g, R2, text);
	gen_place(g, R3, sub);
	asm_imm(&g->a, R4, g->dt->opts.strsize);
	gen_rt(g, last ? "rt_rindex" : "rt_index");
	return 0;
}

static int
gen_strtoll(struct gen *g, struct node *n, struct error *err)
{
	struct place text;
	int r = text_slot(g, n->args, &text, err);

	if (r < 0)
		return r;
	asm_imm(&g->a, R0, 10);
	if (n->args->next && (r = gen_scalar(g, n->args->next, err)) < 0)
		return r;
	asm_mov(&g->a, R3, R0);
	gen_place(g, R2, text);
	asm_imm(&g->a, R4, g->dt->opts.strsize);
	gen_rt(g, "rt_strtoll");
	return 0;
}

static int
gen_progenyof(struct gen *g, struct node *n, struct error *err)
{
	static const enum rt_offset offsets[] = {RT_TASK_TGID, RT_TASK_PARENT, RT_TASK_SIGNAL,
						 RT_SIGNAL_PIDS, RT_PID_LEVEL, RT_PID_NUMBERS};
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++)
		if ((r = gen_rt_offset(g, n, offsets[i], err)) < 0)
			return r;
	if (
	    (r = gen_scalar(g, n->args, err)) < 0 || (r = gen_push(g, n, err)) < 0)
		return r;
	if (g->nobody)
		asm_imm(&g->a, R0, 0);
	else
		asm_call(&g->a, BPF_FUNC_get_current_task);
	asm_mov(&g->a, R2, R0);
	gen_pop(g, R3);
	gen_rt(g, g->dt->confine && g->dt->confine->cgroup ? "rt_zone_progenyof" : "rt_progenyof");
	return 0;
}

static int
gen_page_file(struct gen *g, struct node *n, struct error *err)
{
	int r = gen_scalar(g, n->args, err);

	if (r < 0 || (r = gen_push(g, n, err)) < 0)
		return r;
	for (enum rt_offset o = RT_PAGE_HEAD; r == 0 && o <= RT_DENTRY_ALIAS; o++)
		r = gen_rt_offset(g, n, o, err);
	if (r < 0 || (r = gen_rt_offset(g, n, RT_DENTRY_PARENT, err)) < 0)
		return r;
	gen_pop(g, R2);
	gen_rt(g, "rt_page_file");
	return 0;
}

static int
gen_mutex(struct gen *g, struct node *n, struct error *err)
{
	enum func f = n->ident->func;
	int r = gen_scalar(g, n->args, err), yes;

	if (r < 0)
		return r;
	if (f == F_MUTEX_TYPE_ADAPTIVE || f == F_MUTEX_TYPE_SPIN) { /* Linux mutexes all sleep */
		asm_imm(&g->a, R0, f == F_MUTEX_TYPE_ADAPTIVE);
		return 0;
	}
	if ((r = load_member(g, n, "struct mutex", "owner", 8, err)) < 0)
		return r;
	asm_alui(&g->a, BPF_AND, R0, -8); /* the low bits are flags */
	if (f == F_MUTEX_OWNER)
		return 0;
	if ((r = gen_push(g, n, err)) < 0)
		return r;
	asm_call(&g->a, BPF_FUNC_get_current_task);
	gen_pop(g, R1);
	yes = asm_label(&g->a);
	asm_jcc(&g->a, BPF_JEQ, R0, R1, yes);
	gen_truth(g, yes);
	return 0;
}

/* A rw_semaphore's count: bit 0 a writer has it, bit 1 somebody waits, readers from bit 8. */
static int
gen_rwlock(struct gen *g, struct node *n, struct error *err)
{
	enum func f = n->ident->func;
	int yes = asm_label(&g->a), r;

	if ((r = gen_scalar(g, n->args, err)) < 0 ||
	    (r = load_member(g, n, "struct rw_semaphore", "count", 8, err)) < 0)
		return r;
	if (f == F_RW_READ_HELD)
		asm_alui(&g->a, BPF_RSH, R0, 8);
	else
		asm_alui(&g->a, BPF_AND, R0, f == F_RW_ISWRITER ? 3 : 1);
	asm_jcci(&g->a, BPF_JNE, R0, 0, yes);
	gen_truth(g, yes);
	return 0;
}

/* --- memory of the clause: alloca(), copyin() */

/*
 * r0: bytes wanted.  The place's number into r0 (from the area's start), or the clause ends. Behind
 * what copyin() fills a byte may be written, if the area has one: the NUL that programs put there.
 */
static void
take_room(struct gen *g, bool with_nul)
{
	struct asmb *a = &g->a;
	struct place next = gen_rt_place(g, offsetof(struct rt, alloca_next));
	int32_t scratch = (int32_t)g->dt->opts.scratchsize;
	int fits = asm_label(a);

	asm_jcci(a, BPF_JGT, R0, scratch, gen_fault(g, FAULT_SCRATCH));
	asm_mov(a, R2, R0);
	asm_alui(a, BPF_ADD, R0, 7);
	asm_alui(a, BPF_AND, R0, -8);
	asm_load(a, 8, R1, next.reg, next.off);
	asm_alu(a, BPF_ADD, R0, R1);
	asm_jcci(a, BPF_JGT, R0, scratch, gen_fault(g, FAULT_SCRATCH));
	if (with_nul) {
		asm_jcci(a, BPF_JEQ, R0, scratch, fits);
		asm_alui(a, BPF_ADD, R2, 8);
		asm_alui(a, BPF_AND, R2, -8);
		asm_mov(a, R0, R1);
		asm_alu(a, BPF_ADD, R0, R2);
	}
	asm_here(a, fits);
	asm_store(a, 8, next.reg, next.off, R0);
	asm_mov(a, R0, R1);
}

/* r0: a place's number; its address, as the number that D handles, into r0. */
static void
address_of_room(struct gen *g)
{
	struct place self = gen_rt_place(g, offsetof(struct rt, self));

	asm_store(&g->a, 8, self.reg, self.off, R7);
	asm_load(&g->a, 8, R1, self.reg, self.off);
	asm_alu(&g->a, BPF_ADD, R0, R1);
	asm_alui(&g->a, BPF_ADD, R0, (int32_t)g->dt->alloca_off);
}

/* r1: a place's number, r2: bytes, all of which alloca() gave; r3: from where. */
static void
read_to_room(struct gen *g, int helper)
{
	struct asmb *a = &g->a;
	struct place next = gen_rt_place(g, offsetof(struct rt, alloca_next));
	int32_t scratch = (int32_t)g->dt->opts.scratchsize;

	asm_jcci(a, BPF_JGE, R1, scratch, gen_fault(g, FAULT_ADDRESS));
	asm_jcci(a, BPF_JGT, R2, scratch, gen_fault(g, FAULT_ADDRESS));
	asm_mov(a, R4, R1);
	asm_alu(a, BPF_ADD, R4, R2);
	asm_load(a, 8, R5, next.reg, next.off);
	asm_jcc(a, BPF_JGT, R4, R5, gen_fault(g, FAULT_ADDRESS));
	gen_guard(g, R3, (size_t)scratch, helper == BPF_FUNC_probe_read_user);
	asm_alu(a, BPF_ADD, R1, R7);
	asm_alui(a, BPF_ADD, R1, (int32_t)g->dt->alloca_off);
	gen_note_address(g);
	asm_call(a, helper);
	asm_jcci(a, BPF_JNE, R0, 0, gen_fault(g, FAULT_ADDRESS));
}

static int
gen_alloca(struct gen *g, struct node *n, struct error *err)
{
	int r = gen_scalar(g, n->args, err);

	if (r < 0)
		return r;
	take_room(g, false);
	address_of_room(g);
	return 0;
}

static int
gen_copyin(struct gen *g, struct node *n, struct error *err)
{
	struct place at = gen_slot(g, 8);
	int r;

	if ((r = gen_scalar(g, n->args, err)) < 0 || (r = gen_push(g, n, err)) < 0 ||
	    (r = gen_scalar(g, n->args->next, err)) < 0 || (r = gen_push(g, n, err)) < 0)
		return r;
	take_room(g, true);
	asm_store(&g->a, 8, at.reg, at.off, R0);
	asm_mov(&g->a, R1, R0);
	gen_pop(g, R2);
	gen_pop(g, R3);
	read_to_room(g, BPF_FUNC_probe_read_user);
	asm_load(&g->a, 8, R0, at.reg, at.off);
	address_of_room(g);
	return 0;
}

int
gen_kept_text(struct gen *g, struct node *n, struct error *err)
{
	size_t size = g->dt->opts.strsize;
	struct place text = gen_slot(g, size), at = gen_slot(g, 8);
	int none = asm_label(&g->a), done = asm_label(&g->a);
	int r = gen_text(g, n, text, size, true, err);
	bool was;

	if (r < 0)
		return r;
	if (gen_may_lack_text(g, n))
		gen_if_no_text(g, text, none);
	asm_imm(&g->a, R0, (int64_t)size);
	take_room(g, false);
	asm_store(&g->a, 8, at.reg, at.off, R0);
	asm_mov(&g->a, R1, R0);
	asm_imm(&g->a, R2, (int64_t)size);
	gen_place(g, R3, text);
	was = gen_trust(g, true); /* our own memory */
	read_to_room(g, BPF_FUNC_probe_read_kernel);
	gen_trust(g, was);
	asm_load(&g->a, 8, R0, at.reg, at.off);
	address_of_room(g);
	if (gen_may_lack_text(g, n)) {
		asm_jmp(&g->a, done);
		asm_here(&g->a, none);
		asm_imm(&g->a, R0, 0);
	}
	asm_here(&g->a, done);
	return 0;
}

/* copyinto(from, bytes, to), bcopy(from, to, bytes): `to` must be what alloca() gave. */
static int
gen_copy_to_room(struct gen *g, struct node *n, struct node *to, struct node *bytes, bool is_user,
		 struct error *err)
{
	struct place self = gen_rt_place(g, offsetof(struct rt, self));
	bool to_first = to->next == bytes; /* arguments are evaluated as they are written */
	int r;

	if ((r = gen_scalar(g, n->args, err)) < 0 || (r = gen_push(g, n, err)) < 0 ||
	    (r = gen_scalar(g, n->args->next, err)) < 0 || (r = gen_push(g, n, err)) < 0 ||
	    (r = gen_scalar(g, n->args->next->next, err)) < 0)
		return r;
	gen_pop(g, R1);
	asm_mov(&g->a, R2, to_first ? R0 : R1);
	if (!to_first)
		asm_mov(&g->a, R1, R0);
	gen_pop(g, R3);
	asm_store(&g->a, 8, self.reg, self.off, R7);
	asm_load(&g->a, 8, R0, self.reg, self.off);
	asm_alui(&g->a, BPF_ADD, R0, (int32_t)g->dt->alloca_off);
	asm_alu(&g->a, BPF_SUB, R1, R0);
	read_to_room(g, is_user ? BPF_FUNC_probe_read_user : BPF_FUNC_probe_read_kernel);
	return 0;
}

/* A free one of the nspec speculations, or 0. */
static int
gen_speculation(struct gen *g)
{
	struct asmb *a = &g->a;
	int done = asm_label(a);

	for (unsigned i = 0; i < g->dt->opts.nspec; i++) {
		int next = asm_label(a);

		asm_map_value(a, R1, g->dt->globals_fd,
			      (uint32_t)(offsetof(struct dt_shared, spec) + 8 * i));
		asm_imm(a, R0, SPEC_FREE);
		asm_imm(a, R2, SPEC_ACTIVE);
		asm_emit(a, BPF_STX | BPF_ATOMIC | BPF_DW, R1, R2, 0, BPF_CMPXCHG);
		asm_jcci(a, BPF_JNE, R0, SPEC_FREE, next);
		asm_imm(a, R0, i + 1);
		asm_jmp(a, done);
		asm_here(a, next);
	}
	gen_bump(g, offsetof(struct dt_shared, spec_none));
	asm_imm(a, R0, 0);
	asm_here(a, done);
	return 0;
}

int
gen_func(struct gen *g, struct node *n, struct error *err)
{
	struct node *arg = n->args;
	enum func f = n->ident->func;
	int r;

	switch (f) {
	case F_STRLEN:
		return gen_strlen(g, n, err);
	case F_INDEX:
	case F_RINDEX:
		return gen_index(g, n, f == F_RINDEX, err);
	case F_STRTOLL:
		return gen_strtoll(g, n, err);
	case F_PROGENYOF:
		return gen_progenyof(g, n, err);
	case F_D_PAGE_FILE:
		return gen_page_file(g, n, err);
	case F_ALLOCA:
		return gen_alloca(g, n, err);
	case F_COPYIN:
		return gen_copyin(g, n, err);
	case F_COPYINTO:
		return gen_copy_to_room(g, n, arg->next->next, arg->next, true, err);
	case F_BCOPY:
		return gen_copy_to_room(g, n, arg->next, arg->next->next, arg->is_user, err);
	case F_SPECULATION:
		return gen_speculation(g);
	case F_MUTEX_OWNED:
	case F_MUTEX_OWNER:
	case F_MUTEX_TYPE_ADAPTIVE:
	case F_MUTEX_TYPE_SPIN:
		return gen_mutex(g, n, err);
	case F_RW_ISWRITER:
	case F_RW_READ_HELD:
	case F_RW_WRITE_HELD:
		return gen_rwlock(g, n, err);
	case F_MSGDSIZE: /* a message is a struct sk_buff here */
		if ((r = gen_scalar(g, arg, err)) < 0)
			return r;
		return load_member(g, n, "struct sk_buff", "len", 4, err);
	case F_RAND:
		asm_call(&g->a, BPF_FUNC_get_prandom_u32);
		asm_extend(&g->a, R0, 4, true);
		return 0;
	case F_HTONS:
	case F_NTOHS:
	case F_HTONL:
	case F_NTOHL:
	case F_HTONLL:
	case F_NTOHLL:
		if ((r = gen_scalar(g, arg, err)) < 0)
			return r;
		swap(g, f == F_HTONS || f == F_NTOHS ? 16 : f == F_HTONL || f == F_NTOHL ? 32 : 64);
		return 0;
	case F_GETMAJOR:
	case F_GETMINOR: /* dev_t in the kernel: 12 bits major, 20 minor */
		if ((r = gen_scalar(g, arg, err)) < 0)
			return r;
		asm_extend(&g->a, R0, 4, false);
		if (f == F_GETMAJOR)
			asm_alui(&g->a, BPF_RSH, R0, 20);
		else
			asm_alui(&g->a, BPF_AND, R0, 0xfffff);
		return 0;
	default:
		break;
	}
	return gen_unsupported(n, n->name, err);
}

/* --- text: each leaves its result at `out`, which is twice strsize */

static int
gen_copyinstr(struct gen *g, struct node *n, struct place to, size_t size, struct error *err)
{
	struct asmb *a = &g->a;
	struct node *max = n->args->next;
	int r = gen_scalar(g, n->args, err), small;

	if (r < 0)
		return r;
	if (max && !max->is_const) {
		if ((r = gen_push(g, n, err)) < 0 || (r = gen_scalar(g, max, err)) < 0)
			return r;
		asm_mov(a, R2, R0);
		gen_pop(g, R0);
		small = asm_label(a);
		asm_alui(a, BPF_ADD, R2, 1);
		asm_jcci(a, BPF_JLE, R2, (int32_t)size, small);
		asm_imm(a, R2, (int64_t)size);
		asm_here(a, small);
	} else {
		if (max && max->value >= 0 && (size_t)max->value + 1 < size)
			size = (size_t)max->value + 1;
		asm_imm(a, R2, (int64_t)size);
	}
	gen_guard(g, R0, 1, true);
	asm_mov(a, R3, R0);
	gen_note_address(g);
	gen_place(g, R1, to);
	asm_call(a, BPF_FUNC_probe_read_user_str);
	asm_jcci(a, BPF_JSLT, R0, 0, gen_fault(g, FAULT_ADDRESS));
	return 0;
}

/* The second text behind the first; cut where strsize ends. */
static int
gen_strjoin(struct gen *g, struct node *n, struct place out, struct error *err)
{
	size_t max = g->dt->opts.strsize;
	struct place second;
	struct asmb *a = &g->a;
	int ok = asm_label(a), r;

	if ((r = gen_real_text(g, n->args, out, max, false, err)) < 0 ||
	    (r = text_slot(g, n->args->next, &second, err)) < 0)
		return r;
	gen_copy_text(g, out, max, out);
	asm_jcci(a, BPF_JSLT, R0, 1, gen_fault(g, FAULT_ADDRESS));
	asm_alui(a, BPF_SUB, R0, 1);
	asm_jcci(a, BPF_JLT, R0, (int32_t)max, ok);
	asm_jmp(a, gen_fault(g, FAULT_ADDRESS));
	asm_here(a, ok);
	gen_place(g, R1, out);
	asm_alu(a, BPF_ADD, R1, R0);
	gen_copy_text_to_r1(g, max, second);
	return 0;
}

/* One text in, one out. */
static int
gen_map_text(struct gen *g, struct node *n, const char *function, int64_t extra, struct place out,
	     struct error *err)
{
	struct place text;
	int r = text_slot(g, n->args, &text, err);

	if (r < 0)
		return r;
	gen_place(g, R2, out);
	gen_place(g, R3, text);
	asm_imm(&g->a, R4, g->dt->opts.strsize);
	asm_imm(&g->a, R5, extra);
	gen_rt(g, function);
	return 0;
}

static int
gen_substr(struct gen *g, struct node *n, struct place out, struct error *err)
{
	struct node *index = n->args->next, *len = index->next;
	struct place text;
	size_t size;
	int r;

	if ((r = gen_text_to_cut(g, n->args, &text, &size, err)) < 0 ||
	    (r = gen_scalar(g, index, err)) < 0 || (r = gen_push(g, n, err)) < 0)
		return r;
	asm_imm(&g->a, R0, INT32_MAX);
	if (len && (r = gen_scalar(g, len, err)) < 0)
		return r;
	set_rt(g, offsetof(struct rt, b));
	gen_pop(g, R0);
	set_rt(g, offsetof(struct rt, a));
	gen_place(g, R2, out);
	gen_place(g, R3, text);
	asm_imm(&g->a, R4, (int64_t)size);
	gen_rt(g, "rt_substr");
	return 0;
}

/* strchr, strrchr, strstr: from where it is found on. */
static int
gen_find_text(struct gen *g, struct node *n, struct place out, struct error *err)
{
	struct place text, sub;
	int r = text_slot(g, n->args, &text, err);

	if (r < 0)
		return r;
	if (n->ident->func == F_STRSTR) {
		if ((r = text_slot(g, n->args->next, &sub, err)) < 0)
			return r;
		gen_place(g, R3, sub);
		asm_imm(&g->a, R5, 0);
	} else {
		if ((r = gen_scalar(g, n->args->next, err)) < 0)
			return r;
		asm_mov(&g->a, R3, R0);
		asm_imm(&g->a, R5, n->ident->func == F_STRRCHR);
	}
	gen_place(g, R2, text);
	asm_imm(&g->a, R4, g->dt->opts.strsize);
	gen_rt(g, n->ident->func == F_STRSTR ? "rt_index" : "rt_strchr");
	asm_mov(&g->a, R5, R0);
	gen_place(g, R2, out);
	gen_place(g, R3, text);
	asm_imm(&g->a, R4, g->dt->opts.strsize);
	gen_rt(g, "rt_tail");
	return 0;
}

/*
 * Behind struct rt stands the text that strtok(NULL, ...) goes on with, if this firing has had one.
 * What is NULL only at run time, strtok(s, ...), goes on as well.
 */
static int
gen_strtok(struct gen *g, struct node *n, struct place out, struct error *err)
{
	struct place text = gen_rt_place(g, rt_size(g->dt)), delims, first;
	struct place token = gen_rt_place(g, offsetof(struct rt, token));
	size_t size = g->dt->opts.strsize;
	int go_on = asm_label(&g->a), r = text_slot(g, n->args->next, &delims, err);

	if (r < 0)
		return r;
	if (!n->args->is_const) {
		first = gen_slot(g, size);
		if ((r = gen_text(g, n->args, first, size, false, err)) < 0)
			return r;
		if (gen_may_lack_text(g, n->args))
			gen_if_no_text(g, first, go_on);
		gen_copy_text(g, text, size, first);
		asm_storei(&g->a, 8, token.reg, token.off, 0);
	}
	asm_here(&g->a, go_on);
	asm_storei(&g->a, 8, R10, STACK_FAULT, 0);
	asm_load(&g->a, 8, R0, token.reg, token.off);
	asm_jcci(&g->a, BPF_JEQ, R0, RT_NO_TOKEN, gen_fault(g, FAULT_ADDRESS));
	gen_place(g, R2, out);
	gen_place(g, R3, text);
	gen_place(g, R4, delims);
	asm_imm(&g->a, R5, size);
	gen_rt(g, "rt_strtok");
	return 0;
}

static int
gen_lltostr(struct gen *g, struct node *n, struct place out, struct error *err)
{
	struct place digits = gen_slot(g, 80);
	int ok = asm_label(&g->a), r;

	if ((r = gen_scalar(g, n->args, err)) < 0 || (r = gen_push(g, n, err)) < 0)
		return r;
	asm_imm(&g->a, R0, 10);
	if (n->args->next && (r = gen_scalar(g, n->args->next, err)) < 0)
		return r;
	asm_mov(&g->a, R4, R0);
	gen_pop(g, R3);
	gen_place(g, R2, digits);
	asm_imm(&g->a, R5, 80);
	gen_rt(g, "rt_lltostr"); /* the text stands at the end of digits: where, is in r0 */
	asm_jcci(&g->a, BPF_JLT, R0, 80, ok);
	asm_jmp(&g->a, gen_fault(g, FAULT_ADDRESS));
	asm_here(&g->a, ok);
	gen_place(g, R3, digits);
	asm_alu(&g->a, BPF_ADD, R3, R0);
	gen_place(g, R1, out);
	asm_imm(&g->a, R2, g->dt->opts.strsize < 80 ? g->dt->opts.strsize : 80);
	asm_call(&g->a, BPF_FUNC_probe_read_kernel_str);
	return 0;
}

static int
gen_json(struct gen *g, struct node *n, struct place out, struct error *err)
{
	struct place text, path;
	int r;

	if ((r = text_slot(g, n->args, &text, err)) < 0 ||
	    (r = text_slot(g, n->args->next, &path, err)) < 0)
		return r;
	gen_place(g, R2, out);
	gen_place(g, R3, text);
	gen_place(g, R4, path);
	asm_imm(&g->a, R5, g->dt->opts.strsize);
	gen_rt(g, "rt_json");
	return 0;
}

/* An address of n bytes at r0 becomes text; r5 tells the function what sort it is. */
static void
gen_address_text(struct gen *g, struct node *pointer, size_t n, const char *function, int64_t sort,
		 struct place out)
{
	struct place addr = gen_slot(g, 24);

	gen_read(g, addr, n, pointer->is_user);
	gen_place(g, R2, out);
	gen_place(g, R3, addr);
	asm_imm(&g->a, R4, g->dt->opts.strsize);
	asm_imm(&g->a, R5, sort);
	gen_rt(g, function);
}

static int
gen_inet_ntoa(struct gen *g, struct node *n, struct place out, struct error *err)
{
	bool bare = !n->args->next || n->args->next->value == 0;
	int r = gen_scalar(g, n->args, err);

	if (r < 0)
		return r;
	if (n->ident->func == F_INET_NTOA)
		gen_address_text(g, n->args, 4, "rt_ntop", AF_INET, out);
	else
		gen_address_text(g, n->args, 16, "rt_ntop", bare ? RT_INET6_BARE : AF_INET6, out);
	return 0;
}

/* A kind of address, its size in bytes, and what rt.bpf.c is told of it. */
struct address_kind {
	int32_t kind;
	size_t size;
	int64_t sort;
};
static const struct address_kind internet[2] = {{AF_INET, 4, AF_INET}, {AF_INET6, 16, AF_INET6}};
static const struct address_kind link_layer[2] = {{ARPHRD_ETHER, 6, 6},
						  {ARPHRD_INFINIBAND, 20, 20}};

/* inet_ntop() and link_ntop(): their first argument says as the probe fires which kind follows. */
static int
gen_ntop(struct gen *g, struct node *n, const struct address_kind kinds[2], const char *function,
	 struct place out, struct error *err)
{
	struct node *pointer = n->args->next;
	struct asmb *a = &g->a;
	int second, done, r;

	if ((r = gen_scalar(g, pointer, err)) < 0 || (r = gen_push(g, n, err)) < 0 ||
	    (r = gen_scalar(g, n->args, err)) < 0)
		return r;
	second = asm_label(a);
	done = asm_label(a);
	asm_mov(a, R1, R0);
	gen_pop(g, R0);
	asm_jcci(a, BPF_JEQ, R1, kinds[1].kind, second);
	asm_jcci(a, BPF_JNE, R1, kinds[0].kind, gen_fault(g, FAULT_ILLEGAL));
	gen_address_text(g, pointer, kinds[0].size, function, kinds[0].sort, out);
	asm_jmp(a, done);
	asm_here(a, second);
	gen_address_text(g, pointer, kinds[1].size, function, kinds[1].sort, out);
	asm_here(a, done);
	return 0;
}

static int
gen_link_ntop(struct gen *g, struct node *n, struct place out, struct error *err)
{
	if (n->args->is_const && n->args->value != ARPHRD_ETHER &&
	    n->args->value != ARPHRD_INFINIBAND)
		return d_error(
			err, n->line, "D_PROTO_ARG",
			"link_ntop( ) argument #1 must be ARPHRD_ETHER or ARPHRD_INFINIBAND");
	return gen_ntop(g, n, link_layer, "rt_link_ntop", out, err);
}

/* Text made from a structure of the kernel, whose members the function wants to know. */
static int
gen_walk(struct gen *g, struct node *n, struct place out, struct error *err)
{
	static const struct {
		enum func func;
		const char *function;
		enum rt_offset first, last;
	} rows[] = {
		{F_D_FILE_PATH, "rt_file_path", RT_MOUNT_MNT, RT_DENTRY_NAME},
		{F_D_FILE_PATH, "rt_file_path", RT_DENTRY_SB, RT_MOUNT_NEXT},
		{F_D_FILE_MOUNT, "rt_file_mount", RT_MOUNT_MNT, RT_DENTRY_NAME},
		{F_D_FILE_MOUNT, "rt_file_mount", RT_DENTRY_SB, RT_MOUNT_NEXT},
		{F_D_PATH, "rt_path", RT_PATH_DENTRY, RT_DENTRY_NAME},
		{F_D_MOUNT, "rt_mount", RT_PATH_DENTRY, RT_DENTRY_NAME},
		{F_DDI_PATHNAME, "rt_kobject", RT_KOBJECT_NAME, RT_KOBJECT_PARENT},
		{F_D_PSARGS, "rt_psargs", RT_TASK_TGID, RT_TASK_COMM},
		{F_D_PSARGS, "rt_psargs", RT_MM_ARG_START, RT_MM_ARG_END},
		{F_D_ZONENAME, "rt_zonename", RT_TASK_CGROUPS, RT_TASK_CGROUPS},
		{F_D_ZONENAME, "rt_zonename", RT_CSS_SET_CGRP, RT_KN_NAME},
	};
	const char *function = NULL;
	int r = gen_walk_check(g, n, err);

	if (r == 0)
		r = gen_scalar(g, n->args, err);

	if (r < 0 || (r = gen_push(g, n, err)) < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].func != n->ident->func)
			continue;
		function = rows[i].function;
		for (enum rt_offset o = rows[i].first; o <= rows[i].last; o++)
			if ((r = gen_rt_offset(g, n, o, err)) < 0)
				return r;
	}
	gen_pop(g, R3);
	gen_place(g, R2, out);
	asm_imm(&g->a, R4, g->dt->opts.strsize);
	gen_rt(g, function);
	return 0;
}

static int
gen_text_of(struct gen *g, struct node *n, struct place out, struct error *err)
{
	switch (n->ident->func) {
	case F_COPYINSTR:
		return gen_copyinstr(g, n, out, g->dt->opts.strsize, err);
	case F_STRJOIN:
		return gen_strjoin(g, n, out, err);
	case F_TOUPPER:
		return gen_map_text(g, n, "rt_case", 0, out, err);
	case F_TOLOWER:
		return gen_map_text(g, n, "rt_case", 1, out, err);
	case F_BASENAME:
		return gen_map_text(g, n, "rt_basename", 0, out, err);
	case F_DIRNAME:
		return gen_map_text(g, n, "rt_dirname", 0, out, err);
	case F_CLEANPATH:
		return gen_map_text(g, n, "rt_cleanpath", 0, out, err);
	case F_SUBSTR:
		return gen_substr(g, n, out, err);
	case F_STRCHR:
	case F_STRRCHR:
	case F_STRSTR:
		return gen_find_text(g, n, out, err);
	case F_STRTOK:
		return gen_strtok(g, n, out, err);
	case F_LLTOSTR:
		return gen_lltostr(g, n, out, err);
	case F_JSON:
		return gen_json(g, n, out, err);
	case F_INET_NTOA:
	case F_INET_NTOA6:
		return gen_inet_ntoa(g, n, out, err);
	case F_INET_NTOP:
		return gen_ntop(g, n, internet, "rt_ntop", out, err);
	case F_LINK_NTOP:
		return gen_link_ntop(g, n, out, err);
	case F_D_FILE_PATH:
	case F_D_FILE_MOUNT:
	case F_D_PATH:
	case F_D_MOUNT:
	case F_D_PSARGS:
	case F_D_ZONENAME:
	case F_DDI_PATHNAME:
		return gen_walk(g, n, out, err);
	default:
		return gen_unsupported(n, n->name, err);
	}
}

int
gen_func_text(struct gen *g, struct node *n, struct place to, size_t size, struct error *err)
{
	struct place out;
	int r;

	if (n->ident->func == F_COPYINSTR)
		return gen_copyinstr(g, n, to, size, err);
	out = gen_slot(g, 2 * (size_t)g->dt->opts.strsize);
	if ((r = gen_text_of(g, n, out, err)) < 0)
		return r;
	if (gen_may_lack_text(g, n))
		gen_text_or_none(g, to, size, out);
	else
		gen_copy_text(g, to, size, out);
	return 0;
}
