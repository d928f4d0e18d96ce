/*
 * atoll-install: the service svc:/system/smartdc/install, and by hand
 *
 *	atoll-install [-a answers.json]
 *
 * As a service it does nothing on a node that is set up, or in a rescue boot.
 * Else it looks for answers.json (the boot parameter answers=, an extra
 * initrd's /system/boot/answers.json or /answers.json, private/answers.json on
 * the boot medium) and has the dialogue on every console of the kernel at once:
 * whoever types first is heard.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/event.h"
#include "base/file.h"
#include "boot/boot_params.h"
#include "boot/install.h"
#include "boot/medium.h"
#include "boot/method.h"
#include "boot/net_apply.h"
#include "boot/system_pool.h"
#include "os/run.h"
#include "store/pool.h"

#define MAX_TTYS 8
#define MAX_LINE 4096
#define FETCH_PATH "/run/atoll/answers.json"
#define MAX_ANSWERS (1 << 20)

/* --- the console: several terminals that show the same */

struct tty {
	int fd;
	struct termios saved;
	bool is_tty;
	struct strbuf line;
};

struct console {
	struct install_term term; /* first */
	struct tty ttys[MAX_TTYS];
	size_t n;
};

static void
console_write(struct install_term *t, const char *text)
{
	struct console *c = (struct console *)t;

	for (size_t i = 0; i < c->n; i++)
		if (c->ttys[i].fd >= 0)
			fd_write_all(c->ttys[i].fd == STDIN_FILENO ? STDOUT_FILENO : c->ttys[i].fd, text,
				     strlen(text));
}

static void
set_echo(struct console *c, bool on)
{
	for (size_t i = 0; i < c->n; i++) {
		struct termios t = c->ttys[i].saved;

		if (!c->ttys[i].is_tty)
			continue;
		t.c_lflag |= ICANON | ISIG;
		t.c_lflag = on ? t.c_lflag | ECHO : t.c_lflag & ~(tcflag_t)ECHO;
		t.c_iflag |= ICRNL;
		tcsetattr(c->ttys[i].fd, TCSADRAIN, &t);
	}
}

/* The first whole line of what was typed so far; false if there is none. */
static bool
take_line(struct tty *t, char **ret)
{
	char *nl = t->line.len ? memchr(t->line.data, '\n', t->line.len) : NULL;
	size_t used, len;

	if (!nl)
		return false;
	len = (size_t)(nl - t->line.data);
	used = len + 1;
	if (len && t->line.data[len - 1] == '\r')
		len--;
	*ret = xstrndup(t->line.data, len);
	/* What is left may be a second line, or a password: nothing of it stays behind. */
	memmove(t->line.data, t->line.data + used, t->line.len - used);
	explicit_bzero(t->line.data + t->line.len - used, used);
	t->line.len -= used;
	return true;
}

/* Reads what came in on one terminal; -ENODATA when it is gone. */
static int
tty_input(struct tty *t)
{
	char buf[MAX_LINE];
	ssize_t n = read(t->fd, buf, sizeof(buf));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -ENODATA;
	if (n == 0)
		/* ^D on a terminal is no reason to give up. */
		return t->is_tty ? 0 : -ENODATA;
	if (t->line.len + (size_t)n > MAX_LINE)
		strbuf_reset(&t->line);
	strbuf_add(&t->line, buf, (size_t)n);
	explicit_bzero(buf, sizeof(buf));
	return 0;
}

/* Waits until one of the terminals has something; reads it. */
static int
console_wait(struct console *c, struct error *err)
{
	struct pollfd p[MAX_TTYS];
	size_t alive = 0;

	for (size_t i = 0; i < c->n; i++) {
		p[i] = (struct pollfd){.fd = c->ttys[i].fd, .events = POLLIN};
		alive += c->ttys[i].fd >= 0;
	}
	if (alive == 0)
		return error_set(err, ENODATA, "the console is gone");
	if (poll(p, c->n, -1) < 0)
		return errno == EINTR ? 0 : error_set_errno(err, errno, "console");
	for (size_t i = 0; i < c->n; i++)
		if (p[i].revents && tty_input(&c->ttys[i]) < 0) {
			close(c->ttys[i].fd);
			c->ttys[i].fd = -1;
		}
	return 0;
}

