/*
 * A mutex held to the end of the block, whichever way it is left:
 *
 *	scoped_lock(&d->lock);
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <pthread.h>

#include "base/cleanup.h"

static inline pthread_mutex_t *
lock_take(pthread_mutex_t *m)
{
	pthread_mutex_lock(m);
	return m;
}

static inline void
lock_dropp(pthread_mutex_t **m)
{
	pthread_mutex_unlock(*m);
}

#define scoped_lock(m) SCOPED_LOCK(m, __COUNTER__)
#define SCOPED_LOCK(m, n) SCOPED_LOCK_(m, n)
#define SCOPED_LOCK_(m, n) \
	__attribute__((unused)) CLEANUP(lock_dropp) pthread_mutex_t *lock_##n = lock_take(m)

#endif
