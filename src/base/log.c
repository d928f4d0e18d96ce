/* One line a message, written with one write(2) so that lines never mix. */
#include "base/log.h"

#include <stdlib.h>

#include "base/event.h"
#include "base/file.h"
#include "base/str.h"

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static enum log_level log_level = LOG_LEVEL_INFO;
static char *log_name;

void
log_init(const char *name)
{
	const char *want = getenv("ATOLL_LOG");

	free(log_name);
	log_name = xstrdup(name);
	for (size_t i = 0; want && i < ARRAY_SIZE(level_names); i++)
		if (str_eq(want, level_names[i]))
			log_level = (enum log_level)i;
}

void
log_set_level(enum log_level level)
{
	log_level = level;
}

void
log_write(enum log_level level, const char *fmt, ...)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	char when[32];
	va_list ap;

	if (level > log_level)
		return;
	strbuf_addf(&b, "%s %s %s: ", time_iso(time_real_ms(), when), level_names[level],
		    log_name ? log_name : "-");
	va_start(ap, fmt);
	strbuf_addv(&b, fmt, ap);
	va_end(ap);
	strbuf_addc(&b, '\n');
	/* Nowhere is left to tell of a log that cannot be written. */
	(void)fd_write_all(STDERR_FILENO, b.data, b.len);
}
