/* TCP and UDP, as the providers tcp and udp show them. */
#pragma D depends_on library ip.d

inline uint8_t TH_FIN = 0x01;
inline uint8_t TH_SYN = 0x02;
inline uint8_t TH_RST = 0x04;
inline uint8_t TH_PUSH = 0x08;
inline uint8_t TH_ACK = 0x10;
inline uint8_t TH_URG = 0x20;
inline uint8_t TH_ECE = 0x40;
inline uint8_t TH_CWR = 0x80;

/* Linux's numbers of the states. */
inline int TCP_STATE_ESTABLISHED = 1;
inline int TCP_STATE_SYN_SENT = 2;
inline int TCP_STATE_SYN_RECEIVED = 3;
inline int TCP_STATE_FIN_WAIT_1 = 4;
inline int TCP_STATE_FIN_WAIT_2 = 5;
inline int TCP_STATE_TIME_WAIT = 6;
inline int TCP_STATE_CLOSED = 7;
inline int TCP_STATE_CLOSE_WAIT = 8;
inline int TCP_STATE_LAST_ACK = 9;
inline int TCP_STATE_LISTEN = 10;
inline int TCP_STATE_CLOSING = 11;

inline string tcp_state_string[int state] =
	state == 1 ? "state-established" : state == 2 ? "state-syn-sent" :
	state == 3 ? "state-syn-received" : state == 4 ? "state-fin-wait-1" :
	state == 5 ? "state-fin-wait-2" : state == 6 ? "state-time-wait" :
	state == 7 ? "state-closed" : state == 8 ? "state-close-wait" :
	state == 9 ? "state-last-ack" : state == 10 ? "state-listen" :
	state == 11 ? "state-closing" : "<unknown>";

typedef struct tcpinfo {
	uint16_t tcp_sport;
	uint16_t tcp_dport;
	uint32_t tcp_seq;
	uint32_t tcp_ack;
	uint8_t tcp_offset;	/* bytes of the header */
	uint8_t tcp_flags;
	uint16_t tcp_window;
	uint16_t tcp_checksum;
	uint16_t tcp_urgent;
	uintptr_t tcp_hdr;	/* struct tcphdr */
} tcpinfo_t;

typedef struct tcpsinfo {
	uintptr_t tcps_addr;	/* struct sock */
	int tcps_local;
	int tcps_active;
	uint16_t tcps_lport;
	uint16_t tcps_rport;
	string tcps_laddr;
	string tcps_raddr;
	int32_t tcps_state;
	uint32_t tcps_iss;
	uint32_t tcps_suna;
	uint32_t tcps_snxt;
	uint32_t tcps_rnxt;
	uint32_t tcps_swnd;
	int32_t tcps_snd_ws;
	uint32_t tcps_rwnd;
	int32_t tcps_rcv_ws;
	uint32_t tcps_cwnd;
	uint32_t tcps_cwnd_ssthresh;
	uint32_t tcps_mss;
	uint32_t tcps_rtt;	/* microseconds */
	int tcps_retransmit;
} tcpsinfo_t;

typedef struct tcplsinfo {
	int32_t tcps_state;	/* before the change */
} tcplsinfo_t;

typedef struct udpinfo {
	uint16_t udp_sport;
	uint16_t udp_dport;
	uint16_t udp_length;
	uint16_t udp_checksum;
	uintptr_t udp_hdr;	/* struct udphdr */
} udpinfo_t;

typedef struct udpsinfo {
	uintptr_t udps_addr;	/* struct sock */
	uint16_t udps_lport;
	uint16_t udps_rport;
	string udps_laddr;
	string udps_raddr;
} udpsinfo_t;

translator tcpinfo_t < struct tcphdr *T > {
	tcp_sport = T == 0 ? 0 : ntohs(T->source);
	tcp_dport = T == 0 ? 0 : ntohs(T->dest);
	tcp_seq = T == 0 ? 0 : ntohl(T->seq);
	tcp_ack = T == 0 ? 0 : ntohl(T->ack_seq);
	tcp_offset = T == 0 ? 0 : 4 * T->doff;
	tcp_flags = T == 0 ? 0 : *((uint8_t *)T + 13);
	tcp_window = T == 0 ? 0 : ntohs(T->window);
	tcp_checksum = T == 0 ? 0 : ntohs(T->check);
	tcp_urgent = T == 0 ? 0 : ntohs(T->urg_ptr);
	tcp_hdr = (uintptr_t)T;
};

