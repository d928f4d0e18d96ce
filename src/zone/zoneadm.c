/* zoneadm(8): zones listed, booted, halted, installed. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/file.h"
#include "base/str.h"
#include "os/run.h"
#include "store/zfs.h"
#include "zone/brand/brand.h"
#include "zone/config.h"
#include "zone/model.h"

static const char *target; /* -z or -u */

/* ---- list ---- */

struct list_opts {
	bool configured, installed, no_global, parsable, verbose;
};

static int
by_id(const void *a, const void *b)
{
	const struct zone_info *x = a, *y = b;
	int i = x->id > 0 ? x->id : 1 << 20, j = y->id > 0 ? y->id : 1 << 20;

	if (i != j)
		return i < j ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* ':' in a path would end the field. */
static void
print_escaped(const char *s)
{
	for (; *s; s++) {
		if (*s == ':')
			putchar('\\');
		putchar(*s);
	}
}

static void
print_zone(const struct zone_info *z, const struct list_opts *o)
{
	char id[16] = "-";

	if (z->id >= 0)
		snprintf(id, sizeof(id), "%d", z->id);
	if (o->parsable) {
		printf("%s:%s:%s:", id, z->name, zone_state_name(z->state));
		print_escaped(z->path);
		printf(":%s:%s:%s:%d\n", z->uuid, z->brand, z->ip_type, z->did);
	} else if (o->verbose) {
		printf("%4s %-16s %-10s %-30s %-8s %-6s\n", id, z->name, zone_state_name(z->state),
		       z->path, z->brand, z->ip_type);
	} else {
		printf("%s\n", z->name);
	}
}

static bool
wanted(const struct zone_info *z, const struct list_opts *o)
{
	switch (z->state) {
	case ZONE_CONFIGURED:
	case ZONE_INCOMPLETE:
		return o->configured;
	case ZONE_INSTALLED:
		return o->configured || o->installed;
	case ZONE_READY:
	case ZONE_MOUNTED:
	case ZONE_RUNNING:
	case ZONE_SHUTTING_DOWN:
	case ZONE_DOWN:
		return true;
	case ZONE_ABSENT:
		return false;
	}
	return false;
}

static int
cmd_list(int argc, char **argv)
{
	struct list_opts o = {0};
	const struct cli_opt opts[] = {
		{'c', NULL, CLI_FLAG, &o.configured, NULL, "configured zones too"},
		{'i', NULL, CLI_FLAG, &o.installed, NULL, "installed zones too"},
		{'n', NULL, CLI_FLAG, &o.no_global, NULL, "without the global zone"},
		{'p', NULL, CLI_FLAG, &o.parsable, NULL, "for programs"},
		{'v', NULL, CLI_FLAG, &o.verbose, NULL, "with a header"},
		{0},
	};
	static struct zone_info global = {.name = (char *)"global", .state = ZONE_RUNNING,
					  .path = (char *)"/", .brand = (char *)"liveimg",
					  .ip_type = (char *)"shared"};
	cleanup_zone_list struct zone_list l = {0};
	cleanup_error struct error err = ERROR_INIT;
	bool help = false;
	int first;

	if (cli_parse(argc, argv, opts, &first, &help, &err) < 0) {
		cli_error(&err);
		return CLI_USAGE;
	}
	if (help || first != argc || (o.parsable && o.verbose)) {
		fprintf(stderr, "usage: zoneadm [-z zone] list [-cin] [-p | -v]\n");
		return help ? CLI_OK : CLI_USAGE;
	}
	if (zone_list_read(&l, &err) < 0)
		return cli_error(&err);
	qsort(l.v, l.n, sizeof(*l.v), by_id);
	if (o.verbose)
		printf("%4s %-16s %-10s %-30s %-8s %-6s\n", "ID", "NAME", "STATUS", "PATH", "BRAND",
		       "IP");
	if (target) {
		if (str_eq(target, "global")) {
			print_zone(&global, &o);
			return CLI_OK;
		}
		for (size_t i = 0; i < l.n; i++)
			if (str_eq(l.v[i].name, target)) {
				print_zone(&l.v[i], &o);
				return CLI_OK;
			}
		return cli_fail("%s: No such zone configured", target);
	}
	if (!o.no_global)
		print_zone(&global, &o);
	for (size_t i = 0; i < l.n; i++)
		if (wanted(&l.v[i], &o))
			print_zone(&l.v[i], &o);
	return CLI_OK;
}

/* ---- life ---- */

static int
done(int r, struct error *err)
{
	if (r >= 0)
		return CLI_OK;
	return cli_error(err);
}

static int
cmd_boot(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv args = STRV_INIT;
	cleanup_free char *joined = NULL;
	struct zone_boot_opts o = {0};

	for (int i = 1; i < argc; i++)
		if (!str_eq(argv[i], "--") && !str_eq(argv[i], "-f") && !str_eq(argv[i], "-X"))
			strv_add(&args, argv[i]);
	if (args.n) {
		joined = strv_join(&args, " ");
		o.bootargs = joined;
	}
	return done(zone_boot(target, &o, &err), &err);
}

static int
cmd_ready(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	struct zone_boot_opts o = {.ready_only = true};

	return done(zone_boot(target, &o, &err), &err);
}

static int
cmd_halt(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;

	return done(zone_halt(target, &err), &err);
}

static int
cmd_reboot(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;

	return done(zone_reboot(target, &err), &err);
}

static int
cmd_shutdown(int argc, char **argv)
{
	bool reboot = false, help = false;
	int timeout = 0, first;
	const struct cli_opt opts[] = {
		{'r', NULL, CLI_FLAG, &reboot, NULL, "and boot again"},
		{'t', NULL, CLI_INT, &timeout, "SECONDS", "then it is killed"},
		{0},
	};
	cleanup_error struct error err = ERROR_INIT;

	if (cli_parse(argc, argv, opts, &first, &help, &err) < 0 || timeout < 0) {
		cli_error(&err);
		return CLI_USAGE;
	}
	return done(zone_shutdown(target, reboot, (unsigned)timeout, &err), &err);
}

static int
cmd_apply(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;

	return done(zone_apply(target, &err), &err);
}

/* ---- the dataset ---- */

/*
 * One at a time, and not before what a killed one started has ended: its zfs goes on alone, and
 * holds the lock until then.
 */
static int
hold_dataset(struct error *err)
{
	cleanup_free char *dir = zone_path_run(target, NULL);
	cleanup_free char *path = zone_path_run(target, "dataset.lock");
	int lock;
	int r = file_mkdir_p(dir, 0755, err);

	if (r == 0)
		r = file_lock(path, true, &lock, err); /* ends with us */
	if (r == 0)
		run_set_lease(lock);
	return r;
}

static int
check_root(const struct zone_config *c, struct error *err)
{
	const char *path = zone_config_get(c, "zonepath");
	cleanup_free char *root = str_printf("%s/root", path);
	struct stat st;

	if (lstat(path, &st) < 0)
		return error_set_errno(err, errno, "zonepath %s", path);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, ENOTDIR, "zonepath %s is not a directory", path);
	if (str_eq(zone_config_get(c, "brand"), "kvm") ||
	    str_eq(zone_config_get(c, "brand"), "bhyve"))
		return 0;
	if (lstat(root, &st) < 0)
		return error_set_errno(err, errno, "root of the zone %s", root);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, ENOTDIR, "%s is not a directory", root);
	return 0;
}

