/*
 * CMOS memory and real-time clock: Motorola's MC146818.
 *
 * The time is the host's plus what the guest set it off by; it is worked out
 * when it is read.  A guest that polls for the update flag would wait for ever
 * if there were no clock (and costs 40,000 exits), so there always is one.
 * Alarm and update interrupts come from a timer that ticks only while the
 * guest has one of them on; the periodic interrupt has its own.
 */
#include <sys/timerfd.h>
#include <time.h>

#include "vmm/device.h"
#include "vmm/isa/isa.h"

SANDBOX_NEEDS(SANDBOX_VCPU, "timerfd_settime");

enum {
	SECONDS = 0, SECONDS_ALARM, MINUTES, MINUTES_ALARM, HOURS, HOURS_ALARM, WEEKDAY, DAY,
	MONTH, YEAR, REG_A, REG_B, REG_C, REG_D, SHUTDOWN = 0x0f, CENTURY = 0x32,
	/* Where firmware for PCs looks for the size of memory (QEMU's and bhyve's places). */
	EXT_LOW = 0x30, EXT_HIGH, HIGH_LOW = 0x34, HIGH_HIGH, ABOVE_4G = 0x5b, CPUS = 0x5f
};

#define A_DEFAULT 0x26
enum { B_24H = 0x02, B_BINARY = 0x04, B_UIE = 0x10, B_AIE = 0x20, B_PIE = 0x40, B_SET = 0x80 };
enum { C_UF = 0x10, C_AF = 0x20, C_PF = 0x40, C_IRQF = 0x80 };
enum { D_VALID = 0x80, RTC_IRQ = 8 };

struct rtc {
	struct isa_dev isa;
	uint8_t ram[128];
	uint8_t index;
	bool local;
	time_t offset;	/* guest time minus host time */
	struct tm held; /* what the guest writes while SET is on */
	int second_fd, period_fd;
	struct event_source *second_src, *period_src;
};

static uint8_t
encode(const struct rtc *r, int value)
{
	return (uint8_t)(r->ram[REG_B] & B_BINARY ? value : value / 10 << 4 | value % 10);
}

static int
decode(const struct rtc *r, uint8_t value)
{
	return r->ram[REG_B] & B_BINARY ? value : (value >> 4) * 10 + (value & 15);
}

static uint8_t
encode_hour(const struct rtc *r, int hour)
{
	if (r->ram[REG_B] & B_24H)
		return encode(r, hour);
	return encode(r, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? 0x80 : 0);
}

static int
decode_hour(const struct rtc *r, uint8_t value)
{
	if (r->ram[REG_B] & B_24H)
		return decode(r, value);
	return decode(r, value & 0x7f) % 12 + (value & 0x80 ? 12 : 0);
}

static void
now(const struct rtc *r, struct tm *tm)
{
	time_t t = time(NULL) + r->offset;

	if (r->ram[REG_B] & B_SET)
		*tm = r->held;
	else if (r->local)
		localtime_r(&t, tm);
	else
		gmtime_r(&t, tm);
}

/* Registers that show a field of the time as it is, but for where it begins to count. */
static const struct {
	uint8_t index, field; /* of struct tm */
	int first;
} fields[] = {
	{SECONDS, offsetof(struct tm, tm_sec), 0}, {MINUTES, offsetof(struct tm, tm_min), 0},
	{WEEKDAY, offsetof(struct tm, tm_wday), 1}, {DAY, offsetof(struct tm, tm_mday), 0},
	{MONTH, offsetof(struct tm, tm_mon), 1},
};

static uint8_t
take_flags(struct rtc *r)
{
	uint8_t v = r->ram[REG_C];

	r->ram[REG_C] = 0;
	irq_pin_set(&r->isa.pin, false);
	return v;
}

static uint8_t
read_register(struct rtc *r, uint8_t index)
{
	struct tm tm;
	int v;

	if (index == REG_C || index == REG_D)
		return index == REG_D ? D_VALID : take_flags(r);
	if (index <= YEAR || index == CENTURY)
		now(r, &tm);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (fields[i].index != index)
			continue;
		memcpy(&v, (char *)&tm + fields[i].field, sizeof(v));
		return encode(r, v + fields[i].first);
	}
	if (index == HOURS)
		return encode_hour(r, tm.tm_hour);
	if (index == YEAR || index == CENTURY)
		return encode(r, index == YEAR ? tm.tm_year % 100 : 19 + tm.tm_year / 100);
	return r->ram[index];
}

