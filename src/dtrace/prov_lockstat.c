/*
 * lockstat: the kernel's locks.  adaptive is the mutex (it spins while its owner
 * runs, then sleeps), spin the spinlock, rw the rw_semaphore and rwlock, thread the
 * rt_mutex.  arg0 is the lock, arg1 of block and spin probes the nanoseconds that
 * were spent.  Contention is told by tracepoints and costs nothing without it;
 * acquire and release hook the lock's functions and cost at each use.
 */
#include "dtrace/stable.h"

/* Flags of contention_begin: 1 spin, 2 read, 4 write, 8 rt_mutex, 32 mutex. */
#define AUX                                                                                 \
	"uint64_t d_lock_since[uint64_t, uint64_t];"                                        \
	"uint64_t d_lock_flags[uint64_t, uint64_t];"                                        \
	"int64_t d_lock_count[uint64_t, uint64_t];"                                         \
	"rawtp:::contention_begin {"                                                        \
	"	d_lock_since[(uint64_t)curthread, (uint64_t)arg0] = timestamp;"             \
	"	d_lock_flags[(uint64_t)curthread, (uint64_t)arg0] = arg1 | 0x100;"          \
	"	d_lock_count[(uint64_t)curthread, (uint64_t)arg0] = arg1 & 6 ?"             \
	"	    ((struct rw_semaphore *)arg0)->count.counter : 0; }"                    \
	"rawtp:::contention_end {"                                                          \
	"	d_lock_since[(uint64_t)curthread, (uint64_t)arg0] = 0;"                     \
	"	d_lock_count[(uint64_t)curthread, (uint64_t)arg0] = 0;"                     \
	"	d_lock_flags[(uint64_t)curthread, (uint64_t)arg0] = 0; }"
#define FLAGS "d_lock_flags[(uint64_t)curthread, (uint64_t)args[0]]"
#define LOCK(type) {.expr = "(uint64_t)args[0]", .native = type " *"}
#define NS ULONG("timestamp - d_lock_since[(uint64_t)curthread, (uint64_t)args[0]]")
#define MUTEX LOCK("struct mutex")
#define SPIN LOCK("spinlock_t")
/*
 * rw: RW_READER or RW_WRITER (lib/lockstat.d).  Of rw-block also what it was blocked by: a writer,
 * or how many readers; a rw_semaphore counts a writer as 1 and a reader as 256.
 */
#define RW LOCK("struct rw_semaphore")
#define WHICH INT("(" FLAGS " & 4) == 0")
#define READER INT("1")
#define WRITER INT("0")
#define COUNT "d_lock_count[(uint64_t)curthread, (uint64_t)args[0]]"
#define HELD INT(COUNT " & 1"), LONG("(" COUNT " & 0x7fffffff) >> 8")

static const struct stable_probe rows[] = {
	{"adaptive-acquire", "return mutex_lock", NULL, {MUTEX}},
	{"adaptive-acquire", "return mutex_trylock", "ret", {MUTEX}},
	{"adaptive-acquire", "return mutex_lock_interruptible", "ret == 0", {MUTEX}},
	{"adaptive-acquire", "return mutex_lock_killable", "ret == 0", {MUTEX}},
	{"adaptive-acquire-error", "return mutex_lock_interruptible", "ret != 0", {MUTEX, INT("ret")}},
	{"adaptive-acquire-error", "return mutex_lock_killable", "ret != 0", {MUTEX, INT("ret")}},
	{"adaptive-block", "tp contention_end", "(" FLAGS " & 0x121) == 0x120", {MUTEX, NS}, AUX},
	{"adaptive-release", "entry mutex_unlock", NULL, {MUTEX}},
	{"adaptive-spin", "tp contention_end", "(" FLAGS " & 0x121) == 0x121", {MUTEX, NS}, AUX},
	{"rw-acquire", "return down_read", NULL, {RW, READER}},
	{"rw-acquire", "return down_read_interruptible", "ret == 0", {RW, READER}},
	{"rw-acquire", "return down_read_killable", "ret == 0", {RW, READER}},
	{"rw-acquire", "return down_read_trylock", "ret", {RW, READER}},
	{"rw-acquire", "return down_write", NULL, {RW, WRITER}},
	{"rw-acquire", "return down_write_killable", "ret == 0", {RW, WRITER}},
	{"rw-acquire", "return down_write_trylock", "ret", {RW, WRITER}},
	{"rw-block", "tp contention_end", "(" FLAGS " & 0x101) == 0x100 && " FLAGS " & 6",
	 {RW, NS, WHICH, HELD}, AUX},
	{"rw-downgrade", "entry downgrade_write", NULL, {RW}},
	{"rw-release", "entry up_read", NULL, {RW, READER}},
	{"rw-release", "entry up_write", NULL, {RW, WRITER}},
	{"rw-spin", "tp contention_end", "(" FLAGS " & 0x101) == 0x101 && " FLAGS " & 6",
	 {RW, NS, WHICH, HELD}, AUX},
	{"spin-acquire", "return _raw_spin_lock", NULL, {SPIN}},
	{"spin-acquire", "return _raw_spin_lock_bh", NULL, {SPIN}},
	{"spin-acquire", "return _raw_spin_lock_irq", NULL, {SPIN}},
	{"spin-acquire", "return _raw_spin_lock_irqsave", NULL, {SPIN}},
	{"spin-release", "entry _raw_spin_unlock", NULL, {SPIN}},
	{"spin-release", "entry _raw_spin_unlock_bh", NULL, {SPIN}},
	{"spin-release", "entry _raw_spin_unlock_irq", NULL, {SPIN}},
	{"spin-release", "entry _raw_spin_unlock_irqrestore", NULL, {SPIN}},
	{"spin-spin", "tp contention_end", "(" FLAGS " & 0x12f) == 0x101", {SPIN, NS}, AUX},
	{"thread-spin", "tp contention_end", "(" FLAGS " & 0x108) == 0x108", {LOCK("struct rt_mutex_base"), NS}, AUX},
};

STABLE_PROVIDER(lockstat, rows);
