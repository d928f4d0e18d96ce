/*
 * Address objects: records beside what the kernel has.
 */
#include "net/addrobj.h"

#include <ctype.h>
#include <dirent.h>
#include <linux/if_addr.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/event.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "net/addr.h"
#include "net/internal.h"
#include "os/run.h"

/* As svc:/network/physical has them. */
#define UDHCPC_DIR "/run/atoll/udhcpc"
#define DHCP_EVENT "/usr/lib/atoll/dhcp-event"

static const char *const type_names[] = {
	[ADDROBJ_STATIC] = "static",
	[ADDROBJ_DHCP] = "dhcp",
	[ADDROBJ_ADDRCONF] = "addrconf",
};

const char *
addrobj_type_name(enum addrobj_type t)
{
	return type_names[t];
}

int
addrobj_parse(const char *s, char ifname[16], char name[32], struct error *err)
{
	const char *slash = strchr(s, '/');
	size_t len = slash ? (size_t)(slash - s) : 0;

	if (!slash || len == 0 || len > 15 || s[0] == '.' || !isalpha((unsigned char)slash[1]) ||
	    strlen(slash + 1) > 31)
		goto bad;
	for (const char *p = slash + 1; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '_')
			goto bad;
	memcpy(ifname, s, len);
	ifname[len] = '\0';
	memcpy(name, slash + 1, strlen(slash + 1) + 1);
	return 0;
bad:
	return error_set(err, EINVAL, "invalid address object name '%s': INTERFACE/NAME", s);
}

/* A record. */
struct stored {
	struct addrobj o;
	bool down;
};

static char *
path_of(struct net *n, const char *ifname, const char *name)
{
	return str_printf("%s/addr/%s/%s", n->run_dir, ifname, name);
}

static int
stored_read(struct net *n, const char *ifname, const char *name, struct stored *ret,
	    struct error *err)
{
	cleanup_free char *path = path_of(n, ifname, name);
	cleanup_json struct json *j = NULL;
	cleanup_error struct error e = ERROR_INIT;
	struct stored s = {0};
	const char *type, *addr;
	int r;

	if (!file_exists(path))
		return error_set(err, ENOENT, "address object %s/%s does not exist", ifname, name);
	r = json_read_file(path, &j, &e);
	if (r < 0) {
		error_move(err, &e);
		return r;
	}
	type = json_str(json_get(j, "type"), "");
	addr = json_str(json_get(j, "addr"), NULL);
	snprintf(s.o.ifname, sizeof(s.o.ifname), "%s", ifname);
	snprintf(s.o.name, sizeof(s.o.name), "%s", name);
	s.o.type = str_eq(type, "dhcp")       ? ADDROBJ_DHCP
		   : str_eq(type, "addrconf") ? ADDROBJ_ADDRCONF
					      : ADDROBJ_STATIC;
	s.down = json_bool(json_get(j, "down"), false);
	if (addr && ip_parse(addr, &s.o.addr) < 0)
		return error_set(err, EBADMSG, "%s: bad address", path);
	*ret = s;
	return 0;
}

static int
stored_write(struct net *n, const struct stored *s, struct error *err)
{
	cleanup_free char *path = path_of(n, s->o.ifname, s->o.name);
	cleanup_free char *dir = str_printf("%s/addr/%s", n->run_dir, s->o.ifname);
	cleanup_json struct json *j = json_new_object();
	char buf[IP_STRLEN];
	int r;

	json_set_str(j, "type", type_names[s->o.type]);
	if (s->o.addr.family)
		json_set_str(j, "addr", ip_print_cidr(&s->o.addr, buf));
	json_set_bool(j, "down", s->down);
	r = file_mkdir_p(dir, 0755, err);
	return r < 0 ? r : json_write_file(path, j, 0644, err);
}

static int
stored_remove(struct net *n, const char *ifname, const char *name, struct error *err)
{
	cleanup_free char *path = path_of(n, ifname, name);

	if (unlink(path) < 0 && errno != ENOENT)
		return error_set_errno(err, errno, "%s", path);
	return 0;
}

