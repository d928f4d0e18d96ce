/*
 * Questions to the monitor of a running virtual machine: `vmadm info` and `vmadm sysrq`.  QEMU
 * is asked over QMP; our own monitor by the messages of its control socket, vm.ctl.
 *
 * The socket is ZONEPATH/root/tmp/vm.qmp, in a directory that belongs to the
 * monitor: it is opened as an inode without following links, and what it says is
 * bounded in size and time.
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/file.h"
#include "base/ipc.h"
#include "vm/vm.h"
#include "vm/vm_qmp.h"

#define ANSWER_MAX (4u << 20)
#define ANSWER_SECONDS 10

static int
qmp_connect(const struct json *vm, int *ret, struct error *err)
{
	cleanup_free char *tmp = vm_path(vm, "root/tmp");
	cleanup_close int dir = open(tmp, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_PATH);
	cleanup_close int sock = dir >= 0 ? openat(dir, "vm.qmp", O_PATH | O_NOFOLLOW | O_CLOEXEC)
					  : -1;
	cleanup_close int fd = -1;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct timeval wait = {.tv_sec = ANSWER_SECONDS};
	struct stat st;

	if (sock < 0 || fstat(sock, &st) < 0 || !S_ISSOCK(st.st_mode))
		return error_set(err, ENOTCONN, "the monitor's socket %s/vm.qmp is not there", tmp);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d", sock);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return error_set_errno(err, errno, "%s/vm.qmp", tmp);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	*ret = steal_fd(&fd);
	return 0;
}

/* The next line that is an object. */
static int
read_object(int fd, struct strbuf *in, struct json **ret, struct error *err)
{
	for (;;) {
		char *end = in->len ? memchr(in->data, '\n', in->len) : NULL;
		ssize_t n;

		if (end) {
			size_t len = (size_t)(end - in->data);
			int r = json_parse(in->data, len, ret, err);

			memmove(in->data, end + 1, in->len - len - 1);
			in->len -= len + 1;
			return r < 0 ? error_wrap(err, r, "the monitor's answer") : 0;
		}
		if (in->len > ANSWER_MAX)
			return error_set(err, EMSGSIZE, "the monitor's answer is too long");
		n = recv(fd, strbuf_reserve(in, 16384), 16384, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_set(err, n < 0 ? errno : EPIPE, "the monitor does not answer");
		in->len += (size_t)n;
		in->data[in->len] = '\0';
	}
}

/* Sends a command and takes its answer, passing over events. */
static int
command(int fd, struct strbuf *in, const char *name, struct json *args, struct json **ret,
	struct error *err)
{
	cleanup_json struct json *q = json_new_object();
	cleanup_free char *text = NULL;
	cleanup_free char *line = NULL;

	json_set_str(q, "execute", name);
	if (args)
		json_set(q, "arguments", args);
	text = json_print(q, false);
	line = str_printf("%s\n", text);
	if (fd_write_all(fd, line, strlen(line)) < 0)
		return error_set(err, EPIPE, "the monitor does not listen");
	for (;;) {
		cleanup_json struct json *a = NULL;
		int r = read_object(fd, in, &a, err);

		if (r < 0)
			return r;
		if (json_get(a, "error"))
			return error_set(err, EIO, "the monitor refuses %s: %s", name,
					 json_str(json_lookup(a, "error.desc"), "?"));
		if (!json_get(a, "return"))
			continue;
		if (ret)
			*ret = json_steal(a, "return");
		return 0;
	}
}

/* A session with a monitor: QMP, or the messages of bhyve(8) (vmm/ctl.h). */
struct session {
	int fd;
	bool bhyve;
	struct strbuf in;
};

static void
session_done(struct session *s)
{
	if (s->fd >= 0)
		close(s->fd);
	strbuf_done(&s->in);
}
#define SESSION_INIT {.fd = -1, .in = STRBUF_INIT}
#define cleanup_session CLEANUP(session_done)

static int
ctl_connect(const struct json *vm, int *ret, struct error *err)
{
	const char *name = json_str(json_get(vm, "zonename"), json_str(json_get(vm, "uuid"), ""));
	struct timeval wait = {.tv_sec = ANSWER_SECONDS};
	cleanup_close int fd = -1;
	int r = zone_vm_connect(name, "vm.ctl", &fd, err);

	if (r < 0)
		return r;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	*ret = steal_fd(&fd);
	return 0;
}

static int
ctl_request(int fd, const char *name, const char *arg, struct json **ret, struct error *err)
{
	struct ipc_message answer CLEANUP(ipc_message_done) = IPC_MESSAGE_INIT;
	cleanup_json struct json *q = json_new_object();
	int r;

	json_set_str(q, "request", name);
	if (arg)
		json_set_str(q, "arg", arg);
	r = ipc_call(fd, q, NULL, 0, &answer, err);
	if (r < 0)
		return error_wrap(err, r, "the monitor refuses %s", name);
	if (ret)
		*ret = steal_ptr(&answer.body);
	return 0;
}

static int
open_session(const char *uuid, struct session *s, struct error *err)
{
	cleanup_json struct json *vm = NULL, *greeting = NULL;
	int r = vm_load(uuid, 0, &vm, err);

	if (r < 0)
		return r;
	if (!json_bool(json_get(vm, "hvm"), false))
		return error_set(err, ENOTSUP, "VM %s is of brand %s: only virtual machines have a "
					       "monitor", uuid, json_str(json_get(vm, "brand"), "?"));
	if (!str_eq(json_str(json_get(vm, "zone_state"), ""), "running"))
		return error_set(err, ESRCH, "VM %s is not running: it is '%s'", uuid,
				 vm_state(vm));
	s->bhyve = str_eq(json_str(json_get(vm, "brand"), ""), "bhyve");
	if (s->bhyve)
		return ctl_connect(vm, &s->fd, err);
	r = qmp_connect(vm, &s->fd, err);
	if (r == 0)
		r = read_object(s->fd, &s->in, &greeting, err);
	if (r == 0)
		r = command(s->fd, &s->in, "qmp_capabilities", NULL, NULL, err);
	return r;
}

/* Types of `vmadm info`, and what QEMU and bhyve are asked for each. */
static const struct info_type {
	const char *type, *qmp, *ctl;
} types[] = {
	{"block", "query-block", NULL},
	{"blockstats", "query-blockstats", NULL},
	{"chardev", "query-chardev", NULL},
	{"cpus", "query-cpus-fast", "stats"},
	{"kvm", "query-kvm", NULL},
	{"pci", "query-pci", "devices"},
	{"spice", "query-spice", NULL},
	{"status", "query-status", "status"},
	{"version", "query-version", NULL},
};

static int
ask(struct session *s, const struct info_type *type, struct json **ret, struct error *err)
{
	if (!s->bhyve)
		return command(s->fd, &s->in, type->qmp, NULL, ret, err);
	if (!type->ctl)
		return error_set(err, EIO, "brand bhyve has no %s information", type->type);
	return ctl_request(s->fd, type->ctl, NULL, ret, err);
}

/* As SmartOS has it: where a viewer connects.  Absent if it cannot. */
static int
add_vnc(const char *uuid, struct json *out, struct error *err)
{
	cleanup_error struct error own = ERROR_INIT;
	cleanup_free char *host = NULL;
	struct json *vnc;
	int port, r;

	r = zone_vnc_address(uuid, &host, &port, &own);
	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		error_move(err, &own);
		return r;
	}
	vnc = json_new_object();
	json_set_str(vnc, "host", host);
	json_set_int(vnc, "port", port);
	json_set_int(vnc, "display", port - 5900);
	json_set(out, "vnc", vnc);
	return 0;
}

