/* -l and -v: probes and their arguments. */
#include <stdlib.h>
#include <string.h>

#include "dtrace/check.h"

static void
show_arguments(struct dt *dt, const struct probe *p)
{
	unsigned i = 0;

	printf("\tArgument Types\n");
	for (;; i++) {
		struct probe_arg arg = {0};
		cleanup_free char *name = NULL;
		const struct ctf_type *t;

		if (p->ops->arg) {
			if (!p->ops->arg(dt, p, i, &arg))
				break;
			name = xstrdup(arg.xlate ? arg.xlate : arg.native);
		} else {
			t = p->ops->arg_type ? p->ops->arg_type(dt, p, i) : NULL;
			if (!t)
				break;
			name = ctf_name(t);
		}
		printf("\t\targs[%u]: %s\n", i, name);
	}
	printf(i ? "\n" : "\t\tNone\n\n");
}

/* Before anything was written to stdout. */
void
dt_list_header(void)
{
	static char buffer[1 << 16];

	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	printf("%5s %10s %17s %33s %s\n", "ID", "PROVIDER", "MODULE", "FUNCTION", "NAME");
}

/* Right-justified in width, and a blank behind it. */
static char *
put(char *at, const char *text, size_t width)
{
	size_t len = strlen(text);

	if (len < width) {
		memset(at, ' ', width - len);
		at += width - len;
	}
	at = mempcpy(at, text, len);
	*at++ = ' ';
	return at;
}

/* A line of "%5u %10s %17s %33s %s\n"; printf() of 150,000 such takes most of a listing's time. */
static void
show_line(const struct probe *p)
{
	size_t room = strlen(p->prov) + strlen(p->mod) + strlen(p->func) + strlen(p->name) + 80;
	char number[16], *digit = number + sizeof(number) - 1, small[512];
	cleanup_free char *large = room > sizeof(small) ? xmalloc(room) : NULL;
	char *line = large ? large : small, *at;

	*digit = '\0';
	for (uint32_t id = p->id; id || !*digit; id /= 10)
		*--digit = (char)('0' + id % 10);
	at = put(line, digit, 5);
	at = put(at, p->prov, 10);
	at = put(at, p->mod, 17);
	at = put(at, p->func, 33);
	at = put(at, p->name, 0);
	at[-1] = '\n';
	fwrite(line, 1, (size_t)(at - line), stdout);
}

void
dt_list_probe(struct dt *dt, const struct probe *p, bool verbose)
{
	show_line(p);
	if (!verbose)
		return;
	printf("\n");
	dt_show_probe_stability(p);
	show_arguments(dt, p);
}