static int
stored_list(struct net *n, const char *ifname, struct stored **ret, size_t *ret_n,
	    struct error *err)
{
	cleanup_free char *dir = str_printf("%s/addr/%s", n->run_dir, ifname);
	struct stored *list = NULL;
	size_t count = 0;
	DIR *d = opendir(dir);
	struct dirent *e;
	int r = 0;

	while (r == 0 && d && (e = readdir(d))) {
		struct stored s;

		if (e->d_name[0] == '.')
			continue;
		r = stored_read(n, ifname, e->d_name, &s, err);
		if (r == 0) {
			list = xreallocarray(list, count + 1, sizeof(*list));
			list[count++] = s;
		}
	}
	if (d)
		closedir(d);
	if (r < 0) {
		free(list);
		return r;
	}
	*ret = list;
	*ret_n = count;
	return 0;
}

/*
 * udhcpc.
 */

static int
client_pid(const char *ifname, pid_t *ret)
{
	cleanup_free char *path = str_printf(UDHCPC_DIR "/%s.pid", ifname);
	cleanup_free char *text = NULL, *cmdline_path = NULL, *cmdline = NULL;
	size_t len;
	int pid;

	if (file_read_line(path, &text, NULL) < 0 || str_to_int(text, &pid) < 0 || pid <= 1)
		return -ENOENT;
	/* the number may have gone to another process since */
	cmdline_path = str_printf("/proc/%d/cmdline", pid);
	if (file_read(cmdline_path, 4096, &cmdline, &len, NULL) < 0 ||
	    !memmem(cmdline, len, "udhcpc", 6))
		return -ENOENT;
	*ret = pid;
	return 0;
}

static int
start_client(const char *ifname, struct error *err)
{
	cleanup_free char *pid_path = str_printf(UDHCPC_DIR "/%s.pid", ifname);
	pid_t pid;
	int r;

	if (client_pid(ifname, &pid) == 0)
		return error_set(err, EEXIST, "%s: a DHCP client runs already", ifname);
	r = file_mkdir_p(UDHCPC_DIR, 0755, err);
	if (r < 0)
		return r;
	return RUN(err, "busybox", "udhcpc", "-i", ifname, "-p", pid_path, "-s", DHCP_EVENT, "-t",
		   "5", "-T", "3", "-A", "10", "-b");
}

/*
 * Listing.
 */

static const char *
state_of(const struct nl_addr *a)
{
	if (a->flags & IFA_F_DADFAILED)
		return "duplicate";
	return a->flags & IFA_F_TENTATIVE ? "tentative" : "ok";
}

static struct addrobj *
add(struct addrobj **list, size_t *count, const char *ifname)
{
	struct addrobj *o;

	*list = xreallocarray(*list, *count + 1, sizeof(**list));
	o = &(*list)[(*count)++];
	memset(o, 0, sizeof(*o));
	snprintf(o->ifname, sizeof(o->ifname), "%s", ifname);
	return o;
}

/* The record a kernel address belongs to; NULL: nobody named it. */
static struct stored *
owner(struct stored *s, size_t n, const struct nl_addr *a)
{
	bool dynamic = !(a->flags & IFA_F_PERMANENT) || ip_is_link_local(&a->addr);

	for (size_t i = 0; i < n; i++)
		if (s[i].o.type == ADDROBJ_STATIC && ip_same(&s[i].o.addr, &a->addr))
			return &s[i];
	for (size_t i = 0; i < n; i++) {
		if (s[i].o.type == ADDROBJ_ADDRCONF && a->addr.family == AF_INET6 && dynamic)
			return &s[i];
		if (s[i].o.type == ADDROBJ_DHCP && a->addr.family == AF_INET)
			return &s[i];
	}
	return NULL;
}

static enum addrobj_type
guess_type(const char *ifname, const struct nl_addr *a)
{
	pid_t pid;

	if (a->addr.family == AF_INET6)
		return !(a->flags & IFA_F_PERMANENT) ||
				       (ip_is_link_local(&a->addr) && !str_eq(ifname, "lo"))
			       ? ADDROBJ_ADDRCONF
			       : ADDROBJ_STATIC;
	return client_pid(ifname, &pid) == 0 ? ADDROBJ_DHCP : ADDROBJ_STATIC;
}

