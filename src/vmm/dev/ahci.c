/*
 * AHCI 1.3 controller with SATA disks and CD-ROMs (ATA8-ACS, ATAPI through
 * backend/scsi.c).
 *
 * Each port has a worker that owns the command list while PxCMD.ST is set:
 * writes to PxCI ring it, it takes slots, moves data and writes the received
 * FISes.  Clearing ST stops the worker first, so nothing of an old list is
 * touched afterwards.  After an error a port takes no command until ST was
 * cleared, as the specification has it.
 *
 * Locks: `control` holds vcpus off each other while one starts or stops a
 * worker; `lock` guards the registers, and the workers take only that.
 */

#include "vmm/dev/ahci.h"

#include "vmm/device.h"
#include "vmm/regs.h"

#define ICH9_AHCI 0x2922
#define MAX_IOV 1024
enum { PORT_BASE = 0x100, PORT_SIZE = 0x80 };

enum { HBA_CAP = 0x00, HBA_GHC = 0x04, HBA_IS = 0x08, HBA_PI = 0x0c, HBA_VS = 0x10 };
enum {
	PX_CLB = 0x00, PX_CLBU = 0x04, PX_FB = 0x08, PX_FBU = 0x0c, PX_IS = 0x10, PX_IE = 0x14,
	PX_CMD = 0x18, PX_TFD = 0x20, PX_SIG = 0x24, PX_SSTS = 0x28, PX_SCTL = 0x2c,
	PX_SERR = 0x30, PX_SACT = 0x34, PX_CI = 0x38
};

enum { GHC_RESET = 1, GHC_IE = 2 };
#define GHC_AE 0x80000000U
enum {
	CMD_ST = 1, CMD_CLO = 8, CMD_FRE = 0x10, CMD_FR = 0x4000, CMD_CR = 0x8000,
	CMD_ATAPI = 0x1000000, CMD_WRITABLE = 0x0f000017
};
enum { IS_DHRS = 1, IS_PSS = 2, IS_SDBS = 8, IS_TFES = 0x40000000 };
#define SSTS_UP 0x133U /* present, 6 Gb/s, active */
#define SIG_DISK 0x00000101U
#define SIG_ATAPI 0xeb140101U

enum { FIS_HOST = 0x27, FIS_DEVICE = 0x34, FIS_PIO = 0x5f, FIS_BITS = 0xa1 };
enum { AT_PIO = 0x20, AT_DEVICE = 0x40, AT_BITS = 0x58 };

/* The command header; PRDs follow the table's first 128 bytes. */
struct header {
	uint16_t flags, n_prds;
	uint32_t done;
	uint64_t table;
	uint32_t reserved[4];
};
struct prd {
	uint64_t base;
	uint32_t reserved, count;
};
_Static_assert(sizeof(struct header) == 32 && sizeof(struct prd) == 16, "AHCI layout");

static const struct mem *
ram(const struct ahci_port *p)
{
	return &p->hba->pci.vm->mem;
}

/* ---- interrupts and received FISes ---- */

/* Lock held. */
static void
update_irq(struct ahci *a)
{
	for (unsigned i = 0; i < a->n_ports; i++) {
		if (a->port[i].is & a->port[i].ie)
			a->is |= 1U << i;
	}
	pci_irq_level(&a->pci, (a->ghc & GHC_IE) && a->is);
}

/* Lock held.  A received FIS goes to memory if the driver wants it. */
static void
receive_fis(struct ahci_port *p, unsigned at, const void *fis, size_t len, uint32_t cause)
{
	if (p->cmd & CMD_FRE)
		mem_write(ram(p), p->fb + at, fis, len);
	p->is |= cause;
}

