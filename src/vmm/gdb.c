/*
 * The debugger talks to the main thread, and only while the machine is paused:
 * connecting pauses it, `c` and `s` let it go on.  A vcpu that meets a
 * breakpoint (KVM_EXIT_DEBUG) stops itself and rings hit_fd; the main thread
 * then pauses the others and tells the debugger.  Threads are vcpus, 1 for
 * vcpu 0.
 *
 * Software breakpoints are INT3s in guest memory, which KVM hands to us instead
 * of the guest; hardware ones and watchpoints use the four debug registers.
 * When the debugger goes away everything it set is taken back and the guest
 * runs on.
 *
 * The protocol: "$data#checksum", answered with '+' and a packet; byte 3 alone
 * means stop.  Numbers are hexadecimal, memory is virtual.
 */
#include "vmm/gdb.h"

#include "base/sock.h"
#include "os/kvm.h"
#include "vmm/device.h"

#define PACKET_MAX 4096U
#define SOFT_MAX 64
#define HARD_MAX 4
#define PAGE 4096ULL
#define INT3 0xcc
enum { SIGNAL_TRAP = 5, SIGNAL_INT = 2 };
#define SECONDS 10

enum kind { SOFT = 0, HARD = 1, WRITE = 2, READ = 3, ACCESS = 4 };

struct gdb {
	struct vm *vm;
	int listen_fd, hit_fd, fd; /* fd: the debugger, or -1 */
	struct event_source *listen_src, *hit_src, *src;
	unsigned thread;  /* vcpu that registers and steps are about */
	bool running;	  /* let go by the debugger, not stopped since */
	char in[PACKET_MAX];
	size_t in_len;
	struct soft {
		uint64_t at;
		uint8_t was;
		bool used;
	} soft[SOFT_MAX];
	struct hard {
		uint64_t at;
		enum kind kind;
		uint8_t len; /* 0: unused */
	} hard[HARD_MAX];
};

static void close_debugger(struct gdb *g);

/* ---- packets ---- */

static void
answer(struct gdb *g, const char *text)
{
	uint8_t sum = 0;

	for (const char *p = text; *p; p++)
		sum += (uint8_t)*p;

	cleanup_free char *packet = str_printf("$%s#%02x", text, sum);
	size_t len = strlen(packet);

	/* It has a time limit; a debugger that does not read is one that is gone. */
	if (g->fd >= 0 && send(g->fd, packet, len, MSG_NOSIGNAL) != (ssize_t)len)
		(void)shutdown(g->fd, SHUT_RDWR);
}

static void __attribute__((format(printf, 2, 3)))
answerf(struct gdb *g, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);

	cleanup_free char *text = str_vprintf(fmt, ap);

	va_end(ap);
	answer(g, text);
}

static void
ok_or_error(struct gdb *g, bool ok)
{
	answer(g, ok ? "OK" : "E01");
}

static bool
number(const char **p, uint64_t *ret)
{
	char *end;

	*ret = strtoull(*p, &end, 16);
	if (end == *p)
		return false;
	*p = end;
	return true;
}

/* "AT,LEN" and what may follow. */
static bool
range(const char **p, uint64_t *at, uint64_t *len)
{
	if (!number(p, at) || **p != ',')
		return false;
	(*p)++;
	return number(p, len);
}

/* ---- the guest ---- */

static struct vcpu *
current(struct gdb *g)
{
	return &g->vm->vcpu[g->thread];
}

/* Guest-virtual, as the current vcpu sees it; *ret_left is what is left of the page. */
static uint8_t *
translate(struct gdb *g, uint64_t at, uint64_t *ret_left)
{
	struct kvm_translation t = {.linear_address = at};

	if (ioctl(current(g)->fd, KVM_TRANSLATE, &t) < 0 || !t.valid)
		return NULL;
	*ret_left = PAGE - at % PAGE;
	return mem_ptr(&g->vm->mem, t.physical_address, *ret_left);
}

