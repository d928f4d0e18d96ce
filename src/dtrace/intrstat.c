/* intrstat(8): a D program for dtrace(8). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/str.h"

static const char usage_text[] = "usage: intrstat [INTERVAL [COUNT]]\n";

/* The two %llu: seconds between tables, number of tables (0: no end). */
static const char program[] =
	"inline int d_tables = %llu;\n"
	"int tables;\n"
	"rawtp:::irq_handler_entry { self->irq = timestamp; }\n"
	"rawtp:::irq_handler_exit /self->irq/ {\n"
	"	@n[stringof(args[1]->name), cpu] = count();\n"
	"	@t[stringof(args[1]->name), cpu] = sum((timestamp - self->irq) / 1000);\n"
	"	self->irq = 0; }\n"
	"rawtp:::softirq_entry { self->soft = timestamp; }\n"
	"rawtp:::softirq_exit /self->soft/ {\n"
	"	this->name = args[0] == 0 ? \"HI\" : args[0] == 1 ? \"TIMER\" : args[0] == 2 ? \"NET_TX\" :\n"
	"	    args[0] == 3 ? \"NET_RX\" : args[0] == 4 ? \"BLOCK\" : args[0] == 5 ? \"IRQ_POLL\" :\n"
	"	    args[0] == 6 ? \"TASKLET\" : args[0] == 7 ? \"SCHED\" : args[0] == 8 ? \"HRTIMER\" : \"RCU\";\n"
	"	@sn[this->name, cpu] = count();\n"
	"	@st[this->name, cpu] = sum((timestamp - self->soft) / 1000);\n"
	"	self->soft = 0; }\n"
	"tick-%llus {\n"
	"	printf(\"%%-24s %%4s %%12s %%12s\\n\", \"DEVICE\", \"CPU\", \"INTERRUPTS\", \"MICROSEC\");\n"
	"	printa(\"%%-24s %%4d %%@12d %%@12d\\n\", @n, @t);\n"
	"	printf(\"%%-24s %%4s %%12s %%12s\\n\", \"SOFT\", \"CPU\", \"INTERRUPTS\", \"MICROSEC\");\n"
	"	printa(\"%%-24s %%4d %%@12d %%@12d\\n\", @sn, @st);\n"
	"	trunc(@n); trunc(@t); trunc(@sn); trunc(@st);\n"
	"	tables++; }\n"
	"tick-%llus /tables == d_tables/ { exit(0); }\n";

int
main(int argc, char **argv)
{
	unsigned long long interval = 1, count = 0;
	uint64_t v;
	char *text;

	cli_init(argv[0]);
	if (argc == 2 && str_eq(argv[1], "--help")) {
		fputs(usage_text, stdout);
		return CLI_OK;
	}
	if (argc > 3) {
		fputs(usage_text, stderr);
		return CLI_USAGE;
	}
	for (int i = 1; i < argc; i++) {
		if (str_to_u64(argv[i], 10, &v) < 0 || !v || v > 86400) {
			fprintf(stderr, "intrstat: %s: not a number from 1 to 86400\n%s", argv[i],
				usage_text);
			return CLI_USAGE;
		}
		*(i == 1 ? &interval : &count) = v;
	}
	text = str_printf(program, count, interval, interval);
	execl("/usr/sbin/dtrace", "dtrace", "-q", "-n", text, (char *)NULL);
	fprintf(stderr, "intrstat: cannot run /usr/sbin/dtrace: %s\n", strerror(errno));
	free(text);
	return CLI_FAILED;
}
