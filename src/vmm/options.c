/*
 * One row an option: either it sets a key to a fixed value, or a function
 * turns its argument into keys.  Options work left to right; a later one
 * replaces what an earlier one set.
 */
#include "vmm/options.h"

#include "vmm/device.h"
#include "vmm/snapshot.h"

static int
opt_cpus(struct config *c, const char *arg, struct error *err)
{
	static const char *const known[] = {"cpus", "sockets", "cores", "threads", "maxcpus"};
	cleanup_strv struct strv words = STRV_INIT;

	strv_words(&words, arg, ",");
	for (size_t i = 0; i < words.n; i++) {
		char *word = words.v[i], *eq = strchr(word, '=');
		const char *key = eq ? word : "cpus", *value = eq ? eq + 1 : word;
		bool ok = false;
		uint64_t n;

		if (eq)
			*eq = '\0';
		for (size_t k = 0; k < ARRAY_SIZE(known); k++)
			ok = ok || str_eq(known[k], key);
		if (!ok || str_to_u64(value, 10, &n) < 0 || n == 0)
			return error_set(err, EINVAL,
					 "expected [cpus=]N[,sockets=N][,cores=N][,threads=N]");

		TRY(config_set(c, key, value, err));
	}
	return 0;
}

/* No suffix means MiB, for small numbers; "512m" and "2g" say it. */
static int
opt_memory(struct config *c, const char *arg, struct error *err)
{
	size_t len = strlen(arg);
	bool plain = len && strspn(arg, "0123456789") == len;
	uint64_t bytes;

	if (str_to_size(arg, &bytes) < 0 || bytes == 0)
		return error_set(err, EINVAL, "expected a size such as 512, 512M or 4G");
	return config_setf(c, "memory.size", err, "%s%s", arg, plain ? "M" : "");
}

/* -l device,configuration: what sits behind the LPC bridge, and how the guest is booted. */
static const struct {
	const char *name;
	const char *keys[3]; /* one a comma-separated part */
	bool rest;	     /* the last key takes what is left, commas included */
	const char *help;
} lpc_devices[] = {
	{"bootrom", {"lpc.bootrom", "lpc.bootvars"}, false,
	 "ROM[,VARS]     firmware image, and a file that keeps its variables"},
	{"com1", {"lpc.com1.path"}, true,
	 "BACKEND        stdio, /dev/TTY, tcp=ADDR:PORT, socket,PATH[,wait], file,PATH"},
	{"com2", {"lpc.com2.path"}, true, "BACKEND"},
	{"com3", {"lpc.com3.path"}, true, "BACKEND"},
	{"com4", {"lpc.com4.path"}, true, "BACKEND"},
	{"fwcfg", {"lpc.fwcfg"}, false, "qemu           how firmware is told about the machine"},
	{"tpm", {"lpc.tpm.type", "lpc.tpm.path", "lpc.tpm.version"}, false,
	 "swtpm,SOCKET   TPM 2.0 by swtpm; or passthru,DEVICE"},
	{"kernel", {"boot.kernel"}, true, "FILE           boot this Linux kernel without firmware"},
	{"initrd", {"boot.initrd"}, true, "FILE           with this initial RAM disk"},
	{"cmdline", {"boot.cmdline"}, true, "TEXT           and this command line"},
};

