/*
 * The node's network: the global zone's namespace, the switch, the records.
 *
 * A `struct net` is what a command or daemon holds while it works on links.
 * Opening one is cheap and starts nothing: the switch is loaded into the
 * kernel by the first call that needs it and stays there, pinned, when the
 * process ends.  What links there are is written down in text below
 * RUN/link/ZONE/NAME (one JSON object a link) before the kernel is asked, so a
 * process may be killed at any point: the next call on the same link finishes
 * or takes back what was begun.  Everything is gone after a reboot.
 *
 * The caller must live in the global zone's network and mount namespaces: the
 * first call of all mounts the BPF filesystem that holds the pins at RUN/bpf.
 *
 * Names: a link belongs to a zone ("global" for the node's own); two zones may
 * each have a net0.  In the global zone's namespace the host-side end of every
 * VNIC is vp<ID>, with the alternative name "ZONE.NAME" for tcpdump and ip(8).
 */
#ifndef NET_NET_H
#define NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

#define NET_RUN_DIR "/run/atoll/net"
#define NET_GLOBAL "global"

struct net;

struct net_opts {
	const char *run_dir;     /* records and pins; NULL: NET_RUN_DIR */
	const char *config_path; /* node configuration; NULL: /usbkey/config */
};

/* opts NULL: the defaults, which are right for everything but tests. */
int net_open(const struct net_opts *opts, struct net **ret, struct error *err);
void net_close(struct net *n);
DEFINE_CLEANUP(net_close, struct net *);
#define cleanup_net CLEANUP(net_closep)

/* The kernel's name of a device of the switch itself: vp7, sp7, sq7. */
bool net_is_port_name(const char *s);
/* A name dladm takes: letters, digits, '_' and '.', letter first, digit last, at most 15. */
bool net_is_link_name(const char *s);

#endif
