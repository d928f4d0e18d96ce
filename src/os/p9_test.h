/* Messages of 9P2000.L as a client writes them, for the tests of the server and of its device. */
#ifndef OS_P9_TEST_H
#define OS_P9_TEST_H

#include <stdint.h>
#include <string.h>

#define P9_TAG 0x1234

struct p9_message {
	uint8_t *data; /* with room for what is put there */
	size_t len;
};

static inline void
p9_put(struct p9_message *m, unsigned size, uint64_t v)
{
	memcpy(m->data + m->len, &v, size);
	m->len += size;
}

static inline void
p9_text(struct p9_message *m, const char *s)
{
	p9_put(m, 2, strlen(s));
	memcpy(m->data + m->len, s, strlen(s));
	m->len += strlen(s);
}

/* The length is the caller's to write, when all is there. */
static inline void
p9_begin(struct p9_message *m, uint8_t type)
{
	m->len = 4;
	p9_put(m, 1, type);
	p9_put(m, 2, P9_TAG);
}

#endif
