/*
 * From checked clauses to BPF.
 *
 * Registers while a program runs:
 *	r6  the context the kernel gave
 *	r7  this firing's scratch area (if g->scratch)
 *	r8  the probe's id
 *	r9  this CPU's nesting level (if g->scratch)
 *	r0  the value of the expression just evaluated; r1-r5 are anybody's
 *
 * Stack, from the top (r10) down:
 *	  -8 ... -184	values put aside while another is computed (gen_push)
 *	-192		the clause's timestamp, once it was asked for
 *	-200		whose the thread is, once it was asked for (gen_thread())
 *	-320 ... -208	a key, when it is small
 *	-352 ... -328	what a helper reads or writes: one value, one small key; the last address
 *	-512 ... -360	the record, when it is small and nothing else needs the scratch area
 *
 * Text never is a value in a register: gen_text() puts it where it is wanted.
 */
#ifndef DTRACE_GEN_H
#define DTRACE_GEN_H

#include "dtrace/asm.h"
#include "dtrace/dt.h"
#include "dtrace/rt.h"

#define SMALL_KEY 64
#define MAX_PUSHED 23
#define STACK_TIME (-192)
#define STACK_THREAD (-200)
#define STACK_KEY (-320)
#define STACK_KEY_SIZE 120
#define STACK_VALUE (-336)
#define STACK_FAULT (-344) /* the address that is about to be read */
#define STACK_SMALL (-352)
#define STACK_RECORD (-512)
#define STACK_RECORD_SIZE 160

/* What is kept on the stack, once it was asked for: the thread, and the time of the clause. */
enum known { KNOWN_THREAD = 1, KNOWN_TIME = 2 };

struct gen {
	struct dt *dt;
	const struct hook *hook;
	struct asmb a;
	bool scratch;	   /* the hook's clauses need the scratch area */
	unsigned known; /* places of enum known that are filled, whichever way led here ... */
	unsigned used;	/* ... and read somewhere */
	int depth;	   /* values pushed */
	int key_depth[8];  /* of open variable keys: how many of those are theirs */
	int n_keys_open;
	size_t slot_next;  /* scratch in use by this expression */
	size_t slot_max;
	int leave;	   /* label: end of the program */
	int end;	   /* label: end of the clause */
	struct {
		int label, statement;
		enum fault kind;
	} faults[3 * 64]; /* of the clause: where each goes on */
	size_t n_faults;
	bool faults_leave; /* before any clause: a fault leaves the program */
	int statement; /* number of the one at work; 0 in the predicate */
	bool in_error; /* clauses of ERROR are at work */
	/* priv.c, all false without confinement: */
	bool library; /* the library's sentence is at work */
	bool nobody;  /* there is no process that the program may see */
	bool reads_registers; /* of its context, which must have a type for that */
	bool crowded;	   /* texts need more scratch memory than there is */
	bool confine_lost; /* this kernel's types do not tell whose a process is */
	const struct clause *clause;
	struct {
		const char *name;
		int label;
	} *rt; /* run-time functions in use */
	size_t n_rt;
};

/* Where bytes stand: a register and an offset. */
struct place {
	int reg, off;
};

int gen_scalar(struct gen *g, struct node *n, struct error *err); /* into r0 */
void gen_load_value(struct gen *g, const struct node *n); /* r0: address of n; what stands there */
/* gen_builtin.c */
int gen_builtin(struct gen *g, struct node *n, struct error *err);
int gen_ureg(struct gen *g, struct node *n, struct error *err); /* uregs[n->number] */
int gen_addr(struct gen *g, struct node *n, struct error *err);	  /* of an lvalue, into r0 */
/*
 * gen_text.c: text of n to `to`, at most size bytes, NUL-terminated; pad: zeros up to size
 * (size is a multiple of 8).
 */
int gen_text(struct gen *g, struct node *n, struct place to, size_t size, bool pad,
	     struct error *err);
