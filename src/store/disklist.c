/*
 * disklist, and the two small ones it stands beside, told apart by their name:
 * disk_size DISK (bytes) and removable_disk DISK (exit status 0 yes, 1 no).
 */
#include <stdio.h>

#include "base/cli.h"
#include "store/disk.h"

static void
print_names(const struct disk_list *l, bool removable, bool fixed)
{
	bool first = true;

	for (size_t i = 0; i < l->n; i++) {
		const struct disk *d = &l->disks[i];

		if (d->removable ? !removable : !fixed)
			continue;
		printf("%s%s", first ? "" : " ", d->name);
		first = false;
	}
	printf("\n");
}

static int
disklist(int argc, char **argv, const struct disk_list *l)
{
	bool all = false, fixed = false, removable = false, sizes = false, help = false;
	const struct cli_opt opts[] = {
		{'a', NULL, CLI_FLAG, &all, NULL, "all disks"},
		{'n', NULL, CLI_FLAG, &fixed, NULL, "those that stay"},
		{'r', NULL, CLI_FLAG, &removable, NULL, "those that can be taken out"},
		{'s', NULL, CLI_FLAG, &sizes, NULL, "DISK=BYTES of those that stay"},
		{0},
	};
	cleanup_error struct error err = ERROR_INIT;
	int first;

	if (cli_parse(argc, argv, opts, &first, &help, &err) < 0) {
		cli_error(&err);
		return CLI_USAGE;
	}
	if (help || first < argc || !(all || fixed || removable || sizes)) {
		fprintf(help ? stdout : stderr, "usage: disklist -anrs\n");
		cli_print_options(help ? stdout : stderr, opts);
		return help ? CLI_OK : CLI_USAGE;
	}
	if (all)
		print_names(l, true, true);
	if (fixed)
		print_names(l, false, true);
	if (removable)
		print_names(l, true, false);
	for (size_t i = 0; sizes && i < l->n; i++) {
		if (!l->disks[i].removable)
			printf("%s=%llu\n", l->disks[i].name,
			       (unsigned long long)l->disks[i].size);
	}
	return CLI_OK;
}

int
main(int argc, char **argv)
{
	cleanup_disk_list struct disk_list l = DISK_LIST_INIT;
	cleanup_error struct error err = ERROR_INIT;
	const struct disk *d;

	cli_init(argv[0]);
	if (disk_list(&l, &err) < 0)
		return cli_error(&err);
	if (!str_eq(cli_name(), "disk_size") && !str_eq(cli_name(), "removable_disk"))
		return disklist(argc, argv, &l);
	if (argc != 2 || cli_asks_help(argc, argv))
		return cli_usage_text(cli_asks_help(argc, argv), "%s DISK", cli_name());
	d = disk_find(&l, argv[1]);
	if (!d) {
		cli_fail("%s is not a disk (see disklist -a)", argv[1]);
		return CLI_USAGE; /* 1 would mean "not removable" */
	}
	if (str_eq(cli_name(), "removable_disk"))
		return d->removable ? 0 : 1;
	printf("%llu\n", (unsigned long long)d->size);
	return CLI_OK;
}
