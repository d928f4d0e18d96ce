/* `vmadm console`: the terminal joined with the zone's console. */
#include <unistd.h>

#include "base/cleanup.h"
#include "vm/vm.h"
#include "vm/vm_ops.h"
#include "vm/vmadm.h"
#include "zone/terminal.h"

#define LEAVE 0x1d /* ^] */

int
vmadm_console(const char *uuid, struct error *err)
{
	struct terminal t = TERMINAL_INIT;
	cleanup_json struct json *vm = NULL;
	cleanup_close int fd = -1;
	int r;

	r = vm_load(uuid, 0, &vm, err);
	if (r == 0)
		r = vm_ops->zone_console_open(json_str(json_get(vm, "zonename"), uuid), &fd, err);
	if (r < 0)
		return r;
	if (isatty(0)) {
		t.leave = LEAVE;
		fprintf(stderr, "[Connected to VM %s; ^] leaves]\n", uuid);
	}
	terminal_join(fd, &t);
	return 0;
}
