/*
 * HTTP with libcurl, pulled: http_read() drives one transfer until bytes are
 * there.  Only http and https, also after redirects, at most 5 of them; a
 * server that says nothing for a minute is given up.
 */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "img/source.h"
#include "img/stream.h"

enum { HTTP_JSON_MAX = 64 << 20, HTTP_BUFFER = 1 << 20, HTTP_STALL_S = 60, HTTP_CONNECT_S = 30 };

struct http {
	struct stream base;
	CURL *curl;
	CURLM *multi;
	struct curl_slist *headers;
	char *url;
	struct strbuf buf; /* received, from `pos` on not yet taken */
	size_t pos;
	bool finished, paused;
	CURLcode result;
	char message[CURL_ERROR_SIZE];
};

static size_t
http_write(char *data, size_t size, size_t n, void *arg)
{
	struct http *h = arg;

	if (h->buf.len - h->pos > HTTP_BUFFER) {
		h->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (h->pos == h->buf.len) {
		strbuf_reset(&h->buf);
		h->pos = 0;
	}
	strbuf_add(&h->buf, data, size * n);
	return size * n;
}

static void
http_done(struct http *h)
{
	if (h->multi && h->curl)
		curl_multi_remove_handle(h->multi, h->curl);
	curl_easy_cleanup(h->curl);
	if (h->multi)
		curl_multi_cleanup(h->multi);
	curl_slist_free_all(h->headers);
	strbuf_done(&h->buf);
	free(h->url);
	free(h);
}

static void
http_free(struct stream *s)
{
	http_done(container_of(s, struct http, base));
}

/* One round of the transfer: waits for the network, takes what came. */
static int
http_step(struct http *h, struct error *err)
{
	int running = 0, left;
	const CURLMsg *msg;
	CURLMcode m;

	if (h->paused) {
		h->paused = false;
		curl_easy_pause(h->curl, CURLPAUSE_CONT);
	}
	m = curl_multi_perform(h->multi, &running);
	if (m == CURLM_OK && running && h->pos == h->buf.len)
		m = curl_multi_poll(h->multi, NULL, 0, 1000, NULL);
	if (m != CURLM_OK)
		return error_set(err, EIO, "%s: %s", h->url, curl_multi_strerror(m));
	while ((msg = curl_multi_info_read(h->multi, &left))) {
		if (msg->msg == CURLMSG_DONE) {
			h->finished = true;
			h->result = msg->data.result;
		}
	}
	return 0;
}

static int
http_result(struct http *h, struct error *err)
{
	const char *text = *h->message ? h->message : curl_easy_strerror(h->result);

	if (h->result == CURLE_OK)
		return 0;
	return error_set(err, h->result == CURLE_OPERATION_TIMEDOUT ? ETIMEDOUT : ECONNABORTED,
			 "%s: %s", h->url, text);
}

static ssize_t
http_read(struct stream *s, void *buf, size_t len, struct error *err)
{
	struct http *h = container_of(s, struct http, base);
	size_t n;
	int r;

	while (h->pos == h->buf.len) {
		if (h->finished)
			return http_result(h, err);
		r = http_step(h, err);
		if (r < 0)
			return r;
	}
	n = h->buf.len - h->pos;
	if (n > len)
		n = len;
	memcpy(buf, h->buf.data + h->pos, n);
	h->pos += n;
	return (ssize_t)n;
}

static int
http_new(const char *url, bool insecure, struct http **ret, struct error *err)
{
	static const struct stream_ops ops = {http_read, http_free};
	static bool initialised;
	struct http *h;

	if (!initialised) {
		curl_global_init(CURL_GLOBAL_DEFAULT);
		initialised = true;
	}
	h = xcalloc(1, sizeof(*h));
	h->base.ops = &ops;
	h->url = xstrdup(url);
	h->curl = curl_easy_init();
	h->multi = curl_multi_init();
	if (!h->curl || !h->multi) {
		http_done(h);
		return error_set(err, ENOMEM, "libcurl cannot start");
	}
	curl_easy_setopt(h->curl, CURLOPT_URL, url);
	curl_easy_setopt(h->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(h->curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(h->curl, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(h->curl, CURLOPT_MAXREDIRS, 5L);
	curl_easy_setopt(h->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h->curl, CURLOPT_CONNECTTIMEOUT, (long)HTTP_CONNECT_S);
	curl_easy_setopt(h->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(h->curl, CURLOPT_LOW_SPEED_TIME, (long)HTTP_STALL_S);
	curl_easy_setopt(h->curl, CURLOPT_USERAGENT, "imgadm/3 (Atoll)");
	curl_easy_setopt(h->curl, CURLOPT_ERRORBUFFER, h->message);
	curl_easy_setopt(h->curl, CURLOPT_WRITEFUNCTION, http_write);
	curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, h);
	if (insecure) {
		curl_easy_setopt(h->curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(h->curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	*ret = h;
	return 0;
}

/* Goes on until the status is known: the first byte came, or the end. */
static int
http_start(struct http *h, struct error *err)
{
	int r;

	curl_multi_add_handle(h->multi, h->curl);
	while (!h->finished && h->buf.len == 0) {
		r = http_step(h, err);
		if (r < 0)
			return r;
	}
	return h->finished ? http_result(h, err) : 0;
}

/* IMGAPI says what went wrong as {"code","message"}. */
static int
http_status(struct http *h, struct error *err)
{
	cleanup_json struct json *j = NULL;
	const char *text;
	long status = 0;

	curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 200 && status < 300)
		return 0;
	while (!h->finished && h->buf.len < 64 * 1024) {
		if (http_step(h, err) < 0)
			break;
		if (h->buf.len && !h->finished)
			curl_multi_poll(h->multi, NULL, 0, 1000, NULL);
	}
	if (h->buf.len)
		json_parse(h->buf.data, h->buf.len, &j, NULL);
	text = json_str(json_get(j, "message"), NULL);
	return error_set(err, status == 404 ? ENOENT : EPROTO, "%s: server answered %ld%s%.200s", h->url,
			 status, text ? ": " : "", text ? text : "");
}

int
stream_open_url(const char *url, bool insecure, struct stream **ret, uint64_t *ret_length,
		struct error *err)
{
	struct http *h;
	curl_off_t length = -1;
	int r;

	r = http_new(url, insecure, &h, err);
	if (r < 0)
		return r;
	r = http_start(h, err);
	if (r == 0)
		r = http_status(h, err);
	if (r < 0) {
		http_done(h);
		return r;
	}
	curl_easy_getinfo(h->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	if (ret_length)
		*ret_length = length > 0 ? (uint64_t)length : 0;
	*ret = &h->base;
	return 0;
}

static int
http_json(struct http *h, struct json **ret, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	ssize_t n;
	int r;

	r = http_start(h, err);
	if (r == 0)
		r = http_status(h, err);
	if (r < 0)
		return r;
	for (;;) {
		n = http_read(&h->base, strbuf_reserve(&text, 65536), 65536, err);
		if (n <= 0)
			break;
		text.len += (size_t)n;
		text.data[text.len] = '\0';
		if (text.len > HTTP_JSON_MAX)
			return error_set(err, EFBIG, "%s: the answer is larger than %d MiB", h->url,
					 HTTP_JSON_MAX >> 20);
	}
	if (n < 0)
		return (int)n;
	if (!ret)
		return 0;
	r = json_parse(text.data ? text.data : "", text.len, ret, err);
	return r < 0 ? error_wrap(err, r, "%s: not a JSON answer", h->url) : 0;
}

int
http_get_json(const char *url, bool insecure, struct json **ret, struct error *err)
{
	struct http *h;
	int r;

	r = http_new(url, insecure, &h, err);
	if (r < 0)
		return r;
	curl_easy_setopt(h->curl, CURLOPT_ACCEPT_ENCODING, "");
	r = http_json(h, ret, err);
	http_done(h);
	return r;
}

int
http_post_json(const char *url, bool insecure, const struct json *body, struct json **ret,
	       struct error *err)
{
	cleanup_free char *text = json_print(body, false);
	struct http *h;
	int r;

	r = http_new(url, insecure, &h, err);
	if (r < 0)
		return r;
	h->headers = curl_slist_append(NULL, "Content-Type: application/json");
	curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, h->headers);
	curl_easy_setopt(h->curl, CURLOPT_POSTFIELDS, text);
	r = http_json(h, ret, err);
	http_done(h);
	return r;
}

struct upload {
	FILE *f;
	uint64_t done;
	stream_progress_fn *progress;
	void *arg;
};

static size_t
upload_read(char *buf, size_t size, size_t n, void *arg)
{
	struct upload *u = arg;
	size_t got = fread(buf, 1, size * n, u->f);

	u->done += got;
	if (u->progress)
		u->progress(u->done, u->arg);
	return got;
}

int
http_put_file(const char *url, bool insecure, const char *path, stream_progress_fn *progress,
	      void *arg, struct error *err)
{
	cleanup_fclose FILE *f = fopen(path, "re");
	struct upload u = {.f = f, .progress = progress, .arg = arg};
	struct stat st;
	struct http *h;
	int r;

	if (!f || fstat(fileno(f), &st) < 0)
		return error_set_errno(err, errno, "%s", path);
	r = http_new(url, insecure, &h, err);
	if (r < 0)
		return r;
	h->headers = curl_slist_append(NULL, "Content-Type: application/octet-stream");
	h->headers = curl_slist_append(h->headers, "Expect:");
	curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, h->headers);
	curl_easy_setopt(h->curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(h->curl, CURLOPT_READFUNCTION, upload_read);
	curl_easy_setopt(h->curl, CURLOPT_READDATA, &u);
	curl_easy_setopt(h->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)st.st_size);
	r = http_json(h, NULL, err);
	http_done(h);
	return r;
}
