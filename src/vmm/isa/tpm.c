/*
 * TPM 2.0 with a command response buffer (TCG PC Client Platform TPM Profile
 * 1.05), at locality 0, in front of a software TPM's socket (swtpm) or a TPM
 * of the host's.
 *
 * The guest writes a command into the buffer and sets CTRL_START; a thread of
 * its own carries it to the back end and the answer back, then clears the bit.
 * A TPM may take seconds: no vcpu waits for it.  The buffer belongs to that
 * thread while the bit is set.
 */

#include "base/file.h"
#include "base/sock.h"
#include "vmm/acpi/acpi.h"
#include "vmm/device.h"
#include "vmm/isa/isa.h"

#define TPM_BASE 0xfed40000U
#define TPM_SIZE 0x1000U
#define AT_BUFFER 0x80
#define BUFFER_SIZE (TPM_SIZE - AT_BUFFER)
#define HEADER 10U

enum {
	LOC_STATE = 0x00, LOC_CTRL = 0x08, LOC_STS = 0x0c, INTF_ID = 0x30, CTRL_REQ = 0x40,
	CTRL_STS = 0x44, CTRL_CANCEL = 0x48, CTRL_START = 0x4c, CMD_SIZE = 0x58, CMD_LOW = 0x5c,
	CMD_HIGH = 0x60, RSP_SIZE = 0x64, RSP_LOW = 0x68
};
enum { LOC_GRANTED = 1, REQ_READY = 1, REQ_IDLE = 2, STS_ERROR = 1, STS_IDLE = 2 };

struct tpm {
	struct isa_dev isa;
	int fd, kick_fd;
	struct worker worker;
	bool granted, started;
	uint32_t sts;
	uint8_t buffer[BUFFER_SIZE];
};

/* ---- the back end, in the worker ---- */

/* An answer says in its header how long it is; a device gives it in one read, a socket in parts. */
static bool
read_answer(int fd, uint8_t *p)
{
	size_t have = 0, want = HEADER;

	while (have < want) {
		ssize_t n = read(fd, p + have, BUFFER_SIZE - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		have += (size_t)n;
		if (have >= HEADER)
			want = get_be32(p + 2);
		if (want > BUFFER_SIZE || want < HEADER)
			return false;
	}
	return true;
}

static void
execute(struct tpm *t)
{
	uint32_t len = get_be32(t->buffer + 2);
	bool ok = len >= HEADER && len <= BUFFER_SIZE && fd_write_all(t->fd, t->buffer, len) == 0 &&
		  read_answer(t->fd, t->buffer);

	scoped_lock(&t->isa.lock);
	/* "Failure mode": what a TPM says that cannot go on. */
	if (!ok) {
		memcpy(t->buffer, "\x80\x01\0\0\0\x0a\0\0\1\x01", HEADER);
		t->sts |= STS_ERROR;
	}
	t->started = false;
}

static void *
work(void *arg)
{
	struct tpm *t = arg;

	while (worker_obey(&t->worker)) {
		if (worker_wait(&t->worker, &t->kick_fd, 1, 1, -1))
			execute(t);
	}
	return NULL;
}

/* ---- registers ---- */

static uint32_t
reg_read(const struct tpm *t, unsigned at)
{
	switch (at) {
	case LOC_STATE: /* valid; assigned if granted */
		return 0x80 | (t->granted ? 2 : 0);
	case LOC_STS:
		return t->granted ? LOC_GRANTED : 0;
	case INTF_ID: /* a CRB of version 1, that is all there is; 64 bytes at once */
		return 1 | 1 << 4 | 3 << 11 | 1 << 14 | 1 << 17;
	case INTF_ID + 4: /* whose it is */
		return 0x1014 | 1 << 16;
	case CTRL_STS:
		return t->sts;
	case CTRL_START:
		return t->started;
	case CMD_SIZE:
	case RSP_SIZE:
		return BUFFER_SIZE;
	case CMD_LOW:
	case RSP_LOW:
		return TPM_BASE + AT_BUFFER;
	}
	return 0;
}

static void
reg_write(struct tpm *t, unsigned at, uint32_t v)
{
	switch (at) {
	case LOC_CTRL:
		t->granted = v & 1 ? true : v & 2 ? false : t->granted;
		return;
	case CTRL_REQ:
		if (v & REQ_READY)
			t->sts &= ~STS_IDLE;
		if (v & REQ_IDLE)
			t->sts |= STS_IDLE;
		return;
	case CTRL_START:
		if (!(v & 1) || t->started || !t->granted || (t->sts & STS_IDLE))
			return;
		t->started = true;
		bell_ring(t->kick_fd);
		return;
	}
}

static uint64_t
tpm_read(void *arg, uint64_t offset, unsigned size)
{
	struct tpm *t = arg;
	uint64_t v = 0;

	scoped_lock(&t->isa.lock);
	if (offset < AT_BUFFER) {
		v = reg_read(t, (unsigned)offset & ~3U) >> (8 * (offset & 3));
		if (size == 8)
			v |= (uint64_t)reg_read(t, (unsigned)offset + 4) << 32;
	} else if (!t->started) {
		memcpy(&v, t->buffer + offset - AT_BUFFER, size);
	}
	return v;
}

static void
tpm_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct tpm *t = arg;

	scoped_lock(&t->isa.lock);
	if (offset >= AT_BUFFER) {
		if (!t->started)
			memcpy(t->buffer + offset - AT_BUFFER, &value, size);
	} else if (offset % 4 == 0) {
		reg_write(t, (unsigned)offset, (uint32_t)value);
	}
}

