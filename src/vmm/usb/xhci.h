/* The numbers of xHCI 1.0: where registers stand, their bits, TRBs and completion codes. */
#ifndef VMM_USB_XHCI_H
#define VMM_USB_XHCI_H

#include <stdint.h>

enum { AT_OPER = 0x20, AT_PORTS = 0x420, AT_XCAPS = 0x500, AT_RUNTIME = 0x1000, AT_BELLS = 0x2000 };
enum { OP_CMD = 0x00, OP_STS = 0x04, OP_PAGE = 0x08, OP_CRCR = 0x18,
       OP_DCBAAP = 0x30, OP_CONFIG = 0x38 };
enum { RT_IMAN = 0x20, RT_IMOD = 0x24, RT_ERSTSZ = 0x28, RT_ERSTBA = 0x30, RT_ERDP = 0x38 };

#define CMD_RUN 1U
#define CMD_RESET 2U
#define CMD_INTE 4U
#define STS_HALTED 1U
#define STS_EINT 8U
#define STS_PORT 0x10U
#define CRCR_STOP 6U /* stop, abort */
#define IMAN_PENDING 1U
#define IMAN_ENABLE 2U
#define ERDP_BUSY 8U

#define PORT_CONNECTED (1U << 0)
#define PORT_ENABLED (1U << 1)
#define PORT_RESET (1U << 4)
#define PORT_LINK (15U << 5)
#define PORT_POWER (1U << 9)
#define PORT_LINK_WRITE (1U << 16)
#define PORT_CONNECT_CHANGE (1U << 17)
#define PORT_RESET_CHANGE (1U << 21)
#define PORT_LINK_CHANGE (1U << 22)
#define PORT_CHANGES (0x7fU << 17)
#define PORT_WARM_RESET (1U << 31)
#define LINK_POLLING 7U
#define LINK_DETECT 5U
#define HIGH_SPEED 3U

enum {
	TRB_NORMAL = 1, TRB_SETUP, TRB_DATA, TRB_STATUS, TRB_ISOCH, TRB_LINK, TRB_EVENT_DATA,
	TRB_NOOP, TRB_ENABLE_SLOT, TRB_DISABLE_SLOT, TRB_ADDRESS, TRB_CONFIGURE, TRB_EVALUATE,
	TRB_RESET_EP, TRB_STOP_EP, TRB_SET_DEQUEUE, TRB_RESET_DEVICE, TRB_NOOP_COMMAND = 23,
	TRB_TRANSFER_EVENT = 32, TRB_COMPLETION, TRB_PORT_CHANGE
};
#define TRB_TYPE(c) ((c) >> 10 & 0x3f)
#define TRB_CYCLE 1U
#define TRB_TOGGLE 2U /* of a link */
#define TRB_SHORT 4U  /* interrupt on a short packet */
#define TRB_CHAIN 0x10U
#define TRB_IOC 0x20U
#define TRB_IMMEDIATE 0x40U
#define TRB_FLAG 0x200U /* BSR, deconfigure, direction in */

enum {
	OK = 1, TRANSACTION_ERROR = 4, TRB_ERROR = 5, STALL = 6, NO_SLOTS = 9, SLOT_NOT_ENABLED = 11,
	EP_NOT_ENABLED = 12, SHORT_PACKET = 13, PARAMETER_ERROR = 17, CONTEXT_ERROR = 19,
	RING_STOPPED = 24
};

struct trb {
	uint64_t param;
	uint32_t status, control;
};
_Static_assert(sizeof(struct trb) == 16, "xHCI layout");

#endif
