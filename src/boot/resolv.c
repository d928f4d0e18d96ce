/* See resolv.h. */
#include "boot/resolv.h"

#include <dirent.h>

#include "base/conf.h"
#include "base/file.h"

#define MAX_RESOLVERS 3

static void
take(const struct conf *c, struct strv *resolvers, char **search)
{
	cleanup_strv struct strv words = STRV_INIT;
	const char *s = conf_get(c, "search");

	if (conf_get(c, "resolvers"))
		strv_words(&words, conf_get(c, "resolvers"), ", ");
	for (size_t i = 0; i < words.n; i++)
		if (resolvers->n < MAX_RESOLVERS && !strv_has(resolvers, words.v[i]))
			strv_add(resolvers, words.v[i]);
	if (!*search && !str_empty(s))
		*search = xstrdup(s);
}

int
resolv_make(const char *static_path, const char *lease_dir, char **ret, struct error *err)
{
	cleanup_strv struct strv resolvers = STRV_INIT, names = STRV_INIT;
	cleanup_free char *search = NULL;
	struct strbuf b = STRBUF_INIT;
	cleanup_conf struct conf *fixed = NULL;
	struct dirent *e;
	DIR *d;
	int r;

	if (file_exists(static_path)) {
		r = conf_read_file(static_path, &fixed, NULL, err);
		if (r < 0)
			return r;
	}
	if (fixed)
		take(fixed, &resolvers, &search);
	d = opendir(lease_dir);
	while (d && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			strv_add(&names, e->d_name);
	if (d)
		closedir(d);
	strv_sort(&names);
	for (size_t i = 0; i < names.n; i++) {
		cleanup_free char *path = str_printf("%s/%s", lease_dir, names.v[i]);
		cleanup_conf struct conf *lease = NULL;

		if (conf_read_file(path, &lease, NULL, NULL) == 0)
			take(lease, &resolvers, &search);
	}
	if (search)
		strbuf_addf(&b, "search %s\n", search);
	for (size_t i = 0; i < resolvers.n; i++)
		strbuf_addf(&b, "nameserver %s\n", resolvers.v[i]);
	*ret = strbuf_steal(&b);
	return 0;
}

int
resolv_update(struct error *err)
{
	cleanup_free char *text = NULL;
	int r = resolv_make(NET_STATIC_RESOLV, NET_LEASE_DIR, &text, err);

	return r < 0 ? r : file_write_atomic("/etc/resolv.conf", text, strlen(text), 0644, err);
}