static int
console_read(struct install_term *term, bool echo, char **ret, struct error *err)
{
	struct console *c = (struct console *)term;
	int r = 0;

	set_echo(c, echo);
	while (r == 0) {
		for (size_t i = 0; i < c->n; i++)
			if (take_line(&c->ttys[i], ret)) {
				set_echo(c, true);
				return 0;
			}
		r = console_wait(c, err);
	}
	return r;
}

static void
console_add(struct console *c, int fd)
{
	struct tty *t = &c->ttys[c->n];

	if (fd < 0 || c->n == MAX_TTYS)
		return;
	*t = (struct tty){.fd = fd};
	t->is_tty = tcgetattr(fd, &t->saved) == 0;
	c->n++;
}

/* Our own terminal if there is one, else every console of the kernel. */
static void
console_open(struct console *c, bool service)
{
	cleanup_strv struct strv names = STRV_INIT;
	cleanup_free char *text = NULL;

	*c = (struct console){.term = {console_read, console_write, true}};
	if (!service) {
		console_add(c, STDIN_FILENO);
		return;
	}
	if (file_read_line("/sys/class/tty/console/active", &text, NULL) == 0)
		strv_words(&names, text, " ");
	for (size_t i = 0; i < names.n; i++) {
		cleanup_free char *path = str_printf(
			"/dev/%s", str_eq(names.v[i], "tty0") ? "tty1" : names.v[i]);

		console_add(c, open(path, O_RDWR | O_NOCTTY | O_CLOEXEC));
	}
	if (c->n == 0)
		console_add(c, open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC));
}

static void
console_close(struct console *c)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->ttys[i].fd >= 0 && c->ttys[i].is_tty)
			tcsetattr(c->ttys[i].fd, TCSADRAIN, &c->ttys[i].saved);
		if (c->ttys[i].fd > STDERR_FILENO)
			close(c->ttys[i].fd);
		strbuf_done(&c->ttys[i].line);
	}
}

static struct console console;
static bool log_too; /* a service has a log */

static void __attribute__((format(printf, 1, 2)))
say(const char *fmt, ...)
{
	cleanup_free char *text = NULL, *line = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = str_vprintf(fmt, ap);
	va_end(ap);
	if (log_too)
		method_log("%s", text);
	line = str_printf("%s\n", text);
	console_write(&console.term, line);
}

/* A root shell on the terminal that is the controlling one of nobody yet. */
static int
run_shell(struct console *c, struct error *err)
{
	const char *argv[] = {"setsid", "-c", "-w", "/bin/bash", "-i", NULL};
	struct run_child child;
	struct run_opts opts = {.in_fd = 0};
	int fd = -1, r;

	for (size_t i = 0; i < c->n && fd < 0; i++)
		if (c->ttys[i].is_tty)
			fd = c->ttys[i].fd;
	if (fd < 0)
		return error_set(err, ENOTTY, "there is no terminal for a shell");
	say("Make the pool: zpool create " INSTALL_POOL " ...; then leave the shell with exit.");
	opts.in_fd = opts.out_fd = fd;
	opts.err = RUN_INHERIT;
	r = run_start(argv, &opts, &child, err);
	return r < 0 ? r : run_wait(&child, NULL, err);
}

/* --- answers.json */

