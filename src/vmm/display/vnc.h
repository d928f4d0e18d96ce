/*
 * A VNC server for the machine's display: RFB 3.8, 3.7 and 3.3 (RFC 6143), with
 * a password or none, raw and ZRLE encodings, and QEMU's extension that sends
 * scan codes instead of characters.
 */
#ifndef VMM_DISPLAY_VNC_H
#define VMM_DISPLAY_VNC_H

#include "vmm/display/display.h"

struct vnc;

struct vnc_opts {
	const char *tcp;      /* "[ADDRESS:]PORT", or NULL; an IPv6 address stands in brackets */
	const char *unix_path; /* or NULL */
	const char *password; /* or NULL; eight characters count */
	unsigned width, height; /* while the guest shows nothing */
	bool wait;	      /* vnc_new() returns when somebody has connected */
};

int vnc_new(struct display *d, const struct vnc_opts *opts, struct vnc **ret, struct error *err);
void vnc_free(struct vnc *v);

#endif
