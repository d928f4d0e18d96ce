/*
 * Types and names.
 *
 * Arithmetic is done in 64 bits; a value is cut to its type where it is stored.
 * A variable that no declaration names gets its type by its first assignment.
 * Checking a clause also lays it out: which values it records and where.
 */
#include <string.h>

#include "dtrace/check.h"
#include "dtrace/priv.h"

bool
dt_is_string(struct dt *dt, const struct ctf_type *t)
{
	return t == dt->t_string;
}

/* Text of some kind: D's string, char * or char []. */
static bool
is_text(struct dt *dt, const struct ctf_type *t)
{
	return dt_is_string(dt, t) || ctf_is_string(t);
}

/* NULL and 0: as text they are "". */
static bool
is_null(const struct node *n)
{
	return n->is_const && n->value == 0;
}

bool
dt_is_scalar(struct dt *dt, const struct ctf_type *t)
{
	return !dt_is_string(dt, t) && (ctf_is_integral(t) || ctf_is_pointer(t));
}

/* Structures, unions, arrays: handled by their address. */
static bool
is_memory(struct dt *dt, const struct ctf_type *t)
{
	return !dt_is_string(dt, t) &&
	       (ctf_is_aggregate(t) || ctf_kind(ctf_resolve(t)) == CTF_ARRAY);
}

/* --- types as written */

static int
type_base(struct dt *dt, const struct node *where, const struct type_expr *t,
	  const struct ctf_type **ret, struct error *err);

/* A bit-field is of an integer type, and not wider than that. */
static int
check_bits(const struct node *m, const struct ctf_type *type, struct error *err)
{
	if (!m->bit_size)
		return 0;
	if (!ctf_is_integral(type))
		return d_error(err, m->line, "D_DECL_BFTYPE", "a bit-field is of an integer type");
	if (m->bit_size > 8 * ctf_size(type))
		return d_error(err, m->line, "D_DECL_BFSIZE", "a bit-field is wider than its type");
	return 0;
}

static int
build_aggregate(struct dt *dt, const struct node *where, const struct type_body *body,
		const struct ctf_type **ret, struct error *err)
{
	const char *kind = body->kind == CTF_UNION ? "union" : "struct";
	struct ctf_type *made;
	struct ctf_member old;
	int r = 0;

	if (body->tag && (r = priv_check_name(dt, where, kind, body->tag, err)) < 0)
		return r;
	made = ctf_make_aggregate(dt->types, body->kind, body->tag ? body->tag : "");
	for (const struct node *m = body->members; m; m = m->next) {
		const struct ctf_type *type = NULL;

		if ((r = dt_type(dt, m, m->type_expr, &type, err)) < 0 ||
		    (r = check_bits(m, type, err)) < 0)
			return r;
		if (ctf_kind(ctf_resolve(type)) == CTF_FUNCTION)
			return d_error(err, m->line, "D_DECL_VOIDOBJ", "a function is no member");
		if (m->name && ctf_find_member(made, m->name, &old))
			return d_error(err, m->line, "D_UNKNOWN", "member \"%s\" is declared twice",
				       m->name);
		r = ctf_add_member(made, m->name ? m->name : "", type, m->bit_size, err);
		if (r < 0)
			return d_error(err, m->line, "D_DECL_INCOMPLETE", "%s",
				       error_message(err));
	}
	*ret = made;
	return 0;
}

static int
build_enum(struct dt *dt, const struct type_body *body, const struct ctf_type **ret,
	   struct error *err)
{
	struct ctf_type *made = ctf_make_enum(dt->types, body->tag ? body->tag : "");
	int64_t next = 0;

	for (struct node *m = body->members; m; m = m->next) {
		int r;

		if (m->left) {
			struct checker c = {.dt = dt};

			if ((r = check_expr(&c, m->left, err)) < 0)
				return r;
			if (!m->left->is_const)
				return d_error(err, m->line, "D_DECL_ENCONST",
					       "enumerator '%s' must be a constant", m->name);
			next = m->left->value;
		}
		if (next > INT32_MAX || next < INT32_MIN)
			return d_error(err, m->line, "D_DECL_ENOFLOW",
				       "enumerator \"%s\" does not fit an int", m->name);
		r = ctf_add_enumerator(made, m->name, next++, err);
		if (r < 0)
			return d_error(err, m->line, "D_DECL_IDRED", "%s", error_message(err));
	}
	*ret = made;
	return 0;
}

/* How often a word stands among those of a type. */
static int
count_word(const char *words, const char *word)
{
	size_t n = strlen(word);
	int count = 0;

	for (const char *p = words; (p = strstr(p, word)); p += n)
		count += (p == words || p[-1] == ' ') && (!p[n] || p[n] == ' ');
	return count;
}

/* Words that make no type together: "char int", "short long", "void void". */
static int
check_words(const struct node *where, const char *base, struct error *err)
{
	int is_short = count_word(base, "short"), is_long = count_word(base, "long");
	int is_char = count_word(base, "char"), is_void = count_word(base, "void");
	int is_signed = count_word(base, "signed"), is_unsigned = count_word(base, "unsigned");
	int kinds = is_char + is_void + count_word(base, "int") + count_word(base, "float") +
		    count_word(base, "double");
	const struct {
		bool wrong;
		const char *tag, *why;
	} rows[] = {{kinds > 1, "D_DECL_COMBO", "more than one type"},
		    {is_void && (is_short || is_long || is_signed || is_unsigned), "D_DECL_VOIDATTR",
		     "void has no size and no sign"},
		    {is_char && (is_short || is_long), "D_DECL_CHARATTR",
		     "char is neither short nor long"},
		    {is_short && is_long, "D_UNKNOWN", "both short and long"},
		    {is_short > 1 || is_long > 2 || is_signed + is_unsigned > 1, "D_DECL_COMBO",
		     "a word too many"}};

	for (size_t i = 0; strchr(base, ' ') && i < ARRAY_SIZE(rows); i++)
		if (rows[i].wrong)
			return d_error(err, where->line, rows[i].tag, "\"%s\" is no type: %s", base,
				       rows[i].why);
	return 0;
}