/* Lock held.  The register FIS of a device after reset or a command. */
static void
device_fis(struct ahci_port *p, const uint8_t *cmd, uint8_t status, uint8_t error, uint32_t cause)
{
	uint8_t f[20] = {FIS_DEVICE, cause ? 0x40 : 0, status, error};

	if (cmd) {
		memcpy(f + 4, cmd + 4, 9);
		f[12] = p->lun.cdrom ? 3 : cmd[12]; /* interrupt reason: status */
	} else {
		f[4] = f[12] = 1;
		f[5] = p->lun.cdrom ? 0x14 : 0;
		f[6] = p->lun.cdrom ? 0xeb : 0;
	}
	p->tfd = status | (uint32_t)error << 8;
	receive_fis(p, AT_DEVICE, f, sizeof(f), cause);
}

/* ---- completion, in the worker ---- */

void
ahci_finish(struct ahci_slot *s, uint64_t moved, uint8_t error)
{
	struct ahci_port *p = s->port;
	struct ahci *a = p->hba;
	uint32_t bit = 1U << s->n, done = (uint32_t)moved;
	uint8_t status = error ? ATA_ERROR : ATA_READY;

	mem_write(ram(p), p->clb + s->n * sizeof(struct header) + 4, &done, sizeof(done));
	p->taken &= ~bit;
	if (s->queued && !error) {
		p->n_queued--;
		p->done_bits |= bit;
		return;
	}
	scoped_lock(&a->lock);
	if (s->queued) {
		uint8_t f[8] = {FIS_BITS, 0x40, status, error};

		p->n_queued--;
		p->tfd = status | (uint32_t)error << 8;
		receive_fis(p, AT_BITS, f, sizeof(f), IS_SDBS | IS_TFES);
	} else {
		p->alone = false;
		/* Data in by PIO announces itself, with the status it ends in. */
		if (s->pio && !error) {
			uint8_t f[20] = {FIS_PIO, 0x60, ATA_READY};

			memcpy(f + 4, s->fis + 4, 9);
			f[15] = ATA_READY;
			memcpy(f + 16, &done, 2);
			receive_fis(p, AT_PIO, f, sizeof(f), IS_PSS);
		}
		if (!error)
			p->ci &= ~bit;
		device_fis(p, s->fis, status, error, error ? IS_DHRS | IS_TFES : IS_DHRS);
	}
	p->halted = p->halted || error;
	update_irq(a);
}

/* One FIS tells of all queued commands that ended in this turn. */
static void
report_queued(void *arg)
{
	struct ahci_port *p = arg;
	uint8_t f[8] = {FIS_BITS, 0x40, ATA_READY & 0x70};

	if (!p->done_bits)
		return;
	scoped_lock(&p->hba->lock);
	memcpy(f + 4, &p->done_bits, 4);
	p->sact &= ~p->done_bits;
	p->done_bits = 0;
	p->tfd = ATA_READY;
	receive_fis(p, AT_BITS, f, sizeof(f), IS_SDBS);
	update_irq(p->hba);
}

/* ---- data ---- */

/* PRDs to host addresses, neighbours joined.  False if they leave memory or are too many. */
static bool
map_prds(struct ahci_slot *s, const struct header *h)
{
	struct ahci_port *p = s->port;

	s->n_iov = 0;
	s->room = 0;
	if (!s->iov)
		s->iov = xcalloc(MAX_IOV, sizeof(*s->iov));
	for (unsigned i = 0; i < h->n_prds; i++) {
		struct prd d;
		uint64_t len;
		uint8_t *hva;

		if (!mem_read(ram(p), s->table + 0x80 + i * sizeof(d), &d, sizeof(d)))
			return false;
		len = (d.count & 0x3fffff) + 1;
		hva = mem_ptr(ram(p), d.base, len);
		if (!hva || len % 2 || d.base % 2 || !iov_add(s->iov, &s->n_iov, MAX_IOV, hva, len))
			return false;
		s->room += len;
	}
	return true;
}

/* ---- the worker ---- */

