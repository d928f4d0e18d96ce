/*
 * json: looks into JSON from the command line, as SmartOS's tool of that name
 * does for people's scripts.
 *
 *	vmadm get UUID | json nics[0].ip
 *	vmadm lookup -j | json -a uuid alias -c 'this.ram > 512'
 */
#include <ctype.h>
#include <stdlib.h>

#include "base/cli.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "vm/json/expr.h"

enum mode { MODE_JSONY, MODE_JSON, MODE_INSPECT };

struct step { /* of -e and -c, in the order given */
	bool condition;
	const char *code;
};

struct options {
	bool array, no_array, group, keys, items, validate, quiet, skip_head, in_place;
	enum mode mode;
	int indent;
	const char *delim;  /* between the fields of a row */
	const char *lookup_delim;
	struct step *steps;
	size_t n_steps;
	struct strv lookups;
	const char *file;
};

/* ---- input ------------------------------------------------------------------------ */

/* Behind a block of HTTP headers, if there is one ("HTTP/1.1 200 OK..." up to an empty line). */
static const char *
behind_head(const char *p)
{
	while (strncmp(p, "HTTP/", 5) == 0) {
		const char *crlf = strstr(p, "\r\n\r\n"), *lf = strstr(p, "\n\n");

		if (crlf && (!lf || crlf < lf))
			p = crlf + 4;
		else if (lf)
			p = lf + 2;
		else
			return p;
	}
	return p;
}

/* The end of the JSON value that begins at p, without judging it. */
static const char *
value_end(const char *p)
{
	int depth = 0;
	bool string = false;

	for (; *p; p++) {
		if (string) {
			if (*p == '\\' && p[1])
				p++;
			else if (*p == '"')
				string = false;
		} else if (*p == '"')
			string = true;
		else if (*p == '{' || *p == '[')
			depth++;
		else if ((*p == '}' || *p == ']') && --depth <= 0)
			return p + 1;
		else if (depth == 0 && isspace((unsigned char)*p))
			return p;
		if (!string && depth == 0 && *p == '"')
			return p + 1;
	}
	return p;
}

/* -g: values one after the other become one array; arrays are joined. */
static int
read_group(const char *p, struct json **ret, struct error *err)
{
	cleanup_json struct json *all = json_new_array();

	for (;;) {
		struct json *v = NULL, *item;
		const char *end;
		int r;

		while (isspace((unsigned char)*p) || *p == ',')
			p++;
		if (!*p)
			break;
		end = value_end(p);
		r = json_parse(p, (size_t)(end - p), &v, err);
		if (r < 0)
			return r;
		if (json_type(v) == JSON_ARRAY) {
			json_array_each(item, v)
				json_push(all, json_copy(item));
			json_free(v);
		} else
			json_push(all, v);
		p = end;
	}
	*ret = steal_ptr(&all);
	return 0;
}

static int
read_input(const struct options *o, struct json **ret, struct error *err)
{
	cleanup_free char *text = NULL;
	const char *p;
	int r = file_read(o->file ? o->file : "-", 0, &text, NULL, err);

	if (r < 0)
		return r;
	p = behind_head(text);
	if (p != text && !o->skip_head)
		fwrite(text, 1, (size_t)(p - text), stdout);
	while (isspace((unsigned char)*p))
		p++;
	if (!*p) {
		*ret = NULL; /* nothing in, nothing out */
		return 0;
	}
	if (o->group)
		return read_group(p, ret, err);
	return json_parse(p, (size_t)-1, ret, err);
}

/* ---- lookups ------------------------------------------------------------------------ */

/* a.b[0]["c.d"]; a copy, NULL if absent. */
static struct json *
look_up(const struct json *v, const char *path, const char *delim)
{
	struct json *at = json_copy(v);
	const char *p = path;

	while (*p && at) {
		cleanup_free char *key = NULL;
		struct json *next;

		if (*p == '[') {
			const char *end = strchr(p, ']');
			char quote = p[1];

			if (quote == '"' || quote == '\'') {
				const char *close = strchr(p + 2, quote);

				if (!close || close[1] != ']')
					break;
				key = xstrndup(p + 2, (size_t)(close - p - 2));
				p = close + 2;
			} else if (end) {
				key = xstrndup(p + 1, (size_t)(end - p - 1));
				p = end + 1;
			} else
				break;
		} else {
			size_t n = 0;

			while (p[n] && p[n] != '[' && strncmp(p + n, delim, strlen(delim)) != 0)
				n++;
			key = xstrndup(p, n);
			p += n;
		}
		if (*p && str_after(p, delim))
			p += strlen(delim);
		next = expr_member(at, key);
		json_free(at);
		at = next;
	}
	return at;
}