static bool
copy(struct gdb *g, uint64_t at, uint8_t *buf, uint64_t len, bool to_guest)
{
	while (len > 0) {
		uint64_t n;
		uint8_t *p = translate(g, at, &n);

		if (!p)
			return false;
		n = n < len ? n : len;
		memcpy(to_guest ? p : buf, to_guest ? buf : p, n);
		at += n;
		buf += n;
		len -= n;
	}
	return true;
}

#define N_SEGMENTS 6
struct registers {
	uint64_t general[17]; /* rax rbx rcx rdx rsi rdi rbp rsp r8..r15 rip */
	uint32_t flags, segment[N_SEGMENTS];
} __attribute__((packed));

static bool
get_registers(struct gdb *g, struct registers *ret)
{
	struct kvm_regs r;
	struct kvm_sregs s;

	if (ioctl(current(g)->fd, KVM_GET_REGS, &r) < 0 ||
	    ioctl(current(g)->fd, KVM_GET_SREGS, &s) < 0)
		return false;
	*ret = (struct registers){
		{r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8, r.r9, r.r10, r.r11,
		 r.r12, r.r13, r.r14, r.r15, r.rip},
		(uint32_t)r.rflags,
		{s.cs.selector, s.ss.selector, s.ds.selector, s.es.selector, s.fs.selector,
		 s.gs.selector}};
	return true;
}

/* Segments stay as they are: a selector alone would not make one. */
static bool
set_registers(struct gdb *g, const struct registers *n)
{
	uint64_t v[17];

	memcpy(v, n->general, sizeof(v));

	struct kvm_regs r = {.rax = v[0], .rbx = v[1], .rcx = v[2], .rdx = v[3], .rsi = v[4],
			     .rdi = v[5], .rbp = v[6], .rsp = v[7], .r8 = v[8], .r9 = v[9],
			     .r10 = v[10], .r11 = v[11], .r12 = v[12], .r13 = v[13], .r14 = v[14],
			     .r15 = v[15], .rip = v[16], .rflags = n->flags};

	return ioctl(current(g)->fd, KVM_SET_REGS, &r) == 0;
}

/* Debug registers of every vcpu, and one step for the current one. */
static bool
arm(struct gdb *g, bool on, bool step)
{
	struct kvm_guest_debug d = {0};

	if (on)
		d.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;
	for (unsigned i = 0; on && i < HARD_MAX; i++) {
		const struct hard *h = &g->hard[i];
		/* R/W bits: 0 execution, 1 writes, 3 reads and writes; LEN bits: bytes - 1, and 8 is 2. */
		uint64_t rw = h->kind == HARD ? 0 : h->kind == WRITE ? 1 : 3;
		uint64_t len = h->kind == HARD ? 0 : h->len == 8 ? 2 : h->len - 1U;

		if (!h->len)
			continue;
		d.control |= KVM_GUESTDBG_USE_HW_BP;
		d.arch.debugreg[i] = h->at;
		d.arch.debugreg[7] |= 0x400 | 2ULL << (2 * i) | (rw | len << 2) << (16 + 4 * i);
	}
	for (unsigned i = 0; i < g->vm->topology.cpus; i++) {
		struct kvm_guest_debug one = d;

		if (step && i == g->thread)
			one.control |= KVM_GUESTDBG_SINGLESTEP;
		if (ioctl(g->vm->vcpu[i].fd, KVM_SET_GUEST_DEBUG, &one) < 0)
			return false;
	}
	return true;
}

static bool
set_soft(struct gdb *g, uint64_t at, bool on)
{
	struct soft *free_one = NULL;
	uint8_t int3 = INT3;

	for (unsigned i = 0; i < SOFT_MAX; i++) {
		struct soft *s = &g->soft[i];

		if (s->used && s->at == at) {
			if (on)
				return true;
			s->used = false;
			return copy(g, at, &s->was, 1, true);
		}
		free_one = s->used ? free_one : s;
	}
	if (!on || !free_one || !copy(g, at, &free_one->was, 1, false) ||
	    !copy(g, at, &int3, 1, true))
		return false;
	free_one->at = at;
	free_one->used = true;
	return true;
}

