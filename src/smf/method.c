/*
 * Methods; see method.h.
 */
#include "smf/method.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "smf/smf.h"

#define SHELL_SPECIAL "|&;<>()$`\\\"'*?[]#~=%!{}\n"

void
method_done(struct method *m)
{
	strv_done(&m->argv);
	strv_done(&m->env);
	free(m->text);
	free(m->dir);
	*m = (struct method){0};
}

/* A value into a command line: what the shell would interpret is escaped. */
static void
add_quoted(struct strbuf *b, const char *s)
{
	for (; *s; s++) {
		if (strchr(SHELL_SPECIAL " \t", *s))
			strbuf_addc(b, '\\');
		strbuf_addc(b, *s);
	}
}

/* %{[pg/]prop[:sep]}; p is behind the brace.  Returns behind the closing one. */
static int
expand_property(const struct plan *p, const struct plan_inst *i, const char **at,
		struct strbuf *b, struct error *err)
{
	const char *end = strchr(*at, '}');
	cleanup_free char *word = NULL;
	char *slash, *colon, *pg = (char *)(uintptr_t) "application", *prop;
	const struct plan_prop *x;
	const struct plan_pg *g;
	char sep = ' ';

	if (!end)
		return error_set(err, EINVAL, "\"%%{%s\" is not closed", *at);
	word = xstrndup(*at, (size_t)(end - *at));
	*at = end + 1;
	prop = word;
	colon = strrchr(word, ':');
	if (colon) {
		if (colon[1] != ',' && colon[1] != ' ')
			return error_set(err, EINVAL, "\"%%{%s}\": the separator must be , or blank",
					 word);
		sep = colon[1];
		*colon = '\0';
	}
	slash = strchr(word, '/');
	if (slash) {
		*slash = '\0';
		pg = word;
		prop = slash + 1;
	}
	g = plan_pg(p, i, pg);
	x = g ? plan_prop(p, g, prop) : NULL;
	if (!x)
		return error_set(err, ENOENT, "\"%%{%s/%s}\": no such property", pg, prop);
	for (size_t n = 0; n < plan_n_values(x); n++) {
		if (n)
			strbuf_addc(b, sep);
		add_quoted(b, plan_value(p, x, n));
	}
	return 0;
}

int
method_expand(const struct plan *p, const struct plan_inst *i, const char *method,
	      const char *text, char **ret, struct error *err)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	struct smf_fmri f;
	int r;

	r = smf_fmri_parse(plan_fmri(p, i), &f, err);
	if (r < 0)
		return r;
	for (const char *s = text; *s; s++) {
		if (*s != '%') {
			strbuf_addc(&b, *s);
			continue;
		}
		s++;
		switch (*s) {
		case '%':
			strbuf_addc(&b, '%');
			break;
		case 'r':
			strbuf_adds(&b, "svc.startd");
			break;
		case 'm':
			strbuf_adds(&b, method);
			break;
		case 's':
			add_quoted(&b, f.service);
			break;
		case 'i':
			add_quoted(&b, f.instance);
			break;
		case 'f':
			add_quoted(&b, plan_fmri(p, i));
			break;
		case '{':
			s++;
			r = expand_property(p, i, &s, &b, err);
			if (r < 0)
				return r;
			s--;
			break;
		default:
			return error_set(err, EINVAL, "unknown token \"%%%c\"", *s ? *s : ' ');
		}
	}
	*ret = strbuf_steal(&b);
	return 0;
}

/* ":kill", ":kill -TERM", ":true"; 0 if text is neither. */
static int
parse_token(const char *text, struct method *m, struct error *err)
{
	static const struct {
		const char *name;
		int signo;
	} signals[] = {{"HUP", SIGHUP},	  {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"KILL", SIGKILL},
		       {"TERM", SIGTERM}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"ABRT", SIGABRT},
		       {"STOP", SIGSTOP}, {"CONT", SIGCONT}};
	const char *rest;
	int n;

	if (str_eq(text, ":true")) {
		m->kind = METHOD_TRUE;
		return 1;
	}
	rest = str_after(text, ":kill_process") ?: str_after(text, ":kill");
	if (!rest)
		return 0;
	m->kind = METHOD_KILL;
	m->signo = SIGTERM;
	while (*rest == ' ')
		rest++;
	if (!*rest)
		return 1;
	if (*rest == '-')
		rest++;
	rest = str_after(rest, "SIG") ?: rest;
	if (str_to_int(rest, &n) == 0 && n > 0 && n < NSIG) {
		m->signo = n;
		return 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		if (str_eq(rest, signals[i].name)) {
			m->signo = signals[i].signo;
			return 1;
		}
	}
	return error_set(err, EINVAL, "\"%s\": unknown signal", text);
}

