/* The network, as the providers ip, tcp and udp show it. */
#pragma D depends_on library types.d

inline int AF_INET = 2;
inline int AF_INET6 = 10;
inline int ARPHRD_ETHER = 1;
inline int ARPHRD_INFINIBAND = 32;
inline int IPPROTO_ICMP = 1;
inline int IPPROTO_TCP = 6;
inline int IPPROTO_UDP = 17;
inline int IPPROTO_ICMPV6 = 58;

typedef struct pktinfo {
	uintptr_t pkt_addr;	/* struct sk_buff */
} pktinfo_t;

typedef struct csinfo {
	uintptr_t cs_addr;	/* struct sock */
	uint64_t cs_cid;	/* the socket's cookie, or its address */
	pid_t cs_pid;
	string cs_zone;
} csinfo_t;

typedef struct ipinfo {
	uint8_t ip_ver;
	uint32_t ip_plength;	/* bytes behind the IP header */
	string ip_saddr;
	string ip_daddr;
} ipinfo_t;

typedef struct ifinfo {
	string if_name;
	int8_t if_local;
	netstackid_t if_ipstack;
	uintptr_t if_addr;	/* struct net_device */
} ifinfo_t;

typedef struct ipv4info {
	uint8_t ipv4_ver;
	uint8_t ipv4_ihl;
	uint8_t ipv4_tos;
	uint16_t ipv4_length;
	uint16_t ipv4_ident;
	uint8_t ipv4_flags;
	uint16_t ipv4_offset;
	uint8_t ipv4_ttl;
	uint8_t ipv4_protocol;
	string ipv4_protostr;
	uint16_t ipv4_checksum;
	uint32_t ipv4_src;
	uint32_t ipv4_dst;
	string ipv4_saddr;
	string ipv4_daddr;
	uintptr_t ipv4_hdr;	/* struct iphdr */
} ipv4info_t;

typedef struct ipv6info {
	uint8_t ipv6_ver;
	uint8_t ipv6_tclass;
	uint32_t ipv6_flow;
	uint16_t ipv6_plen;
	uint8_t ipv6_nexthdr;
	string ipv6_nextstr;
	uint8_t ipv6_hlim;
	string ipv6_saddr;
	string ipv6_daddr;
	uintptr_t ipv6_hdr;	/* struct ipv6hdr */
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
	cs_pid = pid;
	cs_zone = zonename;
};

inline string d_proto[int p] =
	p == IPPROTO_TCP ? "TCP" : p == IPPROTO_UDP ? "UDP" : p == IPPROTO_ICMP ? "ICMP" :
	p == IPPROTO_ICMPV6 ? "ICMPV6" : "<unknown>";

inline struct iphdr *d_ip4[struct sk_buff *S] =
	(struct iphdr *)(S->head + S->network_header);
inline struct ipv6hdr *d_ip6[struct sk_buff *S] =
	(struct ipv6hdr *)(S->head + S->network_header);

translator ipinfo_t < struct sk_buff *S > {
	ip_ver = d_ip4[S]->version;
	ip_plength = d_ip4[S]->version == 6 ? ntohs(d_ip6[S]->payload_len) :
	    ntohs(d_ip4[S]->tot_len) - 4 * d_ip4[S]->ihl;
	ip_saddr = d_ip4[S]->version == 6 ? inet_ntoa6(&d_ip6[S]->saddr) : inet_ntoa(&d_ip4[S]->saddr);
	ip_daddr = d_ip4[S]->version == 6 ? inet_ntoa6(&d_ip6[S]->daddr) : inet_ntoa(&d_ip4[S]->daddr);
};

/* A connection, when there is no packet. */
translator ipinfo_t < struct sock *S > {
	ip_ver = S->__sk_common.skc_family == AF_INET6 ? 6 : 4;
	ip_plength = 0;
	ip_saddr = S->__sk_common.skc_family == AF_INET6 ?
	    inet_ntoa6(&S->__sk_common.skc_v6_rcv_saddr) : inet_ntoa(&S->__sk_common.skc_rcv_saddr);
	ip_daddr = S->__sk_common.skc_family == AF_INET6 ?
	    inet_ntoa6(&S->__sk_common.skc_v6_daddr) : inet_ntoa(&S->__sk_common.skc_daddr);
};

translator ifinfo_t < struct net_device *D > {
	if_name = D == 0 ? "<none>" : stringof(D->name);
	if_local = D == 0 ? 0 : D->type == 772;
	if_ipstack = 0;
	if_addr = (uintptr_t)D;
};

translator ipv4info_t < struct iphdr *I > {
	ipv4_ver = I == 0 ? 0 : I->version;
	ipv4_ihl = I == 0 ? 0 : 4 * I->ihl;
	ipv4_tos = I == 0 ? 0 : I->tos;
	ipv4_length = I == 0 ? 0 : ntohs(I->tot_len);
	ipv4_ident = I == 0 ? 0 : ntohs(I->id);
	ipv4_flags = I == 0 ? 0 : ntohs(I->frag_off) >> 13;
	ipv4_offset = I == 0 ? 0 : ntohs(I->frag_off) & 0x1fff;
	ipv4_ttl = I == 0 ? 0 : I->ttl;
	ipv4_protocol = I == 0 ? 0 : I->protocol;
	ipv4_protostr = I == 0 ? "<null>" : d_proto[I->protocol];
	ipv4_checksum = I == 0 ? 0 : ntohs(I->check);
	ipv4_src = I == 0 ? 0 : I->saddr;
	ipv4_dst = I == 0 ? 0 : I->daddr;
	ipv4_saddr = I == 0 ? "<null>" : inet_ntoa(&I->saddr);
	ipv4_daddr = I == 0 ? "<null>" : inet_ntoa(&I->daddr);
	ipv4_hdr = (uintptr_t)I;
};

translator ipv6info_t < struct ipv6hdr *I > {
	ipv6_ver = I == 0 ? 0 : I->version;
	ipv6_tclass = I == 0 ? 0 : I->priority << 4 | I->flow_lbl[0] >> 4;
	ipv6_flow = I == 0 ? 0 : (I->flow_lbl[0] & 15) << 16 | I->flow_lbl[1] << 8 | I->flow_lbl[2];
	ipv6_plen = I == 0 ? 0 : ntohs(I->payload_len);
	ipv6_nexthdr = I == 0 ? 0 : I->nexthdr;
	ipv6_nextstr = I == 0 ? "<null>" : d_proto[I->nexthdr];
	ipv6_hlim = I == 0 ? 0 : I->hop_limit;
	ipv6_saddr = I == 0 ? "<null>" : inet_ntoa6(&I->saddr);
	ipv6_daddr = I == 0 ? "<null>" : inet_ntoa6(&I->daddr);
	ipv6_hdr = (uintptr_t)I;
};

translator conninfo_t < struct sock *S > {
	ci_local = S->__sk_common.skc_family == AF_INET6 ?
	    inet_ntoa6(&S->__sk_common.skc_v6_rcv_saddr) : inet_ntoa(&S->__sk_common.skc_rcv_saddr);
	ci_remote = S->__sk_common.skc_family == AF_INET6 ?
	    inet_ntoa6(&S->__sk_common.skc_v6_daddr) : inet_ntoa(&S->__sk_common.skc_daddr);
	ci_protocol = S->__sk_common.skc_family == AF_INET6 ? "ipv6" : "ipv4";
};