static bool
set_hard(struct gdb *g, enum kind kind, uint64_t at, uint64_t len, bool on)
{
	bool fits = len == 1 || len == 2 || len == 4 || len == 8;
	struct hard *free_one = NULL;

	for (unsigned i = 0; i < HARD_MAX; i++) {
		struct hard *h = &g->hard[i];

		if (h->len && h->kind == kind && h->at == at) {
			if (!on)
				h->len = 0;
			return true;
		}
		free_one = h->len ? free_one : h;
	}
	/* Reads alone cannot be watched for. */
	if (!on || !free_one || !fits || at % len || kind == READ)
		return false;
	*free_one = (struct hard){at, kind, (uint8_t)len};
	return true;
}

/* ---- stopping and going on ---- */

static void
stopped(struct gdb *g, unsigned signo)
{
	g->running = false;
	answerf(g, "T%02xthread:%x;", signo, g->thread + 1);
}

static void
go_on(struct gdb *g, bool step)
{
	if (!arm(g, true, step)) {
		answer(g, "E01");
		return;
	}
	g->running = true;
	for (unsigned i = 0; i < g->vm->topology.cpus; i++)
		vcpu_stop(&g->vm->vcpu[i], false);
	vm_resume(g->vm);
}

static void
on_hit(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct gdb *g = arg;

	if (!bell_hush(fd) || !g->running)
		return;
	vm_pause(g->vm);
	for (unsigned i = 0; i < g->vm->topology.cpus; i++) {
		if (g->vm->vcpu[i].stopped)
			g->thread = i;
	}
	stopped(g, SIGNAL_TRAP);
}

/* ---- requests ---- */

static void
do_registers(struct gdb *g, const char *args)
{
	struct registers r;
	cleanup_free char *text = get_registers(g, &r) ? str_hex(&r, sizeof(r)) : xstrdup("E01");

	answer(g, text);
}

static void
do_set_registers(struct gdb *g, const char *args)
{
	struct registers r;
	cleanup_free char *first = xstrndup(args, 2 * sizeof(r));

	/* A debugger sends more than it was told of. */
	ok_or_error(g, str_unhex(first, &r, sizeof(r)) == 0 && set_registers(g, &r));
}

static void
do_read(struct gdb *g, const char *args)
{
	uint8_t buf[PACKET_MAX / 4];
	uint64_t at, len;

	if (!range(&args, &at, &len) || len == 0) {
		answer(g, "E22");
		return;
	}
	len = len < sizeof(buf) ? len : sizeof(buf);

	cleanup_free char *text = copy(g, at, buf, len, false) ? str_hex(buf, len) : xstrdup("E14");

	answer(g, text);
}

static void
do_write(struct gdb *g, const char *args)
{
	uint8_t buf[PACKET_MAX / 2];
	uint64_t at, len;
	bool ok = range(&args, &at, &len) && *args == ':' && len <= sizeof(buf) &&
		  str_unhex(args + 1, buf, len) == 0;

	ok_or_error(g, ok && copy(g, at, buf, len, true));
}

static void
breakpoint(struct gdb *g, const char *args, bool on)
{
	uint64_t kind, at, len;

	if (!number(&args, &kind) || *args++ != ',' || !range(&args, &at, &len) || kind > ACCESS) {
		answer(g, "");
		return;
	}
	if (kind == SOFT)
		ok_or_error(g, set_soft(g, at, on));
	else
		ok_or_error(g, set_hard(g, (enum kind)kind, at, kind == HARD ? 1 : len, on));
}

static void
do_insert(struct gdb *g, const char *args)
{
	breakpoint(g, args, true);
}

static void
do_remove(struct gdb *g, const char *args)
{
	breakpoint(g, args, false);
}

