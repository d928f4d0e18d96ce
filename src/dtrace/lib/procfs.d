/* Processes, threads and CPUs: what proc(5) and the proc and sched providers show. */
#pragma D depends_on library types.d

inline char SSLEEP = 1;
inline char SRUN = 2;
inline char SZOMB = 3;
inline char SSTOP = 4;
inline char SIDL = 5;
inline char SONPROC = 6;
inline char SWAIT = 7;

inline char PR_MODEL_ILP32 = 1;
inline char PR_MODEL_LP64 = 2;

/* Bits of lwpsinfo_t's pr_flag; those without a comment are never set here. */
inline int PR_STOPPED = 0x00000001;	/* by a signal or a debugger */
inline int PR_ISTOP = 0x00000002;	/* the same */
inline int PR_DSTOP = 0x00000004;
inline int PR_STEP = 0x00000008;
inline int PR_ASLEEP = 0x00000010;
inline int PR_PCINVAL = 0x00000020;
inline int PR_ASLWP = 0x00000040;
inline int PR_AGENT = 0x00000080;
inline int PR_DETACH = 0x00000100;
inline int PR_DAEMON = 0x00000200;
inline int PR_IDLE = 0x00000400;	/* a CPU's idle thread */
inline int PR_ISSYS = 0x00001000;	/* a thread of the kernel */
inline int PR_VFORKP = 0x00002000;
inline int PR_ORPHAN = 0x00004000;
inline int PR_NOSIGCHLD = 0x00008000;
inline int PR_WAITPID = 0x00010000;
inline int PR_FORK = 0x00100000;
inline int PR_RLC = 0x00200000;
inline int PR_KLC = 0x00400000;
inline int PR_ASYNC = 0x00800000;
inline int PR_MSACCT = 0x01000000;
inline int PR_BPTADJ = 0x02000000;
inline int PR_PTRACE = 0x04000000;	/* traced by ptrace(2) */
inline int PR_MSFORK = 0x08000000;

/* What pr_stype may say elsewhere; here it is SOBJ_NONE. */
inline char SOBJ_NONE = 0;
inline char SOBJ_MUTEX = 1;
inline char SOBJ_RWLOCK = 2;
inline char SOBJ_CV = 3;
inline char SOBJ_SEMA = 4;
inline char SOBJ_USER = 5;
inline char SOBJ_USER_PI = 6;
inline char SOBJ_SHUTTLE = 7;

/* Members without a translation are those of illumos' /proc that nobody counts here. */
typedef struct psinfo {
	int pr_flag;
	int pr_nlwp;		/* threads */
	int pr_nzomb;		/* of them zombies */
	pid_t pr_pid;
	pid_t pr_ppid;
	pid_t pr_pgid;
	pid_t pr_sid;
	uid_t pr_uid;
	uid_t pr_euid;
	gid_t pr_gid;
	gid_t pr_egid;
	uintptr_t pr_addr;	/* of the struct task_struct */
	size_t pr_size;		/* of its memory, in KiB */
	size_t pr_rssize;	/* of what is resident of it */
	dev_t pr_ttydev;
	ushort_t pr_pctcpu;
	ushort_t pr_pctmem;
	timestruc_t pr_start;	/* since 1970 */
	timestruc_t pr_time;
	timestruc_t pr_ctime;
	string pr_fname;
	string pr_psargs;
	int pr_wstat;		/* of a zombie, as wait(2) tells it */
	int pr_argc;
	uintptr_t pr_argv;
	uintptr_t pr_envp;
	char pr_dmodel;
	taskid_t pr_taskid;
	projid_t pr_projid;
	poolid_t pr_poolid;
	zoneid_t pr_zoneid;	/* 0: the global zone; a zone's has no number here but its cgroup's */
	id_t pr_contract;
	string pr_zone;		/* name of the zone */
} psinfo_t;

