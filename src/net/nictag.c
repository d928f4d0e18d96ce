/*
 * NIC tags in the node configuration.
 */
#include "net/nictag.h"

#include <ctype.h>
#include <linux/if_arp.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/str.h"
#include "net/internal.h"
#include "net/vnic.h"

bool
nictag_is_name(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || len > 31)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '_')
			return false;
	return true;
}

static int
read_config(struct net *n, struct conf **ret, struct error *err)
{
	cleanup_strv struct strv problems = STRV_INIT;

	if (!file_exists(n->config_path)) {
		*ret = conf_new();
		return 0;
	}
	/* a line that only a shell understands is not about tags */
	return conf_read_file(n->config_path, ret, &problems, err);
}

/* A NIC in the sense of this page: hardware (or what stands for it), not a port of ours. */
static bool
is_nic(const struct nl_link *l)
{
	return l->type == ARPHRD_ETHER && !(l->flags & IFF_LOOPBACK) &&
	       !net_is_port_name(l->name) && !str_eq(l->kind, "bond") && !str_eq(l->kind, "vlan");
}

static void
resolve(struct nictag *t, const char *target, const struct nl_link *links, size_t n_links)
{
	for (size_t i = 0; i < n_links; i++) {
		const struct nl_link *l = &links[i];

		if (t->type == NICTAG_AGGR ? str_eq(l->name, target)
					   : is_nic(l) && (mac_equal(&l->perm_mac, &t->mac) ||
							   (mac_is_zero(&l->perm_mac) &&
							    mac_equal(&l->mac, &t->mac)))) {
			snprintf(t->link, sizeof(t->link), "%s", l->name);
			return;
		}
	}
}

static void
add_tag(struct nictag **list, size_t *count, const struct nictag *t)
{
	*list = xreallocarray(*list, *count + 1, sizeof(**list));
	(*list)[(*count)++] = *t;
}

/* KEY is NAME_nic: the tag's name; false if it is something else. */
static bool
tag_of_key(const char *key, char *name, size_t size)
{
	size_t len = strlen(key);

	if (len <= 4 || !str_ends(key, "_nic") || len - 4 >= size)
		return false;
	memcpy(name, key, len - 4);
	name[len - 4] = '\0';
	return true;
}

static void
list_nics(const struct conf *c, const struct nl_link *links, size_t n_links, struct nictag **list,
	  size_t *count)
{
	struct conf_iter it = {0};

	while (conf_next(c, &it)) {
		struct nictag t = {0};
		cleanup_free char *mtu_key = NULL;
		const char *renamed, *mtu;
		int v;

		if (!tag_of_key(it.key, t.name, sizeof(t.name)) || !*it.value)
			continue;
		t.type = mac_parse(it.value, &t.mac) < 0 ? NICTAG_AGGR : NICTAG_NORMAL;
		mtu_key = str_printf("%s_mtu", t.name);
		mtu = conf_get(c, mtu_key);
		if (mtu && str_to_int(mtu, &v) == 0 && v > 0)
			t.mtu = (uint32_t)v;
		/* admin_tag gives the admin network another name */
		renamed = conf_get(c, "admin_tag");
		if (str_eq(t.name, "admin") && !str_empty(renamed) && nictag_is_name(renamed))
			snprintf(t.name, sizeof(t.name), "%s", renamed);
		resolve(&t, it.value, links, n_links);
		add_tag(list, count, &t);
	}
}

static void
list_etherstubs(const struct conf *c, struct nictag **list, size_t *count)
{
	cleanup_strv struct strv names = STRV_INIT;
	const char *stubs = conf_get(c, "etherstub");

	if (stubs)
		strv_words(&names, stubs, ", ");
	for (size_t i = 0; i < names.n; i++) {
		struct nictag t = {.type = NICTAG_ETHERSTUB};

		if (strlen(names.v[i]) >= sizeof(t.link))
			continue;
		snprintf(t.name, sizeof(t.name), "%s", names.v[i]);
		snprintf(t.link, sizeof(t.link), "%s", names.v[i]);
		add_tag(list, count, &t);
	}
}

int
nictag_list(struct net *n, struct nictag **ret, size_t *ret_n, struct error *err)
{
	cleanup_conf struct conf *c = NULL;
	cleanup_free struct nl_link *links = NULL;
	struct nictag *list = NULL;
	size_t count = 0, n_links;
	struct nl *nl;
	int r;

	r = net_nl(n, &nl, err);
	if (r == 0)
		r = nl_link_list(nl, &links, &n_links, err);
	if (r == 0)
		r = read_config(n, &c, err);
	if (r < 0)
		return r;
	list_nics(c, links, n_links, &list, &count);
	list_etherstubs(c, &list, &count);
	*ret = list;
	*ret_n = count;
	return 0;
}

