/*
 * D's printf: C's conversions (sizes are known, so h, l and ll say nothing), and
 * %@ for the aggregation in printa, %a %A symbol addresses, %C %S with escapes, %Y dates, %k stacks.
 */
#include "dtrace/format.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "dtrace/proc.h"
#include "dtrace/show.h"
#include "dtrace/usyms.h"

struct format *
format_new(void)
{
	return xcalloc(1, sizeof(struct format));
}

void
format_free(struct format *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->n; i++)
		free(f->pieces[i].text);
	free(f->pieces);
	free(f);
}

static struct piece *
piece_new(struct format *f)
{
	f->pieces = xreallocarray(f->pieces, f->n + 1, sizeof(*f->pieces));
	f->pieces[f->n] = (struct piece){.width = -1, .precision = -1};
	return &f->pieces[f->n++];
}

static int
number(const char **p, const char *end)
{
	int v = 0;

	for (; *p < end && **p >= '0' && **p <= '9'; (*p)++)
		if (v < 100000000)
			v = v * 10 + **p - '0';
	return v;
}

/* What stands between '%' and the conversion's letter. */
static void
parse_spec(struct piece *piece, const char **pp, const char *end)
{
	const char *p = *pp;

	for (; p < end && *p && strchr("-+ #0'@", *p); p++) {
		if (*p == '@')
			piece->aggregation = true;
		else if (piece->n_flags < sizeof(piece->flags) - 1)
			piece->flags[piece->n_flags++] = *p;
	}
	if (p < end && *p == '*') {
		piece->star_width = true;
		p++;
	} else if (p < end && *p == '?') { /* as wide as an address */
		piece->width = 16;
		p++;
	} else if (p < end && *p >= '0' && *p <= '9') {
		piece->width = number(&p, end);
	}
	if (p < end && *p == '.') {
		p++;
		if (p < end && *p == '*') {
			piece->star_precision = true;
			p++;
		} else {
			piece->precision = number(&p, end);
		}
	}
	if (p < end && *p == '@') {
		piece->aggregation = true;
		p++;
	}
	while (p < end && *p && strchr("hlLwq", *p))
		p++;
	*pp = p;
}

int
format_parse(const char *text, size_t len, int line, struct format **ret, struct error *err)
{
	struct format *f = format_new();
	const char *p = text, *end = text + len;

	while (p < end) {
		const char *percent = memchr(p, '%', (size_t)(end - p));
		struct piece *piece;

		if (percent != p) { /* plain text */
			if (!percent)
				percent = end;
			piece = piece_new(f);
			piece->text = xstrndup(p, (size_t)(percent - p));
			p = percent;
			continue;
		}
		piece = piece_new(f);
		p++;
		parse_spec(piece, &p, end);
		if (p == end || !*p || !strchr("aAcCdDiIuoOxXpPfeEgGsSYk%TUt", *p) ||
		    (*p == '%' && p[-1] != '%')) {
			cleanup_free char *shown = xstrndup(p, p < end);

			format_free(f);
			return d_error(err, line, "D_SYNTAX",
				       "format conversion %%%s is not defined", shown);
		}
		piece->conv = *p++;
	}
	*ret = f;
	return 0;
}

size_t
format_args(const struct format *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		if (f->pieces[i].conv && f->pieces[i].conv != '%' && !f->pieces[i].aggregation)
			n += 1 + f->pieces[i].star_width + f->pieces[i].star_precision;
	return n;
}

/* "%-*.*llx" from the piece: C's printf does the padding. */
static void
build_spec(const struct piece *piece, const char *suffix, char *spec, size_t size)
{
	snprintf(spec, size, "%%%.*s*.*%s", (int)piece->n_flags, piece->flags, suffix);
}

static void
print_number(FILE *out, const struct piece *piece, const struct value *v, int width, int precision)
{
	char spec[24], suffix[4] = "lld";
	char conv = piece->conv;

	if (conv == 'i' || conv == 'D')
		conv = 'd';
	if (conv == 'O')
		conv = 'o';
	if (conv == 'p')
		conv = 'x';
	if (conv == 'd' && !v->is_signed)
		conv = 'u';
	suffix[2] = conv;
	build_spec(piece, suffix, spec, sizeof(spec));
	if (conv != 'd' && v->is_signed && v->size < 8) /* %x of an int shows an int's digits */
		fprintf(out, spec, width, precision,
			(long long)((uint64_t)v->number & ((1ull << 8 * v->size) - 1)));
	else
		fprintf(out, spec, width, precision, (long long)v->number);
}

static void
print_text(FILE *out, const struct piece *piece, const char *text, int width, int precision)
{
	char spec[24];

	build_spec(piece, "s", spec, sizeof(spec));
	fprintf(out, spec, width, precision ? precision : -1, text); /* %.0s says nothing in D */
}

/* The bytes of a float or double, by size; a value of another type is a number like any other. */
static void
print_floating(FILE *out, const struct piece *piece, const struct value *v, int width,
	       int precision)
{
	const char suffix[2] = {piece->conv, '\0'};
	double d = (double)v->number;
	char spec[24];
	float f;

	if (v->is_float && v->size == sizeof(f)) {
		memcpy(&f, &v->number, sizeof(f));
		d = (double)f;
	} else if (v->is_float) {
		memcpy(&d, &v->number, sizeof(d));
	}
	build_spec(piece, suffix, spec, sizeof(spec));
	fprintf(out, spec, width, precision, d);
}

/*
 * The kernel's, or with %A that of the process of -c or -p; what sym(), usym() and their like made
 * of it is text already.
 */