typedef struct lwpsinfo {
	int pr_flag;
	id_t pr_lwpid;
	uintptr_t pr_addr;
	uintptr_t pr_wchan;
	char pr_stype;
	char pr_state;
	char pr_sname;
	char pr_nice;
	short pr_syscall;	/* of the thread that fires: the system call it is in, else 0 */
	char pr_oldpri;
	char pr_cpu;
	int pr_pri;
	ushort_t pr_pctcpu;
	timestruc_t pr_start;	/* since 1970 */
	timestruc_t pr_time;	/* it ran */
	string pr_clname;
	string pr_name;		/* the thread's own */
	processorid_t pr_onpro;
	processorid_t pr_bindpro;
	psetid_t pr_bindpset;
	lgrp_id_t pr_lgrp;
} lwpsinfo_t;

/* start_time is of the clock that timestamp is of. */
inline timestruc_t d_started[struct task_struct *T] =
	xlate <timestruc_t> ((uint64_t)walltimestamp - (timestamp - T->start_time));

/* d_nr, d_tgid, d_lwpid, d_id, d_addr, d_zone_of, zonename: see priv.c, priv_view() */

translator psinfo_t < struct task_struct *T > {
	pr_nlwp = T->signal->nr_threads;
	pr_pid = d_tgid[T];
	pr_ppid = d_tgid[T->real_parent];
	pr_pgid = d_nr[T->signal->pids[2]];
	pr_sid = d_nr[T->signal->pids[3]];
	pr_uid = d_id[T->cred->uid.val];
	pr_euid = d_id[T->cred->euid.val];
	pr_gid = d_id[T->cred->gid.val];
	pr_egid = d_id[T->cred->egid.val];
	pr_addr = d_addr[(uint64_t)T];
	pr_ttydev = T->signal->tty == 0 ? 0xffffffff :
	    T->signal->tty->driver->major << 20 | T->signal->tty->driver->minor_start + T->signal->tty->index;
	pr_size = T->mm == 0 ? 0 : T->mm->total_vm << 2;
	/* of files, anonymous, shared: [2] is what was swapped out */
	pr_rssize = T->mm == 0 ? 0 : T->mm->rss_stat[0].count + T->mm->rss_stat[1].count +
	    T->mm->rss_stat[3].count << 2;
	pr_start = d_started[T->group_leader];
	pr_fname = T->group_leader->comm;
	pr_psargs = d_psargs(T);
	pr_argv = T->mm == 0 ? 0 : T->mm->arg_start;
	pr_envp = T->mm == 0 ? 0 : T->mm->env_start;
	pr_dmodel = (T->thread_info.flags >> 29) & 1 ? PR_MODEL_ILP32 : PR_MODEL_LP64;
	pr_taskid = d_tgid[T];
	pr_projid = 0;
	pr_poolid = 0;
	pr_nzomb = 0;
	pr_wstat = T->exit_code;
	pr_zoneid = d_zone_of[T] == "global" ? 0 : (zoneid_t)T->cgroups->dfl_cgrp->kn->id;
	pr_contract = (id_t)T->cgroups->dfl_cgrp->kn->id;
	pr_zone = d_zone_of[T];
};

translator timestruc_t < uint64_t ns > {
	tv_sec = ns / 1000000000;
	tv_nsec = ns % 1000000000;
};

/* The kernel's states and exit states as one of the seven. */
inline char d_state[struct task_struct *t] =
	t->exit_state ? SZOMB : t->on_cpu ? SONPROC : t->__state == 0 ? SRUN :
	t->__state & 0xc ? SSTOP : t->__state & 0x800 ? SIDL : SSLEEP;

translator lwpsinfo_t < struct task_struct *T > {
	pr_flag = (T->on_cpu ? 0 : T->__state & 0xc ? PR_STOPPED | PR_ISTOP :
	    T->__state ? PR_ASLEEP : 0) | (T->pid == 0 ? PR_IDLE : 0) |
	    (T->flags & 0x200000 ? PR_ISSYS : 0) | (T->ptrace & 1 ? PR_PTRACE : 0);
	pr_lwpid = d_lwpid[T];
	pr_addr = d_addr[(uint64_t)T];
	pr_wchan = 0;
	pr_stype = 0;
	pr_state = d_state[T];
	pr_sname = d_state[T] == SSLEEP ? 'S' : d_state[T] == SRUN ? 'R' :
	    d_state[T] == SZOMB ? 'Z' : d_state[T] == SIDL ? 'I' : d_state[T] == SSTOP ? 'T' : 'O';
	pr_nice = T->static_prio - 120 + 20;
	pr_syscall = T == curthread && T->mm != 0 && (int64_t)uregs[15] > 0 ?
	    uregs[15] : 0; /* orig_rax: the number, -1 in a trap */
	pr_pri = 139 - T->prio;
	pr_clname = T->policy == 0 ? "TS" : T->policy == 3 ? "FX" : T->policy == 5 ? "IDLE" :
	    T->policy == 6 ? "DL" : "RT";
	pr_name = T->comm;
	pr_start = d_started[T];
	pr_time = xlate <timestruc_t> (T->se.sum_exec_runtime);
	pr_onpro = T->thread_info.cpu;
	pr_bindpro = T->nr_cpus_allowed == 1 ? T->thread_info.cpu : -1;
	pr_bindpset = -1;
	pr_lgrp = d_lgrp_of[T->thread_info.cpu];
};