/* The same of text that must be there, or the clause ends. */
int gen_real_text(struct gen *g, struct node *n, struct place to, size_t size, bool pad,
		  struct error *err);
/*
 * The same at a place in scratch memory, and one byte longer than texts may be: a part of it that
 * does not begin at its start may have that byte.  *ret_size: of the place.
 */
int gen_text_to_cut(struct gen *g, struct node *n, struct place *ret, size_t *ret_size,
		    struct error *err);
/* NULL, or a place that may have none. */
bool gen_may_lack_text(struct gen *g, const struct node *n);
/* Jumps to `yes` if what gen_text() put at p is no text. */
void gen_if_no_text(struct gen *g, struct place p, int yes);
void gen_copy_text(struct gen *g, struct place to, size_t size, struct place from); /* length to r0 */
void gen_copy_text_to_r1(struct gen *g, size_t size, struct place from); /* to where r1 points */
/* After a function that left text at `from`, and in r0 whether there is none: to `to`. */
void gen_text_or_none(struct gen *g, struct place to, size_t size, struct place from);
/* Where the text of n stands in scratch memory, as the number that D handles; 0 if there is none. */
int gen_text_address(struct gen *g, struct node *n, struct error *err);
/* func.c: the same of a copy that lasts as long as what alloca() gives. */
int gen_kept_text(struct gen *g, struct node *n, struct error *err);
int gen_assign_text(struct gen *g, struct node *n, struct place *ret, struct error *err);
int gen_compare_text(struct gen *g, struct node *n, struct error *err);
unsigned gen_jump_of(enum op op, bool is_signed);
int gen_push(struct gen *g, const struct node *where, struct error *err); /* r0 put aside */
void gen_pop(struct gen *g, int reg);
void gen_place(struct gen *g, int reg, struct place p); /* address into reg */
struct place gen_slot(struct gen *g, size_t size);	/* scratch; freed at the statement's end */
void gen_zero(struct gen *g, struct place p, size_t size);
/* r0: address.  Reads size bytes to `to`; a bad address ends the clause. */
void gen_read(struct gen *g, struct place to, size_t size, bool is_user);
/* The same of a C string that begins there, as much as there is room for. */
void gen_read_text(struct gen *g, struct place to, size_t size, bool is_user);
/* direct.c: r0: an address in the kernel; the 1, 2, 4 or 8 bytes there into r0. */
void gen_load_kernel(struct gen *g, unsigned size);
bool dt_has_direct(struct dt *dt); /* then dt->cast_function and cast_type are known */
struct place gen_record_at(struct gen *g, size_t off);
void gen_agg_drop(struct gen *g);
/* gen_act.c: the act that the checker made for this action; *next moves on */
int gen_action(struct gen *g, struct node *n, const struct act **next, struct error *err);
/* At a function's first instruction: where it returns to; 0 if that cannot be read. */
void gen_return_address(struct gen *g, struct place to);
/* zone.c: leaves the program unless the process is of the zone traced */
void gen_zone(struct gen *g);
/* code.c */
void dt_show_code(const struct hook *h, const struct gen *g);
/* gen_agg.c */
int gen_aggregate(struct gen *g, struct node *n, struct error *err);
/* A key's parts to `to`. */
int gen_keys(struct gen *g, struct node *keys, const struct rec *recs, struct place to,
	     struct error *err);
/* 1 or 0 to r0, after a jump to `yes`. */
void gen_truth(struct gen *g, int yes);
/* gen.c: if r0 is not 0 ... else ...: gen_fork(), code, gen_else(), code, gen_join() */
struct fork {
	int other, done;
	unsigned known;
};
struct fork gen_fork(struct gen *g);
void gen_else(struct gen *g, struct fork *f);
void gen_join(struct gen *g, struct fork *f);
/* rt.c: a call of a function of rt.bpf.c, its arguments but the first in r2 to r5 */
void gen_rt(struct gen *g, const char *name);
int gen_rt_bodies(struct gen *g, struct error *err); /* the functions in use, behind the program */
struct place gen_rt_place(struct gen *g, size_t off); /* of struct rt */
size_t rt_size(const struct dt *dt);		      /* of struct rt, as far as it is used */
/* gen_memory.c */
/*
 * Where a variable that is no number and no text stands, or a part of it (dt_in_variable()), into
 * r0 as a pointer that the verifier knows (a bit-field: its unit); create: the variable is made if
 * it is not there.
 */