/* Hg and Hc: 0 and -1 mean any. */
static void
do_thread(struct gdb *g, const char *args)
{
	uint64_t n;
	const char *p = *args ? args + 1 : args;

	if (*p == '-' || (number(&p, &n) && n == 0)) {
		answer(g, "OK");
		return;
	}
	p = args + 1;

	bool ok = number(&p, &n) && n <= g->vm->topology.cpus;

	g->thread = ok ? (unsigned)n - 1 : g->thread;
	ok_or_error(g, ok);
}

static void
do_alive(struct gdb *g, const char *args)
{
	uint64_t n;

	ok_or_error(g, number(&args, &n) && n >= 1 && n <= g->vm->topology.cpus);
}

static void
do_why(struct gdb *g, const char *args)
{
	stopped(g, SIGNAL_TRAP);
}

static void
do_continue(struct gdb *g, const char *args)
{
	go_on(g, false);
}

static void
do_step(struct gdb *g, const char *args)
{
	go_on(g, true);
}

static void
do_detach(struct gdb *g, const char *args)
{
	answer(g, "OK");
	close_debugger(g);
}

/* `kill` in the debugger is no wish to lose the machine. */
static void
do_kill(struct gdb *g, const char *args)
{
	close_debugger(g);
}

static void
answer_threads(struct gdb *g)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	for (unsigned i = 0; i < g->vm->topology.cpus; i++)
		strbuf_addf(&b, "%c%x", i ? ',' : 'm', i + 1);
	answer(g, b.data);
}

static void
do_query(struct gdb *g, const char *args)
{
	static const char target[] = "l<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM "
				     "\"gdb-target.dtd\"><target><architecture>i386:x86-64"
				     "</architecture></target>";

	if (str_after(args, "Supported"))
		answerf(g, "PacketSize=%x;qXfer:features:read+", PACKET_MAX);
	else if (str_after(args, "Xfer:features:read:target.xml:0,"))
		answer(g, target);
	else if (str_after(args, "Xfer:features:read:target.xml:") || str_eq(args, "sThreadInfo"))
		answer(g, "l");
	else if (str_eq(args, "Attached"))
		answer(g, "1");
	else if (str_eq(args, "C"))
		answerf(g, "QC%x", g->thread + 1);
	else if (str_eq(args, "fThreadInfo"))
		answer_threads(g);
	else
		answer(g, ""); /* not known here */
}

static const struct {
	char letter;
	void (*run)(struct gdb *g, const char *args);
} requests[] = {
	{'g', do_registers}, {'G', do_set_registers}, {'m', do_read}, {'M', do_write},
	{'Z', do_insert},    {'z', do_remove},	      {'H', do_thread}, {'T', do_alive},
	{'?', do_why},	     {'c', do_continue},      {'s', do_step}, {'D', do_detach},
	{'k', do_kill},	     {'q', do_query},
};

static void
request(struct gdb *g, const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		if (requests[i].letter == *text && *text) {
			requests[i].run(g, text + 1);
			return;
		}
	}
	answer(g, "");
}

/* ---- the connection ---- */

static void
interrupt(struct gdb *g)
{
	if (!g->running)
		return;
	vm_pause(g->vm);
	stopped(g, SIGNAL_INT);
}

/* Takes one packet or byte off the front; false: not complete yet. */
static bool
take(struct gdb *g)
{
	char *end;
	size_t used = 1;

	if (g->in_len == 0)
		return false;
	if (g->in[0] == '$') {
		end = memchr(g->in, '#', g->in_len);
		if (!end || g->in + g->in_len - end < 3)
			return false;
		used = (size_t)(end - g->in) + 3;
		*end = '\0';
		/* TCP has checked it: no need to look at the sum. */
		(void)send(g->fd, "+", 1, MSG_NOSIGNAL);
		if (!g->running)
			request(g, g->in + 1);
	} else if (g->in[0] == 3) {
		interrupt(g);
	}
	if (g->fd < 0)
		return false;
	memmove(g->in, g->in + used, g->in_len - used);
	g->in_len -= used;
	return true;
}