static int
opt_lpc(struct config *c, const char *arg, struct error *err)
{
	size_t name_len = strcspn(arg, ",");
	cleanup_strbuf struct strbuf known = STRBUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(lpc_devices); i++) {
		const char *p = arg + name_len;

		strbuf_addf(&known, "%s%s", i ? ", " : "", lpc_devices[i].name);
		if (strlen(lpc_devices[i].name) != name_len ||
		    strncmp(lpc_devices[i].name, arg, name_len) != 0)
			continue;
		if (!*p || !p[1])
			return error_set(err, EINVAL, "expected %.*s,CONFIGURATION", (int)name_len,
					 arg);
		for (unsigned k = 0; *p == ','; k++) {
			if (k == ARRAY_SIZE(lpc_devices[i].keys) || !lpc_devices[i].keys[k])
				return error_set(err, EINVAL, "too many parts: %s", p + 1);

			size_t len = lpc_devices[i].rest ? strlen(p + 1) : strcspn(p + 1, ",");
			cleanup_free char *value = xstrndup(p + 1, len);

			TRY(config_set(c, lpc_devices[i].keys[k], value, err));
			p += 1 + len;
		}
		return 0;
	}
	return error_set(err, EINVAL, "no LPC device \"%.*s\"; there are %s", (int)name_len, arg,
			 known.data);
}

/* -B type,key=value,...: SMBIOS strings. */
static int
opt_smbios(struct config *c, const char *arg, struct error *err)
{
	static const char *const groups[] = {"bios", "system", "board", "chassis"};
	/* "family" and "serial" are also said of the whole machine. */
	static const char *const aliases[][2] = {
		{"product", "product_name"}, {"serial", "serial_number"}, {"family", "family_name"}};
	cleanup_strv struct strv words = STRV_INIT;
	int type;

	strv_words(&words, arg, ",");
	if (words.n < 2 || str_to_int(words.v[0], &type) < 0 || type < 0 || type > 3)
		return error_set(err, EINVAL,
				 "expected TYPE,key=value,...: 0 bios, 1 system, 2 board, 3 chassis");
	for (size_t i = 1; i < words.n; i++) {
		char *eq = strchr(words.v[i], '=');

		if (!eq)
			return error_set(err, EINVAL, "\"%s\": expected key=value", words.v[i]);
		*eq = '\0';

		const char *key = words.v[i];

		for (size_t a = 0; a < ARRAY_SIZE(aliases); a++)
			key = str_eq(aliases[a][0], key) ? aliases[a][1] : key;

		cleanup_free char *path = str_printf("%s.%s", groups[type], key);

		TRY(config_set(c, path, eq + 1, err));
	}
	return 0;
}

static int
opt_uuid(struct config *c, const char *arg, struct error *err)
{
	if (!str_is_uuid(arg))
		return error_set(err, EINVAL, "expected a UUID");
	return config_set(c, "uuid", arg, err);
}

/* [w][address:]port or [w]unix=path */
static int
opt_gdb(struct config *c, const char *arg, struct error *err)
{
	const char *p = arg, *colon;
	uint64_t port;
	int r = 0;

	if (*p == 'w') {
		r = config_set(c, "gdb.wait", "true", err);
		p++;
	}
	if (r == 0 && str_after(p, "unix=/"))
		return config_set(c, "gdb.port", p, err);
	colon = strrchr(p, ':');
	if (colon && r == 0) {
		cleanup_free char *address = xstrndup(p, (size_t)(colon - p));

		r = config_set(c, "gdb.address", address, err);
	}
	p = colon ? colon + 1 : p;
	if (r == 0 && (str_to_u64(p, 10, &port) < 0 || port == 0 || port > 65535))
		return error_set(err, EINVAL, "expected [w][address:]port or [w]unix=/PATH");
	return r < 0 ? r : config_set(c, "gdb.port", p, err);
}

/* name,string=TEXT or name,file=PATH; names hold slashes, so they are values here. */
static int
opt_fwcfg(struct config *c, const char *arg, struct error *err)
{
	const char *comma = strchr(arg, ','), *text = NULL, *kind = "string";
	struct config *list;
	unsigned n = 0;
	int r;

	if (comma && (text = str_after(comma + 1, "string=")))
		kind = "string";
	else if (comma && (text = str_after(comma + 1, "file=")))
		kind = "file";
	if (!text || comma == arg)
		return error_set(err, EINVAL, "expected NAME,string=TEXT or NAME,file=PATH");
	TRY(config_branch(c, "fwcfg", &list, err));
	for (struct config *i = NULL; (i = config_next(list, i));)
		n++;

	cleanup_free char *name_key = str_printf("%u.name", n);
	cleanup_free char *text_key = str_printf("%u.%s", n, kind);
	cleanup_free char *name = xstrndup(arg, (size_t)(comma - arg));

	r = config_set(list, name_key, name, err);
	return r < 0 ? r : config_set(list, text_key, text, err);
}

