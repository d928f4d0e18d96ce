/* The network, as the providers ip, tcp and udp show it. */
#pragma D depends_on library types.d
#pragma D depends_on library procfs.d

inline int AF_INET = 2;
inline int AF_INET6 = 10;
inline int ARPHRD_ETHER = 1;
inline int ARPHRD_INFINIBAND = 32;
inline int IPPROTO_IP = 0;
inline int IPPROTO_HOPOPTS = 0;
inline int IPPROTO_ICMP = 1;
inline int IPPROTO_IGMP = 2;
inline int IPPROTO_GGP = 3;
inline int IPPROTO_IPIP = 4;
inline int IPPROTO_ENCAP = 4;
inline int IPPROTO_TCP = 6;
inline int IPPROTO_EGP = 8;
inline int IPPROTO_PUP = 12;
inline int IPPROTO_UDP = 17;
inline int IPPROTO_IDP = 22;
inline int IPPROTO_TP = 29;
inline int IPPROTO_DCCP = 33;
inline int IPPROTO_IPV6 = 41;
inline int IPPROTO_ROUTING = 43;
inline int IPPROTO_FRAGMENT = 44;
inline int IPPROTO_RSVP = 46;
inline int IPPROTO_GRE = 47;
inline int IPPROTO_ESP = 50;
inline int IPPROTO_AH = 51;
inline int IPPROTO_ICMPV6 = 58;
inline int IPPROTO_NONE = 59;
inline int IPPROTO_DSTOPTS = 60;
inline int IPPROTO_HELLO = 63;
inline int IPPROTO_ND = 77;
inline int IPPROTO_EON = 80;
inline int IPPROTO_OSPF = 89;
inline int IPPROTO_MTP = 92;
inline int IPPROTO_PIM = 103;
inline int IPPROTO_COMP = 108;
inline int IPPROTO_SCTP = 132;
inline int IPPROTO_MH = 135;
inline int IPPROTO_UDPLITE = 136;
inline int IPPROTO_RAW = 255;
inline int IPPROTO_MAX = 256;

/* Bits of ipv4_flags. */
inline int IPH_DF = 4;	/* not to be fragmented */
inline int IPH_MF = 2;	/* more fragments follow */

typedef struct pktinfo {
	uintptr_t pkt_addr;	/* struct sk_buff */
} pktinfo_t;

typedef struct csinfo {
	uintptr_t cs_addr;	/* struct sock */
	uint64_t cs_cid;	/* the same: unique among those that are there */
	pid_t cs_pid;		/* of what is sent: who is at work; else -1: sockets do not say whose they are */
	zoneid_t cs_zoneid;	/* its zone, or -1 */
} csinfo_t;

typedef struct ipinfo {
	uint8_t ip_ver;
	uint32_t ip_plength;	/* bytes behind the IP header */
	string ip_saddr;
	string ip_daddr;
} ipinfo_t;

typedef struct ifinfo {
	string if_name;
	int8_t if_local;	/* to ourselves: the loopback */
	netstackid_t if_ipstack;	/* number of its network namespace, as in /proc/PID/ns/net */
	uintptr_t if_addr;	/* struct net_device */
} ifinfo_t;

typedef struct ipv4info {
	uint8_t ipv4_ver;
	uint8_t ipv4_ihl;	/* bytes of the header */
	uint8_t ipv4_tos;
	uint16_t ipv4_length;
	uint16_t ipv4_ident;
	uint8_t ipv4_flags;	/* IPH_DF, IPH_MF */
	uint16_t ipv4_offset;	/* of a fragment, in units of 8 bytes */
	uint8_t ipv4_ttl;
	uint8_t ipv4_protocol;
	string ipv4_protostr;
	uint16_t ipv4_checksum;
	ipaddr_t ipv4_src;	/* as on the wire */
	ipaddr_t ipv4_dst;
	string ipv4_saddr;
	string ipv4_daddr;
	struct iphdr *ipv4_hdr;
} ipv4info_t;

typedef struct ipv6info {
	uint8_t ipv6_ver;
	uint8_t ipv6_tclass;
	uint32_t ipv6_flow;
	uint16_t ipv6_plen;
	uint8_t ipv6_nexthdr;
	string ipv6_nextstr;
	uint8_t ipv6_hlim;
	in6_addr_t *ipv6_src;
	in6_addr_t *ipv6_dst;
	string ipv6_saddr;
	string ipv6_daddr;
	struct ipv6hdr *ipv6_hdr;
} ipv6info_t;

typedef struct conninfo {
	string ci_local;
	string ci_remote;
	string ci_protocol;	/* "ipv4", "ipv6" */
} conninfo_t;