/* DHCP on each NIC until one has an address; for answers= that names a URL. */
static int
some_network(const struct install_env *env, struct error *err)
{
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < env->n_links; i++) {
			if ((pass == 0) != env->carrier[i])
				continue;
			say("looking for a DHCP server on %s", env->links[i].name);
			if (net_dhcp(env->links[i].name, NULL, err) > 0)
				return 0;
		}
	return error_set(err, ENETUNREACH, "no NIC got an address by DHCP");
}

static int
fetch_answers(const struct install_env *env, const char *url, struct error *err)
{
	int r = file_mkdir_p("/run/atoll", 0755, err);
	mode_t old;

	if (r == 0)
		r = some_network(env, err);
	if (r < 0)
		return r;
	old = umask(077);
	r = METHOD_RUN("fetching answers.json", 120, err, "curl", "-fsSL", "--proto", "=http,https",
			  "--retry", "5", "--retry-connrefused", "--connect-timeout", "10", "--max-filesize",
			  "1048576", "-o", FETCH_PATH, "--", url);
	umask(old);
	return r;
}

/* The file to read, or NULL: everything is asked for. */
static char *
find_answers(const struct install_env *env, const struct map *params)
{
	static const char *const places[] = {"/system/boot/answers.json", "/answers.json", NULL};
	const char *param = boot_param(params, "answers");
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *path = NULL;

	if (param && strstr(param, "://")) {
		if (fetch_answers(env, param, &err) == 0)
			return xstrdup(FETCH_PATH);
		say("answers=%s: %s", param, error_message(&err));
		return NULL;
	}
	if (!str_empty(param) && *param == '/')
		return xstrdup(param);
	for (size_t i = 0; places[i]; i++)
		if (file_exists(places[i]))
			return xstrdup(places[i]);
	if (medium_file("private/answers.json", &path, &err) == 0)
		return steal_ptr(&path);
	return NULL;
}

static void
take_answers(struct install *in, const char *path)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *j = NULL;

	say("answers are taken from %s", path);
	if (json_read_file(path, &j, &err) < 0 || install_take_json(in, j, &err) < 0)
		say("%s: %s", path, error_message(&err));
	/* It may hold a password: our own copy goes, what came with an initrd is root's alone. */
	if (str_after(path, "/run/atoll/") ? unlink(path) < 0 : chmod(path, 0600) < 0)
		method_log("%s: %s", path, strerror(errno));
}

/* --- the machine */

struct machine {
	struct net_link *links;
	bool *carrier;
	size_t n_links;
	struct disk_list disks;
	struct strv busy;
};

static void
machine_done(struct machine *m)
{
	free(m->links);
	free(m->carrier);
	disk_list_done(&m->disks);
	strv_done(&m->busy);
}

/* A NIC has no carrier before it is up; it gets a moment to find one. */
static void
look_for_carrier(struct machine *m)
{
	uint64_t end = time_mono_ms() + 3000;
	bool any = false;

	m->carrier = xcalloc(m->n_links ? m->n_links : 1, sizeof(bool));
	for (size_t i = 0; i < m->n_links; i++) {
		cleanup_error struct error err = ERROR_INIT;

		if (RUN(&err, "ip", "link", "set", "dev", m->links[i].name, "up") < 0)
			method_log("%s", error_message(&err));
	}
	do {
		for (size_t i = 0; i < m->n_links; i++) {
			cleanup_free char *path =
				str_printf("/sys/class/net/%s/carrier", m->links[i].name);
			cleanup_free char *text = NULL;

			m->carrier[i] = file_read_line(path, &text, NULL) == 0 && str_eq(text, "1");
			any = any || m->carrier[i];
		}
		if (!any)
			poll(NULL, 0, 100);
	} while (!any && m->n_links && time_mono_ms() < end);
}

