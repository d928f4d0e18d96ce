/* zonememstat(8): memory of each zone, from its cgroup. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cli.h"
#include "base/str.h"
#include "base/table.h"
#include "os/cgroup.h"
#include "zone/config.h"
#include "zone/model.h"

static const struct table_col cols[] = {
	{"zone", "ZONE", 36, TABLE_RIGHT, false},   {"rss", "RSS(MB)", 8, TABLE_RIGHT, true},
	{"cap", "CAP(MB)", 8, TABLE_RIGHT, true},   {"nover", "NOVER", 8, TABLE_RIGHT, true},
	{"pout", "POUT(MB)", 8, TABLE_RIGHT, true}, {"swap", "SWAP%", 6, TABLE_RIGHT, true},
};

static uint64_t
number(int fd, const char *file)
{
	cleanup_free char *text = NULL;
	uint64_t n = 0;

	if (cgroup_read(fd, file, &text, NULL) < 0 || str_to_u64(str_trim(text), 10, &n) < 0)
		return 0; /* "max", or a controller that is not on */
	return n;
}

/* -a: the alias too, which vmadm keeps base64-coded */
static char *
label(const struct zone_info *zi, const struct zone_config *c, bool alias)
{
	const char *coded = alias && c ? zone_config_attr(c, "alias") : NULL;
	cleanup_free char *text = NULL;
	size_t len;

	if (coded && str_unbase64(coded, &text, &len) == 0)
		return str_printf("%s %s", zi->name, text);
	return xstrdup(zi->name);
}

static void
add_zone(struct table *t, const struct zone_info *zi, bool alias)
{
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_free char *path = zone_cgroup_path(zi->name);
	cleanup_free char *name = NULL;
	cleanup_close int fd = -1;
	uint64_t cap = 0, swap_cap = 0, over = 0, out = 0, swap;

	if (cgroup_open(path, &fd, NULL) < 0)
		return; /* it went down meanwhile */
	if (zone_config_read(zi->name, &c, NULL) == 0) {
		zone_config_rctl(c, "zone.max-physical-memory", &cap);
		zone_config_rctl(c, "zone.max-swap", &swap_cap);
	}
	name = label(zi, c, alias);
	/* how often it was made to page out, and how much is paged out now */
	if (cgroup_read_key(fd, "memory.events", "high", &over) < 0)
		over = 0;
	swap = number(fd, "memory.swap.current");
	if (cgroup_read_key(fd, "memory.stat", "pswpout", &out) == 0)
		out = out * 4096 >> 20;
	table_row(t);
	table_set(t, "zone", name);
	table_setf(t, "rss", "%" PRIu64, number(fd, "memory.current") >> 20);
	if (cap)
		table_setf(t, "cap", "%" PRIu64, cap >> 20);
	table_setf(t, "nover", "%" PRIu64, over);
	table_setf(t, "pout", "%" PRIu64, out);
	if (swap_cap)
		table_setf(t, "swap", "%.2f", 100.0 * (double)swap / (double)swap_cap);
}

int
main(int argc, char **argv)
{
	bool alias = false, total = false, no_header = false, parsable = false, help = false;
	const char *zone = NULL, *root = NULL;
	const struct cli_opt opts[] = {
		{'a', NULL, CLI_FLAG, &alias, NULL, "with aliases"},
		{'t', NULL, CLI_FLAG, &total, NULL, "with a sum"},
		{'H', NULL, CLI_FLAG, &no_header, NULL, "no header"},
		{'p', NULL, CLI_FLAG, &parsable, NULL, "for programs"},
		{'z', NULL, CLI_STR, &zone, "ZONE", "this zone only"},
		{'R', NULL, CLI_STR, &root, "DIR", NULL},
		{0},
	};
	cleanup_zone_list struct zone_list l = {0};
	cleanup_error struct error err = ERROR_INIT;
	cleanup_table struct table *t = table_new(cols, ARRAY_SIZE(cols));
	uint64_t sum = 0;
	int first;

	cli_init(argv[0]);
	if (cli_parse(argc, argv, opts, &first, &help, &err) < 0 || help || first != argc) {
		if (err.message)
			cli_error(&err);
		return cli_usage_text(help, "zonememstat [-atHp] [-z zone]");
	}
	zone_set_root(root);
	if (zone_list_read(&l, &err) < 0)
		return cli_error(&err);
	if (no_header)
		table_no_header(t);
	for (size_t i = 0; i < l.n; i++) {
		cleanup_free char *path = zone_cgroup_path(l.v[i].name);
		cleanup_close int fd = -1;

		if (l.v[i].state < ZONE_READY || (zone && !str_eq(zone, l.v[i].name)))
			continue;
		add_zone(t, &l.v[i], alias);
		if (cgroup_open(path, &fd, NULL) == 0)
			sum += number(fd, "memory.current") >> 20;
	}
	if (total) {
		table_row(t);
		table_set(t, "zone", "total");
		table_setf(t, "rss", "%" PRIu64, sum);
	}
	table_print(t, stdout, parsable ? TABLE_PARSABLE : TABLE_HUMAN);
	return CLI_OK;
}
