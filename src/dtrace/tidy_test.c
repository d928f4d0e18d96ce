/* What asm_tidy() takes out, and what it must leave. */
#include "base/str.h"
#include "base/test.h"
#include "dtrace/asm.h"

/* The instructions left, one letter each: m(ov) i(mm) c(all) s(tore) l(oad) j(ump) x(exit) a(lu). */
static char *
shape(const struct asmb *a)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	for (size_t i = 0; i < a->n; i++) {
		unsigned code = a->insns[i].code, class = BPF_CLASS(code), op = BPF_OP(code);

		if (class == BPF_JMP)
			strbuf_adds(&b, op == BPF_CALL ? "c" : op == BPF_EXIT ? "x" : "j");
		else if (class == BPF_ST || class == BPF_STX)
			strbuf_adds(&b, "s");
		else if (class == BPF_LDX)
			strbuf_adds(&b, "l");
		else
			strbuf_adds(&b, class == BPF_LD ? "i" : op != BPF_MOV ? "a" : code & BPF_X ? "m" : "i");
		i += class == BPF_LD; /* takes two places */
	}
	return strbuf_steal(&b);
}

static void
check_tidy(struct asmb *a, int unused, const char *want)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *got = NULL;

	asm_tidy(a, (const int[]){unused, 0});
	got = shape(a);
	check_str(got, want);
	check_int(asm_finish(a, &err), ==, 0);
}

TEST(what_nobody_reads_goes)
{
	struct asmb a = {0};

	asm_mov(&a, R6, R1);	     /* goes: r1 still holds it where it is read */
	asm_load(&a, 8, R2, R6, 8);
	asm_imm(&a, R8, 1ll << 40); /* goes, both places */
	asm_store(&a, 8, R10, -8, R2);
	asm_store(&a, 8, R10, -200, R2); /* goes: said to be unused */
	asm_imm(&a, R0, 0);
	asm_exit(&a);
	check_tidy(&a, -200, "lsix");
	check_int(a.insns[0].src_reg, ==, R1);
	asm_done(&a);
}

TEST(what_a_call_destroys_is_kept)
{
	struct asmb a = {0};

	asm_mov(&a, R6, R1);
	asm_call(&a, BPF_FUNC_ktime_get_ns);
	asm_load(&a, 8, R2, R6, 8); /* r1 is nothing any more */
	asm_store(&a, 8, R10, -8, R2);
	asm_imm(&a, R0, 0);
	asm_exit(&a);
	check_tidy(&a, 0, "mclsix");
	check_int(a.insns[2].src_reg, ==, R6);
	asm_done(&a);
}

TEST(what_one_way_reads_is_kept)
{
	struct asmb a = {0};
	int other = asm_label(&a), done = asm_label(&a);

	asm_imm(&a, R7, 5);
	asm_mov(&a, R3, R1);
	asm_jcci(&a, BPF_JEQ, R1, 0, other);
	asm_imm(&a, R3, 1);
	asm_jmp(&a, done);
	asm_here(&a, other);
	asm_mov(&a, R3, R7); /* r7 may take its place up to `done` only */
	asm_jmp(&a, done);   /* goes nowhere */
	asm_here(&a, done);
	asm_mov(&a, R0, R3);
	asm_exit(&a);
	check_tidy(&a, 0, "ijijmmx");
	check_int(a.insns[1].off, ==, 2);
	check_int(a.insns[3].off, ==, 1);
	asm_done(&a);
}

TEST(atomic_operations_keep_their_registers)
{
	struct asmb a = {0};

	asm_imm(&a, R0, 1);
	asm_imm(&a, R2, 2);
	asm_emit(&a, BPF_STX | BPF_ATOMIC | BPF_DW, R1, R2, 0, BPF_CMPXCHG);
	asm_store(&a, 8, R10, -8, R0);
	asm_imm(&a, R0, 0);
	asm_exit(&a);
	check_tidy(&a, 0, "iissix");
	asm_done(&a);
}
