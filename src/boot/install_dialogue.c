/* The installer's questions.  See install.h. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/conf.h"
#include "base/table.h"
#include "boot/install.h"
#include "boot/shadow.h"

#define MIN_PASSWORD 6

enum {
	Q_SECRET = 1,	 /* typed twice, without echo */
	Q_FILE_ONLY = 2, /* answers.json may say it; nobody is asked */
	Q_YES_NO = 4,
};

struct question {
	const char *key;
	const char *prompt;
	const char *intro; /* what an operator should know; skip_instructions leaves it out */
	unsigned flags;
	bool (*applies)(const struct install *in);		      /* NULL: always */
	char *(*fallback)(const struct install *in);		      /* NULL: none */
	/* 0 and the value as it will be kept, or what is wrong with it. */
	int (*check)(struct install *in, const char *value, char **ret, struct error *err);
	void (*show)(struct install *in);			      /* before it is asked; may be NULL */
};

void
install_init(struct install *in, const struct install_env *env, struct install_term *term)
{
	*in = (struct install){.env = env, .term = term, .answers = map_new(free),
			       .file = map_new(free)};
}

void
install_done(struct install *in)
{
	map_free(in->answers);
	map_free(in->file);
	layout_free(in->layout);
	*in = (struct install){0};
}

const char *
install_answer(const struct install *in, const char *key)
{
	return map_get(in->answers, key);
}

static void __attribute__((format(printf, 2, 3)))
out(struct install *in, const char *fmt, ...)
{
	cleanup_free char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = str_vprintf(fmt, ap);
	va_end(ap);
	in->term->write(in->term, text);
}

/* --- checks */

/* The NIC that value names, n_links if there is none. */
static size_t
find_link(const struct install_env *env, const char *value)
{
	struct mac_addr mac;
	bool is_mac = mac_parse(value, &mac) == 0;

	for (size_t i = 0; i < env->n_links; i++)
		if (str_eq(env->links[i].name, value) || (is_mac && mac_equal(&mac, &env->links[i].mac)))
			return i;
	return env->n_links;
}

/* The first with a carrier; the first at all if none has one. */
static size_t
auto_link(const struct install_env *env)
{
	for (size_t i = 0; i < env->n_links; i++)
		if (env->carrier[i])
			return i;
	return 0;
}

static int
check_mac(struct install *in, const char *value, char **ret, struct error *err)
{
	const struct install_env *env = in->env;
	size_t i = str_eq(value, "auto") ? auto_link(env) : find_link(env, value);
	char text[MAC_STRLEN];

	if (i >= env->n_links)
		return error_set(err, EINVAL, "\"%s\" is none of this machine's NICs", value);
	*ret = xstrdup(mac_print(&env->links[i].mac, text));
	return 0;
}

static int
check_unicast(const char *value, struct ip_addr *ret, struct error *err)
{
	if (ip_parse(value, ret) < 0 || ret->family != AF_INET || strchr(value, '/'))
		return error_set(err, EINVAL, "\"%s\" is no IPv4 address", value);
	if (ret->b[0] == 0 || ret->b[0] == 127 || ret->b[0] >= 224)
		return error_set(err, EINVAL, "%s is no address a host can have", value);
	return 0;
}

static int
check_ip(struct install *in, const char *value, char **ret, struct error *err)
{
	struct ip_addr a;
	int r = str_eq(value, "dhcp") ? 0 : check_unicast(value, &a, err);

	if (r == 0)
		*ret = xstrdup(value);
	return r;
}

static int
check_netmask(struct install *in, const char *value, char **ret, struct error *err)
{
	char text[IP_STRLEN];
	struct ip_addr a, net;
	uint8_t bits;

	if (ip_parse_netmask(value, &bits) < 0 || bits < 1 || bits > 31)
		return error_set(err, EINVAL, "\"%s\" is no netmask", value);
	if (bits < 31 && ip_parse(install_answer(in, "admin_ip"), &a) == 0) {
		net = a;
		net.prefix = bits;
		ip_mask(&net);
		if (ip_same(&a, &net))
			return error_set(err, EINVAL, "with netmask %s, %s is the network itself", value,
					 install_answer(in, "admin_ip"));
	}
	*ret = xstrdup(ip_print_netmask(bits, text));
	return 0;
}

