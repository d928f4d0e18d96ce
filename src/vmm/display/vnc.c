/*
 * Everything happens in the main thread.  What a client sends next is known
 * from its state: how many bytes are needed, and who takes them; a message
 * with a tail names its length when its head is there.
 *
 * The guest draws without telling us.  So while a client waits for an update
 * a timer compares the picture, in tiles, with the client's own copy of it;
 * tiles that differ are copied there and sent from the copy.  A client that
 * does not read gets nothing new: at most one update is in its buffer.  With
 * no client, or none waiting, no timer runs.
 */
#include "vmm/display/vnc.h"

#define OPENSSL_API_COMPAT 10100 /* DES is old, and all that VNC knows */
#include <openssl/des.h>
#include <sys/random.h>
#include <zlib.h>

#include "base/sock.h"
#include "vmm/device.h"

#define MAX_CLIENTS 8
#define TILE 64U
enum { TICK_MS = 40, TICK_IDLE_MS = 200 };
#define IN_MAX 1024
#define MAX_ENCODINGS 128U

enum { ENC_RAW = 0, ENC_ZRLE = 16, ENC_SIZE = -223, ENC_SCANCODES = -258 };
enum { SECURITY_NONE = 1, SECURITY_PASSWORD = 2 };

struct client;

/* What is expected next. */
struct step {
	size_t need;
	/* False: the client is to go. */
	bool (*take)(struct client *c, const uint8_t *data);
};

struct pixel_format {
	uint8_t bits, depth, big_endian, true_colour;
	uint16_t max[3]; /* red, green, blue */
	uint8_t shift[3];
};

struct client {
	struct vnc *v;
	struct list_head link;
	int fd;
	struct event_source *src;
	struct step next;
	unsigned minor; /* of the protocol's version: 3, 7 or 8 */
	uint8_t challenge[16];
	uint8_t in[IN_MAX];
	size_t in_len;
	uint32_t skip; /* bytes of a clipboard nobody wants */
	unsigned encodings_left;
	struct strbuf out;
	size_t out_done;
	struct pixel_format format;
	bool zrle, resize, scancodes; /* what it understands */
	bool wants, wants_all;	      /* an update; whether or not it changed */
	unsigned width, height;
	uint32_t *copy; /* of what it shows */
	z_stream z;
	bool have_z;
	unsigned buttons;
};

struct vnc {
	struct display *display;
	char password[9], *unix_path;
	unsigned width, height;
	int fd;
	struct event_source *src, *timer;
	struct list_head clients;
	unsigned n_clients;
};

static void
client_free(struct client *c)
{
	list_del(&c->link);
	c->v->n_clients--;
	event_source_free(c->src);
	close(c->fd);
	if (c->have_z)
		deflateEnd(&c->z);
	strbuf_done(&c->out);
	free(c->copy);
	free(c);
}

/* ---- sending ---- */

static void
put(struct client *c, const void *data, size_t len)
{
	strbuf_add(&c->out, data, len);
}

static void
put8(struct client *c, unsigned v)
{
	strbuf_addc(&c->out, (char)v);
}

static void
put16(struct client *c, unsigned v)
{
	put_be16(strbuf_reserve(&c->out, 2), v);
	c->out.len += 2;
}

static void
put32(struct client *c, uint32_t v)
{
	put16(c, v >> 16);
	put16(c, v);
}

/* Writes what the socket takes; false if it is broken. */
static bool
flush(struct client *c)
{
	while (c->out_done < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + c->out_done, c->out.len - c->out_done,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN &&
			       event_mod_fd(c->src, EPOLLIN | EPOLLOUT) == 0;
		c->out_done += (size_t)n;
	}
	strbuf_done(&c->out);
	c->out_done = 0;
	return event_mod_fd(c->src, EPOLLIN) == 0;
}

/* ---- pixels ---- */

static size_t
pixel_size(const struct client *c)
{
	return c->format.bits / 8;
}

