/*
 * Asking a zone's daemon.  Whoever needs it starts it: there is no other order in
 * which it could be missing.  It leaves by itself when its zone is installed and
 * nobody asks, so a connection may be closed under us; then we ask again.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/ipc.h"
#include "base/json.h"
#include "os/cgroup.h"
#include "os/mount.h"
#include "os/run.h"
#include "zone/brand/brand.h"
#include "zone/exec.h"
#include "zone/model.h"

#define ZONEADMD "/usr/lib/zones/zoneadmd"

static int
start_daemon(const char *name, struct error *err)
{
	const char *program = getenv("ATOLL_ZONEADMD");
	const char *argv[] = {program ? program : ZONEADMD, "-z", name, "-R",
			      *zone_root() ? zone_root() : "/", NULL};
	int lease = run_set_lease(-1); /* the daemon outlives us: what we hold is not for it */
	int r = run_capture(argv, NULL, NULL, err);

	run_set_lease(lease);
	return r < 0 ? error_wrap(err, r, "zone %s: no zoneadmd", name) : 0;
}

static int
connect_daemon(const char *name, bool start, int *ret_fd, struct error *err)
{
	cleanup_free char *sock = zone_path_run(name, "zoneadmd.sock");
	int r;

	if (ipc_connect(sock, ret_fd, NULL) == 0)
		return 0;
	if (!start)
		return error_set(err, ESRCH, "zone %s is not running", name);
	r = start_daemon(name, err);
	if (r < 0)
		return r;
	return ipc_connect(sock, ret_fd, err);
}

/* Takes request over.  start: a daemon that is missing is started. */
static int
ask(const char *name, bool start, struct json *request, struct ipc_message *ret, struct error *err)
{
	cleanup_json struct json *q = request;
	struct ipc_message answer = IPC_MESSAGE_INIT;
	int r = 0;

	for (int tries = 0; tries < 5; tries++) {
		cleanup_close int fd = -1;

		error_done(err);
		r = connect_daemon(name, start, &fd, err);
		if (r == -ECONNREFUSED || r == -ENOENT)
			continue; /* it was just leaving */
		if (r < 0)
			return r;
		r = ipc_call(fd, q, NULL, 0, &answer, err);
		if (r != -ECONNRESET && r != -EPIPE)
			break;
	}
	if (r < 0)
		return r;
	if (ret)
		*ret = answer;
	else
		ipc_message_done(&answer);
	return 0;
}

static struct json *
request(const char *op)
{
	struct json *q = json_new_object();

	json_set_str(q, "op", op);
	return q;
}

/* Is there such a zone at all, and is it far enough?  The message is made here, without a daemon. */
static int
check(const char *name, bool must_be_up, enum zone_state *ret, struct error *err)
{
	enum zone_state s;
	int r;

	r = zone_name_check(name, err);
	if (r == 0)
		r = zone_state_now(name, &s, err);
	if (r < 0)
		return r;
	if (s < ZONE_INSTALLED)
		return error_set(err, EBUSY, "zone %s is %s: it is not installed", name,
				 zone_state_name(s));
	if (must_be_up && s == ZONE_INSTALLED)
		return error_set(err, ESRCH, "zone %s is not running", name);
	if (ret)
		*ret = s;
	return 0;
}

int
zone_boot(const char *name, const struct zone_boot_opts *opts, struct error *err)
{
	enum zone_state s;
	struct json *q;
	int r;

	r = check(name, false, &s, err);
	if (r < 0)
		return r;
	if (s != ZONE_INSTALLED && !(s == ZONE_READY && !(opts && opts->ready_only)))
		return error_set(err, EBUSY, "zone %s is already %s", name, zone_state_name(s));
	q = request("boot");
	if (opts && opts->bootargs)
		json_set_str(q, "bootargs", opts->bootargs);
	if (opts && opts->ready_only)
		json_set_bool(q, "ready", true);
	return ask(name, true, q, NULL, err);
}

int
zone_halt(const char *name, struct error *err)
{
	int r = check(name, true, NULL, err);

	return r < 0 ? r : ask(name, true, request("halt"), NULL, err);
}

/*
 * The daemon's lock says whether there is one: it takes it before it listens and drops it by
 * ending.  A boot whose caller died is in its queue before our word, so it is over by then.
 */
