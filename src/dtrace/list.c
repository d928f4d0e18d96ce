/* -l and -v: probes, their arguments and how stable they are. */
#include <stdlib.h>
#include <string.h>

#include "dtrace/check.h"

/*
 * How stable a name is, what it means, and on what it depends: three letters, as in the guide's
 * tables.  P(rivate) U(nstable) E(volving) S(table); the class U(nknown) C(PU) I(SA) A (Common).
 */
#define ATTRIBUTES 3
static const char ranks[ATTRIBUTES][6] = {"PUES", "PUES", "UCIA"};

/* Of a provider's names, its modules, functions and probes, and of the arguments. */
struct stability {
	const char *provider, *part[4], *args;
};

/* The kernel's own functions and variables change with it; what stands on D's guide does not. */
static const struct stability rows[] = {
	{"dtrace", {"SSA", "PPU", "PPU", "SSA"}, "SSA"},
	{"profile", {"EEA", "UUU", "PPU", "EEA"}, "EEA"},
	{"syscall", {"EEA", "PPU", "PPI", "EEA"}, "PPI"},
	{"fbt", {"EEA", "PPU", "PPI", "EEA"}, "PPI"},
	{"proc", {"EEI", "PPU", "PPU", "EEI"}, "EEI"},
	{"sched", {"EEI", "PPU", "PPU", "EEI"}, "EEI"},
	{"io", {"EEI", "PPU", "PPU", "EEI"}, "EEI"},
	{"ip", {"EEI", "PPU", "PPU", "EEI"}, "EEI"},
	{"tcp", {"EEI", "PPU", "PPU", "EEI"}, "EEI"},
	{"udp", {"EEI", "PPU", "PPU", "EEI"}, "EEI"},
	{"fsinfo", {"EEI", "PPU", "PPU", "EEI"}, "EEI"},
	{"lockstat", {"EEI", "PPU", "PPU", "EEI"}, "EEI"},
	{"vminfo", {"EEA", "PPU", "PPU", "EEA"}, "EEA"},
	{"sysinfo", {"EEA", "PPU", "PPU", "EEA"}, "EEA"},
	{"cpc", {"EEA", "PPU", "PPU", "EEC"}, "EEA"},
	{"smf", {"EEA", "PPU", "PPU", "EEA"}, "EEA"},
	{"vm", {"EEA", "PPU", "PPU", "EEA"}, "EEA"},
	{"zone", {"EEA", "PPU", "PPU", "EEA"}, "EEA"},
	{"pid", {"EEI", "PPU", "PPU", "EEI"}, "PPU"},
	{"", {"EEI", "PPU", "PPU", "PPI"}, "PPI"},
};

static const struct stability *
stability_of(const char *provider)
{
	size_t i = 0, len = strcspn(provider, "0123456789");

	/* "pid123", "smf4": a process's */
	while (*rows[i].provider && (strlen(rows[i].provider) != len || strncmp(rows[i].provider, provider, len) != 0))
		i++;
	return &rows[i];
}

/* *at becomes the lesser of each. */
static void
lessen(char at[ATTRIBUTES + 1], const char *by)
{
	for (size_t i = 0; i < ATTRIBUTES; i++)
		if (strchr(ranks[i], by[i]) < strchr(ranks[i], at[i]))
			at[i] = by[i];
}

/* Of a description with these parts: those that it leaves open do not count. */
static void
lessen_by_description(char at[ATTRIBUTES + 1], const char *const part[4])
{
	const struct stability *s = stability_of(part[0]);

	lessen(at, dt_is_glob(part[0]) ? "UUA" : s->part[0]);
	for (size_t i = 1; i < 4; i++)
		if (*part[i])
			lessen(at, s->part[i]);
}

static void
show_attributes(FILE *out, const char *title, const char at[ATTRIBUTES + 1])
{
	static const struct {
		char letter;
		const char *word;
	} words[] = {{'P', "Private"}, {'U', "Unstable"}, {'E', "Evolving"}, {'S', "Stable"}},
	  classes[] = {{'U', "Unknown"}, {'C', "CPU"}, {'I', "ISA"}, {'A', "Common"}};
	const char *word[ATTRIBUTES] = {0};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (words[i].letter == at[0])
			word[0] = words[i].word;
		if (words[i].letter == at[1])
			word[1] = words[i].word;
		if (classes[i].letter == at[2])
			word[2] = classes[i].word;
	}
	fprintf(out,
		"\t%s\n\t\tIdentifier Names: %s\n\t\tData Semantics:   %s\n"
		"\t\tDependency Class: %s\n\n",
		title, word[0], word[1], word[2]);
}

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
	char at[ATTRIBUTES + 1] = "SSA";

	lessen_by_description(at, (const char *const[]){p->prov, p->mod, p->func, p->name});
	printf("\n");
	show_attributes(stdout, "Probe Description Attributes", at);
	show_attributes(stdout, "Argument Attributes", stability_of(p->prov)->args);
	show_arguments(dt, p);
}

/* What an expression or a statement stands on: the probe's arguments and the kernel's own things. */
static void
lessen_by_node(char at[ATTRIBUTES + 1], const struct node *n, const char *args)
{
	for (; n; n = n->next) {
		if (n->kind == N_IDENT && n->scope == SCOPE_KERNEL)
			lessen(at, "PPU");
		else if (n->kind == N_IDENT && n->name && str_eq(n->name, "curthread"))
			lessen(at, "SPA");
		else if (n->kind == N_IDENT && n->name && str_eq(n->name, "args"))
			lessen(at, args);
		lessen_by_node(at, n->left, args);
		lessen_by_node(at, n->right, args);
		lessen_by_node(at, n->third, args);
		lessen_by_node(at, n->args, args);
		lessen_by_node(at, n->body, args);
	}
}

/* "mod:func:name" as four parts. */
static void
lessen_by_spec(char at[ATTRIBUTES + 1], const char *text, const char **ret_args)
{
	cleanup_strv struct strv parts = STRV_INIT;
	const char *part[4] = {"", "", "", ""};

	strv_split(&parts, text, ":");
	for (size_t i = 0; i < parts.n && i < 4; i++)
		part[4 - (parts.n < 4 ? parts.n : 4) + i] = parts.v[i];
	lessen_by_description(at, part);
	*ret_args = stability_of(part[0])->args;
}

/* -v with a program: the least stable of what it names. */
void
dt_show_stability(struct dt *dt, const char *what, const char *shown)
{
	char probes[ATTRIBUTES + 1] = "SSA", statements[ATTRIBUTES + 1] = "SSA";
	const struct ast *ast = dt->asts[dt->n_asts - 1];

	for (const struct node *n = ast->top; n; n = n->next) {
		const char *args = "SSA";

		if (n->kind != N_CLAUSE)
			continue;
		for (const struct probe_spec *s = n->probes; s; s = s->next)
			lessen_by_spec(probes, s->text, &args);
		lessen_by_node(statements, n->left, args);
		lessen_by_node(statements, n->body, args);
	}
	printf("\nStability attributes for %s %s:\n\n", what, shown);
	show_attributes(stdout, "Minimum Probe Description Attributes", probes);
	show_attributes(stdout, "Minimum Statement Attributes", statements);
}
