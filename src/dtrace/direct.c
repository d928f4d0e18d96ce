/*
 * Numbers in the kernel's memory by a load instead of a helper's call.
 *
 * The kernel lets a program load through a pointer to one of its structures; where nothing can be
 * read the load gives 0.  bpf_rdonly_cast(), which costs no instruction, makes such a pointer of any
 * number.  The structure is always the same, one that begins with a number of eight bytes: what
 * it is called matters only to the verifier, which then takes what was loaded for a number.
 *
 * 0 may be the value or a fault: then, and only then, the helper reads again and tells which.  So
 * ERROR fires as ever, and a dereference costs two nanoseconds where a call takes twenty-five.
 */
#include <bpf/bpf.h>
#include <unistd.h>

#include "dtrace/priv.h"

#define CAST_TYPE "struct timespec64"

static void
emit_cast(struct asmb *a, uint32_t type, uint32_t function)
{
	asm_imm(a, R2, type);
	asm_emit(a, BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, (int32_t)function);
}

/* A kernel that has it not, or has no compiler for BPF, refuses this program. */
static bool
can_load(uint32_t type, uint32_t function)
{
	cleanup_error struct error none = ERROR_INIT;
	struct asmb a = {0};
	int fd = -1;

	emit_cast(&a, type, function);
	asm_load(&a, 8, R0, R0, 0);
	asm_imm(&a, R0, 0);
	asm_exit(&a);
	if (asm_finish(&a, &none) == 0)
		fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "dt_direct", "GPL", a.insns, a.n, NULL);
	asm_done(&a);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

bool
dt_has_direct(struct dt *dt)
{
	if (!dt->direct_asked) {
		dt->direct_asked = true;
		dt->cast_function = ctf_kernel_id(dt->kernel, CTF_FUNCTION, "bpf_rdonly_cast");
		dt->cast_type = ctf_kernel_id(dt->kernel, CTF_STRUCT, CAST_TYPE + strlen("struct "));
		dt->direct = dt->cast_function && dt->cast_type &&
			     can_load(dt->cast_type, dt->cast_function);
	}
	return dt->direct;
}

void
gen_load_kernel(struct gen *g, unsigned size)
{
	struct asmb *a = &g->a;
	int done = asm_label(a);

	if (!dt_has_direct(g->dt)) {
		gen_read(g, (struct place){R10, STACK_VALUE}, size, false);
		asm_load(a, size, R0, R10, STACK_VALUE);
		return;
	}
	gen_guard(g, R0, size, false);
	asm_mov(a, R1, R0);
	asm_store(a, 8, R10, STACK_FAULT, R0);
	emit_cast(a, g->dt->cast_type, g->dt->cast_function);
	asm_load(a, size, R0, R0, 0);
	if (gen_may_miss(g))
		return;
	asm_jcci(a, BPF_JNE, R0, 0, done);
	asm_load(a, 8, R3, R10, STACK_FAULT);
	gen_place(g, R1, (struct place){R10, STACK_VALUE});
	asm_imm(a, R2, (int64_t)size);
	asm_call(a, BPF_FUNC_probe_read_kernel);
	asm_jcci(a, BPF_JNE, R0, 0, gen_fault(g, FAULT_ADDRESS));
	asm_load(a, size, R0, R10, STACK_VALUE);
	asm_here(a, done);
}