/* Reads a slot's command; false if it must wait for others to end. */
static bool
take(struct ahci_port *p, unsigned n)
{
	struct ahci_slot *s = &p->slot[n];
	struct header h;
	bool ok = mem_read(ram(p), p->clb + n * sizeof(h), &h, sizeof(h));

	memset(s->fis, 0, sizeof(s->fis));
	if (ok)
		ok = mem_read(ram(p), h.table, s->fis, sizeof(s->fis));
	s->queued = ok && (s->fis[2] == 0x60 || s->fis[2] == 0x61) && !p->lun.cdrom;
	s->pio = false;
	s->n_ranges = s->at_range = 0;
	if (s->queued ? p->alone : p->alone || p->n_queued)
		return false;
	p->taken |= 1U << n;
	pthread_mutex_lock(&p->hba->lock);
	if (s->queued) {
		p->n_queued++;
		p->ci &= ~(1U << n); /* accepted; PxSACT says when it has ended */
	} else {
		p->alone = true;
		p->tfd |= 0x80;
	}
	pthread_mutex_unlock(&p->hba->lock);
	s->table = h.table;
	if (!ok || s->fis[0] != FIS_HOST || !map_prds(s, &h)) {
		ahci_finish(s, 0, ATA_ABORTED);
	} else if (!(s->fis[1] & 0x80)) {
		/* Device control (soft reset): the signature follows when SRST goes down. */
		pthread_mutex_lock(&p->hba->lock);
		p->alone = false;
		p->taken &= ~(1U << n);
		p->ci &= ~(1U << n);
		if (!(s->fis[15] & 4))
			device_fis(p, NULL, p->lun.cdrom ? 0 : ATA_READY, 1, 0);
		else
			p->tfd = ATA_READY;
		pthread_mutex_unlock(&p->hba->lock);
	} else {
		ata_start(s);
	}
	return true;
}

static void
serve(void *arg)
{
	struct ahci_port *p = arg;
	uint32_t ci;

	pthread_mutex_lock(&p->hba->lock);
	ci = p->ci & ~p->taken;
	pthread_mutex_unlock(&p->hba->lock);
	for (unsigned n = 0; n < AHCI_SLOTS && !p->halted; n++) {
		if ((ci >> n & 1) && !take(p, n))
			break;
	}
	report_queued(p);
}

static const struct blk_worker_ops worker_ops = {"ahci", serve, report_queued};

/* ---- registers, with both locks ---- */

/* The worker may want the registers' lock to end what it does. */
static void
stop_port(struct ahci_port *p)
{
	pthread_mutex_unlock(&p->hba->lock);
	worker_stop(&p->worker.worker);
	pthread_mutex_lock(&p->hba->lock);
	p->ci = p->sact = 0;
	p->taken = p->done_bits = 0;
	p->n_queued = 0;
	p->alone = p->halted = false;
	p->tfd &= ~0x88U;
	p->cmd &= ~(CMD_ST | CMD_CR);
}

static void
reset_link(struct ahci_port *p)
{
	stop_port(p);
	p->serr = 0;
	/* A packet device shows no status until its first command. */
	device_fis(p, NULL, p->lun.cdrom ? 0x10 : ATA_READY, 1, 0);
}

static void
set_cmd(void *port, uint32_t value)
{
	struct ahci_port *p = port;
	uint32_t was = p->cmd;

	p->cmd = (was & ~CMD_WRITABLE) | (value & CMD_WRITABLE);
	p->cmd = p->cmd & CMD_FRE ? p->cmd | CMD_FR : p->cmd & ~CMD_FR;
	if (value & CMD_CLO)
		p->tfd &= ~0x88U;
	if ((was & CMD_ST) && !(value & CMD_ST)) {
		stop_port(p);
	} else if (!(was & CMD_ST) && (value & CMD_ST)) {
		p->cmd |= CMD_CR;
		worker_run(&p->worker.worker);
	}
}

static uint32_t
get_cmd(const void *port)
{
	const struct ahci_port *p = port;

	return p->cmd | (p->lun.cdrom ? CMD_ATAPI : 0);
}

static uint32_t
get_signature(const void *port)
{
	return ((const struct ahci_port *)port)->lun.cdrom ? SIG_ATAPI : SIG_DISK;
}

static uint32_t
get_link(const void *port)
{
	return (((const struct ahci_port *)port)->sctl & 0xf) == 0 ? SSTS_UP : 0;
}

