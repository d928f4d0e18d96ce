/* How values look. */
#include "dtrace/show.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "dtrace/ksyms.h"
#include "dtrace/usyms.h"

char *
show_symbol(struct dt *dt, uint64_t addr, bool offset)
{
	const char *name, *module;
	uint64_t off;

	if (!ksyms_at(dt_ksyms(dt), addr, &name, &module, &off))
		return str_printf("0x%llx", (unsigned long long)addr);
	if (offset && off)
		return str_printf("%s`%s+0x%llx", module, name, (unsigned long long)off);
	return str_printf("%s`%s", module, name);
}

char *
show_ksym(struct dt *dt, enum action action, uint64_t addr)
{
	char *text = show_symbol(dt, addr, false);

	if (action == A_MOD)
		text[strcspn(text, "`")] = '\0';
	return text;
}

size_t
show_room(const struct rec *rec)
{
	return (rec->size - sizeof(struct stack_value)) / 8;
}

/* stack() as a value: as many frames as its depth says. */
static void
show_frames(struct dt *dt, const struct rec *rec, const struct stack_value *s)
{
	size_t n = s->depth < show_room(rec) ? s->depth : show_room(rec);

	if (s->is_user)
		show_ustack(dt, s->pid, s->addrs, n);
	else
		show_stack(dt, s->addrs, n);
}

/* A key that is shown by name. */
char *
show_key(struct dt *dt, const struct rec *rec, const char *data)
{
	const uint64_t *p = (const uint64_t *)(const void *)(data + rec->offset);
	FILE *out = dt->out;
	char *text = NULL;
	size_t len;

	if (rec->kind == REC_KSYM)
		return show_ksym(dt, rec->action, *p);
	if (rec->kind == REC_USYM)
		return show_usym(dt, rec->action, p);
	dt->out = open_memstream(&text, &len);
	if (!dt->out)
		abort();
	if (rec->kind == REC_FRAMES)
		show_frames(dt, rec, (const struct stack_value *)(const void *)p);
	else if (rec->kind == REC_STACK)
		show_stack(dt, p, rec->size / 8);
	else
		show_ustack(dt, p[0], p + 1, rec->size / 8 - 1);
	fclose(dt->out);
	dt->out = out;
	return text;
}

bool
show_by_name(const struct rec *rec)
{
	return rec->kind == REC_STACK || rec->kind == REC_USTACK || rec->kind == REC_KSYM ||
	       rec->kind == REC_USYM || rec->kind == REC_FRAMES;
}

/* How many frames there are between a tracepoint and our program depends on who else is there. */
static size_t
tracing_frames(struct dt *dt, const uint64_t *pcs, size_t n)
{
	const char *name, *module;
	uint64_t off;
	size_t i = 0;

	while (i < n && pcs[i] && ksyms_at(dt_ksyms(dt), pcs[i], &name, &module, &off) &&
	       (str_after(name, "__traceiter_") || str_after(name, "__bpf_trace_") ||
		str_after(name, "bpf_trace_run")))
		i++;
	return i;
}

void
show_stack(struct dt *dt, const uint64_t *pcs, size_t n)
{
	fputc('\n', dt->out);
	for (size_t i = tracing_frames(dt, pcs, n); i < n && pcs[i]; i++) {
		cleanup_free char *text = show_symbol(dt, pcs[i], true);

		fprintf(dt->out, "%*s%s\n", (int)dt->opts.stackindent, "", text);
	}
}

void
show_ustack(struct dt *dt, uint64_t pid, const uint64_t *pcs, size_t n)
{
	fputc('\n', dt->out);
	for (size_t i = 0; i < n && pcs[i]; i++) {
		cleanup_free char *text =
			usyms_show(dt->usyms, (pid_t)pid, pcs[i], i > 0,
				   dt->opts.noresolve ? USYM_OFFSET : USYM_FRAME);

		fprintf(dt->out, "%*s%s\n", (int)dt->opts.stackindent, "", text);
	}
}

char *
show_usym(struct dt *dt, enum action action, const uint64_t *rec)
{
	enum usym_form form = action == A_UMOD	  ? USYM_MODULE
			      : dt->opts.noresolve ? USYM_OFFSET
			      : action == A_UADDR ? USYM_FRAME
						  : USYM_SYMBOL;

	return usyms_show(dt->usyms, (pid_t)rec[0], rec[1], false, form);
}

bool
is_text_bytes(const unsigned char *data, size_t n)
{
	size_t len = strnlen((const char *)data, n);

	for (size_t i = 0; i < n; i++)
		if (i < len ? !isprint(data[i]) && !isspace(data[i]) : data[i])
			return false;
	return len > 0;
}

void
show_bytes(struct dt *dt, const unsigned char *data, size_t n)
{
	fprintf(dt->out, "\n             0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f  "
			 "0123456789abcdef\n");
	for (size_t row = 0; row < n; row += 16) {
		fprintf(dt->out, "%10zx:", row);
		for (size_t i = row; i < row + 16; i++) {
			if (i < n)
				fprintf(dt->out, " %02x", data[i]);
			else
				fputs("   ", dt->out);
		}
		fputs("  ", dt->out);
		for (size_t i = row; i < row + 16 && i < n; i++)
			fputc(isprint(data[i]) ? data[i] : '.', dt->out);
		fputc('\n', dt->out);
	}
}

struct value
show_value(struct dt *dt, const struct rec *rec, const char *data)
{
	struct value v = {.size = rec->size, .is_signed = rec->is_signed, .is_float = rec->is_float};
	const char *p = data + rec->offset;
	uint64_t u = 0;
	uint32_t id;

	switch (rec->kind) {
	case REC_STRING:
		v.text = p;
		break;
	case REC_STACK:
	case REC_USTACK:
	case REC_FRAMES:
	case REC_KSYM:
	case REC_USYM: /* what show_key() made of it, put there by agg.c */
		memcpy(&v.text, p, sizeof(v.text));
		break;
	case REC_PROBE:
		memcpy(&id, p, sizeof(id));
		v.text = id && id <= dt->n_probes ? dt_probe_part(dt->probes[id - 1], rec->part) : "";
		break;
	default:
		memcpy(&u, p, rec->size < 8 ? rec->size : 8);
		if (rec->size < 8 && rec->is_signed)
			u = (uint64_t)((int64_t)(u << (64 - 8 * rec->size)) >> (64 - 8 * rec->size));
		v.number = (int64_t)u;
		break;
	}
	return v;
}
