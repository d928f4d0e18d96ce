/*
 * A compiler for the part of ACPI's source language (ACPI 6.5, chapter 19) that this machine
 * describes itself in.  A device says what it is in the words of the specification,
 *
 *	Device(RTC_) {
 *		Name(_HID, EisaId("PNP0B00"))
 *		Name(_CRS, ResourceTemplate() { IO(Decode16, 0x70, 0x70, 1, 2) IRQNoFlags() {8} })
 *	}
 *
 * and the whole text is compiled once, when the machine starts.  Left out is what nobody uses
 * here: every argument is given, a value is a number, and a word that is not known is a name.
 */
#ifndef VMM_ACPI_ASL_H
#define VMM_ACPI_ASL_H

#include "base/str.h"

/* Adds the bytes to out.  The text is ours: one that is wrong is a fault of this program. */
void asl_compile(const char *text, struct strbuf *out);

#endif
