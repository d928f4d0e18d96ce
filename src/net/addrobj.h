/*
 * Address objects of ipadm(8): names ("net0/v4") for addresses of the global
 * zone's interfaces.  The kernel has the addresses; the name and the way it
 * came by (static, dhcp, addrconf) are records in RUN/addr/IF/NAME, which end
 * with the boot.
 */
#ifndef NET_ADDROBJ_H
#define NET_ADDROBJ_H

#include "net/net.h"
#include "os/ip.h"

enum addrobj_type { ADDROBJ_STATIC, ADDROBJ_DHCP, ADDROBJ_ADDRCONF };
const char *addrobj_type_name(enum addrobj_type t);

struct addrobj {
	char ifname[16];
	char name[32]; /* "?" for an address nobody named */
	enum addrobj_type type;
	struct ip_addr addr; /* family 0: none yet */
	const char *state;   /* "ok" "tentative" "duplicate" "down" "disabled" */
};

/* Of all interfaces, or of one; also what is in the kernel without a name. */
int addrobj_list(struct net *n, const char *ifname, struct addrobj **ret, size_t *ret_n,
		 struct error *err);
/* "net0/v4" apart; -EINVAL. */
int addrobj_parse(const char *s, char ifname[16], char name[32], struct error *err);

int addrobj_add_static(struct net *n, const char *obj, const struct ip_addr *a, bool down,
		       struct error *err);
/* Starts udhcpc; wait_s 0 does not wait for the lease. */
int addrobj_add_dhcp(struct net *n, const char *obj, unsigned wait_s, struct error *err);
int addrobj_add_addrconf(struct net *n, const char *obj, struct error *err);
int addrobj_delete(struct net *n, const char *obj, struct error *err);
/* A static address leaves the kernel, or comes back; its name stays. */
int addrobj_set_up(struct net *n, const char *obj, bool up, struct error *err);
/* Asks the DHCP server anew. */
int addrobj_refresh(struct net *n, const char *obj, struct error *err);

#endif
