/*
 * vmadm: the command.  Verbs parse their arguments and call the library.
 *
 * Messages, exit codes and output are SmartOS's: what a script reads is on
 * standard output, what a person reads ("Successfully created VM ...") on
 * standard error, errors come without a prefix, starting what runs and stopping
 * what does not is no error.
 */
#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/file.h"
#include "base/table.h"
#include "vm/vm.h"
#include "vm/vm_bundle.h"
#include "vm/vm_qmp.h"
#include "vm/vmadm.h"

static const struct cli_verb verbs[];

static int
say_error(const struct error *err)
{
	fprintf(stderr, "%s\n", error_message(err));
	return CLI_FAILED;
}

__attribute__((format(printf, 2, 3))) static int
usage_error(const char *verb, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return cli_usage_verb(verbs, verb);
}

/* What a verb was given, and what it came to. */
struct call {
	const char *verb;     /* its first name, whatever was typed */
	struct strv operands; /* without the UUID */
	char *uuid;
	struct json *payload;
	struct error err;
};

enum {
	UUID = 1,    /* the first operand is a UUID */
	PAYLOAD = 2, /* JSON from the file of -f, or standard input; not if there are operands */
	ALONE = 4,   /* and nothing else may be given */
	RECOVER = 8, /* something will be changed: clear away first what was left half done */
};

static void
call_done(struct call *c)
{
	strv_done(&c->operands);
	free(c->uuid);
	json_free(c->payload);
	error_done(&c->err);
}

/*
 * Options and operands in any order, as node's option parsers take them:
 * "vmadm stop UUID -F".  0, or an exit status + 1.
 */
static int
parse_args(struct call *c, int argc, char **argv, const struct cli_opt *opts)
{
	for (;;) {
		bool help = false;
		int first = 0;

		if (cli_parse(argc, argv, opts, &first, &help, &c->err) < 0)
			return usage_error(c->verb, "%s", error_message(&c->err)) + 1;
		if (help) {
			cli_usage_verb(verbs, c->verb);
			cli_print_options(stderr, opts);
			return CLI_OK + 1;
		}
		if (first >= argc)
			return 0;
		strv_add(&c->operands, argv[first]);
		argc -= first;
		argv += first;
	}
}

/* The UUID that must come first; it is taken off the operands. */
static int
take_uuid(struct call *c)
{
	if (!c->operands.n || !str_is_uuid(c->operands.v[0]))
		return usage_error(c->verb, "Invalid or missing UUID for %s", c->verb) + 1;
	c->uuid = str_lower(xstrdup(c->operands.v[0]));
	strv_remove(&c->operands, 0);
	return 0;
}

/* The payload; file NULL or "-": from standard input.  0, or an exit status + 1. */
static int
read_payload(struct call *c, const char *file)
{
	const char *verb = c->verb;

	if (!file)
		file = "-";
	if (str_eq(file, "-") && isatty(0))
		return usage_error(verb, "Will not %s from stdin when stdin is a tty.", verb) + 1;
	if (json_read_file(file, &c->payload, &c->err) < 0) {
		if (c->err.code == ENOENT)
			fprintf(stderr, "File: %s does not exist.\n", file);
		else
			fprintf(stderr, "Invalid JSON payload: %s\n", error_message(&c->err));
		return CLI_FAILED + 1;
	}
	if (json_type(c->payload) != JSON_OBJECT) {
		fprintf(stderr, "Invalid JSON payload: it is not an object\n");
		return CLI_FAILED + 1;
	}
	return 0;
}

/* Before anything is changed, what an earlier vmadm left half done is cleared away. */
static void
recover(void)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv done = STRV_INIT;

	if (geteuid() != 0)
		return;
	if (vm_recover(&done, &err) < 0)
		fprintf(stderr, "warning: %s\n", error_message(&err));
	for (size_t i = 0; i < done.n; i++)
		fprintf(stderr, "note: %s\n", done.v[i]);
}