static int
list_if(struct net *n, const struct nl_link *l, const struct nl_addr *addrs, size_t n_addrs,
	struct addrobj **list, size_t *count, struct error *err)
{
	cleanup_free struct stored *stored = NULL;
	cleanup_free bool *seen = NULL;
	size_t n_stored;
	int r = stored_list(n, l->name, &stored, &n_stored, err);

	if (r < 0)
		return r;
	seen = xcalloc(n_stored + 1, sizeof(*seen));
	for (size_t i = 0; i < n_addrs; i++) {
		struct stored *s;
		struct addrobj *o;

		if (addrs[i].ifindex != l->ifindex)
			continue;
		s = owner(stored, n_stored, &addrs[i]);
		o = add(list, count, l->name);
		if (s)
			seen[s - stored] = true;
		if (str_eq(l->name, "lo") && !s)
			snprintf(o->name, sizeof(o->name), "%s",
				 addrs[i].addr.family == AF_INET6 ? "v6" : "v4");
		else
			snprintf(o->name, sizeof(o->name), "%s", s ? s->o.name : "?");
		o->type = s ? s->o.type : guess_type(l->name, &addrs[i]);
		o->addr = addrs[i].addr;
		o->state = state_of(&addrs[i]);
	}
	for (size_t i = 0; i < n_stored; i++) {
		struct addrobj *o;

		if (seen[i])
			continue;
		o = add(list, count, l->name);
		*o = stored[i].o;
		o->state = stored[i].down ? "down" : o->type == ADDROBJ_STATIC ? "disabled" : "ok";
	}
	return 0;
}

int
addrobj_list(struct net *n, const char *ifname, struct addrobj **ret, size_t *ret_n,
	     struct error *err)
{
	cleanup_free struct nl_link *links = NULL;
	cleanup_free struct nl_addr *addrs = NULL;
	struct addrobj *list = NULL;
	size_t n_links, n_addrs, count = 0;
	struct nl *nl;
	int r;

	r = net_nl(n, &nl, err);
	if (r == 0)
		r = nl_link_list(nl, &links, &n_links, err);
	if (r == 0)
		r = nl_addr_list(nl, &addrs, &n_addrs, err);
	for (size_t i = 0; r == 0 && i < n_links; i++)
		if (!ifname || str_eq(ifname, links[i].name))
			r = list_if(n, &links[i], addrs, n_addrs, &list, &count, err);
	if (r < 0) {
		free(list);
		return r;
	}
	*ret = list;
	*ret_n = count;
	return 0;
}

/*
 * Changing.
 */

/* A new object: its name is free, its interface there and up. */
static int
begin(struct net *n, const char *obj, struct stored *s, struct error *err)
{
	cleanup_free char *path = NULL;
	int r = addrobj_parse(obj, s->o.ifname, s->o.name, err);

	if (r < 0)
		return r;
	path = path_of(n, s->o.ifname, s->o.name);
	if (file_exists(path))
		return error_set(err, EEXIST, "address object %s exists", obj);
	return addr_set_up(-1, s->o.ifname, true, err);
}

int
addrobj_add_static(struct net *n, const char *obj, const struct ip_addr *a, bool down,
		   struct error *err)
{
	struct stored s = {.o = {.type = ADDROBJ_STATIC, .addr = *a}, .down = down};
	int r = begin(n, obj, &s, err);

	if (r == 0)
		r = stored_write(n, &s, err);
	if (r < 0 || down)
		return r;
	r = addr_add(-1, s.o.ifname, a, err);
	if (r < 0)
		(void)stored_remove(n, s.o.ifname, s.o.name, NULL); /* the first failure is told */
	return r;
}