static void
set_control(void *port, uint32_t v)
{
	struct ahci_port *p = port;

	if ((p->sctl & 0xf) == 1 && (v & 0xf) == 0)
		reset_link(p);
	else if ((v & 0xf) == 1)
		stop_port(p);
	p->sctl = v & 0xfff;
}

static void
port_irq(void *port)
{
	update_irq(((struct ahci_port *)port)->hba);
}

static void
port_issued(void *port)
{
	blk_worker_kick(&((struct ahci_port *)port)->worker);
}

/* Where its lists are does not change while a port runs; it takes commands only then. */
static const struct reg port_stopped[] = {
	REG64(struct ahci_port, PX_CLB, clb, ~0x3ffU),
	REG64(struct ahci_port, PX_FB, fb, ~0xffU),
}, port_started[] = {
	REG(struct ahci_port, PX_SACT, sact, .sets = ~0U),
	REG(struct ahci_port, PX_CI, ci, .sets = ~0U, .then = port_issued),
}, port_regs[] = {
	REG(struct ahci_port, PX_IS, is, .clears = ~0U, .then = port_irq),
	REG(struct ahci_port, PX_IE, ie, .write = 0xfdc000ff, .then = port_irq),
	{.at = PX_CMD, .get = get_cmd, .set = set_cmd},
	REG(struct ahci_port, PX_TFD, tfd),
	{.at = PX_SIG, .get = get_signature},
	{.at = PX_SSTS, .get = get_link},
	REG(struct ahci_port, PX_SCTL, sctl, .set = set_control),
	REG(struct ahci_port, PX_SERR, serr, .clears = ~0U),
};

static uint32_t
port_read(const struct ahci_port *p, unsigned at)
{
	return regs_read(port_regs, ARRAY_SIZE(port_regs), p, at) |
	       regs_read(port_stopped, ARRAY_SIZE(port_stopped), p, at) |
	       regs_read(port_started, ARRAY_SIZE(port_started), p, at);
}

static void
port_write(struct ahci_port *p, unsigned at, uint32_t v)
{
	if (p->cmd & CMD_ST)
		regs_write(port_started, ARRAY_SIZE(port_started), p, at, v);
	else
		regs_write(port_stopped, ARRAY_SIZE(port_stopped), p, at, v);
	regs_write(port_regs, ARRAY_SIZE(port_regs), p, at, v);
}

static void
hba_reset(struct ahci *a)
{
	for (unsigned i = 0; i < a->n_ports; i++) {
		struct ahci_port *p = &a->port[i];

		reset_link(p);
		p->is = p->ie = p->sctl = 0;
		p->cmd = 0;
		p->clb = p->fb = 0;
	}
	a->ghc = GHC_AE;
	a->is = 0;
	update_irq(a);
}

static uint32_t
capabilities(const void *a)
{
	/* 32 slots, AHCI only, 6 Gb/s, list override, queueing, 64 bits. */
	return (((const struct ahci *)a)->n_ports - 1) | (AHCI_SLOTS - 1) << 8 | 1U << 18 | 3U << 20 |
	       1U << 24 | 1U << 30 | 1U << 31;
}

static uint32_t
ports_there(const void *a)
{
	return (1U << ((const struct ahci *)a)->n_ports) - 1;
}

static void
set_ghc(void *hba, uint32_t v)
{
	struct ahci *a = hba;

	if (v & GHC_RESET)
		hba_reset(a);
	else
		a->ghc = GHC_AE | (v & GHC_IE);
	update_irq(a);
}

/* What is still there is said again: a message tells of a change only. */
static void
interrupts_taken(void *a)
{
	pci_irq_level(&((struct ahci *)a)->pci, false);
	update_irq(a);
}

static const struct reg hba_regs[] = {
	{.at = HBA_CAP, .get = capabilities},
	REG(struct ahci, HBA_GHC, ghc, .set = set_ghc),
	REG(struct ahci, HBA_IS, is, .clears = ~0U, .then = interrupts_taken),
	{.at = HBA_PI, .get = ports_there},
	{.at = HBA_VS, .value = 0x00010300},
};

