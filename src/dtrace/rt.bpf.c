/*
 * What subroutines do at run time: compiled here once, and copied instruction by
 * instruction behind the programs that call them (rt.c).  So each function stands
 * alone: no globals, no calls but helpers'.
 *
 * How loops are written for the verifier's sake stands in rt_bpf.h.
 *
 * Texts are buffers of `size` bytes (strsize) with a NUL; results go to buffers of
 * twice that where a helper writes at an offset.
 */
#include "rt_bpf.h"

INLINE u64
length(const char *s, u64 size)
{
	long n = bpf_probe_read_kernel_str((void *)s, (u32)size, s);

	return n > 0 ? (u64)n - 1 : 0;
}

/* Is sub at s[at]? */
INLINE u64
matches(rt_t *rt, const char *s, const char *sub, u64 at, u64 size)
{
	for (rt->j = 0; can_loop; rt->j++) {
		u64 c = get(sub, rt->j, size);

		if (!c)
			return 1;
		if (get(s, at + rt->j, size) != c)
			return 0;
	}
	return 0;
}

/* First place of sub in s at `from` or behind it, or -1. */
FUNC long
rt_index(rt_t *rt, const char *s, const char *sub, u64 size, long from)
{
	u64 len = length(s, size);

	if (from < 0)
		from = 0;
	if ((u64)from > len && !get(sub, 0, size)) /* nothing stands at the end, too */
		from = (long)len;
	for (rt->i = (u64)from; can_loop && rt->i <= len; rt->i++)
		if (matches(rt, s, sub, rt->i, size))
			return (long)rt->i;
	return -1;
}

/* Last place of sub in s at `from` or before it, or -1. */
FUNC long
rt_rindex(rt_t *rt, const char *s, const char *sub, u64 size, long from)
{
	long len = (long)length(s, size);

	if (from < 0)
		return get(sub, 0, size) ? -1 : 0;
	if (from > len)
		from = len;
	for (rt->i = (u64)from; can_loop && (long)rt->i >= 0; rt->i--)
		if (matches(rt, s, sub, rt->i, size))
			return (long)rt->i;
	return -1;
}

/* Place of c in s, the last one if `last`; -1. */
FUNC long
rt_strchr(rt_t *rt, const char *s, u64 c, u64 size, u64 last)
{
	rt->k = (u64)-1;
	for (rt->i = 0; can_loop && rt->i < size; rt->i++) {
		u64 here = get(s, rt->i, size);

		if (here == (c & 0xff)) {
			rt->k = rt->i;
			if (!last)
				break;
		}
		if (!here)
			break;
	}
	return (long)rt->k;
}

/* s from `from` on, at most n bytes, to dst. */
INLINE void
copy_part(char *dst, const char *s, u64 size, long from, long n)
{
	if (from < 0 || n <= 0) {
		put(dst, 0, size, 0);
		return;
	}
	if (n >= (long)size)
		n = (long)size - 1;
	n++;
	opaque(n);
	if (n > 0 && n <= (long)size)
		bpf_probe_read_kernel_str(dst, (u32)n, s + from);
}

/* rt->a: index, rt->b: length */
FUNC long
rt_substr(rt_t *rt, char *dst, const char *s, u64 size)
{
	long len = (long)length(s, size), at = (long)rt->a, n = (long)rt->b;

	if (n > 2 * (long)size)
		n = 2 * (long)size; /* so that sums do not overflow */
	if (at < 0) {
		at += len;
		if (at < 0 && at + n > 0) {
			n += at;
			at = 0;
		}
	}
	if (at >= len || at < 0)
		n = 0;
	else if (n < 0)
		n += len - at;
	rt->a = (u64)at;
	rt->b = (u64)n;
	at = (long)rt->a;
	n = (long)rt->b;
	if (at >= 0 && at < (long)size) {
		copy_part(dst, s, size, at, n);
		return 0;
	}
	put(dst, 0, size, 0);
	return 0;
}

/* s from `from` (-1: nothing) on. */
FUNC long
rt_tail(rt_t *rt, char *dst, const char *s, u64 size, long from)
{
	rt->a = (u64)from;
	from = (long)rt->a;
	if (from < 0 || from >= (long)size)
		return 1;
	bpf_probe_read_kernel_str(dst, (u32)size, s + from);
	return 0;
}