static int
verify(struct zone_config **ret, struct error *err)
{
	cleanup_zone_config struct zone_config *c = NULL;
	int r;

	r = zone_config_read(target, &c, err);
	if (r == 0)
		r = zone_config_verify(c, err);
	if (r == 0 && !brand_find(zone_config_get(c, "brand")) &&
	    !str_eq(zone_config_get(c, "brand"), "bhyve"))
		r = error_set(err, ENOTSUP, "brand %s is not supported on this node",
			      zone_config_get(c, "brand"));
	if (r == 0)
		*ret = steal_ptr(&c);
	return r;
}

static int
cmd_verify(int argc, char **argv)
{
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_error struct error err = ERROR_INIT;
	enum zone_state s;

	if (verify(&c, &err) < 0 || zone_state_now(target, &s, &err) < 0)
		return cli_error(&err);
	if (s == ZONE_INSTALLED && check_root(c, &err) < 0)
		return cli_error(&err);
	return CLI_OK;
}

/* The dataset that is mounted at the zonepath: its name without the slash. */
static const char *
dataset_of(const struct zone_config *c)
{
	return zone_config_get(c, "zonepath") + 1;
}

static int
install_dataset(const struct zone_config *c, const char *image, int quota, struct error *err)
{
	cleanup_free char *dataset = xstrdup(dataset_of(c));
	cleanup_free char *snapshot = NULL;
	cleanup_free char *limit = str_printf("quota=%dg", quota);
	cleanup_free char *pool = xstrndup(dataset, strcspn(dataset, "/"));
	const char *props[] = {"devices=off", quota > 0 ? limit : NULL, NULL};

	if (!image)
		return zfs_create(dataset, props, 0, err);
	snapshot = str_printf("%s/%s@final", pool, image);
	return zfs_clone(snapshot, dataset, props, 0, err);
}

