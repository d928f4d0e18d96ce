/*
 * libdtrace(3): which programs make how many system calls, once a second.
 *
 *	cc -o example /usr/share/dtrace/example.c -ldtrace && ./example 5
 */
#include <dtrace.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char program[] =
	"syscall:::entry { @calls[execname] = count(); }"
	"tick-1s { printf(\"second %d\", ++seconds); }"
	"tick-1s /seconds == $1/ { exit(0); }";

static int
fail(dtrace_hdl_t *dtp, const char *what)
{
	fprintf(stderr, "%s: %s\n", what, dtrace_errmsg(dtp, dtrace_errno(dtp)));
	return 1;
}

/* One row of an aggregation: records 1 to n - 2 are its keys, the last is its result. */
static int
show_row(const dtrace_aggdata_t *data, void *arg)
{
	const dtrace_aggdesc_t *d = data->dtada_desc;
	const dtrace_recdesc_t *key = &d->dtagd_rec[1], *count = &d->dtagd_rec[d->dtagd_nrecs - 1];
	int64_t n;

	(void)arg;
	memcpy(&n, data->dtada_data + count->dtrd_offset, sizeof(n));
	printf("%-20s %lld\n", data->dtada_data + key->dtrd_offset, (long long)n);
	return DTRACE_AGGWALK_REMOVE; /* the next second begins without it */
}

/* The text of printf() is a sign that a second is over. */
static int
on_text(const dtrace_bufdata_t *data, void *arg)
{
	dtrace_hdl_t *dtp = data->dtbda_handle;

	(void)arg;
	if (!data->dtbda_recdesc || data->dtbda_recdesc->dtrd_action != DTRACEACT_PRINTF)
		return DTRACE_HANDLE_OK;
	printf("--- %s\n", data->dtbda_buffered);
	if (dtrace_aggregate_snap(dtp) < 0 || dtrace_aggregate_walk_valrevsorted(dtp, show_row, NULL) < 0)
		return DTRACE_HANDLE_ABORT;
	return DTRACE_HANDLE_OK;
}

int
main(int argc, char **argv)
{
	char *args[] = {argc > 1 ? argv[1] : (char *)"3"};
	int error;
	dtrace_hdl_t *dtp = dtrace_open(DTRACE_VERSION, 0, &error);
	dtrace_prog_t *p;
	dtrace_workstatus_t status;

	if (!dtp) {
		fprintf(stderr, "dtrace_open: %s\n", strerror(error));
		return 1;
	}
	if (getenv("DTRACE_LIBRARY")) /* of a build that is not installed */
		dtrace_setopt(dtp, "syslibdir", getenv("DTRACE_LIBRARY"));
	dtrace_setopt(dtp, "quiet", NULL);
	dtrace_handle_buffered(dtp, on_text, NULL);
	p = dtrace_program_strcompile(dtp, program, DTRACE_PROBESPEC_NAME, 0, 1, args);
	if (!p)
		return fail(dtp, "compiling");
	if (dtrace_program_exec(dtp, p, NULL) < 0 || dtrace_go(dtp) < 0)
		return fail(dtp, "enabling");
	while ((status = dtrace_work(dtp, NULL, NULL, NULL, NULL)) == DTRACE_WORKSTATUS_OKAY)
		dtrace_sleep(dtp);
	if (status == DTRACE_WORKSTATUS_ERROR || dtrace_stop(dtp) < 0)
		return fail(dtp, "tracing");
	dtrace_close(dtp);
	return 0;
}
