/* Definitions in the notes that Oracle's dtrace -G writes, put together by hand, and cut short. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/test.h"
#include "dtrace/usdt_note.h"

#define STABILITY "\0\5\4\4\0\5\4\4\0\5\4\4\0\5\4\4\0\5\4\4"

/* name and its size, size of the rest, type; then provider "pr", two probes. */
static const char notes[] = "\5\0\0\0"
			    "\4\0\0\0"
			    "\1\0\0\0"
			    "dver\0\0\0\0"
			    "D 2\0"
			    "\5\0\0\0"
			    "\104\0\0\0"
			    "\1\0\0\0"
			    "prov\0\0\0\0"
			    "pr\0\0" STABILITY "\2\0\0\0"
			    "move\0\2int\0char *\0\2"
			    "char *\0\1int\0\0\0"
			    "go\0\0\0\0\0\0";

TEST(definitions_are_written_as_d)
{
	size_t len = 0;
	cleanup_free char *text = usdt_note_definitions(notes, sizeof(notes) - 1, &len);

	check_str(text, "provider pr {\n\tprobe move(int a0, char * a1) : (char * a1, int a0);\n"
			"\tprobe go();\n};\n");
	check(text && len == strlen(text) + 1);
}

TEST(notes_cut_short_have_none)
{
	for (size_t n = 0; n < sizeof(notes) - 8; n++) {
		char *part = xmemdup(notes, n ? n : 1); /* so that a byte too many is seen */
		size_t len = 0;

		free(usdt_note_definitions(part, n, &len));
		free(part);
	}
	check(!usdt_note_definitions("", 0, &(size_t){0}));
}
