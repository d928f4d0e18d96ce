/* Made by dtrace -h from vm_probes.d. */
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

extern volatile unsigned short vm_step__start_semaphore;
__attribute__((weak, visibility("hidden"), section(".probes")))
volatile unsigned short vm_step__start_semaphore = 0;
#define VM_STEP_START_ENABLED() \
	(__extension__({ \
		__asm__ volatile(DTRACE_NOTE_("dtrace", "vm", "step__start", "")); \
		__builtin_expect(vm_step__start_semaphore, 0); \
	}))
#define VM_STEP_START(arg0, arg1, arg2) \
	__asm__ volatile(DTRACE_SITE("vm", "step__start", "" DTRACE_ARG_ "%0 " DTRACE_ARG_ "%1 " DTRACE_ARG_ "%2") \
		:: "nor"((long)(arg0)), "nor"((long)(arg1)), "nor"((long)(arg2)))

extern volatile unsigned short vm_step__done_semaphore;
__attribute__((weak, visibility("hidden"), section(".probes")))
volatile unsigned short vm_step__done_semaphore = 0;
#define VM_STEP_DONE_ENABLED() \
	(__extension__({ \
		__asm__ volatile(DTRACE_NOTE_("dtrace", "vm", "step__done", "")); \
		__builtin_expect(vm_step__done_semaphore, 0); \
	}))
#define VM_STEP_DONE(arg0, arg1, arg2) \
	__asm__ volatile(DTRACE_SITE("vm", "step__done", "" DTRACE_ARG_ "%0 " DTRACE_ARG_ "%1 " DTRACE_ARG_ "%2") \
		:: "nor"((long)(arg0)), "nor"((long)(arg1)), "nor"((long)(arg2)))

__asm__(".pushsection .dtrace.providers,\"G\",@progbits,vm.providers,comdat\n"
	".asciz \"/*\\n * Probes of vmadm's journal, stable.  vm_probes.h is made of this file: see src/smf/smf_probes.d.\\n */\\nprovider vm {\\n /* \\\"create\\\", \\\"delete\\\" ... of a VM, step by step. */\\n probe step__start(char *uuid, char *action, char *step);\\n probe step__done(char *uuid, char *action, char *step);\\n};\\n\"\n.popsection\n");

#ifdef __cplusplus
}
#endif
