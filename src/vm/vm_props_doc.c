/*
 * Writes the manual page of vmadm: the part in vmadm.8.in up to the line
 * @PROPERTIES@, the property table as mdoc, and the rest.
 */
#include "base/cli.h"
#include "base/file.h"
#include "vm/vm_props.h"

/* Text as mdoc wants it: no control lines, no macros, no escapes. */
static void
put_text(FILE *out, const char *s)
{
	if (*s == '.' || *s == '\'')
		fputs("\\&", out);
	for (; *s; s++)
		if (*s == '\\')
			fputs("\\e", out);
		else if (s[0] == '.' && s[1] == ' ') {
			fputs(".\n", out); /* mdoc: a sentence begins a line */
			s++;
		} else
			fputc(*s, out);
}

static void
put_brands(FILE *out, unsigned brands)
{
	static const struct {
		unsigned set;
		const char *name;
	} names[] = {
		{VM_OS, "zones"},
		{VM_HVM, "virtual machines"},
		{VM_KVM, "kvm"},
		{VM_BHYVE, "bhyve"},
		{VM_LX, "lx"},
		{VM_MINIMAL, "joyent-minimal"},
	};
	const char *sep = "";

	if (brands == VM_ANY)
		return;
	if (brands == (VM_ANY & ~VM_BHYVE)) {
		fputs("\nNot for brand bhyve.", out);
		return;
	}
	fputs("\nOnly for ", out);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if ((brands & names[i].set) == names[i].set) {
			fprintf(out, "%s%s", sep, names[i].name);
			sep = " and ";
			brands &= ~names[i].set;
		}
	fputs(".", out);
}

static void
put_range(FILE *out, const struct vm_prop *p)
{
	if (p->type == VM_T_INT) {
		fprintf(out, ", %lld", (long long)p->min);
		if (p->max < 2147483647)
			fprintf(out, " to %lld", (long long)p->max);
		else
			fputs(" or more", out);
		if (p->unit)
			fprintf(out, " %s", p->unit);
		if (p->pow2)
			fputs(", a power of two", out);
	} else if (p->choices) {
		cleanup_free char *list = xstrdup(p->choices);

		for (char *c = list; *c; c++)
			if (*c == '|')
				*c = ' ';
		fprintf(out, ": %s", list);
	} else if (p->type == VM_T_LIST && p->max)
		fprintf(out, ", at most %lld items", (long long)p->max);
}

static void
put_initial(FILE *out, const struct vm_prop *p)
{
	if (!p->initial)
		return;
	if (*p->initial == '=')
		fprintf(out, "; default %s", p->initial + 1);
	else
		fprintf(out, "; default %s", p->initial);
}

static const char *
when_text(const struct vm_prop *p)
{
	if (strchr(p->path, '*'))
		return p->actions & VM_ADD ? p->actions & VM_CHANGE ? "" : " Fixed once it exists."
					   : " Only when it is changed.";
	if (!(p->actions & VM_UPDATE))
		return p->type == VM_T_OBJECTS
			       ? " Changed with add_, update_ and remove_."
			       : p->type == VM_T_FLAT ? " Changed with set_ and remove_."
						      : " Fixed once the VM exists.";
	return p->actions & VM_LIVE ? " Changes take effect at once."
				    : " Changes take effect at the next start.";
}

static bool
shown(const struct vm_prop *p)
{
	return !p->hidden && (p->actions & ~(unsigned)VM_RECEIVE);
}

static void
put_props(FILE *out)
{
	fputs(".Bl -tag -width Ds\n", out);
	for (size_t i = 0; i < vm_props_n; i++) {
		const struct vm_prop *p = &vm_props[i];

		if (!shown(p))
			continue;
		fprintf(out, ".It Va %s Pq %s", p->path,
			p->type == VM_T_FLAT ? "object" : vm_type_name(p->type));
		fputs("\n", out);
		put_text(out, p->doc);
		fputs("\n.br\n", out);
		fputs("Type: ", out);
		fputs(vm_type_name(p->type), out);
		put_range(out, p);
		put_initial(out, p);
		fputs(".", out);
		if (p->required)
			fputs("\nRequired.", out);
		if (*when_text(p))
			fprintf(out, "\n%s", when_text(p) + 1);
		put_brands(out, p->brands);
		fputs("\n", out);
	}
	fputs(".El\n", out);
}

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *text = NULL;
	cleanup_fclose FILE *out = NULL;
	static const char mark[] = "@PROPERTIES@\n";
	char *at;

	cli_init(argv[0]);
	if (argc != 3)
		return cli_fail("usage: vm-props-doc INPUT OUTPUT");
	if (file_read(argv[1], 0, &text, NULL, &err) < 0)
		return cli_error(&err);
	at = strstr(text, mark);
	if (!at)
		return cli_fail("%s: there is no line @PROPERTIES@", argv[1]);
	out = fopen(argv[2], "w");
	if (!out)
		return cli_fail("%s: %s", argv[2], strerror(errno));
	fwrite(text, 1, (size_t)(at - text), out);
	put_props(out);
	fputs(at + sizeof(mark) - 1, out);
	return fflush(out) == 0 ? 0 : cli_fail("%s: cannot write", argv[2]);
}