/* Takes apart what a verb was given, as `wants` says.  0, or an exit status + 1. */
static int
begin(struct call *c, const char *verb, int argc, char **argv, unsigned wants,
      const struct cli_opt *opts)
{
	const char *file = NULL;
	const struct cli_opt none[] = {{0}}, with_file[] = {
						     {'f', "file", CLI_STR, &file, "FILE",
						      "payload; standard input if not given"},
						     {0},
					     };
	int r;

	c->verb = verb;
	r = parse_args(c, argc, argv, opts ? opts : wants & PAYLOAD ? with_file : none);
	if (r)
		return r;
	if (wants & UUID && (r = take_uuid(c)) != 0)
		return r;
	if (wants & ALONE && c->operands.n)
		return usage_error(verb, "Invalid argument: %s", c->operands.v[0]) + 1;
	if (wants & PAYLOAD && !c->operands.n && (r = read_payload(c, file)) != 0)
		return r;
	if (wants & RECOVER)
		recover();
	return 0;
}

/* What came of it: the message when r is 0, the error if not.  An exit status. */
__attribute__((format(printf, 3, 4))) static int
finish(struct call *c, int r, const char *fmt, ...)
{
	va_list ap;

	if (r < 0)
		return say_error(&c->err);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return CLI_OK;
}

static int
print_json(const struct json *j)
{
	cleanup_free char *text = json_print(j, true);

	fputs(text, stdout);
	return CLI_OK;
}

/* ---- create, update, validate ----------------------------------------------------- */

static int
verb_create(int argc, char **argv)
{
	struct call c CLEANUP(call_done) = {0};
	int r = begin(&c, "create", argc, argv, PAYLOAD | ALONE | RECOVER, NULL);

	if (r)
		return r - 1;
	r = vm_create(c.payload, &c.uuid, &c.err);
	return finish(&c, r, "Successfully created VM %s", c.uuid);
}

static int
verb_update(int argc, char **argv)
{
	struct call c CLEANUP(call_done) = {0};
	int r = begin(&c, "update", argc, argv, UUID | PAYLOAD, NULL);

	if (r)
		return r - 1;
	if (c.operands.n)
		c.payload = json_new_object();
	for (size_t i = 0; i < c.operands.n; i++)
		if (vm_payload_set_arg(c.payload, c.operands.v[i], &c.err) < 0)
			return usage_error("update", "%s", error_message(&c.err));
	recover();
	r = vm_update(c.uuid, c.payload, &c.err);
	return finish(&c, r, "Successfully updated VM %s", c.uuid);
}

static int
verb_validate(int argc, char **argv)
{
	struct call c CLEANUP(call_done) = {0};
	cleanup_vm_report struct vm_report report = VM_REPORT_INIT;
	const char *file = NULL, *brand_name, *action;
	enum vm_brand brand;
	const struct cli_opt opts[] = {
		{'f', "file", CLI_STR, &file, "FILE", "payload; standard input if not given"},
		{0},
	};
	int r = begin(&c, "validate", argc, argv, 0, opts);

	if (r)
		return r - 1;
	action = c.operands.n ? c.operands.v[0] : "";
	if (!str_eq(action, "create") && !str_eq(action, "update") && !str_eq(action, "receive"))
		return usage_error("validate", "Will not validate without a valid action.");
	if (str_eq(action, "update") && c.operands.n != 2)
		return usage_error("validate",
				   "Will not validate without a valid action and brand.");
	r = read_payload(&c, file);
	if (r)
		return r - 1;
	brand_name =
		c.operands.n > 1 ? c.operands.v[1] : json_str(json_get(c.payload, "brand"), "");
	brand = vm_brand_parse(brand_name);
	if (c.operands.n > 1 && !brand) {
		fprintf(stderr, "Invalid brand: '%s'\n", brand_name);
		return CLI_FAILED;
	}
	{
		cleanup_free char *shown = xstrdup(brand_name);

		vm_payload_check(c.payload, brand,
				 str_eq(action, "update")    ? VM_UPDATE
				 : str_eq(action, "receive") ? VM_RECEIVE
							     : VM_CREATE,
				 &report);
		if (vm_report_ok(&report) && !str_eq(action, "update")) {
			vm_payload_defaults(c.payload, brand);
			vm_payload_follow(c.payload, brand, NULL);
			vm_payload_rules(c.payload, brand, &report);
		}
		if (vm_report_ok(&report)) {
			fprintf(stderr, "VALID '%s' payload for %s brand VMs.\n", action, shown);
			return CLI_OK;
		}
	}
	{
		cleanup_json struct json *j = vm_report_json(&report);
		cleanup_free char *text = json_print(j, true);

		fputs(text, stderr);
	}
	return CLI_FAILED;
}

/* ---- get, list, lookup --------------------------------------------------------------- */

