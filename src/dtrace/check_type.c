/*
 * Types as they are written: declarators, structures, unions and enumerations of the program.
 */
#include "dtrace/check.h"
#include "dtrace/priv.h"

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

static const struct ctf_type *
string_room(struct dt *dt)
{
	return ctf_make_array(dt->types, ctf_find(dt->types, "char"), dt->opts.strsize);
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
	dt_model_layout(dt, made);
	for (const struct node *m = body->members; m; m = m->next) {
		const struct ctf_type *type = NULL, *of;

		if ((r = dt_type(dt, m, m->type_expr, &type, err)) < 0 ||
		    (r = check_bits(m, type, err)) < 0)
			return r;
		for (of = ctf_resolve(type); ctf_kind(of) == CTF_ARRAY;)
			of = ctf_resolve(ctf_target(of));
		if (ctf_kind(of) == CTF_FUNCTION || ctf_kind(of) == CTF_VOID)
			return d_error(err, m->line, "D_DECL_VOIDOBJ", "%s is no member",
				       ctf_kind(of) == CTF_VOID ? "void" : "a function");
		type = dt_model_in_memory(dt, type);
		if (m->name && ctf_find_member(made, m->name, &old))
			return d_error(err, m->line, "D_UNKNOWN", "member \"%s\" is declared twice",
				       m->name);
		r = ctf_add_member(made, m->name ? m->name : "", type, m->bit_size, err);
		if (r == 0 && !dt->in_library && dt_is_string(dt, type)) /* the type itself has no size; here is the text's room */
			r = ctf_add_member(made, "", string_room(dt), 0, err);
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
	found = dt_model_find(dt, *t->base ? t->base : "int");
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
			type = ctf_make_array(dt->types, dt_model_in_memory(dt, type), count);
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
