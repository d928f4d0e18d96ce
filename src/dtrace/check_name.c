/*
 * Names and what they stand for: variables, built-ins, inlines, enumerators, variables of the
 * kernel, macro arguments.  A variable that no declaration names gets its type by its first
 * assignment.
 */
#include <string.h>

#include "dtrace/check.h"
#include "dtrace/priv.h"

/* A reference to a variable of the program; makes it if the clause may. */
struct ident *
var_find(struct dt *dt, enum scope scope, const char *name)
{
	static const char *const prefix[] = {"", "self->", "this->", "`"};
	cleanup_free char *key = str_printf("%s%s", prefix[scope], name);

	return map_get(dt->vars, key);
}

struct ident *
var_make(struct dt *dt, enum scope scope, const char *name, enum ident_kind kind)
{
	static const char *const prefix[] = {"", "self->", "this->", "`"};
	cleanup_free char *key = str_printf("%s%s", prefix[scope], name);
	struct ident *v = xcalloc(1, sizeof(*v));

	v->kind = kind;
	v->scope = scope;
	v->map = -1;
	v->offset = -1;
	map_set(dt->vars, key, v);
	v->name = map_key(dt->vars, key);
	return v;
}

static int
check_builtin(struct checker *c, struct node *n, const struct ident *row, struct error *err)
{
	int r = priv_check_ident(c->dt, n, row, err);

	if (r < 0)
		return r;
	n->ident = (struct ident *)(uintptr_t)row;
	c->dt->builtin_reads[row->builtin]++;
	if (row->builtin == B_UCALLER || row->builtin == B_USTACKDEPTH)
		c->dt->uses_rt = c->dt->takes_ustacks = true;
	if (row->builtin == B_ARGS)
		return d_error(err, n->line, "D_IDENT_BADREF",
			       "args[] needs an index: args[0] is the first argument");
	if (!row->type_name)
		return d_error(err, n->line, "D_IDENT_BADREF", "\"%s\" cannot be used here",
			       n->name);
	if (str_eq(row->type_name, "string")) {
		n->type = c->dt->t_string;
		return 0;
	}
	return ctf_parse(c->dt->types, row->type_name, &n->type, err) < 0
		       ? d_error(err, n->line, "D_TYPE_ERR", "%s", error_message(err))
		       : 0;
}

/* Type data names variables of each CPU only; these are what C programs know them as. */
static const struct ctf_type *
kernel_variable(struct dt *dt, const char *name)
{
	static const struct {
		const char *name, *type;
	} rows[] = {{"avenrun", "unsigned long [3]"},
		    {"cad_pid", "struct pid *"},
		    {"cgrp_dfl_root", "struct cgroup_root"},
		    {"crashing_cpu", "int"},
		    {"init_mm", "struct mm_struct"},
		    {"init_net", "struct net"},
		    {"init_pid_ns", "struct pid_namespace"},
		    {"init_task", "struct task_struct"},
		    {"init_user_ns", "struct user_namespace"},
		    {"jiffies", "unsigned long"},
		    {"jiffies_64", "uint64_t"},
		    {"linux_banner", "char [256]"},
		    {"max_low_pfn", "unsigned long"},
		    {"max_pfn", "unsigned long"},
		    {"min_low_pfn", "unsigned long"},
		    {"nr_cpu_ids", "unsigned int"},
		    {"nr_threads", "int"},
		    {"oops_in_progress", "int"},
		    {"panic_timeout", "int"},
		    {"saved_command_line", "char *"},
		    {"system_state", "int"},
		    {"total_forks", "unsigned long"},
		    {"uts_sem", "struct rw_semaphore"},
		    {"vm_zone_stat", "long [1]"}}; /* and more: [0] is of free pages */
	const struct ctf_type *t = ctf_find_variable(dt->kernel, name);
	cleanup_error struct error none = ERROR_INIT;

	for (size_t i = 0; !t && i < ARRAY_SIZE(rows); i++)
		if (str_eq(rows[i].name, name) && ctf_parse(dt->types, rows[i].type, &t, &none) < 0)
			return NULL;
	return t;
}

void
var_note_use(const struct checker *c, struct ident *v)
{
	v->writes += c->assigning;
	v->reads += !c->assigning;
}

int
check_illumos_variable(struct checker *c, struct node *n, const struct node *name,
		       struct node *args, struct error *err)
{
	cleanup_free char *inlined = str_printf("d_illumos_%s", name->name);
	const char *region = c->dt->region;
	struct ident *v;
	int r;

	if ((r = priv_check_ident(c->dt, name, NULL, err)) < 0 ||
	    (r = dt_load_library(c->dt, err)) < 0)
		return r;
	c->dt->region = region;
	v = map_get(c->dt->inlines, inlined);
	return !v ? 1 : check_inline(c, n, v, args, err);
}

static int
check_kernel_variable(struct checker *c, struct node *n, struct error *err)
{
	int r = priv_check_ident(c->dt, n, NULL, err);

	if (r < 0)
		return r;
	n->type = kernel_variable(c->dt, n->name);
	if (!n->type && (r = check_illumos_variable(c, n, n, NULL, err)) <= 0)
		return r;
	if (!n->type)
		return d_error(err, n->line, "D_SYM_NOTYPES",
			       "the kernel's type data has no variable \"%s\"", n->name);
	n->is_lvalue = true;
	return 0;
}

