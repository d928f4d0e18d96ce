/*
 * Start and refresh method of svc:/system/smartdc/config: what /usbkey says
 * about the node that is not its network.  Each part stands alone: one that
 * fails is said, and the rest is done, so that a bad line never keeps an
 * operator from logging in.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/file.h"
#include "boot/boot_params.h"
#include "boot/method.h"
#include "boot/resolv.h"
#include "boot/shadow.h"
#include "boot/system_pool.h"
#include "os/ip.h"
#include "os/run.h"

#define IMAGE_SHADOW "/run/atoll/shadow.image" /* as it came with the image */
#define INC_DIR USBKEY "/config.inc"

struct node {
	struct conf *config; /* never NULL; empty without /usbkey/config */
	struct map *params;
};

static const char *
setting(const struct node *n, const char *key)
{
	const char *v = conf_get(n->config, key);

	return str_empty(v) ? NULL : v;
}

/* A file below /usbkey/config.inc: no way out of it. */
static char *
inc_path(const char *name)
{
	return strchr(name, '/') || *name == '.' ? NULL : str_printf(INC_DIR "/%s", name);
}

/* --- root's password */

static int
set_passwords(const struct node *n, struct error *err)
{
	const char *hash = NULL;
	cleanup_free char *image = NULL, *saved = NULL, *merged = NULL;
	int r;

	if (!file_exists(IMAGE_SHADOW)) {
		r = file_read("/etc/shadow", 0, &image, NULL, err);
		if (r == 0)
			r = file_write_atomic(IMAGE_SHADOW, image, strlen(image), 0600, err);
	} else {
		r = file_read(IMAGE_SHADOW, 0, &image, NULL, err);
	}
	if (r < 0)
		return r;
	r = file_read(USBKEY "/shadow", 1 << 20, &saved, NULL, err);
	if (r < 0 && r != -ENOENT)
		return r;
	if (!saved)
		hash = boot_param(n->params, "root_shadow");
	if (!saved && !hash)
		hash = setting(n, "root_shadow");
	if (hash) {
		r = shadow_check_hash(hash, err);
		if (r < 0)
			return error_wrap(err, r, "root_shadow");
	}
	merged = shadow_merge(image, saved, hash);
	return file_write_atomic("/etc/shadow", merged, strlen(merged), 0600, err);
}

static int
set_authorized_keys(const struct node *n, struct error *err)
{
	const char *name = setting(n, "root_authorized_keys_file");
	cleanup_free char *path = inc_path(name ? name : "authorized_keys");
	cleanup_free char *text = NULL;
	int r;

	if (!path)
		return error_set(err, EINVAL, "root_authorized_keys_file: \"%s\" is no file's name", name);
	r = file_read(path, 1 << 20, &text, NULL, err);
	if (r == -ENOENT && !name)
		return 0;
	if (r < 0)
		return r;
	/* No key here: what an extra initrd brought stays. */
	if (text[strspn(text, " \t\r\n")] == '\0')
		return 0;
	r = file_mkdir_p("/root/.ssh", 0700, err);
	return r < 0 ? r : file_write_atomic("/root/.ssh/authorized_keys", text, strlen(text), 0600, err);
}

/* --- names */

static bool
is_hostname(const char *s)
{
	size_t len = strlen(s);

	return len > 0 && len <= 64 && *s != '-' && *s != '.' &&
	       s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")] == '\0';
}

/* What a DHCP server calls us, if one does. */
static char *
hostname_of_lease(void)
{
	DIR *d = opendir(NET_LEASE_DIR);
	struct dirent *e;
	char *name = NULL;

	while (d && !name && (e = readdir(d)) != NULL) {
		cleanup_free char *path = str_printf("%s/%s", NET_LEASE_DIR, e->d_name);
		cleanup_conf struct conf *lease = NULL;

		if (e->d_name[0] != '.' && conf_read_file(path, &lease, NULL, NULL) == 0)
			name = xstrdup(conf_get(lease, "hostname"));
	}
	if (d)
		closedir(d);
	return name;
}

static int
set_hostname(const struct node *n, struct error *err)
{
	const char *name = setting(n, "hostname");
	cleanup_free char *leased = NULL, *hosts = NULL, *nodename = NULL;
	int r;

	if (!name)
		name = boot_param(n->params, "hostname");
	if (str_empty(name))
		name = leased = hostname_of_lease();
	if (!name)
		name = "atoll";
	if (!is_hostname(name))
		return error_set(err, EINVAL, "\"%s\" is no host name", name);
	if (sethostname(name, strlen(name)) < 0)
		return error_set_errno(err, errno, "sethostname %s", name);
	nodename = str_printf("%s\n", name);
	hosts = str_printf("127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.1.1\t%s\n", name);
	r = file_write_atomic("/etc/nodename", nodename, strlen(nodename), 0644, err);
	if (r == 0)
		r = file_write_atomic("/etc/hostname", nodename, strlen(nodename), 0644, err);
	return r < 0 ? r : file_write_atomic("/etc/hosts", hosts, strlen(hosts), 0644, err);
}