inline struct tcphdr *d_tcp[struct sk_buff *S] =
	(struct tcphdr *)(S->head + S->transport_header);
inline struct udphdr *d_udp[struct sk_buff *S] =
	(struct udphdr *)(S->head + S->transport_header);

translator tcpinfo_t < struct sk_buff *S > {
	tcp_sport = ntohs(d_tcp[S]->source);
	tcp_dport = ntohs(d_tcp[S]->dest);
	tcp_seq = ntohl(d_tcp[S]->seq);
	tcp_ack = ntohl(d_tcp[S]->ack_seq);
	tcp_offset = 4 * d_tcp[S]->doff;
	tcp_flags = *((uint8_t *)d_tcp[S] + 13);
	tcp_window = ntohs(d_tcp[S]->window);
	tcp_checksum = ntohs(d_tcp[S]->check);
	tcp_urgent = ntohs(d_tcp[S]->urg_ptr);
	tcp_hdr = (uintptr_t)d_tcp[S];
};

translator tcpsinfo_t < struct sock *S > {
	tcps_addr = (uintptr_t)S;
	tcps_local = S->__sk_common.skc_daddr == S->__sk_common.skc_rcv_saddr;
	tcps_active = 0;
	tcps_lport = S->__sk_common.skc_num;
	tcps_rport = ntohs(S->__sk_common.skc_dport);
	tcps_laddr = xlate <conninfo_t> (S).ci_local;
	tcps_raddr = xlate <conninfo_t> (S).ci_remote;
	tcps_state = S->__sk_common.skc_state;
	tcps_iss = 0;
	tcps_suna = ((struct tcp_sock *)S)->snd_una;
	tcps_snxt = ((struct tcp_sock *)S)->snd_nxt;
	tcps_rnxt = ((struct tcp_sock *)S)->rcv_nxt;
	tcps_swnd = ((struct tcp_sock *)S)->snd_wnd;
	tcps_snd_ws = ((struct tcp_sock *)S)->rx_opt.snd_wscale;
	tcps_rwnd = ((struct tcp_sock *)S)->rcv_wnd;
	tcps_rcv_ws = ((struct tcp_sock *)S)->rx_opt.rcv_wscale;
	tcps_cwnd = ((struct tcp_sock *)S)->snd_cwnd;
	tcps_cwnd_ssthresh = ((struct tcp_sock *)S)->snd_ssthresh;
	tcps_mss = ((struct tcp_sock *)S)->mss_cache;
	tcps_rtt = ((struct tcp_sock *)S)->srtt_us >> 3;
	tcps_retransmit = ((struct tcp_sock *)S)->retrans_out > 0;
};

translator tcplsinfo_t < int I > {
	tcps_state = I;
};

translator udpinfo_t < struct udphdr *U > {
	udp_sport = U == 0 ? 0 : ntohs(U->source);
	udp_dport = U == 0 ? 0 : ntohs(U->dest);
	udp_length = U == 0 ? 0 : ntohs(U->len);
	udp_checksum = U == 0 ? 0 : ntohs(U->check);
	udp_hdr = (uintptr_t)U;
};

translator udpinfo_t < struct sk_buff *S > {
	udp_sport = ntohs(d_udp[S]->source);
	udp_dport = ntohs(d_udp[S]->dest);
	udp_length = ntohs(d_udp[S]->len);
	udp_checksum = ntohs(d_udp[S]->check);
	udp_hdr = (uintptr_t)d_udp[S];
};

translator udpsinfo_t < struct sock *S > {
	udps_addr = (uintptr_t)S;
	udps_lport = S->__sk_common.skc_num;
	udps_rport = ntohs(S->__sk_common.skc_dport);
	udps_laddr = xlate <conninfo_t> (S).ci_local;
	udps_raddr = xlate <conninfo_t> (S).ci_remote;
};
