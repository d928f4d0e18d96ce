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
#define UNWIND_HOT 512	  /* rules that a CPU remembers, a power of two */
#define UNWIND_REFRESH 1024 /* each so many walks nothing is taken from there */
#define UNWIND_WINDOW 256 /* bytes of the stack that are read at once, a power of two */
#define UNWIND_NO_WINDOW (1ull << 63) /* where nobody has memory */
#define UNWIND_MAPPED (1ull << 32) /* of a rule: the place is in a mapping of code */

struct unwind_row {
	u32 at, what; /* the place it begins at; a rule, or in upper levels a block's number */
};

struct unwind_block {
	struct unwind_row rows[UNWIND_ROWS];
};

struct unwind_block_key {
	u32 object, block;
};

/* A file, as the kernel knows it; the edition changes when its text does, or its inode is another's. */
struct unwind_file {
	u64 dev, inode, edition;
};
#define UNWIND_EDITION(seconds, nanoseconds, generation) ((seconds) << 32 ^ (nanoseconds) ^ (generation))

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

/* What is known of a place in a process; see "hot places" in unwind.c. */
struct unwind_hot {
	u64 at, space, rule;
};

/* The walk, in struct rt. */
struct unwind {
	u64 ip, sp, fp, bx, word, mm, root;
	u64 exact;	/* ip is the next instruction's, not that behind a call */
	u64 rule, cfa, vma, got; /* what functions found; see unwind.bpf.c */
	u64 guessed;	/* ip: no table led there */
	u64 trampoline; /* that stands in place of return addresses which a return probe waits for */
	u64 space;	/* the state of the address space, or 0: nothing is remembered */
	u64 walks;
	u64 entry, level, at;
	u64 window, words[UNWIND_WINDOW / 8 + 1]; /* of the stack, from there on; a spare one */
	u64 node[32];				  /* of the tree of mappings */
	struct unwind_block_key block;
	u64 n_misses, misses[UNWIND_MISSES]; /* struct vm_area_struct */
	struct unwind_map_key key;	     /* the mapping at hand */
	struct unwind_map map;
	struct unwind_object object; /* its table, if id is not 0 */
	struct unwind_miss miss;
	struct unwind_hot hot[UNWIND_HOT];
};

#endif