/* --- time */

static int
set_ntp(const struct node *n, struct error *err)
{
	static const char rest[] = "driftfile /var/lib/chrony/drift\nmakestep 1 3\nrtcsync\n"
				   "cmdport 0\nuser root\n";
	const char *hosts = setting(n, "ntp_hosts"), *file = setting(n, "ntp_conf_file");
	cleanup_strv struct strv words = STRV_INIT;
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	int r;

	if (file) {
		cleanup_free char *path = inc_path(file), *text = NULL;

		if (!path)
			return error_set(err, EINVAL, "ntp_conf_file: \"%s\" is no file's name", file);
		r = file_read(path, 1 << 20, &text, NULL, err);
		return r < 0 ? r
			     : file_write_atomic("/etc/chrony/chrony.conf", text, strlen(text), 0644, err);
	}
	if (hosts && !str_eq(hosts, "none"))
		strv_words(&words, hosts, ", ");
	for (size_t i = 0; i < words.n; i++) {
		struct ip_addr a;

		if (!is_hostname(words.v[i]) && ip_parse(words.v[i], &a) < 0)
			return error_set(err, EINVAL, "ntp_hosts: \"%s\" is no host", words.v[i]);
		strbuf_addf(&b, "%s %s iburst\n", strstr(words.v[i], "pool.") ? "pool" : "server",
			    words.v[i]);
	}
	strbuf_adds(&b, rest);
	r = file_mkdir_p("/etc/chrony", 0755, err);
	return r < 0 ? r : file_write_atomic("/etc/chrony/chrony.conf", b.data, b.len, 0644, err);
}

/* --- keyboard and processors */

static int
set_keymap(const struct node *n, struct error *err)
{
	const char *map = setting(n, "default_keymap");
	cleanup_free char *path = NULL, *text = NULL;
	size_t len;
	int r;

	if (!map || str_eq(map, "us"))
		return 0;
	if (!is_hostname(map))
		return error_set(err, EINVAL, "default_keymap: \"%s\" is no keymap's name", map);
	path = str_printf("/usr/share/atoll/keymaps/%s.bmap", map);
	r = file_read(path, 1 << 20, &text, &len, err);
	if (r == -ENOENT)
		return error_set(err, ENOENT, "default_keymap: this image has no keymap %s", map);
	if (r < 0)
		return r;
	return run_feed((const char *const[]){"busybox", "loadkmap", NULL}, text, len, NULL, NULL, err);
}

static int
set_smt(const struct node *n, struct error *err)
{
	const char *control = "/sys/devices/system/cpu/smt/control";
	const char *want = setting(n, "smt_enabled");
	cleanup_free char *now = NULL;

	if (!want || !str_eq(want, "false") || !file_exists(control))
		return 0;
	if (file_read_line(control, &now, err) == 0 && !str_eq(now, "on"))
		return 0;
	return file_write(control, "off", err);
}

/* Its answer is kept for everybody who asks during this boot. */
static int
make_sysinfo(const struct node *n, struct error *err)
{
	return RUN(err, "sysinfo", "-u");
}

static const struct {
	const char *what;
	int (*run)(const struct node *n, struct error *err);
} parts[] = {
	{"host name", set_hostname},
	{"root's password", set_passwords},
	{"root's authorized keys", set_authorized_keys},
	{"NTP", set_ntp},
	{"keyboard", set_keymap},
	{"hyper-threading", set_smt},
	{"sysinfo", make_sysinfo},
};

int
main(int argc, char **argv)
{
	cleanup_strv struct strv problems = STRV_INIT;
	cleanup_conf struct conf *config = NULL;
	cleanup_map struct map *params = NULL;
	cleanup_error struct error err = ERROR_INIT;
	struct node node;

	method_init("smartdc/config");
	if (boot_params_read(&params, &err) < 0)
		return method_fail(&err, "boot parameters");
	if (file_exists(USBKEY_CONFIG) && conf_read_file(USBKEY_CONFIG, &config, &problems, &err) < 0)
		method_say("%s", error_message(&err));
	for (size_t i = 0; i < problems.n; i++)
		method_log("%s", problems.v[i]);
	if (!config)
		config = conf_new();
	node = (struct node){config, params};
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (parts[i].run(&node, &err) < 0) {
			method_say("%s: %s", parts[i].what, error_message(&err));
			error_done(&err);
		}
	return SMF_EXIT_OK;
}
