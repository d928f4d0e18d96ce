/* How stable what a program names is: for -v, and for -x amin. */
#include <stdlib.h>
#include <string.h>

#include "dtrace/check.h"

/*
 * How stable a name is, what it means, and on what it depends: three letters, as in the guide's
 * tables, the least stable first: I(nternal) P(rivate) O(bsolete) X (External) U(nstable) E(volving)
 * S(table) T (Standard); the class U(nknown) C(PU) P(latform) G(roup) I(SA) A (Common).
 */
#define ATTRIBUTES 3
static const char ranks[ATTRIBUTES][9] = {"IPOXUEST", "IPOXUEST", "UCPGIA"};
static const char *const words[ATTRIBUTES][9] = {
	{"Internal", "Private", "Obsolete", "External", "Unstable", "Evolving", "Stable", "Standard"},
	{"Internal", "Private", "Obsolete", "External", "Unstable", "Evolving", "Stable", "Standard"},
	{"Unknown", "CPU", "Platform", "Group", "ISA", "Common"}};

static const char *
word_of(size_t i, char letter)
{
	return words[i][strchr(ranks[i], letter) - ranks[i]];
}

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
	{"mib", {"EEI", "PPU", "PPU", "EEI"}, "EEI"},
	{"vminfo", {"EEA", "PPU", "PPU", "EEA"}, "EEA"},
	{"sysinfo", {"EEA", "PPU", "PPU", "EEA"}, "EEA"},
	{"cpc", {"EEA", "PPU", "PPU", "EEC"}, "EEA"},
	{"smf", {"EEA", "PPU", "PPU", "EEA"}, "EEA"},
	{"vm", {"EEA", "PPU", "PPU", "EEA"}, "EEA"},
	{"zone", {"EEA", "PPU", "PPU", "EEA"}, "EEA"},
	{"pid", {"EEI", "PPU", "PPU", "EEI"}, "PPU"},
	{"rawtp", {"EEI", "PPU", "PPU", "PPI"}, "PPI"},
	{"sdt", {"EEI", "PPU", "PPU", "PPI"}, "PPI"},
	{"vfs", {"EEI", "PPU", "PPU", "PPI"}, "PPI"},
	{"zfs", {"EEI", "PPU", "PPU", "PPI"}, "PPI"},
	{"", {"PPU", "PPU", "PPU", "PPU"}, "PPU"}, /* of a program's own: nothing was promised */
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
show_attributes(const char *title, const char at[ATTRIBUTES + 1])
{
	printf("\t%s\n\t\tIdentifier Names: %s\n\t\tData Semantics:   %s\n"
	       "\t\tDependency Class: %s\n\n",
	       title, word_of(0, at[0]), word_of(1, at[1]), word_of(2, at[2]));
}

void
dt_show_probe_stability(const struct probe *p)
{
	char at[ATTRIBUTES + 1] = "SSA";

	lessen_by_description(at, (const char *const[]){p->prov, p->mod, p->func, p->name});
	show_attributes("Probe Description Attributes", at);
	show_attributes("Argument Attributes", stability_of(p->prov)->args);
}

/* What an expression or a statement stands on: the probe's arguments and the kernel's own things. */
static void lessen_by_node(char at[ATTRIBUTES + 1], const struct node *n, const char *args);

static void
lessen_by_one(char at[ATTRIBUTES + 1], const struct node *n, const char *args)
{
	const char *name = n->name ? n->name : n->ident && n->ident->name ? n->ident->name : "";

	if (n->kind == N_IDENT && n->scope == SCOPE_KERNEL)
		lessen(at, "PPU");
	else if (n->kind == N_IDENT && str_eq(name, "curthread"))
		lessen(at, "SPA");
	else if ((n->kind == N_IDENT || n->kind == N_INDEX) && str_eq(name, "args"))
		lessen(at, args); /* args[0] was made one name */
	lessen_by_node(at, n->left, args);
	lessen_by_node(at, n->right, args);
	lessen_by_node(at, n->third, args);
	lessen_by_node(at, n->args, args);
	lessen_by_node(at, n->body, args);
}

static void
lessen_by_node(char at[ATTRIBUTES + 1], const struct node *n, const char *args)
{
	for (; n; n = n->next)
		lessen_by_one(at, n, args);
}

