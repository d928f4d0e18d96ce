/* Boot parameters.  See boot_params.h. */
#include "boot/boot_params.h"

#include <ctype.h>

#include "base/file.h"
#include "base/str.h"

/*
 * One word: up to white space (or, in a -B list, a comma) outside of quotes,
 * which are taken away.  Returns what follows it, NULL at the end.
 */
static const char *
next_word(const char *s, bool in_list, struct strbuf *out)
{
	char quote = 0;

	strbuf_reset(out);
	while (isspace((unsigned char)*s))
		s++;
	if (!*s)
		return NULL;
	for (; *s; s++) {
		if (quote) {
			if (*s == quote)
				quote = 0;
			else
				strbuf_addc(out, *s);
		} else if (*s == '"' || *s == '\'') {
			quote = *s;
		} else if (isspace((unsigned char)*s) || (in_list && *s == ',')) {
			break;
		} else {
			strbuf_addc(out, *s);
		}
	}
	return s;
}

static void
add(struct map *m, const char *word)
{
	const char *eq = strchr(word, '=');
	cleanup_free char *key = eq ? xstrndup(word, (size_t)(eq - word)) : xstrdup(word);

	if (*key)
		map_set(m, key, xstrdup(eq ? eq + 1 : ""));
}

struct map *
boot_params_parse(const char *cmdline)
{
	cleanup_strbuf struct strbuf word = STRBUF_INIT;
	struct map *m = map_new(free);
	const char *s = cmdline;
	bool list = false;

	while ((s = next_word(s, list, &word)) != NULL) {
		if (list && *s != ',')
			list = false;
		else if (list)
			s++;
		if (word.len == 2 && strcmp(word.data, "-B") == 0)
			list = true;
		else if (word.len)
			add(m, word.data);
	}
	return m;
}

int
boot_params_read(struct map **ret, struct error *err)
{
	const char *fake = getenv("ATOLL_CMDLINE");
	cleanup_free char *text = NULL;
	int r;

	if (fake) {
		*ret = boot_params_parse(fake);
		return 0;
	}
	r = file_read("/proc/cmdline", 64 * 1024, &text, NULL, err);
	if (r < 0)
		return r;
	*ret = boot_params_parse(text);
	return 0;
}

const char *
boot_param(const struct map *params, const char *name)
{
	return map_get(params, name);
}

bool
boot_param_true(const struct map *params, const char *name)
{
	const char *v = boot_param(params, name);
	bool b = false;

	return v && (*v == '\0' || (str_to_bool(v, &b) == 0 && b));
}