int
nictag_get(struct net *n, const char *name, struct nictag *ret, struct error *err)
{
	cleanup_free struct nictag *list = NULL;
	size_t count;
	int r = nictag_list(n, &list, &count, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		if (str_eq(list[i].name, name)) {
			*ret = list[i];
			return 0;
		}
	}
	return error_set(err, ENOENT, "nic tag \"%s\" does not exist", name);
}

int
nictag_link(struct net *n, const char *name, char ret[16], struct error *err)
{
	char mac[MAC_STRLEN];
	struct nictag t;
	int r = nictag_get(n, name, &t, err);

	if (r < 0)
		return r;
	if (!t.link[0] && t.type == NICTAG_AGGR)
		return error_set(err, ENODEV, "nic tag %s: there is no such aggregation", name);
	if (!t.link[0])
		return error_set(err, ENODEV, "nic tag %s: no NIC has the MAC address %s", name,
				 mac_print(&t.mac, mac));
	memcpy(ret, t.link, sizeof(t.link));
	return 0;
}

static int
write_config(struct net *n, const struct conf *c, struct error *err)
{
	struct stat st;
	unsigned mode = stat(n->config_path, &st) == 0 ? st.st_mode & 0777 : 0644;

	return conf_write_file(n->config_path, c, mode, err);
}

static int
check_name(const char *name, struct error *err)
{
	if (!nictag_is_name(name))
		return error_set(err, EINVAL,
				 "Invalid nic tag name '%s': letters, digits and '_', at most 31",
				 name);
	return 0;
}

/* The key that holds a tag: admin's keeps its name when admin_tag renames it. */
static char *
key_of(const struct conf *c, const char *name, const char *suffix)
{
	const char *renamed = conf_get(c, "admin_tag");

	return str_printf("%s_%s", str_eq(renamed, name) ? "admin" : name, suffix);
}

/* mac: of a NIC that is here, or an aggregation's name. */
static int
check_target(struct net *n, const char *mac, struct error *err)
{
	cleanup_free struct nl_link *links = NULL;
	struct nictag t = {0};
	size_t count;
	struct nl *nl;
	int r;

	r = net_nl(n, &nl, err);
	if (r == 0)
		r = nl_link_list(nl, &links, &count, err);
	if (r < 0)
		return r;
	t.type = mac_parse(mac, &t.mac) < 0 ? NICTAG_AGGR : NICTAG_NORMAL;
	if (t.type == NICTAG_AGGR && !net_is_link_name(mac))
		return error_set(err, EINVAL, "Invalid MAC address or aggregation name: %s", mac);
	resolve(&t, mac, links, count);
	if (t.link[0])
		return 0;
	return error_set(err, ENODEV, "no %s: %s on this node",
			 t.type == NICTAG_AGGR ? "aggregation" : "physical nic with MAC", mac);
}

static int
set_tag(struct net *n, const char *name, const char *mac, uint32_t mtu, bool is_new,
	struct error *err)
{
	cleanup_unlock struct net *locked = n;
	cleanup_conf struct conf *c = NULL;
	cleanup_free char *key = NULL, *mtu_key = NULL;
	cleanup_error struct error e = ERROR_INIT;
	struct nictag t = {0};
	char text[MAC_STRLEN];
	struct mac_addr m;
	int r;

	r = check_name(name, err);
	if (r == 0 && mac)
		r = check_target(n, mac, err);
	if (r == 0)
		r = net_lock(n, err);
	if (r < 0)
		return r;
	r = nictag_get(n, name, &t, &e);
	if (r == 0 && is_new)
		return error_set(err, EEXIST, "nic tag \"%s\" already exists", name);
	if (r < 0 && !(is_new && r == -ENOENT)) {
		error_move(err, &e);
		return r;
	}
	if (!is_new && t.type == NICTAG_ETHERSTUB)
		return error_set(err, EINVAL, "%s is an etherstub: it has nothing to update", name);
	r = read_config(n, &c, err);
	if (r < 0)
		return r;
	key = key_of(c, name, "nic");
	mtu_key = key_of(c, name, "mtu");
	if (mac)
		conf_set(c, key, mac_parse(mac, &m) < 0 ? mac : mac_print(&m, text));
	if (mtu) {
		cleanup_free char *v = str_printf("%u", mtu);

		conf_set(c, mtu_key, v);
	}
	return write_config(n, c, err);
}