int
zone_quiesce(const char *name, struct error *err)
{
	cleanup_free char *dir = zone_path_run(name, NULL);
	cleanup_free char *lock = zone_path_run(name, "zoneadmd.lock");
	cleanup_free char *cgroup = zone_cgroup_path(name);
	cleanup_zone_runtime struct zone_runtime rt = ZONE_RUNTIME_INIT;
	cleanup_close int held = -1;
	bool leftovers;
	int r;

	r = zone_name_check(name, err);
	if (r == 0)
		r = zone_runtime_read(name, &rt, err);
	if (r < 0 || !file_exists(dir))
		return r;
	/* what runs while its daemon was killed needs one that takes it down */
	leftovers = rt.init_pid > 0 || cgroup_exists(cgroup);
	while (leftovers || (r = file_lock(lock, false, &held, err)) == -EWOULDBLOCK) {
		error_done(err);
		r = ask(name, leftovers, request("quit"), NULL, err);
		if (r < 0 && r != -ESRCH)
			return r;
		leftovers = false;
		error_done(err);
		poll(NULL, 0, r < 0 ? 5 : 0); /* starting, or ending */
	}
	return r;
}

int
zone_shutdown(const char *name, bool reboot, unsigned timeout_s, struct error *err)
{
	struct json *q;
	int r = check(name, true, NULL, err);

	if (r < 0)
		return r;
	q = request("shutdown");
	json_set_bool(q, "reboot", reboot);
	json_set_int(q, "timeout", timeout_s);
	return ask(name, true, q, NULL, err);
}

int
zone_reboot(const char *name, struct error *err)
{
	int r = check(name, true, NULL, err);

	return r < 0 ? r : ask(name, true, request("reboot"), NULL, err);
}

int
zone_apply(const char *name, struct error *err)
{
	int r = check(name, true, NULL, err);

	return r < 0 ? r : ask(name, true, request("apply"), NULL, err);
}

int
zone_kill(const char *name, int signo, struct error *err)
{
	struct json *q;
	int r = check(name, true, NULL, err);

	if (r < 0)
		return r;
	q = request("kill");
	json_set_int(q, "signo", signo);
	return ask(name, true, q, NULL, err);
}

int
zone_vm_connect(const char *name, const char *socket_name, int *ret_fd, struct error *err)
{
	cleanup_zone_info struct zone_info zi = {0};
	cleanup_free char *root = NULL;
	cleanup_free char *path = str_printf("/tmp/%s", socket_name);
	cleanup_close int root_fd = -1;
	cleanup_close int node = -1;
	static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct stat st;
	int r;

	r = zone_info_read(name, &zi, err);
	if (r < 0)
		return r;
	root = str_printf("%s/root", zi.path);
	root_fd = open(root, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (root_fd < 0)
		return error_set_errno(err, errno, "%s", root);
	r = path_open_in(root_fd, path, PATH_NO_LINKS, &node, err);
	if (r < 0)
		return error_wrap(err, r, "zone %s", name);
	if (fstat(node, &st) < 0 || !S_ISSOCK(st.st_mode))
		return error_set(err, EINVAL, "zone %s: %s is not a socket", name, path);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d", node);
	/* bytes, or our messages (base/ipc.h) */
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		cleanup_close int fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC, 0);

		if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0) {
			*ret_fd = steal_fd(&fd);
			return 0;
		}
		if (errno != EPROTOTYPE)
			break;
	}
	return error_set_errno(err, errno, "zone %s: %s", name, path);
}

int
zone_vnc_address(const char *name, char **ret_host, int *ret_port, struct error *err)
{
	cleanup_free char *path = zone_path_run(name, "vnc");
	cleanup_free char *line = NULL;
	char *space;
	int r = file_read_line(path, &line, err);

	if (r < 0)
		return r;
	space = strchr(line, ' ');
	if (!space || str_to_int(space + 1, ret_port) < 0)
		return error_set(err, EINVAL, "%s: not understood", path);
	*ret_host = xstrndup(line, (size_t)(space - line));
	return 0;
}

int
zone_console_open(const char *name, int *ret_fd, struct error *err)
{
	cleanup_zone_info struct zone_info zi = {0};
	struct ipc_message m = IPC_MESSAGE_INIT;
	int r = check(name, false, NULL, err);

	if (r == 0)
		r = zone_info_read(name, &zi, err);
	if (r < 0)
		return r;
	if (brand_find(zi.brand) && brand_find(zi.brand)->vm)
		return zone_vm_connect(name, "vm.console", ret_fd, err);
	r = ask(name, true, request("console"), &m, err);
	if (r < 0)
		return r;
	if (m.n_fds != 1)
		r = error_set(err, EPROTO, "zone %s: no console in the answer", name);
	else
		*ret_fd = ipc_message_steal_fd(&m, 0);
	ipc_message_done(&m);
	return r;
}

/* Makes sure that a zone which runs has its daemon (after both of its processes were killed). */
int
zone_daemon_ensure(const char *name, struct error *err)
{
	return ask(name, true, request("ping"), NULL, err);
}