INLINE u64
is_delimiter(rt_t *rt, const char *delims, u64 c, u64 size)
{
	for (rt->j = 0; can_loop; rt->j++) {
		u64 d = get(delims, rt->j, size);

		if (!d)
			return 0;
		if (d == c)
			return 1;
	}
	return 0;
}

/* The next word of `text`, from rt->token on; words end at any of delims.  1: there is none. */
FUNC long
rt_strtok(rt_t *rt, char *dst, const char *text, const char *delims, u64 size)
{
	u64 c = 0;

	for (; can_loop; rt->token++) {
		c = get(text, rt->token, size);

		if (!c || !is_delimiter(rt, delims, c, size))
			break;
	}
	if (!c)
		return 1;
	for (rt->i = 0; can_loop && rt->i < size - 1; rt->i++) {
		c = get(text, rt->token, size);
		if (!c || is_delimiter(rt, delims, c, size))
			break; /* the next word begins here: other delimiters may be given */
		rt->token = rt->token + 1;
		put(dst, rt->i, size, c);
	}
	put(dst, rt->i, size, 0);
	return 0;
}

/* Upper case, or lower if `lower`. */
FUNC long
rt_case(rt_t *rt, char *dst, const char *s, u64 size, u64 lower)
{
	u64 from = lower ? 'A' : 'a';

	for (rt->i = 0; can_loop && rt->i < size; rt->i++) {
		u64 c = get(s, rt->i, size);

		put(dst, rt->i, size, c - from < 26 ? c ^ 32 : c);
		if (!c)
			break;
	}
	return 0;
}

/* The name behind the last slash; trailing slashes do not count. */
FUNC long
rt_basename(rt_t *rt, char *dst, const char *s, u64 size)
{
	rt->k = length(s, size);
	while (can_loop && rt->k > 1 && get(s, rt->k - 1, size) == '/')
		rt->k = rt->k - 1;
	rt->i = rt->k;
	while (can_loop && rt->i > 0 && get(s, rt->i - 1, size) != '/')
		rt->i = rt->i - 1;
	if (rt->i == rt->k && rt->k) /* "/" */
		rt->i = rt->i - 1;
	for (rt->j = 0; can_loop && rt->i < rt->k; rt->i++, rt->j++)
		put(dst, rt->j, size, get(s, rt->i, size));
	if (!rt->k) {
		put(dst, 0, size, '.');
		rt->j = 1;
	}
	put(dst, rt->j, size, 0);
	return 0;
}

/* What stands before the last slash. */
FUNC long
rt_dirname(rt_t *rt, char *dst, const char *s, u64 size)
{
	rt->k = length(s, size);
	while (can_loop && rt->k > 1 && get(s, rt->k - 1, size) == '/')
		rt->k = rt->k - 1;
	while (can_loop && rt->k > 0 && get(s, rt->k - 1, size) != '/')
		rt->k = rt->k - 1;
	while (can_loop && rt->k > 1 && get(s, rt->k - 1, size) == '/')
		rt->k = rt->k - 1;
	for (rt->i = 0; can_loop && rt->i < rt->k; rt->i++)
		put(dst, rt->i, size, get(s, rt->i, size));
	if (!rt->k) {
		put(dst, 0, size, '.');
		rt->i = 1;
	}
	put(dst, rt->i, size, 0);
	return 0;
}