static void
raise_flag(struct rtc *r, uint8_t flag)
{
	r->ram[REG_C] |= flag;
	/* Flags and enables stand at the same bits of C and B. */
	if (r->ram[REG_C] & r->ram[REG_B] & (C_UF | C_AF | C_PF)) {
		r->ram[REG_C] |= C_IRQF;
		irq_pin_set(&r->isa.pin, true);
	}
}

static void
arm(int fd, uint64_t ns)
{
	struct timespec every = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
	struct itimerspec t = {.it_value = every, .it_interval = every};

	(void)timerfd_settime(fd, 0, &t, NULL); /* our own descriptor, a valid time */
}

static void
timers_update(struct rtc *r)
{
	unsigned rate = r->ram[REG_A] & 15;
	uint64_t period = 0;

	if (rate && (r->ram[REG_B] & B_PIE)) {
		/* 32768 Hz divided; the two lowest rates are those of 8 and 9. */
		unsigned shift = rate < 3 ? rate + 6 : rate - 1;

		period = (1000000000ULL << shift) / 32768;
	}
	arm(r->second_fd, r->ram[REG_B] & (B_UIE | B_AIE) ? 1000000000ULL : 0);
	arm(r->period_fd, period);
}

static void
set_b(struct rtc *r, uint8_t value)
{
	uint8_t old = r->ram[REG_B];

	if (!(old & B_SET) && (value & B_SET))
		now(r, &r->held);
	r->ram[REG_B] = value;
	if ((old & B_SET) && !(value & B_SET)) {
		struct tm tm = r->held;
		time_t t;

		tm.tm_isdst = -1;
		t = r->local ? mktime(&tm) : timegm(&tm);
		if (t != (time_t)-1)
			r->offset = t - time(NULL);
	}
	timers_update(r);
}

/* One field of the time; without SET it counts at once, by way of the same path. */
static void
set_time(struct rtc *r, uint8_t index, uint8_t value)
{
	bool set = r->ram[REG_B] & B_SET;
	struct tm *tm = &r->held;
	int v = decode(r, value);

	if (!set)
		set_b(r, r->ram[REG_B] | B_SET);
	for (size_t i = 0; index != WEEKDAY && i < ARRAY_SIZE(fields); i++) {
		if (fields[i].index == index)
			*(int *)(void *)((char *)tm + fields[i].field) = v - fields[i].first;
	}
	if (index == HOURS)
		tm->tm_hour = decode_hour(r, value);
	else if (index == YEAR)
		tm->tm_year = tm->tm_year / 100 * 100 + v;
	else if (index == CENTURY)
		tm->tm_year = (v - 19) * 100 + tm->tm_year % 100;
	if (!set)
		set_b(r, r->ram[REG_B] & (uint8_t)~B_SET);
}

static void
write_register(struct rtc *r, uint8_t index, uint8_t value)
{
	switch (index) {
	case SECONDS_ALARM:
	case MINUTES_ALARM:
	case HOURS_ALARM:
		r->ram[index] = value;
		return;
	case REG_A:
		r->ram[REG_A] = value & 0x7f;
		timers_update(r);
		return;
	case REG_B:
		set_b(r, value);
		return;
	case REG_C:
	case REG_D:
		return;
	}
	if (index <= YEAR || index == CENTURY)
		set_time(r, index, value);
	else
		r->ram[index] = value;
}

static uint64_t
rtc_read(void *arg, uint64_t offset, unsigned size)
{
	struct rtc *r = arg;

	if (offset == 0)
		return 0xff;
	scoped_lock(&r->isa.lock);
	return read_register(r, r->index);
}

static void
rtc_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct rtc *r = arg;

	scoped_lock(&r->isa.lock);
	if (offset == 0)
		r->index = value & 0x7f; /* bit 7 masks the NMI on a PC */
	else
		write_register(r, r->index, (uint8_t)value);
}

static bool
alarm_field(const struct rtc *r, uint8_t index, uint8_t current)
{
	/* 11xxxxxx: any value will do. */
	return (r->ram[index] & 0xc0) == 0xc0 || r->ram[index] == current;
}

