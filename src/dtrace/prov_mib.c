/*
 * mib: where the counters of the network's protocols are raised, by illumos' names.  arg0 is by how
 * much.  Linux raises most of them in the middle of a function (/proc/net/snmp has all of them): those
 * that a whole function, its result or a tracepoint stands for are here.
 */
#include "dtrace/stable.h"

#define ONE {INT("1")}
#define STATE "args[0]->__sk_common.skc_state"
/* Linux's states: 1 ESTABLISHED, 2 SYN_SENT, 3 SYN_RECV, 7 CLOSE, 8 CLOSE_WAIT */

static const struct stable_probe rows[] = {
	{"icmpInMsgs", "entry icmp_rcv", NULL, ONE},
	{"ipIfStatsHCInDelivers", "entry ip_protocol_deliver_rcu", NULL, ONE},
	{"ipIfStatsHCInDelivers", "entry ip6_protocol_deliver_rcu", NULL, ONE},
	{"ipIfStatsHCOutRequests", "entry __ip_local_out", NULL, ONE},
	{"ipIfStatsHCOutRequests", "entry __ip6_local_out", NULL, ONE},
	{"tcpActiveOpens", "entry tcp_connect", NULL, ONE},
	{"tcpAttemptFails", "entry tcp_done", STATE " == 2 || " STATE " == 3", ONE},
	{"tcpEstabResets", "tp inet_sock_set_state",
	 "args[0]->sk_protocol == 6 && args[2] == 7 && (args[1] == 1 || args[1] == 8)", ONE},
	{"tcpHCInSegs", "entry tcp_v4_rcv", NULL, ONE},
	{"tcpHCInSegs", "entry tcp_v6_rcv", NULL, ONE},
	{"tcpOutRsts", "tp tcp_send_reset", NULL, ONE},
	{"tcpPassiveOpens", "return tcp_create_openreq_child", "ret != 0", ONE},
	{"tcpRetransSegs", "tp tcp_retransmit_skb", NULL, ONE},
	{"udpHCInDatagrams", "return udp_recvmsg", "ret >= 0", ONE},
	{"udpHCInDatagrams", "return udpv6_recvmsg", "ret >= 0", ONE},
	{"udpHCOutDatagrams", "return udp_sendmsg", "ret >= 0", ONE},
	{"udpHCOutDatagrams", "return udpv6_sendmsg", "ret >= 0", ONE},
};

STABLE_PROVIDER(mib, rows);