inline psinfo_t *curpsinfo = xlate <psinfo_t *> (curthread);
inline lwpsinfo_t *curlwpsinfo = xlate <lwpsinfo_t *> (curthread);

typedef struct processor_info {
	int pi_state;
	string pi_processor_type;
	string pi_fputypes;
	int pi_clock;		/* MHz */
} processor_info_t;

typedef struct cpuinfo {
	processorid_t cpu_id;
	psetid_t cpu_pset;
	chipid_t cpu_chip;
	lgrp_id_t cpu_lgrp;
	processor_info_t cpu_info;
} cpuinfo_t;

translator cpuinfo_t < int C > {
	cpu_id = C;
	cpu_pset = 0;
	cpu_chip = d_chip_of[C];
	cpu_lgrp = d_lgrp_of[C];
};

inline cpuinfo_t *curcpu = xlate <cpuinfo_t *> (cpu);
inline chipid_t chip = curcpu->cpu_chip;
inline psetid_t pset = curcpu->cpu_pset;
inline lgrp_id_t lgrp = curcpu->cpu_lgrp;
inline string cwd = d_path(&curthread->fs->pwd);
inline string root = d_path(&curthread->fs->root);
inline string execargs = d_psargs(curthread);

typedef struct fileinfo {
	string fi_name;		/* last part of the path */
	string fi_dirname;
	string fi_pathname;
	long fi_offset;
	string fi_fs;		/* kind of filesystem */
	string fi_mount;	/* where it is mounted */
	int fi_oflags;		/* of open(2) */
} fileinfo_t;

translator fileinfo_t < struct file *F > {
	fi_name = F == 0 ? "<none>" : stringof(F->f_path.dentry->d_name.name);
	fi_dirname = F == 0 ? "<none>" : dirname(d_path(&F->f_path));
	fi_pathname = F == 0 ? "<none>" : d_path(&F->f_path);
	fi_offset = F == 0 ? 0 : F->f_pos;
	fi_fs = F == 0 ? "<none>" : stringof(F->f_inode->i_sb->s_type->name);
	fi_mount = F == 0 ? "<none>" : d_mount(&F->f_path);
	fi_oflags = F == 0 ? 0 : F->f_flags;
};

inline fileinfo_t fds[int fd] = xlate <fileinfo_t>
	(fd >= 0 && fd < curthread->files->fdt->max_fds ?
	    curthread->files->fdt->fd[fd & (curthread->files->fdt->max_fds - 1)] : (struct file *)0);

inline int O_ACCMODE = 3;
inline int O_RDONLY = 0;
inline int O_WRONLY = 1;
inline int O_RDWR = 2;
inline int O_CREAT = 0100;
inline int O_EXCL = 0200;
inline int O_NOCTTY = 0400;
inline int O_TRUNC = 01000;
inline int O_APPEND = 02000;
inline int O_NONBLOCK = 04000;
inline int O_NDELAY = 04000;
inline int O_DSYNC = 010000;
inline int O_LARGEFILE = 0100000;
inline int O_RSYNC = 04010000;
inline int O_SYNC = 04010000;
inline int O_FSYNC = 04010000;
inline int O_ASYNC = 020000;
inline int O_DIRECT = 040000;
inline int O_DIRECTORY = 0200000;
inline int O_NOFOLLOW = 0400000;
inline int O_CLOEXEC = 02000000;