static int
verb_get(int argc, char **argv)
{
	struct call c CLEANUP(call_done) = {0};
	cleanup_json struct json *vm = NULL;
	int r = begin(&c, "get", argc, argv, UUID, NULL);

	if (r)
		return r - 1;
	if (vm_load(c.uuid, VM_LOAD_ALL, &vm, &c.err) < 0)
		return say_error(&c.err);
	return print_json(vm);
}

/* Widths of the columns people look at most; others are as wide as what is in them. */
static const struct {
	const char *name;
	int width;
	enum table_align align;
	bool number;
} known_columns[] = {
	{"uuid", 36, TABLE_LEFT, false},  {"type", 4, TABLE_LEFT, false},
	{"ram", 7, TABLE_LEFT, true},     {"state", 16, TABLE_LEFT, false},
	{"alias", 10, TABLE_LEFT, false}, {"max_physical_memory", 7, TABLE_LEFT, true},
	{"quota", 5, TABLE_LEFT, true},   {"vcpus", 5, TABLE_LEFT, true},
	{"cpu_cap", 7, TABLE_LEFT, true}, {"cpu_shares", 9, TABLE_LEFT, true},
	{"pid", 6, TABLE_LEFT, true},     {"zoneid", 6, TABLE_LEFT, true},
};

static bool
field_known(const char *field)
{
	return vm_field_needs(field) != (unsigned)-1;
}

/* Columns for the fields of -o and -s; names and headers are kept in `keep`. */
static struct table_col *
make_columns(const struct strv *fields, struct strv *keep)
{
	struct table_col *cols = xcalloc(fields->n, sizeof(*cols));

	for (size_t i = 0; i < fields->n; i++) {
		char *upper;

		strv_add(keep, fields->v[i]);
		cols[i].name = keep->v[keep->n - 1];
		strv_add(keep, fields->v[i]);
		upper = keep->v[keep->n - 1];
		for (char *p = upper; *p; p++)
			*p = (char)toupper((unsigned char)*p);
		cols[i].header = upper;
		for (size_t k = 0; k < ARRAY_SIZE(known_columns); k++)
			if (str_eq(known_columns[k].name, cols[i].name)) {
				cols[i].width = known_columns[k].width;
				cols[i].align = known_columns[k].align;
				cols[i].number = known_columns[k].number;
			}
	}
	return cols;
}

static int
add_filters(struct vm_filter *f, const struct strv *operands)
{
	cleanup_error struct error err = ERROR_INIT;

	for (size_t i = 0; i < operands->n; i++)
		if (vm_filter_add(f, operands->v[i], &err) < 0)
			return say_error(&err) + 1;
	return 0;
}

/* fields: all that will be looked at, besides those of the filter; NULL: everything. */
static int
load_matching(const struct vm_filter *f, unsigned needs, const struct strv *fields,
	      struct json **ret)
{
	cleanup_strv struct strv wanted = STRV_INIT;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *all = NULL;
	cleanup_strv struct strv bad = STRV_INIT;
	struct json *list;
	const struct json *vm;

	for (size_t i = 0; fields && i < fields->n; i++)
		strv_add(&wanted, fields->v[i]);
	for (size_t i = 0; fields && i < f->keys.n; i++)
		strv_add(&wanted, f->keys.v[i]);
	if (vm_load_fields(needs | vm_filter_needs(f), fields ? &wanted : NULL, &all, &bad, &err) <
	    0)
		return say_error(&err) + 1;
	for (size_t i = 0; i < bad.n; i++)
		fprintf(stderr, "warning: %s\n", bad.v[i]);
	if (!f->keys.n) {
		*ret = steal_ptr(&all);
		return 0;
	}
	list = json_new_array();
	json_array_each (vm, all)
		if (vm_filter_match(f, vm))
			json_push(list, json_copy(vm));
	*ret = list;
	return 0;
}