static uint32_t
convert(const struct client *c, uint32_t bgrx)
{
	const struct pixel_format *f = &c->format;
	uint32_t v = 0;

	for (unsigned i = 0; i < 3; i++) {
		uint32_t level = bgrx >> (16 - 8 * i) & 0xff;

		v |= (level * f->max[i] + 127) / 255 << f->shift[i];
	}
	return v;
}

static size_t
store(const struct client *c, uint8_t *to, uint32_t v, size_t size)
{
	for (size_t i = 0; i < size; i++)
		to[i] = (uint8_t)(v >> 8 * (c->format.big_endian ? size - 1 - i : i));
	return size;
}

/* ZRLE leaves out the byte of a 32-bit pixel that no colour uses. */
static size_t
compact_size(const struct client *c, unsigned *ret_shift)
{
	const struct pixel_format *f = &c->format;
	uint32_t used = 0;

	*ret_shift = 0;
	for (unsigned i = 0; i < 3; i++)
		used |= (uint32_t)f->max[i] << f->shift[i];
	if (f->bits != 32 || f->depth > 24)
		return pixel_size(c);
	if (!(used & 0xff000000))
		return 3;
	if (used & 0xff)
		return 4;
	*ret_shift = 8;
	return 3;
}

/* All pixels of a rectangle, size bytes each, without the lowest bits. */
static size_t
encode_raw(const struct client *c, unsigned x, unsigned y, unsigned w, unsigned h, unsigned shift,
	   size_t size, uint8_t *to)
{
	uint8_t *p = to;

	for (unsigned row = y; row < y + h; row++)
		for (unsigned i = x; i < x + w; i++)
			p += store(c, p, convert(c, c->copy[(size_t)row * c->width + i]) >> shift, size);
	return (size_t)(p - to);
}

/* One tile: a single colour, a palette of up to 16, or all pixels. */
static size_t
encode_tile(const struct client *c, unsigned x, unsigned y, unsigned w, unsigned h, uint8_t *to)
{
	uint32_t palette[16];
	uint8_t index[TILE * TILE], *p = to + 1;
	unsigned n = 0, shift;
	size_t size = compact_size(c, &shift);

	for (unsigned row = 0; row < h && n <= 16; row++) {
		for (unsigned i = 0; i < w; i++) {
			uint32_t v = c->copy[(size_t)(y + row) * c->width + x + i];
			unsigned k = 0;

			while (k < n && palette[k] != v)
				k++;
			if (k == 16) {
				n = 17;
				break;
			}
			if (k == n)
				palette[n++] = v;
			index[row * w + i] = (uint8_t)k;
		}
	}
	*to = n > 16 ? 0 : (uint8_t)n;
	if (n > 16)
		return 1 + encode_raw(c, x, y, w, h, shift, size, p);
	for (unsigned k = 0; k < n; k++)
		p += store(c, p, convert(c, palette[k]) >> shift, size);
	if (n == 1)
		return (size_t)(p - to);

	unsigned bits = n == 2 ? 1 : n <= 4 ? 2 : 4;

	for (unsigned row = 0; row < h; row++) {
		unsigned have = 0;
		uint8_t byte = 0;

		for (unsigned i = 0; i < w; i++) {
			byte = (uint8_t)(byte << bits | index[row * w + i]);
			have += bits;
			if (have == 8) {
				*p++ = byte;
				have = 0;
			}
		}
		if (have)
			*p++ = (uint8_t)(byte << (8 - have));
	}
	return (size_t)(p - to);
}

static void
put_rect(struct client *c, unsigned x, unsigned y, unsigned w, unsigned h, int32_t encoding)
{
	put16(c, x);
	put16(c, y);
	put16(c, w);
	put16(c, h);
	put32(c, (uint32_t)encoding);
}

