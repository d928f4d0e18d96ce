/* The C API: libdtrace.h on what the command is made of. */
#include "dtrace/libdtrace.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "dtrace/dt.h"

#define PUBLIC __attribute__((visibility("default")))

struct dtrace_prog {
	size_t matches;
	struct dtrace_prog *next;
};

struct dtrace_hdl {
	struct dt *dt;
	struct error err;
	struct dtrace_prog *programs;
};

static int
fail(dtrace_hdl_t *dtp)
{
	return dtp->err.code ? -1 : (dtp->err.code = EIO, -1);
}

PUBLIC dtrace_hdl_t *
dtrace_open(int version, int flags, int *errp)
{
	dtrace_hdl_t *dtp;
	struct error err = ERROR_INIT;
	struct dt *dt;

	if (version != DTRACE_VERSION || flags) {
		*errp = EINVAL;
		return NULL;
	}
	if (dt_open(&dt, &err) < 0) {
		*errp = err.code;
		error_done(&err);
		return NULL;
	}
	dtp = xcalloc(1, sizeof(*dtp));
	dtp->dt = dt;
	return dtp;
}

PUBLIC void
dtrace_close(dtrace_hdl_t *dtp)
{
	struct dtrace_prog *next;

	if (!dtp)
		return;
	for (struct dtrace_prog *p = dtp->programs; p; p = next) {
		next = p->next;
		free(p);
	}
	dt_close(dtp->dt);
	error_done(&dtp->err);
	free(dtp);
}

PUBLIC int
dtrace_errno(dtrace_hdl_t *dtp)
{
	return dtp->err.code;
}

PUBLIC const char *
dtrace_errmsg(dtrace_hdl_t *dtp, int error)
{
	return dtp && error == dtp->err.code ? error_message(&dtp->err) : strerror(error);
}

PUBLIC int
dtrace_setopt(dtrace_hdl_t *dtp, const char *option, const char *value)
{
	cleanup_free char *assignment =
		value ? str_printf("%s=%s", option, value) : xstrdup(option);
	int r;

	error_done(&dtp->err);
	r = dtp->dt->shared ? dt_set_runtime_option(dtp->dt, assignment, &dtp->err)
			    : dt_set_option(dtp->dt, assignment, &dtp->err);
	return r < 0 ? fail(dtp) : 0;
}

/* "read" as a provider is "read:::"; what has colons or is a program stays. */
static char *
with_spec(const char *text, dtrace_probespec_t spec)
{
	static const char *const before[] = {"", ":", "::", ":::"}, *const behind[] = {":::", "::", ":", ""};
	size_t n = strcspn(text, " \t\n/{");

	if (spec < 0 || spec > DTRACE_PROBESPEC_NAME || memchr(text, ':', n))
		return xstrdup(text);
	return str_printf("%s%.*s%s%s", before[spec], (int)n, text, behind[spec], text + n);
}

static size_t
matches(const struct dt *dt)
{
	size_t n = 0;

	for (size_t i = 0; i < dt->n_clauses; i++)
		n += dt->clauses[i]->n_probes;
	return n;
}

static dtrace_prog_t *
compile(dtrace_hdl_t *dtp, const char *text, unsigned flags, int argc, char *const argv[])
{
	struct dt *dt = dtp->dt;
	size_t before = matches(dt);
	cleanup_free char *preprocessed = NULL;
	dtrace_prog_t *p;

	error_done(&dtp->err);
	if (argc > 0)
		strv_done(&dt->args);
	for (int i = 0; i < argc; i++)
		strv_add(&dt->args, argv[i]);
	dt->opts.zdefs |= (flags & DTRACE_C_ZDEFS) != 0;
	if (flags & DTRACE_C_CPP) {
		if (dt_preprocess_text(dt, text, &preprocessed, &dtp->err) < 0)
			return NULL;
		text = preprocessed;
	}
	if (dt_compile(dt, text, strlen(text), "", &dtp->err) < 0)
		return NULL;
	p = xcalloc(1, sizeof(*p));
	p->matches = matches(dt) - before;
	p->next = dtp->programs;
	dtp->programs = p;
	return p;
}