/* vcpu:hostcpu */
static int
opt_pin(struct config *c, const char *arg, struct error *err)
{
	const char *colon = strchr(arg, ':');
	cleanup_free char *vcpu = xstrndup(arg, colon ? (size_t)(colon - arg) : 0);
	cleanup_free char *key = str_printf("vcpu.%s.cpuset", vcpu);
	int v, host;

	if (!colon || str_to_int(vcpu, &v) < 0 || str_to_int(colon + 1, &host) < 0 || v < 0 ||
	    host < 0)
		return error_set(err, EINVAL, "expected VCPU:HOSTCPU");
	return config_set(c, key, colon + 1, err);
}

static const struct option {
	char letter;
	const char *arg;	 /* its name in the usage text; NULL: none */
	const char *key, *value; /* a fixed setting, or... */
	int (*set)(struct config *, const char *, struct error *);
	const char *help; /* NULL: accepted, without effect here */
} options[] = {
	{'c', "[cpus=]N[,sockets=N][,cores=N][,threads=N]", .set = opt_cpus,
	 .help = "processors"},
	{'m', "SIZE", .set = opt_memory, .help = "memory; without a suffix MiB (256M)"},
	{'s', "[BUS:]SLOT[:FN],DEVICE[,OPTIONS]", .set = pci_parse_slot,
	 .help = "a PCI device; -s help lists them"},
	{'l', "DEVICE[,CONFIGURATION]", .set = opt_lpc,
	 .help = "a serial port, boot ROM or kernel; -l help lists them"},
	{'o', "KEY=VALUE", .set = config_parse, .help = "any key of bhyve_config(5)"},
	{'k', "FILE", .set = config_load, .help = "read keys from FILE"},
	{'U', "UUID", .set = opt_uuid, .help = "the machine's UUID"},
	{'B', "TYPE,KEY=VALUE,...", .set = opt_smbios, .help = "SMBIOS strings"},
	{'f', "NAME,string=TEXT|file=PATH", .set = opt_fwcfg, .help = "a fw_cfg item"},
	{'G', "[w][ADDR:]PORT|[w]unix=PATH", .set = opt_gdb, .help = "wait for a debugger there"},
	{'K', "LAYOUT", .key = "keyboard.layout", .help = "keyboard layout of VNC"},
	{'p', "VCPU:CPU", .set = opt_pin, .help = "run a vcpu on one host CPU"},
	{'r', "FILE|unix=PATH|tcp=ADDR:PORT", .key = "restore",
	 .help = "go on from a snapshot, or take over a guest that migrates"},
	{'C', .key = "memory.guest_in_core", .value = "true",
	 .help = "put guest memory into core dumps"},
	{'D', .key = "destroy_on_poweroff", .value = "true", .help = ""},
	{'S', .key = "memory.wired", .value = "true", .help = "lock guest memory"},
	{'d', .key = "suspend_at_boot", .value = "true", .help = "start paused"},
	{'e', .key = "x86.strictio", .value = "true", .help = "end at an access to no device"},
	{'u', .key = "rtc.use_localtime", .value = "false", .help = "the clock shows UTC"},
	{'w', .key = "x86.strictmsr", .value = "false", .help = "ignore unknown MSRs"},
	{'x', .key = "x86.x2apic", .value = "true", .help = "x2APIC mode (the default but for one vcpu)"},
	{'a', .key = "x86.x2apic", .value = "false", .help = "xAPIC mode only"},
	{'A', .key = "acpi_tables", .value = "true"},
	{'H', .key = "x86.vmexit_on_hlt", .value = "true"},
	{'P', .key = "x86.vmexit_on_pause", .value = "true"},
	{'W', .key = "virtio_msix", .value = "false", .help = "virtio devices without MSI-X"},
	{'Y', .key = "x86.mptable", .value = "false"},
};