static int
verb_list(int argc, char **argv)
{
	struct call c CLEANUP(call_done) = {0};
	cleanup_strv struct strv fields = STRV_INIT, keep = STRV_INIT;
	cleanup_strv struct strv sorts = STRV_INIT;
	cleanup_json struct json *vms = NULL;
	cleanup_table struct table *t = NULL;
	cleanup_free struct table_col *cols = NULL;
	struct vm_filter filter CLEANUP(vm_filter_done) = {0};
	const char *order = "uuid,type,ram,state,alias", *sort = "ram,uuid";
	bool parsable = false, no_header = false;
	const struct json *vm;
	unsigned needs = 0;
	size_t shown;
	const struct cli_opt opts[] = {
		{'p', "parsable", CLI_FLAG, &parsable, NULL, "fields joined by ':', no header"},
		{'H', "no-header", CLI_FLAG, &no_header, NULL, "no header"},
		{'o', "order", CLI_STR, &order, "FIELD,...", "fields to show"},
		{'s', "sort", CLI_STR, &sort, "[+-]FIELD,...", "fields to sort by"},
		{0},
	};
	int r = begin(&c, "list", argc, argv, 0, opts);

	if (r == 0)
		r = add_filters(&filter, &c.operands);
	if (r)
		return r - 1;
	strv_split(&fields, order, ",");
	shown = fields.n;
	strv_split(&sorts, sort, ",");
	for (size_t i = 0; i < sorts.n; i++) {
		const char *name = sorts.v[i] + (*sorts.v[i] == '-' || *sorts.v[i] == '+');

		if (!strv_has(&fields, name))
			strv_add(&fields, name);
	}
	for (size_t i = 0; i < fields.n; i++) {
		if (!field_known(fields.v[i])) {
			fprintf(stderr, "Invalid %s key: \"%s\"\n", i < shown ? "order" : "sort",
				fields.v[i]);
			return CLI_FAILED;
		}
		needs |= vm_field_needs(fields.v[i]);
	}
	cols = make_columns(&fields, &keep);
	t = table_new(cols, fields.n);
	if (table_select(t, order, &c.err) < 0 || table_sort(t, sort, &c.err) < 0)
		return say_error(&c.err);
	if (no_header || parsable)
		table_no_header(t);
	if (parsable)
		table_missing(t, "");
	r = load_matching(&filter, needs, &fields, &vms);
	if (r)
		return r - 1;
	json_array_each (vm, vms) {
		table_row(t);
		for (size_t i = 0; i < fields.n; i++) {
			cleanup_free char *text = vm_field_text(vm, fields.v[i]);

			table_set(t, fields.v[i], str_empty(text) ? NULL : text);
		}
	}
	table_print(t, stdout, parsable ? TABLE_PARSABLE : TABLE_HUMAN);
	return CLI_OK;
}

static struct json *
only_fields(const struct json *vm, const struct strv *fields)
{
	struct json *out = json_new_object();

	for (size_t i = 0; i < fields->n; i++) {
		const struct json *v = vm_field(vm, fields->v[i]);

		if (v)
			json_set(out, fields->v[i], json_copy(v));
	}
	return out;
}

static int
verb_lookup(int argc, char **argv)
{
	struct call c CLEANUP(call_done) = {0};
	cleanup_strv struct strv fields = STRV_INIT;
	cleanup_json struct json *vms = NULL, *out = NULL;
	struct vm_filter filter CLEANUP(vm_filter_done) = {0};
	bool as_json = false, unique = false;
	const char *output = NULL;
	const struct json *vm;
	unsigned needs = 0;
	const struct cli_opt opts[] = {
		{'j', "json", CLI_FLAG, &as_json, NULL, "whole VMs, as JSON"},
		{'1', "unique", CLI_FLAG, &unique, NULL, "fail unless exactly one matches"},
		{'o', "output", CLI_STR, &output, "FIELD,...", "with -j: only these fields"},
		{0},
	};
	int r = begin(&c, "lookup", argc, argv, 0, opts);

	if (r == 0)
		r = add_filters(&filter, &c.operands);
	if (r)
		return r - 1;
	if (output && !as_json) {
		fprintf(stderr, "Cannot specify -o without -j\n");
		return CLI_FAILED;
	}
	if (output)
		strv_split(&fields, output, ",");
	for (size_t i = 0; i < fields.n; i++) {
		if (!field_known(fields.v[i])) {
			fprintf(stderr, "Invalid lookup key: \"%s\"\n", fields.v[i]);
			return CLI_FAILED;
		}
		needs |= vm_field_needs(fields.v[i]);
	}
	if (as_json && !output)
		needs = VM_LOAD_ALL;
	if (!as_json)
		strv_add(&fields, "uuid");
	r = load_matching(&filter, needs, as_json && !output ? NULL : &fields, &vms);
	if (r)
		return r - 1;
	if (unique && json_len(vms) != 1) {
		fprintf(stderr, "Requested unique lookup but found %zu results.\n", json_len(vms));
		return CLI_FAILED;
	}
	if (!as_json) {
		json_array_each (vm, vms)
			printf("%s\n", json_str(json_get(vm, "uuid"), ""));
		return CLI_OK;
	}
	out = json_new_array();
	json_array_each (vm, vms)
		json_push(out, output ? only_fields(vm, &fields) : json_copy(vm));
	return print_json(out);
}