static bool
own_network(const struct install *in, struct ip_addr *ret)
{
	const char *ip = install_answer(in, "admin_ip"), *mask = install_answer(in, "admin_netmask");
	uint8_t bits;

	if (!ip || !mask || ip_parse(ip, ret) < 0 || ip_parse_netmask(mask, &bits) < 0)
		return false;
	ret->prefix = bits;
	ip_mask(ret);
	return true;
}

static int
check_gateway(struct install *in, const char *value, char **ret, struct error *err)
{
	struct ip_addr a, net;
	int r;

	if (!str_eq(value, "none")) {
		r = check_unicast(value, &a, err);
		if (r < 0)
			return r;
		if (str_eq(value, install_answer(in, "admin_ip")))
			return error_set(err, EINVAL, "%s is this node itself", value);
		if (own_network(in, &net) && !ip_in(&a, &net))
			return error_set(err, EINVAL, "%s is not in the network of %s/%u", value,
					 install_answer(in, "admin_ip"), net.prefix);
	}
	*ret = xstrdup(value);
	return 0;
}

static int
check_resolver(struct install *in, const char *value, char **ret, struct error *err)
{
	struct ip_addr a;

	if (!str_eq(value, "none") && (ip_parse(value, &a) < 0 || strchr(value, '/') ||
				       ip_is_any(&a) || ip_is_multicast(&a)))
		return error_set(err, EINVAL, "\"%s\" is no address", value);
	*ret = xstrdup(value);
	return 0;
}

/* One label or more, of letters, digits and inner '-'. */
static bool
is_domain(const char *s)
{
	size_t label = 0, len = strlen(s);

	if (len == 0 || len > 253)
		return false;
	for (; *s; s++) {
		if (*s == '.') {
			if (label == 0 || s[-1] == '-')
				return false;
			label = 0;
		} else if (!(isascii(*s) && isalnum((unsigned char)*s)) && !(*s == '-' && label)) {
			return false;
		} else if (++label > 63) {
			return false;
		}
	}
	return label > 0 && s[-1] != '-';
}

static int
check_domain(struct install *in, const char *value, char **ret, struct error *err)
{
	if (!str_eq(value, "none") && !is_domain(value))
		return error_set(err, EINVAL, "\"%s\" is no domain", value);
	*ret = xstrdup(value);
	return 0;
}

static int
check_ntp(struct install *in, const char *value, char **ret, struct error *err)
{
	cleanup_strv struct strv words = STRV_INIT;
	struct ip_addr a;

	strv_words(&words, value, ", ");
	for (size_t i = 0; i < words.n; i++)
		if (!is_domain(words.v[i]) && (ip_parse(words.v[i], &a) < 0 || strchr(words.v[i], '/')))
			return error_set(err, EINVAL, "\"%s\" is neither a host nor an address",
					 words.v[i]);
	*ret = strv_join(&words, ",");
	return 0;
}

static int
check_hostname(struct install *in, const char *value, char **ret, struct error *err)
{
	struct ip_addr a;

	if (!is_domain(value) || strlen(value) > 64 || ip_parse(value, &a) == 0)
		return error_set(err, EINVAL, "\"%s\" is no host name", value);
	*ret = xstrdup(value);
	return 0;
}

static int
check_password(struct install *in, const char *value, char **ret, struct error *err)
{
	if (strlen(value) < MIN_PASSWORD)
		return error_set(err, EINVAL, "a password has at least %d characters", MIN_PASSWORD);
	return shadow_hash(value, ret, err);
}

static int
check_shadow(struct install *in, const char *value, char **ret, struct error *err)
{
	int r = shadow_check_hash(value, err);

	if (r == 0)
		*ret = xstrdup(value);
	return r;
}

