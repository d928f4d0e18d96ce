/* Made by dtrace -h from smf_probes.d. */
#pragma once

#include <unistd.h>

#ifndef DTRACE_SITE
#ifdef __LP64__
#define DTRACE_ADDRESS_ ".8byte "
#else
#define DTRACE_ADDRESS_ ".4byte "
#endif
#define DTRACE_SITE(provider, probe, args) \
	"9990: nop\n" \
	".pushsection .note.stapsdt,\"?\",\"note\"\n.balign 4\n" \
	".4byte 9992f-9991f, 9994f-9993f, 3\n" \
	"9991: .asciz \"stapsdt\"\n9992: .balign 4\n" \
	"9993: " DTRACE_ADDRESS_ "9990b\n" \
	DTRACE_ADDRESS_ "_.stapsdt.base\n" \
	DTRACE_ADDRESS_ provider "_" probe "_semaphore\n" \
	".asciz \"" provider "\"\n.asciz \"" probe "\"\n" \
	".asciz \"" args "\"\n9994: .balign 4\n.popsection\n" \
	".ifndef _.stapsdt.base\n" \
	".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n" \
	".weak _.stapsdt.base\n.hidden _.stapsdt.base\n" \
	"_.stapsdt.base: .space 1\n.size _.stapsdt.base, 1\n.popsection\n.endif\n"
#endif

#ifdef __cplusplus
extern "C" {
#endif

extern volatile unsigned short smf_state__change_semaphore;
__attribute__((weak, visibility("hidden"), section(".probes")))
volatile unsigned short smf_state__change_semaphore = 0;
#define SMF_STATE_CHANGE_ENABLED() __builtin_expect(smf_state__change_semaphore, 0)
#define SMF_STATE_CHANGE(arg0, arg1, arg2, arg3) \
	__asm__ volatile(DTRACE_SITE("smf", "state__change", "-8@%0 -8@%1 -8@%2 -8@%3") \
		:: "nor"((long)(arg0)), "nor"((long)(arg1)), "nor"((long)(arg2)), "nor"((long)(arg3)))

__asm__(".pushsection .dtrace.providers,\"G\",@progbits,smf.providers,comdat\n"
	".asciz \"/*\\n * Probes of svc.startd, stable.  dtrace -h makes smf_probes.h of this file; dtrace's test\\n * \\\"stable_headers_are_up_to_date\\\" says if it was forgotten (TEST_UPDATE=1 makes it).\\n */\\nprovider smf {\\n /* An instance moved: states as svcs(1) calls them; aux is why it is where it is. */\\n probe state__change(char *fmri, char *from, char *to, char *aux);\\n};\\n\"\n.popsection\n");

#ifdef __cplusplus
}
#endif