/* A context property: of the method itself, else of method_context. */
static const char *
context(const struct plan *p, const struct plan_inst *i, const char *method, const char *prop)
{
	const char *v = plan_get(p, i, method, prop, NULL);

	return v ? v : plan_get(p, i, "method_context", prop, NULL);
}

/*
 * Names from /etc/passwd and /etc/group themselves: no name service may be
 * asked while services start, for it may be one of them.
 */
static bool
find_user(const char *name, struct passwd *ret, char **ret_home)
{
	cleanup_fclose FILE *f = fopen("/etc/passwd", "re");
	struct passwd *pw;
	int id = -1;

	(void)str_to_int(name, &id); /* a name: id stays -1 and matches nobody */
	while (f && (pw = fgetpwent(f)) != NULL) {
		if (!str_eq(pw->pw_name, name) && (id < 0 || pw->pw_uid != (uid_t)id))
			continue;
		ret->pw_uid = pw->pw_uid;
		ret->pw_gid = pw->pw_gid;
		*ret_home = xstrdup(pw->pw_dir);
		return true;
	}
	return false;
}

static bool
find_group(const char *name, gid_t *ret)
{
	cleanup_fclose FILE *f = fopen("/etc/group", "re");
	struct group *gr;
	int id = -1;

	if (str_to_int(name, &id) == 0 && id >= 0) {
		*ret = (gid_t)id;
		return true;
	}
	while (f && (gr = fgetgrent(f)) != NULL) {
		if (str_eq(gr->gr_name, name)) {
			*ret = gr->gr_gid;
			return true;
		}
	}
	return false;
}

static int
add_group(struct method *m, gid_t gid, struct error *err)
{
	if (m->n_groups == METHOD_MAX_GROUPS)
		return error_set(err, E2BIG, "more than %d supplementary groups", METHOD_MAX_GROUPS);
	m->groups[m->n_groups++] = gid;
	return 0;
}

/* The groups /etc/group lists the user in. */
static int
default_groups(struct method *m, const char *user, struct error *err)
{
	cleanup_fclose FILE *f = fopen("/etc/group", "re");
	struct group *gr;
	int r = 0;

	while (f && r == 0 && (gr = fgetgrent(f)) != NULL) {
		for (char **who = gr->gr_mem; *who && r == 0; who++) {
			if (str_eq(*who, user))
				r = add_group(m, gr->gr_gid, err);
		}
	}
	return r;
}

static int
credentials(const struct plan *p, const struct plan_inst *i, const char *name, struct method *m,
	    char **home, struct error *err)
{
	const char *user = context(p, i, name, "user"), *group = context(p, i, name, "group");
	const char *supp = context(p, i, name, "supp_groups");
	struct passwd pw = {0};
	int r = 0;

	if ((!user || str_eq(user, ":default")) && (!group || str_eq(group, ":default")))
		return 0;
	m->credential = true;
	if (!find_user(user ?: "root", &pw, home))
		return error_set(err, ENOENT, "user \"%s\" is unknown", user);
	m->uid = pw.pw_uid;
	m->gid = pw.pw_gid;
	if (group && !str_eq(group, ":default") && !find_group(group, &m->gid))
		return error_set(err, ENOENT, "group \"%s\" is unknown", group);
	if (!supp || str_eq(supp, ":default")) {
		r = default_groups(m, user ?: "root", err);
	} else {
		cleanup_strv struct strv names = STRV_INIT;
		gid_t gid;

		strv_words(&names, supp, " ,");
		for (size_t n = 0; n < names.n && r == 0; n++) {
			if (!find_group(names.v[n], &gid))
				return error_set(err, ENOENT, "group \"%s\" is unknown", names.v[n]);
			r = add_group(m, gid, err);
		}
	}
	return r;
}