static bool
has_lease(struct net *n, const char *ifname)
{
	cleanup_free struct addrobj *list = NULL;
	size_t count;

	if (addrobj_list(n, ifname, &list, &count, NULL) < 0)
		return false;
	for (size_t i = 0; i < count; i++)
		if (list[i].type == ADDROBJ_DHCP && list[i].addr.family)
			return true;
	return false;
}

int
addrobj_add_dhcp(struct net *n, const char *obj, unsigned wait_s, struct error *err)
{
	struct stored s = {.o.type = ADDROBJ_DHCP};
	int r = begin(n, obj, &s, err);

	if (r == 0)
		r = stored_write(n, &s, err);
	if (r < 0)
		return r;
	/* returns with a lease, or after it has asked in vain for a while and stays behind */
	r = start_client(s.o.ifname, err);
	if (r < 0) {
		(void)stored_remove(n, s.o.ifname, s.o.name, NULL);
		return r;
	}
	if (wait_s && !has_lease(n, s.o.ifname))
		return error_set(err, ETIMEDOUT, "%s: no DHCP server answers yet; still trying",
				 obj);
	return 0;
}

static int
set_addrconf(const char *ifname, bool on, struct error *err)
{
	cleanup_free char *ra = str_printf("ipv6/conf/%s/accept_ra", ifname);
	cleanup_free char *autoconf = str_printf("ipv6/conf/%s/autoconf", ifname);
	int r = nl_sysctl(-1, ra, on ? "2" : "0", err);

	return r < 0 ? r : nl_sysctl(-1, autoconf, on ? "1" : "0", err);
}

int
addrobj_add_addrconf(struct net *n, const char *obj, struct error *err)
{
	struct stored s = {.o.type = ADDROBJ_ADDRCONF};
	int r = begin(n, obj, &s, err);

	if (r == 0)
		r = set_addrconf(s.o.ifname, true, err);
	return r < 0 ? r : stored_write(n, &s, err);
}

static int
find(struct net *n, const char *obj, struct stored *s, struct error *err)
{
	char ifname[16], name[32];
	int r = addrobj_parse(obj, ifname, name, err);

	return r < 0 ? r : stored_read(n, ifname, name, s, err);
}

int
addrobj_delete(struct net *n, const char *obj, struct error *err)
{
	struct stored s;
	pid_t pid;
	int r = find(n, obj, &s, err);

	if (r < 0)
		return r;
	switch (s.o.type) {
	case ADDROBJ_STATIC:
		r = addr_del(-1, s.o.ifname, &s.o.addr, err);
		break;
	case ADDROBJ_DHCP:
		/* USR2 gives the lease back (and runs the event that takes the address away) */
		if (client_pid(s.o.ifname, &pid) == 0) {
			kill(pid, SIGUSR2);
			kill(pid, SIGTERM);
		}
		break;
	case ADDROBJ_ADDRCONF:
		r = set_addrconf(s.o.ifname, false, err);
		break;
	}
	return r < 0 ? r : stored_remove(n, s.o.ifname, s.o.name, err);
}

int
addrobj_set_up(struct net *n, const char *obj, bool up, struct error *err)
{
	struct stored s;
	int r = find(n, obj, &s, err);

	if (r < 0)
		return r;
	if (s.o.type != ADDROBJ_STATIC)
		return error_set(err, EOPNOTSUPP, "%s is not a static address", obj);
	r = up ? addr_add(-1, s.o.ifname, &s.o.addr, err)
	       : addr_del(-1, s.o.ifname, &s.o.addr, err);
	s.down = !up;
	return r < 0 ? r : stored_write(n, &s, err);
}

int
addrobj_refresh(struct net *n, const char *obj, struct error *err)
{
	struct stored s;
	pid_t pid;
	int r = find(n, obj, &s, err);

	if (r < 0)
		return r;
	if (s.o.type != ADDROBJ_DHCP)
		return 0; /* nothing to ask anybody for */
	if (client_pid(s.o.ifname, &pid) < 0)
		return start_client(s.o.ifname, err);
	if (kill(pid, SIGUSR1) < 0)
		return error_set_errno(err, errno, "%s", obj);
	return 0;
}