/* A rectangle at most a tile high, as wide as it likes. */
static void
put_pixels(struct client *c, unsigned x, unsigned y, unsigned w, unsigned h)
{
	cleanup_free uint8_t *plain = xmalloc((size_t)w * h * 4 + (w / TILE + 1));
	size_t len = 0;

	if (!c->zrle) {
		put_rect(c, x, y, w, h, ENC_RAW);
		put(c, plain, encode_raw(c, x, y, w, h, 0, pixel_size(c), plain));
		return;
	}
	for (unsigned i = 0; i < w; i += TILE)
		len += encode_tile(c, x + i, y, w - i < TILE ? w - i : TILE, h, plain + len);

	uLong room = deflateBound(&c->z, len) + 16;
	cleanup_free uint8_t *packed = xmalloc(room);

	c->z.next_in = plain;
	c->z.avail_in = (uInt)len;
	c->z.next_out = packed;
	c->z.avail_out = (uInt)room;
	/* There is room for all of it: this cannot fail. */
	(void)deflate(&c->z, Z_SYNC_FLUSH);
	put_rect(c, x, y, w, h, ENC_ZRLE);
	put32(c, (uint32_t)(room - c->z.avail_out));
	put(c, packed, room - c->z.avail_out);
}

/* ---- updates ---- */

/* What the guest shows, cut or filled up to the client's size; true if the tile changed. */
static bool
refresh_tile(struct client *c, const struct frame *f, unsigned x, unsigned y, unsigned w, unsigned h)
{
	bool changed = false;

	for (unsigned row = y; row < y + h; row++) {
		uint32_t *to = c->copy + (size_t)row * c->width + x, line[TILE] = {0};
		unsigned n = row >= f->height || x >= f->width ? 0
			     : f->width - x < w		       ? f->width - x
							       : w;

		if (n)
			memcpy(line, f->pixels + (size_t)row * f->stride + 4ULL * x, 4ULL * n);
		for (unsigned i = 0; i < w; i++)
			line[i] &= 0xffffff;
		if (memcmp(to, line, 4ULL * w) == 0)
			continue;
		memcpy(to, line, 4ULL * w);
		changed = true;
	}
	return changed;
}

static void
set_size(struct client *c, unsigned width, unsigned height)
{
	c->width = width;
	c->height = height;
	free(c->copy);
	c->copy = xcalloc((size_t)width * height, 4);
	c->wants_all = true;
}

static bool
current_frame(struct vnc *v, struct frame *f)
{
	struct display *d = v->display;

	*f = (struct frame){.width = v->width, .height = v->height};
	if (d->frame && d->frame(d->frame_arg, f))
		return true;
	*f = (struct frame){0};
	return false;
}

/* Sends what changed, if anything did.  True if something was sent. */
static bool
update(struct client *c)
{
	size_t count_at, count = 0;
	struct frame f;
	bool shown = current_frame(c->v, &f);

	put8(c, 0);
	put8(c, 0);
	count_at = c->out.len;
	put16(c, 0);
	if (shown && c->resize && (f.width != c->width || f.height != c->height)) {
		set_size(c, f.width, f.height);
		put_rect(c, 0, 0, f.width, f.height, ENC_SIZE);
		count++;
	}
	for (unsigned y = 0; y < c->height; y += TILE) {
		unsigned h = c->height - y < TILE ? c->height - y : TILE, from = 0, n = 0;

		for (unsigned x = 0; x < c->width; x += TILE) {
			unsigned w = c->width - x < TILE ? c->width - x : TILE;

			if (refresh_tile(c, &f, x, y, w, h) || c->wants_all) {
				from = n ? from : x;
				n += w;
				continue;
			}
			if (n) {
				put_pixels(c, from, y, n, h);
				count++;
			}
			n = 0;
		}
		if (n) {
			put_pixels(c, from, y, n, h);
			count++;
		}
	}
	if (!count) {
		strbuf_done(&c->out);
		return false;
	}
	c->out.data[count_at] = (char)(count >> 8);
	c->out.data[count_at + 1] = (char)count;
	c->wants = c->wants_all = false;
	return true;
}

