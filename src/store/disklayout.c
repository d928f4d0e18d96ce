/* disklayout: prints, as JSON, the pool that these disks should become. */
#include <stdio.h>

#include "base/cli.h"
#include "base/file.h"
#include "base/json.h"
#include "store/layout.h"
#include "store/pool.h"

enum { LAYOUT_FATAL = 255 };

static int
fatal(const struct error *err)
{
	fprintf(stderr, "fatal error: %s\n", error_message(err));
	return LAYOUT_FATAL;
}

/* Lines of diskinfo -Hp: TYPE DISK VID PID SIZE RMV SSD. */
static int
read_diskinfo(const char *path, struct disk_list *l, struct error *err)
{
	cleanup_free char *text = NULL;
	cleanup_strv struct strv lines = STRV_INIT;
	int r;

	r = file_read(path, 0, &text, NULL, err);
	if (r < 0)
		return r;
	strv_words(&lines, text, "\n");
	l->disks = xcalloc(lines.n + 1, sizeof(*l->disks));
	for (size_t i = 0; i < lines.n; i++) {
		cleanup_strv struct strv w = STRV_INIT;
		struct disk *d = &l->disks[l->n];

		strv_split(&w, lines.v[i], "\t");
		if (w.n != 7 || str_empty(w.v[1]) || str_to_u64(w.v[4], 10, &d->size) < 0)
			return error_set_path(err, EINVAL, path,
					      "%s: line %zu is not a line of diskinfo -Hp", path,
					      i + 1);
		l->n++;
		d->type = xstrdup(w.v[0]);
		d->name = xstrdup(w.v[1]);
		d->path = w.v[1][0] == '/' ? xstrdup(w.v[1]) : str_printf("/dev/%s", w.v[1]);
		d->vendor = xstrdup(str_eq(w.v[2], "-") ? "" : w.v[2]);
		d->model = xstrdup(str_eq(w.v[3], "-") ? "" : w.v[3]);
		d->removable = str_eq(w.v[5], "yes");
		d->ssd = str_eq(w.v[6], "yes");
	}
	return 0;
}

int
main(int argc, char **argv)
{
	const char *file = NULL, *exclude = NULL;
	struct layout_opts o = {.kind = LAYOUT_AUTO, .spares = -1};
	bool help = false;
	const struct cli_opt opts[] = {
		{'c', NULL, CLI_FLAG, &o.no_cache, NULL, "no cache devices"},
		{'f', NULL, CLI_STR, &file, "FILE", "disks from a file (diskinfo -Hp), not this machine's"},
		{'e', NULL, CLI_STR, &exclude, "DISK,...", "disks to leave alone"},
		{'s', NULL, CLI_INT, &o.spares, "N", "exactly so many spares"},
		{'w', NULL, CLI_INT, &o.width, "N", "disks in one vdev"},
		{0},
	};
	cleanup_disk_list struct disk_list disks = DISK_LIST_INIT;
	cleanup_layout struct layout *l = NULL;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *j = NULL;
	cleanup_free char *text = NULL;
	int first;

	cli_init(argv[0]);
	if (cli_parse(argc, argv, opts, &first, &help, &err) < 0)
		return fatal(&err);
	if (help || argc - first > 1) {
		fprintf(help ? stdout : stderr,
			"usage: disklayout [-c] [-e DISK,...] [-f FILE] [-s SPARES] [-w WIDTH] "
			"[single|mirror|raidz1|raidz2|raidz3]\n");
		cli_print_options(help ? stdout : stderr, opts);
		return help ? CLI_OK : LAYOUT_FATAL;
	}
	if (o.spares < -1 || o.width < 0) {
		error_set(&err, EINVAL, "-s and -w take a number that is not negative");
		return fatal(&err);
	}
	if (exclude)
		strv_words(&o.exclude, exclude, ",");
	if (first < argc && layout_kind_parse(argv[first], &o.kind, &err) < 0)
		return fatal(&err);
	if ((file ? read_diskinfo(file, &disks, &err) : disk_list(&disks, &err)) < 0)
		return fatal(&err);
	if (layout_compute(&disks, &o, &l, &err) < 0)
		return fatal(&err);
	j = layout_json(l);
	text = json_print(j, true);
	fputs(text, stdout);
	strv_done(&o.exclude);
	return CLI_OK;
}