/* ---- setting up ---- */

bool
tpm_present(struct vm *vm)
{
	return config_find(vm->config, "lpc.tpm") != NULL;
}

static int
open_backend(struct tpm *t, struct error *err)
{
	static const char *const types[] = {"swtpm", "passthru", NULL};
	const char *path = config_get(t->isa.vm->config, "lpc.tpm.path", NULL);
	const char *version = config_get(t->isa.vm->config, "lpc.tpm.version", "2.0");
	unsigned type;

	TRY(config_enum(t->isa.vm->config, "lpc.tpm.type", types, 0, &type, err));
	if (!path)
		return error_set(err, EINVAL, "expected -l tpm,swtpm,SOCKET or -l tpm,passthru,DEVICE");
	/* bhyve writes -l tpm,TYPE,PATH,version=2.0 */
	if (!str_eq(version, "2.0") && !str_eq(version, "version=2.0"))
		return error_set(err, ENOTSUP, "version %s: there is 2.0", version);
	if (type == 1) {
		t->fd = open(path, O_RDWR | O_CLOEXEC);
		return t->fd < 0 ? error_set_errno(err, errno, "%s", path) : 0;
	}
	return sock_unix_connect(path, SOCK_STREAM, &t->fd, err);
}

static void
tpm_done(void *arg)
{
	struct tpm *t = arg;

	/* A thread that waits for an answer is not waited for. */
	if (t->fd >= 0)
		shutdown(t->fd, SHUT_RDWR);
	worker_done(&t->worker);
	cleanup_closep(&t->fd);
	cleanup_closep(&t->kick_fd);
}

/* Keys and counters are the back end's: a machine moved elsewhere would have another TPM. */
static void
tpm_state(void *arg, struct state *s)
{
	state_refuse(s, "a machine with a TPM");
}

static int
tpm_create(struct vm *vm, struct error *err)
{
	struct tpm *t;

	if (!tpm_present(vm))
		return 0;
	t = isa_new(vm, "tpm", sizeof(*t), tpm_state, tpm_done);
	t->fd = t->kick_fd = -1;
	t->sts = STS_IDLE;
	isa_add_range(t, &vm->mmio, TPM_BASE, TPM_SIZE, tpm_read, tpm_write);
	TRY(worker_init(&t->worker, NULL, t, err));
	TRY(open_backend(t, err));
	TRY(bell_new(&t->kick_fd, err));
	TRY(worker_start(&t->worker, vm, "tpm", work, err));
	worker_run(&t->worker);
	return 0;
}

static void
tpm_asl(struct vm *vm, struct strbuf *b)
{
	if (tpm_present(vm))
		strbuf_addf(b, "Device(TPM_) { Name(_HID, \"MSFT0101\")"
			    "Name(_CRS, ResourceTemplate() { Memory32Fixed(ReadOnly, %#x, %#x) }) }",
			    TPM_BASE, TPM_SIZE);
}

const struct isa_class isa_class_tpm = {.name = "tpm", .create = tpm_create, .asl = tpm_asl};
