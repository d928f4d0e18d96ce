/*
 * libdtrace: D programs compiled, run and read by other programs.
 * The names and the order of calls are those of DTrace elsewhere; libdtrace(3).
 */
#ifndef _DTRACE_H
#define _DTRACE_H

#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DTRACE_VERSION 3

typedef struct dtrace_hdl dtrace_hdl_t;
typedef struct dtrace_prog dtrace_prog_t;

/* What dtrace_program_exec() tells. */
typedef struct dtrace_proginfo {
	unsigned dpi_matches; /* probes that the program's clauses are on */
} dtrace_proginfo_t;

/* What a text without colons means. */
typedef enum dtrace_probespec {
	DTRACE_PROBESPEC_NONE = -1,
	DTRACE_PROBESPEC_PROVIDER = 0,
	DTRACE_PROBESPEC_MOD,
	DTRACE_PROBESPEC_FUNC,
	DTRACE_PROBESPEC_NAME
} dtrace_probespec_t;

typedef struct dtrace_probedesc {
	uint32_t dtpd_id; /* 0: any */
	char dtpd_provider[64];
	char dtpd_mod[64];
	char dtpd_func[128];
	char dtpd_name[64];
} dtrace_probedesc_t;

typedef enum dtrace_workstatus {
	DTRACE_WORKSTATUS_ERROR = -1,
	DTRACE_WORKSTATUS_OKAY,
	DTRACE_WORKSTATUS_DONE /* exit() was called */
} dtrace_workstatus_t;

/* flags of dtrace_program_*compile() */
#define DTRACE_C_CPP 0x0002   /* through the C preprocessor */
#define DTRACE_C_ZDEFS 0x0004 /* descriptions may match nothing */

typedef uint32_t dtrace_id_t;
typedef uint32_t dtrace_epid_t;
typedef uint32_t dtrace_aggid_t;
typedef int64_t dtrace_aggvarid_t;
typedef uint16_t dtrace_actkind_t;

/* What an action, a key or a result is: dtrd_action. */
#define DTRACEACT_NONE 0
#define DTRACEACT_DIFEXPR 1 /* trace(), a value */
#define DTRACEACT_EXIT 2
#define DTRACEACT_PRINTF 3
#define DTRACEACT_PRINTA 4
#define DTRACEACT_LIBACT 5 /* clear(), normalize() ...: done by the library */
#define DTRACEACT_TRACEMEM 6
#define DTRACEACT_USTACK 0x101
#define DTRACEACT_JSTACK 0x102
#define DTRACEACT_USYM 0x103
#define DTRACEACT_UMOD 0x104
#define DTRACEACT_UADDR 0x105
#define DTRACEACT_SYSTEM 0x203
#define DTRACEACT_FREOPEN 0x204
#define DTRACEACT_STACK 0x401
#define DTRACEACT_SYM 0x402
#define DTRACEACT_MOD 0x403
#define DTRACEACT_COMMIT 0x602
#define DTRACEACT_DISCARD 0x603
#define DTRACEAGG_COUNT 0x701	  /* int64_t */
#define DTRACEAGG_MIN 0x702	  /* int64_t */
#define DTRACEAGG_MAX 0x703	  /* int64_t */
#define DTRACEAGG_AVG 0x704	  /* int64_t: how many, their sum */
#define DTRACEAGG_SUM 0x705	  /* int64_t */
#define DTRACEAGG_STDDEV 0x706	  /* int64_t: how many, sum, sum of squares in two words */
#define DTRACEAGG_QUANTIZE 0x707  /* int64_t [DTRACE_QUANTIZE_NBUCKETS] */
#define DTRACEAGG_LQUANTIZE 0x708 /* uint64_t: parameters; then int64_t for each bucket */
#define DTRACEAGG_LLQUANTIZE 0x709
#define DTRACEACT_ISAGG(kind) (((kind) & 0xff00) == 0x700)

#define DTRACE_QUANTIZE_NBUCKETS 127
#define DTRACE_QUANTIZE_ZEROBUCKET 63
/* The least value of a bucket of quantize(). */
#define DTRACE_QUANTIZE_BUCKETVAL(b) \
	((int64_t)((b) < DTRACE_QUANTIZE_ZEROBUCKET  ? -(1LL << (DTRACE_QUANTIZE_ZEROBUCKET - 1 - (b))) \
		   : (b) == DTRACE_QUANTIZE_ZEROBUCKET ? 0                                         \
						      : 1LL << ((b) - DTRACE_QUANTIZE_ZEROBUCKET - 1)))
/* Parameters of lquantize(): bucket 0 is what is below the base, the last what is above all. */
#define DTRACE_LQUANTIZE_STEP(x) (uint16_t)((x) >> 48)
#define DTRACE_LQUANTIZE_LEVELS(x) (uint16_t)((x) >> 32)
#define DTRACE_LQUANTIZE_BASE(x) (int32_t)(x)

#define DTRACE_ARG_STRING 1