/* ---- output -------------------------------------------------------------------------- */

/* Two-space pretty printing widened or narrowed to the indentation asked for. */
static char *
pretty(const struct json *v, int indent)
{
	cleanup_free char *text = json_print(v, indent != 0);
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	bool at_start = true;

	str_trim(text);
	if (indent == 2 || indent == 0)
		return steal_ptr(&text);
	for (const char *p = text; *p; p++) {
		if (at_start) {
			size_t n = strspn(p, " ");

			for (size_t i = 0; i < n / 2 * (size_t)indent; i++)
				strbuf_addc(&b, ' ');
			p += n;
			at_start = false;
			if (!*p)
				break;
		}
		strbuf_addc(&b, *p);
		at_start = *p == '\n';
	}
	return strbuf_steal(&b);
}

static char *
shown(const struct json *v, const struct options *o)
{
	if (!v)
		return xstrdup("");
	if (o->mode == MODE_JSONY && json_str(v, NULL))
		return xstrdup(json_str(v, ""));
	return pretty(v, o->array && o->mode == MODE_JSONY ? 0 : o->indent);
}

static struct json *
picked(const struct json *v, const struct options *o)
{
	struct json *out;

	if (o->lookups.n == 1)
		return look_up(v, o->lookups.v[0], o->lookup_delim);
	out = json_new_object();
	for (size_t i = 0; i < o->lookups.n; i++) {
		struct json *m = look_up(v, o->lookups.v[i], o->lookup_delim);

		if (m)
			json_set(out, o->lookups.v[i], m);
	}
	return out;
}

/* A row of -a: fields side by side, missing ones empty. */
static void
print_row(const struct json *v, const struct options *o)
{
	for (size_t i = 0; i < o->lookups.n; i++) {
		cleanup_json struct json *m = look_up(v, o->lookups.v[i], o->lookup_delim);
		cleanup_free char *text = shown(m, o);

		printf("%s%s", i ? o->delim : "", text);
	}
	putchar('\n');
}

/* One value: as a whole, or its lookups each on a line. */
static void
print_value(const struct json *v, const struct options *o)
{
	if (!o->lookups.n) {
		cleanup_free char *text = o->mode == MODE_JSONY && json_str(v, NULL)
						  ? xstrdup(json_str(v, ""))
						  : pretty(v, o->indent);

		printf("%s\n", text);
		return;
	}
	if (o->mode == MODE_JSON) {
		cleanup_json struct json *m = picked(v, o);
		cleanup_free char *text = m ? pretty(m, o->indent) : NULL;

		if (text)
			printf("%s\n", text);
		return;
	}
	for (size_t i = 0; i < o->lookups.n; i++) {
		cleanup_json struct json *m = look_up(v, o->lookups.v[i], o->lookup_delim);
		cleanup_free char *text = shown(m, o);

		if (m)
			printf("%s\n", text);
	}
}

/* ---- what is done to a value ------------------------------------------------------------ */

/* Runs -e and -c; 1 if a condition says no. */
static int
run_steps(struct json *v, const struct options *o, struct error *err)
{
	for (size_t i = 0; i < o->n_steps; i++) {
		cleanup_json struct json *result = NULL;
		int r = expr_run(o->steps[i].code, v, &result, err);

		if (r < 0)
			return r;
		if (o->steps[i].condition && !expr_true(result))
			return 1;
	}
	return 0;
}

static struct json *
keys_of(const struct json *v)
{
	struct json *keys = json_new_array();

	for (size_t i = 0; i < json_len(v) && json_type(v) == JSON_OBJECT; i++)
		json_push(keys, json_new_str(json_key_at(v, i)));
	return keys;
}

