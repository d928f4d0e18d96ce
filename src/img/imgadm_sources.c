/* imgadm sources: the list of image sources, shown and changed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/table.h"
#include "img/img_impl.h"
#include "img/imgadm.h"
#include "img/source.h"
#include "os/run.h"

static int
show(const struct source_list *l, bool verbose, bool json)
{
	static const struct table_col cols[] = {
		{"url", "URL"}, {"type", "TYPE"}, {"insecure", "INSECURE"}};
	cleanup_table struct table *t = NULL;

	if (json) {
		cleanup_json struct json *j = source_list_json(l);
		cleanup_free char *text = json_print(j, true);

		fputs(text, stdout);
		return CLI_OK;
	}
	if (!verbose) {
		for (size_t i = 0; i < l->n; i++)
			printf("%s\n", l->sources[i].url);
		return CLI_OK;
	}
	t = table_new(cols, ARRAY_SIZE(cols));
	for (size_t i = 0; i < l->n; i++) {
		table_row(t);
		table_set(t, "url", l->sources[i].url);
		table_set(t, "type", l->sources[i].type);
		table_set(t, "insecure", l->sources[i].insecure ? "true" : "false");
	}
	table_print(t, stdout, TABLE_HUMAN);
	return CLI_OK;
}

static int
ping_all(const struct source_list *l)
{
	int failed = 0;

	for (size_t i = 0; i < l->n; i++) {
		cleanup_error struct error err = ERROR_INIT;

		if (source_ping(&l->sources[i], &err) < 0) {
			imgadm_error(&err);
			failed++;
		} else {
			printf("Source \"%s\" is ok\n", l->sources[i].url);
		}
	}
	return failed ? CLI_FAILED : CLI_OK;
}

static int
add(struct source_list *l, const char *url, const char *type, bool insecure, bool force,
    struct error *err)
{
	int r;

	r = source_add(l, url, type, insecure, err);
	if (r < 0)
		return r;
	if (r > 0) {
		printf("Already have \"%s\" image source \"%s\", no change\n", type, url);
		return 0;
	}
	if (!force && str_eq(type, "imgapi")) {
		cleanup_error struct error e = ERROR_INIT;

		if (source_ping(&l->sources[l->n - 1], &e) < 0)
			return img_error(err, e.code, "SourcePing",
					 "unexpected ping error using image source: %s (use -f to "
					 "add it nonetheless)",
					 error_message(&e));
	}
	r = source_save(l, err);
	if (r == 0)
		printf("Added \"%s\" image source \"%s\"\n", type, url);
	return r;
}

static int
delete(struct source_list *l, const char *url, struct error *err)
{
	int r;

	if (!source_remove(l, url)) {
		printf("Do not have image source \"%s\", no change\n", url);
		return 0;
	}
	r = source_save(l, err);
	if (r == 0)
		printf("Deleted image source \"%s\"\n", url);
	return r;
}

/* Lines "URL [TYPE [insecure]]", '#' starts a comment. */
static int
parse_lines(const char *text, struct source_list *l, struct error *err)
{
	cleanup_strv struct strv lines = STRV_INIT;

	strv_words(&lines, text, "\n");
	for (size_t i = 0; i < lines.n; i++) {
		cleanup_strv struct strv w = STRV_INIT;
		int r;

		strv_words(&w, lines.v[i], " \t");
		if (w.n == 0 || w.v[0][0] == '#')
			continue;
		r = source_add(l, w.v[0], w.n > 1 ? w.v[1] : "imgapi",
			       w.n > 2 && str_eq(w.v[2], "insecure"), err);
		if (r < 0)
			return error_wrap(err, r, "line %zu", i + 1);
	}
	return 0;
}

static int
edit(const struct source_list *l, struct error *err)
{
	cleanup_source_list struct source_list changed = SOURCE_LIST_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_free char *after = NULL;
	char path[] = "/tmp/imgadm-sources-XXXXXX";
	const char *editor = getenv("EDITOR");
	struct run_opts opts = {.in = RUN_INHERIT, .out = RUN_INHERIT, .err = RUN_INHERIT};
	struct run_child c;
	int fd, r, status = 0;

	strbuf_adds(&text, "# image sources: URL [TYPE [insecure]]\n");
	for (size_t i = 0; i < l->n; i++)
		strbuf_addf(&text, "%s %s%s\n", l->sources[i].url, l->sources[i].type,
			    l->sources[i].insecure ? " insecure" : "");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return error_set_errno(err, errno, "%s", path);
	r = fd_write_all(fd, text.data, text.len);
	close(fd);
	if (r < 0)
		r = error_set_errno(err, -r, "%s", path);
	if (r == 0)
		r = run_start((const char *const[]){editor ? editor : "vi", path, NULL}, &opts, &c, err);
	if (r == 0)
		r = run_wait(&c, &status, err);
	if (r == 0 && status)
		r = error_set(err, EIO, "the editor left with status %d: nothing was changed", status);
	if (r == 0)
		r = file_read(path, 0, &after, NULL, err);
	if (r == 0)
		r = parse_lines(after, &changed, err);
	unlink(path);
	if (r < 0)
		return r;
	if (str_eq(after, text.data)) {
		printf("No change to image sources\n");
		return 0;
	}
	return source_save(&changed, err);
}

int
imgadm_sources(int argc, char **argv)
{
	const char *add_url = NULL, *delete_url = NULL, *type = "imgapi";
	bool verbose = false, json = false, want_edit = false, insecure = false, force = false;
	bool want_check = false, hub = false;
	const struct cli_opt opts[] = {
		{'v', "verbose", CLI_FLAG, &verbose, NULL, "with type"},
		{'j', "json", CLI_FLAG, &json, NULL, "JSON"},
		{'a', NULL, CLI_STR, &add_url, "URL", "add a source"},
		{'d', NULL, CLI_STR, &delete_url, "URL", "delete a source"},
		{'e', NULL, CLI_FLAG, &want_edit, NULL, "edit the sources in $EDITOR"},
		{'c', "check", CLI_FLAG, &want_check, NULL, "ping all sources"},
		{'t', "type", CLI_STR, &type, "TYPE", "of the added source: imgapi docker dsapi"},
		{'k', "insecure", CLI_FLAG, &insecure, NULL, "do not check the server's certificate"},
		{'f', "force", CLI_FLAG, &force, NULL, "do not ping the added source"},
		{'\0', "add-docker-hub", CLI_FLAG, &hub, NULL, "add https://docker.io"},
		{0},
	};
	cleanup_source_list struct source_list l = SOURCE_LIST_INIT;
	cleanup_error struct error err = ERROR_INIT;
	int first, status, r;

	if (imgadm_parse(argc, argv, opts, 0, 0, &first, &status))
		return status;
	if (hub) {
		add_url = "https://docker.io";
		type = "docker";
	}
	if (!!add_url + !!delete_url + want_edit + want_check > 1) {
		error_set(&err, EINVAL, "only one of -a, -d, -e and -c");
		return imgadm_usage(&err);
	}
	r = source_load(&l, &err);
	if (r == 0 && want_check)
		return ping_all(&l);
	if (r == 0 && add_url)
		r = add(&l, add_url, type, insecure, force, &err);
	else if (r == 0 && delete_url)
		r = delete(&l, delete_url, &err);
	else if (r == 0 && want_edit)
		r = edit(&l, &err);
	else if (r == 0)
		return show(&l, verbose, json);
	return r < 0 ? imgadm_error(&err) : CLI_OK;
}
