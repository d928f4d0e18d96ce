/* TCP and UDP, as the providers tcp and udp show them. */
#pragma D depends_on library ip.d

inline int TH_FIN = 0x01;
inline int TH_SYN = 0x02;
inline int TH_RST = 0x04;
inline int TH_PUSH = 0x08;
inline int TH_PSH = 0x08;
inline int TH_ACK = 0x10;
inline int TH_URG = 0x20;
inline int TH_ECE = 0x40;
inline int TH_CWR = 0x80;

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
/* Linux has none of these. */
inline int TCP_STATE_IDLE = -5;
inline int TCP_STATE_BOUND = -4;

inline int TCP_MIN_HEADER_LENGTH = 20;
inline int UDPH_SIZE = 8;

inline string tcp_state_string[int state] =
	state == 1 ? "state-established" : state == 2 ? "state-syn-sent" :
	state == 3 ? "state-syn-received" : state == 4 ? "state-fin-wait-1" :
	state == 5 ? "state-fin-wait-2" : state == 6 ? "state-time-wait" :
	state == 7 ? "state-closed" : state == 8 ? "state-close-wait" :
	state == 9 ? "state-last-ack" : state == 10 ? "state-listen" :
	state == 11 ? "state-closing" : state == 12 ? "state-syn-received" :
	state == -5 ? "state-idle" : state == -4 ? "state-bound" : "<unknown>";

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
	struct tcphdr *tcp_hdr;	/* 0: there is no packet at hand */
} tcpinfo_t;

typedef struct tcpsinfo {
	uintptr_t tcps_addr;	/* struct sock; 0: none has this packet */
	int tcps_local;		/* both ends are here */
	int tcps_active;	/* opened from here */
	uint16_t tcps_lport;
	uint16_t tcps_rport;
	string tcps_laddr;
	string tcps_raddr;
	int32_t tcps_state;	/* of state-change: the new one */
	uint32_t tcps_iss;	/* first sequence number sent */
	uint32_t tcps_suna;	/* sent, not acknowledged */
	uint32_t tcps_snxt;	/* next to be sent */
	uint32_t tcps_rack;	/* we acknowledged */
	uint32_t tcps_rnxt;	/* next expected */
	uint32_t tcps_swnd;	/* window for sending */
	int32_t tcps_snd_ws;	/* its scale: a shift */
	uint32_t tcps_rwnd;	/* window for receiving */
	int32_t tcps_rcv_ws;
	uint32_t tcps_cwnd;	/* congestion window, in segments */
	uint32_t tcps_cwnd_ssthresh;
	uint32_t tcps_sack_fack; /* highest that was acknowledged by SACK */
	uint32_t tcps_sack_snxt; /* next to be sent again */
	uint32_t tcps_rto;	/* timeout, milliseconds */
	uint32_t tcps_mss;
	uint32_t tcps_rtt;	/* microseconds */
	int tcps_retransmit;	/* send: this was sent before */
} tcpsinfo_t;

typedef struct tcplsinfo {
	int32_t tcps_state;	/* before the change */
} tcplsinfo_t;

typedef struct udpinfo {
	uint16_t udp_sport;
	uint16_t udp_dport;
	uint16_t udp_length;
	uint16_t udp_checksum;
	struct udphdr *udp_hdr;
} udpinfo_t;

typedef struct udpsinfo {
	uintptr_t udps_addr;	/* struct sock */
	uint16_t udps_lport;
	uint16_t udps_rport;
	string udps_laddr;
	string udps_raddr;
} udpsinfo_t;

/* Where there is no packet, its numbers are the connection's (arg3), as far as that knows them. */
inline int d_has_sock = (arg7 & (d_sent | d_received)) != 0;
inline uint16_t d_lport = ((struct sock *)arg3)->__sk_common.skc_num;
inline uint16_t d_rport = ntohs(((struct sock *)arg3)->__sk_common.skc_dport);

