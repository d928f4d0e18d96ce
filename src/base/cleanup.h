/*
 * Ownership that the reader can see: a variable marked cleanup_X frees what it
 * holds when it goes out of scope, unless steal_*() took it away first.
 *
 *	cleanup_free char *path = str_printf("%s/config", root);
 *	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
 *	...
 *	*ret_fd = steal_fd(&fd);
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

/*
 * DEFINE_CLEANUP(json_free, struct json *) defines json_freep(), for use as
 * CLEANUP(json_freep).  Destructors take NULL.
 */
#define DEFINE_CLEANUP(fn, type)			\
	static inline __attribute__((unused)) void	\
	fn##p(type *p)					\
	{						\
		if (*p)					\
			fn(*p);				\
	}						\
	struct cleanup_semicolon_##fn

static inline void
cleanup_freep(void *p)
{
	free(*(void **)p);
}

static inline void
cleanup_closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void
cleanup_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define cleanup_free CLEANUP(cleanup_freep)
#define cleanup_close CLEANUP(cleanup_closep)
#define cleanup_fclose CLEANUP(cleanup_fclosep)

/* Hands out *pp and leaves NULL behind. */
#define steal_ptr(pp)				\
	({					\
		__typeof__(*(pp)) _p = *(pp);	\
		*(pp) = NULL;			\
		_p;				\
	})

/* Hands out *fd and leaves -1 behind. */
static inline int
steal_fd(int *fd)
{
	int ret = *fd;

	*fd = -1;
	return ret;
}

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

#endif