static void
on_second(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct rtc *r = arg;
	struct tm tm;

	if (!bell_hush(fd))
		return;
	scoped_lock(&r->isa.lock);
	if (!(r->ram[REG_B] & B_SET)) {
		now(r, &tm);
		raise_flag(r, C_UF);
		if (alarm_field(r, SECONDS_ALARM, encode(r, tm.tm_sec)) &&
		    alarm_field(r, MINUTES_ALARM, encode(r, tm.tm_min)) &&
		    alarm_field(r, HOURS_ALARM, encode_hour(r, tm.tm_hour)))
			raise_flag(r, C_AF);
	}
}

static void
on_period(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct rtc *r = arg;

	if (!bell_hush(fd))
		return;
	scoped_lock(&r->isa.lock);
	raise_flag(r, C_PF);
}

static void
describe_memory(struct rtc *r)
{
	uint64_t low = mem_low_size(&r->isa.vm->mem), high = mem_high_size(&r->isa.vm->mem);
	uint64_t kib = low > (1 << 20) ? (low - (1 << 20)) >> 10 : 0;
	uint64_t units = low > (16 << 20) ? (low - (16 << 20)) >> 16 : 0;

	if (kib > 0xffff)
		kib = 0xffff;
	r->ram[EXT_LOW] = r->ram[0x17] = (uint8_t)kib;
	r->ram[EXT_HIGH] = r->ram[0x18] = (uint8_t)(kib >> 8);
	r->ram[HIGH_LOW] = (uint8_t)units;
	r->ram[HIGH_HIGH] = (uint8_t)(units >> 8);
	for (unsigned i = 0; i < 3; i++)
		r->ram[ABOVE_4G + i] = (uint8_t)(high >> (16 + 8 * i));
	r->ram[0x15] = 640 & 0xff;
	r->ram[0x16] = 640 >> 8;
	r->ram[CPUS] = (uint8_t)(r->isa.vm->topology.cpus - 1);
}

/* The battery's half lives on with the machine; the time is the host's, plus the guest's offset. */
static void
rtc_state(void *arg, struct state *s)
{
	struct rtc *r = arg;
	const struct tm *h = &r->held;
	int held[] = {h->tm_sec, h->tm_min, h->tm_hour, h->tm_mday, h->tm_mon, h->tm_year};

	STATE(s, r->ram, r->index, r->offset, held);
	if (!state_loading(s) || !state_require(s, r->index < sizeof(r->ram), "the index"))
		return;
	r->held = (struct tm){.tm_sec = held[0], .tm_min = held[1], .tm_hour = held[2],
			      .tm_mday = held[3], .tm_mon = held[4], .tm_year = held[5]};
	timers_update(r);
	irq_pin_set(&r->isa.pin, r->ram[REG_C] & C_IRQF);
}

static void
rtc_done(void *arg)
{
	struct rtc *r = arg;

	event_source_free(r->second_src);
	event_source_free(r->period_src);
	cleanup_closep(&r->second_fd);
	cleanup_closep(&r->period_fd);
}

static int
rtc_create(struct vm *vm, struct error *err)
{
	struct rtc *r = isa_new(vm, "rtc", sizeof(*r), rtc_state, rtc_done);
	int e;

	r->isa.pin.gsi = RTC_IRQ;
	r->ram[REG_A] = A_DEFAULT;
	r->ram[REG_B] = B_24H;
	describe_memory(r);
	r->second_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	r->period_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	isa_add_range(r, &vm->pio, 0x70, 2, rtc_read, rtc_write);
	if (r->second_fd < 0 || r->period_fd < 0)
		return error_set_errno(err, errno, "timerfd");
	/* With TZ set, libc reads the zone's file now and never again: vcpus may not open files. */
	setenv("TZ", ":/etc/localtime", 0);
	tzset();
	e = config_bool(vm->config, "rtc.use_localtime", true, &r->local, err);
	if (e == 0 && vm->loop)
		e = event_add_fd(vm->loop, r->second_fd, EPOLLIN, on_second, r, &r->second_src, err);
	if (e == 0 && vm->loop)
		e = event_add_fd(vm->loop, r->period_fd, EPOLLIN, on_period, r, &r->period_src, err);
	return e;
}

static void
rtc_asl(struct vm *vm, struct strbuf *b)
{
	strbuf_addf(b, "Device(RTC_) { Name(_HID, EisaId(\"PNP0B00\"))"
		    "Name(_CRS, ResourceTemplate() {"
		    "IO(Decode16, 0x70, 0x70, 1, 2) IRQNoFlags() {%u} }) }", RTC_IRQ);
}

const struct isa_class isa_class_rtc = {.name = "rtc", .create = rtc_create, .asl = rtc_asl};
