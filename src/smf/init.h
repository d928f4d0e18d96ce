/*
 * Between PID 1 and svc.startd: a SEQPACKET socket pair that PID 1 keeps over
 * restarts of startd ($SMF_INIT_FD is startd's end), so that nothing sent
 * while startd is down is lost.
 */
#ifndef SMF_INIT_H
#define SMF_INIT_H

#include <stdint.h>

#define INIT_FD_ENV "SMF_INIT_FD"
#define INIT_SOCKET "/run/init.sock" /* reboot(8), init(8): one word a message, see init.c */

enum init_msg_type {
	INIT_REAPED,   /* an orphan ended: pid, code, status, cgroup */
	INIT_SHUTDOWN, /* stop everything, then exit 0 */
};

struct init_msg {
	uint32_t type;
	int32_t pid, code, status; /* as siginfo_t has them */
	char cgroup[240];          /* "svc/..." */
};

#endif