static uint32_t
reg_read(void *hba, unsigned at)
{
	struct ahci *a = hba;
	unsigned n = (at - PORT_BASE) / PORT_SIZE;

	if (at < PORT_BASE)
		return regs_read(hba_regs, ARRAY_SIZE(hba_regs), a, at);
	return n < a->n_ports ? port_read(&a->port[n], at % PORT_SIZE) : 0;
}

static void
reg_write(void *hba, unsigned at, uint32_t v)
{
	struct ahci *a = hba;
	unsigned n = (at - PORT_BASE) / PORT_SIZE;

	if (at < PORT_BASE)
		regs_write(hba_regs, ARRAY_SIZE(hba_regs), a, at, v);
	else if (n < a->n_ports)
		port_write(&a->port[n], at % PORT_SIZE, v);
}

static uint64_t
ahci_read(struct pci_dev *d, unsigned bar, uint64_t offset, unsigned size)
{
	scoped_lock(&((struct ahci *)d)->lock);
	return regs_split_read(reg_read, d, offset, size);
}

static void
ahci_write(struct pci_dev *d, unsigned bar, uint64_t offset, unsigned size, uint64_t value)
{
	struct ahci *a = (struct ahci *)d;

	scoped_lock(&a->control);
	scoped_lock(&a->lock);
	regs_split_write(reg_write, a, offset, size, value);
}

/* ---- setting up ---- */

static int
add_port(struct ahci *a, struct config *node, struct error *err)
{
	static const char *const types[] = {"hd", "cd", NULL};
	struct ahci_port *p = &a->port[a->n_ports];
	unsigned type;

	if (a->n_ports == AHCI_PORTS)
		return error_set(err, E2BIG, "more than %d ports", AHCI_PORTS);
	TRY(config_enum(node, "type", types, 0, &type, err));
	if (type == 1)
		TRY(config_set(node, "ro", "true", err));
	TRY(blk_open(node, &p->lun.blk, err));
	/* From here on ahci_done() looks after it. */
	a->n_ports++;
	p->hba = a;
	p->n = a->n_ports - 1;
	p->lun.cdrom = type == 1;
	p->lun.model = "SATA CD-ROM";
	for (unsigned i = 0; i < AHCI_SLOTS; i++) {
		p->slot[i].port = p;
		p->slot[i].n = i;
	}
	return blk_worker_start(&p->worker, &worker_ops, a->pci.vm, p->lun.blk, NULL, 0, p, err);
}

static int
ahci_init(struct pci_dev *d, struct config *node, struct error *err)
{
	struct ahci *a = (struct ahci *)d;
	struct config *ports = config_find(node, "port");

	pthread_mutex_init(&a->control, NULL);
	pthread_mutex_init(&a->lock, NULL);
	for (struct config *n = NULL; ports && (n = config_next(ports, n));)
		TRY(add_port(a, n, err));
	if (!a->n_ports)
		return error_set(err, EINVAL, "no disk; expected hd:FILE or cd:FILE");
	pci_set_ids(d, PCI_VENDOR_INTEL, ICH9_AHCI, PCI_CLASS_STORAGE_SATA, 2);
	pci_set_subsystem(d, PCI_VENDOR_INTEL, ICH9_AHCI);
	pci_add_bar(d, 5, PCI_BAR_MEM32, 0x1000);
	pci_add_pin(d);
	pci_add_msi(d);
	scoped_lock(&a->lock);
	hba_reset(a);
	return 0;
}

/* Nothing is in flight: what a port keeps is in its registers, and commands not taken yet in PxCI. */
static void
ahci_state(struct pci_dev *d, struct state *s)
{
	struct ahci *a = (struct ahci *)d;

	STATE(s, a->ghc, a->is);
	for (unsigned i = 0; i < a->n_ports; i++) {
		struct ahci_port *p = &a->port[i];

		blk_state(p->lun.blk, s);
		STATE(s, p->clb, p->fb, p->is, p->ie, p->cmd, p->tfd, p->sctl, p->serr, p->sact,
		      p->ci, p->halted, p->error_log, p->lun.sense);
		if (state_loading(s) && (p->cmd & CMD_ST))
			worker_run(&p->worker.worker);
	}
	if (state_loading(s))
		update_irq(a);
}

