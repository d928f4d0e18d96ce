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

/*
 * Options and operands in any order, as node's option parsers take them:
 * "vmadm stop UUID -F".  0, or an exit status + 1.
 */
static int
parse_args(int argc, char **argv, const struct cli_opt *opts, struct strv *operands)
{
	cleanup_error struct error err = ERROR_INIT;
	const char *verb = argv[0];

	for (;;) {
		bool help = false;
		int first = 0;

		if (cli_parse(argc, argv, opts, &first, &help, &err) < 0)
			return usage_error(verb, "%s", error_message(&err)) + 1;
		if (help) {
			cli_usage_verb(verbs, verb);
			cli_print_options(stderr, opts);
			return CLI_OK + 1;
		}
		if (first >= argc)
			return 0;
		strv_add(operands, argv[first]);
		argc -= first;
		argv += first;
	}
}

/* The UUID that must come first; it is taken off the operands. */
static int
take_uuid(const char *verb, struct strv *operands, char **ret)
{
	if (!operands->n || !str_is_uuid(operands->v[0]))
		return usage_error(verb, "Invalid or missing UUID for %s", verb) + 1;
	*ret = str_lower(xstrdup(operands->v[0]));
	strv_remove(operands, 0);
	return 0;
}

/* A payload from -f FILE or standard input. */
static int
read_payload(const char *verb, const char *file, struct json **ret)
{
	cleanup_error struct error err = ERROR_INIT;

	if (!file)
		file = "-";
	if (str_eq(file, "-") && isatty(0))
		return usage_error(verb, "Will not %s from stdin when stdin is a tty.", verb) + 1;
	if (json_read_file(file, ret, &err) < 0) {
		if (err.code == ENOENT)
			fprintf(stderr, "File: %s does not exist.\n", file);
		else
			fprintf(stderr, "Invalid JSON payload: %s\n", error_message(&err));
		return CLI_FAILED + 1;
	}
	if (json_type(*ret) != JSON_OBJECT) {
		fprintf(stderr, "Invalid JSON payload: it is not an object\n");
		json_free(*ret);
		*ret = NULL;
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

/* ---- create, update, validate ----------------------------------------------------- */

static int
verb_create(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv operands = STRV_INIT;
	cleanup_json struct json *payload = NULL;
	cleanup_free char *uuid = NULL;
	const char *file = NULL;
	const struct cli_opt opts[] = {
		{'f', "file", CLI_STR, &file, "FILE", "payload; standard input if not given"},
		{0},
	};
	int r = parse_args(argc, argv, opts, &operands);

	if (r == 0 && operands.n)
		r = usage_error("create", "create takes no operands") + 1;
	if (r == 0)
		r = read_payload("create", file, &payload);
	if (r)
		return r - 1;
	recover();
	if (vm_create(payload, &uuid, &err) < 0)
		return say_error(&err);
	fprintf(stderr, "Successfully created VM %s\n", uuid);
	return CLI_OK;
}

static int
verb_update(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv operands = STRV_INIT;
	cleanup_json struct json *payload = NULL;
	cleanup_free char *uuid = NULL;
	const char *file = NULL;
	const struct cli_opt opts[] = {
		{'f', "file", CLI_STR, &file, "FILE", "payload; standard input if not given"},
		{0},
	};
	int r = parse_args(argc, argv, opts, &operands);

	if (r == 0)
		r = take_uuid("update", &operands, &uuid);
	if (r == 0 && operands.n) {
		payload = json_new_object();
		for (size_t i = 0; i < operands.n; i++)
			if (vm_payload_set_arg(payload, operands.v[i], &err) < 0)
				return usage_error("update", "%s", error_message(&err));
	} else if (r == 0)
		r = read_payload("update", file, &payload);
	if (r)
		return r - 1;
	recover();
	if (vm_update(uuid, payload, &err) < 0)
		return say_error(&err);
	fprintf(stderr, "Successfully updated VM %s\n", uuid);
	return CLI_OK;
}

static int
verb_validate(int argc, char **argv)
{
	cleanup_strv struct strv operands = STRV_INIT;
	cleanup_json struct json *payload = NULL;
	cleanup_vm_report struct vm_report report = VM_REPORT_INIT;
	const char *file = NULL, *brand_name, *action;
	enum vm_brand brand;
	const struct cli_opt opts[] = {
		{'f', "file", CLI_STR, &file, "FILE", "payload; standard input if not given"},
		{0},
	};
	int r = parse_args(argc, argv, opts, &operands);

	if (r)
		return r - 1;
	action = operands.n ? operands.v[0] : "";
	if (!str_eq(action, "create") && !str_eq(action, "update") && !str_eq(action, "receive"))
		return usage_error("validate", "Will not validate without a valid action.");
	if (str_eq(action, "update") && operands.n != 2)
		return usage_error("validate", "Will not validate without a valid action and brand.");
	r = read_payload("validate", file, &payload);
	if (r)
		return r - 1;
	brand_name = operands.n > 1 ? operands.v[1] : json_str(json_get(payload, "brand"), "");
	brand = vm_brand_parse(brand_name);
	if (operands.n > 1 && !brand) {
		fprintf(stderr, "Invalid brand: '%s'\n", brand_name);
		return CLI_FAILED;
	}
	{
		cleanup_free char *shown = xstrdup(brand_name);

		vm_payload_check(payload, brand,
				 str_eq(action, "update")    ? VM_UPDATE
				 : str_eq(action, "receive") ? VM_RECEIVE
							     : VM_CREATE,
				 &report);
		if (vm_report_ok(&report) && !str_eq(action, "update")) {
			vm_payload_defaults(payload, brand);
			vm_payload_follow(payload, brand, NULL);
			vm_payload_rules(payload, brand, &report);
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
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv operands = STRV_INIT;
	cleanup_json struct json *vm = NULL;
	cleanup_free char *uuid = NULL;
	cleanup_free char *text = NULL;
	const struct cli_opt opts[] = {{0}};
	int r = parse_args(argc, argv, opts, &operands);

	if (r == 0)
		r = take_uuid("get", &operands, &uuid);
	if (r)
		return r - 1;
	if (vm_load(uuid, VM_LOAD_ALL, &vm, &err) < 0)
		return say_error(&err);
	text = json_print(vm, true);
	fputs(text, stdout);
	return CLI_OK;
}

/* Widths of the columns people look at most; others are as wide as what is in them. */
static const struct {
	const char *name;
	int width;
	enum table_align align;
	bool number;
} known_columns[] = {
	{"uuid", 36, TABLE_LEFT, false},
	{"type", 4, TABLE_LEFT, false},
	{"ram", 7, TABLE_LEFT, true},
	{"state", 16, TABLE_LEFT, false},
	{"alias", 10, TABLE_LEFT, false},
	{"max_physical_memory", 7, TABLE_LEFT, true},
	{"quota", 5, TABLE_LEFT, true},
	{"vcpus", 5, TABLE_LEFT, true},
	{"cpu_cap", 7, TABLE_LEFT, true},
	{"cpu_shares", 9, TABLE_LEFT, true},
	{"pid", 6, TABLE_LEFT, true},
	{"zoneid", 6, TABLE_LEFT, true},
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
	if (vm_load_fields(needs | vm_filter_needs(f), fields ? &wanted : NULL, &all, &bad, &err) < 0)
		return say_error(&err) + 1;
	for (size_t i = 0; i < bad.n; i++)
		fprintf(stderr, "warning: %s\n", bad.v[i]);
	if (!f->keys.n) {
		*ret = steal_ptr(&all);
		return 0;
	}
	list = json_new_array();
	json_array_each(vm, all)
		if (vm_filter_match(f, vm))
			json_push(list, json_copy(vm));
	*ret = list;
	return 0;
}

static int
verb_list(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv operands = STRV_INIT, fields = STRV_INIT, keep = STRV_INIT;
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
	int r = parse_args(argc, argv, opts, &operands);

	if (r == 0)
		r = add_filters(&filter, &operands);
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
	if (table_select(t, order, &err) < 0 || table_sort(t, sort, &err) < 0)
		return say_error(&err);
	if (no_header || parsable)
		table_no_header(t);
	if (parsable)
		table_missing(t, "");
	r = load_matching(&filter, needs, &fields, &vms);
	if (r)
		return r - 1;
	json_array_each(vm, vms) {
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
	cleanup_strv struct strv operands = STRV_INIT, fields = STRV_INIT;
	cleanup_json struct json *vms = NULL, *out = NULL;
	cleanup_free char *text = NULL;
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
	int r = parse_args(argc, argv, opts, &operands);

	if (r == 0)
		r = add_filters(&filter, &operands);
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
		json_array_each(vm, vms)
			printf("%s\n", json_str(json_get(vm, "uuid"), ""));
		return CLI_OK;
	}
	out = json_new_array();
	json_array_each(vm, vms)
		json_push(out, output ? only_fields(vm, &fields) : json_copy(vm));
	text = json_print(out, true);
	fputs(text, stdout);
	return CLI_OK;
}

/* ---- life ---------------------------------------------------------------------------- */

static int
verb_start(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv operands = STRV_INIT;
	cleanup_free char *uuid = NULL;
	struct vm_start_opts start = {0};
	const struct cli_opt opts[] = {{0}};
	int r = parse_args(argc, argv, opts, &operands), status;

	if (r == 0)
		r = take_uuid("start", &operands, &uuid);
	if (r)
		return r - 1;
	for (size_t i = 0; i < operands.n; i++) {
		const char *v;

		if ((v = str_after(operands.v[i], "order=")) != NULL)
			start.boot_order = v;
		else if ((v = str_after(operands.v[i], "cdrom=")) != NULL)
			strv_add(&start.cdroms, v);
		else if ((v = str_after(operands.v[i], "disk=")) != NULL)
			strv_add(&start.disks, v);
		else {
			strv_done(&start.cdroms);
			strv_done(&start.disks);
			return usage_error("start", "Invalid argument: %s", operands.v[i]);
		}
	}
	recover();
	r = vm_start(uuid, &start, &err);
	strv_done(&start.cdroms);
	strv_done(&start.disks);
	if (r == 0)
		fprintf(stderr, "Successfully started VM %s\n", uuid);
	status = r < 0 ? say_error(&err) : CLI_OK;
	return r == -EALREADY ? CLI_OK : status;
}

/* stop and reboot: -F by force, -t seconds to wait. */
static int
stop_or_reboot(const char *verb, int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv operands = STRV_INIT;
	cleanup_free char *uuid = NULL;
	bool force = false;
	int timeout = 0;
	const struct cli_opt opts[] = {
		{'F', "force", CLI_FLAG, &force, NULL, "at once, without asking the guest"},
		{'t', "timeout", CLI_INT, &timeout, "SECONDS", "how long the guest may take"},
		{0},
	};
	int r = parse_args(argc, argv, opts, &operands), status;

	if (r == 0)
		r = take_uuid(verb, &operands, &uuid);
	if (r == 0 && operands.n)
		r = usage_error(verb, "Invalid argument: %s", operands.v[0]) + 1;
	if (r == 0 && timeout < 0)
		r = usage_error(verb, "Invalid timeout: %d", timeout) + 1;
	if (r)
		return r - 1;
	r = str_eq(verb, "stop") ? vm_stop(uuid, force, (unsigned)timeout, &err)
				 : vm_reboot(uuid, force, &err);
	if (r == 0)
		fprintf(stderr, "Successfully completed %s for VM %s\n", verb, uuid);
	status = r < 0 ? say_error(&err) : CLI_OK;
	return r == -EALREADY ? CLI_OK : status;
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
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv operands = STRV_INIT;
	cleanup_free char *uuid = NULL;
	const struct cli_opt opts[] = {{0}};
	int r = parse_args(argc, argv, opts, &operands);

	if (r == 0)
		r = take_uuid("delete", &operands, &uuid);
	if (r == 0 && operands.n)
		r = usage_error("delete", "Invalid argument: %s", operands.v[0]) + 1;
	if (r)
		return r - 1;
	recover();
	r = vm_delete(uuid, &err);
	if (r < 0) {
		fprintf(stderr, "Failed to delete VM %s: %s\n", uuid, error_message(&err));
		return CLI_FAILED;
	}
	fprintf(stderr, "Successfully deleted VM %s\n", uuid);
	return CLI_OK;
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
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv operands = STRV_INIT;
	cleanup_free char *uuid = NULL;
	const char *name = "TERM";
	struct strv words CLEANUP(strv_done) = STRV_INIT;
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
		strv_add(&words, strv_has(&words, "-s") && argv[i][0] == '-' &&
						 signal_number(argv[i] + 1)
					 ? argv[i] + 1
					 : argv[i]);
	}
	r = parse_args((int)words.n, words.v, opts, &operands);
	if (r == 0)
		r = take_uuid("kill", &operands, &uuid);
	if (r)
		return r - 1;
	signo = signal_number(name);
	if (!signo)
		return usage_error("kill", "Invalid signal: %s", name);
	if (vm_kill(uuid, signo, &err) < 0)
		return say_error(&err);
	fprintf(stderr, "Successfully sent signal %s to VM %s\n", sigabbrev_np(signo), uuid);
	return CLI_OK;
}

/* ---- snapshots -------------------------------------------------------------------------- */

static int
snapshot_verb(int argc, char **argv, int (*run)(const char *, const char *, struct error *),
	      const char *done)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv operands = STRV_INIT;
	cleanup_free char *uuid = NULL;
	const struct cli_opt opts[] = {{0}};
	int r = parse_args(argc, argv, opts, &operands);

	if (r == 0)
		r = take_uuid(argv[0], &operands, &uuid);
	if (r)
		return r - 1;
	if (operands.n != 1)
		return usage_error(argv[0], "Wrong number of parameters to \"%s\"", argv[0]);
	if (run(uuid, operands.v[0], &err) < 0)
		return say_error(&err);
	fprintf(stderr, "%s snapshot %s for VM %s\n", done, operands.v[0], uuid);
	return CLI_OK;
}

static int
verb_create_snapshot(int argc, char **argv)
{
	return snapshot_verb(argc, argv, vm_snapshot_create, "Created");
}

static int
verb_delete_snapshot(int argc, char **argv)
{
	return snapshot_verb(argc, argv, vm_snapshot_delete, "Deleted");
}

static int
verb_rollback_snapshot(int argc, char **argv)
{
	return snapshot_verb(argc, argv, vm_snapshot_rollback, "Rolled back");
}

/* ---- talking to a running VM ---------------------------------------------------------------- */

static int
verb_console(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv operands = STRV_INIT;
	cleanup_free char *uuid = NULL;
	const struct cli_opt opts[] = {{0}};
	int r = parse_args(argc, argv, opts, &operands);

	if (r == 0)
		r = take_uuid("console", &operands, &uuid);
	if (r)
		return r - 1;
	return vmadm_console(uuid, &err) < 0 ? say_error(&err) : CLI_OK;
}

static int
verb_events(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv operands = STRV_INIT;
	cleanup_free char *uuid = NULL;
	struct vmadm_events_opts events = {0};
	const struct cli_opt opts[] = {
		{'f', "full", CLI_FLAG, &events.full, NULL, "whole values of what changed"},
		{'j', "json", CLI_FLAG, &events.json, NULL, "one JSON object a line"},
		{'r', "ready", CLI_FLAG, &events.ready, NULL, "begin with an event that all is ready"},
		{0},
	};
	int r = parse_args(argc, argv, opts, &operands);

	if (r == 0 && operands.n)
		r = take_uuid("events", &operands, &uuid);
	if (r)
		return r - 1;
	events.uuid = uuid;
	return vmadm_events(&events, &err) < 0 ? say_error(&err) : CLI_OK;
}

static int
verb_info(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv operands = STRV_INIT, types = STRV_INIT;
	cleanup_json struct json *info = NULL;
	cleanup_free char *uuid = NULL;
	cleanup_free char *text = NULL;
	const struct cli_opt opts[] = {{0}};
	int r = parse_args(argc, argv, opts, &operands);

	if (r == 0)
		r = take_uuid("info", &operands, &uuid);
	if (r)
		return r - 1;
	for (size_t i = 0; i < operands.n; i++)
		strv_words(&types, operands.v[i], ",");
	if (vm_info(uuid, &types, &info, &err) < 0)
		return say_error(&err);
	text = json_print(info, true);
	fputs(text, stdout);
	return CLI_OK;
}

static int
verb_sysrq(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv operands = STRV_INIT;
	cleanup_free char *uuid = NULL;
	const struct cli_opt opts[] = {{0}};
	int r = parse_args(argc, argv, opts, &operands);

	if (r == 0)
		r = take_uuid("sysrq", &operands, &uuid);
	if (r)
		return r - 1;
	if (operands.n != 1)
		return usage_error("sysrq", "Wrong number of parameters to \"sysrq\"");
	if (!str_eq(operands.v[0], "nmi") && !str_eq(operands.v[0], "screenshot"))
		return usage_error("sysrq", "Invalid sysrq type: %s", operands.v[0]);
	if (vm_sysrq(uuid, operands.v[0], &err) < 0)
		return say_error(&err);
	fprintf(stderr, "Sent %s sysrq to VM %s\n", operands.v[0], uuid);
	return CLI_OK;
}

/* ---- moving VMs ------------------------------------------------------------------------------- */

static int
verb_reprovision(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv operands = STRV_INIT;
	cleanup_json struct json *payload = NULL;
	cleanup_free char *uuid = NULL;
	const char *file = NULL;
	const struct cli_opt opts[] = {
		{'f', "file", CLI_STR, &file, "FILE", "payload; standard input if not given"},
		{0},
	};
	int r = parse_args(argc, argv, opts, &operands);

	if (r == 0)
		r = take_uuid("reprovision", &operands, &uuid);
	if (r == 0)
		r = read_payload("reprovision", file, &payload);
	if (r)
		return r - 1;
	recover();
	if (vm_reprovision(uuid, payload, &err) < 0)
		return say_error(&err);
	fprintf(stderr, "Successfully reprovisioned VM %s\n", uuid);
	return CLI_OK;
}

static int
verb_send(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv operands = STRV_INIT;
	cleanup_free char *uuid = NULL;
	const struct cli_opt opts[] = {{0}};
	int r = parse_args(argc, argv, opts, &operands);

	if (r == 0)
		r = take_uuid("send", &operands, &uuid);
	if (r)
		return r - 1;
	if (isatty(1))
		return usage_error("send", "Will not send to stdout when stdout is a tty.");
	recover();
	if (vm_send(uuid, 1, &err) < 0)
		return say_error(&err);
	fprintf(stderr, "Successfully sent VM %s\n", uuid);
	return CLI_OK;
}

static int
verb_receive(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv operands = STRV_INIT;
	cleanup_free char *uuid = NULL;
	cleanup_close int fd = -1;
	const char *file = NULL;
	const struct cli_opt opts[] = {
		{'f', "file", CLI_STR, &file, "FILE", "stream; standard input if not given"},
		{0},
	};
	int r = parse_args(argc, argv, opts, &operands);

	if (r == 0 && operands.n)
		r = usage_error("receive", "receive takes no operands") + 1;
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
	if (vm_receive(fd, &uuid, &err) < 0)
		return say_error(&err);
	fprintf(stderr, "Successfully received VM %s\n", uuid);
	return CLI_OK;
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
	{"kill", "[-s SIGNAL | -SIGNAL] UUID", "send a signal to the VM's first process", verb_kill},
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