static void
on_tick(struct event_source *s, void *arg)
{
	struct vnc *v = arg;
	struct client *c, *tmp;
	bool waiting = false, moved = false;

	list_for_each_safe(c, tmp, &v->clients, link) {
		if (c->wants && c->out.len == 0 && update(c)) {
			moved = true;
			if (!flush(c)) {
				client_free(c);
				continue;
			}
		}
		waiting = waiting || c->wants;
	}
	if (waiting || moved)
		event_timer_reset(s, moved ? TICK_MS : TICK_IDLE_MS);
}

/* ---- what a client says ---- */

static bool take_message(struct client *c, const uint8_t *data);
static const struct step idle = {1, take_message};

static bool
take_pixel_format(struct client *c, const uint8_t *d)
{
	struct pixel_format f = {.bits = d[3], .depth = d[4], .big_endian = d[5] != 0,
				 .true_colour = d[6]};

	for (unsigned i = 0; i < 3; i++) {
		f.max[i] = get_be16(d + 7 + 2 * i);
		f.shift[i] = d[13 + i];
		if (f.shift[i] > 31 || (uint64_t)f.max[i] << f.shift[i] > UINT32_MAX)
			return false;
	}
	/* A palette would need one of ours: clients can all do without. */
	if ((f.bits != 8 && f.bits != 16 && f.bits != 32) || !f.true_colour)
		return false;
	c->format = f;
	c->wants_all = true;
	return true;
}

static bool
take_encoding(struct client *c, const uint8_t *d)
{
	int32_t encoding = (int32_t)get_be32(d);

	c->zrle = c->zrle || encoding == ENC_ZRLE;
	c->resize = c->resize || encoding == ENC_SIZE;
	c->scancodes = c->scancodes || encoding == ENC_SCANCODES;
	if (--c->encodings_left) {
		c->next = (struct step){4, take_encoding};
	} else if (c->scancodes) {
		/* The client waits for a word that it may send scan codes. */
		put(c, "\0\0\0\1", 4);
		put_rect(c, 0, 0, 0, 0, ENC_SCANCODES);
		return flush(c);
	}
	return true;
}

static bool
take_encodings(struct client *c, const uint8_t *d)
{
	c->encodings_left = get_be16(d + 1);
	c->zrle = c->resize = c->scancodes = false;
	if (c->encodings_left > MAX_ENCODINGS)
		return false;
	if (c->encodings_left)
		c->next = (struct step){4, take_encoding};
	return true;
}

static bool
take_update_request(struct client *c, const uint8_t *d)
{
	bool all = c->wants_all || !d[0], news = !c->wants || all != c->wants_all;

	c->wants = true;
	c->wants_all = all;
	/* Who asks again and again, and reads nothing, is not looked at each time. */
	if (news)
		event_timer_reset(c->v->timer, all ? 0 : TICK_MS);
	return true;
}

static bool
take_key(struct client *c, const uint8_t *d)
{
	display_key(c->v->display, key_of_keysym(get_be32(d + 3)), d[0]);
	return true;
}

static bool
take_scancode(struct client *c, const uint8_t *d)
{
	uint32_t code = get_be32(d + 7);

	if (d[0] != 0)
		return false;
	/* Some send 0xe0XX, some XX with bit 7. */
	if (code >> 8 == 0xe0)
		code = (code & 0x7f) | 0x80;
	display_key(c->v->display, code < 256 ? key_of_set1(code) : 0, get_be16(d + 1));
	return true;
}

static bool
take_pointer(struct client *c, const uint8_t *d)
{
	unsigned x = get_be16(d + 1), y = get_be16(d + 3);

	x = c->width > 1 ? x * POINTER_MAX / (c->width - 1) : 0;
	y = c->height > 1 ? y * POINTER_MAX / (c->height - 1) : 0;
	display_pointer(c->v->display, x < POINTER_MAX ? x : POINTER_MAX,
			y < POINTER_MAX ? y : POINTER_MAX, d[0] & 0x1f);
	return true;
}

static bool
take_clipboard(struct client *c, const uint8_t *d)
{
	c->skip = get_be32(d + 3);
	return true;
}

