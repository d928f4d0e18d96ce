/* -C: the C preprocessor, run as a program. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "dtrace/dt.h"
#include "os/run.h"

/* What D programs are told of where they are. */
static const char *const predefined[] = {"-D__SUNW_D=1", "-D__SUNW_D_VERSION=0x010d0000",
					 "-D__linux", "-D__unix", NULL};

int
dt_preprocess(struct dt *dt, const char *path, char **ret, struct error *err)
{
	cleanup_strv struct strv argv = STRV_INIT;
	char *text = NULL;
	int r;

	strv_add(&argv, dt->opts.cpppath);
	if (dt->opts.cpphdrs)
		strv_add(&argv, "-H");
	/* "#!/usr/sbin/dtrace -s" would be a directive: cpp leaves it alone as assembly. */
	strv_addl(&argv, "-x", "assembler-with-cpp", "-undef", NULL);
	for (size_t i = 0; predefined[i]; i++)
		strv_add(&argv, predefined[i]);
	for (size_t i = 0; i < dt->opts.defines.n; i++)
		strv_addf(&argv, "-D%s", dt->opts.defines.v[i]);
	for (size_t i = 0; i < dt->opts.undefs.n; i++)
		strv_addf(&argv, "-U%s", dt->opts.undefs.v[i]);
	for (size_t i = 0; i < dt->opts.incdirs.n; i++)
		strv_addf(&argv, "-I%s", dt->opts.incdirs.v[i]);
	strv_add(&argv, path);
	r = run_capture((const char *const *)argv.v, &text, NULL, err);
	if (r < 0)
		return error_wrap(err, r, "failed to preprocess %s", path);
	*ret = text;
	return 0;
}

int
dt_preprocess_text(struct dt *dt, const char *text, char **ret, struct error *err)
{
	char path[] = "/tmp/dtrace.XXXXXX";
	int fd = mkstemp(path), r;

	if (fd < 0)
		return error_set_errno(err, errno, "cannot make a file for the preprocessor");
	r = write(fd, text, strlen(text)) == (ssize_t)strlen(text)
		    ? dt_preprocess(dt, path, ret, err)
		    : error_set_errno(err, errno, "%s", path);
	close(fd);
	unlink(path);
	return r;
}
