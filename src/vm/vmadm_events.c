/* `vmadm events`: watches for itself; vminfod need not run. */
#include <poll.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "vm/vm.h"
#include "vm/vm_watch.h"
#include "vm/vmadm.h"

static void
print_change(const char *head, const struct json *c)
{
	const char *path = json_str(json_get(c, "prettyPath"), "");
	cleanup_free char *from = json_get(c, "from") ? json_print(json_get(c, "from"), false) : NULL;
	cleanup_free char *to = json_get(c, "to") ? json_print(json_get(c, "to"), false) : NULL;

	printf("%s: %s %s", head, path, json_str(json_get(c, "action"), ""));
	if (from && to)
		printf(" :: %s -> %s", from, to);
	else if (from || to)
		printf(" :: %s", to ? to : from);
	putchar('\n');
}

/* "[10:00:00.123Z] 0d21e0a6 web modify: state changed :: "running" -> "stopped"" */
static void
print_event(const struct json *e, bool full)
{
	const char *date = json_str(json_get(e, "date"), "");
	const char *uuid = json_str(json_get(e, "uuid"), "");
	const char *type = json_str(json_get(e, "type"), "");
	const char *time = strchr(date, 'T');
	cleanup_free char *head = NULL;
	const struct json *c;

	if (str_eq(type, "ready")) {
		printf("[%s] ready: %zu VMs\n", full || !time ? date : time + 1,
		       json_len(json_get(e, "vms")));
		return;
	}
	head = str_printf("[%s] %.*s %s %s", full || !time ? date : time + 1, full ? 36 : 8, uuid,
			  json_str(json_get(e, "alias"), "-"), type);
	if (!json_len(json_get(e, "changes")))
		printf("%s\n", head);
	json_array_each(c, json_get(e, "changes"))
		print_change(head, c);
}

static void
show(struct json *e, const struct vmadm_events_opts *opts)
{
	if (opts->json) {
		cleanup_free char *text = NULL;

		if (!opts->full && !str_eq(json_str(json_get(e, "type"), ""), "ready"))
			json_remove(e, "vm");
		text = json_print(e, false);
		printf("%s\n", text);
	} else
		print_event(e, opts->full);
	fflush(stdout);
}

int
vmadm_events(const struct vmadm_events_opts *opts, struct error *err)
{
	cleanup_vm_watch struct vm_watch *w = NULL;
	int r;

	r = vm_watch_open(&w, err);
	if (r < 0)
		return r;
	if (opts->uuid && !vm_watch_vm(w, opts->uuid))
		return error_set(err, ENOENT, "No such zone configured: %s", opts->uuid);
	if (opts->ready) {
		cleanup_json struct json *e = vm_watch_ready(w);

		show(e, opts);
	}
	for (;;) {
		struct pollfd p = {.fd = vm_watch_fd(w), .events = POLLIN};
		cleanup_json struct json *e = NULL;

		r = vm_watch_next(w, &e, err);
		if (r < 0)
			return r;
		if (r == 0) {
			if (!opts->uuid || str_eq(json_str(json_get(e, "uuid"), NULL), opts->uuid))
				show(e, opts);
			continue;
		}
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return error_set_errno(err, errno, "poll");
	}
}
