/*
 * Frame buffer with a VNC server.
 *
 * bhyve's own frame buffer needs firmware made for it; to the guest this is
 * the display stock OVMF, Linux (bochs-drm) and Windows (through UEFI's GOP)
 * know: Bochs' DISPI registers at 0x500 of BAR 2, VGA's at 0x400, an EDID at
 * 0, and 16 MiB of pixels in BAR 0.  Drawing causes no exit.
 */
#include "base/sum.h"
#include "vmm/device.h"
#include "vmm/display/display.h"
#include "vmm/display/vnc.h"

#define VRAM_SIZE (16U << 20)
enum { BOCHS_VENDOR = 0x1234, BOCHS_DISPLAY = 0x1111, AT_DISPI = 0x500 };
/* The largest one, times four bytes, is what fits into the memory. */
enum { MIN_WIDTH = 640, MIN_HEIGHT = 480, MAX_WIDTH = 2560, MAX_HEIGHT = 1600 };

enum {
	DISPI_ID, DISPI_XRES, DISPI_YRES, DISPI_BPP, DISPI_ENABLE, DISPI_BANK, DISPI_VIRT_WIDTH,
	DISPI_VIRT_HEIGHT, DISPI_X, DISPI_Y, DISPI_MEMORY, DISPI_REGS
};
enum { DISPI_ID5 = 0xb0c5, ENABLED = 1, KEEP_MEMORY = 0x80 };

struct fbuf {
	struct pci_dev pci;
	uint8_t *vram;
	pthread_mutex_t lock;
	uint16_t reg[DISPI_REGS];
	uint8_t edid[128];
	struct vnc *vnc;
};

static bool
fbuf_frame(void *arg, struct frame *ret)
{
	struct fbuf *f = arg;
	uint64_t stride, start, width, height;
	bool ok;

	scoped_lock(&f->lock);
	width = f->reg[DISPI_XRES];
	height = f->reg[DISPI_YRES];
	stride = 4ULL * (f->reg[DISPI_VIRT_WIDTH] > width ? f->reg[DISPI_VIRT_WIDTH] : width);
	start = f->reg[DISPI_Y] * stride + 4ULL * f->reg[DISPI_X];
	ok = (f->reg[DISPI_ENABLE] & ENABLED) && f->reg[DISPI_BPP] == 32;
	/* The guest chose all of these. */
	if (!ok || width == 0 || height == 0 || start + stride * height > VRAM_SIZE)
		return false;
	*ret = (struct frame){f->vram + start, (unsigned)width, (unsigned)height, (unsigned)stride};
	return true;
}

static void
set_reg(struct fbuf *f, unsigned n, uint16_t value)
{
	switch (n) {
	case DISPI_ID:
	case DISPI_MEMORY:
	case DISPI_VIRT_HEIGHT:
		return;
	case DISPI_ENABLE:
		if ((value & ENABLED) && !(f->reg[n] & ENABLED)) {
			f->reg[DISPI_VIRT_WIDTH] = f->reg[DISPI_XRES];
			f->reg[DISPI_X] = f->reg[DISPI_Y] = 0;
			if (!(value & KEEP_MEMORY))
				/* Zeros without pages of their own. */
				(void)madvise(f->vram, VRAM_SIZE, MADV_DONTNEED);
		}
		break;
	}
	f->reg[n] = value;
}

static uint64_t
fbuf_read(struct pci_dev *d, unsigned bar, uint64_t offset, unsigned size)
{
	struct fbuf *f = (struct fbuf *)d;
	uint64_t v = 0, n = (offset - AT_DISPI) / 2;

	if (offset + size <= sizeof(f->edid)) {
		memcpy(&v, f->edid + offset, size);
	} else if (offset >= AT_DISPI && n < DISPI_REGS) {
		scoped_lock(&f->lock);
		v = n == DISPI_VIRT_HEIGHT && f->reg[DISPI_VIRT_WIDTH]
			    ? VRAM_SIZE / (4ULL * f->reg[DISPI_VIRT_WIDTH])
			    : f->reg[n];
		v >>= 8 * (offset & 1);
	}
	return v;
}

static void
fbuf_write(struct pci_dev *d, unsigned bar, uint64_t offset, unsigned size, uint64_t value)
{
	struct fbuf *f = (struct fbuf *)d;
	uint64_t n = (offset - AT_DISPI) / 2;

	/* VGA's registers are written to wake the screen: it is always awake. */
	if (offset < AT_DISPI || offset % 2 || size != 2 || n >= DISPI_REGS)
		return;
	scoped_lock(&f->lock);
	set_reg(f, (unsigned)n, (uint16_t)value);
}