int gen_variable(struct gen *g, struct node *n, bool create, struct error *err);
void gen_load_part(struct gen *g, const struct node *n); /* what stands there */
/* The bytes of n, a structure or array of whatever memory. */
int gen_read_node(struct gen *g, struct node *n, struct place to, size_t size, struct error *err);
/* A variable's char [] as text. */
int gen_array_text(struct gen *g, struct node *n, struct place to, size_t size, struct error *err);
void gen_as_number(struct gen *g); /* r0: such a pointer, as the number that D handles */
/* r0 into a part of a variable or into alloca()'s memory; r0 is kept. */
int gen_store_part(struct gen *g, struct node *n, struct error *err);
/* The text at `from` into a member or through a pointer. */
int gen_store_part_text(struct gen *g, struct node *n, struct place from, struct error *err);
/* A whole structure or union. */
int gen_copy(struct gen *g, struct node *to, struct node *from, struct error *err);
/* Makes an offset known to the functions. */
int gen_rt_offset(struct gen *g, const struct node *where, enum rt_offset which,
		  struct error *err);
void gen_rt_offset_to(struct gen *g, enum rt_offset which, uint32_t offset);
bool rt_offset_of(struct dt *dt, enum rt_offset which, uint32_t *ret); /* of this kernel; false: there is none */
/* unwind.c: frames of the process by its tables, to `to`; their number into r0 */
void gen_unwind(struct gen *g, struct place to, size_t size);
/* The mapping that the process's address lies in is noted: its name may be asked for too late. */
void gen_note_mapping(struct gen *g, struct place address);
bool unwinder_works(const struct dt *dt); /* else stacks go by frame pointers */
/* stack.c: stack(n) and ustack(n): addresses, zeros behind the last; a user's behind its process */
void gen_stack(struct gen *g, struct place to, size_t size, bool user);
/* The same as a value: struct stack_value. */
void gen_stack_value(struct gen *g, const struct node *n, struct place to);
/* gen_act.c */
void gen_pid_to(struct gen *g, struct place to);
/* The value of n to a place, as rec says; pad: zeros behind a text. */
int gen_value(struct gen *g, struct node *n, const struct rec *rec, struct place to, bool pad,
	      struct error *err);
/* gen_builtin.c: the process above, the thread below, as the kernel numbers them, into r0. */
void gen_thread(struct gen *g);
/* func.c */
int gen_func(struct gen *g, struct node *n, struct error *err);
int gen_func_text(struct gen *g, struct node *n, struct place to, size_t size, struct error *err);
int gen_fault(struct gen *g, enum fault kind); /* label that ends the clause with an error */
void gen_note_address(struct gen *g);	       /* r3: told if reading there fails */
int gen_unsupported(const struct node *n, const char *what, struct error *err);
void gen_bump(struct gen *g, size_t shared_offset); /* a counter of struct dt_shared */
/* The map's value for a thread-local or associative variable: r0, or 0. */
int gen_var_lookup(struct gen *g, struct ident *v, struct node *keys, struct error *err);
/* A dynamic variable is given 0: it is no more. */
int gen_clear_var(struct gen *g, struct node *n, struct error *err);
/*
 * The key of a dynamic variable: among the values put aside if it is small, else in scratch.
 * gen_var_key_done() gives its place back, in the order of gen_pop().
 */
int gen_var_key(struct gen *g, struct ident *v, struct node *keys, struct place *ret,
		struct error *err);
void gen_var_key_done(struct gen *g, const struct ident *v);

#endif
