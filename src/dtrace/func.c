/* Subroutines. */
#include "dtrace/check.h"
#include "dtrace/gen.h"

/* What each takes: 's' text, 'n' number or pointer, 'p' pointer, per argument. */
static const char *const shapes[F_NFUNCS] = {
	[F_STRLEN] = "s",     [F_STRJOIN] = "ss",  [F_STRCHR] = "sn",  [F_STRRCHR] = "sn",
	[F_STRSTR] = "ss",    [F_INDEX] = "ssn",   [F_RINDEX] = "ssn", [F_SUBSTR] = "snn",
	[F_STRTOK] = "ss",    [F_TOUPPER] = "s",   [F_TOLOWER] = "s",  [F_LLTOSTR] = "nn",
	[F_STRTOLL] = "sn",   [F_BASENAME] = "s",  [F_DIRNAME] = "s",  [F_CLEANPATH] = "s",
	[F_COPYIN] = "nn",    [F_COPYINSTR] = "nn", [F_COPYINTO] = "nnp", [F_ALLOCA] = "n",
	[F_BCOPY] = "ppn",    [F_RAND] = "",	   [F_PROGENYOF] = "n", [F_HTONS] = "n",
	[F_HTONL] = "n",      [F_HTONLL] = "n",	   [F_NTOHS] = "n",    [F_NTOHL] = "n",
	[F_NTOHLL] = "n",     [F_INET_NTOA] = "p", [F_INET_NTOA6] = "p", [F_INET_NTOP] = "np",
	[F_GETMAJOR] = "n",   [F_GETMINOR] = "n",  [F_SPECULATION] = "",
};

int
func_check(struct checker *c, struct node *n, enum func f, struct error *err)
{
	const char *shape = shapes[f];
	int i = 1;

	for (struct node *arg = n->args; arg && *shape; arg = arg->next, shape++, i++) {
		bool text = dt_is_string(c->dt, arg->type) || ctf_is_string(arg->type);
		bool number = !dt_is_string(c->dt, arg->type) &&
			      (ctf_is_integral(arg->type) || ctf_is_pointer(arg->type));

		if (*shape == 's' ? !text : *shape == 'p' ? !ctf_is_pointer(arg->type) : !number) {
			cleanup_free char *name = ctf_name(arg->type);

			return d_error(err, n->line, "D_PROTO_ARG",
				       "%s( ) argument #%d is incompatible with prototype: it is \"%s\"",
				       n->name, i, name);
		}
	}
	return 0;
}

static void
swap(struct gen *g, int bits)
{
	asm_emit(&g->a, BPF_ALU | BPF_END | BPF_TO_BE, R0, 0, 0, bits);
}

int
gen_func(struct gen *g, struct node *n, struct error *err)
{
	struct place text;
	int r = 0;

	switch (n->ident->func) {
	case F_STRLEN:
		text = gen_slot(g, g->dt->opts.strsize);
		if ((r = gen_text(g, n->args, text, g->dt->opts.strsize, false, err)) < 0)
			return r;
		/* Reading it over itself is the cheapest way to have it measured. */
		gen_place(g, R1, text);
		asm_imm(&g->a, R2, g->dt->opts.strsize);
		gen_place(g, R3, text);
		asm_call(&g->a, BPF_FUNC_probe_read_kernel_str);
		asm_alui(&g->a, BPF_SUB, R0, 1);
		return 0;
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
		if ((r = gen_scalar(g, n->args, err)) < 0)
			return r;
		swap(g, n->ident->func == F_HTONS || n->ident->func == F_NTOHS	 ? 16
			: n->ident->func == F_HTONL || n->ident->func == F_NTOHL ? 32
										 : 64);
		return 0;
	case F_GETMAJOR:
	case F_GETMINOR: /* dev_t in the kernel: 12 bits major, 20 minor */
		if ((r = gen_scalar(g, n->args, err)) < 0)
			return r;
		if (n->ident->func == F_GETMAJOR)
			asm_alui(&g->a, BPF_RSH, R0, 20);
		else
			asm_alui(&g->a, BPF_AND, R0, 0xfffff);
		return 0;
	default:
		break;
	}
	return gen_unsupported(n, n->name, err);
}

static int
gen_copyinstr(struct gen *g, struct node *n, struct place to, size_t size, struct error *err)
{
	struct node *max = n->args->next;
	int r = gen_scalar(g, n->args, err);

	if (r < 0)
		return r;
	if (max && max->is_const && max->value > 0 && (size_t)max->value < size)
		size = (size_t)max->value;
	asm_mov(&g->a, R3, R0);
	gen_place(g, R1, to);
	asm_imm(&g->a, R2, (int64_t)size);
	asm_call(&g->a, BPF_FUNC_probe_read_user_str);
	asm_jcci(&g->a, BPF_JSLT, R0, 0, g->fault);
	return 0;
}

/* The second text behind the first; cut where strsize ends. */
static int
gen_strjoin(struct gen *g, struct node *n, struct place to, size_t size, struct error *err)
{
	size_t max = g->dt->opts.strsize;
	struct place joined = gen_slot(g, 2 * max), second = gen_slot(g, max);
	struct asmb *a = &g->a;
	int ok = asm_label(a), r;

	if ((r = gen_text(g, n->args, joined, max, false, err)) < 0 ||
	    (r = gen_text(g, n->args->next, second, max, false, err)) < 0)
		return r;
	gen_place(g, R1, joined);
	asm_imm(a, R2, (int64_t)max);
	gen_place(g, R3, joined);
	asm_call(a, BPF_FUNC_probe_read_kernel_str);
	asm_jcci(a, BPF_JSLT, R0, 1, g->fault);
	asm_alui(a, BPF_SUB, R0, 1);
	asm_jcci(a, BPF_JLT, R0, (int32_t)max, ok);
	asm_jmp(a, g->fault);
	asm_here(a, ok);
	gen_place(g, R1, joined);
	asm_alu(a, BPF_ADD, R1, R0);
	asm_imm(a, R2, (int64_t)max);
	gen_place(g, R3, second);
	asm_call(a, BPF_FUNC_probe_read_kernel_str);
	gen_place(g, R1, to);
	asm_imm(a, R2, (int64_t)size);
	gen_place(g, R3, joined);
	asm_call(a, BPF_FUNC_probe_read_kernel_str);
	return 0;
}

int
gen_func_text(struct gen *g, struct node *n, struct place to, size_t size, struct error *err)
{
	switch (n->ident->func) {
	case F_COPYINSTR:
		return gen_copyinstr(g, n, to, size, err);
	case F_STRJOIN:
		return gen_strjoin(g, n, to, size, err);
	default:
		return gen_unsupported(n, n->name, err);
	}
}
