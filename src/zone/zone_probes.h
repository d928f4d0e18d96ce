/* Made by dtrace -h from zone_probes.d. */
#pragma once

#include <unistd.h>

#ifndef DTRACE_NOTE_
#ifdef __LP64__
#define DTRACE_WORD_ ".8byte "
#define DTRACE_ARG_ "-8@"
#else
#define DTRACE_WORD_ ".4byte "
#define DTRACE_ARG_ "-4@"
#endif
#define DTRACE_NOTE_(name, provider, probe, args) \
	"9990: nop\n" \
	".pushsection .note." name ",\"?\",\"note\"\n.balign 4\n" \
	".4byte 9992f-9991f, 9994f-9993f, 3\n" \
	"9991: .asciz \"" name "\"\n9992: .balign 4\n" \
	"9993: " DTRACE_WORD_ "9990b\n" \
	DTRACE_WORD_ "_.stapsdt.base\n" \
	DTRACE_WORD_ provider "_" probe "_semaphore\n" \
	".asciz \"" provider "\"\n.asciz \"" probe "\"\n" \
	".asciz \"" args "\"\n9994: .balign 4\n.popsection\n" \
	".ifndef _.stapsdt.base\n" \
	".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n" \
	".weak _.stapsdt.base\n.hidden _.stapsdt.base\n" \
	"_.stapsdt.base: .space 1\n.size _.stapsdt.base, 1\n.popsection\n.endif\n"
#endif
#ifndef DTRACE_SITE
#define DTRACE_SITE(provider, probe, args) DTRACE_NOTE_("stapsdt", provider, probe, args)
#endif

#ifdef __cplusplus
extern "C" {
#endif

extern volatile unsigned short zone_state__change_semaphore;
__attribute__((weak, visibility("hidden"), section(".probes")))
volatile unsigned short zone_state__change_semaphore = 0;
#define ZONE_STATE_CHANGE_ENABLED() \
	(__extension__({ \
		__asm__ volatile(DTRACE_NOTE_("dtrace", "zone", "state__change", "")); \
		__builtin_expect(zone_state__change_semaphore, 0); \
	}))
#define ZONE_STATE_CHANGE(arg0, arg1, arg2) \
	__asm__ volatile(DTRACE_SITE("zone", "state__change", "" DTRACE_ARG_ "%0 " DTRACE_ARG_ "%1 " DTRACE_ARG_ "%2") \
		:: "nor"((long)(arg0)), "nor"((long)(arg1)), "nor"((long)(arg2)))

__asm__(".pushsection .dtrace.providers,\"G\",@progbits,zone.providers,comdat\n"
	".asciz \"/*\\n * Probes of whoever moves a zone (zoneadmd, zoneadm, vmadm), stable.  zone_probes.h is made of\\n * this file: see src/smf/smf_probes.d.\\n */\\nprovider zone {\\n /* States as zoneadm list -v calls them. */\\n probe state__change(char *zone, char *from, char *to);\\n};\\n\"\n.popsection\n");

#ifdef __cplusplus
}
#endif