/* A structure that nobody has described: pointers to it can be handled all the same. */
static const struct ctf_type *
make_forward(struct dt *dt, const char *base)
{
	const char *tag;

	if ((tag = str_after(base, "struct ")))
		return ctf_make_forward(dt->types, CTF_STRUCT, tag);
	if ((tag = str_after(base, "union ")))
		return ctf_make_forward(dt->types, CTF_UNION, tag);
	return NULL;
}

static int
type_base(struct dt *dt, const struct node *where, const struct type_expr *t,
	  const struct ctf_type **ret, struct error *err)
{
	const struct ctf_type *found;
	int r;

	if (t->body)
		return t->body->kind == CTF_ENUM ? build_enum(dt, t->body, ret, err)
						 : build_aggregate(dt, where, t->body, ret, err);
	if (str_eq(t->base, "string")) {
		*ret = dt->t_string;
		return 0;
	}
	if ((r = check_words(where, t->base, err)) < 0)
		return r;
	found = ctf_find(dt->types, *t->base ? t->base : "int");
	if (!found)
		found = make_forward(dt, t->base);
	if (!found)
		return d_error(err, where->line, "D_DECL_TYPE", "no type \"%s\" is known", t->base);
	*ret = found;
	return 0;
}

static int
array_size(struct dt *dt, struct node *size, uint64_t *ret, struct error *err)
{
	struct checker c = {.dt = dt};
	int r = check_expr(&c, size, err);

	if (r < 0)
		return r;
	if (!size->is_const || size->value < 0)
		return d_error(err, size->line, "D_DECL_ARRSUB",
			       "array size must be a constant and not negative");
	*ret = (uint64_t)size->value;
	return 0;
}

/* void is the only parameter and has no name; an associative array is none. */
static int
check_parameter(const struct node *p, const struct ctf_type *type, const struct node *all,
		struct error *err)
{
	if (ctf_kind(ctf_resolve(type)) == CTF_VOID && p->name)
		return d_error(err, p->line, "D_DECL_PROTO_NAME", "a void parameter has no name");
	if (ctf_kind(ctf_resolve(type)) == CTF_VOID && (p != all || p->next))
		return d_error(err, p->line, "D_DECL_PROTO_VOID", "void stands alone");
	for (size_t i = 0; i < p->type_expr->n_parts; i++)
		if (p->type_expr->parts[i].kind == DECL_ASSOC)
			return d_error(err, p->line, "D_DECL_PROTO_TYPE",
				       "an associative array is no parameter");
	return 0;
}

int
dt_type(struct dt *dt, const struct node *where, const struct type_expr *t,
	const struct ctf_type **ret, struct error *err)
{
	const struct ctf_type *type = NULL;
	uint64_t count;
	int r = type_base(dt, where, t, &type, err);

	if (r < 0)
		return r;
	if (t->is_const && type != dt->t_string)
		type = ctf_make_qualified(dt->types, CTF_CONST, type);
	for (size_t i = t->n_parts; i-- > 0;) { /* from the base outwards */
		switch (t->parts[i].kind) {
		case DECL_POINTER:
			type = ctf_make_pointer(dt->types, type);
			break;
		case DECL_ARRAY:
			count = t->parts[i].count;
			if (t->parts[i].size &&
			    (r = array_size(dt, t->parts[i].size, &count, err)) < 0)
				return r;
			if (count > 65536)
				return d_error(err, where->line, "D_DECL_ARRBIG",
					       "an array of %llu elements is too large",
					       (unsigned long long)count);
			type = ctf_make_array(dt->types, type, count);
			break;
		case DECL_FUNCTION: {
			struct ctf_type *f = ctf_make_function(dt->types, type, false);

			for (const struct node *p = t->parts[i].keys; p; p = p->next) {
				const struct ctf_type *pt;

				if (!p->type_expr)
					continue;
				if ((r = dt_type(dt, p, p->type_expr, &pt, err)) < 0 ||
				    (r = check_parameter(p, pt, t->parts[i].keys, err)) < 0)
					return r;
				ctf_add_param(f, p->name, pt);
			}
			type = f;
			break;
		}
		case DECL_ASSOC: /* the variable's affair: declare_var() */
			break;
		}
	}
	*ret = type;
	return 0;
}

/* --- expressions */

/* What an operator asks of its operands, as the tag of its error says. */
static const char *
operand_tag(const struct node *n)
{
	enum op op = n->op == OP_ASSIGN ? n->op2 : n->op;

	switch (op) {
	case OP_MOD:
	case OP_AND:
	case OP_OR:
	case OP_XOR:
	case OP_SHL:
	case OP_SHR:
	case OP_BNOT:
		return "D_OP_INT";
	case OP_LAND:
	case OP_LOR:
	case OP_LXOR:
	case OP_NOT:
	case OP_PREINC:
	case OP_PREDEC:
	case OP_POSTINC:
	case OP_POSTDEC:
		return "D_OP_SCALAR";
	case OP_MUL:
	case OP_DIV:
	case OP_NEG:
	case OP_PLUS:
		return "D_OP_ARITH";
	default:
		return "D_OP_INCOMPAT";
	}
}