/* ---- life ---------------------------------------------------------------------------- */

/* Starting what runs and stopping what does not is told, and is no error. */
static bool
is_already(const struct call *c, int r)
{
	if (r == -EALREADY)
		say_error(&c->err);
	return r == -EALREADY;
}

static void
start_done(struct vm_start_opts *start)
{
	strv_done(&start->cdroms);
	strv_done(&start->disks);
}

static int
verb_start(int argc, char **argv)
{
	struct call c CLEANUP(call_done) = {0};
	struct vm_start_opts start CLEANUP(start_done) = {0};
	int r = begin(&c, "start", argc, argv, UUID, NULL);

	if (r)
		return r - 1;
	for (size_t i = 0; i < c.operands.n; i++) {
		const char *arg = c.operands.v[i], *v;

		if ((v = str_after(arg, "order=")) != NULL)
			start.boot_order = v;
		else if ((v = str_after(arg, "cdrom=")) != NULL)
			strv_add(&start.cdroms, v);
		else if ((v = str_after(arg, "disk=")) != NULL)
			strv_add(&start.disks, v);
		else
			return usage_error("start", "Invalid argument: %s", arg);
	}
	recover();
	r = vm_start(c.uuid, &start, &c.err);
	return is_already(&c, r) ? CLI_OK : finish(&c, r, "Successfully started VM %s", c.uuid);
}

/* stop and reboot: -F by force, -t seconds to wait. */
static int
stop_or_reboot(const char *verb, int argc, char **argv)
{
	struct call c CLEANUP(call_done) = {0};
	bool force = false;
	int timeout = 0;
	const struct cli_opt opts[] = {
		{'F', "force", CLI_FLAG, &force, NULL, "at once, without asking the guest"},
		{'t', "timeout", CLI_INT, &timeout, "SECONDS", "how long the guest may take"},
		{0},
	};
	int r = begin(&c, verb, argc, argv, UUID | ALONE, opts);

	if (r)
		return r - 1;
	if (timeout < 0)
		return usage_error(verb, "Invalid timeout: %d", timeout);
	r = str_eq(verb, "stop") ? vm_stop(c.uuid, force, (unsigned)timeout, &c.err)
				 : vm_reboot(c.uuid, force, &c.err);
	return is_already(&c, r)
		       ? CLI_OK
		       : finish(&c, r, "Successfully completed %s for VM %s", verb, c.uuid);
}

static int
verb_stop(int argc, char **argv)
{
	return stop_or_reboot("stop", argc, argv);
}

static int
verb_reboot(int argc, char **argv)
{
	return stop_or_reboot("reboot", argc, argv);
}

static int
verb_delete(int argc, char **argv)
{
	struct call c CLEANUP(call_done) = {0};
	int r = begin(&c, "delete", argc, argv, UUID | ALONE | RECOVER, NULL);

	if (r)
		return r - 1;
	if (vm_delete(c.uuid, &c.err) < 0) {
		fprintf(stderr, "Failed to delete VM %s: %s\n", c.uuid, error_message(&c.err));
		return CLI_FAILED;
	}
	return finish(&c, 0, "Successfully deleted VM %s", c.uuid);
}

/* "TERM", "SIGTERM", "15"; 0 if it is none. */
static int
signal_number(const char *text)
{
	int n;

	if (str_to_int(text, &n) == 0)
		return n > 0 && n < NSIG ? n : 0;
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (n = 1; n < NSIG; n++)
		if (sigabbrev_np(n) && strcasecmp(sigabbrev_np(n), text) == 0)
			return n;
	return 0;
}