PUBLIC dtrace_prog_t *
dtrace_program_strcompile(dtrace_hdl_t *dtp, const char *text, dtrace_probespec_t spec,
			  unsigned flags, int argc, char *const argv[])
{
	cleanup_free char *whole = with_spec(text, spec);

	return compile(dtp, whole, flags, argc, argv);
}

PUBLIC dtrace_prog_t *
dtrace_program_fcompile(dtrace_hdl_t *dtp, FILE *file, unsigned flags, int argc, char *const argv[])
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	char buf[4096];
	size_t n;

	while ((n = fread(buf, 1, sizeof(buf), file)) > 0)
		strbuf_add(&b, buf, n);
	if (ferror(file)) {
		error_set(&dtp->err, EIO, "cannot read the program");
		return NULL;
	}
	return compile(dtp, b.data ? b.data : "", flags, argc, argv);
}

PUBLIC int
dtrace_program_exec(dtrace_hdl_t *dtp, dtrace_prog_t *program, dtrace_proginfo_t *ret)
{
	(void)dtp;
	if (ret)
		ret->dpi_matches = (unsigned)program->matches;
	return 0;
}

PUBLIC int
dtrace_go(dtrace_hdl_t *dtp)
{
	error_done(&dtp->err);
	return dt_enable(dtp->dt, &dtp->err) < 0 ? fail(dtp) : 0;
}

PUBLIC int
dtrace_stop(dtrace_hdl_t *dtp)
{
	error_done(&dtp->err);
	dt_stop(dtp->dt);
	if (dt_consume(dtp->dt, 0, &dtp->err) < 0 || dt_fire(dtp->dt, "END", &dtp->err) < 0)
		return fail(dtp);
	return 0;
}

PUBLIC void
dtrace_sleep(dtrace_hdl_t *dtp)
{
	poll(NULL, 0, (int)(dtp->dt->opts.switchrate_ns / 1000000));
}

PUBLIC dtrace_workstatus_t
dtrace_work(dtrace_hdl_t *dtp, FILE *out)
{
	error_done(&dtp->err);
	dtp->dt->out = out;
	if (dt_consume(dtp->dt, 0, &dtp->err) < 0)
		return (dtrace_workstatus_t)fail(dtp);
	return dtp->dt->exiting ? DTRACE_WORKSTATUS_DONE : DTRACE_WORKSTATUS_OKAY;
}

PUBLIC int
dtrace_status(dtrace_hdl_t *dtp)
{
	return dtp->dt->exit_status;
}

PUBLIC int
dtrace_aggregate_print(dtrace_hdl_t *dtp, FILE *out)
{
	error_done(&dtp->err);
	dtp->dt->out = out;
	return dt_aggs_print(dtp->dt, &dtp->err) < 0 ? fail(dtp) : 0;
}

PUBLIC int
dtrace_probe_iter(dtrace_hdl_t *dtp, const dtrace_probedesc_t *desc, dtrace_probe_f *fn, void *arg)
{
	cleanup_free char *text =
		desc ? str_printf("%s:%s:%s:%s", desc->dtpd_provider, desc->dtpd_mod,
				  desc->dtpd_func, desc->dtpd_name)
		     : xstrdup(":::");
	cleanup_free struct probe **found = NULL;
	size_t n = 0;
	int r = 0;

	error_done(&dtp->err);
	if (dt_probes_match(dtp->dt, text, 1, &found, &n, &dtp->err) < 0)
		return fail(dtp);
	for (size_t i = 0; i < n && r == 0; i++) {
		dtrace_probedesc_t d = {.dtpd_id = found[i]->id};

		if (desc && desc->dtpd_id && desc->dtpd_id != found[i]->id)
			continue;
		snprintf(d.dtpd_provider, sizeof(d.dtpd_provider), "%s", found[i]->prov);
		snprintf(d.dtpd_mod, sizeof(d.dtpd_mod), "%s", found[i]->mod);
		snprintf(d.dtpd_func, sizeof(d.dtpd_func), "%s", found[i]->func);
		snprintf(d.dtpd_name, sizeof(d.dtpd_name), "%s", found[i]->name);
		r = fn(dtp, &d, arg);
	}
	return r;
}