/* EDID 1.4: one detailed timing for the size we would like, at 60 Hz with small blanks. */
static void
make_edid(struct fbuf *f, unsigned w, unsigned h)
{
	static const uint8_t head[] = {0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0,
				       0x06, 0x8f, 1, 0, 1, 0, 0, 0, /* "ATO", product, serial */
				       1, 36, 1, 4, 0xa5, 52, 29, 120, 6,
				       0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54};
	unsigned hblank = 160, vblank = 30, clock = (w + hblank) * (h + vblank) / 10000 * 60;
	uint8_t *e = f->edid, *t = e + 54;

	memcpy(e, head, sizeof(head));
	memset(e + 38, 1, 16); /* no standard timings */
	t[0] = (uint8_t)clock;
	t[1] = (uint8_t)(clock >> 8);
	t[2] = (uint8_t)w;
	t[3] = (uint8_t)hblank;
	t[4] = (uint8_t)((w >> 8) << 4 | hblank >> 8);
	t[5] = (uint8_t)h;
	t[6] = (uint8_t)vblank;
	t[7] = (uint8_t)((h >> 8) << 4 | vblank >> 8);
	t[8] = 48;
	t[9] = 32;
	t[10] = 3 << 4 | 5;
	t[17] = 0x18;
	memcpy(e + 72, "\0\0\0\xfc\0Atoll VNC\n  ", 18);
	memcpy(e + 90, "\0\0\0\x10", 4);
	memcpy(e + 108, "\0\0\0\x10", 4);
	e[127] = (uint8_t)-sum8(e, 127);
}

static int
start_vnc(struct fbuf *f, struct config *node, unsigned w, unsigned h, struct error *err)
{
	const char *tcp = config_get(node, "tcp", NULL);
	struct vnc_opts opts = {
		.tcp = tcp ? tcp : config_get(node, "rfb", NULL),
		.unix_path = config_get(node, "unix", NULL),
		.password = config_get(node, "password", NULL),
		.width = w,
		.height = h,
	};
	TRY(config_bool(node, "wait", false, &opts.wait, err));
	if (opts.tcp && opts.unix_path)
		return error_set(err, EINVAL, "tcp and unix are two ways; expected one");
	/* Without a way to look at it, the picture is still there for screenshots. */
	if ((!opts.tcp && !opts.unix_path) || !f->pci.vm->loop)
		return 0;
	return vnc_new(display_of(f->pci.vm), &opts, &f->vnc, err);
}

static int
fbuf_init(struct pci_dev *d, struct config *node, struct error *err)
{
	static const char *const vga[] = {"off", "io", "on", NULL};
	struct fbuf *f = (struct fbuf *)d;
	struct display *display = display_of(d->vm);
	uint64_t w, h;
	unsigned ignored;
	void *vram;

	pthread_mutex_init(&f->lock, NULL);
	if (display->frame)
		return error_set(err, EEXIST, "a machine has one frame buffer");
	TRY(config_u64(node, "w", MIN_WIDTH, MAX_WIDTH, 1024, &w, err));
	TRY(config_u64(node, "h", MIN_HEIGHT, MAX_HEIGHT, 768, &h, err));
	TRY(config_enum(node, "vga", vga, 0, &ignored, err));
	TRY(pci_add_ram_bar(d, 0, VRAM_SIZE, &vram, err));
	f->vram = vram;
	pci_set_ids(d, BOCHS_VENDOR, BOCHS_DISPLAY, PCI_CLASS_DISPLAY, 2);
	pci_set_subsystem(d, PCI_VENDOR_REDHAT, 0x1100);
	pci_add_bar(d, 2, PCI_BAR_MEM32, 0x1000);
	f->reg[DISPI_ID] = DISPI_ID5;
	f->reg[DISPI_BPP] = 32;
	f->reg[DISPI_XRES] = (uint16_t)w;
	f->reg[DISPI_YRES] = (uint16_t)h;
	f->reg[DISPI_MEMORY] = VRAM_SIZE >> 16;
	make_edid(f, (unsigned)w, (unsigned)h);
	display->frame = fbuf_frame;
	display->frame_arg = f;
	return start_vnc(f, node, (unsigned)w, (unsigned)h, err);
}

static void
fbuf_state(struct pci_dev *d, struct state *s)
{
	struct fbuf *f = (struct fbuf *)d;

	STATE(s, f->reg);
	state_field(s, "vram", f->vram, VRAM_SIZE);
}

static void
fbuf_done(struct pci_dev *d)
{
	struct fbuf *f = (struct fbuf *)d;

	vnc_free(f->vnc);
	if (d->vm->display && d->vm->display->frame_arg == f)
		d->vm->display->frame = NULL;
	pthread_mutex_destroy(&f->lock);
}

static const struct pci_opt opts[] = {
	{"tcp", "[ADDRESS:]PORT", "VNC on this port (of 127.0.0.1 unless an address is given)"},
	{"rfb", "[ADDRESS:]PORT", "the same"},
	{"unix", "PATH", "VNC on a socket"},
	{"password", "TEXT", "what VNC clients must know; eight characters count"},
	{"w", "PIXELS", "width the guest is offered (1024), 2560 at most"},
	{"h", "PIXELS", "height (768), 1600 at most"},
	{"wait", NULL, "start the guest when a VNC client has connected"},
	{"vga", "io|on|off", "accepted: there is no VGA memory"},
	{0},
};

const struct pci_class pci_class_fbuf = {
	.name = "fbuf",
	.summary = "screen, for VNC",
	.main_opt = "tcp",
	.opts = opts,
	.size = sizeof(struct fbuf),
	.init = fbuf_init,
	.done = fbuf_done,
	.state = fbuf_state,
	.bar_read = fbuf_read,
	.bar_write = fbuf_write,
};