static int
cmd_install(int argc, char **argv)
{
	const char *image = NULL, *uuid = NULL, *option = NULL;
	bool help = false, created = false;
	int quota = 0, first, r;
	const struct cli_opt opts[] = {
		{'t', NULL, CLI_STR, &image, "IMAGE", "clone of this image"},
		{'q', NULL, CLI_INT, &quota, "GIB", "quota of its dataset"},
		{'U', NULL, CLI_STR, &uuid, "UUID", NULL},
		{'x', NULL, CLI_STR, &option, "nodataset", "its files are there already"},
		{0},
	};
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_error struct error err = ERROR_INIT;

	if (cli_parse(argc, argv, opts, &first, &help, &err) < 0) {
		cli_error(&err);
		return CLI_USAGE;
	}
	if (verify(&c, &err) < 0 || zone_set_incomplete(target, &err) < 0)
		return cli_error(&err);
	r = 0;
	if (!str_eq(option, "nodataset")) {
		r = install_dataset(c, image, quota, &err);
		created = r == 0;
	}
	if (r == 0)
		r = check_root(c, &err);
	if (r == 0)
		r = zone_set_installed(target, &err);
	if (r == 0)
		return CLI_OK;
	cli_error(&err);
	if (created && zfs_destroy(dataset_of(c), 0, &err) < 0)
		cli_error(&err);
	if (zone_set_configured(target, &err) < 0)
		cli_error(&err);
	return CLI_FAILED;
}

static int
destroy_unless_gone(const char *name, unsigned flags, struct error *err)
{
	cleanup_error struct error own = ERROR_INIT;
	int r = zfs_destroy(name, flags, &own);

	if (r == 0 || r == -ENOENT)
		return 0;
	error_move(err, &own);
	return r;
}

/* What a clone that was killed before it had its dataset left of its source. */
static int
destroy_clone_snapshots(const char *dataset, struct error *err)
{
	cleanup_free char *pool = xstrndup(dataset, strcspn(dataset, "/"));
	cleanup_free char *end = str_printf("@clone-%s", target);
	cleanup_zfs_list struct zfs_list l = ZFS_LIST_INIT;
	int r = zfs_list(pool, ZFS_SNAPSHOT, -1, NULL, &l, err);

	for (size_t i = 0; r == 0 && i < l.n; i++)
		if (str_ends(l.ds[i].name, end))
			r = destroy_unless_gone(l.ds[i].name, ZFS_DEFER, err);
	return r;
}

static int
cmd_uninstall(int argc, char **argv)
{
	bool force = false, help = false;
	const char *option = NULL;
	const struct cli_opt opts[] = {
		{'F', NULL, CLI_FLAG, &force, NULL, "do not ask"},
		{'x', NULL, CLI_STR, &option, "nodataset", "leave its files"},
		{0},
	};
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_error struct error err = ERROR_INIT;
	enum zone_state s;
	int first;

	if (cli_parse(argc, argv, opts, &first, &help, &err) < 0) {
		cli_error(&err);
		return CLI_USAGE;
	}
	if (zone_config_read(target, &c, &err) < 0 || zone_state_now(target, &s, &err) < 0)
		return cli_error(&err);
	if (s != ZONE_INSTALLED && s != ZONE_INCOMPLETE)
		return cli_fail("zone %s is %s", target, zone_state_name(s));
	if (!force && !cli_confirm("Are you sure you want to uninstall zone %s (y/[n])? ", target))
		return CLI_FAILED;
	/* a boot whose caller was killed may be on its way */
	if (s == ZONE_INSTALLED &&
	    (zone_quiesce(target, &err) < 0 || zone_set_incomplete(target, &err) < 0))
		return cli_error(&err);
	if (!str_eq(option, "nodataset") &&
	    (destroy_unless_gone(dataset_of(c), ZFS_RECURSIVE | ZFS_FORCE, &err) < 0 ||
	     destroy_clone_snapshots(dataset_of(c), &err) < 0))
		return cli_error(&err);
	return done(zone_set_configured(target, &err), &err);
}

