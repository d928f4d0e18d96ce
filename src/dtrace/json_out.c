/* -j: each record, and each row of an aggregation, is a JSON object on a line. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "dtrace/show.h"

struct json *
show_json_value(const struct value *v)
{
	return v->text ? json_new_str(v->text) : json_new_int(v->number);
}

static const char *
action_name(enum action a)
{
	const struct ident *row;

	for (size_t i = 0; (row = ident_at(i)); i++)
		if (row->kind == ID_ACTION && row->action == a)
			return row->name;
	return "";
}

/* What an action would print, without the blanks that line it up. */
static int
text_of(struct dt *dt, const struct act *a, const char *data, char **ret, struct error *err)
{
	FILE *out = dt->out;
	char *text = NULL;
	size_t len;
	int r;

	dt->out = open_memstream(&text, &len);
	if (!dt->out)
		abort();
	r = show_act(dt, a, data, err);
	fclose(dt->out);
	dt->out = out;
	if (r < 0)
		free(text);
	else
		*ret = text;
	return r;
}

/* Frames of a stack: the lines of its text. */
static struct json *
lines_of(const char *text)
{
	cleanup_strv struct strv lines = STRV_INIT;
	struct json *list = json_new_array();

	strv_words(&lines, text, "\n");
	for (size_t i = 0; i < lines.n; i++)
		json_push(list, json_new_str(str_trim(lines.v[i])));
	return list;
}

static int
act_json(struct dt *dt, const struct act *a, const char *data, struct json **ret,
	 struct error *err)
{
	struct json *j = json_new_object();
	cleanup_free char *text = NULL;
	struct value v;
	bool stack;
	int r = 0;

	json_set_str(j, "action", action_name(a->action));
	stack = a->action == A_STACK || a->action == A_USTACK || a->action == A_JSTACK ||
		(a->action == A_TRACE && show_by_name(&a->recs[0]));
	if (a->action == A_TRACE && a->recs[0].kind != REC_BYTES && !stack) {
		v = show_value(dt, &a->recs[0], data);
		json_set(j, "value", show_json_value(&v));
	} else if ((r = text_of(dt, a, data, &text, err)) < 0) {
		json_free(j);
		return r;
	} else if (stack) {
		json_set(j, "frames", lines_of(text));
	} else if (*text) {
		json_set_str(j, "text", a->action == A_PRINTF ? text : str_trim(text));
	}
	*ret = j;
	return 0;
}

int
show_json_record(struct dt *dt, const char *data, uint64_t done, struct error *err)
{
	const struct rec_head *h = (const struct rec_head *)(const void *)data;
	const struct probe *p = dt->probes[h->probe - 1];
	cleanup_json struct json *j = json_new_object();
	struct json *list = json_new_array(), *one;
	cleanup_free char *text = NULL;
	int r = 0;

	json_set_int(j, "cpu", h->cpu);
	json_set_int(j, "id", h->probe);
	json_set_str(j, "provider", p->prov);
	json_set_str(j, "module", p->mod);
	json_set_str(j, "function", p->func);
	json_set_str(j, "name", p->name);
	json_set(j, "records", list);
	for (const struct act *a = dt->clauses[h->clause]->acts; a && r == 0; a = a->next)
		if (done >> (a->bit & 63) & 1 && (r = act_json(dt, a, data, &one, err)) == 0)
			json_push(list, one);
	if (r < 0)
		return r;
	text = json_print(j, false);
	fprintf(dt->out, "%s\n", text);
	return 0;
}