static int
check_layout(struct install *in, const char *value, char **ret, struct error *err)
{
	struct layout_opts opts = {.spares = -1};
	struct layout *l = NULL;
	int r = 0;

	if (str_eq(value, "manual")) {
		if (!in->term->shell)
			return error_set(err, EINVAL, "there is no shell on this console");
	} else {
		if (!str_eq(value, "default"))
			r = layout_kind_parse(value, &opts.kind, err);
		for (size_t i = 0; in->env->busy && i < in->env->busy->n; i++)
			strv_add(&opts.exclude, in->env->busy->v[i]);
		if (r == 0)
			r = layout_compute(in->env->disks, &opts, &l, err);
		strv_done(&opts.exclude);
		if (r < 0)
			return r;
	}
	layout_free(in->layout);
	in->layout = l;
	*ret = xstrdup(value);
	return 0;
}

static int
check_bool(struct install *in, const char *value, char **ret, struct error *err)
{
	bool b;

	if (strcasecmp(value, "y") == 0 || strcasecmp(value, "yes") == 0)
		b = true;
	else if (strcasecmp(value, "n") == 0 || strcasecmp(value, "no") == 0)
		b = false;
	else if (str_to_bool(value, &b) < 0)
		return error_set(err, EINVAL, "\"%s\" is neither yes nor no", value);
	*ret = xstrdup(b ? "true" : "false");
	return 0;
}

static int
check_console(struct install *in, const char *value, char **ret, struct error *err)
{
	static const char *const known[] = {"text", "vga", "graphics", "ttya", "ttyb", "ttyc", "ttyd"};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (str_eq(value, known[i])) {
			*ret = xstrdup(value);
			return 0;
		}
	return error_set(err, EINVAL, "\"%s\" is none of text, ttya, ttyb, ttyc, ttyd", value);
}

static int
check_bootpool(struct install *in, const char *value, char **ret, struct error *err)
{
	if (str_eq(value, "media")) {
		if (!in->env->medium)
			return error_set(err, EINVAL, "the medium this node booted from cannot be read");
	} else if (!str_eq(value, "no") && !str_eq(value, "none") && !str_eq(value, "latest") &&
		   !str_after(value, "http://") && !str_after(value, "https://")) {
		return error_set(err, EINVAL, "\"%s\" is none of media, latest, no, or a URL", value);
	}
	*ret = xstrdup(str_eq(value, "none") ? "no" : value);
	return 0;
}

/* One key a line, as ssh has them; comments and empty lines may be there. */
static int
check_keys(struct install *in, const char *value, char **ret, struct error *err)
{
	cleanup_strv struct strv lines = STRV_INIT;

	strv_split(&lines, value, "\n");
	for (size_t i = 0; i < lines.n; i++) {
		char *l = str_trim(lines.v[i]);

		if (*l && *l != '#' && !strstr(l, "ssh-") && !strstr(l, "ecdsa-") && !strstr(l, "sk-"))
			return error_set(err, EINVAL, "line %zu is no SSH public key", i + 1);
	}
	*ret = str_ends(value, "\n") ? xstrdup(value) : str_printf("%s\n", value);
	return 0;
}

/* --- defaults and conditions */

static char *
default_mac(const struct install *in)
{
	return in->env->n_links ? xstrdup("auto") : NULL;
}

static char *
default_netmask(const struct install *in)
{
	return xstrdup("255.255.255.0");
}

/* The first address of the network, if that is not ours. */
static char *
default_gateway(const struct install *in)
{
	struct ip_addr net;
	char text[IP_STRLEN];

	if (!own_network(in, &net))
		return NULL;
	net.b[3] |= 1;
	ip_print(&net, text);
	return str_eq(text, install_answer(in, "admin_ip")) ? xstrdup("none") : xstrdup(text);
}

#define TEXT_DEFAULT(name, text)                        \
	static char *name(const struct install *in)     \
	{                                               \
		return xstrdup(text);                   \
	}                                               \
	struct text_default_semicolon_##name

TEXT_DEFAULT(default_dhcp, "dhcp");
TEXT_DEFAULT(default_dns1, "8.8.8.8");
TEXT_DEFAULT(default_dns2, "8.8.4.4");
TEXT_DEFAULT(default_search, "local");
TEXT_DEFAULT(default_ntp, "pool.ntp.org");
TEXT_DEFAULT(default_layout, "default");
TEXT_DEFAULT(default_hostname, "atoll");
TEXT_DEFAULT(default_yes, "yes");