/* Without "//", "/./" and "x/../". */
FUNC long
rt_cleanpath(rt_t *rt, char *dst, const char *s, u64 size)
{
	rt->j = 0; /* written */
	for (rt->i = 0; can_loop && rt->i < size;) {
		u64 c = get(s, rt->i, size), d, e;

		if (!c)
			break;
		if (c != '/') {
			put(dst, rt->j, size, c);
			rt->j = rt->j + 1;
			rt->i = rt->i + 1;
			continue;
		}
		d = get(s, rt->i + 1, size);
		e = get(s, rt->i + 2, size);
		if (d == '/') {
			rt->i = rt->i + 1;
		} else if (d == '.' && (e == '/' || !e)) {
			rt->i = rt->i + 2;
		} else if (d == '.' && e == '.' &&
			   (get(s, rt->i + 3, size) == '/' || !get(s, rt->i + 3, size))) {
			rt->i = rt->i + 3;
			while (can_loop && rt->j > 0) {
				rt->j = rt->j - 1;
				if (get(dst, rt->j, size) == '/')
					break;
			}
		} else {
			put(dst, rt->j, size, c);
			rt->j = rt->j + 1;
			rt->i = rt->i + 1;
		}
	}
	if (!rt->j && get(s, 0, size) == '/') {
		put(dst, 0, size, '/');
		rt->j = 1;
	}
	put(dst, rt->j, size, 0);
	return 0;
}

/* Digits of n, last first, to dst[k-1], dst[k-2] ...; *k moves. */
INLINE void
digits(rt_t *rt, char *dst, u64 size, u64 n, u64 base)
{
	rt->n = n;
	do {
		u64 d = rt->n % base;

		rt->n = rt->n / base;
		rt->k = rt->k - 1;
		put(dst, rt->k, size, d < 10 ? d + '0' : d - 10 + 'a');
	} while (can_loop && rt->n);
}

/* dst is twice as large as the result, which is built in the upper half and moved. */
FUNC long
rt_lltostr(rt_t *rt, char *dst, long n, u64 base, u64 size)
{
	u64 negative = base == 10 && n < 0;

	if (base < 2 || base > 36)
		base = 10;
	rt->k = 79;
	put(dst, 79, size, 0);
	digits(rt, dst, size, negative ? -(u64)n : (u64)n, base);
	if (base == 16) {
		put(dst, rt->k - 1, size, 'x');
		rt->k = rt->k - 1;
	}
	if (base == 16 || (base == 8 && n)) {
		put(dst, rt->k - 1, size, '0');
		rt->k = rt->k - 1;
	}
	if (negative) {
		put(dst, rt->k - 1, size, '-');
		rt->k = rt->k - 1;
	}
	return (long)rt->k;
}

FUNC long
rt_strtoll(rt_t *rt, const char *s, u64 base, u64 size)
{
	u64 c, negative = 0;

	rt->i = 0;
	rt->n = 0;
	for (; can_loop; rt->i++) {
		c = get(s, rt->i, size);
		if (c != ' ' && c - '\t' > 4)
			break;
	}
	c = get(s, rt->i, size);
	if (c == '-' || c == '+') {
		negative = c == '-';
		rt->i = rt->i + 1;
	}
	if (base == 16 && get(s, rt->i, size) == '0' && (get(s, rt->i + 1, size) | 32) == 'x')
		rt->i = rt->i + 2;
	for (; can_loop && rt->i < size; rt->i++) {
		c = get(s, rt->i, size);
		if (c - '0' < 10)
			c -= '0';
		else if ((c | 32) - 'a' < 26)
			c = (c | 32) - 'a' + 10;
		else
			break;
		if (c >= base)
			break;
		rt->n = rt->n * base + c;
	}
	return negative ? -(long)rt->n : (long)rt->n;
}

INLINE void
add_decimal(rt_t *rt, char *dst, u64 size, u64 n)
{
	if (n >= 100)
		add(rt, dst, size, '0' + n / 100);
	if (n >= 10)
		add(rt, dst, size, '0' + n / 10 % 10);
	add(rt, dst, size, '0' + n % 10);
}

INLINE u64
hex(u64 d)
{
	return d < 10 ? d + '0' : d - 10 + 'a';
}

INLINE void
ntop4(rt_t *rt, char *dst, const u8 *addr, u64 size)
{
	add_decimal(rt, dst, size, addr[0]);
	add(rt, dst, size, '.');
	add_decimal(rt, dst, size, addr[1]);
	add(rt, dst, size, '.');
	add_decimal(rt, dst, size, addr[2]);
	add(rt, dst, size, '.');
	add_decimal(rt, dst, size, addr[3]);
}