static int
verb_kill(int argc, char **argv)
{
	struct call c CLEANUP(call_done) = {0};
	const char *name = "TERM";
	cleanup_strv struct strv words = STRV_INIT;
	const struct cli_opt opts[] = {
		{'s', "signal", CLI_STR, &name, "SIGNAL", "name or number; TERM if not given"},
		{0},
	};
	int r, signo;

	/* "-KILL" and "-9" are no options. */
	strv_add(&words, argv[0]);
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-' && argv[i][1] && argv[i][1] != '-' && argv[i][1] != 'h' &&
		    signal_number(argv[i] + 1))
			strv_add(&words, "-s");
		strv_add(&words,
			 strv_has(&words, "-s") && argv[i][0] == '-' && signal_number(argv[i] + 1)
				 ? argv[i] + 1
				 : argv[i]);
	}
	r = begin(&c, "kill", (int)words.n, words.v, UUID, opts);
	if (r)
		return r - 1;
	signo = signal_number(name);
	if (!signo)
		return usage_error("kill", "Invalid signal: %s", name);
	r = vm_kill(c.uuid, signo, &c.err);
	return finish(&c, r, "Successfully sent signal %s to VM %s", sigabbrev_np(signo), c.uuid);
}

/* ---- snapshots -------------------------------------------------------------------------- */

static int
snapshot_verb(const char *verb, int argc, char **argv,
	      int (*run)(const char *, const char *, struct error *), const char *done)
{
	struct call c CLEANUP(call_done) = {0};
	int r = begin(&c, verb, argc, argv, UUID, NULL);

	if (r)
		return r - 1;
	if (c.operands.n != 1)
		return usage_error(verb, "Wrong number of parameters to \"%s\"", verb);
	r = run(c.uuid, c.operands.v[0], &c.err);
	return finish(&c, r, "%s snapshot %s for VM %s", done, c.operands.v[0], c.uuid);
}

static int
verb_create_snapshot(int argc, char **argv)
{
	return snapshot_verb("create-snapshot", argc, argv, vm_snapshot_create, "Created");
}

static int
verb_delete_snapshot(int argc, char **argv)
{
	return snapshot_verb("delete-snapshot", argc, argv, vm_snapshot_delete, "Deleted");
}

static int
verb_rollback_snapshot(int argc, char **argv)
{
	return snapshot_verb("rollback-snapshot", argc, argv, vm_snapshot_rollback, "Rolled back");
}

/* ---- talking to a running VM ---------------------------------------------------------------- */

static int
verb_console(int argc, char **argv)
{
	struct call c CLEANUP(call_done) = {0};
	int r = begin(&c, "console", argc, argv, UUID, NULL);

	if (r)
		return r - 1;
	return vmadm_console(c.uuid, &c.err) < 0 ? say_error(&c.err) : CLI_OK;
}

static int
verb_events(int argc, char **argv)
{
	struct call c CLEANUP(call_done) = {0};
	struct vmadm_events_opts events = {0};
	const struct cli_opt opts[] = {
		{'f', "full", CLI_FLAG, &events.full, NULL, "whole values of what changed"},
		{'j', "json", CLI_FLAG, &events.json, NULL, "one JSON object a line"},
		{'r', "ready", CLI_FLAG, &events.ready, NULL,
		 "begin with an event that all is ready"},
		{0},
	};
	int r = begin(&c, "events", argc, argv, 0, opts);

	if (r == 0 && c.operands.n)
		r = take_uuid(&c);
	if (r)
		return r - 1;
	events.uuid = c.uuid;
	return vmadm_events(&events, &c.err) < 0 ? say_error(&c.err) : CLI_OK;
}

static int
verb_info(int argc, char **argv)
{
	struct call c CLEANUP(call_done) = {0};
	cleanup_strv struct strv types = STRV_INIT;
	cleanup_json struct json *info = NULL;
	int r = begin(&c, "info", argc, argv, UUID, NULL);

	if (r)
		return r - 1;
	for (size_t i = 0; i < c.operands.n; i++)
		strv_words(&types, c.operands.v[i], ",");
	if (vm_info(c.uuid, &types, &info, &c.err) < 0)
		return say_error(&c.err);
	return print_json(info);
}

static int
verb_sysrq(int argc, char **argv)
{
	struct call c CLEANUP(call_done) = {0};
	const char *type;
	int r = begin(&c, "sysrq", argc, argv, UUID, NULL);

	if (r)
		return r - 1;
	if (c.operands.n != 1)
		return usage_error("sysrq", "Wrong number of parameters to \"sysrq\"");
	type = c.operands.v[0];
	if (!str_eq(type, "nmi") && !str_eq(type, "screenshot"))
		return usage_error("sysrq", "Invalid sysrq type: %s", type);
	r = vm_sysrq(c.uuid, type, &c.err);
	return finish(&c, r, "Sent %s sysrq to VM %s", type, c.uuid);
}

