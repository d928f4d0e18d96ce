/* Signals of this system, and why a process ended or sent one. */
inline int SIGHUP = 1;
inline int SIGINT = 2;
inline int SIGQUIT = 3;
inline int SIGILL = 4;
inline int SIGTRAP = 5;
inline int SIGABRT = 6;
inline int SIGIOT = 6;
inline int SIGBUS = 7;
inline int SIGFPE = 8;
inline int SIGKILL = 9;
inline int SIGUSR1 = 10;
inline int SIGSEGV = 11;
inline int SIGUSR2 = 12;
inline int SIGPIPE = 13;
inline int SIGALRM = 14;
inline int SIGTERM = 15;
inline int SIGSTKFLT = 16;
inline int SIGCHLD = 17;
inline int SIGCLD = 17;
inline int SIGCONT = 18;
inline int SIGSTOP = 19;
inline int SIGTSTP = 20;
inline int SIGTTIN = 21;
inline int SIGTTOU = 22;
inline int SIGURG = 23;
inline int SIGXCPU = 24;
inline int SIGXFSZ = 25;
inline int SIGVTALRM = 26;
inline int SIGPROF = 27;
inline int SIGWINCH = 28;
inline int SIGIO = 29;
inline int SIGPOLL = 29;
inline int SIGPWR = 30;
inline int SIGSYS = 31;
inline int SIGRTMIN = 34;
inline int SIGRTMAX = 64;

inline int CLD_EXITED = 1;
inline int CLD_KILLED = 2;
inline int CLD_DUMPED = 3;
inline int CLD_TRAPPED = 4;
inline int CLD_STOPPED = 5;
inline int CLD_CONTINUED = 6;

inline int SI_USER = 0;
inline int SI_KERNEL = 128;
inline int SI_QUEUE = -1;
inline int SI_TIMER = -2;
inline int SI_ASYNCIO = -4;
inline int SI_SIGIO = -5;
inline int SI_TKILL = -6;
inline int SI_LWP = -6;
inline int SI_MESGQ = -3;

inline int ILL_ILLOPC = 1;
inline int ILL_ILLOPN = 2;
inline int ILL_ILLADR = 3;
inline int ILL_ILLTRP = 4;
inline int ILL_PRVOPC = 5;
inline int ILL_PRVREG = 6;
inline int ILL_COPROC = 7;
inline int ILL_BADSTK = 8;

inline int FPE_INTDIV = 1;
inline int FPE_INTOVF = 2;
inline int FPE_FLTDIV = 3;
inline int FPE_FLTOVF = 4;
inline int FPE_FLTUND = 5;
inline int FPE_FLTRES = 6;
inline int FPE_FLTINV = 7;
inline int FPE_FLTSUB = 8;

inline int SEGV_MAPERR = 1;
inline int SEGV_ACCERR = 2;

inline int BUS_ADRALN = 1;
inline int BUS_ADRERR = 2;
inline int BUS_OBJERR = 3;

inline int TRAP_BRKPT = 1;
inline int TRAP_TRACE = 2;

inline int POLL_IN = 1;
inline int POLL_OUT = 2;
inline int POLL_MSG = 3;
inline int POLL_ERR = 4;
inline int POLL_PRI = 5;
inline int POLL_HUP = 6;

/* What a processor found wrong: args[0] of proc:::fault, by illumos' numbers. */
inline int FLTILL = 1;		/* illegal instruction */
inline int FLTPRIV = 2;		/* privileged instruction */
inline int FLTBPT = 3;		/* breakpoint */
inline int FLTTRACE = 4;	/* single step */
inline int FLTACCESS = 5;	/* memory that cannot be had: SIGBUS */
inline int FLTBOUNDS = 6;	/* no memory there, or not in that way: SIGSEGV */
inline int FLTIOVF = 7;		/* integer overflow */
inline int FLTIZDIV = 8;	/* integer division by zero */
inline int FLTFPE = 9;		/* floating point */
inline int FLTSTACK = 10;
inline int FLTPAGE = 11;
inline int FLTWATCH = 12;	/* watchpoint */

/* A signal with what it says; which of the latter have a meaning depends on the signal. */
typedef struct siginfo_view {
	int si_signo;
	int si_errno;
	int si_code;
	pid_t si_pid;		/* who sent it; of SIGCHLD, the child */
	uid_t si_uid;
	int si_status;		/* SIGCHLD: exit status or signal */
	uintptr_t si_addr;	/* of a fault */
	int si_band;		/* SIGIO */
	int si_fd;
	uint64_t si_value;	/* sigqueue(3) */
} siginfo_t;

translator siginfo_t < struct kernel_siginfo *I > {
	si_signo = I->si_signo;
	si_errno = I->si_errno;
	si_code = I->si_code;
	si_pid = I->_sifields._kill._pid;
	si_uid = I->_sifields._kill._uid;
	si_status = I->_sifields._sigchld._status;
	si_addr = (uintptr_t)I->_sifields._sigfault._addr;
	si_band = I->_sifields._sigpoll._band;
	si_fd = I->_sifields._sigpoll._fd;
	si_value = (uint64_t)I->_sifields._rt._sigval.sival_ptr;
};