static struct json *
items_of(const struct json *v)
{
	struct json *items = json_new_array();

	for (size_t i = 0; i < json_len(v) && json_type(v) == JSON_OBJECT; i++) {
		struct json *item = json_new_object();

		json_set_str(item, "key", json_key_at(v, i));
		json_set(item, "value", json_copy(json_value_at(v, i)));
		json_push(items, item);
	}
	return items;
}

static struct json *
converted(const struct json *v, const struct options *o)
{
	return o->keys ? keys_of(v) : json_copy(v);
}

static int
process_array(struct json *all, const struct options *o, struct error *err)
{
	cleanup_json struct json *kept = json_new_array();
	const struct json *item;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < json_len(all); i++) {
		struct json *one = json_at(all, i);

		r = run_steps(one, o, err);
		if (r == 0)
			json_push(kept, converted(one, o));
	}
	if (r < 0)
		return r;
	if (o->mode == MODE_JSON || !o->lookups.n) {
		cleanup_json struct json *out = json_new_array();
		cleanup_free char *text = NULL;

		json_array_each(item, kept) {
			struct json *m = o->lookups.n ? picked(item, o) : json_copy(item);

			json_push(out, m ? m : json_new_null());
		}
		text = pretty(out, o->indent);
		printf("%s\n", text);
		return 0;
	}
	json_array_each(item, kept)
		print_row(item, o);
	return 0;
}

static int
process(struct json *v, const struct options *o, struct error *err)
{
	cleanup_json struct json *made = NULL;
	cleanup_json struct json *out = NULL;
	int r;

	if (o->items)
		v = made = items_of(v);
	if (o->array && !o->no_array) {
		cleanup_json struct json *list = NULL;

		if (json_type(v) == JSON_ARRAY)
			return process_array(v, o, err);
		list = json_new_array();
		json_push(list, json_copy(v));
		return process_array(list, o, err);
	}
	r = run_steps(v, o, err);
	if (r)
		return r < 0 ? r : 0;
	out = converted(v, o);
	print_value(out, o);
	return 0;
}

/* ---- options ------------------------------------------------------------------------------ */

static void
usage(FILE *out)
{
	fputs("usage: json [-f FILE] [OPTIONS] [LOOKUPS...]\n"
	      "    -a          each element of an array by itself, its lookups in a row\n"
	      "    -A          the whole as one value\n"
	      "    -c CODE     only what CODE is true of\n"
	      "    -d DELIM    between the fields of a row\n"
	      "    -D DELIM    between the parts of a lookup\n"
	      "    -e CODE     run CODE on each value\n"
	      "    -f FILE     read FILE instead of standard input\n"
	      "    -g          join values that follow each other to one array\n"
	      "    -H          leave out a block of HTTP headers\n"
	      "    -I          write the result back to the file of -f\n"
	      "    -j          output JSON also of strings and lookups (-o json)\n"
	      "    -k          the keys\n"
	      "    -M          an object as an array of {key, value}\n"
	      "    -n          only check\n"
	      "    -o MODE     jsony, json, jsony-N, json-N (N: indentation), inspect\n"
	      "    -q          no warnings\n"
	      "    -0 -2 -4    indentation\n", out);
}

static int
take_mode(struct options *o, const char *name)
{
	static const struct {
		const char *name;
		enum mode mode;
	} modes[] = {{"jsony", MODE_JSONY}, {"json", MODE_JSON}, {"inspect", MODE_INSPECT}};
	const char *dash = strchr(name, '-');
	cleanup_free char *word = xstrndup(name, strcspn(name, "-"));

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (str_eq(word, modes[i].name)) {
			o->mode = modes[i].mode == MODE_INSPECT ? MODE_JSON : modes[i].mode;
			if (dash && (str_to_int(dash + 1, &o->indent) < 0 || o->indent < 0 ||
				     o->indent > 16))
				return cli_fail("unknown output mode: %s", name) + 1;
			return 0;
		}
	return cli_fail("unknown output mode: %s", name) + 1;
}