static char *
show_address(struct dt *dt, char conv, const struct value *v)
{
	pid_t target = conv == 'A' ? dt_procs_pid(dt, 0) : 0;

	if (v->text)
		return xstrdup(v->text);
	if (target)
		return usyms_show(dt->usyms, target, (uint64_t)v->number, false, USYM_FRAME);
	return show_symbol(dt, (uint64_t)v->number, true);
}

/* %S and %C: what a terminal would not show is written as in a C string. */
static char *
escape(const char *text)
{
	static const char special[] = "\a\b\f\n\r\t\v\"\\", letter[] = "abfnrtv\"\\";
	struct strbuf b = STRBUF_INIT;
	const char *at;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if ((at = strchr(special, c)))
			strbuf_addf(&b, "\\%c", letter[at - special]);
		else if (isprint(c))
			strbuf_add(&b, text, 1);
		else
			strbuf_addf(&b, "\\%03o", c);
	}
	return strbuf_steal(&b);
}

/*
 * A line of /etc/hosts or /etc/services is words, one of them the key, another the name; '#' begins
 * a comment.  NULL: no line has that key.
 */
static char *
name_in(const char *path, const char *key, int key_word, int name_word)
{
	cleanup_error struct error none = ERROR_INIT;
	cleanup_free char *text = NULL;
	char *rest = NULL;

	if (file_read(path, 0, &text, NULL, &none) < 0)
		return NULL;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char words[2][64] = {"", ""};

		line[strcspn(line, "#")] = '\0';
		if (sscanf(line, "%63s %63s", words[0], words[1]) == 2 &&
		    str_eq(words[key_word], key))
			return xstrdup(words[name_word]);
	}
	return NULL;
}

/* %I: the host that has the address. */
static char *
show_host(const char *address)
{
	char *name = name_in("/etc/hosts", address, 0, 1);

	return name ? name : xstrdup(address);
}

/* %P: the service at the port. */
static char *
show_port(uint16_t port)
{
	static const char *const protocols[] = {"tcp", "udp"};
	char *name = NULL;

	for (size_t i = 0; !name && i < ARRAY_SIZE(protocols); i++) {
		cleanup_free char *key = str_printf("%u/%s", port, protocols[i]);

		name = name_in("/etc/services", key, 1, 0);
	}
	return name ? name : str_printf("%u", port);
}

/* Frames begin at the margin, or, of %-Nk and %*k of a negative number, at column N. */
static void
print_stack(FILE *out, struct dt *dt, const struct piece *piece, const char *text, int width)
{
	bool left = width < 0 || strchr(piece->flags, '-');
	int indent = left ? abs(width) : 0;

	while (*text) {
		size_t len = strcspn(text, "\n"), skip = strspn(text, " ");

		if (skip > dt->opts.stackindent)
			skip = dt->opts.stackindent;
		if (len)
			fprintf(out, "%*s%.*s", indent, "", (int)(len - skip), text + skip);
		text += len;
		if (*text)
			fputc(*text++, out);
	}
}

void
format_value(FILE *out, struct dt *dt, const struct piece *piece, const struct value *v, int width,
	     int precision)
{
	cleanup_free char *text = NULL;
	time_t sec;
	struct tm tm;
	char when[64];

	switch (piece->conv) {
	case 'a':
	case 'A':
		text = show_address(dt, piece->conv, v);
		print_text(out, piece, text, width, precision);
		return;
	case 'c':
		fprintf(out, "%*c", width < 0 ? 0 : width, (int)v->number);
		return;
	case 'I':
	case 'P':
		text = v->text ? show_host(v->text) : show_port((uint16_t)v->number);
		print_text(out, piece, text, width, precision);
		return;
	case 'S':
	case 'C':
		text = v->text ? escape(v->text) : escape((const char[]){(char)v->number, '\0'});
		print_text(out, piece, text, width, precision);
		return;
	case 's':
		text = v->text ? xstrdup(v->text) : str_printf("%lld", (long long)v->number);
		print_text(out, piece, text, width, precision);
		return;
	case 'Y':
	case 'T':
		sec = (time_t)(v->number / 1000000000);
		localtime_r(&sec, &tm);
		strftime(when, sizeof(when),
			 piece->conv == 'Y' ? "%Y %b %e %H:%M:%S" : "%a, %d %b %Y %T %Z", &tm);
		print_text(out, piece, when, width, precision);
		return;
	case 'e':
	case 'E':
	case 'f':
	case 'g':
	case 'G':
		print_floating(out, piece, v, width, precision);
		return;
	default:
		break;
	}
	if (v->text && piece->conv == 'k')
		print_stack(out, dt, piece, v->text, width);
	else if (v->text)
		print_text(out, piece, v->text, width, precision);
	else
		print_number(out, piece, v, width, precision);
}

void
format_print(FILE *out, struct dt *dt, const struct format *f, value_fn *next, void *arg,
	     agg_fn *aggregation)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct piece *piece = &f->pieces[i];
		int width = piece->width, precision = piece->precision;
		struct value v;

		if (!piece->conv) {
			fputs(piece->text, out);
			continue;
		}
		if (piece->conv == '%') {
			fputc('%', out);
			continue;
		}
		if (piece->star_width && next(arg, &v))
			width = (int)v.number;
		if (piece->star_precision && next(arg, &v))
			precision = (int)v.number;
		if (width < 0 && !piece->star_width) /* a negative '*' aligns to the left */
			width = 0;
		if (piece->aggregation) {
			if (aggregation)
				aggregation(arg, piece, width, precision);
			continue;
		}
		if (next(arg, &v))
			format_value(out, dt, piece, &v, width, precision);
	}
}