/* A description that names no provider has those of the probes that it matches. */
static void
lessen_by_matches(struct dt *dt, char at[ATTRIBUTES + 1], const char *text, const char *part[4],
		  const char **ret_args)
{
	cleanup_free struct probe **found = NULL;
	cleanup_error struct error none = ERROR_INIT;
	const char *last = NULL;
	size_t n = 0;

	if (dt_probes_match(dt, text, 1, &found, &n, &none) < 0)
		n = 0;
	for (size_t i = 0; i < n; i++) {
		if (last && str_eq(last, found[i]->prov))
			continue;
		last = part[0] = found[i]->prov;
		lessen_by_description(at, part);
		*ret_args = stability_of(last)->args;
	}
	if (!n)
		lessen_by_description(at, part);
}

/* "mod:func:name" as four parts. */
static void
lessen_by_spec(struct dt *dt, char at[ATTRIBUTES + 1], const char *text, const char **ret_args)
{
	cleanup_strv struct strv parts = STRV_INIT;
	const char *part[4] = {"", "", "", ""};

	strv_split(&parts, text, ":");
	for (size_t i = 0; i < parts.n && i < 4; i++)
		part[4 - (parts.n < 4 ? parts.n : 4) + i] = parts.v[i];
	*ret_args = stability_of(part[0])->args;
	if (*part[0])
		lessen_by_description(at, part);
	else
		lessen_by_matches(dt, at, text, part, ret_args);
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
			lessen_by_spec(dt, probes, s->text, &args);
		lessen_by_node(statements, n->left, args);
		lessen_by_node(statements, n->body, args);
	}
	printf("\nStability attributes for %s %s:\n\n", what, shown);
	show_attributes("Minimum Probe Description Attributes", probes);
	show_attributes("Minimum Statement Attributes", statements);
}

/* --- -x amin */

bool
dt_parse_attributes(const char *text, char ret[DT_ATTRIBUTES])
{
	cleanup_strv struct strv parts = STRV_INIT;
	char at[ATTRIBUTES + 1] = "";

	strv_split(&parts, text, "/");
	if (parts.n != ATTRIBUTES)
		return false;
	for (size_t i = 0; i < ATTRIBUTES; i++)
		for (size_t k = 0; words[i][k]; k++)
			if (str_eq(words[i][k], parts.v[i]))
				at[i] = ranks[i][k];
	if (!at[0] || !at[1] || !at[2])
		return false;
	memcpy(ret, at, sizeof(at));
	return true;
}

static int
check_least(const struct dt *dt, const char *at, int line, const char *what, struct error *err)
{
	const char *least = dt->opts.amin;

	for (size_t i = 0; i < ATTRIBUTES; i++)
		if (strchr(ranks[i], at[i]) < strchr(ranks[i], least[i]))
			return d_error(err, line, "D_ATTR_MIN",
				       "%s is %s/%s/%s, less than the minimum of %s/%s/%s", what,
				       word_of(0, at[0]), word_of(1, at[1]), word_of(2, at[2]),
				       word_of(0, least[0]), word_of(1, least[1]), word_of(2, least[2]));
	return 0;
}

static int
check_clause_least(struct dt *dt, const struct node *clause, struct error *err)
{
	const char *args = "SSA";
	int r;

	for (const struct probe_spec *s = clause->probes; s; s = s->next) {
		char at[ATTRIBUTES + 1] = "SSA";
		cleanup_free char *what = str_printf("probe description %s", s->text);

		lessen_by_spec(dt, at, s->text, &args);
		if ((r = check_least(dt, at, clause->line, what, err)) < 0)
			return r;
	}
	for (int part = 0; part < 2; part++) {
		const struct node *n = part ? clause->body : clause->left;

		for (; n; n = n->next) {
			char at[ATTRIBUTES + 1] = "SSA";

			lessen_by_one(at, n, args);
			if ((r = check_least(dt, at, n->line, part ? "the statement" : "the predicate", err)) < 0)
				return r;
		}
	}
	return 0;
}

/* The program as it is written: what the library makes of its words has the library's promise. */
int
dt_check_stability(struct dt *dt, const struct ast *ast, struct error *err)
{
	int r = 0;

	if (dt->in_library)
		return 0;
	for (const struct node *n = ast->top; n && r == 0; n = n->next)
		if (n->kind == N_PRAGMA && str_after(n->text, "option amin"))
			r = dt_pragma(dt, n, err); /* dt_check() would come to it too late */
	if (r < 0 || !*dt->opts.amin)
		return r;
	for (const struct node *n = ast->top; n && r == 0; n = n->next)
		if (n->kind == N_CLAUSE)
			r = check_clause_least(dt, n, err);
	return r;
}