static void
usage(FILE *out)
{
	fprintf(out, "usage: bhyve [options] NAME\n");
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option *o = &options[i];

		if (o->help && *o->help)
			fprintf(out, "  -%c %-44s %s\n", o->letter, o->arg ? o->arg : "", o->help);
	}
}

static void
usage_lpc(FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(lpc_devices); i++)
		fprintf(out, "%-10s %s\n", lpc_devices[i].name, lpc_devices[i].help);
}

static const struct option *
find_option(char letter)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (options[i].letter == letter)
			return &options[i];
	}
	return NULL;
}

static int
apply(struct config *c, const struct option *o, const char *arg, struct error *err)
{
	int r = o->set ? o->set(c, arg, err)
		       : config_set(c, o->key, o->value ? o->value : arg, err);

	/* -s and files already say where. */
	if (r < 0 && o->letter != 's' && o->letter != 'k')
		error_wrap(err, r, "-%c%s%s", o->letter, arg ? " " : "", arg ? arg : "");
	return r;
}

/* One word of options: "-H", "-HP", "-m", "512" or "-m512". */
static int
parse_word(int argc, char **argv, int *i, struct config *config, struct error *err)
{
	for (const char *p = argv[*i] + 1; *p; p++) {
		const struct option *o = find_option(*p);
		const char *arg = NULL;

		if (*p == 'h') {
			usage(stdout);
			return OPTIONS_SHOWN;
		}
		if (!o)
			return error_set(err, EINVAL, "unknown option -%c (-h lists them)", *p);
		if (o->arg) {
			arg = p[1] ? p + 1 : *i + 1 < argc ? argv[++*i] : NULL;
			if (!arg)
				return error_set(err, EINVAL, "-%c: expected %s", o->letter, o->arg);
			p = "x"; /* the argument was the rest */
		}
		if ((o->letter == 's' || o->letter == 'l') && str_eq(arg, "help")) {
			if (o->letter == 's')
				pci_list_classes(stdout);
			else
				usage_lpc(stdout);
			return OPTIONS_SHOWN;
		}
		TRY(apply(config, o, arg, err));
	}
	return OPTIONS_RUN;
}

/* A snapshot knows how its machine was made; options given beside it win. */
static int
restored(struct config *config, struct error *err)
{
	const char *path = config_get(config, "restore", NULL);

	return !path || str_after(path, "tcp=") || str_after(path, "unix=") ? 0 : snapshot_config(path, config, err);
}

int
options_parse(int argc, char **argv, struct config *config, struct error *err)
{
	int i = 1, r;

	for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
		if (str_eq(argv[i], "--")) {
			i++;
			break;
		}
		if (str_eq(argv[i], "--help")) {
			usage(stdout);
			return OPTIONS_SHOWN;
		}
		r = parse_word(argc, argv, &i, config, err);
		if (r != OPTIONS_RUN)
			return r;
	}
	if (argc - i > 1)
		return error_set(err, EINVAL, "expected one name, not \"%s\" too", argv[i + 1]);
	if (i < argc) {
		TRY(config_set(config, "name", argv[i], err));
	}
	TRY(restored(config, err));

	const char *name = config_get(config, "name", NULL);

	if (!name)
		return error_set(err, EINVAL, "expected the machine's name (-h lists the options)");
	/* It becomes a part of paths, and of other programs' arguments. */
	if (!*name || *name == '-' || strchr(name, '/'))
		return error_set(err, EINVAL, "name: \"%s\": expected one without a slash", name);
	return config_check(config, err);
}