/* RFC 5952: the longest run of two or more zero groups is "::". */
INLINE void
ntop6(rt_t *rt, char *dst, const u8 *addr, u64 size, u64 family)
{
	rt->a = 8; /* the run's first group */
	rt->b = 1; /* its length */
	rt->n = 0;
	for (rt->i = 0; can_loop && rt->i < 8; rt->i++) {
		u64 hi = get((const char *)addr, 2 * rt->i, 16);
		u64 lo = get((const char *)addr, 2 * rt->i + 1, 16);

		rt->n = hi | lo ? 0 : rt->n + 1;
		if (rt->n > rt->b) {
			rt->b = rt->n;
			rt->a = rt->i + 1 - rt->n;
		}
	}
	for (rt->i = 0; can_loop && rt->i < 8;) {
		u64 group;

		if (rt->i == rt->a) {
			add(rt, dst, size, ':');
			add(rt, dst, size, ':');
			rt->i = rt->i + rt->b;
			continue;
		}
		if (rt->i && rt->i != rt->a + rt->b)
			add(rt, dst, size, ':');
		if (rt->i == 6 && !rt->a && (rt->b == 6 || (rt->b == 5 && addr[10] == 255 && addr[11] == 255))) {
			if (family == RT_INET6_BARE)
				rt->j = 0;
			ntop4(rt, dst, addr + 12, size); /* ::ffff:1.2.3.4, ::1.2.3.4 */
			break;
		}
		group = get((const char *)addr, 2 * rt->i, 16) << 8 |
			get((const char *)addr, 2 * rt->i + 1, 16);
		if (group >> 12)
			add(rt, dst, size, hex(group >> 12));
		if (group >> 8)
			add(rt, dst, size, hex(group >> 8 & 15));
		if (group >> 4)
			add(rt, dst, size, hex(group >> 4 & 15));
		add(rt, dst, size, hex(group & 15));
		rt->i = rt->i + 1;
	}
}

/* addr: 16 bytes; family: 2 is IPv4, all else IPv6. */
FUNC long
rt_ntop(rt_t *rt, char *dst, const u8 *addr, u64 size, u64 family)
{
	rt->j = 0;
	if (family == 2)
		ntop4(rt, dst, addr, size);
	else
		ntop6(rt, dst, addr, size, family);
	put(dst, rt->j, size, 0);
	return 0;
}

/* n bytes as "01:02:ab". */
FUNC long
rt_link_ntop(rt_t *rt, char *dst, const u8 *addr, u64 size, u64 n)
{
	rt->j = 0;
	for (rt->i = 0; can_loop && rt->i < n; rt->i++) {
		u64 c = get((const char *)addr, rt->i, 24);

		if (rt->i)
			add(rt, dst, size, ':');
		add(rt, dst, size, hex(c >> 4));
		add(rt, dst, size, hex(c & 15));
	}
	put(dst, rt->j, size, 0);
	return 0;
}

/* --- json(text, path) */

INLINE void
skip_space(rt_t *rt, const char *s, u64 size)
{
	for (; can_loop; rt->i++) {
		u64 c = get(s, rt->i, size);

		if (c != ' ' && c - '\t' > 4)
			break;
	}
}

/* rt->i at the opening quote; leaves it behind the closing one. */
INLINE void
skip_string(rt_t *rt, const char *s, u64 size)
{
	for (rt->i++; can_loop && rt->i < size; rt->i++) {
		u64 c = get(s, rt->i, size);

		if (!c)
			return;
		if (c == '\\') {
			rt->i = rt->i + 1;
		} else if (c == '"') {
			rt->i = rt->i + 1;
			return;
		}
	}
}

/* rt->i at a value; leaves it behind. */
INLINE void
skip_value(rt_t *rt, const char *s, u64 size)
{
	for (rt->n = 0; can_loop && rt->i < size;) {
		u64 c = get(s, rt->i, size);

		if (!c)
			return;
		if (!rt->n && (c == ',' || c == ']' || c == '}'))
			return;
		if (c == '"') {
			skip_string(rt, s, size);
			continue;
		}
		if (c == '{' || c == '[')
			rt->n = rt->n + 1;
		if (c == '}' || c == ']')
			rt->n = rt->n - 1;
		rt->i = rt->i + 1;
	}
}

INLINE u64
ends_element(u64 c)
{
	return !c || c == '.' || c == '[' || c == ']';
}