/* Options that take a value: in the same word or the next. */
static int
take_value(struct options *o, char opt, const char *v)
{
	cleanup_error struct error err = ERROR_INIT;

	switch (opt) {
	case 'f':
		o->file = v;
		return 0;
	case 'd':
		o->delim = v;
		return 0;
	case 'D':
		if (!*v)
			return cli_fail("-D: empty") + 1;
		o->lookup_delim = v;
		return 0;
	case 'o':
		return take_mode(o, v);
	case 'e':
	case 'c':
		if (expr_check(v, &err) < 0)
			return cli_fail("-%c: %s", opt, error_message(&err)) + 1;
		o->steps = xreallocarray(o->steps, o->n_steps + 1, sizeof(*o->steps));
		o->steps[o->n_steps++] = (struct step){opt == 'c', v};
		return 0;
	default:
		return CLI_USAGE + 1;
	}
}

static int
take_flag(struct options *o, char opt)
{
	const struct {
		char c;
		bool *flag;
	} flags[] = {
		{'a', &o->array}, {'A', &o->no_array}, {'g', &o->group}, {'k', &o->keys},
		{'M', &o->items}, {'n', &o->validate}, {'q', &o->quiet}, {'H', &o->skip_head},
		{'I', &o->in_place},
	};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (flags[i].c == opt) {
			*flags[i].flag = true;
			return 0;
		}
	if (opt == 'j') {
		o->mode = MODE_JSON;
		return 0;
	}
	if (isdigit((unsigned char)opt)) {
		o->indent = opt - '0';
		return 0;
	}
	if (opt == 'h') {
		usage(stdout);
		return CLI_OK + 1;
	}
	fprintf(stderr, "json: unknown option: -%c\n", opt);
	usage(stderr);
	return CLI_USAGE + 1;
}

static int
parse_options(int argc, char **argv, struct options *o)
{
	bool words = true;

	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];
		int r = 0;

		if (words && str_eq(arg, "--")) {
			words = false;
			continue;
		}
		if (words && (str_eq(arg, "--help") || str_eq(arg, "--validate"))) {
			r = take_flag(o, str_eq(arg, "--help") ? 'h' : 'n');
			if (r)
				return r;
			continue;
		}
		if (!words || arg[0] != '-' || !arg[1]) {
			strv_add(&o->lookups, arg);
			continue;
		}
		for (const char *p = arg + 1; r == 0 && *p; p++) {
			if (!strchr("fdDoec", *p)) {
				r = take_flag(o, *p);
				continue;
			}
			if (p[1])
				r = take_value(o, *p, p + 1);
			else if (i + 1 < argc)
				r = take_value(o, *p, argv[++i]);
			else {
				cli_fail("option -%c needs an argument", *p);
				r = CLI_USAGE + 1;
			}
			break;
		}
		if (r)
			return r;
	}
	/* "json FILE"-style operands do not exist here; a lookup that is a file is a lookup. */
	return 0;
}

/* -I: what would be printed goes back to the file. */
static int
in_place(struct options *o, struct json *v)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *text = NULL;
	cleanup_free char *line = NULL;
	cleanup_json struct json *out = NULL;

	if (!o->file || o->lookups.n || o->array)
		return cli_fail("-I needs -f FILE, and neither lookups nor -a");
	if (run_steps(v, o, &err) < 0)
		return cli_fail("%s", error_message(&err));
	out = converted(v, o);
	text = pretty(out, o->indent);
	line = str_printf("%s\n", text);
	if (file_write_atomic(o->file, line, strlen(line), 0644, &err) < 0)
		return cli_error(&err);
	if (!o->quiet)
		fprintf(stderr, "json: updated \"%s\" in-place\n", o->file);
	return CLI_OK;
}

int
main(int argc, char **argv)
{
	struct options o = {.indent = 2, .delim = " ", .lookup_delim = "."};
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *v = NULL;
	int r, status = CLI_OK;

	cli_init(argv[0]);
	r = parse_options(argc, argv, &o);
	if (r) {
		status = r - 1;
	} else if (read_input(&o, &v, &err) < 0) {
		status = cli_fail("error: input is not JSON: %s", error_message(&err));
	} else if (o.validate || !v) {
		status = CLI_OK;
	} else if (o.in_place) {
		status = in_place(&o, v);
	} else if (process(v, &o, &err) < 0) {
		status = cli_fail("error: %s", error_message(&err));
	}
	if (fflush(stdout) != 0)
		status = CLI_FAILED;
	free(o.steps);
	strv_done(&o.lookups);
	return status;
}