static int
machine_read(struct machine *m, struct install_env *env, struct error *err)
{
	cleanup_pool_list struct pool_list pools = POOL_LIST_INIT;
	int r = net_links(&m->links, &m->n_links, err);

	if (r == 0)
		r = disk_list(&m->disks, err);
	if (r == 0)
		r = pool_list(&pools, err);
	if (r < 0)
		return r;
	look_for_carrier(m);
	*env = (struct install_env){.links = m->links, .carrier = m->carrier, .n_links = m->n_links,
				    .disks = &m->disks, .busy = &m->busy};
	for (size_t i = 0; i < pools.n; i++) {
		cleanup_strv struct strv disks = STRV_INIT;

		if (str_eq(pools.pools[i].name, INSTALL_POOL)) {
			env->old_pool = INSTALL_POOL;
			continue;
		}
		if (pool_disks(pools.pools[i].name, &disks, NULL) < 0)
			continue;
		for (size_t k = 0; k < disks.n; k++) {
			const char *base = str_after(disks.v[k], "/dev/");

			strv_add(&m->busy, base ? base : disks.v[k]);
		}
	}
	env->medium = medium_present();
	return 0;
}

/* --- */

static int
install(bool service, const char *answers_path, struct error *err)
{
	cleanup_install struct install in = INSTALL_INIT;
	cleanup_map struct map *params = NULL;
	cleanup_free char *found = NULL;
	struct install_env env = {0};
	struct machine m = {0};
	int r = boot_params_read(&params, err);

	if (r == 0)
		r = machine_read(&m, &env, err);
	if (r < 0)
		return r;
	install_init(&in, &env, &console.term);
	say("\nThis node is not set up yet.  Platform image %s.", platform_stamp());
	if (!answers_path)
		answers_path = found = find_answers(&env, params);
	if (answers_path)
		take_answers(&in, answers_path);
	for (;;) {
		r = install_dialogue(&in, err);
		if (r == 0 && str_eq(install_answer(&in, "zpool_layout"), "manual"))
			r = run_shell(&console, err);
		if (r < 0)
			break;
		r = install_setup(&in, say, err);
		if (r == 0)
			break;
		say("\nThe node could not be set up: %s", error_message(err));
		error_done(err);
		in.ask_all = true;
	}
	if (r == 0)
		say("The node is set up.");
	if (r == 0 && str_eq(install_answer(&in, "reboot"), "true"))
		r = error_set(err, ECANCELED, "answers.json asks for a reboot");
	machine_done(&m);
	return r;
}

static bool
wanted_as_service(void)
{
	cleanup_map struct map *params = NULL;

	return boot_params_read(&params, NULL) == 0 && !boot_param_true(params, "noimport") &&
	       !file_exists(USBKEY_CONFIG);
}

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	bool service = false, help = false;
	const char *answers = NULL;
	const struct cli_opt opts[] = {
		{'a', "answers", CLI_STR, &answers, "FILE", "take answers from FILE (answers.json)"},
		{0, "service", CLI_FLAG, &service, NULL, NULL},
		{0},
	};
	int first, r;

	cli_init(argv[0]);
	if (cli_parse(argc, argv, opts, &first, &help, &err) < 0 || first < argc || help) {
		if (err.code)
			cli_error(&err);
		fprintf(help ? stdout : stderr, "usage: atoll-install [-a FILE]\n");
		cli_print_options(help ? stdout : stderr, opts);
		return help ? CLI_OK : CLI_USAGE;
	}
	if (service && !wanted_as_service())
		return SMF_EXIT_OK;
	method_init("install");
	if (!service && file_exists(USBKEY_CONFIG))
		return cli_fail("this node is set up already (" USBKEY_CONFIG " is there)");
	log_too = service;
	console_open(&console, service);
	r = install(service, answers, &err);
	if (r < 0)
		say("%s", error_message(&err));
	console_close(&console);
	if (r == -ECANCELED) {
		if (RUN(&err, "/usr/sbin/reboot") < 0)
			return method_fail(&err, "reboot");
		return SMF_EXIT_OK;
	}
	return r < 0 ? SMF_EXIT_ERR_FATAL : SMF_EXIT_OK;
}
