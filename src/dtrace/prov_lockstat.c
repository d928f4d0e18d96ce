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
#define SPENT                                                                               \
	{ULONG("(uint64_t)args[0]"),                                                        \
	 ULONG("timestamp - d_lock_since[(uint64_t)curthread, (uint64_t)args[0]]")}
#define LOCK {ULONG("(uint64_t)args[0]")}
/* rw: arg2 is 1 for a writer, 0 for a reader. */
#define LOCK_RW(w) {ULONG("(uint64_t)args[0]"), INT(w)}

static const struct stable_probe rows[] = {
	{"adaptive-acquire", "return mutex_lock", NULL, LOCK},
	{"adaptive-acquire", "return mutex_trylock", "ret", LOCK},
	{"adaptive-acquire", "return mutex_lock_interruptible", "ret == 0", LOCK},
	{"adaptive-acquire", "return mutex_lock_killable", "ret == 0", LOCK},
	{"adaptive-block", "tp contention_end", "(" FLAGS " & 0x121) == 0x120", SPENT, AUX},
	{"adaptive-release", "entry mutex_unlock", NULL, LOCK},
	{"adaptive-spin", "tp contention_end", "(" FLAGS " & 0x121) == 0x121", SPENT, AUX},
	{"rw-acquire", "return down_read", NULL, LOCK_RW("0")},
	{"rw-acquire", "return down_write", NULL, LOCK_RW("1")},
	{"rw-block", "tp contention_end", "(" FLAGS " & 0x101) == 0x100 && " FLAGS " & 6", SPENT, AUX},
	{"rw-release", "entry up_read", NULL, LOCK_RW("0")},
	{"rw-release", "entry up_write", NULL, LOCK_RW("1")},
	{"rw-spin", "tp contention_end", "(" FLAGS " & 0x101) == 0x101 && " FLAGS " & 6", SPENT, AUX},
	{"spin-acquire", "return _raw_spin_lock", NULL, LOCK},
	{"spin-acquire", "return _raw_spin_lock_bh", NULL, LOCK},
	{"spin-acquire", "return _raw_spin_lock_irq", NULL, LOCK},
	{"spin-acquire", "return _raw_spin_lock_irqsave", NULL, LOCK},
	{"spin-release", "entry _raw_spin_unlock", NULL, LOCK},
	{"spin-release", "entry _raw_spin_unlock_bh", NULL, LOCK},
	{"spin-release", "entry _raw_spin_unlock_irq", NULL, LOCK},
	{"spin-release", "entry _raw_spin_unlock_irqrestore", NULL, LOCK},
	{"spin-spin", "tp contention_end", "(" FLAGS " & 0x12f) == 0x101", SPENT, AUX},
	{"thread-spin", "tp contention_end", "(" FLAGS " & 0x108) == 0x108", SPENT, AUX},
};

STABLE_PROVIDER(lockstat, rows);