static char *
default_bootpool(const struct install *in)
{
	return xstrdup(in->env->medium ? "media" : "no");
}

static bool
if_static(const struct install *in)
{
	return !str_eq(install_answer(in, "admin_ip"), "dhcp");
}

static bool
if_resolver1(const struct install *in)
{
	return if_static(in) && !str_eq(install_answer(in, "dns_resolver1"), "none");
}

static bool
if_layout(const struct install *in)
{
	return in->layout != NULL;
}

static bool
if_no_hash(const struct install *in)
{
	return install_answer(in, "root_shadow") == NULL;
}

static bool
if_networked(const struct install *in)
{
	return in->env->n_links > 0;
}

static bool
if_networked_static(const struct install *in)
{
	return if_networked(in) && if_static(in);
}

/* --- what is shown */

static void
show_links(struct install *in)
{
	char mac[MAC_STRLEN];

	out(in, "\n  %-12s %-18s %s\n", "NIC", "MAC ADDRESS", "LINK");
	for (size_t i = 0; i < in->env->n_links; i++)
		out(in, "  %-12s %-18s %s\n", in->env->links[i].name,
		    mac_print(&in->env->links[i].mac, mac), in->env->carrier[i] ? "up" : "down");
}

static void
show_disks(struct install *in)
{
	const struct disk_list *l = in->env->disks;
	char size[16];

	out(in, "\n  %-10s %-8s %-8s %s\n", "DISK", "TYPE", "SIZE", "MODEL");
	for (size_t i = 0; i < l->n; i++)
		out(in, "  %-10s %-8s %-8s %s%s\n", l->disks[i].name, l->disks[i].type,
		    str_human_size(l->disks[i].size, size), l->disks[i].model,
		    in->env->busy && strv_has(in->env->busy, l->disks[i].name) ? " (in use by a pool)"
		    : l->disks[i].boot_medium				       ? " (boot medium)"
										       : "");
	{
		struct layout_opts opts = {.spares = -1};
		cleanup_layout struct layout *d = NULL;
		cleanup_error struct error err = ERROR_INIT;
		cleanup_free char *text = NULL;

		for (size_t i = 0; in->env->busy && i < in->env->busy->n; i++)
			strv_add(&opts.exclude, in->env->busy->v[i]);
		if (layout_compute(in->env->disks, &opts, &d, &err) == 0)
			text = layout_describe(d);
		out(in, "\n  default layout: %s\n", text ? text : error_message(&err));
		strv_done(&opts.exclude);
	}
}

static void
show_layout(struct install *in)
{
	cleanup_free char *text = layout_describe(in->layout);

	out(in, "\n  pool " INSTALL_POOL ": %s\n", text);
}

/* --- the questions, in their order */

