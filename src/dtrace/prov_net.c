/*
 * ip, tcp, udp: packets on their way out and in, and the states of connections.
 * Sending is seen where the IP layer has made all headers, receiving where the
 * packet has found its socket.  One packet may be many on the wire (offloads).
 *
 * Where connections are made there is no packet at hand, and where one is refused
 * there is the one that is answered: arg7 says which, and lib/ip.d
 * and lib/tcp.d tell of the packet as it is sent or was received.
 */
#include "dtrace/stable.h"

#define PKT(e) {.expr = e, .native = "struct sk_buff *", .xlate = "pktinfo_t *"}
#define CS(e) {.expr = e, .native = "struct sock *", .xlate = "csinfo_t *"}
#define IP(e) {.expr = e, .native = "struct sk_buff *", .xlate = "ipinfo_t *"}
/* tcp's: of one type, whether there is a packet or only the socket, so that a clause may have both. */
#define PACKET(e) {.expr = "(d_packet_t *)" e, .native = "d_packet_t *", .xlate = "ipinfo_t *"}
#define NO_PACKET(sk) PACKET("((uint64_t)" sk " + 1)")
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

/* Forwarded packets, too. */
static const struct stable_probe ip_rows[] = {
	{"receive", "entry ip_local_deliver", NULL,
	 IP_ARGS("args[0]", "args[0]->sk", "args[0]->dev", V4(0), "0")},
	{"receive", "entry ip6_input", NULL,
	 IP_ARGS("args[0]", "args[0]->sk", "args[0]->dev", "0", V6(0))},
	{"receive", "entry ip_forward", NULL,
	 IP_ARGS("args[0]", "args[0]->sk", "args[0]->dev", V4(0), "0")},
	{"receive", "entry ip6_forward", NULL,
	 IP_ARGS("args[0]", "args[0]->sk", "args[0]->dev", "0", V6(0))},
	{"send", "entry ip_output", NULL, IP_ARGS("args[2]", "args[1]", ROUTE_DEV, V4(2), "0")},
	{"send", "entry ip_mc_output", NULL, IP_ARGS("args[2]", "args[1]", ROUTE_DEV, V4(2), "0")},
	{"send", "entry ip6_output", NULL, IP_ARGS("args[2]", "args[1]", ROUTE_DEV, "0", V6(2))},
};

#define TCP_OUT {PKT("args[2]"), CS("args[1]"), PACKET("args[2]"), TCPS("args[1]"),            \
		 TCP(TRANS_HDR(2, "struct tcphdr"))}
#define TCP_IN {PKT("args[1]"), CS("args[0]"), PACKET("args[1]"), TCPS("args[0]"),             \
		TCP(TRANS_HDR(1, "struct tcphdr"))}
/* Of a packet that was not found a connection for; of what is left of one in TIME_WAIT. */
#define TCP_NO_SOCK {PKT("args[1]"), CS("0"), PACKET("args[1]"), TCPS("0"), TCP(TRANS_HDR(1, "struct tcphdr"))}
#define TCP_OF(sk, how, ...)                                                                 \
	{PKT("0"), CS(sk), NO_PACKET(sk), TCPS(sk), TCP("0"), __VA_ARGS__, MORE(how)}
#define OLD_STATE(e) {.expr = e, .native = "int", .xlate = "tcplsinfo_t *"}
/* The answer to args[1]. */
#define TCP_REFUSED {PKT("args[1]"), CS("args[0]"), PACKET("args[1]"), TCPS("args[0]"),          \
		     TCP(TRANS_HDR(1, "struct tcphdr")), MORE("d_answered")}
#define STATE "args[0]->__sk_common.skc_state"
#define HEADER "(" TRANS_HDR(1, "struct tcphdr") ")"
#define SYN HEADER "->syn"
/* Linux's states: 1 ESTABLISHED, 2 SYN_SENT, 3 SYN_RECV, 10 LISTEN */
/*
 * A SYN makes a request, and the ACK of our answer a socket of that: a copy of the listener, whose
 * addresses it still has when it enters SYN_RECV.  So the request is what is shown to enter it.
 */
#define IS_CHILD "(args[1] == 10 && args[2] == 3)"
/*
 * What waits in TIME_WAIT, or of a closed socket in FIN_WAIT_2, is a shadow of the socket, which
 * itself is closed.  The latter enters TIME_WAIT when the peer's FIN comes.
 */
#define LAST_FIN                                                                             \
	"args[0]->tw_substate == 5 && " HEADER "->fin && " HEADER "->ack && !" HEADER "->rst && !" \
	HEADER "->syn && ((struct tcp_skb_cb *)&args[1]->cb[0])->end_seq == "                 \
	"args[0]->__tw_common.skc_tw_rcv_nxt + 1"

static const struct stable_probe tcp_rows[] = {
	{"accept-established", "tp inet_sock_set_state", "args[1] == 3 && args[2] == 1",
	 TCP_OF("args[0]", "d_received | args[2]", OLD_STATE("args[1]"))},
	{"accept-refused", "entry tcp_v4_send_reset", SYN, TCP_REFUSED},
	{"accept-refused", "entry tcp_v6_send_reset", SYN, TCP_REFUSED},
	{"connect-established", "tp inet_sock_set_state", "args[1] == 2 && args[2] == 1",
	 TCP_OF("args[0]", "d_received | args[2]", OLD_STATE("args[1]"))},
	{"connect-refused", "entry tcp_reset", STATE " == 2", TCP_IN},
	{"connect-request", "entry tcp_connect", NULL, TCP_OF("args[0]", "d_sent", OLD_STATE("0"))},
	{"receive", "entry tcp_v4_do_rcv", NULL, TCP_IN},
	{"receive", "entry tcp_v6_do_rcv", "args[1]->protocol != 8", TCP_IN}, /* not IPv4 inside */
	{"receive", "entry tcp_child_process", NULL,
	 {PKT("args[2]"), CS("args[1]"), PACKET("args[2]"), TCPS("args[1]"),
	  TCP(TRANS_HDR(2, "struct tcphdr"))}},
	{"receive", "entry tcp_v4_send_reset", "args[0] == 0", TCP_NO_SOCK},
	{"receive", "entry tcp_v6_send_reset", "args[0] == 0", TCP_NO_SOCK},
	{"receive", "entry tcp_timewait_state_process", NULL,
	 {PKT("args[1]"), CS("(struct sock *)args[0]"), PACKET("args[1]"),
	  TCPS("(struct sock *)args[0]"), TCP(TRANS_HDR(1, "struct tcphdr"))}},
	{"send", "entry ip_output", "(" V4(2) ")->protocol == 6", TCP_OUT},
	{"send", "entry ip6_output", "(" V6(2) ")->nexthdr == 6", TCP_OUT},
	{"state-change", "tp inet_sock_set_state", "args[0]->sk_protocol == 6 && !" IS_CHILD,
	 TCP_OF("args[0]", "args[2]", OLD_STATE("args[1]"))},
	{"state-change", "entry inet_csk_reqsk_queue_hash_add", "args[0]->sk_protocol == 6",
	 TCP_OF("((struct sock *)args[1])", "3", OLD_STATE("10"))},
	{"state-change", "entry tcp_time_wait", "args[1] == 6",
	 TCP_OF("args[0]", "6", OLD_STATE(STATE))},
	{"state-change", "entry tcp_timewait_state_process", LAST_FIN,
	 TCP_OF("((struct sock *)args[0])", "6", OLD_STATE("5"))},
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