/* A parameter of the inline or translator at work becomes what stands for it. */
static bool
put_argument(struct checker *c, struct node *n)
{
	struct node *next = n->next, *arg;
	size_t i = 0;

	while (i < c->n_params && !str_eq(c->params[i].name, n->name))
		i++;
	if (i == c->n_params)
		return false;
	arg = c->params[i].value;
	if (arg->kind == N_XLATE || ctf_is_aggregate(c->params[i].type)) {
		*n = *arg;
	} else {
		*n = (struct node){.kind = N_CAST, .line = n->line, .left = arg, .type = c->params[i].type,
				   .slot = -1, .is_user = arg->is_user};
		check_text_as_pointer(c, n);
	}
	n->next = next;
	return true;
}

static int
check_variable(struct checker *c, struct node *n, struct ident *v, struct error *err)
{
	n->ident = v;
	n->is_lvalue = true;
	n->is_user = v->is_user;
	var_note_use(c, v);
	if (v->kind == ID_ASSOC)
		return d_error(err, n->line, "D_IDENT_BADREF",
			       "\"%s\" is an associative array: it needs a key", n->name);
	if (!v->type && !c->assigning)
		return d_error(err, n->line, "D_IDENT_UNDEF",
			       "\"%s\" is used before anything was assigned to it", n->name);
	n->type = v->type;
	c->dt->uses_rt |= n->type && dt_is_memory(c->dt, n->type);
	return 0;
}

/* Inlines, built-ins and enumerators; 1: it is none of them. */
static int
check_given_name(struct checker *c, struct node *n, struct error *err)
{
	struct ident *inlined = map_get(c->dt->inlines, n->name);
	const struct ident *row = ident_lookup(n->name);
	int64_t value;

	if (inlined)
		return check_inline(c, n, inlined, NULL, err);
	if (row && row->kind == ID_BUILTIN)
		return check_builtin(c, n, row, err);
	if (row)
		return d_error(err, n->line, "D_IDENT_BADREF", "\"%s\" is a function and needs ( )", n->name);
	if (!ctf_find_enumerator(c->dt->types, n->name, &value))
		return 1;
	n->type = value > INT32_MAX || value < INT32_MIN ? c->dt->t_long : c->dt->t_int;
	node_set_const(n, value);
	return 0;
}

int
check_ident(struct checker *c, struct node *n, struct error *err)
{
	struct ident *v;
	int r;

	if (n->scope == SCOPE_KERNEL)
		return check_kernel_variable(c, n, err);
	if (n->scope == SCOPE_GLOBAL && put_argument(c, n))
		return 0;
	/* The library's words do not mean what the program calls by the same name. */
	v = c->library && c->dt->confine ? NULL : var_find(c->dt, n->scope, n->name);
	if (v)
		return check_variable(c, n, v, err);
	if (n->scope == SCOPE_GLOBAL && (r = check_given_name(c, n, err)) <= 0)
		return r;
	if (c->assigning) { /* its type comes with the value */
		n->ident = var_make(c->dt, n->scope, n->name, ID_VAR);
		var_note_use(c, n->ident);
		n->is_lvalue = true;
		return 0;
	}
	return d_error(err, n->line, "D_IDENT_UNDEF", "\"%s%s\" is not known",
		       n->scope == SCOPE_SELF ? "self->" : n->scope == SCOPE_THIS ? "this->" : "",
		       n->name);
}

/* $1, $$1, $target, $pid ...: its text, or its number if *ret_text is NULL. */
int
dt_macro(struct dt *dt, const char *name, int line, const char **ret_text, int64_t *ret_number,
	 struct error *err)
{
	uint64_t index;

	*ret_text = NULL;
	name += name[0] == '$';
	if (str_eq(name, "target")) {
		if (dt->target < 0)
			return d_error(err, line, "D_MACRO_UNDEF",
				       "$target needs -p PID or -c COMMAND");
		*ret_number = dt->target;
		return 0;
	}
	if (str_to_u64(name, 10, &index) < 0)
		return (dt->remote ? dt->remote->macro(dt->remote->arg, name, ret_number)
				    : macro_value(name, ret_number))
			       ? 0
			       : d_error(err, line, "D_MACRO_UNDEF",
					 "macro variable $%s is not known", name);
	if (index <= dt->args.n)
		*ret_text = index ? dt->args.v[index - 1] : dt->script;
	else if (dt->opts.defaultargs)
		*ret_text = "";
	else
		return d_error(err, line, "D_MACRO_UNDEF", "macro argument $%s is not given", name);
	if (index && index <= 64)
		dt->args_used |= 1ull << (index - 1);
	return 0;
}

/* An argument as a number, of 64 bits with or without a sign. */
static int
macro_number(const char *text, int64_t *ret)
{
	uint64_t number;
	int r = str_to_i64(text, 0, ret);

	if (r != -ERANGE || (r = str_to_u64(text, 0, &number)) < 0)
		return r;
	*ret = (int64_t)number;
	return 0;
}

int
check_macro(struct checker *c, struct node *n, struct error *err)
{
	struct dt *dt = c->dt;
	bool text = n->name[0] == '$';
	const char *value;
	int64_t number = 0;
	int r = dt_macro(dt, n->name, n->line, &value, &number, err);

	if (r < 0)
		return r;
	if (value && !*value && !text) /* -xdefaultargs */
		value = "0";
	if (value && !text && (r = macro_number(value, &number)) == -ERANGE)
		return d_error(err, n->line, "D_MACRO_OFLOW",
			       "macro argument $%s constant %s results in integer overflow", n->name,
			       value);
	if (value && (text || r < 0)) {
		n->kind = N_STRING;
		n->text = (char *)(uintptr_t)value;
		n->text_len = strlen(value);
		n->type = dt->t_string;
		return 0;
	}
	n->kind = N_INT;
	n->number = (uint64_t)number;
	n->type = dt->t_long;
	if (number >= INT32_MIN && number <= INT32_MAX)
		n->type = dt->t_int;
	node_set_const(n, number);
	return 0;
}
