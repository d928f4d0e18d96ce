/*
 * ip, tcp, udp: packets on their way out and in, and the states of connections.
 * Sending is seen where the IP layer has made all headers, receiving where the
 * packet has found its socket.  One packet may be many on the wire (offloads).
 */
#include "dtrace/stable.h"

#define PKT(e) {.expr = e, .native = "struct sk_buff *", .xlate = "pktinfo_t *"}
#define CS(e) {.expr = e, .native = "struct sock *", .xlate = "csinfo_t *"}
#define IP(e) {.expr = e, .native = "struct sk_buff *", .xlate = "ipinfo_t *"}
#define IP_OF_SOCK(e) {.expr = e, .native = "struct sock *", .xlate = "ipinfo_t *"}
#define IFACE(e) {.expr = e, .native = "struct net_device *", .xlate = "ifinfo_t *"}
#define IPV4(e) {.expr = e, .native = "struct iphdr *", .xlate = "ipv4info_t *"}
#define IPV6(e) {.expr = e, .native = "struct ipv6hdr *", .xlate = "ipv6info_t *"}
#define TCPS(e) {.expr = e, .native = "struct sock *", .xlate = "tcpsinfo_t *"}
#define TCP(e) {.expr = e, .native = "struct tcphdr *", .xlate = "tcpinfo_t *"}
#define UDPS(e) {.expr = e, .native = "struct sock *", .xlate = "udpsinfo_t *"}
#define UDP(e) {.expr = e, .native = "struct udphdr *", .xlate = "udpinfo_t *"}

/* Of the sk_buff that is the n-th parameter. */
#define NET_HDR(n, type) "(" type " *)(args[" #n "]->head + args[" #n "]->network_header)"
#define TRANS_HDR(n, type) "(" type " *)(args[" #n "]->head + args[" #n "]->transport_header)"
#define V4(n) NET_HDR(n, "struct iphdr")
#define V6(n) NET_HDR(n, "struct ipv6hdr")
#define ROUTE_DEV "((struct dst_entry *)(args[2]->_skb_refdst & ~1))->dev"

#define IP_ARGS(skb, sk, dev, v4, v6) \
	{PKT(skb), CS(sk), IP(skb), IFACE(dev), IPV4(v4), IPV6(v6)}

static const struct stable_probe ip_rows[] = {
	{"receive", "entry ip_local_deliver", NULL,
	 IP_ARGS("args[0]", "args[0]->sk", "args[0]->dev", V4(0), "0")},
	{"receive", "entry ip6_input", NULL,
	 IP_ARGS("args[0]", "args[0]->sk", "args[0]->dev", "0", V6(0))},
	{"send", "entry ip_output", NULL, IP_ARGS("args[2]", "args[1]", ROUTE_DEV, V4(2), "0")},
	{"send", "entry ip_mc_output", NULL, IP_ARGS("args[2]", "args[1]", ROUTE_DEV, V4(2), "0")},
	{"send", "entry ip6_output", NULL, IP_ARGS("args[2]", "args[1]", ROUTE_DEV, "0", V6(2))},
};

#define TCP_OUT {PKT("args[2]"), CS("args[1]"), IP("args[2]"), TCPS("args[1]"),            \
		 TCP(TRANS_HDR(2, "struct tcphdr"))}
#define TCP_IN {PKT("args[1]"), CS("args[0]"), IP("args[1]"), TCPS("args[0]"),             \
		TCP(TRANS_HDR(1, "struct tcphdr"))}
#define TCP_STATE {PKT("0"), CS("args[0]"), IP_OF_SOCK("args[0]"), TCPS("args[0]"), TCP("0"), \
		   {.expr = "args[1]", .native = "int", .xlate = "tcplsinfo_t *"}}
#define STATE "args[0]->__sk_common.skc_state"
/* Linux's states: 1 ESTABLISHED, 2 SYN_SENT, 3 SYN_RECV */

static const struct stable_probe tcp_rows[] = {
	{"accept-established", "tp inet_sock_set_state", "args[1] == 3 && args[2] == 1", TCP_STATE},
	{"accept-refused", "entry tcp_v4_send_reset", "(" TRANS_HDR(1, "struct tcphdr") ")->syn",
	 TCP_IN},
	{"accept-refused", "entry tcp_v6_send_reset", "(" TRANS_HDR(1, "struct tcphdr") ")->syn",
	 TCP_IN},
	{"connect-established", "tp inet_sock_set_state", "args[1] == 2 && args[2] == 1", TCP_STATE},
	{"connect-refused", "entry tcp_reset", STATE " == 2", TCP_IN},
	{"connect-request", "entry tcp_connect", NULL,
	 {PKT("0"), CS("args[0]"), IP_OF_SOCK("args[0]"), TCPS("args[0]"), TCP("0")}},
	{"receive", "entry tcp_v4_do_rcv", NULL, TCP_IN},
	{"receive", "entry tcp_v6_do_rcv", "args[1]->protocol != 8", TCP_IN}, /* not IPv4 inside */
	{"receive", "entry tcp_child_process", NULL,
	 {PKT("args[2]"), CS("args[1]"), IP("args[2]"), TCPS("args[1]"),
	  TCP(TRANS_HDR(2, "struct tcphdr"))}},
	{"send", "entry ip_output", "(" V4(2) ")->protocol == 6", TCP_OUT},
	{"send", "entry ip6_output", "(" V6(2) ")->nexthdr == 6", TCP_OUT},
	{"state-change", "tp inet_sock_set_state", "args[0]->sk_protocol == 6", TCP_STATE},
};

#define UDP_OUT {PKT("args[2]"), CS("args[1]"), IP("args[2]"), UDPS("args[1]"),            \
		 UDP(TRANS_HDR(2, "struct udphdr"))}

static const struct stable_probe udp_rows[] = {
	{"receive", "entry __udp_enqueue_schedule_skb", NULL,
	 {PKT("args[1]"), CS("args[0]"), IP("args[1]"), UDPS("args[0]"),
	  UDP(TRANS_HDR(1, "struct udphdr"))}},
	{"send", "entry ip_output", "(" V4(2) ")->protocol == 17", UDP_OUT},
	{"send", "entry ip_mc_output", "(" V4(2) ")->protocol == 17", UDP_OUT},
	{"send", "entry ip6_output", "(" V6(2) ")->nexthdr == 17", UDP_OUT},
};

STABLE_PROVIDER(ip, ip_rows);
STABLE_PROVIDER(tcp, tcp_rows);
STABLE_PROVIDER(udp, udp_rows);