/* Is the key at rt->i (a quote) the path's element at rt->k? */
INLINE u64
key_matches(rt_t *rt, const char *s, const char *path, u64 size)
{
	for (rt->j = 0; can_loop; rt->j++) {
		u64 c = get(s, rt->i + 1 + rt->j, size), p = get(path, rt->k + rt->j, size);

		if (ends_element(p))
			return c == '"';
		if (c != p)
			return 0;
	}
	return 0;
}

/* rt->i behind '{' or '[': to the value that the element names; 0 if there is none. */
INLINE u64
find_element(rt_t *rt, const char *s, const char *path, u64 size, u64 object)
{
	rt->a = 0;
	if (!object) /* the element is a number */
		for (rt->j = rt->k; can_loop && get(path, rt->j, size) - '0' < 10; rt->j++)
			rt->a = rt->a * 10 + get(path, rt->j, size) - '0';
	while (can_loop) {
		skip_space(rt, s, size);
		rt->b = object ? 0 : rt->a == 0;
		if (object) {
			if (get(s, rt->i, size) != '"')
				return 0;
			rt->b = key_matches(rt, s, path, size);
			skip_string(rt, s, size);
			skip_space(rt, s, size);
			if (get(s, rt->i, size) != ':')
				return 0;
			rt->i = rt->i + 1;
			skip_space(rt, s, size);
		} else if (get(s, rt->i, size) == ']') {
			return 0;
		}
		if (rt->b)
			return 1;
		rt->a = rt->a - 1;
		skip_value(rt, s, size);
		if (get(s, rt->i, size) != ',')
			return 0;
		rt->i = rt->i + 1;
	}
	return 0;
}

FUNC long
rt_json(rt_t *rt, char *dst, const char *s, const char *path, u64 size)
{
	u64 c;

	put(dst, 0, size, 0);
	rt->i = 0;
	rt->k = 0;
	skip_space(rt, s, size);
	while (can_loop) {
		while (can_loop && get(path, rt->k, size) && ends_element(get(path, rt->k, size)))
			rt->k = rt->k + 1;
		if (!get(path, rt->k, size))
			break;
		c = get(s, rt->i, size);
		if (c != '{' && c != '[')
			return 0;
		rt->i = rt->i + 1;
		if (!find_element(rt, s, path, size, c == '{'))
			return 0;
		while (can_loop && !ends_element(get(path, rt->k, size)))
			rt->k = rt->k + 1;
	}
	rt->a = rt->i;
	rt->b = get(s, rt->i, size) == '"';
	if (rt->b)
		skip_string(rt, s, size);
	else
		skip_value(rt, s, size);
	while (can_loop && !rt->b && rt->i > rt->a && get(s, rt->i - 1, size) <= ' ')
		rt->i = rt->i - 1;
	rt->a = rt->a + rt->b;
	rt->n = rt->i - rt->b;
	for (rt->j = 0; can_loop && rt->a < rt->n; rt->a++) {
		c = get(s, rt->a, size);
		if (c == '\\' && rt->b) {
			rt->a = rt->a + 1;
			c = get(s, rt->a, size);
			c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c == 'b' ? '\b'
							: c == 'f' ? '\f' : c;
		}
		add(rt, dst, size, c);
	}
	put(dst, rt->j, size, 0);
	return 0;
}

/* --- the kernel's structures; rt->off says where their members are */

/* Is the task, or one of its ancestors, process pid? */
FUNC long
rt_progenyof(rt_t *rt, u64 task, u64 pid)
{
	rt->a = task;
	for (rt->i = 0; can_loop && rt->i < 1024; rt->i++) {
		u64 tgid = load4(rt->a + rt->off[RT_TASK_TGID]);

		if (tgid == (pid & 0xffffffff))
			return 1;
		if (!tgid)
			return 0;
		rt->a = load(rt->a + rt->off[RT_TASK_PARENT]);
		if (!rt->a)
			return 0;
	}
	return 0;
}

