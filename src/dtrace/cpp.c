/*
 * -C: the C preprocessor, run as a program: the one of -xcpppath, else cpp, else mcpp (which is
 * small enough for the image).  The text goes to its standard input behind a line that names the
 * file, so that a pipe can be preprocessed too; what it complains of goes to ours.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "dtrace/dt.h"
#include "os/run.h"

#define MAX_OUTPUT (64 << 20)

/* What D programs are told of where they are. */
static const char *const predefined[] = {
	"__SUNW_D=1", "__SUNW_D_VERSION=0x010d0000", "__linux", "__unix", "__SVR4",
	"__Linux", NULL};
static const char *const predefined_model[][6] = {
	[MODEL_LP64] = {"__SUNW_D_64", "__x86_64", "__x86_64__", "__amd64"},
	[MODEL_ILP32] = {"__SUNW_D_32", "__i386", "__i386__"}};

static bool
is_mcpp(const char *program)
{
	const char *slash = strrchr(program, '/');

	return str_eq(slash ? slash + 1 : program, "mcpp");
}

/* __STDC__ as -X says: 1 for c, 0 for a and t, none for s. */
static void
add_standard(struct dt *dt, bool mcpp, struct strv *argv)
{
	if (mcpp)
		strv_add(argv, dt->opts.stdc == STDC_C ? "-S1" : dt->opts.stdc == STDC_S ? "-@old" : "-S0");
	else if (dt->opts.stdc != STDC_C)
		strv_addl(argv, "-U__STDC__", dt->opts.stdc == STDC_S ? NULL : "-D__STDC__=0", NULL);
}

/* `name` is the file's: what it includes is looked for beside it, too. */
static void
command(struct dt *dt, const char *program, const char *name, struct strv *argv)
{
	const char *slash = strrchr(name, '/');
	bool mcpp = is_mcpp(program);

	if (mcpp)
		strv_addl(argv, program, "-a", "-N", "-W0", NULL);
	else
		strv_addl(argv, program, "-x", "c", "-undef", "-w", NULL); /* others lose #pragma */
	if (dt->opts.cpphdrs && !mcpp)
		strv_add(argv, "-H");
	add_standard(dt, mcpp, argv);
	for (size_t i = 0; predefined[i]; i++)
		strv_addf(argv, "-D%s", predefined[i]);
	for (size_t i = 0; predefined_model[dt->opts.model][i]; i++)
		strv_addf(argv, "-D%s", predefined_model[dt->opts.model][i]);
	for (size_t i = 0; i < dt->opts.defines.n; i++)
		strv_addf(argv, "-D%s", dt->opts.defines.v[i]);
	for (size_t i = 0; i < dt->opts.undefs.n; i++)
		strv_addf(argv, "-U%s", dt->opts.undefs.v[i]);
	for (size_t i = 0; i < dt->opts.incdirs.n; i++)
		strv_addf(argv, "-I%s", dt->opts.incdirs.v[i]);
	if (slash)
		strv_addf(argv, "-I%.*s", (int)(slash - name + 1), name);
	if (dt->opts.cppargs)
		strv_words(argv, dt->opts.cppargs, " \t");
}

/* Ours but for the language: mcpp complains of encodings that it does not know, as C.UTF-8. */
static void
environment(struct strv *env)
{
	for (size_t i = 0; environ[i]; i++)
		if (!str_after(environ[i], "LC_") && !str_after(environ[i], "LANG"))
			strv_add(env, environ[i]);
	strv_add(env, "LC_ALL=C");
}

/* Runs one with the file `in`; -ENOENT if there is no such program. */
static int
run_one(struct dt *dt, const char *program, const char *name, int in, char **ret, struct error *err)
{
	cleanup_close int out = memfd_create("cpp", MFD_CLOEXEC);
	cleanup_strv struct strv argv = STRV_INIT;
	cleanup_strv struct strv env = STRV_INIT;
	struct run_opts opts = {.err = RUN_INHERIT, .in_fd = in, .out_fd = out};
	struct run_child c;
	int status, r;
	off_t size;

	if (out < 0 || lseek(in, 0, SEEK_SET) < 0)
		return error_set_errno(err, errno, "cannot keep the preprocessor's output");
	command(dt, program, name, &argv);
	environment(&env);
	opts.env = (const char *const *)env.v;
	if ((r = run_start((const char *const *)argv.v, &opts, &c, err)) < 0 ||
	    (r = run_wait(&c, &status, err)) < 0)
		return r;
	size = lseek(out, 0, SEEK_END);
	if (status || size < 0 || size > MAX_OUTPUT)
		return error_set_path(err, EINVAL, "D_CPP_ERR",
				      "Preprocessor failed to process input program");
	*ret = xcalloc(1, (size_t)size + 1);
	if (lseek(out, 0, SEEK_SET) < 0 || fd_read_all(out, *ret, (size_t)size) != size) {
		free(steal_ptr(ret));
		return error_set_errno(err, errno, "cannot read the preprocessor's output");
	}
	return 0;
}

/* -H with mcpp, which has no such option: its lines "#line 1 "FILE"" tell. */
static void
tell_headers(const char *text, const char *name)
{
	static const char mark[] = "#line 1 \"";

	for (const char *p = text; (p = strstr(p, mark)); ) {
		cleanup_free char *file = NULL;
		bool begins = p == text || p[-1] == '\n';

		p += strlen(mark);
		file = xstrndup(p, strcspn(p, "\"\n"));
		if (begins && !str_eq(file, name) && !str_eq(file, "<stdin>"))
			fprintf(stderr, ". %s\n", file);
	}
}

static int
preprocess(struct dt *dt, const char *name, const char *text, size_t len, char **ret, struct error *err)
{
	cleanup_close int in = memfd_create("D", MFD_CLOEXEC);
	cleanup_free char *head = str_printf("#line 1 \"%s\"\n", name);
	const char *program = dt->opts.cpppath ? dt->opts.cpppath : "cpp";
	size_t skip = 0;
	int r;

	/* "#!/usr/sbin/dtrace -Cs" is no directive. */
	while (len > 1 && text[0] == '#' && text[1] == '!' && skip < len && text[skip] != '\n')
		skip++;
	if (in < 0 || fd_write_all(in, head, strlen(head)) < 0 ||
	    fd_write_all(in, text + skip, len - skip) < 0)
		return error_set_errno(err, errno, "cannot hand the program to the preprocessor");
	r = run_one(dt, program, name, in, ret, err);
	if (r == -ENOENT && !dt->opts.cpppath) {
		program = "mcpp";
		error_done(err);
		r = run_one(dt, program, name, in, ret, err);
	}
	if (r == 0 && dt->opts.cpphdrs && is_mcpp(program))
		tell_headers(*ret, name);
	return r;
}

int
dt_preprocess(struct dt *dt, const char *path, char **ret, struct error *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r = file_read(path, 0, &text, &len, err);

	return r < 0 ? r : preprocess(dt, path, text, len, ret, err);
}

int
dt_preprocess_text(struct dt *dt, const char *text, char **ret, struct error *err)
{
	return preprocess(dt, "<command line>", text, strlen(text), ret, err);
}