static int
bad_operand(const struct node *n, struct error *err)
{
	cleanup_free char *l = n->left && n->left->type ? ctf_name(n->left->type) : xstrdup("?");
	cleanup_free char *r = n->right && n->right->type ? ctf_name(n->right->type) : NULL;

	if (!n->right)
		return d_error(err, n->line, operand_tag(n),
			       "operator %s takes no operand of type \"%s\"",
			       n->op == OP_NEG ? "-" : n->op == OP_PLUS ? "+" : op_name(n->op), l);
	return d_error(err, n->line, operand_tag(n),
		       "operands of \"%s\" have incompatible types: \"%s\" and \"%s\"",
		       op_name(n->op), l, r);
}

static void
set_const(struct node *n, int64_t value)
{
	n->is_const = true;
	n->value = value;
}

static int
check_int(struct checker *c, struct node *n)
{
	struct dt *dt = c->dt;
	bool wide = n->is_long || n->number > (n->is_unsigned ? UINT32_MAX : INT32_MAX);
	bool is_unsigned = n->is_unsigned || n->number > INT64_MAX;

	n->type = wide ? (is_unsigned ? dt->t_ulong : dt->t_long)
		       : (is_unsigned ? dt->t_uint : dt->t_int);
	set_const(n, (int64_t)n->number);
	return 0;
}

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
		    {"uts_sem", "struct rw_semaphore"}};
	const struct ctf_type *t = ctf_find_variable(dt->kernel, name);
	cleanup_error struct error none = ERROR_INIT;

	for (size_t i = 0; !t && i < ARRAY_SIZE(rows); i++)
		if (str_eq(rows[i].name, name) && ctf_parse(dt->types, rows[i].type, &t, &none) < 0)
			return NULL;
	return t;
}