int
nictag_add(struct net *n, const char *name, const char *mac, uint32_t mtu, struct error *err)
{
	return set_tag(n, name, mac, mtu, true, err);
}

int
nictag_update(struct net *n, const char *name, const char *mac, uint32_t mtu, struct error *err)
{
	return set_tag(n, name, mac, mtu, false, err);
}

static int
add_etherstub_key(struct net *n, const char *name, struct error *err)
{
	cleanup_unlock struct net *locked = n;
	cleanup_conf struct conf *c = NULL;
	cleanup_strv struct strv stubs = STRV_INIT;
	cleanup_free char *joined = NULL;
	const char *old;
	struct nictag t;
	int r = net_lock(n, err);

	if (r < 0)
		return r;
	if (nictag_get(n, name, &t, NULL) == 0)
		return error_set(err, EEXIST, "nic tag \"%s\" already exists", name);
	r = read_config(n, &c, err);
	if (r < 0)
		return r;
	old = conf_get(c, "etherstub");
	if (old)
		strv_words(&stubs, old, ", ");
	strv_add(&stubs, name);
	joined = strv_join(&stubs, ",");
	conf_set(c, "etherstub", joined);
	return write_config(n, c, err);
}

int
nictag_add_etherstub(struct net *n, const char *name, struct error *err)
{
	cleanup_error struct error e = ERROR_INIT;
	int r;

	if (!net_is_link_name(name))
		return error_set(err, EINVAL,
				 "Invalid etherstub name '%s': a letter first, a digit last, at "
				 "most 15",
				 name);
	r = add_etherstub_key(n, name, err);
	if (r < 0)
		return r;
	r = etherstub_create(n, name, 0, &e);
	if (r < 0 && r != -EEXIST) {
		error_move(err, &e);
		return r;
	}
	return 0;
}

static int
tag_used(struct net *n, const struct nictag *t, bool *ret, struct error *err)
{
	struct vnic_info *v;
	size_t count;
	int r = vnic_list(n, NULL, &v, &count, err);

	if (r < 0)
		return r;
	*ret = false;
	for (size_t i = 0; i < count; i++)
		if (str_eq(v[i].nic_tag, t->name) ||
		    (t->type == NICTAG_ETHERSTUB && str_eq(v[i].over, t->name)))
			*ret = true;
	vnic_list_free(v, count);
	return 0;
}

static void
remove_word(struct conf *c, const char *key, const char *word)
{
	cleanup_strv struct strv words = STRV_INIT;
	cleanup_free char *joined = NULL;
	const char *old = conf_get(c, key);

	if (old)
		strv_words(&words, old, ", ");
	for (size_t i = words.n; i-- > 0;)
		if (str_eq(words.v[i], word))
			strv_remove(&words, i);
	joined = strv_join(&words, ",");
	conf_set(c, key, words.n ? joined : NULL);
}

static int
delete_keys(struct net *n, const struct nictag *t, struct error *err)
{
	cleanup_unlock struct net *locked = n;
	cleanup_conf struct conf *c = NULL;
	cleanup_free char *key = NULL, *mtu_key = NULL;
	int r = net_lock(n, err);

	if (r == 0)
		r = read_config(n, &c, err);
	if (r < 0)
		return r;
	if (t->type == NICTAG_ETHERSTUB) {
		remove_word(c, "etherstub", t->name);
	} else {
		key = key_of(c, t->name, "nic");
		mtu_key = key_of(c, t->name, "mtu");
		conf_set(c, key, NULL);
		conf_set(c, mtu_key, NULL);
	}
	return write_config(n, c, err);
}

int
nictag_delete(struct net *n, const char *name, bool force, struct error *err)
{
	cleanup_error struct error e = ERROR_INIT;
	struct nictag t;
	bool used = false;
	int r = nictag_get(n, name, &t, err);

	if (r == 0)
		r = tag_used(n, &t, &used, err);
	if (r < 0)
		return r;
	if (used && !force)
		return error_set(err, EBUSY, "nic tag \"%s\" is in use", name);
	r = delete_keys(n, &t, err);
	if (r < 0 || t.type != NICTAG_ETHERSTUB)
		return r;
	r = etherstub_delete(n, name, &e);
	if (r < 0 && r != -ENOENT && !(force && r == -EBUSY)) {
		error_move(err, &e);
		return r;
	}
	return 0;
}