static int
cmd_attach(int argc, char **argv)
{
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_error struct error err = ERROR_INIT;
	bool force = argc > 1 && str_eq(argv[1], "-F");
	enum zone_state s;

	if (verify(&c, &err) < 0 || zone_state_now(target, &s, &err) < 0)
		return cli_error(&err);
	if (s != ZONE_CONFIGURED)
		return cli_fail("zone %s is %s: only a configured zone is attached", target,
				zone_state_name(s));
	if (!force && check_root(c, &err) < 0)
		return cli_error(&err);
	return done(zone_set_installed(target, &err), &err);
}

static int
cmd_detach(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	enum zone_state s;

	if (zone_state_now(target, &s, &err) < 0)
		return cli_error(&err);
	if (s != ZONE_INSTALLED)
		return cli_fail("zone %s is %s: only an installed zone is detached", target,
				zone_state_name(s));
	if (argc > 1 && str_eq(argv[1], "-n"))
		return CLI_OK;
	return done(zone_set_configured(target, &err), &err);
}

static int
cmd_mark(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;

	if (argc != 2 || !str_eq(argv[1], "incomplete")) {
		fprintf(stderr, "usage: zoneadm -z zone mark incomplete\n");
		return CLI_USAGE;
	}
	return done(zone_set_incomplete(target, &err), &err);
}

/* A killed one may have renamed it and not have said so in the configuration: done again, it is finished. */
static int
move_dataset(const char *from, const char *path, struct error *err)
{
	cleanup_zone_list struct zone_list l = {0};
	bool was = false;
	int r = zone_list_read(&l, err);

	for (size_t i = 0; r == 0 && i < l.n; i++)
		if (str_eq(l.v[i].path, path) && !str_eq(l.v[i].name, target))
			return error_set(err, EEXIST, "zonepath %s belongs to zone %s", path, l.v[i].name);
	if (r == 0)
		r = zfs_exists(from, err);
	was = r > 0;
	if (r >= 0)
		r = zfs_exists(path + 1, err);
	if (r < 0)
		return r;
	return r > 0 && !was ? 0 : zfs_rename(from, path + 1, 0, err);
}

static int
cmd_move(int argc, char **argv)
{
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_error struct error err = ERROR_INIT;
	enum zone_state s;

	if (argc != 2 || argv[1][0] != '/') {
		fprintf(stderr, "usage: zoneadm -z zone move zonepath\n");
		return CLI_USAGE;
	}
	if (zone_config_read(target, &c, &err) < 0 || zone_state_now(target, &s, &err) < 0)
		return cli_error(&err);
	if (s != ZONE_INSTALLED)
		return cli_fail("zone %s is %s: only an installed zone is moved", target,
				zone_state_name(s));
	if (move_dataset(dataset_of(c), argv[1], &err) < 0)
		return cli_error(&err);
	zone_config_set(c, "zonepath", argv[1]);
	if (zone_config_write(c, &err) < 0) {
		cli_error(&err);
		return zfs_rename(argv[1] + 1, dataset_of(c), 0, &err) < 0 ? cli_error(&err) :
									     CLI_FAILED;
	}
	return CLI_OK;
}

/* A snapshot of our own goes with its clone; with none, at once. */
static int
clone_dataset(const char *given, const char *from, const char *to, struct error *err)
{
	cleanup_free char *own = given ? NULL : str_printf("%s@clone-%s", from, target);
	int r = 0;

	if (own)
		r = destroy_unless_gone(own, ZFS_DEFER, err);
	if (own && r == 0)
		r = zfs_snapshot(own, false, NULL, err);
	if (r < 0)
		return r;
	r = zfs_clone(own ? own : given, to, ZFS_PROPS("devices=off"), 0, err);
	if (own && r == 0)
		return zfs_destroy(own, ZFS_DEFER, err);
	if (own)
		zfs_destroy(own, 0, NULL); /* the message is the clone's */
	return r;
}

static int
cmd_clone(int argc, char **argv)
{
	cleanup_zone_config struct zone_config *c = NULL, *from = NULL;
	cleanup_error struct error err = ERROR_INIT;
	const char *given = NULL;
	enum zone_state s;
	int i = 1;

	if (argc > 3 && str_eq(argv[1], "-s")) {
		given = argv[2];
		i = 3;
	}
	if (argc != i + 1) {
		fprintf(stderr, "usage: zoneadm -z zone clone [-s snapshot] source\n");
		return CLI_USAGE;
	}
	if (verify(&c, &err) < 0 || zone_config_read(argv[i], &from, &err) < 0 ||
	    zone_state_now(argv[i], &s, &err) < 0)
		return cli_error(&err);
	if (s != ZONE_INSTALLED)
		return cli_fail("zone %s is %s: only an installed zone is cloned", argv[i],
				zone_state_name(s));
	if (zone_set_incomplete(target, &err) < 0)
		return cli_error(&err);
	if (clone_dataset(given, dataset_of(from), dataset_of(c), &err) < 0) {
		cli_error(&err);
		return zone_set_configured(target, &err) < 0 ? cli_error(&err) : CLI_FAILED;
	}
	return done(zone_set_installed(target, &err), &err);
}