static int
check_ident(struct checker *c, struct node *n, struct error *err)
{
	struct ident *v;
	const struct ident *row;
	int64_t value;
	int r;

	if (n->scope == SCOPE_KERNEL) {
		if ((r = priv_check_ident(c->dt, n, NULL, err)) < 0)
			return r;
		n->type = kernel_variable(c->dt, n->name);
		if (!n->type)
			return d_error(err, n->line, "D_SYM_NOTYPES",
				       "the kernel's type data has no variable \"%s\"", n->name);
		n->is_lvalue = true;
		return 0;
	}
	for (size_t i = 0; n->scope == SCOPE_GLOBAL && i < c->n_params; i++) {
		if (str_eq(c->params[i].name, n->name)) {
			struct node *arg = c->params[i].value;

			struct node *next = n->next;

			if (arg->kind == N_XLATE || ctf_is_aggregate(c->params[i].type)) {
				*n = *arg;
				n->next = next;
				return 0;
			}
			*n = (struct node){.kind = N_CAST, .line = n->line, .next = next,
					   .left = arg, .type = c->params[i].type, .slot = -1,
					   .is_user = arg->is_user};
			return 0;
		}
	}
	/* The library's words do not mean what the program calls by the same name. */
	v = c->library && c->dt->confine ? NULL : var_find(c->dt, n->scope, n->name);
	if (v) {
		n->ident = v;
		n->is_lvalue = true;
		n->is_user = v->is_user;
		if (v->kind == ID_ASSOC)
			return d_error(err, n->line, "D_IDENT_BADREF",
				       "\"%s\" is an associative array: it needs a key", n->name);
		if (!v->type && !c->assigning)
			return d_error(err, n->line, "D_IDENT_UNDEF",
				       "\"%s\" is used before anything was assigned to it", n->name);
		n->type = v->type;
		c->dt->uses_rt |= n->type && is_memory(c->dt, n->type);
		return 0;
	}
	if (n->scope == SCOPE_GLOBAL) {
		v = map_get(c->dt->inlines, n->name);
		if (v)
			return check_inline(c, n, v, NULL, err);
		row = ident_lookup(n->name);
		if (row && row->kind == ID_BUILTIN)
			return check_builtin(c, n, row, err);
		if (row)
			return d_error(err, n->line, "D_IDENT_BADREF",
				       "\"%s\" is a function and needs ( )", n->name);
		if (ctf_find_enumerator(c->dt->types, n->name, &value)) {
			n->type = c->dt->t_int;
			if (value > INT32_MAX || value < INT32_MIN)
				n->type = c->dt->t_long;
			set_const(n, value);
			return 0;
		}
	}
	if (c->assigning) { /* its type comes with the value */
		n->ident = var_make(c->dt, n->scope, n->name, ID_VAR);
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

static int
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
	if (value && (text || str_to_i64(value, 0, &number) < 0)) {
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
	set_const(n, number);
	return 0;
}

/*
 * The type of a + b: that of the higher rank, as the DTrace Guide says, so two chars make a char.
 * Ranks go by size; the unsigned one stands above the signed one of its size.
 */
const struct ctf_type *
dt_common_type(struct dt *dt, const struct ctf_type *a, const struct ctf_type *b)
{
	uint64_t sa = ctf_is_pointer(a) ? 8 : ctf_size(a), sb = ctf_is_pointer(b) ? 8 : ctf_size(b);
	uint64_t size = sa > sb ? sa : sb;
	bool is_unsigned = (sa == size && !ctf_is_signed(a)) || (sb == size && !ctf_is_signed(b));

	switch (size) {
	case 8:
		return is_unsigned ? dt->t_ulong : dt->t_long;
	case 2:
		return ctf_find(dt->types, is_unsigned ? "unsigned short" : "short");
	case 1:
		return ctf_find(dt->types, is_unsigned ? "unsigned char" : "signed char");
	default:
		return is_unsigned ? dt->t_uint : dt->t_int;
	}
}

static const struct ctf_type *
common_type(struct dt *dt, const struct node *a, const struct node *b)
{
	return dt_common_type(dt, a->type, b->type);
}

/* What the generated code makes of a constant of 64 bits (cut() and as_common() of gen_expr.c). */
static int64_t as_type(int64_t value, const struct ctf_type *t);

static int64_t
as_computed(int64_t value, const struct ctf_type *t)
{
	return ctf_size(t) == 4 && ctf_is_signed(t) ? value : as_type(value, t);
}

/* The value as an integer type of that size holds it. */
static int64_t
as_type(int64_t value, const struct ctf_type *t)
{
	unsigned shift = 64 - 8 * (unsigned)ctf_size(t);
	uint64_t v = (uint64_t)value << shift;

	return ctf_is_signed(t) ? (int64_t)v >> shift : (int64_t)(v >> shift);
}

/* Folds constants as the generated code would compute them. */
static bool
fold(enum op op, int64_t a, int64_t b, bool is_signed, int64_t *ret)
{
	uint64_t ua = (uint64_t)a, ub = (uint64_t)b;

	switch (op) {
	case OP_ADD: *ret = (int64_t)(ua + ub); return true;
	case OP_SUB: *ret = (int64_t)(ua - ub); return true;
	case OP_MUL: *ret = (int64_t)(ua * ub); return true;
	case OP_DIV:
	case OP_MOD:
		if (!b || (is_signed && a == INT64_MIN && b == -1))
			return false;
		if (op == OP_DIV)
			*ret = is_signed ? a / b : (int64_t)(ua / ub);
		else
			*ret = is_signed ? a % b : (int64_t)(ua % ub);
		return true;
	case OP_AND: *ret = a & b; return true;
	case OP_OR: *ret = a | b; return true;
	case OP_XOR: *ret = a ^ b; return true;
	case OP_SHL: *ret = (int64_t)(ua << (ub & 63)); return true;
	case OP_SHR: *ret = is_signed ? a >> (ub & 63) : (int64_t)(ua >> (ub & 63)); return true;
	case OP_EQ: *ret = a == b; return true;
	case OP_NE: *ret = a != b; return true;
	case OP_LT: *ret = is_signed ? a < b : ua < ub; return true;
	case OP_LE: *ret = is_signed ? a <= b : ua <= ub; return true;
	case OP_GT: *ret = is_signed ? a > b : ua > ub; return true;
	case OP_GE: *ret = is_signed ? a >= b : ua >= ub; return true;
	case OP_LAND: *ret = a && b; return true;
	case OP_LOR: *ret = a || b; return true;
	case OP_LXOR: *ret = !a != !b; return true;
	case OP_NONE:
	case OP_ASSIGN:
	case OP_COMMA:
	case OP_DOT:
	case OP_ARROW:
	case OP_NEG:
	case OP_PLUS:
	case OP_NOT:
	case OP_BNOT:
	case OP_DEREF:
	case OP_ADDR:
	case OP_PREINC:
	case OP_PREDEC:
	case OP_POSTINC:
	case OP_POSTDEC:
		return false;
	}
	return false;
}

static int
check_binary(struct checker *c, struct node *n, struct error *err)
{
	struct dt *dt = c->dt;
	struct node *l = n->left, *r = n->right;
	bool compare = n->op >= OP_EQ && n->op <= OP_GE;
	bool logical = n->op == OP_LAND || n->op == OP_LOR || n->op == OP_LXOR;
	int status;

	if ((status = check_expr(c, l, err)) < 0 || (status = check_expr(c, r, err)) < 0)
		return status;
	if (n->op == OP_COMMA) {
		n->type = r->type;
		n->is_user = r->is_user;
		return 0;
	}
	if (compare && (dt_is_string(dt, l->type) || dt_is_string(dt, r->type))) {
		if ((!is_text(dt, l->type) && !is_null(l)) || (!is_text(dt, r->type) && !is_null(r)))
			return bad_operand(n, err);
		n->type = dt->t_int;
		return 0;
	}
	if (!dt_is_scalar(dt, l->type) || !dt_is_scalar(dt, r->type))
		return bad_operand(n, err);
	if (compare || logical) {
		n->type = dt->t_int;
	} else if (ctf_is_pointer(l->type) || ctf_is_pointer(r->type)) {
		bool both = ctf_is_pointer(l->type) && ctf_is_pointer(r->type);

		if ((n->op != OP_ADD && n->op != OP_SUB) || (both && n->op == OP_ADD) ||
		    (n->op == OP_SUB && !both && ctf_is_pointer(r->type)))
			return bad_operand(n, err);
		n->type = both ? dt->t_long
			       : decay(dt, ctf_is_pointer(l->type) ? l->type : r->type);
		if (!both && !ctf_size(ctf_target(n->type)))
			return bad_operand(n, err); /* nobody knows how far */
		n->is_user = l->is_user || r->is_user;
	} else {
		n->type = common_type(dt, l, r);
		if (n->op == OP_SHL || n->op == OP_SHR)
			n->type = common_type(dt, l, l);
	}
	if (l->is_const && r->is_const && !ctf_is_pointer(n->type)) {
		const struct ctf_type *t = common_type(dt, l, r);
		int64_t v;

		if ((n->op == OP_DIV || n->op == OP_MOD) && r->value == 0)
			return d_error(err, n->line, "D_DIV_ZERO",
				       "expression contains division by zero");
		if (fold(n->op, as_computed(l->value, t), as_computed(r->value, t), ctf_is_signed(t), &v))
			set_const(n, as_computed(v, n->type));
	}
	return 0;
}

/* Arrays are used as pointers to their first element. */
const struct ctf_type *
decay(struct dt *dt, const struct ctf_type *t)
{
	const struct ctf_type *base = ctf_resolve(t);

	if (t != dt->t_string && ctf_kind(base) == CTF_ARRAY)
		return ctf_make_pointer(dt->types, ctf_target(base));
	return t;
}

bool
dt_may_assign(struct dt *dt, const struct ctf_type *to, const struct node *from)
{
	if (dt_is_string(dt, to))
		return is_text(dt, from->type) || is_null(from);
	if (ctf_is_aggregate(to)) /* 0 frees a dynamic variable */
		return ctf_same(to, from->type) || is_null(from);
	if (ctf_is_pointer(to) != ctf_is_pointer(from->type) && !is_null(from))
		return false;
	return dt_is_scalar(dt, to) && dt_is_scalar(dt, from->type);
}

static bool
is_variable(const struct node *n)
{
	return (n->kind == N_IDENT || n->kind == N_INDEX) && n->ident &&
	       (n->ident->kind == ID_VAR || n->ident->kind == ID_ASSOC);
}

/* An element of an array whose length is known; D's strings have none. */
static bool
is_sized(const struct node *n)
{
	const struct ctf_type *t = n->ident || !n->left ? NULL : ctf_resolve(n->left->type);

	return t && ctf_kind(t) == CTF_ARRAY && ctf_count(t);
}

bool
dt_in_variable(const struct node *n)
{
	while ((n->kind == N_OP1 && n->op == OP_DOT) || (n->kind == N_INDEX && is_sized(n)))
		n = n->left;
	return is_variable(n);
}

/*
 * Variables, their parts, and what a pointer of the program's points to: whether that is
 * alloca()'s memory is seen when it is written.
 */
static int
check_writable(struct checker *c, const struct node *n, const struct node *to, struct error *err)
{
	const struct node *root = to;

	/* without a type: made by this assignment */
	if (is_variable(to) && (!to->type || dt_is_string(c->dt, to->type) ||
				dt_is_scalar(c->dt, to->type)))
		return 0;
	c->dt->uses_rt = c->dt->uses_alloca = true;
	if (dt_in_variable(to))
		return 0;
	while (root->left && root->kind != N_CALL)
		root = root->kind == N_COND ? root->right : root->left;
	if (root->scope == SCOPE_KERNEL || (root->ident && root->ident->kind == ID_BUILTIN))
		return d_error(err, n->line, "D_OP_WRITE", "the kernel's memory cannot be written");
	return 0;
}

static int
check_assign(struct checker *c, struct node *n, struct error *err)
{
	struct dt *dt = c->dt;
	bool assigning = c->assigning;
	int r;

	if (n->left->kind == N_INDEX && n->left->left->kind == N_AGG)
		return d_error(err, n->line, "D_AGG_MDIM",
			       "keys of an aggregation stand in one pair of brackets: @%s[a, b]",
			       n->left->left->name);
	if (n->left->kind == N_AGG)
		return d_error(err, n->line, "D_AGG_SCOPE",
			       "an aggregation takes an aggregating function: @%s = count()",
			       n->left->name);
	if ((r = check_expr(c, n->right, err)) < 0)
		return r;
	c->assigning = true;
	c->assign_type = dt_is_string(dt, n->right->type) || ctf_is_string(n->right->type)
				 ? (dt_is_string(dt, n->right->type) ? dt->t_string
								     : decay(dt, n->right->type))
				 : decay(dt, n->right->type);
	r = check_expr(c, n->left, err);
	c->assigning = assigning;
	if (r < 0)
		return r;
	if (!n->left->is_lvalue)
		return d_error(err, n->line, "D_OP_LVAL", "operand of \"=\" cannot be assigned to");
	if ((r = check_writable(c, n, n->left, err)) < 0)
		return r;
	if (!n->left->type) { /* the first assignment gives the type */
		if (ctf_kind(ctf_resolve(n->right->type)) == CTF_VOID)
			return d_error(err, n->line, n->op2 == OP_NONE ? "D_OP_VOID" : "D_VAR_UNDEF",
				       "a void value is assigned");
		n->left->type = n->left->ident->type = c->assign_type;
	}
	if (n->op2 == OP_NONE && n->left->ident)
		n->left->ident->is_user |= n->right->is_user;
	if (n->op2 != OP_NONE && ctf_is_pointer(n->right->type) && !dt_is_string(dt, n->right->type))
		return d_error(err, n->line, "D_OP_VFPTR", "a pointer cannot be added or taken off");
	if (dt_is_string(dt, n->left->type) && !n->left->ident)
		return d_error(err, n->line, "D_OP_WRITE",
			       "text is assigned to whole variables only; a char array is written by element");
	if (dt_in_variable(n->left) && !dt_is_string(dt, n->left->type) &&
	    ctf_kind(ctf_resolve(n->left->type)) == CTF_ARRAY)
		return d_error(err, n->line, "D_OP_ARRFUN", "an array is not assigned as a whole");
	if (!dt_may_assign(dt, n->left->type, n->right) ||
	    (n->op2 != OP_NONE && !dt_is_scalar(dt, n->left->type)))
		return bad_operand(n, err);
	n->type = n->left->type;
	n->is_user = n->right->is_user;
	return 0;
}

static int
check_member(struct checker *c, struct node *n, struct error *err)
{
	const struct ctf_type *t;
	bool assigning = c->assigning, forward;
	struct ctf_member m;
	int r;

	c->assigning = false; /* what it is a member of must be there */
	r = check_expr(c, n->left, err);
	c->assigning = assigning;
	if (r < 0 || (r = check_xlate_member(c, n, err)) != 0)
		return r < 0 ? r : 0;
	t = n->left->type;
	if (n->op == OP_ARROW) {
		if (!ctf_is_pointer(t))
			return d_error(err, n->line, "D_OP_PTR", "\"->\" needs a pointer");
		t = ctf_target(ctf_resolve(t));
	}
	forward = ctf_kind(ctf_resolve(t)) == CTF_FORWARD;
	if (forward)
		t = ctf_find(c->dt->types, ctf_spelling(c->dt, t));
	if (forward && (!t || !ctf_is_aggregate(t))) {
		cleanup_free char *name = ctf_name(n->left->type);

		return d_error(err, n->line, "D_OP_INCOMPLETE",
			       "operator %s cannot be applied to a forward declaration: no definition of \"%s\" is known",
			       op_name(n->op), name);
	}
	if (!t || !ctf_is_aggregate(t)) {
		cleanup_free char *name = ctf_name(n->left->type);

		return d_error(err, n->line, "D_OP_SOU",
			       "\"%s\" needs a struct or union, not \"%s\"", op_name(n->op), name);
	}
	if (!ctf_find_member(t, n->name, &m)) {
		cleanup_free char *name = ctf_name(t);

		return d_error(err, n->line, "D_TYPE_MEMBER", "%s is not a member of %s", n->name,
			       name);
	}
	n->type = m.type;
	n->number = m.bit_offset;
	n->bit_size = m.bit_size;
	n->is_lvalue = true;
	n->is_user = n->left->is_user && !dt_in_variable(n);
	return 0;
}

static int
check_unary(struct checker *c, struct node *n, struct error *err)
{
	struct dt *dt = c->dt;
	bool assigning = c->assigning;
	int r;

	if (n->op == OP_DOT || n->op == OP_ARROW)
		return check_member(c, n, err);
	/* x++ makes x, as x += 1 would. */
	c->assigning |= n->op >= OP_PREINC;
	r = check_expr(c, n->left, err);
	c->assigning = assigning;
	if (r < 0)
		return r;
	n->is_user = n->left->is_user;
	switch (n->op) {
	case OP_DEREF:
		if (!ctf_is_pointer(n->left->type))
			return d_error(err, n->line, "D_DEREF_NONPTR", "\"*\" needs a pointer");
		n->type = ctf_target(ctf_resolve(n->left->type));
		if (ctf_kind(ctf_resolve(n->type)) == CTF_VOID)
			return d_error(err, n->line, "D_DEREF_VOID",
				       "a void pointer cannot be dereferenced");
		n->is_lvalue = true;
		return 0;
	case OP_ADDR:
		if (n->left->kind == N_AGG || is_variable(n->left))
			return d_error(err, n->line, "D_ADDROF_VAR",
				       "variables of D have no address");
		if (!n->left->is_lvalue)
			return d_error(err, n->line, "D_ADDROF_LVAL",
				       "\"&\" needs something that stands in memory");
		if (n->left->bit_size)
			return d_error(err, n->line, "D_ADDROF_BITFIELD",
				       "a bit-field has no address");
		n->type = ctf_make_pointer(dt->types, n->left->type);
		return 0;
	case OP_PREINC:
	case OP_PREDEC:
	case OP_POSTINC:
	case OP_POSTDEC:
		if (!n->left->is_lvalue)
			return d_error(err, n->line, "D_OP_LVAL",
				       "operand of \"%s\" must be a variable", op_name(n->op));
		if (!n->left->type)
			n->left->type = n->left->ident->type = dt->t_long;
		if ((r = check_writable(c, n, n->left, err)) < 0)
			return r;
		if (!dt_is_scalar(dt, n->left->type))
			return bad_operand(n, err);
		n->type = n->left->type;
		return 0;
	default:
		break;
	}
	if (!dt_is_scalar(dt, n->left->type))
		return bad_operand(n, err);
	n->type = n->op == OP_NOT ? dt->t_int : common_type(dt, n->left, n->left);
	if (n->left->is_const) {
		int64_t v = n->left->value;

		set_const(n, n->op == OP_NEG    ? (int64_t)-(uint64_t)v
			     : n->op == OP_NOT  ? !v
			     : n->op == OP_BNOT ? ~v
						: v);
	}
	return 0;
}

static bool
is_action(const struct node *n)
{
	return n->kind == N_AGG || (n->kind == N_CALL && n->ident && n->ident->kind == ID_ACTION);
}

static int
check_cond(struct checker *c, struct node *n, struct error *err)
{
	struct dt *dt = c->dt;
	int r;

	if ((r = check_expr(c, n->left, err)) < 0 || (r = check_expr(c, n->right, err)) < 0 ||
	    (r = check_expr(c, n->third, err)) < 0)
		return r;
	if (!dt_is_scalar(dt, n->left->type))
		return d_error(err, n->line, "D_OP_SCALAR", "the condition of ?: must be a scalar");
	if (is_action(n->right) || is_action(n->third))
		return d_error(err, n->line, "D_OP_ACT", "an action is no operand of ?:");
	if (dt_is_string(dt, n->right->type) || dt_is_string(dt, n->third->type)) {
		if (!is_text(dt, n->right->type) || !is_text(dt, n->third->type))
			return bad_operand(n, err);
		n->type = dt->t_string;
	} else if (ctf_is_pointer(n->right->type)) {
		n->type = decay(dt, n->right->type);
	} else if (dt_is_scalar(dt, n->right->type) && dt_is_scalar(dt, n->third->type)) {
		n->type = ctf_is_pointer(n->third->type) ? n->third->type
							 : common_type(dt, n->right, n->third);
	} else {
		return bad_operand(n, err);
	}
	n->is_user = n->right->is_user || n->third->is_user;
	return 0;
}

/* A constant index past the end; an array of no size, as the last of a struct, has none. */
static bool
out_of_bounds(const struct ctf_type *array, const struct node *index)
{
	const struct ctf_type *t = ctf_resolve(array);

	return index->is_const && ctf_kind(t) == CTF_ARRAY && ctf_count(t) &&
	       (uint64_t)index->value >= ctf_count(t);
}

size_t
dt_key_size(struct dt *dt, const struct ctf_type *t)
{
	return dt_is_string(dt, t)    ? dt->opts.strsize
	       : ctf_is_aggregate(t) ? (ctf_size(t) + 7) & ~(size_t)7
				     : 8;
}

/* An element of an associative array: its keys' types are those of the first use. */
static int
check_element(struct checker *c, struct node *n, struct ident *v, struct error *err)
{
	struct node *base = n->left;
	bool assigning = c->assigning;
	size_t i = 0;

	for (struct node *k = n->args; k; k = k->next, i++) {
		const struct ctf_type *t = decay(c->dt, k->type);

		if (i == DT_MAX_KEYS)
			return d_error(err, n->line, "D_PROTO_LEN", "too many keys");
		if (v->n_keys && i >= v->n_keys)
			return d_error(err, n->line, "D_PROTO_LEN",
				       "\"%s\" takes another number of keys", base->name);
		if (!v->keys[i])
			v->keys[i] = t;
		c->dt->uses_rt |= ctf_is_aggregate(t);
		if (ctf_is_aggregate(t) ? !ctf_same(v->keys[i], t)
					: dt_is_string(c->dt, v->keys[i]) != dt_is_string(c->dt, t) ||
						  (!dt_is_string(c->dt, t) &&
						   (!dt_is_scalar(c->dt, t) || ctf_is_aggregate(v->keys[i]))))
			return d_error(err, n->line, "D_PROTO_ARG",
				       "key %zu of \"%s\" has another type than before", i + 1,
				       base->name);
	}
	if (!i || (v->n_keys && i != v->n_keys) || (i < DT_MAX_KEYS && v->keys[i]))
		return d_error(err, n->line, "D_PROTO_LEN",
			       "\"%s\" takes another number of keys", base->name);
	v->n_keys = i;
	n->ident = base->ident = v;
	n->is_lvalue = true;
	if (!v->type && !assigning)
		return d_error(err, n->line, "D_IDENT_UNDEF",
			       "\"%s\" is used before anything was assigned to it",
			       base->name);
	n->type = v->type;
	n->is_user = v->is_user;
	c->dt->uses_rt |= n->type && is_memory(c->dt, n->type);
	return 0;
}

/* a[keys]: associative, unless it is known to be a C array or pointer. */
static int
check_index(struct checker *c, struct node *n, struct error *err)
{
	struct node *base = n->left;
	struct ident *v = NULL;
	bool assigning = c->assigning;
	int r;

	if (base->kind == N_IDENT && base->scope == SCOPE_GLOBAL && str_eq(base->name, "args") &&
	    !var_find(c->dt, SCOPE_GLOBAL, "args"))
		return check_args(c, n, err);
	if (base->kind == N_IDENT && base->scope == SCOPE_GLOBAL && str_eq(base->name, "uregs") &&
	    !var_find(c->dt, SCOPE_GLOBAL, "uregs"))
		return check_uregs(c, n, err);
	if (base->kind == N_IDENT && base->scope == SCOPE_GLOBAL &&
	    (v = map_get(c->dt->inlines, base->name)))
		return check_inline(c, n, v, n->args, err);
	c->assigning = false;
	for (struct node *k = n->args; k; k = k->next)
		if ((r = check_expr(c, k, err)) < 0)
			return r;
	c->assigning = assigning;
	if (base->kind == N_IDENT && base->scope != SCOPE_KERNEL)
		v = var_find(c->dt, base->scope, base->name);
	if (!v && base->kind == N_IDENT && base->scope != SCOPE_KERNEL && assigning &&
	    (base->scope != SCOPE_GLOBAL || !ident_lookup(base->name))) {
		if (base->scope == SCOPE_THIS)
			return d_error(err, n->line, "D_ARR_LOCAL",
				       "an associative array cannot be clause-local");
		v = var_make(c->dt, base->scope, base->name, ID_ASSOC);
	}
	if (v && v->kind == ID_ASSOC)
		return check_element(c, n, v, err);
	c->assigning = false;
	r = check_expr(c, base, err);
	c->assigning = assigning;
	if (r < 0)
		return r;
	if (ctf_is_pointer(base->type) && n->args && n->args->next)
		return d_error(err, n->line, "D_ARR_BADREF", "an array takes one index");
	if (!ctf_is_pointer(base->type) || !n->args)
		return d_error(err, n->line, "D_OP_ARRAY",
			       "\"[ ]\" needs an array or pointer and one index");
	if (!dt_is_scalar(c->dt, n->args->type) || ctf_is_pointer(n->args->type))
		return d_error(err, n->line, "D_ARR_BADREF", "an array's index is an integer");
	if (out_of_bounds(base->type, n->args))
		return d_error(err, n->line, "D_ARR_BOUNDS",
			       "index %lld is outside of an array of %llu", (long long)n->args->value,
			       (unsigned long long)ctf_count(ctf_resolve(base->type)));
	n->type = ctf_target(ctf_resolve(base->type));
	n->is_lvalue = true;
	n->is_user = base->is_user && !dt_in_variable(n);
	return 0;
}

int
prototype_mismatch(const struct node *n, const struct ident *row, int args, struct error *err)
{
	return d_error(err, n->line, "D_PROTO_LEN",
		       "%s( ) prototype mismatch: %d arg%s passed, %s%d expected", n->name, args,
		       args == 1 ? "" : "s",
		       row->min_args == row->max_args ? ""
		       : args < row->min_args	      ? "at least "
						      : "at most ",
		       args < row->min_args ? row->min_args : row->max_args);
}

static int
check_call(struct checker *c, struct node *n, struct error *err)
{
	const struct ident *row = ident_lookup(n->name);
	int args = 0, r;

	if (!row || row->kind == ID_BUILTIN)
		return d_error(err, n->line, "D_FUNC_UNDEF", "undefined function name: %s",
			       n->name);
	if (row->kind == ID_AGGFUNC)
		return d_error(err, n->line, "D_CG_EXPR", "%s( ) must be assigned to an aggregation",
			       n->name);
	for (struct node *a = n->args; a; a = a->next, args++)
		if ((r = check_expr(c, a, err)) < 0)
			return r;
	if (args < row->min_args || args > row->max_args)
		return prototype_mismatch(n, row, args, err);
	if ((r = priv_check_ident(c->dt, n, row, err)) < 0)
		return r;
	n->ident = (struct ident *)(uintptr_t)row;
	if (row->kind == ID_ACTION) { /* whoever wants a value says what is wrong */
		n->type = ctf_void(c->dt->types);
		return 0;
	}
	if (str_eq(row->type_name, "string"))
		n->type = c->dt->t_string;
	else if (ctf_parse(c->dt->types, row->type_name, &n->type, err) < 0)
		return d_error(err, n->line, "D_TYPE_ERR", "%s", error_message(err));
	return func_check(c, n, row->func, err);
}

static int
check_sizeof(struct checker *c, struct node *n, struct error *err)
{
	const struct ctf_type *t = NULL;
	struct ctf_member m;
	int r;

	if (n->type_expr)
		r = dt_type(c->dt, n, n->type_expr, &t, err);
	else if ((r = check_expr(c, n->left, err)) == 0)
		t = n->left->type;
	if (r < 0)
		return r;
	n->type = c->dt->t_ulong;
	if (n->kind == N_OFFSETOF) {
		if (!ctf_is_aggregate(t))
			return d_error(err, n->line, "D_OFFSETOF_TYPE",
				       "offsetof takes a struct or union that is known");
		if (!ctf_find_member(t, n->name, &m))
			return d_error(err, n->line, "D_UNKNOWN", "no member \"%s\"", n->name);
		if (m.bit_size)
			return d_error(err, n->line, "D_OFFSETOF_BITFIELD",
				       "\"%s\" is a bit-field", n->name);
		set_const(n, (int64_t)m.bit_offset / 8);
		return 0;
	}
	if (!n->type_expr && n->left->bit_size)
		return d_error(err, n->line, "D_SIZEOF_BITFIELD", "sizeof of a bit-field");
	if (dt_is_string(c->dt, t)) {
		bool literal = !n->type_expr && n->left->kind == N_STRING;

		set_const(n, literal ? (int64_t)n->left->text_len + 1 : c->dt->opts.strmax);
		return 0;
	}
	if (!ctf_size(t))
		return d_error(err, n->line, "D_SIZEOF_TYPE", "sizeof of an incomplete type");
	set_const(n, (int64_t)ctf_size(t));
	return 0;
}

static int
check_cast(struct checker *c, struct node *n, struct error *err)
{
	int r;

	if (!n->type_expr) /* an inline's parameter, typed by its declaration */
		return 0;
	if ((r = dt_type(c->dt, n, n->type_expr, &n->type, err)) < 0 ||
	    (r = check_expr(c, n->left, err)) < 0)
		return r;
	n->is_user = n->left->is_user;
	if (dt_is_string(c->dt, n->type))
		return is_text(c->dt, n->left->type) || dt_is_scalar(c->dt, n->left->type)
			       ? 0
			       : bad_operand(n, err);
	if (ctf_kind(ctf_resolve(n->type)) == CTF_VOID)
		return 0;
	if (ctf_is_aggregate(n->type) && ctf_same(n->type, n->left->type)) {
		struct node *next = n->next;

		*n = *n->left;
		n->next = next;
		return 0;
	}
	if (n->left->kind == N_XLATE || !dt_is_scalar(c->dt, n->type) ||
	    !dt_is_scalar(c->dt, n->left->type))
		return d_error(err, n->line, "D_CAST_INVAL",
			       "only numbers and pointers can be cast");
	if (n->left->is_const && ctf_is_integral(n->type))
		set_const(n, as_type(n->left->value, n->type));
	return 0;
}

int
check_expr(struct checker *c, struct node *n, struct error *err)
{
	int r;

	n->library = c->library;
	switch (n->kind) {
	case N_INT:
		return n->type ? 0 : check_int(c, n);
	case N_STRING:
		n->type = c->dt->t_string;
		return 0;
	case N_IDENT:
		return check_ident(c, n, err);
	case N_MACRO:
		return check_macro(c, n, err);
	case N_OP1:
		return check_unary(c, n, err);
	case N_OP2:
		return n->op == OP_ASSIGN ? check_assign(c, n, err) : check_binary(c, n, err);
	case N_COND:
		return check_cond(c, n, err);
	case N_INDEX:
		return check_index(c, n, err);
	case N_CALL:
		return check_call(c, n, err);
	case N_CAST:
		return check_cast(c, n, err);
	case N_SIZEOF:
	case N_OFFSETOF:
		return check_sizeof(c, n, err);
	case N_STRINGOF:
		if ((r = check_expr(c, n->left, err)) < 0)
			return r;
		if (!is_text(c->dt, n->left->type) && !dt_is_scalar(c->dt, n->left->type))
			return d_error(err, n->line, "D_STRINGOF_TYPE",
				       "stringof needs an address or text");
		n->type = c->dt->t_string;
		n->is_user = n->left->is_user;
		return 0;
	case N_XLATE:
		return check_xlate(c, n, err);
	case N_AGG:
		if (!n->args && !map_has(c->dt->aggs, n->name))
			return d_error(err, n->line, "D_IDENT_UNDEF", "undefined aggregation: @%s",
				       n->name);
		n->type = ctf_void(c->dt->types);
		return 0;
	case N_EXPR:
	case N_IF:
	case N_BLOCK:
	case N_CLAUSE:
	case N_DECL:
	case N_INLINE:
	case N_TRANSLATOR:
	case N_PROVIDER:
	case N_PRAGMA:
		break;
	}
	abort();
}
