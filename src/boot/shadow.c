/* See shadow.h. */
#include "boot/shadow.h"

#include <crypt.h>
#include <string.h>
#include <sys/random.h>

#include "base/str.h"

/* The line of text that begins with name:, up to its newline; NULL if none. */
static const char *
find_line(const char *text, const char *name, size_t name_len, size_t *ret_len)
{
	for (const char *s = text; s && *s; s += *ret_len + (s[*ret_len] == '\n')) {
		*ret_len = strcspn(s, "\n");
		if (*ret_len > name_len && memcmp(s, name, name_len) == 0 && s[name_len] == ':')
			return s;
	}
	return NULL;
}

static void
add_line(struct strbuf *b, const char *line, size_t len, const char *hash)
{
	const char *colon = memchr(line, ':', len), *rest = NULL;

	if (hash && colon)
		rest = memchr(colon + 1, ':', len - (size_t)(colon + 1 - line));
	if (rest) {
		strbuf_add(b, line, (size_t)(colon + 1 - line));
		strbuf_adds(b, hash);
		strbuf_add(b, rest, len - (size_t)(rest - line));
	} else {
		strbuf_add(b, line, len);
	}
	strbuf_addc(b, '\n');
}

char *
shadow_merge(const char *base, const char *saved, const char *root_hash)
{
	struct strbuf b = STRBUF_INIT;
	bool root = false;
	size_t len;

	for (const char *s = base; *s; s += len + (s[len] == '\n')) {
		const char *colon, *use;
		size_t n;

		len = strcspn(s, "\n");
		colon = memchr(s, ':', len);
		if (!colon)
			continue;
		use = find_line(saved, s, (size_t)(colon - s), &n);
		if (!use) {
			use = s;
			n = len;
		}
		if (colon - s == 4 && memcmp(s, "root", 4) == 0) {
			root = true;
			add_line(&b, use, n, root_hash);
		} else {
			add_line(&b, use, n, NULL);
		}
	}
	if (!root) {
		const char *use = find_line(saved, "root", 4, &len);

		if (use)
			add_line(&b, use, len, root_hash);
		else
			strbuf_addf(&b, "root:%s:20000::::::\n", root_hash ? root_hash : "*");
	}
	return strbuf_steal(&b);
}

int
shadow_check_hash(const char *hash, struct error *err)
{
	if (hash[strcspn(hash, ": \t\r\n")] != '\0')
		return error_set(err, EINVAL, "a password hash has neither colons nor white space");
	if (*hash && *hash != '$' && *hash != '*' && *hash != '!')
		return error_set(err, EINVAL, "\"%s\" is no password hash as crypt(5) has them", hash);
	return 0;
}

int
shadow_hash(const char *password, char **ret, struct error *err)
{
	struct crypt_data *data = xcalloc(1, sizeof(*data));
	char salt[CRYPT_GENSALT_OUTPUT_SIZE];
	char random[16];
	const char *hash = NULL;
	int r = 0;

	if (getrandom(random, sizeof(random), 0) == sizeof(random) &&
	    crypt_gensalt_rn("$6$", 0, random, sizeof(random), salt, sizeof(salt)))
		hash = crypt_rn(password, salt, data, sizeof(*data));
	if (hash && *hash == '$')
		*ret = xstrdup(hash);
	else
		r = error_set(err, EINVAL, "the password cannot be hashed");
	explicit_bzero(data, sizeof(*data));
	free(data);
	return r;
}
