/*
 * nictagadm(8): names for physical networks.
 */
#include <stdio.h>

#include "base/cli.h"
#include "base/str.h"
#include "net/nictag.h"
#include "net/vnic.h"

static const char *const type_names[] = {
	[NICTAG_NORMAL] = "normal",
	[NICTAG_ETHERSTUB] = "etherstub",
	[NICTAG_AGGR] = "aggr",
};

static int
open_net(struct net **ret)
{
	cleanup_error struct error err = ERROR_INIT;
	int r = net_open(NULL, ret, &err);

	return r < 0 ? cli_error(&err) : CLI_OK;
}

static int
usage(const char *text)
{
	fprintf(stderr, "usage: nictagadm %s\n", text);
	return CLI_USAGE;
}

/* "mtu=9000,mac=0:1:2:3:4:5" */
static int
parse_props(const char *props, uint32_t *mtu, char **mac, struct error *err)
{
	cleanup_strv struct strv words = STRV_INIT;

	strv_words(&words, props ? props : "", ",");
	for (size_t i = 0; i < words.n; i++) {
		const char *v;
		int n;

		if ((v = str_after(words.v[i], "mtu="))) {
			if (str_to_int(v, &n) < 0 || n < 576 || n > 65521)
				return error_set(err, EINVAL, "invalid mtu: %s", v);
			*mtu = (uint32_t)n;
		} else if ((v = str_after(words.v[i], "mac="))) {
			free(*mac);
			*mac = xstrdup(v);
		} else {
			return error_set(err, EINVAL,
					 "invalid property: %s (mtu= and mac= are known)",
					 words.v[i]);
		}
	}
	return 0;
}

static int
change(int argc, char **argv, bool is_new)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_net struct net *n = NULL;
	cleanup_free char *mac = NULL;
	const char *props = NULL;
	bool local = false, help = false;
	uint32_t mtu = 0;
	int first, r;
	const struct cli_opt opts[] = {
		{'l', NULL, CLI_FLAG, &local, NULL, "an etherstub"},
		{'p', NULL, CLI_STR, &props, "PROP=VALUE,...", "mtu, mac"},
		{0},
	};

	if (cli_parse(argc, argv, opts, &first, &help, &err) < 0)
		return cli_error(&err), CLI_USAGE;
	argv += first;
	argc -= first;
	if (help || argc < 1 || argc > 2 || (local && (!is_new || argc > 1)))
		return usage(is_new ? "add [-l] [-p mtu=MTU,mac=MAC] NAME [MAC]"
				    : "update [-p mtu=MTU,mac=MAC] NAME [MAC]");
	if (parse_props(props, &mtu, &mac, &err) < 0)
		return cli_error(&err);
	if (argc == 2) {
		free(mac);
		mac = xstrdup(argv[1]);
	}
	if (is_new && !local && !mac)
		return cli_fail("%s: needs the MAC address of a NIC, or -l for an etherstub",
				argv[0]);
	if (!is_new && !mac && !mtu)
		return cli_fail("%s: nothing to update", argv[0]);
	if (open_net(&n))
		return CLI_FAILED;
	if (local)
		r = nictag_add_etherstub(n, argv[0], &err);
	else if (is_new)
		r = nictag_add(n, argv[0], mac, mtu, &err);
	else
		r = nictag_update(n, argv[0], mac, mtu, &err);
	return r < 0 ? cli_error(&err) : CLI_OK;
}

static int
cmd_add(int argc, char **argv)
{
	return change(argc, argv, true);
}

static int
cmd_update(int argc, char **argv)
{
	return change(argc, argv, false);
}

static int
cmd_delete(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_net struct net *n = NULL;
	bool force = false, help = false;
	int first;
	const struct cli_opt opts[] = {
		{'f', NULL, CLI_FLAG, &force, NULL, "also one that is in use"},
		{0},
	};

	if (cli_parse(argc, argv, opts, &first, &help, &err) < 0)
		return cli_error(&err), CLI_USAGE;
	if (help || argc - first != 1)
		return usage("delete [-f] NAME");
	if (open_net(&n))
		return CLI_FAILED;
	if (nictag_delete(n, argv[first], force, &err) < 0)
		return cli_error(&err);
	return CLI_OK;
}