int
vm_info(const char *uuid, const struct strv *wanted, struct json **ret, struct error *err)
{
	cleanup_json struct json *out = json_new_object();
	cleanup_session struct session s = SESSION_INIT;
	bool all = !wanted->n || strv_has(wanted, "all");
	int r;

	for (size_t i = 0; i < wanted->n; i++) {
		bool known = str_eq(wanted->v[i], "all") || str_eq(wanted->v[i], "vnc");

		for (size_t k = 0; k < ARRAY_SIZE(types); k++)
			known |= str_eq(wanted->v[i], types[k].type);
		if (!known)
			return error_set(err, EINVAL, "unknown info type: %s", wanted->v[i]);
	}
	r = open_session(uuid, &s, err);
	if (r == 0 && (all || strv_has(wanted, "vnc")))
		r = add_vnc(uuid, out, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(types); i++) {
		cleanup_error struct error own = ERROR_INIT;
		struct json *answer = NULL;

		if (!all && !strv_has(wanted, types[i].type))
			continue;
		r = ask(&s, &types[i], &answer, &own);
		if (r == -EIO && all) {
			r = 0; /* this monitor has no such thing */
			continue;
		}
		if (r < 0)
			error_move(err, &own);
		else
			json_set(out, types[i].type, answer);
	}
	if (r < 0)
		return r;
	*ret = steal_ptr(&out);
	return 0;
}

int
vm_sysrq(const char *uuid, const char *type, struct error *err)
{
	cleanup_session struct session s = SESSION_INIT;
	bool nmi = str_eq(type, "nmi");
	struct json *args = NULL;
	int r;

	if (!nmi && !str_eq(type, "screenshot"))
		return error_set(err, EINVAL, "Invalid sysrq type: %s", type);
	r = open_session(uuid, &s, err);
	if (r < 0)
		return r;
	if (s.bhyve)
		return ctl_request(s.fd, type, nmi ? NULL : "/tmp/vm.png", NULL, err);
	if (!nmi) {
		args = json_new_object();
		json_set_str(args, "filename", "/tmp/vm.ppm"); /* as the monitor sees it */
	}
	return command(s.fd, &s.in, nmi ? "inject-nmi" : "screendump", args, NULL, err);
}
