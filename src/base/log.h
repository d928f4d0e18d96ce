/*
 * A daemon's log: lines on stderr, which SMF points at /var/svc/log/SERVICE:INST.log.
 * "[ 2026-11-21T10:00:00.123Z info zoneadmd/web: message ]" without the brackets.
 * Libraries never log: they return errors.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* name is what stands in front of each message; copied.  Level from $ATOLL_LOG, else info. */
void log_init(const char *name);
void log_set_level(enum log_level level);
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