/* The same by the numbers of the zone's processes: those of level 1, the second of numbers[]. */
FUNC long
rt_zone_progenyof(rt_t *rt, u64 task, u64 pid)
{
	rt->a = task;
	for (rt->i = 0; can_loop && rt->i < 1024 && rt->a; rt->i++) {
		/* pids[PIDTYPE_TGID] */
		u64 p = load(load(rt->a + rt->off[RT_TASK_SIGNAL]) + rt->off[RT_SIGNAL_PIDS] + 8);

		if (!p || load4(p + rt->off[RT_PID_LEVEL]) < 1)
			return 0;
		if (load4(p + rt->off[RT_PID_NUMBERS] + 16) == (pid & 0xffffffff))
			return 1;
		rt->a = load(rt->a + rt->off[RT_TASK_PARENT]);
	}
	return 0;
}

/* The task, if its user namespace is that one or inside it; else 0. */
FUNC long
rt_ours(rt_t *rt, u64 task, u64 inum)
{
	rt->a = load(load(task + rt->off[RT_TASK_CRED]) + rt->off[RT_CRED_USER_NS]);
	for (rt->i = 0; can_loop && rt->i < 8 && rt->a; rt->i++) {
		if (load4(rt->a + rt->off[RT_USER_NS_INUM]) == inum)
			return (long)task;
		rt->a = load(rt->a + rt->off[RT_USER_NS_PARENT]);
	}
	return 0;
}

/*
 * The task, if it is a plain process of the user whose uid and gid `who` holds (gid above), as
 * gen_owner() asks of the current one; else 0.
 */
FUNC long
rt_owned(rt_t *rt, u64 task, u64 inum, u64 who)
{
	u64 cred = load(task + rt->off[RT_TASK_CRED]), mm = load(task + rt->off[RT_TASK_MM]);

	if (load4(load(cred + rt->off[RT_CRED_USER_NS]) + rt->off[RT_USER_NS_INUM]) != inum ||
	    load(cred + rt->off[RT_CRED_PERMITTED]))
		return 0;
	if (load4(cred + rt->off[RT_CRED_UID]) != (u32)who ||
	    load4(cred + rt->off[RT_CRED_EUID]) != (u32)who ||
	    load4(cred + rt->off[RT_CRED_SUID]) != (u32)who ||
	    load4(cred + rt->off[RT_CRED_GID]) != who >> 32 ||
	    load4(cred + rt->off[RT_CRED_EGID]) != who >> 32 ||
	    load4(cred + rt->off[RT_CRED_SGID]) != who >> 32)
		return 0;
	return mm && (load(mm + rt->off[RT_MM_FLAGS]) & 3) == 1 ? (long)task : 0;
}

/* A struct path's name as its mount namespace sees it; dst is 2 * size. */
FUNC long
rt_path(rt_t *rt, char *dst, u64 path, u64 size)
{
	path_name(rt, dst, path, size);
	return 0;
}

/* Where the filesystem that a struct path is in is mounted. */
FUNC long
rt_mount(rt_t *rt, char *dst, u64 path, u64 size)
{
	u64 mnt = load(path + rt->off[RT_PATH_MNT]);

	dentry_name(rt, dst, load(mnt + rt->off[RT_VFSMOUNT_ROOT]), mnt - rt->off[RT_MOUNT_MNT], size);
	return 0;
}

/*
 * The struct dentry of the file that a page is of; 0 if it is of none (anonymous memory: bits of its
 * mapping are set), of a device, or of one whose name is not in the cache.
 */
FUNC long
rt_page_file(rt_t *rt, u64 page)
{
	u64 head = load(page + rt->off[RT_PAGE_HEAD]), mapping, inode, alias;

	mapping = load((head & 1 ? head - 1 : page) + rt->off[RT_FOLIO_MAPPING]);
	if (!page || !mapping || mapping & 3)
		return 0;
	/* Of a page that is no file's (a slab's, ZFS') something else may stand there. */
	inode = load(mapping + rt->off[RT_MAPPING_HOST]);
	if (!inode || load(inode + rt->off[RT_INODE_MAPPING]) != mapping)
		return 0;
	alias = load(inode + rt->off[RT_INODE_DENTRY]);
	if (!alias)
		return 0;
	alias -= rt->off[RT_DENTRY_ALIAS];
	return load(alias + rt->off[RT_DENTRY_PARENT]) == alias ? 0 : (long)alias;
}