translator pktinfo_t < struct sk_buff *S > {
	pkt_addr = (uintptr_t)S;
};

translator csinfo_t < struct sock *S > {
	cs_addr = (uintptr_t)S;
	cs_cid = (uintptr_t)S;
	cs_pid = probename == "send" || probename == "connect-request" ? pid : -1;
	cs_zoneid = probename == "send" || probename == "connect-request" ? curpsinfo->pr_zoneid : -1;
};

inline string d_proto[int p] =
	p == IPPROTO_TCP ? "TCP" : p == IPPROTO_UDP ? "UDP" : p == IPPROTO_IP ? "IP" :
	p == IPPROTO_ICMP ? "ICMP" : p == IPPROTO_IGMP ? "IGMP" : p == IPPROTO_EGP ? "EGP" :
	p == IPPROTO_IPV6 ? "IPv6" : p == IPPROTO_ROUTING ? "ROUTE" : p == IPPROTO_ESP ? "ESP" :
	p == IPPROTO_AH ? "AH" : p == IPPROTO_ICMPV6 ? "ICMPv6" : p == IPPROTO_OSPF ? "OSPF" :
	p == IPPROTO_SCTP ? "SCTP" : p == IPPROTO_RAW ? "RAW" : lltostr(p);

inline struct iphdr *d_ip4[struct sk_buff *S] =
	(struct iphdr *)(S->head + S->network_header);
inline struct ipv6hdr *d_ip6[struct sk_buff *S] =
	(struct ipv6hdr *)(S->head + S->network_header);

/*
 * arg7 of tcp's probes: what the packet at hand does not say, or that there is none.  The low half
 * is the state that the connection is about to enter.
 */
inline int d_answered = 0x10;	/* the packet is the one that ours answers */
inline int d_sent = 0x20;	/* none: we are about to send it */
inline int d_received = 0x40;	/* none: we have got it */

inline string d_ip4_end[struct sk_buff *S, int source] =
	source ? inet_ntoa(&d_ip4[S]->saddr) : inet_ntoa(&d_ip4[S]->daddr);
inline string d_ip6_end[struct sk_buff *S, int source] =
	source ? inet_ntoa6(&d_ip6[S]->saddr) : inet_ntoa6(&d_ip6[S]->daddr);

translator ipinfo_t < struct sk_buff *S > {
	ip_ver = d_ip4[S]->version;
	ip_plength = d_ip4[S]->version == 6 ? ntohs(d_ip6[S]->payload_len) :
	    ntohs(d_ip4[S]->tot_len) - 4 * d_ip4[S]->ihl;
	ip_saddr = d_ip4[S]->version == 6 ? d_ip6_end[S, (arg7 & d_answered) == 0] :
	    d_ip4_end[S, (arg7 & d_answered) == 0];
	ip_daddr = d_ip4[S]->version == 6 ? d_ip6_end[S, (arg7 & d_answered) != 0] :
	    d_ip4_end[S, (arg7 & d_answered) != 0];
};

inline string d_local_addr[struct sock *S] =
	S->__sk_common.skc_family == AF_INET6 ? inet_ntoa6(&S->__sk_common.skc_v6_rcv_saddr) :
	    inet_ntoa(&S->__sk_common.skc_rcv_saddr);
inline string d_remote_addr[struct sock *S] =
	S->__sk_common.skc_family == AF_INET6 ? inet_ntoa6(&S->__sk_common.skc_v6_daddr) :
	    inet_ntoa(&S->__sk_common.skc_daddr);

/* Of a connection, when there is no packet. */
translator ipinfo_t < struct sock *S > {
	ip_ver = S->__sk_common.skc_family == AF_INET6 ? 6 : 4;
	ip_plength = 0;
	ip_saddr = arg7 & d_received ? d_remote_addr[S] : d_local_addr[S];
	ip_daddr = arg7 & d_received ? d_local_addr[S] : d_remote_addr[S];
};

/* What tcp's probes have: a struct sk_buff, or, at an odd address, the struct sock before it. */
typedef struct d_packet {
	char d_kind;
} d_packet_t;

inline struct sk_buff *d_packet_skb[d_packet_t *P] = (struct sk_buff *)P;
inline struct sock *d_packet_sock[d_packet_t *P] = (struct sock *)((uint64_t)P - 1);