static const struct {
	uint8_t type;
	struct step body; /* what follows the type */
} messages[] = {
	{0, {19, take_pixel_format}}, {2, {3, take_encodings}}, {3, {9, take_update_request}},
	{4, {7, take_key}},	      {5, {5, take_pointer}},	{6, {7, take_clipboard}},
	{255, {11, take_scancode}},
};

static bool
take_message(struct client *c, const uint8_t *d)
{
	for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
		if (messages[i].type == d[0]) {
			c->next = messages[i].body;
			return true;
		}
	}
	return false;
}

/* ---- how it begins ---- */

static bool
take_init(struct client *c, const uint8_t *d)
{
	const char *name = c->v->display->vm->name;
	struct frame f;

	if (!current_frame(c->v, &f))
		f = (struct frame){.width = c->v->width, .height = c->v->height};
	set_size(c, f.width, f.height);
	put16(c, f.width);
	put16(c, f.height);
	/* 32 bits, depth 24, little-endian, true colour, 255 levels of red << 16, green << 8, blue. */
	put(c, "\x20\x18\0\1\0\xff\0\xff\0\xff\x10\x08\0\0\0\0", 16);
	put32(c, (uint32_t)strlen(name));
	put(c, name, strlen(name));
	return true;
}

static const struct step init = {1, take_init};

static bool
reject(struct client *c, const char *why)
{
	put32(c, 1);
	if (c->minor == 8) {
		put32(c, (uint32_t)strlen(why));
		put(c, why, strlen(why));
	}
	(void)flush(c); /* it goes in any case */
	return false;
}

static bool
take_response(struct client *c, const uint8_t *d)
{
	uint8_t want[16], differ = 0;
	DES_cblock key;
	DES_key_schedule keys;

	/* Passwords are keys with their bits the other way round. */
	for (unsigned i = 0; i < 8; i++) {
		uint8_t b = (uint8_t)c->v->password[i];

		key[i] = 0;
		for (unsigned n = 0; n < 8; n++)
			key[i] |= (uint8_t)((b >> n & 1) << (7 - n));
	}
	DES_set_key_unchecked(&key, &keys);
	for (unsigned i = 0; i < 16; i += 8) {
		DES_LONG block[2] = {get_le32(c->challenge + i), get_le32(c->challenge + i + 4)};

		DES_encrypt1(block, &keys, DES_ENCRYPT);
		put_le32(want + i, block[0]);
		put_le32(want + i + 4, block[1]);
	}
	for (unsigned i = 0; i < 16; i++)
		differ |= want[i] ^ d[i];
	if (differ)
		return reject(c, "wrong password");
	put32(c, 0);
	c->next = init;
	return true;
}

static bool
begin_security(struct client *c, unsigned type)
{
	if (type == SECURITY_NONE) {
		if (c->minor == 8)
			put32(c, 0);
		c->next = init;
		return true;
	}
	if (getrandom(c->challenge, sizeof(c->challenge), 0) != sizeof(c->challenge))
		return false;
	put(c, c->challenge, sizeof(c->challenge));
	c->next = (struct step){16, take_response};
	return true;
}

static unsigned
security(const struct vnc *v)
{
	return v->password[0] ? SECURITY_PASSWORD : SECURITY_NONE;
}

static bool
take_security(struct client *c, const uint8_t *d)
{
	return d[0] == security(c->v) ? begin_security(c, d[0])
				      : reject(c, "no such kind of security");
}

static bool
take_version(struct client *c, const uint8_t *d)
{
	char text[13] = "";
	unsigned minor;

	memcpy(text, d, 12);
	if (sscanf(text, "RFB 003.%3u\n", &minor) != 1)
		return false;
	c->minor = minor >= 8 ? 8 : minor == 7 ? 7 : 3;
	if (c->minor == 3) { /* the server decides */
		put32(c, security(c->v));
		return begin_security(c, security(c->v));
	}
	put8(c, 1);
	put8(c, security(c->v));
	c->next = (struct step){1, take_security};
	return true;
}

