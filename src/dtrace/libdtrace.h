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
/* Prints what was recorded. */
dtrace_workstatus_t dtrace_work(dtrace_hdl_t *dtp, FILE *out);
int dtrace_status(dtrace_hdl_t *dtp); /* what exit() was given */
int dtrace_aggregate_print(dtrace_hdl_t *dtp, FILE *out);

/* Calls fn for each probe that matches (NULL: for all) until it returns other than 0. */
typedef int dtrace_probe_f(dtrace_hdl_t *dtp, const dtrace_probedesc_t *desc, void *arg);
int dtrace_probe_iter(dtrace_hdl_t *dtp, const dtrace_probedesc_t *desc, dtrace_probe_f *fn,
		      void *arg);

#ifdef __cplusplus
}
#endif

#endif