translator tcpinfo_t < struct tcphdr *T > {
	tcp_sport = T != 0 ? ntohs(arg7 & d_answered ? T->dest : T->source) :
	    !d_has_sock ? 0 : arg7 & d_sent ? d_lport : d_rport;
	tcp_dport = T != 0 ? ntohs(arg7 & d_answered ? T->source : T->dest) :
	    !d_has_sock ? 0 : arg7 & d_sent ? d_rport : d_lport;
	tcp_seq = T != 0 ? (arg7 & d_answered ? T->ack ? ntohl(T->ack_seq) : 0 : ntohl(T->seq)) :
	    !d_has_sock ? 0 : arg7 & d_sent ? ((struct tcp_sock *)arg3)->write_seq :
	    arg5 == TCP_STATE_SYN_SENT ? ((struct tcp_sock *)arg3)->rcv_nxt - 1 :
	    ((struct tcp_sock *)arg3)->rcv_nxt;
	tcp_ack = T != 0 ? (arg7 & d_answered ? ntohl(T->seq) + 1 : ntohl(T->ack_seq)) :
	    arg7 & d_received ? ((struct tcp_sock *)arg3)->snd_nxt : 0;
	tcp_offset = T != 0 && !(arg7 & d_answered) ? 4 * T->doff : TCP_MIN_HEADER_LENGTH;
	tcp_flags = T == 0 ? (arg7 & d_sent ? TH_SYN : arg5 == TCP_STATE_SYN_SENT ? TH_SYN | TH_ACK :
	    d_has_sock ? TH_ACK : 0) :
	    arg7 & d_answered ? (T->ack ? TH_RST : TH_RST | TH_ACK) : *((uint8_t *)T + 13);
	tcp_window = T != 0 ? (arg7 & d_answered ? 0 : ntohs(T->window)) :
	    arg7 & d_received ? ((struct tcp_sock *)arg3)->snd_wnd : 0;
	tcp_checksum = T != 0 && !(arg7 & d_answered) ? ntohs(T->check) : 0;
	tcp_urgent = T != 0 && !(arg7 & d_answered) ? ntohs(T->urg_ptr) : 0;
	tcp_hdr = T;
};

/* A request and what is left of a connection in TIME_WAIT have the addresses alone. */
inline int d_is_full[struct sock *S] =
	S != 0 && S->__sk_common.skc_state != TCP_STATE_TIME_WAIT && S->__sk_common.skc_state != 12;
inline struct tcp_sock *d_tcp_sock[struct sock *S] = (struct tcp_sock *)S;

inline int d_same_ends[struct sock *S] =
	S->__sk_common.skc_family != AF_INET6 ?
	    S->__sk_common.skc_daddr == S->__sk_common.skc_rcv_saddr :
	S->__sk_common.skc_v6_daddr.in6_u.u6_addr32[0] == S->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[0] &&
	S->__sk_common.skc_v6_daddr.in6_u.u6_addr32[1] == S->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[1] &&
	S->__sk_common.skc_v6_daddr.in6_u.u6_addr32[2] == S->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[2] &&
	S->__sk_common.skc_v6_daddr.in6_u.u6_addr32[3] == S->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[3];

inline int d_is_listener[struct sock *S] =
	S->__sk_common.skc_state == TCP_STATE_LISTEN || (arg7 & 15) == TCP_STATE_LISTEN;

/* Only a socket made for a SYN that came in was given that one's interface. */
inline int d_is_active[struct sock *S] =
	!d_is_listener[S] && S->__sk_common.skc_state != TCP_STATE_SYN_RECEIVED &&
	(S->__sk_common.skc_family == AF_INET6 ? ((struct inet_sock *)S)->pinet6->mcast_oif == 0 :
	((struct inet_sock *)S)->mc_index == 0);

/* Sequence number of a segment that waits to be sent or acknowledged. */
inline uint32_t d_segment_seq[struct sk_buff *B] = ((struct tcp_skb_cb *)&B->cb[0])->seq;