/* ---- moving VMs -------------------------------------------------------------------------------
 */

static int
verb_reprovision(int argc, char **argv)
{
	struct call c CLEANUP(call_done) = {0};
	int r = begin(&c, "reprovision", argc, argv, UUID | PAYLOAD | ALONE | RECOVER, NULL);

	if (r)
		return r - 1;
	r = vm_reprovision(c.uuid, c.payload, &c.err);
	return finish(&c, r, "Successfully reprovisioned VM %s", c.uuid);
}

static int
verb_send(int argc, char **argv)
{
	struct call c CLEANUP(call_done) = {0};
	int r = begin(&c, "send", argc, argv, UUID, NULL);

	if (r)
		return r - 1;
	if (isatty(1))
		return usage_error("send", "Will not send to stdout when stdout is a tty.");
	recover();
	r = vm_send(c.uuid, 1, &c.err);
	return finish(&c, r, "Successfully sent VM %s", c.uuid);
}

static int
verb_receive(int argc, char **argv)
{
	struct call c CLEANUP(call_done) = {0};
	cleanup_close int fd = -1;
	const char *file = NULL;
	const struct cli_opt opts[] = {
		{'f', "file", CLI_STR, &file, "FILE", "stream; standard input if not given"},
		{0},
	};
	int r = begin(&c, "receive", argc, argv, ALONE, opts);

	if (r)
		return r - 1;
	if (!file && isatty(0))
		return usage_error("receive", "Will not receive from stdin when stdin is a tty.");
	fd = file && !str_eq(file, "-") ? open(file, O_RDONLY | O_CLOEXEC) : dup(0);
	if (fd < 0) {
		fprintf(stderr, "%s: %s\n", file ? file : "standard input", strerror(errno));
		return CLI_FAILED;
	}
	recover();
	r = vm_receive(fd, &c.uuid, &c.err);
	return finish(&c, r, "Successfully received VM %s", c.uuid);
}

static const struct cli_verb verbs[] = {
	{"console", "UUID", "connect to the VM's console; ^] leaves", verb_console},
	{"create", "[-f FILE]", "make a VM of a JSON payload", verb_create},
	{"create-snapshot", "UUID NAME", "take a snapshot of the VM's root", verb_create_snapshot},
	{"delete|destroy", "UUID", "stop the VM and destroy it", verb_delete},
	{"delete-snapshot", "UUID NAME", "remove a snapshot", verb_delete_snapshot},
	{"events", "[-fjr] [UUID]", "show what happens to VMs, until interrupted", verb_events},
	{"get|json", "UUID", "print the VM as JSON", verb_get},
	{"info", "UUID [TYPE,...]", "ask the monitor of a virtual machine", verb_info},
	{"kill", "[-s SIGNAL | -SIGNAL] UUID", "send a signal to the VM's first process",
	 verb_kill},
	{"list", "[-p] [-H] [-o FIELD,...] [-s FIELD,...] [FIELD=VALUE...]", "list VMs", verb_list},
	{"lookup", "[-j|-1] [-o FIELD,...] [FIELD=VALUE...]", "find VMs", verb_lookup},
	{"reboot", "UUID [-F]", "stop the VM and start it again", verb_reboot},
	{"receive|recv", "[-f FILE]", "make a VM of a stream that was sent", verb_receive},
	{"reprovision", "UUID [-f FILE]", "give the VM a new root of another image",
	 verb_reprovision},
	{"rollback-snapshot", "UUID NAME", "put the VM back to a snapshot", verb_rollback_snapshot},
	{"send", "UUID", "write the VM to standard output", verb_send},
	{"start|boot", "UUID [order=ORDER] [cdrom=PATH,MODEL] [disk=PATH,MODEL]", "start the VM",
	 verb_start},
	{"stop|halt", "UUID [-F] [-t SECONDS]", "stop the VM", verb_stop},
	{"sysrq", "UUID nmi|screenshot", "interrupt a virtual machine, or take its picture",
	 verb_sysrq},
	{"update", "UUID [-f FILE | PROPERTY=VALUE...]", "change the VM", verb_update},
	{"validate", "create|update|receive [BRAND] [-f FILE]", "check a payload", verb_validate},
	{0},
};

int
vmadm_main(int argc, char **argv)
{
	return cli_main(argc, argv, verbs);
}