/* ---- connections ---- */

static bool
consume(struct client *c)
{
	size_t at = 0;

	for (;;) {
		size_t have = c->in_len - at;

		if (c->skip) {
			size_t n = c->skip < have ? c->skip : have;

			c->skip -= (uint32_t)n;
			at += n;
			if (c->skip)
				break;
			continue;
		}
		if (have < c->next.need)
			break;

		const uint8_t *data = c->in + at;
		struct step now = c->next;

		at += now.need;
		c->next = idle; /* unless it says what else comes */
		if (!now.take(c, data))
			return false;
	}
	memmove(c->in, c->in + at, c->in_len - at);
	c->in_len -= at;
	return c->out.len == c->out_done || flush(c);
}

static void
on_client(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct client *c = arg;
	bool ok = true;

	if (events & EPOLLOUT)
		ok = flush(c);
	if (ok && (events & ~(uint32_t)EPOLLOUT)) {
		ssize_t n = recv(fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);

		if (n > 0) {
			c->in_len += (size_t)n;
			ok = consume(c);
		} else {
			ok = n < 0 && (errno == EAGAIN || errno == EINTR);
		}
	}
	if (!ok)
		client_free(c);
}

static void
on_connect(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct vnc *v = arg;
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c;

	if (client < 0)
		return;
	if (v->n_clients == MAX_CLIENTS) {
		close(client);
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->v = v;
	c->fd = client;
	c->format = (struct pixel_format){32, 24, 0, 1, {255, 255, 255}, {16, 8, 0}};
	c->next = (struct step){12, take_version};
	list_add_tail(&v->clients, &c->link);
	v->n_clients++;
	c->have_z = deflateInit(&c->z, 1) == Z_OK;
	if (!c->have_z || event_add_fd(v->display->vm->loop, client, EPOLLIN, on_client, c, &c->src,
				       NULL) < 0) {
		client_free(c);
		return;
	}
	put(c, "RFB 003.008\n", 12);
	if (!flush(c))
		client_free(c);
}

int
vnc_new(struct display *d, const struct vnc_opts *opts, struct vnc **ret, struct error *err)
{
	struct event_loop *loop = d->vm->loop;
	struct vnc *v = xcalloc(1, sizeof(*v));
	struct pollfd p = {.events = POLLIN};
	int r;

	v->display = d;
	v->fd = -1;
	v->width = opts->width;
	v->height = opts->height;
	list_init(&v->clients);
	if (opts->password)
		snprintf(v->password, sizeof(v->password), "%s", opts->password);
	if (opts->unix_path) {
		v->unix_path = xstrdup(opts->unix_path);
		r = sock_unix_listen(v->unix_path, SOCK_NONBLOCK, &v->fd, err);
	} else {
		r = sock_tcp_listen(opts->tcp ? opts->tcp : "5900", SOCK_NONBLOCK, &v->fd, err);
	}
	if (r == 0)
		r = event_add_fd(loop, v->fd, EPOLLIN, on_connect, v, &v->src, err);
	if (r == 0)
		r = event_add_timer(loop, 0, on_tick, v, &v->timer, err);
	p.fd = v->fd;
	while (r == 0 && opts->wait && poll(&p, 1, -1) < 0) {
		if (errno != EINTR)
			r = error_set_errno(err, errno, "waiting for a VNC client");
	}
	if (r < 0) {
		vnc_free(v);
		return r;
	}
	*ret = v;
	return 0;
}

void
vnc_free(struct vnc *v)
{
	if (!v)
		return;
	while (!list_empty(&v->clients))
		client_free(list_entry(v->clients.next, struct client, link));
	event_source_free(v->src);
	event_source_free(v->timer);
	if (v->unix_path && v->fd >= 0) /* else it is somebody else's */
		unlink(v->unix_path);
	cleanup_closep(&v->fd);
	free(v->unix_path);
	explicit_bzero(v->password, sizeof(v->password));
	free(v);
}