static int cmd_help(int argc, char **argv);

static const struct verb {
	const char *name, *args;
	int (*run)(int argc, char **argv);
	enum { NO_ZONE = 1, DATASET } needs;
	const char *summary;
} verbs[] = {
	{"help", "", cmd_help, NO_ZONE, "this text"},
	{"list", "[-cin] [-p | -v]", cmd_list, NO_ZONE, "zones and their states"},
	{"boot", "[-s] [-- boot_arguments]", cmd_boot, 0, "start an installed or ready zone"},
	{"ready", "", cmd_ready, 0, "build it, but do not start its init"},
	{"halt", "", cmd_halt, 0, "end it at once"},
	{"shutdown", "[-r] [-t seconds]", cmd_shutdown, 0, "ask it to end (-r: and boot again)"},
	{"reboot", "", cmd_reboot, 0, "halt and boot"},
	{"apply", "", cmd_apply, 0, "give a running zone its configured limits"},
	{"verify", "", cmd_verify, 0, "check configuration and files"},
	{"install", "[-t image] [-q GiB] [-x nodataset]", cmd_install, DATASET, "make its dataset"},
	{"uninstall", "[-F] [-x nodataset]", cmd_uninstall, DATASET, "destroy its dataset"},
	{"attach", "[-F]", cmd_attach, DATASET, "take files that are there as installed"},
	{"detach", "[-n]", cmd_detach, DATASET, "leave the files and forget they are installed"},
	{"mark", "incomplete", cmd_mark, 0, "as not usable"},
	{"move", "zonepath", cmd_move, DATASET, "rename its dataset"},
	{"clone", "[-s snapshot] source", cmd_clone, DATASET, "install as a clone of another zone"},
};

static int
cmd_help(int argc, char **argv)
{
	FILE *out = argc > 0 ? stdout : stderr;

	fprintf(out, "usage: zoneadm [-R root] [-z zone | -u uuid] subcommand ...\n");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		fprintf(out, "  %-10s %-36s %s\n", verbs[i].name, verbs[i].args, verbs[i].summary);
	return CLI_OK;
}

int
main(int argc, char **argv)
{
	const char *name = NULL, *uuid = NULL, *root = NULL;
	const struct cli_opt opts[] = {
		{'z', NULL, CLI_STR, &name, "ZONE", NULL},
		{'u', NULL, CLI_STR, &uuid, "UUID", NULL},
		{'R', NULL, CLI_STR, &root, "DIR", NULL},
		{0},
	};
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *found = NULL;
	bool help = false;
	int first;

	cli_init(argv[0]);
	signal(SIGPIPE, SIG_IGN);
	if (cli_parse(argc, argv, opts, &first, &help, &err) < 0) {
		cli_error(&err);
		return CLI_USAGE;
	}
	zone_set_root(root);
	if (help)
		return cmd_help(1, argv);
	if (first == argc) {
		cmd_help(0, NULL);
		return CLI_USAGE;
	}
	if (name || uuid) {
		if (str_eq(name, "global"))
			target = "global";
		else if (zone_lookup(name ? name : uuid, &found, &err) < 0)
			return cli_fail("%s: No such zone configured", name ? name : uuid);
		else
			target = found;
	}
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (!str_eq(verbs[i].name, argv[first]))
			continue;
		if (verbs[i].needs != NO_ZONE && (!target || str_eq(target, "global"))) {
			fprintf(stderr, "zoneadm: %s needs a zone: zoneadm -z zone %s %s\n",
				verbs[i].name, verbs[i].name, verbs[i].args);
			return CLI_USAGE;
		}
		if (verbs[i].needs == DATASET && hold_dataset(&err) < 0)
			return cli_error(&err);
		return verbs[i].run(argc - first, argv + first);
	}
	fprintf(stderr, "zoneadm: no subcommand %s\n", argv[first]);
	cmd_help(0, NULL);
	return CLI_USAGE;
}