typedef struct dtrace_recdesc {
	dtrace_actkind_t dtrd_action;
	uint32_t dtrd_size;
	uint32_t dtrd_offset; /* of an aggregation's: in dtada_data */
	uint16_t dtrd_alignment;
	uint16_t dtrd_format; /* 0 */
	uint64_t dtrd_arg; /* DTRACE_ARG_STRING: the value is text, of whatever size */
	uint64_t dtrd_uarg;
} dtrace_recdesc_t;

/* A clause: the same number for all probes that it is on. */
typedef struct dtrace_eprobedesc {
	dtrace_epid_t dtepd_epid;
	dtrace_id_t dtepd_probeid;
	uint64_t dtepd_uarg;
	uint32_t dtepd_size;
	int dtepd_nrecs;
} dtrace_eprobedesc_t;

typedef enum { DTRACEFLOW_ENTRY, DTRACEFLOW_RETURN, DTRACEFLOW_NONE } dtrace_flowkind_t;

typedef struct dtrace_probedata {
	dtrace_hdl_t *dtpda_handle;
	dtrace_eprobedesc_t *dtpda_edesc;
	dtrace_probedesc_t *dtpda_pdesc;
	int dtpda_cpu;
	char *dtpda_data; /* the action's value; of a probe the whole record */
	dtrace_flowkind_t dtpda_flow;
	const char *dtpda_prefix; /* "->", "<-" or NULL */
	int dtpda_indent;
} dtrace_probedata_t;

#define DTRACE_CONSUME_ERROR (-1)
#define DTRACE_CONSUME_THIS 0  /* shows it */
#define DTRACE_CONSUME_NEXT 1  /* does not */
#define DTRACE_CONSUME_ABORT 2 /* ends dtrace_work() */

typedef int dtrace_consume_probe_f(const dtrace_probedata_t *data, void *arg);
/* rec is NULL behind the last action of a record. */
typedef int dtrace_consume_rec_f(const dtrace_probedata_t *data, const dtrace_recdesc_t *rec, void *arg);

/* The data model of programs' types, as -64 and -32 of dtrace(8). */
#define DTRACE_O_LP64 4
#define DTRACE_O_ILP32 8

/* NULL: *errp says why. */
dtrace_hdl_t *dtrace_open(int version, int flags, int *errp);
void dtrace_close(dtrace_hdl_t *dtp);

/* Of the last call that failed; the message names line and cause. */
int dtrace_errno(dtrace_hdl_t *dtp);
const char *dtrace_errmsg(dtrace_hdl_t *dtp, int error);

/* value NULL: the option is a switch. */
int dtrace_setopt(dtrace_hdl_t *dtp, const char *option, const char *value);

dtrace_prog_t *dtrace_program_strcompile(dtrace_hdl_t *dtp, const char *text,
					 dtrace_probespec_t spec, unsigned flags, int argc,
					 char *const argv[]);
dtrace_prog_t *dtrace_program_fcompile(dtrace_hdl_t *dtp, FILE *file, unsigned flags, int argc,
				       char *const argv[]);
int dtrace_program_exec(dtrace_hdl_t *dtp, dtrace_prog_t *program, dtrace_proginfo_t *ret);

int dtrace_go(dtrace_hdl_t *dtp);     /* BEGIN fires, then all the others may */
int dtrace_stop(dtrace_hdl_t *dtp);   /* END fires, no other any more */
void dtrace_sleep(dtrace_hdl_t *dtp); /* until there is work, one switchrate at most */
/*
 * Takes what was recorded.  pfunc is called for each record, rfunc for each of its actions: they say
 * whether it is printed; NULL prints all.  out NULL: to who was given to dtrace_handle_buffered().
 */
dtrace_workstatus_t dtrace_work(dtrace_hdl_t *dtp, FILE *out, dtrace_consume_probe_f *pfunc,
				dtrace_consume_rec_f *rfunc, void *arg);

#define DTRACE_STATUS_NONE 0	/* not begun */
#define DTRACE_STATUS_OKAY 1	/* tracing */
#define DTRACE_STATUS_EXITED 2	/* exit() was called */
#define DTRACE_STATUS_STOPPED 4 /* dtrace_stop() was */
int dtrace_status(dtrace_hdl_t *dtp);
int dtrace_exit_status(dtrace_hdl_t *dtp); /* what exit() was given; ours alone */

/* --- what would be printed, dropped or wrong, one by one */

typedef struct dtrace_bufdata {
	dtrace_hdl_t *dtbda_handle;
	const char *dtbda_buffered; /* text */
	dtrace_probedata_t *dtbda_probe; /* NULL: of an aggregation at the end */
	const dtrace_recdesc_t *dtbda_recdesc;
	const struct dtrace_aggdata *dtbda_aggdata; /* NULL */
	uint32_t dtbda_flags;
} dtrace_bufdata_t;

typedef enum {
	DTRACEDROP_PRINCIPAL,
	DTRACEDROP_AGGREGATION,
	DTRACEDROP_DYNAMIC,
	DTRACEDROP_SPEC,
	DTRACEDROP_SPECUNAVAIL,
	DTRACEDROP_LEVEL
} dtrace_dropkind_t;