static const struct question questions[] = {
	{"config_console", "Console", NULL, Q_FILE_ONLY, NULL, NULL, check_console, NULL},
	{"skip_instructions", NULL, NULL, Q_FILE_ONLY, NULL, NULL, check_bool, NULL},
	{"simple_headers", NULL, NULL, Q_FILE_ONLY, NULL, NULL, check_bool, NULL},
	{"admin_mac", "Admin NIC (name or MAC address, auto takes the first with a link)",
	 "The admin NIC carries this node's own address.", 0, if_networked, default_mac, check_mac,
	 show_links},
	{"admin_ip", "IP address of this node (or 'dhcp')",
	 "With dhcp, netmask, gateway and name servers come from the DHCP server.", 0, if_networked,
	 default_dhcp, check_ip, NULL},
	{"admin_netmask", "Netmask", NULL, 0, if_networked_static, default_netmask, check_netmask, NULL},
	{"headnode_default_gateway", "Default gateway (or 'none')", NULL, 0, if_networked_static,
	 default_gateway, check_gateway, NULL},
	{"dns_resolver1", "Primary DNS server (or 'none')", NULL, 0, if_networked_static, default_dns1,
	 check_resolver, NULL},
	{"dns_resolver2", "Secondary DNS server (or 'none')", NULL, 0, if_resolver1, default_dns2,
	 check_resolver, NULL},
	{"dns_search", "DNS search domain (or 'none')", NULL, 0, if_networked_static, default_search,
	 check_domain, NULL},
	{"ntp_host", "NTP server (or 'none')", NULL, 0, if_networked, default_ntp, check_ntp, NULL},
	{"skip_ntp_check", NULL, NULL, Q_FILE_ONLY, NULL, NULL, check_bool, NULL},
	{"zpool_layout", "Pool layout (default, single, mirror, raidz1, raidz2, raidz3, manual)",
	 "All zones, virtual machines and images live in one ZFS pool.  The disks it is made of\n"
	 "lose what is on them.",
	 0, NULL, default_layout, check_layout, show_disks},
	{"zpool_confirm_layout", "Use this layout? (yes/no)", NULL, Q_YES_NO, if_layout, default_yes,
	 check_bool, show_layout},
	{"bootpool", "Boot from the pool's disks? (media, latest, a URL, or no)",
	 "The platform image can be put on every disk of the pool, so that the node boots from any\n"
	 "of them: taken from the medium in the machine, or downloaded.",
	 0, if_layout, default_bootpool, check_bootpool, NULL},
	{"root_shadow", NULL, NULL, Q_FILE_ONLY, NULL, NULL, check_shadow, NULL},
	{"root_password", "Root password", NULL, Q_SECRET, if_no_hash, NULL, check_password, NULL},
	{"root_authorized_keys", NULL, NULL, Q_FILE_ONLY, NULL, NULL, check_keys, NULL},
	{"hostname", "Host name", NULL, 0, NULL, default_hostname, check_hostname, NULL},
	{"reboot", NULL, NULL, Q_FILE_ONLY, NULL, NULL, check_bool, NULL},
	{"skip_final_confirm", NULL, NULL, Q_FILE_ONLY, NULL, NULL, check_bool, NULL},
};

/* --- answers.json */

/* Keys of SmartOS's installer that have nothing to say here. */
static const char *const ignored_keys[] = {"install_pkgsrc", "default_keymap"};

static const struct question *
find_question(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++)
		if (str_eq(questions[i].key, key))
			return &questions[i];
	return NULL;
}

static int
json_answer(const char *key, const struct json *j, char **ret, struct error *err)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	struct json *line;

	switch (json_type(j)) {
	case JSON_STR:
		*ret = xstrdup(json_str(j, ""));
		return 0;
	case JSON_BOOL:
		*ret = xstrdup(json_bool(j, false) ? "true" : "false");
		return 0;
	case JSON_INT:
		*ret = str_printf("%lld", (long long)json_int(j, 0));
		return 0;
	case JSON_ARRAY:
		if (!str_eq(key, "root_authorized_keys"))
			break;
		json_array_each(line, j)
			strbuf_addf(&b, "%s\n", json_str(line, "?"));
		*ret = strbuf_steal(&b);
		return 0;
	case JSON_NULL:
	case JSON_REAL:
	case JSON_OBJECT:
		break;
	}
	return error_set_path(err, EINVAL, key, "%s: a string is expected, not %s", key,
			      json_type_name(json_type(j)));
}

int
install_take_json(struct install *in, const struct json *j, struct error *err)
{
	const char *key;
	struct json *value;

	if (json_type(j) != JSON_OBJECT)
		return error_set(err, EINVAL, "answers.json: an object is expected");
	json_object_each(key, value, j) {
		cleanup_free char *text = NULL;
		bool ignored = false;
		int r;

		for (size_t i = 0; i < ARRAY_SIZE(ignored_keys); i++)
			ignored = ignored || str_eq(key, ignored_keys[i]);
		if (!ignored && !find_question(key))
			return error_set_path(err, EINVAL, key, "%s: no such key", key);
		r = json_answer(key, value, &text, err);
		if (r < 0)
			return r;
		map_set(in->file, key, steal_ptr(&text));
	}
	return 0;
}

/* --- asking */