translator tcpsinfo_t < struct sock *S > {
	tcps_addr = (uintptr_t)S;
	tcps_local = S == 0 ? 0 : d_same_ends[S];
	tcps_active = !d_is_full[S] ? 0 : d_is_active[S];
	tcps_lport = S != 0 ? S->__sk_common.skc_num :
	    arg4 == 0 ? 0 : ntohs(((struct tcphdr *)arg4)->dest);
	tcps_rport = S != 0 ? ntohs(S->__sk_common.skc_dport) :
	    arg4 == 0 ? 0 : ntohs(((struct tcphdr *)arg4)->source);
	tcps_laddr = xlate <conninfo_t> (S).ci_local;
	tcps_raddr = xlate <conninfo_t> (S).ci_remote;
	tcps_state = arg7 & 15 ? arg7 & 15 : S == 0 ? TCP_STATE_CLOSED : S->__sk_common.skc_state;
	/* A SYN is among the bytes that were acknowledged, but not one that answered another. */
	tcps_iss = !d_is_full[S] || d_is_listener[S] ? 0 :
	    d_tcp_sock[S]->snd_una - (uint32_t)d_tcp_sock[S]->bytes_acked - (d_is_active[S] ? 0 : 1);
	tcps_suna = !d_is_full[S] ? 0 : d_tcp_sock[S]->snd_una;
	tcps_snxt = !d_is_full[S] ? 0 : d_tcp_sock[S]->snd_nxt;
	tcps_rack = !d_is_full[S] ? 0 : d_tcp_sock[S]->rcv_wup;
	tcps_rnxt = !d_is_full[S] ? 0 : d_tcp_sock[S]->rcv_nxt;
	tcps_swnd = !d_is_full[S] ? 0 : d_tcp_sock[S]->snd_wnd;
	tcps_snd_ws = !d_is_full[S] ? 0 : d_tcp_sock[S]->rx_opt.snd_wscale;
	tcps_rwnd = !d_is_full[S] ? 0 : d_tcp_sock[S]->rcv_wnd;
	tcps_rcv_ws = !d_is_full[S] ? 0 : d_tcp_sock[S]->rx_opt.rcv_wscale;
	tcps_cwnd = !d_is_full[S] ? 0 : d_tcp_sock[S]->snd_cwnd;
	tcps_cwnd_ssthresh = !d_is_full[S] ? 0 : d_tcp_sock[S]->snd_ssthresh;
	tcps_sack_fack = !d_is_full[S] ? 0 : d_tcp_sock[S]->sacked_out == 0 ? d_tcp_sock[S]->snd_una :
	    d_tcp_sock[S]->highest_sack == 0 ? d_tcp_sock[S]->snd_nxt : d_segment_seq[d_tcp_sock[S]->highest_sack];
	tcps_sack_snxt = !d_is_full[S] ? 0 : d_tcp_sock[S]->retransmit_skb_hint == 0 ?
	    d_tcp_sock[S]->snd_una : d_segment_seq[d_tcp_sock[S]->retransmit_skb_hint];
	/* It is in ticks; 200 milliseconds are, too. */
	tcps_rto = !d_is_full[S] ? 0 : ((struct inet_connection_sock *)S)->icsk_rto * 200 /
	    ((struct inet_connection_sock *)S)->icsk_delack_max;
	tcps_mss = !d_is_full[S] ? 0 : d_tcp_sock[S]->mss_cache;
	tcps_rtt = !d_is_full[S] ? 0 : d_tcp_sock[S]->srtt_us >> 3;
	/* snd_nxt is moved when a segment went out for the first time. */
	tcps_retransmit = probename == "send" && d_is_full[S] && arg4 != 0 &&
	    (int32_t)(ntohl(((struct tcphdr *)arg4)->seq) - d_tcp_sock[S]->snd_nxt) < 0;
};

translator tcplsinfo_t < int I > {
	tcps_state = I;
};

translator udpinfo_t < struct udphdr *U > {
	udp_sport = U == 0 ? 0 : ntohs(U->source);
	udp_dport = U == 0 ? 0 : ntohs(U->dest);
	udp_length = U == 0 ? 0 : ntohs(U->len);
	udp_checksum = U == 0 ? 0 : ntohs(U->check);
	udp_hdr = U;
};

translator udpsinfo_t < struct sock *S > {
	udps_addr = (uintptr_t)S;
	udps_lport = S == 0 ? 0 : S->__sk_common.skc_num;
	udps_rport = S == 0 ? 0 : ntohs(S->__sk_common.skc_dport);
	udps_laddr = xlate <conninfo_t> (S).ci_local;
	udps_raddr = xlate <conninfo_t> (S).ci_remote;
};