static void
environment(const struct plan *p, const struct plan_inst *i, const char *name, struct method *m)
{
	const struct plan_pg *g = plan_pg(p, i, name);
	const struct plan_prop *env = g ? plan_prop(p, g, "environment") : NULL;
	static char *zone;

	if (!env) {
		g = plan_pg(p, i, "method_context");
		env = g ? plan_prop(p, g, "environment") : NULL;
	}
	if (!zone && file_read_line("/etc/zonename", &zone, NULL) < 0)
		zone = xstrdup("global");
	for (size_t n = 0; env && n < plan_n_values(env); n++)
		strv_add(&m->env, plan_value(p, env, n));
	strv_addf(&m->env, "SMF_FMRI=%s", plan_fmri(p, i));
	strv_addf(&m->env, "SMF_METHOD=%s", name);
	strv_add(&m->env, "SMF_RESTARTER=" SMF_MASTER_RESTARTER);
	strv_addf(&m->env, "SMF_ZONENAME=%s", zone);
	for (size_t n = 0; n < m->env.n; n++) {
		if (str_after(m->env.v[n], "PATH="))
			return;
	}
	strv_add(&m->env, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
}

static int
prepare_command(const struct plan *p, const struct plan_inst *i, const char *name,
		const char *exec, struct method *m, struct error *err)
{
	const char *dir = context(p, i, name, "working_directory");
	cleanup_free char *home = NULL;
	int r;

	r = method_expand(p, i, name, exec, &m->text, err);
	if (r == 0)
		r = credentials(p, i, name, m, &home, err);
	if (r < 0)
		return r;
	if (!dir || str_eq(dir, ":default") || str_eq(dir, ":home"))
		dir = home ?: "/";
	m->dir = xstrdup(dir);
	if (m->text[strcspn(m->text, SHELL_SPECIAL)] == '\0' && *str_trim(m->text) == '/')
		strv_words(&m->argv, m->text, " \t");
	else
		strv_addl(&m->argv, "/bin/sh", "-c", m->text, NULL);
	environment(p, i, name, m);
	return 0;
}

int
method_prepare(const struct plan *p, const struct plan_inst *i, const char *name,
	       struct method *ret, struct error *err)
{
	const char *exec = plan_get(p, i, name, "exec", NULL);
	struct method m = {.kind = METHOD_EXEC};
	int r;

	if (!exec)
		return 1;
	m.timeout_ms = plan_get_count(p, i, name, "timeout_seconds", 0) * 1000;
	r = parse_token(exec, &m, err);
	if (r == 0)
		r = prepare_command(p, i, name, exec, &m, err);
	else if (r > 0)
		m.text = xstrdup(exec);
	if (r < 0) {
		method_done(&m);
		return error_wrap(err, r, "method \"%s\"", name);
	}
	*ret = m;
	return 0;
}

/*
 * Runs on the shared memory of startd, which waits: raw system calls only,
 * since glibc's setuid() would speak to startd's threads, were there any.
 */
void
method_child(void *arg)
{
	struct method_start *s = arg;
	const struct method *m = s->m;
	sigset_t none;

	__atomic_store_n(&s->rec->method_pid, (int32_t)syscall(SYS_getpid), __ATOMIC_RELEASE);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	umask(022);
	s->step = "descriptors";
	if (dup2(s->null_fd, 0) < 0 || dup2(s->log_fd, 1) < 0 || dup2(s->log_fd, 2) < 0)
		goto failed;
	if (s->nofile)
		setrlimit(RLIMIT_NOFILE, s->nofile);
	s->step = "groups and user";
	if (m->credential &&
	    (syscall(SYS_setgroups, m->n_groups, m->groups) < 0 || syscall(SYS_setgid, m->gid) < 0 ||
	     syscall(SYS_setuid, m->uid) < 0))
		goto failed;
	s->step = m->dir;
	if (chdir(m->dir) < 0)
		goto failed;
	s->step = m->argv.v[0];
	execve(m->argv.v[0], m->argv.v, m->env.v);
failed:
	s->error = errno;
	_exit(127);
}