static bool
flag(const struct install *in, const char *key)
{
	const char *v = map_get(in->file, key);
	bool b = false;

	return v && str_to_bool(v, &b) == 0 && b;
}

static int
read_line(struct install *in, bool echo, char **ret, struct error *err)
{
	int r = in->term->read_line(in->term, echo, ret, err);

	if (r < 0)
		return r;
	if (echo)
		str_trim(*ret);
	return 0;
}

/* 0, or 1 if the two did not agree. */
static int
read_secret(struct install *in, const struct question *q, char **ret, struct error *err)
{
	cleanup_free char *first = NULL, *second = NULL;
	int r, same;

	out(in, "%s: ", q->prompt);
	r = read_line(in, false, &first, err);
	if (r < 0)
		return r;
	out(in, "\n%s again: ", q->prompt);
	r = read_line(in, false, &second, err);
	if (r < 0)
		return r;
	out(in, "\n");
	same = str_eq(first, second);
	explicit_bzero(second, strlen(second));
	if (!same) {
		explicit_bzero(first, strlen(first));
		return 1;
	}
	*ret = steal_ptr(&first);
	return 0;
}

static int
keep(struct install *in, const struct question *q, const char *text, struct error *err)
{
	char *value = NULL;
	int r = q->check(in, text, &value, err);

	if (r == 0)
		map_set(in->answers, q->key, value);
	return r;
}

/* Until there is a good answer. */
static int
ask(struct install *in, const struct question *q, struct error *err)
{
	cleanup_free char *fallback = NULL;
	const char *before = install_answer(in, q->key);

	if (q->intro && !flag(in, "skip_instructions"))
		out(in, "\n%s\n", q->intro);
	if (q->show)
		q->show(in);
	if (before && !(q->flags & (Q_SECRET | Q_YES_NO)))
		fallback = xstrdup(before);
	else if (q->fallback)
		fallback = q->fallback(in);
	for (;;) {
		cleanup_free char *text = NULL;
		int r;

		if (q->flags & Q_SECRET) {
			r = read_secret(in, q, &text, err);
			if (r > 0) {
				out(in, "The two are not the same.\n");
				continue;
			}
		} else {
			if (fallback)
				out(in, "%s [%s]: ", q->prompt, fallback);
			else
				out(in, "%s: ", q->prompt);
			r = read_line(in, true, &text, err);
		}
		if (r < 0)
			return r;
		if (*text == '\0' && fallback) {
			free(text);
			text = xstrdup(fallback);
		}
		r = *text ? keep(in, q, text, err) : error_set(err, EINVAL, "an answer is needed");
		if (q->flags & Q_SECRET)
			explicit_bzero(text, strlen(text));
		if (r == 0)
			return 0;
		out(in, "%s\n", error_message(err));
		error_done(err);
	}
}

/* From the file if that has a good one, else from the console. */
static int
answer(struct install *in, const struct question *q, struct error *err)
{
	const char *given = in->ask_all ? NULL : map_get(in->file, q->key);

	if (q->applies && !q->applies(in)) {
		map_remove(in->answers, q->key);
		return 0;
	}
	/* Nothing to ask about: kept as it was when everything is asked again. */
	if (in->ask_all && (q->flags & Q_FILE_ONLY))
		return 0;
	if (given) {
		if (keep(in, q, given, err) == 0)
			return 0;
		out(in, "answers.json: %s: %s\n", q->key, error_message(err));
		error_done(err);
	}
	return q->flags & Q_FILE_ONLY ? 0 : ask(in, q, err);
}

static int
answer_all(struct install *in, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		const struct question *q = &questions[i];
		int r = answer(in, q, err);

		if (r < 0)
			return r;
		/* A layout that was not liked is asked for again, whatever the file says. */
		if (str_eq(q->key, "zpool_confirm_layout") && in->layout &&
		    str_eq(install_answer(in, q->key), "false")) {
			r = ask(in, find_question("zpool_layout"), err);
			if (r < 0)
				return r;
			map_remove(in->file, q->key);
			i--;
		}
	}
	return 0;
}

