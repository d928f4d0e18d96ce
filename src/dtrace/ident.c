/* The names D is born with. */
#include "dtrace/ident.h"

#include "base/str.h"

#define VAR(n, b, t) {.name = n, .kind = ID_BUILTIN, .builtin = b, .type_name = t, .map = -1}
#define FUNC(n, f, t, lo, hi)                                                              \
	{.name = n, .kind = ID_FUNC, .func = f, .type_name = t, .min_args = lo, .max_args = hi}
#define ACTION(n, a, lo, hi)                                                               \
	{.name = n, .kind = ID_ACTION, .action = a, .type_name = "void", .min_args = lo,   \
	 .max_args = hi}
#define DESTRUCTIVE(n, a, lo, hi)                                                          \
	{.name = n, .kind = ID_ACTION, .action = a, .type_name = "void", .min_args = lo,   \
	 .max_args = hi, .destructive = true}
#define AGG(n, a, lo, hi)                                                                  \
	{.name = n, .kind = ID_AGGFUNC, .aggfunc = a, .type_name = "void", .min_args = lo, \
	 .max_args = hi}

static const struct ident rows[] = {
	VAR("arg0", B_ARG0, "int64_t"),
	VAR("arg1", B_ARG1, "int64_t"),
	VAR("arg2", B_ARG2, "int64_t"),
	VAR("arg3", B_ARG3, "int64_t"),
	VAR("arg4", B_ARG4, "int64_t"),
	VAR("arg5", B_ARG5, "int64_t"),
	VAR("arg6", B_ARG6, "int64_t"),
	VAR("arg7", B_ARG7, "int64_t"),
	VAR("arg8", B_ARG8, "int64_t"),
	VAR("arg9", B_ARG9, "int64_t"),
	VAR("args", B_ARGS, NULL),
	VAR("caller", B_CALLER, "uintptr_t"),
	VAR("cpu", B_CPU, "processorid_t"),
	VAR("curthread", B_CURTHREAD, "struct task_struct *"),
	VAR("epid", B_EPID, "uint_t"),
	VAR("errno", B_ERRNO, "int"),
	VAR("execname", B_EXECNAME, "string"),
	VAR("gid", B_GID, "gid_t"),
	VAR("id", B_ID, "uint_t"),
	VAR("ipl", B_IPL, "uint_t"),
	VAR("pid", B_PID, "pid_t"),
	VAR("ppid", B_PPID, "pid_t"),
	VAR("probefunc", B_PROBEFUNC, "string"),
	VAR("probemod", B_PROBEMOD, "string"),
	VAR("probename", B_PROBENAME, "string"),
	VAR("probeprov", B_PROBEPROV, "string"),
	VAR("stackdepth", B_STACKDEPTH, "uint32_t"),
	VAR("tid", B_TID, "id_t"),
	VAR("timestamp", B_TIMESTAMP, "uint64_t"),
	VAR("ucaller", B_UCALLER, "uint64_t"),
	VAR("uid", B_UID, "uid_t"),
	VAR("uregs", B_UREGS, NULL),
	VAR("ustackdepth", B_USTACKDEPTH, "uint32_t"),
	VAR("vtimestamp", B_VTIMESTAMP, "uint64_t"),
	VAR("walltimestamp", B_WALLTIMESTAMP, "int64_t"),

	FUNC("alloca", F_ALLOCA, "void *", 1, 1),
	FUNC("basename", F_BASENAME, "string", 1, 1),
	FUNC("bcopy", F_BCOPY, "void", 3, 3),
	FUNC("cleanpath", F_CLEANPATH, "string", 1, 1),
	FUNC("copyin", F_COPYIN, "void *", 2, 2),
	FUNC("copyinstr", F_COPYINSTR, "string", 1, 2),
	FUNC("copyinto", F_COPYINTO, "void", 3, 3),
	FUNC("d_file_mount", F_D_FILE_MOUNT, "string", 1, 1),
	FUNC("d_file_path", F_D_FILE_PATH, "string", 1, 1),
	FUNC("d_mount", F_D_MOUNT, "string", 1, 1),
	FUNC("d_page_file", F_D_PAGE_FILE, "uint64_t", 1, 1),
	FUNC("d_path", F_D_PATH, "string", 1, 1),
	FUNC("d_psargs", F_D_PSARGS, "string", 1, 1),
	FUNC("d_zonename", F_D_ZONENAME, "string", 1, 1),
	FUNC("ddi_pathname", F_DDI_PATHNAME, "string", 2, 2),
	FUNC("dirname", F_DIRNAME, "string", 1, 1),
	FUNC("getmajor", F_GETMAJOR, "uint32_t", 1, 1),
	FUNC("getminor", F_GETMINOR, "uint32_t", 1, 1),
	FUNC("htonl", F_HTONL, "uint32_t", 1, 1),
	FUNC("htonll", F_HTONLL, "uint64_t", 1, 1),
	FUNC("htons", F_HTONS, "uint16_t", 1, 1),
	FUNC("index", F_INDEX, "int", 2, 3),
	FUNC("inet_ntoa", F_INET_NTOA, "string", 1, 1),
	FUNC("inet_ntoa6", F_INET_NTOA6, "string", 1, 2),
	FUNC("inet_ntop", F_INET_NTOP, "string", 2, 2),
	FUNC("json", F_JSON, "string", 2, 2),
	FUNC("link_ntop", F_LINK_NTOP, "string", 2, 2),
	FUNC("lltostr", F_LLTOSTR, "string", 1, 2),
	FUNC("msgdsize", F_MSGDSIZE, "size_t", 1, 1),
	FUNC("msgsize", F_MSGDSIZE, "size_t", 1, 1),
	FUNC("mutex_owned", F_MUTEX_OWNED, "int", 1, 1),
	FUNC("mutex_owner", F_MUTEX_OWNER, "struct task_struct *", 1, 1),
	FUNC("mutex_type_adaptive", F_MUTEX_TYPE_ADAPTIVE, "int", 1, 1),
	FUNC("mutex_type_spin", F_MUTEX_TYPE_SPIN, "int", 1, 1),
	FUNC("ntohl", F_NTOHL, "uint32_t", 1, 1),
	FUNC("ntohll", F_NTOHLL, "uint64_t", 1, 1),
	FUNC("ntohs", F_NTOHS, "uint16_t", 1, 1),
	FUNC("progenyof", F_PROGENYOF, "int", 1, 1),
	FUNC("rand", F_RAND, "int", 0, 0),
	FUNC("rindex", F_RINDEX, "int", 2, 3),
	FUNC("rw_iswriter", F_RW_ISWRITER, "int", 1, 1),
	FUNC("rw_read_held", F_RW_READ_HELD, "int", 1, 1),
	FUNC("rw_write_held", F_RW_WRITE_HELD, "int", 1, 1),
	FUNC("speculation", F_SPECULATION, "int", 0, 0),
	FUNC("strchr", F_STRCHR, "string", 2, 2),
	FUNC("strjoin", F_STRJOIN, "string", 2, 2),
	FUNC("strlen", F_STRLEN, "size_t", 1, 1),
	FUNC("strrchr", F_STRRCHR, "string", 2, 2),
	FUNC("strstr", F_STRSTR, "string", 2, 2),
	FUNC("strtok", F_STRTOK, "string", 2, 2),
	FUNC("strtoll", F_STRTOLL, "int64_t", 1, 2),
	FUNC("substr", F_SUBSTR, "string", 2, 3),
	FUNC("tolower", F_TOLOWER, "string", 1, 1),
	FUNC("toupper", F_TOUPPER, "string", 1, 1),

	ACTION("clear", A_CLEAR, 1, 1),
	ACTION("commit", A_COMMIT, 1, 1),
	ACTION("denormalize", A_DENORMALIZE, 1, 1),
	ACTION("discard", A_DISCARD, 1, 1),
	ACTION("exit", A_EXIT, 1, 1),
	ACTION("ftruncate", A_FTRUNCATE, 0, 0),
	ACTION("func", A_FUNC, 1, 1),
	ACTION("jstack", A_JSTACK, 0, 2),
	ACTION("mod", A_MOD, 1, 1),
	ACTION("normalize", A_NORMALIZE, 2, 2),
	ACTION("print", A_PRINT, 1, 1),
	ACTION("printa", A_PRINTA, 1, 64),
	ACTION("printf", A_PRINTF, 1, 64),
	ACTION("setopt", A_SETOPT, 1, 2),
	ACTION("speculate", A_SPECULATE, 1, 1),
	ACTION("stack", A_STACK, 0, 1),
	ACTION("sym", A_SYM, 1, 1),
	ACTION("trace", A_TRACE, 1, 1),
	ACTION("tracemem", A_TRACEMEM, 2, 3),
	ACTION("trunc", A_TRUNC, 1, 2),
	ACTION("uaddr", A_UADDR, 1, 1),
	ACTION("ufunc", A_UFUNC, 1, 1),
	ACTION("umod", A_UMOD, 1, 1),
	ACTION("ustack", A_USTACK, 0, 2),
	ACTION("usym", A_USYM, 1, 1),

	DESTRUCTIVE("breakpoint", A_BREAKPOINT, 0, 0),
	DESTRUCTIVE("chill", A_CHILL, 1, 1),
	DESTRUCTIVE("copyout", A_COPYOUT, 3, 3),
	DESTRUCTIVE("copyoutstr", A_COPYOUTSTR, 3, 3),
	DESTRUCTIVE("freopen", A_FREOPEN, 1, 64),
	DESTRUCTIVE("panic", A_PANIC, 0, 0),
	DESTRUCTIVE("raise", A_RAISE, 1, 1),
	DESTRUCTIVE("return", A_RETURN, 1, 1),
	DESTRUCTIVE("stop", A_STOP, 0, 0),
	DESTRUCTIVE("system", A_SYSTEM, 1, 64),

	AGG("avg", AGG_AVG, 1, 1),
	AGG("count", AGG_COUNT, 0, 0),
	AGG("llquantize", AGG_LLQUANTIZE, 5, 6),
	AGG("lquantize", AGG_LQUANTIZE, 3, 5),
	AGG("max", AGG_MAX, 1, 1),
	AGG("min", AGG_MIN, 1, 1),
	AGG("quantize", AGG_QUANTIZE, 1, 2),
	AGG("stddev", AGG_STDDEV, 1, 1),
	AGG("sum", AGG_SUM, 1, 1),
};

const struct ident *
ident_at(size_t i)
{
	return i < ARRAY_SIZE(rows) ? &rows[i] : NULL;
}

const struct ident *
ident_lookup(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (str_eq(rows[i].name, name))
			return &rows[i];
	return NULL;
}