translator ipinfo_t < d_packet_t *P > {
	ip_ver = (uint64_t)P & 1 ? xlate <ipinfo_t> (d_packet_sock[P]).ip_ver :
	    xlate <ipinfo_t> (d_packet_skb[P]).ip_ver;
	ip_plength = (uint64_t)P & 1 ? xlate <ipinfo_t> (d_packet_sock[P]).ip_plength :
	    xlate <ipinfo_t> (d_packet_skb[P]).ip_plength;
	ip_saddr = (uint64_t)P & 1 ? xlate <ipinfo_t> (d_packet_sock[P]).ip_saddr :
	    xlate <ipinfo_t> (d_packet_skb[P]).ip_saddr;
	ip_daddr = (uint64_t)P & 1 ? xlate <ipinfo_t> (d_packet_sock[P]).ip_daddr :
	    xlate <ipinfo_t> (d_packet_skb[P]).ip_daddr;
};

translator ipinfo_t < struct iphdr *I > {
	ip_ver = I == 0 ? 0 : I->version;
	ip_plength = I == 0 ? 0 : ntohs(I->tot_len) - 4 * I->ihl;
	ip_saddr = I == 0 ? "<unknown>" : inet_ntoa(&I->saddr);
	ip_daddr = I == 0 ? "<unknown>" : inet_ntoa(&I->daddr);
};

translator ipinfo_t < struct ipv6hdr *I > {
	ip_ver = I == 0 ? 0 : I->version;
	ip_plength = I == 0 ? 0 : ntohs(I->payload_len);
	ip_saddr = I == 0 ? "<unknown>" : inet_ntoa6(&I->saddr);
	ip_daddr = I == 0 ? "<unknown>" : inet_ntoa6(&I->daddr);
};

translator ifinfo_t < struct net_device *D > {
	if_name = D == 0 ? "<null>" : stringof(D->name);
	if_local = D == 0 ? 0 : D->type == 772;	/* ARPHRD_LOOPBACK */
	if_ipstack = D == 0 ? 0 : D->nd_net.net->ns.inum;
	if_addr = (uintptr_t)D;
};

translator ipv4info_t < struct iphdr *I > {
	ipv4_ver = I == 0 ? 0 : I->version;
	ipv4_ihl = I == 0 ? 0 : 4 * I->ihl;
	ipv4_tos = I == 0 ? 0 : I->tos;
	ipv4_length = I == 0 ? 0 : ntohs(I->tot_len);
	ipv4_ident = I == 0 ? 0 : ntohs(I->id);
	ipv4_flags = I == 0 ? 0 : ntohs(I->frag_off) >> 12 & 6;
	ipv4_offset = I == 0 ? 0 : ntohs(I->frag_off) & 0x1fff;
	ipv4_ttl = I == 0 ? 0 : I->ttl;
	ipv4_protocol = I == 0 ? 0 : I->protocol;
	ipv4_protostr = I == 0 ? "<null>" : d_proto[I->protocol];
	ipv4_checksum = I == 0 ? 0 : ntohs(I->check);
	ipv4_src = I == 0 ? 0 : I->saddr;
	ipv4_dst = I == 0 ? 0 : I->daddr;
	ipv4_saddr = I == 0 ? "<null>" : inet_ntoa(&I->saddr);
	ipv4_daddr = I == 0 ? "<null>" : inet_ntoa(&I->daddr);
	ipv4_hdr = I;
};

translator ipv6info_t < struct ipv6hdr *I > {
	ipv6_ver = I == 0 ? 0 : I->version;
	ipv6_tclass = I == 0 ? 0 : I->priority << 4 | I->flow_lbl[0] >> 4;
	ipv6_flow = I == 0 ? 0 : (I->flow_lbl[0] & 15) << 16 | I->flow_lbl[1] << 8 | I->flow_lbl[2];
	ipv6_plen = I == 0 ? 0 : ntohs(I->payload_len);
	ipv6_nexthdr = I == 0 ? 0 : I->nexthdr;
	ipv6_nextstr = I == 0 ? "<null>" : d_proto[I->nexthdr];
	ipv6_hlim = I == 0 ? 0 : I->hop_limit;
	ipv6_src = I == 0 ? 0 : &I->saddr;
	ipv6_dst = I == 0 ? 0 : &I->daddr;
	ipv6_saddr = I == 0 ? "<null>" : inet_ntoa6(&I->saddr);
	ipv6_daddr = I == 0 ? "<null>" : inet_ntoa6(&I->daddr);
	ipv6_hdr = I;
};

translator conninfo_t < struct sock *S > {
	ci_local = S == 0 ? "<unknown>" : d_local_addr[S];
	ci_remote = S == 0 ? "<unknown>" : d_remote_addr[S];
	ci_protocol = S == 0 ? "<unknown>" : S->__sk_common.skc_family == AF_INET6 ? "ipv6" : "ipv4";
};