/* The path of a file of which its struct dentry alone is known; dst is 2 * size. */
FUNC long
rt_file_path(rt_t *rt, char *dst, u64 dentry, u64 size)
{
	u64 mount = first_mount(rt, dentry);

	dentry_name(rt, dst, dentry, mount, size);
	return 0;
}

/* Where its filesystem is mounted. */
FUNC long
rt_file_mount(rt_t *rt, char *dst, u64 dentry, u64 size)
{
	u64 mount = first_mount(rt, dentry);

	dentry_name(rt, dst, mount ? load(mount + rt->off[RT_MOUNT_MNT] + rt->off[RT_VFSMOUNT_ROOT]) : 0,
		    mount, size);
	return 0;
}

/* A struct kobject's path below /sys. */
FUNC long
rt_kobject(rt_t *rt, char *dst, u64 kobject, u64 size)
{
	rt->k = 0;
	rt->a = kobject;
	for (rt->i = 0; can_loop && rt->i < RT_NAMES && rt->a; rt->i++) {
		note_name(rt, load(rt->a + rt->off[RT_KOBJECT_NAME]));
		rt->a = load(rt->a + rt->off[RT_KOBJECT_PARENT]);
	}
	join_names(rt, dst, size);
	return 0;
}

/* Words of the task's command line; its name if its memory is not at hand. */
FUNC long
rt_psargs(rt_t *rt, char *dst, u64 task, u64 size)
{
	u64 mm = load(task + rt->off[RT_TASK_MM]), start, n;

	put(dst, 0, size, 0);
	rt->n = 0;
	if (mm && load4(task + rt->off[RT_TASK_TGID]) == bpf_get_current_pid_tgid() >> 32) {
		start = load(mm + rt->off[RT_MM_ARG_START]);
		rt->n = load(mm + rt->off[RT_MM_ARG_END]) - start;
		n = rt->n;
		opaque(n);
		if (n > size - 1)
			n = size - 1;
		opaque(n);
		if (n < size && bpf_probe_read_user(dst, (u32)n, (const void *)start) == 0)
			rt->n = n;
		else
			rt->n = 0;
	}
	if (!rt->n) {
		bpf_probe_read_kernel_str(dst, (u32)size, (const void *)(task + rt->off[RT_TASK_COMM]));
		return 0;
	}
	for (rt->i = 0; can_loop && rt->i + 1 < rt->n; rt->i++)
		if (!get(dst, rt->i, size))
			put(dst, rt->i, size, ' ');
	put(dst, rt->n, size, 0);
	return 0;
}

/* The zone's name: cgroup /zones/NAME or below it; else "global". */
FUNC long
rt_zonename(rt_t *rt, char *dst, u64 task, u64 size)
{
	u64 set = load(task + rt->off[RT_TASK_CGROUPS]);
	u64 cgroup = load(set + rt->off[RT_CSS_SET_CGRP]), name;
	u64 ancestors = cgroup + rt->off[RT_CGROUP_ANCESTORS];

	if (load4(cgroup + rt->off[RT_CGROUP_LEVEL]) >= 2) {
		name = load(load(load(ancestors + 8) + rt->off[RT_CGROUP_KN]) + rt->off[RT_KN_NAME]);
		if (load(name) << 16 == 0x0073656e6f7aul << 16) { /* "zones" */
			name = load(load(load(ancestors + 16) + rt->off[RT_CGROUP_KN]) +
				    rt->off[RT_KN_NAME]);
			bpf_probe_read_kernel_str(dst, (u32)size, (const void *)name);
			return 0;
		}
	}
	put(dst, 0, size, 'g');
	put(dst, 1, size, 'l');
	put(dst, 2, size, 'o');
	put(dst, 3, size, 'b');
	put(dst, 4, size, 'a');
	put(dst, 5, size, 'l');
	put(dst, 6, size, 0);
	return 0;
}

/* Does nothing for so many nanoseconds. */
FUNC long
rt_chill(rt_t *rt, u64 ns)
{
	u64 start = bpf_ktime_get_ns();

	while (can_loop && bpf_ktime_get_ns() - start < ns)
		;
	return 0;
}