typedef struct dtrace_dropdata {
	dtrace_hdl_t *dtdda_handle;
	int dtdda_cpu; /* -1: the message says it */
	dtrace_dropkind_t dtdda_kind;
	uint64_t dtdda_drops; /* since the last */
	uint64_t dtdda_total; /* 0 */
	const char *dtdda_msg;
} dtrace_dropdata_t;

typedef struct dtrace_errdata {
	dtrace_hdl_t *dteda_handle;
	dtrace_eprobedesc_t *dteda_edesc;
	dtrace_probedesc_t *dteda_pdesc;
	int dteda_cpu;
	int dteda_action; /* from 1; 0: the predicate */
	int dteda_offset; /* 0 */
	int dteda_fault;  /* arg4 of ERROR */
	uint64_t dteda_addr;
	const char *dteda_msg;
} dtrace_errdata_t;

#define DTRACE_HANDLE_ABORT (-1)
#define DTRACE_HANDLE_OK 0
typedef int dtrace_handle_buffered_f(const dtrace_bufdata_t *data, void *arg);
typedef int dtrace_handle_drop_f(const dtrace_dropdata_t *data, void *arg);
typedef int dtrace_handle_err_f(const dtrace_errdata_t *data, void *arg);
/* Without a handler drops and errors are told on standard error. */
int dtrace_handle_buffered(dtrace_hdl_t *dtp, dtrace_handle_buffered_f *fn, void *arg);
int dtrace_handle_drop(dtrace_hdl_t *dtp, dtrace_handle_drop_f *fn, void *arg);
int dtrace_handle_err(dtrace_hdl_t *dtp, dtrace_handle_err_f *fn, void *arg);

/* --- aggregations */

typedef struct dtrace_aggdesc {
	char *dtagd_name;
	dtrace_aggvarid_t dtagd_varid;
	int dtagd_flags;
	dtrace_aggid_t dtagd_id;
	dtrace_epid_t dtagd_epid; /* 0 */
	uint32_t dtagd_size;
	int dtagd_nrecs;	       /* the variable's number, the keys, the result */
	dtrace_recdesc_t dtagd_rec[]; /* dtagd_nrecs */
} dtrace_aggdesc_t;

typedef struct dtrace_aggdata {
	dtrace_hdl_t *dtada_handle;
	dtrace_aggdesc_t *dtada_desc;
	dtrace_eprobedesc_t *dtada_edesc; /* NULL */
	dtrace_probedesc_t *dtada_pdesc;  /* NULL */
	char *dtada_data;
	uint64_t dtada_normal; /* what normalize() set: for the reader to divide by */
	size_t dtada_size;
} dtrace_aggdata_t;

#define DTRACE_AGGWALK_ERROR (-1)
#define DTRACE_AGGWALK_NEXT 0
#define DTRACE_AGGWALK_ABORT 1
#define DTRACE_AGGWALK_CLEAR 2	     /* the row begins at 0 again */
#define DTRACE_AGGWALK_NORMALIZE 3   /* by dtada_normal, the whole aggregation */
#define DTRACE_AGGWALK_DENORMALIZE 4
#define DTRACE_AGGWALK_REMOVE 5	     /* the row is gone */

typedef int dtrace_aggregate_f(const dtrace_aggdata_t *data, void *arg);
typedef int dtrace_aggregate_walk_f(dtrace_hdl_t *dtp, dtrace_aggregate_f *fn, void *arg);

int dtrace_aggregate_snap(dtrace_hdl_t *dtp); /* reads them all */
/*
 * Calls fn for each row of the last snapshot, aggregation after aggregation: as the options say
 * (walk, walk_sorted), or by key or value, upwards or downwards.
 */
dtrace_aggregate_walk_f dtrace_aggregate_walk, dtrace_aggregate_walk_sorted,
	dtrace_aggregate_walk_keysorted, dtrace_aggregate_walk_valsorted,
	dtrace_aggregate_walk_keyrevsorted, dtrace_aggregate_walk_valrevsorted,
	dtrace_aggregate_walk_keyvarsorted, dtrace_aggregate_walk_valvarsorted,
	dtrace_aggregate_walk_keyvarrevsorted, dtrace_aggregate_walk_valvarrevsorted;
void dtrace_aggregate_clear(dtrace_hdl_t *dtp); /* all rows of all */
/* Prints those that no printa() has printed, in the order of one of these walks (NULL: of walk). */
int dtrace_aggregate_print(dtrace_hdl_t *dtp, FILE *out, dtrace_aggregate_walk_f *walk);

/* --- names */

/* "module`function+0x1f" of the kernel, of a process; the length that it would have. */
int dtrace_addr2str(dtrace_hdl_t *dtp, uint64_t addr, char *buf, int size);
int dtrace_uaddr2str(dtrace_hdl_t *dtp, int pid, uint64_t addr, char *buf, int size);

/* Calls fn for each probe that matches (NULL: for all) until it returns other than 0. */
typedef int dtrace_probe_f(dtrace_hdl_t *dtp, const dtrace_probedesc_t *desc, void *arg);
int dtrace_probe_iter(dtrace_hdl_t *dtp, const dtrace_probedesc_t *desc, dtrace_probe_f *fn,
		      void *arg);

#ifdef __cplusplus
}
#endif

#endif
