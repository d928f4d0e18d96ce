/* What the unwinder of user stacks shares with its consumer: unwind.bpf.c, unwind.c (theory there). */
#ifndef DTRACE_UNWIND_H
#define DTRACE_UNWIND_H

#ifdef __bpf__
typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;
#else
#include <stdint.h>
typedef uint32_t u32;
typedef uint64_t u64;
#endif

#define DT_MISS 0x40000000u /* in a record's clause: it is a struct unwind_miss */

#define UNWIND_ROWS 32	/* of a block */
#define UNWIND_MISSES 4 /* told of one stack */
#define UNWIND_PATH 256
#define UNWIND_NO_TABLE 0xffffffffu /* an object's id: it has none */
#define UNWIND_VDSO 1 /* inode of device 0; one more for that of 32-bit programs */

struct unwind_row {
	u32 at, what; /* the place it begins at; a rule, or in upper levels a block's number */
};

struct unwind_block {
	struct unwind_row rows[UNWIND_ROWS];
};

struct unwind_block_key {
	u32 object, block;
};

/* A file, as the kernel knows it. */
struct unwind_file {
	u64 dev, inode;
};

struct unwind_object {
	u32 id; /* 0: its table was asked for */
	u32 root, depth;
};

struct unwind_map_key {
	u64 pid, start;
};

/* A mapping of code that was met on a stack. */
struct unwind_map {
	u64 end, offset;
	struct unwind_file file;
};

struct unwind_miss {
	u32 clause, probe, cpu, spec; /* struct rec_head */
	struct unwind_map_key key;
	struct unwind_map map;
	char path[2 * UNWIND_PATH]; /* for the way it is written; it ends in the first half */
};

/* The walk, in struct rt. */
struct unwind {
	u64 regs[21]; /* struct pt_regs */
	u64 node[32]; /* of the tree of mappings */
	u64 ip, sp, fp, bx, word, mm, root, exact;
	u64 trampoline; /* that stands in place of return addresses which a return probe waits for */
	u64 entry, level, more;
	struct unwind_block_key block;
	u64 n_misses, misses[UNWIND_MISSES]; /* struct vm_area_struct */
	struct unwind_map_key key;	     /* the mapping at hand */
	struct unwind_map map;
	struct unwind_object object; /* its table, if id is not 0 */
	struct {		     /* the mapping before that: stacks go to and fro between two */
		u64 start, end, offset;
		struct unwind_object object;
	} last;
	struct unwind_miss miss;
};

#endif
