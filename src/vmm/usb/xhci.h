/* The numbers of xHCI 1.0: where registers stand, their bits, TRBs and completion codes. */
#ifndef VMM_USB_XHCI_H
#define VMM_USB_XHCI_H

#include <stdint.h>

enum { AT_OPER = 0x20, AT_PORTS = 0x420, AT_XCAPS = 0x500, AT_RUNTIME = 0x1000, AT_BELLS = 0x2000 };
enum { OP_CMD = 0x00, OP_STS = 0x04, OP_PAGE = 0x08, OP_CRCR = 0x18,
       OP_DCBAAP = 0x30, OP_CONFIG = 0x38 };
enum { RT_IMAN = 0x20, RT_IMOD = 0x24, RT_ERSTSZ = 0x28, RT_ERSTBA = 0x30, RT_ERDP = 0x38 };

enum { CMD_RUN = 1, CMD_RESET = 2, CMD_INTE = 4 };
enum { STS_HALTED = 1, STS_EINT = 8, STS_PORT = 0x10, CRCR_STOP = 6 /* stop, abort */ };
enum { IMAN_PENDING = 1, IMAN_ENABLE = 2, ERDP_BUSY = 8 };

enum {
	PORT_CONNECTED = 1 << 0, PORT_ENABLED = 1 << 1, PORT_RESET = 1 << 4, PORT_LINK = 15 << 5,
	PORT_POWER = 1 << 9, PORT_LINK_WRITE = 1 << 16, PORT_CONNECT_CHANGE = 1 << 17,
	PORT_RESET_CHANGE = 1 << 21, PORT_LINK_CHANGE = 1 << 22, PORT_CHANGES = 0x7f << 17
};
#define PORT_WARM_RESET (1U << 31)
enum { LINK_POLLING = 7, LINK_DETECT = 5, HIGH_SPEED = 3 };

enum {
	TRB_NORMAL = 1, TRB_SETUP, TRB_DATA, TRB_STATUS, TRB_ISOCH, TRB_LINK, TRB_EVENT_DATA,
	TRB_NOOP, TRB_ENABLE_SLOT, TRB_DISABLE_SLOT, TRB_ADDRESS, TRB_CONFIGURE, TRB_EVALUATE,
	TRB_RESET_EP, TRB_STOP_EP, TRB_SET_DEQUEUE, TRB_RESET_DEVICE, TRB_NOOP_COMMAND = 23,
	TRB_TRANSFER_EVENT = 32, TRB_COMPLETION, TRB_PORT_CHANGE
};
#define TRB_TYPE(c) ((c) >> 10 & 0x3f)
/* TOGGLE: of a link; SHORT: interrupt on a short packet; FLAG: BSR, deconfigure, direction in. */
enum {
	TRB_CYCLE = 1, TRB_TOGGLE = 2, TRB_SHORT = 4, TRB_CHAIN = 0x10, TRB_IOC = 0x20,
	TRB_IMMEDIATE = 0x40, TRB_FLAG = 0x200
};

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
