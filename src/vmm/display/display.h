/*
 * What a person at the machine sees and does: one picture, and keys and
 * pointer movements that go to whichever input device the guest uses.
 *
 * Everything here runs in the main thread, except that sinks may ask to be
 * looked at from any.  Keys are evdev codes (linux/input-event-codes.h), as
 * virtio-input has them; display/keys.c turns them into others.
 */
#ifndef VMM_DISPLAY_DISPLAY_H
#define VMM_DISPLAY_DISPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"

struct vm;

/* 32 bits a pixel: blue, green, red, unused.  The guest may change it at any moment. */
struct frame {
	const uint8_t *pixels;
	unsigned width, height, stride; /* stride in bytes */
};

#define POINTER_MAX 0x7fff
enum { BUTTON_LEFT = 1, BUTTON_MIDDLE = 2, BUTTON_RIGHT = 4, WHEEL_UP = 8, WHEEL_DOWN = 16 };

struct input_sink {
	unsigned priority;	    /* of those that are ready the highest is used */
	bool (*ready)(void *arg);   /* has the guest a driver for it? */
	void (*key)(void *arg, unsigned code, bool down);	       /* NULL: no keyboard */
	/* x and y from 0 to POINTER_MAX; buttons are a set of the above. */
	void (*pointer)(void *arg, unsigned x, unsigned y, unsigned buttons); /* NULL: none */
	void *arg;
	struct list_head link;
};

struct display {
	struct vm *vm;
	struct list_head sinks;
	/* False: the guest shows nothing yet. */
	bool (*frame)(void *arg, struct frame *ret);
	void *frame_arg;
};

/* The machine's only one; made at the first call. */
struct display *display_of(struct vm *vm);
/* The sink stays the caller's, and there as long as the machine. */
void display_add_sink(struct display *d, struct input_sink *s);
void display_key(struct display *d, unsigned code, bool down);
void display_pointer(struct display *d, unsigned x, unsigned y, unsigned buttons);

/* A PNG of what is shown now, in *ret (the caller's to free). */
int display_screenshot(struct vm *vm, char **ret, size_t *ret_len, struct error *err);

/* keys.c */
unsigned key_of_keysym(uint32_t keysym);      /* X11's, on a US keyboard; 0: no such key */
unsigned key_of_set1(unsigned code);	      /* bit 7: behind 0xe0 */
unsigned key_to_set1(unsigned key);	      /* the same way round; 0: none */
unsigned key_to_set2(unsigned key);	      /* bit 8: behind 0xe0; 0: none */

#endif
