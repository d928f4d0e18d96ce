/* vminfo: asks vminfod. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "vm/vminfod.h"

static const struct cli_verb verbs[];

static int
ask(const char *path, FILE **ret, struct error *err)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(VMINFOD_PORT)};
	cleanup_free char *text = str_printf("GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n", path);
	cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return error_set_errno(err, errno, "vminfod does not answer on 127.0.0.1:%d",
				       VMINFOD_PORT);
	if (fd_write_all(fd, text, strlen(text)) < 0)
		return error_set_errno(err, errno, "vminfod");
	*ret = fdopen(fd, "r");
	if (!*ret)
		return error_set_errno(err, errno, "fdopen");
	steal_fd(&fd);
	return 0;
}

/* The status line and headers; the status. */
static int
read_head(FILE *f)
{
	char line[1024];
	int status = 0;

	while (fgets(line, sizeof(line), f)) {
		str_trim(line);
		if (!*line)
			break;
		if (str_after(line, "HTTP/1."))
			status = atoi(strchr(line, ' ') ? strchr(line, ' ') : "0");
	}
	return status;
}

/* An answer in full, printed pretty; its status tells the exit status. */
static int
show(const char *path)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_fclose FILE *f = NULL;
	cleanup_strbuf struct strbuf body = STRBUF_INIT;
	cleanup_json struct json *j = NULL;
	cleanup_free char *text = NULL;
	size_t n;
	int status;

	if (ask(path, &f, &err) < 0)
		return cli_error(&err);
	status = read_head(f);
	while ((n = fread(strbuf_reserve(&body, 65536), 1, 65536, f)) > 0)
		body.len += n;
	if (!body.len || json_parse(body.data, body.len, &j, &err) < 0)
		return cli_fail("vminfod's answer is not JSON: %s", error_message(&err));
	if (status != 200)
		return cli_fail("%s", json_str(json_get(j, "message"), "vminfod refuses"));
	text = json_print(j, true);
	fputs(text, stdout);
	return CLI_OK;
}

static int
no_operands(int argc, char **argv, const char *path)
{
	return argc == 1 ? show(path) : cli_usage_verb(verbs, argv[0]);
}

static int
verb_ping(int argc, char **argv)
{
	return no_operands(argc, argv, "/ping");
}

static int
verb_status(int argc, char **argv)
{
	return no_operands(argc, argv, "/status");
}

static int
verb_vms(int argc, char **argv)
{
	return no_operands(argc, argv, "/vms");
}

static int
verb_vm(int argc, char **argv)
{
	cleanup_free char *path = NULL;

	if (argc != 2 || !str_is_uuid(argv[1]))
		return cli_usage_verb(verbs, argv[0]);
	path = str_printf("/vms/%s", argv[1]);
	return show(path);
}

static int
verb_events(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_fclose FILE *f = NULL;
	cleanup_free char *line = NULL;
	size_t cap = 0;

	if (argc != 1)
		return cli_usage_verb(verbs, argv[0]);
	if (ask("/events", &f, &err) < 0)
		return cli_error(&err);
	if (read_head(f) != 200)
		return cli_fail("vminfod refuses");
	/* Chunks: their sizes stand on lines of their own, their content is lines of JSON. */
	while (getline(&line, &cap, f) > 0)
		if (*line == '{') {
			fputs(line, stdout);
			fflush(stdout);
		}
	return CLI_OK;
}

static const struct cli_verb verbs[] = {
	{"ping", "", "is vminfod there?", verb_ping},
	{"status", "", "how vminfod does", verb_status},
	{"vms", "", "every VM", verb_vms},
	{"vm", "UUID", "one VM", verb_vm},
	{"events", "", "what happens, one JSON object a line", verb_events},
	{0},
};

int
main(int argc, char **argv)
{
	return cli_main(argc, argv, verbs);
}
