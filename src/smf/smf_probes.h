/* Made by dtrace -h from smf_probes.d. */
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

extern volatile unsigned short smf_state__change_semaphore;
__attribute__((weak, visibility("hidden"), section(".probes")))
volatile unsigned short smf_state__change_semaphore = 0;
#define SMF_STATE_CHANGE_ENABLED() \
	(__extension__({ \
		__asm__ volatile(DTRACE_NOTE_("dtrace", "smf", "state__change", "")); \
		__builtin_expect(smf_state__change_semaphore, 0); \
	}))
#define SMF_STATE_CHANGE(arg0, arg1, arg2, arg3) \
	__asm__ volatile(DTRACE_SITE("smf", "state__change", "" DTRACE_ARG_ "%0 " DTRACE_ARG_ "%1 " DTRACE_ARG_ "%2 " DTRACE_ARG_ "%3") \
		:: "nor"((long)(arg0)), "nor"((long)(arg1)), "nor"((long)(arg2)), "nor"((long)(arg3)))

__asm__(".pushsection .dtrace.providers,\"G\",@progbits,smf.providers,comdat\n"
	".asciz \"/*\\n * Probes of svc.startd, stable.  dtrace -h makes smf_probes.h of this file; dtrace's test\\n * \\\"stable_headers_are_up_to_date\\\" says if it was forgotten (TEST_UPDATE=1 makes it).\\n */\\nprovider smf {\\n /* An instance moved: states as svcs(1) calls them; aux is why it is where it is. */\\n probe state__change(char *fmri, char *from, char *to, char *aux);\\n};\\n\"\n.popsection\n");

#ifdef __cplusplus
}
#endif