static int
cmd_exists(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_net struct net *n = NULL;
	bool list = false, help = false;
	int first, status = CLI_OK;
	const struct cli_opt opts[] = {
		{'l', NULL, CLI_FLAG, &list, NULL, "print the missing names alone"},
		{0},
	};

	if (cli_parse(argc, argv, opts, &first, &help, &err) < 0)
		return cli_error(&err), CLI_USAGE;
	if (help || argc - first < 1)
		return usage("exists [-l] NAME...");
	if (open_net(&n))
		return CLI_FAILED;
	for (int i = first; i < argc; i++) {
		cleanup_error struct error e = ERROR_INIT;
		struct nictag t;
		int r = nictag_get(n, argv[i], &t, &e);

		if (r == 0)
			continue;
		status = CLI_FAILED;
		if (r != -ENOENT)
			return cli_error(&e);
		if (list)
			printf("%s\n", argv[i]);
		else
			cli_error(&e);
	}
	return status;
}

static void
print_tag(const struct nictag *t, bool parsable, const char *delim)
{
	char mac[MAC_STRLEN];
	const char *m = t->type == NICTAG_NORMAL ? mac_print(&t->mac, mac) : "-";
	const char *link = t->link[0] ? t->link : "-";

	if (parsable)
		printf("%s%s%s%s%s%s%s\n", t->name, delim, m, delim, link, delim,
		       type_names[t->type]);
	else
		printf("%-14s %-18s %-14s %s\n", t->name, m, link, type_names[t->type]);
}

static int
cmd_list(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_net struct net *n = NULL;
	cleanup_free struct nictag *tags = NULL;
	bool stubs = false, no_stubs = false, parsable = false, help = false;
	const char *delim = ":";
	size_t count;
	int first;
	const struct cli_opt opts[] = {
		{'l', NULL, CLI_FLAG, &stubs, NULL, "etherstubs alone"},
		{'L', NULL, CLI_FLAG, &no_stubs, NULL, "all but etherstubs"},
		{'p', NULL, CLI_FLAG, &parsable, NULL, "for programs: no header, ':' between"},
		{'d', NULL, CLI_STR, &delim, "DELIM", "between fields, with -p"},
		{0},
	};

	if (cli_parse(argc, argv, opts, &first, &help, &err) < 0)
		return cli_error(&err), CLI_USAGE;
	if (help || argc != first || (stubs && no_stubs))
		return usage("list [-l | -L] [-p] [-d DELIM]");
	if (open_net(&n))
		return CLI_FAILED;
	if (nictag_list(n, &tags, &count, &err) < 0)
		return cli_error(&err);
	if (!parsable)
		printf("%-14s %-18s %-14s %s\n", "NAME", "MACADDRESS", "LINK", "TYPE");
	for (size_t i = 0; i < count; i++) {
		bool stub = tags[i].type == NICTAG_ETHERSTUB;

		if ((stubs && !stub) || (no_stubs && stub))
			continue;
		print_tag(&tags[i], parsable, delim);
	}
	return CLI_OK;
}

static int
cmd_vms(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_net struct net *n = NULL;
	struct nictag t;
	struct vnic_info *v;
	const char *last = "";
	size_t count;

	if (argc != 2 || argv[1][0] == '-')
		return usage("vms NAME");
	if (open_net(&n))
		return CLI_FAILED;
	if (nictag_get(n, argv[1], &t, &err) < 0 || vnic_list(n, NULL, &v, &count, &err) < 0)
		return cli_error(&err);
	for (size_t i = 0; i < count; i++) {
		bool uses = str_eq(v[i].nic_tag, t.name) ||
			    (t.type == NICTAG_ETHERSTUB && str_eq(v[i].over, t.name));

		if (uses && !v[i].etherstub && !str_eq(v[i].zone, NET_GLOBAL) &&
		    !str_eq(v[i].zone, last)) {
			printf("%s\n", v[i].zone);
			last = v[i].zone;
		}
	}
	vnic_list_free(v, count);
	return CLI_OK;
}

static const struct cli_verb verbs[] = {
	{"add", "[-l] [-p mtu=MTU,mac=MAC] NAME [MAC]", "name a network", cmd_add},
	{"update", "[-p mtu=MTU,mac=MAC] NAME [MAC]", "point a name at another NIC", cmd_update},
	{"delete", "[-f] NAME", "forget a name", cmd_delete},
	{"exists", "[-l] NAME...", "are there such names?", cmd_exists},
	{"list", "[-l | -L] [-p] [-d DELIM]", "list the names", cmd_list},
	{"vms", "NAME", "the running VMs that use a name", cmd_vms},
	{0},
};

int
main(int argc, char **argv)
{
	return cli_main(argc, argv, verbs);
}
