/*
 * One key, many numbers.  evdev's code of an original PC key is its set 1 code;
 * the later ones are listed with the set 1 code that follows 0xe0.
 */
#include <linux/input-event-codes.h>
#include <string.h>

#include "base/str.h"
#include "vmm/display/display.h"

static const struct {
	uint8_t key, set1;
} extended[] = {
	{KEY_KPENTER, 0x1c}, {KEY_RIGHTCTRL, 0x1d}, {KEY_KPSLASH, 0x35}, {KEY_SYSRQ, 0x37},
	{KEY_RIGHTALT, 0x38}, {KEY_PAUSE, 0x46},    {KEY_HOME, 0x47},	 {KEY_UP, 0x48},
	{KEY_PAGEUP, 0x49},  {KEY_LEFT, 0x4b},	    {KEY_RIGHT, 0x4d},	 {KEY_END, 0x4f},
	{KEY_DOWN, 0x50},    {KEY_PAGEDOWN, 0x51},  {KEY_INSERT, 0x52},	 {KEY_DELETE, 0x53},
	{KEY_LEFTMETA, 0x5b}, {KEY_RIGHTMETA, 0x5c}, {KEY_COMPOSE, 0x5d},
};

/* Set 2 of each set 1 code, for both kinds. */
static const uint8_t set2[] = {
	0x00, 0x76, 0x16, 0x1e, 0x26, 0x25, 0x2e, 0x36, 0x3d, 0x3e, 0x46, 0x45, 0x4e, 0x55, 0x66, 0x0d,
	0x15, 0x1d, 0x24, 0x2d, 0x2c, 0x35, 0x3c, 0x43, 0x44, 0x4d, 0x54, 0x5b, 0x5a, 0x14, 0x1c, 0x1b,
	0x23, 0x2b, 0x34, 0x33, 0x3b, 0x42, 0x4b, 0x4c, 0x52, 0x0e, 0x12, 0x5d, 0x1a, 0x22, 0x21, 0x2a,
	0x32, 0x31, 0x3a, 0x41, 0x49, 0x4a, 0x59, 0x7c, 0x11, 0x29, 0x58, 0x05, 0x06, 0x04, 0x0c, 0x03,
	0x0b, 0x83, 0x0a, 0x01, 0x09, 0x77, 0x7e, 0x6c, 0x75, 0x7d, 0x7b, 0x6b, 0x73, 0x74, 0x79, 0x69,
	0x72, 0x7a, 0x70, 0x71, 0x00, 0x00, 0x61, 0x78, 0x07, 0x00, 0x00, 0x1f, 0x27, 0x2f,
};

unsigned
key_to_set1(unsigned key)
{
	if (key && key <= KEY_F12)
		return key;
	for (size_t i = 0; i < ARRAY_SIZE(extended); i++) {
		if (extended[i].key == key)
			return extended[i].set1 | 0x80;
	}
	return 0;
}

unsigned
key_of_set1(unsigned code)
{
	if (code <= KEY_F12)
		return code;
	for (size_t i = 0; i < ARRAY_SIZE(extended); i++) {
		if (code == (extended[i].set1 | 0x80U))
			return extended[i].key;
	}
	return 0;
}

unsigned
key_to_set2(unsigned key)
{
	unsigned code = key_to_set1(key), base = code & 0x7f;

	if (base >= ARRAY_SIZE(set2) || !set2[base])
		return 0;
	return set2[base] | (code & 0x80 ? 0x100U : 0);
}

/* Runs of neighbouring keys, and what they give alone and with Shift. */
static const struct {
	const char *plain, *shifted;
	uint8_t first;
} rows[] = {
	{"1234567890-=", "!@#$%^&*()_+", KEY_1},
	{"qwertyuiop[]", "QWERTYUIOP{}", KEY_Q},
	{"asdfghjkl;'`", "ASDFGHJKL:\"~", KEY_A},
	{"\\zxcvbnm,./", "|ZXCVBNM<>?", KEY_BACKSLASH},
	{" ", " ", KEY_SPACE},
};

static const struct {
	uint16_t first, last; /* keysyms */
	uint8_t key;	      /* of the first; the others follow it */
} runs[] = {
	{0xff08, 0xff09, KEY_BACKSPACE}, {0xff0d, 0xff0d, KEY_ENTER},
	{0xff13, 0xff13, KEY_PAUSE},	 {0xff14, 0xff14, KEY_SCROLLLOCK},
	{0xff1b, 0xff1b, KEY_ESC},	 {0xff50, 0xff50, KEY_HOME},
	{0xff51, 0xff51, KEY_LEFT},	 {0xff52, 0xff52, KEY_UP},
	{0xff53, 0xff53, KEY_RIGHT},	 {0xff54, 0xff54, KEY_DOWN},
	{0xff55, 0xff55, KEY_PAGEUP},	 {0xff56, 0xff56, KEY_PAGEDOWN},
	{0xff57, 0xff57, KEY_END},	 {0xff61, 0xff61, KEY_SYSRQ},
	{0xff63, 0xff63, KEY_INSERT},	 {0xff67, 0xff67, KEY_COMPOSE},
	{0xff7f, 0xff7f, KEY_NUMLOCK},	 {0xff8d, 0xff8d, KEY_KPENTER},
	{0xffaa, 0xffaa, KEY_KPASTERISK}, {0xffab, 0xffab, KEY_KPPLUS},
	{0xffad, 0xffad, KEY_KPMINUS},	 {0xffae, 0xffae, KEY_KPDOT},
	{0xffaf, 0xffaf, KEY_KPSLASH},	 {0xffb0, 0xffb0, KEY_KP0},
	{0xffb1, 0xffb3, KEY_KP1},	 {0xffb4, 0xffb6, KEY_KP4},
	{0xffb7, 0xffb9, KEY_KP7},	 {0xffbe, 0xffc7, KEY_F1},
	{0xffc8, 0xffc9, KEY_F11},	 {0xffe1, 0xffe1, KEY_LEFTSHIFT},
	{0xffe2, 0xffe2, KEY_RIGHTSHIFT}, {0xffe3, 0xffe3, KEY_LEFTCTRL},
	{0xffe4, 0xffe4, KEY_RIGHTCTRL}, {0xffe5, 0xffe5, KEY_CAPSLOCK},
	{0xffe9, 0xffe9, KEY_LEFTALT},	 {0xffea, 0xffea, KEY_RIGHTALT},
	{0xffe7, 0xffe7, KEY_LEFTMETA},	 {0xffeb, 0xffec, KEY_LEFTMETA},
	{0xfe03, 0xfe03, KEY_RIGHTALT},	 {0xffff, 0xffff, KEY_DELETE},
};

unsigned
key_of_keysym(uint32_t keysym)
{
	for (size_t i = 0; keysym > 0x1f && keysym < 0x7f && i < ARRAY_SIZE(rows); i++) {
		const char *p = strchr(rows[i].plain, (int)keysym);
		const char *s = strchr(rows[i].shifted, (int)keysym);

		if (p)
			return rows[i].first + (unsigned)(p - rows[i].plain);
		if (s)
			return rows[i].first + (unsigned)(s - rows[i].shifted);
	}
	for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
		if (keysym >= runs[i].first && keysym <= runs[i].last)
			return runs[i].key + (keysym - runs[i].first);
	}
	return 0;
}