/* SATA has no word for it: the guest sees the new size when it looks again. */
static void
ahci_refresh(struct pci_dev *d)
{
	struct ahci *a = (struct ahci *)d;

	for (unsigned i = 0; i < a->n_ports; i++)
		(void)blk_worker_resize(&a->port[i].worker, a->port[i].lun.blk);
}

static void
ahci_done(struct pci_dev *d)
{
	struct ahci *a = (struct ahci *)d;

	for (unsigned i = 0; i < a->n_ports; i++) {
		struct ahci_port *p = &a->port[i];

		blk_worker_done(&p->worker);
		blk_close(p->lun.blk);
		for (unsigned n = 0; n < AHCI_SLOTS; n++)
			free(p->slot[n].iov);
	}
	pthread_mutex_destroy(&a->control);
	pthread_mutex_destroy(&a->lock);
}

static const struct pci_opt opts[] = {
	BLK_PCI_OPTS,
	{"nmrr", "N", "accepted"}, {"rev", "TEXT", "accepted"}, {"model", "TEXT", "accepted"},
	{"bootindex", "N", "firmware boots from the lowest"},
	{0},
};

static const struct pci_class one_port = {.name = "ahci", .main_opt = "path", .opts = opts};

static int
parse_port(struct config *node, unsigned n, const char *type, const char *text, struct error *err)
{
	cleanup_free char *path = str_printf("port.%u", n);
	struct config *port;
	const char *index;

	TRY(config_branch(node, path, &port, err));
	TRY(config_set(port, "type", type, err));
	TRY(pci_parse_opts(&one_port, port, text, err));
	/* The order of booting is between devices. */
	index = config_get(port, "bootindex", NULL);
	return index ? config_set(node, "bootindex", index, err) : 0;
}

static int
parse_hd(struct config *node, const char *text, struct error *err)
{
	return parse_port(node, 0, "hd", text, err);
}

static int
parse_cd(struct config *node, const char *text, struct error *err)
{
	return parse_port(node, 0, "cd", text, err);
}

/* hd:FILE,option,cd:FILE...: each hd: or cd: begins a port, an option belongs to the last one. */
static int
parse_many(struct config *node, const char *text, struct error *err)
{
	cleanup_strv struct strv words = STRV_INIT;
	size_t i = 0;
	int r = 0;

	strv_words(&words, text, ",");
	for (unsigned port = 0; r == 0 && i < words.n; port++) {
		cleanup_strbuf struct strbuf b = STRBUF_INIT;
		bool cd = str_after(words.v[i], "cd:") != NULL;

		if (!cd && !str_after(words.v[i], "hd:"))
			return error_set(err, EINVAL, "\"%s\": expected hd:FILE or cd:FILE",
					 words.v[i]);
		strbuf_addf(&b, "%s", words.v[i] + 3);
		while (++i < words.n && !str_after(words.v[i], "hd:") &&
		       !str_after(words.v[i], "cd:"))
			strbuf_addf(&b, ",%s", words.v[i]);
		r = parse_port(node, port, cd ? "cd" : "hd", b.data, err);
	}
	return r;
}

#define AHCI_CLASS(id, name_, summary_, parse_)                                          \
	const struct pci_class pci_class_##id = {                                        \
		.name = name_, .summary = summary_, .main_opt = "path", .opts = opts,    \
		.parse = parse_, .size = sizeof(struct ahci), .init = ahci_init,         \
		.done = ahci_done, .refresh = ahci_refresh, .state = ahci_state, .bar_read = ahci_read, .bar_write = ahci_write,       \
	}
AHCI_CLASS(ahci, "ahci", "SATA controller: hd:FILE,OPTIONS,cd:FILE...", parse_many);
AHCI_CLASS(ahci_hd, "ahci-hd", "SATA disk", parse_hd);
AHCI_CLASS(ahci_cd, "ahci-cd", "SATA CD-ROM", parse_cd);
