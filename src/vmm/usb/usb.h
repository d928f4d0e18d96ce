/*
 * A USB device as its host controller sees it: one file a device.  The
 * controller calls it with its own lock held; the device calls wake() when it
 * has something to say, with no lock held.
 */
#ifndef VMM_USB_USB_H
#define VMM_USB_USB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/state.h"

struct vm;
struct usb_device;

#define USB_CONTROL_MAX 512

struct usb_setup {
	uint8_t request_type, request;
	uint16_t value, index, length;
};
_Static_assert(sizeof(struct usb_setup) == 8, "USB layout");

struct usb_ops {
	const char *name;
	/* Data of length bytes goes in or comes out; how many there were, or -1 to stall. */
	int (*control)(struct usb_device *d, const struct usb_setup *s, uint8_t *data);
	/* An interrupt endpoint's packet: its length, 0 if there is nothing to say, or -1 to stall. */
	int (*in)(struct usb_device *d, unsigned endpoint, uint8_t *data, size_t room);
	void (*reset)(struct usb_device *d);
	void (*state)(struct usb_device *d, struct state *s);
	void (*free)(struct usb_device *d);
};

struct usb_device {
	const struct usb_ops *ops;
	void (*wake)(void *host);
	void *host;
};

/* usb/tablet.c: a pointer with absolute coordinates; a sink of the machine's display. */
struct usb_device *usb_tablet_new(struct vm *vm);

#endif
