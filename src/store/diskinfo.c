/* diskinfo: what disks there are.  -Hp output is what disklayout -f reads. */
#include <stdio.h>

#include "base/cli.h"
#include "base/table.h"
#include "store/disk.h"

enum form { FORM_PLAIN, FORM_COMPACT, FORM_PHYSICAL };

static const struct table_col cols[] = {
	{"type", "TYPE", 6},	 {"disk", "DISK", 22},	 {"vid", "VID", 8},
	{"pid", "PID", 16},	 {"serial", "SERIAL", 20}, {"size", "SIZE", 13, TABLE_RIGHT},
	{"rmv", "RMV", 3},	 {"ssd", "SSD", 3},	 {"flrs", "FLRS", 4},
	{"flt", "FLT", 3},	 {"loc", "LOC", 3},	 {"location", "LOCATION", 8},
};
static const char *const fields[] = {
	[FORM_PLAIN] = "type,disk,vid,pid,size,rmv,ssd",
	[FORM_COMPACT] = "type,disk,vid,pid,size,flrs,location",
	[FORM_PHYSICAL] = "disk,vid,pid,serial,flt,loc,location",
};

/* In the parsable form every column stands, so an unknown one is "-". */
static void
set(struct table *t, const char *field, const char *value)
{
	table_set(t, field, str_empty(value) ? "-" : value);
}

static void
add_row(struct table *t, const struct disk *d, bool parsable)
{
	char human[16], flrs[5] = "----";

	table_row(t);
	set(t, "type", d->type);
	set(t, "disk", d->name);
	set(t, "vid", d->vendor);
	set(t, "pid", d->model);
	set(t, "serial", d->serial);
	if (parsable)
		table_setf(t, "size", "%llu", (unsigned long long)d->size);
	else
		table_set(t, "size", str_human_size(d->size, human));
	set(t, "rmv", d->removable ? "yes" : "no");
	set(t, "ssd", d->ssd ? "yes" : "no");
	/* Fault and locate lights need enclosure services, which say nothing here. */
	if (d->removable)
		flrs[2] = 'R';
	if (d->ssd)
		flrs[3] = 'S';
	set(t, "flrs", flrs);
	set(t, "flt", "-");
	set(t, "loc", "-");
	set(t, "location", "-");
}

int
main(int argc, char **argv)
{
	bool scripted = false, parsable = false, compact = false, physical = false, help = false;
	const struct cli_opt opts[] = {
		{'H', NULL, CLI_FLAG, &scripted, NULL, "no header, columns separated by one tab"},
		{'p', NULL, CLI_FLAG, &parsable, NULL, "exact sizes, in bytes"},
		{'c', NULL, CLI_FLAG, &compact, NULL, "compact: flags in one column"},
		{'P', NULL, CLI_FLAG, &physical, NULL, "physical: serial number and location"},
		{0},
	};
	cleanup_disk_list struct disk_list disks = DISK_LIST_INIT;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_table struct table *t = NULL;
	int first;

	cli_init(argv[0]);
	if (cli_parse(argc, argv, opts, &first, &help, &err) < 0) {
		cli_error(&err);
		return CLI_USAGE;
	}
	if (help || first < argc || (compact && physical)) {
		fprintf(help ? stdout : stderr, "usage: diskinfo [-Hp] [-c | -P]\n");
		cli_print_options(help ? stdout : stderr, opts);
		return help ? CLI_OK : CLI_USAGE;
	}
	if (disk_list(&disks, &err) < 0)
		return cli_error(&err);
	t = table_new(cols, ARRAY_SIZE(cols));
	table_select(t, fields[compact ? FORM_COMPACT : physical ? FORM_PHYSICAL : FORM_PLAIN],
		     NULL);
	for (size_t i = 0; i < disks.n; i++)
		add_row(t, &disks.disks[i], parsable);
	if (scripted) {
		table_no_header(t);
		table_delimiter(t, "\t");
	}
	table_print(t, stdout, scripted ? TABLE_PARSABLE : TABLE_HUMAN);
	return CLI_OK;
}