static void
show_all(struct install *in)
{
	out(in, "\nThis is what will be set up:\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		const struct question *q = &questions[i];
		const char *v = install_answer(in, q->key);

		if (!v || str_eq(q->key, "root_authorized_keys") || str_after(q->key, "skip_") ||
		    (q->flags & Q_YES_NO))
			continue;
		out(in, "  %-26s %s\n", q->key,
		    (q->flags & Q_SECRET) || str_eq(q->key, "root_shadow") ? "(not shown)" : v);
	}
	if (in->layout) {
		cleanup_free char *text = layout_describe(in->layout);

		out(in, "  %-26s %s\n", "pool " INSTALL_POOL, text);
	}
	if (in->env->old_pool)
		out(in, "\nPool %s, which holds no configuration, will be destroyed.\n",
		    in->env->old_pool);
}

/* 1 go, 0 ask everything again. */
static int
confirm(struct install *in, struct error *err)
{
	cleanup_strv struct strv names = STRV_INIT;
	cleanup_free char *joined = NULL, *text = NULL;
	int r;

	show_all(in);
	if (!in->ask_all && str_eq(install_answer(in, "skip_final_confirm"), "true"))
		return 1;
	if (in->layout) {
		layout_disks(in->layout, false, &names);
		joined = strv_join(&names, ", ");
		out(in, "\nEverything on %s will be lost.\n", joined);
	}
	for (;;) {
		free(text);
		text = NULL;
		out(in, "Type yes to go on, no to answer again, reboot to leave: ");
		r = read_line(in, true, &text, err);
		if (r < 0)
			return r;
		if (str_eq(text, "yes"))
			return 1;
		if (str_eq(text, "no"))
			return 0;
		if (str_eq(text, "reboot"))
			return error_set(err, ECANCELED, "the operator asked for a reboot");
		out(in, "\"%s\" is neither yes nor no.\n", text);
	}
}

int
install_dialogue(struct install *in, struct error *err)
{
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(ignored_keys); i++)
		if (flag(in, ignored_keys[i]))
			out(in, "answers.json: %s is not done by this installer\n", ignored_keys[i]);
	for (;;) {
		r = answer_all(in, err);
		if (r < 0)
			return r;
		r = confirm(in, err);
		if (r < 0)
			return r;
		if (r > 0)
			return 0;
		in->ask_all = true;
	}
}

/* --- what becomes of the answers */

static void
set_unless_none(struct conf *c, const char *key, const char *value)
{
	if (value && !str_eq(value, "none"))
		conf_set(c, key, value);
}

struct conf *
install_config(const struct install *in)
{
	struct conf *c = conf_new();
	const char *ip = install_answer(in, "admin_ip");
	const char *dns1 = install_answer(in, "dns_resolver1");
	const char *dns2 = install_answer(in, "dns_resolver2");
	struct ip_addr net;
	char text[IP_STRLEN];

	conf_add_comment(c, "Configuration of this node; see usbkey-config(5).  Lines are KEY=VALUE as a");
	conf_add_comment(c, "shell could read them.  Changes take effect at the next boot.");
	conf_add_comment(c, NULL);
	set_unless_none(c, "admin_nic", install_answer(in, "admin_mac"));
	set_unless_none(c, "admin_ip", ip);
	set_unless_none(c, "admin_netmask", install_answer(in, "admin_netmask"));
	if (own_network(in, &net))
		conf_set(c, "admin_network", ip_print(&net, text));
	set_unless_none(c, "headnode_default_gateway", install_answer(in, "headnode_default_gateway"));
	if (dns1 && !str_eq(dns1, "none")) {
		cleanup_free char *both = dns2 && !str_eq(dns2, "none")
						  ? str_printf("%s,%s", dns1, dns2)
						  : xstrdup(dns1);

		conf_set(c, "dns_resolvers", both);
	}
	set_unless_none(c, "dns_search", install_answer(in, "dns_search"));
	set_unless_none(c, "dns_domain", install_answer(in, "dns_search"));
	set_unless_none(c, "ntp_hosts", install_answer(in, "ntp_host"));
	conf_set(c, "hostname", install_answer(in, "hostname"));
	conf_set(c, "root_authorized_keys_file", "authorized_keys");
	return c;
}
