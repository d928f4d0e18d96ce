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
	"rawtp:::contention_begin {"                                                        \
	"	d_lock_since[(uint64_t)curthread, (uint64_t)arg0] = timestamp;"             \
	"	d_lock_flags[(uint64_t)curthread, (uint64_t)arg0] = arg1 | 0x100; }"        \
	"rawtp:::contention_end {"                                                          \
	"	d_lock_since[(uint64_t)curthread, (uint64_t)arg0] = 0;"                     \
	"	d_lock_flags[(uint64_t)curthread, (uint64_t)arg0] = 0; }"
#define FLAGS "d_lock_flags[(uint64_t)curthread, (uint64_t)args[0]]"
#define LOCK(type) {.expr = "(uint64_t)args[0]", .native = type " *"}
#define NS ULONG("timestamp - d_lock_since[(uint64_t)curthread, (uint64_t)args[0]]")
#define MUTEX LOCK("struct mutex")
#define SPIN LOCK("spinlock_t")
/* rw: the last argument is 1 for a writer, 0 for a reader. */
#define RW LOCK("struct rw_semaphore")
#define WRITER INT("(" FLAGS " & 4) != 0")

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
	{"rw-acquire", "return down_read", NULL, {RW, INT("0")}},
	{"rw-acquire", "return down_write", NULL, {RW, INT("1")}},
	{"rw-block", "tp contention_end", "(" FLAGS " & 0x101) == 0x100 && " FLAGS " & 6", {RW, NS, WRITER}, AUX},
	{"rw-release", "entry up_read", NULL, {RW, INT("0")}},
	{"rw-release", "entry up_write", NULL, {RW, INT("1")}},
	{"rw-spin", "tp contention_end", "(" FLAGS " & 0x101) == 0x101 && " FLAGS " & 6", {RW, NS, WRITER}, AUX},
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