static void
on_data(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct gdb *g = arg;
	ssize_t n = recv(fd, g->in + g->in_len, sizeof(g->in) - g->in_len, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* A packet that does not fit was announced as too long. */
	if (n <= 0) {
		close_debugger(g);
		return;
	}
	g->in_len += (size_t)n;
	while (take(g))
		;
}

static void
close_debugger(struct gdb *g)
{
	if (g->fd < 0)
		return;
	vm_pause(g->vm);
	event_source_free(steal_ptr(&g->src));
	cleanup_closep(&g->fd);
	for (unsigned i = 0; i < SOFT_MAX; i++) {
		if (g->soft[i].used)
			(void)set_soft(g, g->soft[i].at, false); /* unmapped meanwhile: gone anyway */
	}
	memset(g->hard, 0, sizeof(g->hard));
	(void)arm(g, false, false);
	for (unsigned i = 0; i < g->vm->topology.cpus; i++)
		vcpu_stop(&g->vm->vcpu[i], false);
	g->running = true;
	vm_resume(g->vm);
}

static void
on_connect(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct gdb *g = arg;
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	if (client < 0)
		return;
	/* One at a time. */
	if (g->fd >= 0 || sock_set_timeout(client, SECONDS, NULL) < 0 ||
	    event_add_fd(g->vm->loop, client, EPOLLIN, on_data, g, &g->src, NULL) < 0) {
		close(client);
		return;
	}
	g->fd = client;
	g->in_len = 0;
	g->thread = 0;
	g->running = false;
	vm_pause(g->vm);
}

static void
gdb_free(void *arg)
{
	struct gdb *g = arg;

	event_source_free(g->src);
	event_source_free(g->listen_src);
	event_source_free(g->hit_src);
	cleanup_closep(&g->fd);
	cleanup_closep(&g->listen_fd);
	if (g->vm->debug_fd == g->hit_fd)
		g->vm->debug_fd = -1;
	cleanup_closep(&g->hit_fd);
	free(g);
}

int
gdb_start(struct vm *vm, const char *address, bool wait, struct error *err)
{
	const char *path;
	struct gdb *g;

	if (vm->debug_fd >= 0)
		return error_set(err, EBUSY, "%s waits for a debugger already", vm->name);
	if (vm->kvm_fd >= 0 && !kvm_cap(vm->kvm_fd, KVM_CAP_SET_GUEST_DEBUG))
		return error_set(err, ENOTSUP, "this kernel cannot debug guests");
	g = xcalloc(1, sizeof(*g));
	*g = (struct gdb){.vm = vm, .fd = -1, .listen_fd = -1, .hit_fd = -1};
	vm_add_part(vm, &(struct vm_part){.name = "gdb", .free = gdb_free, .arg = g});
	TRY(bell_new(&g->hit_fd, err));
	path = str_after(address, "unix=");
	if (path)
		TRY(sock_unix_listen(path, 0, &g->listen_fd, err));
	else
		TRY(sock_tcp_listen(address, 0, &g->listen_fd, err));
	TRY(event_add_fd(vm->loop, g->hit_fd, EPOLLIN, on_hit, g, &g->hit_src, err));
	TRY(event_add_fd(vm->loop, g->listen_fd, EPOLLIN, on_connect, g, &g->listen_src, err));
	vm->debug_fd = g->hit_fd;
	if (wait)
		vm_pause(vm);
	return 0;
}

int
gdb_start_configured(struct vm *vm, struct error *err)
{
	const char *port = config_get(vm->config, "gdb.port", NULL);
	const char *address = config_get(vm->config, "gdb.address", "");
	cleanup_free char *where = str_after(port ? port : "", "unix=")
					   ? xstrdup(port)
					   : str_printf("%s:%s", address, port ? port : "");
	bool wait;
	int r = config_bool(vm->config, "gdb.wait", false, &wait, err);

	if (r < 0 || !port)
		return r;
	r = gdb_start(vm, where, wait, err);
	return r < 0 ? error_wrap(err, r, "gdb.port") : 0;
}
