/* A debugger of a few lines against a tiny guest on the host's /dev/kvm. */
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sock.h"
#include "base/str.h"
#include "base/test.h"
#include "vmm/fixture_test.h"
#include "vmm/gdb.h"

struct session {
	struct machine m;
	int fd;
};

/* 1000: inc ebx; 1001: mov [0x3000],ebx; 1007: jmp 1000 */
static const uint8_t code[] = {0x43, 0x89, 0x1d, 0, 0x30, 0, 0, 0xeb, 0xf7};

static struct session
session(void)
{
	struct session s = {.m = machine_kvm("memory.size=2M"), .fd = -1};
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *address = free_address();

	require(mem_write(&s.m.vm->mem, 0x1000, code, sizeof(code)));
	check_ok(vcpu_set_entry(&s.m.vm->vcpu[0],
				&(struct vcpu_entry){.mode = ENTRY_FLAT32, .rip = 0x1000,
						     .rbx = 0x1234},
				&err),
		 &err);
	check_ok(gdb_start(s.m.vm, address, true, &err), &err);
	check_ok(vm_start(s.m.vm, &err), &err);
	check_ok(sock_tcp_connect(address, 10, &s.fd, &err), &err);
	return s;
}

static void
end(struct session *s)
{
	close(s->fd);
	vm_end(s->m.vm, VM_END_POWEROFF, NULL);
	vm_wait(s->m.vm);
	drop(&s->m);
}

/* Runs the machine's loop until a whole packet came; gives what is in it. */
static const char *
packet(struct session *s)
{
	static char buf[8192];
	size_t len = 0;

	for (;;) {
		ssize_t n = recv(s->fd, buf + len, sizeof(buf) - len - 1, MSG_DONTWAIT);
		char *begin, *end;

		len += n > 0 ? (size_t)n : 0;
		buf[len] = '\0';
		begin = strchr(buf, '$');
		end = begin ? strchr(begin, '#') : NULL;
		if (end && strlen(end) >= 3) {
			*end = '\0';
			return begin + 1;
		}
		require(n != 0);
		event_step(s->m.loop, 10);
	}
}

static void
say(struct session *s, const char *text)
{
	uint8_t sum = 0;

	for (const char *p = text; *p; p++)
		sum += (uint8_t)*p;

	cleanup_free char *p = str_printf("$%s#%02x", text, sum);

	require(write(s->fd, p, strlen(p)) == (ssize_t)strlen(p));
}

static const char *
ask(struct session *s, const char *text)
{
	say(s, text);
	return packet(s);
}

TEST(registers_and_memory_are_read_and_written)
{
	struct session s = session();
	char rest[400];

	check_has(ask(&s, "qSupported:multiprocess+"), "PacketSize=");
	check_has(ask(&s, "qXfer:features:read:target.xml:0,ffb"), "i386:x86-64");
	check_str(ask(&s, "?"), "T05thread:1;");
	check_str(ask(&s, "qfThreadInfo"), "m1");
	check_str(ask(&s, "m1000,4"), "43891d00");
	check_str(ask(&s, "M1800,2:beef"), "OK");
	check_str(ask(&s, "m1800,2"), "beef");
	check_str(ask(&s, "m80000000,4"), "E14");
	check_str(ask(&s, "m1000"), "E22");
	check_str(ask(&s, "vMustReplyEmpty"), "");
	check_str(ask(&s, "Hg2"), "E01");

	const char *g = ask(&s, "g");

	check_int(strlen(g), ==, 2 * 164);
	check(memcmp(g + 16, "3412000000000000", 16) == 0);
	check(memcmp(g + 16 * 16, "0010000000000000", 16) == 0);
	snprintf(rest, sizeof(rest), "G%s", g);
	memcpy(rest + 1 + 16, "7856", 4);
	check_str(ask(&s, rest), "OK");
	check(memcmp(ask(&s, "g") + 16, "7856000000000000", 16) == 0);
	end(&s);
}

TEST(interrupt_and_continue)
{
	struct session s = session();
	volatile uint32_t *counter = mem_ptr(&s.m.vm->mem, 0x3000, 4);
	uint32_t at;

	check_str(ask(&s, "?"), "T05thread:1;");
	check_int(*counter, ==, 0);
	say(&s, "c");
	while (*counter < 0x1240)
		event_step(s.m.loop, 10);
	require(write(s.fd, "\3", 1) == 1);
	check_str(packet(&s), "T02thread:1;");
	at = *counter;
	usleep(2000);
	check_int(*counter, ==, at);
	/* A debugger that leaves lets the guest go on. */
	check_str(ask(&s, "D"), "OK");
	while (*counter == at)
		event_step(s.m.loop, 10);
	end(&s);
}

/* The build machine's paravirtual KVM may have no debug registers to give. */
TEST(breakpoints_and_steps)
{
	struct session s = session();
	uint8_t byte;

	check_str(ask(&s, "Z0,1007,1"), "OK");
	check(mem_read(&s.m.vm->mem, 0x1007, &byte, 1) && byte == 0xcc);

	const char *hit;

	say(&s, "c");
	for (int i = 0; i < 200 && !s.m.vm->vcpu[0].stopped && !vm_ended(s.m.vm); i++)
		event_step(s.m.loop, 10);
	if (!s.m.vm->vcpu[0].stopped) {
		char *message = s.m.vm->end_message;

		printf("# %s\n", message ? message : "no breakpoint was met");
		end(&s);
		test_skip("this KVM hands no breakpoints over");
	}
	hit = packet(&s);
	check_str(hit, "T05thread:1;");
	check(memcmp(ask(&s, "g") + 16 * 16, "0710", 4) == 0);
	check_str(ask(&s, "z0,1007,1"), "OK");
	check(mem_read(&s.m.vm->mem, 0x1007, &byte, 1) && byte == 0xeb);
	check_str(ask(&s, "s"), "T05thread:1;");
	check(memcmp(ask(&s, "g") + 16 * 16, "0010", 4) == 0);
	end(&s);
}

TEST(nonsense_is_survived)
{
	static const char *const words[] = {"", "Z", "Z9,1,1", "Z0,", "Z0,ffffffffffffffff,1", "z0,5,1",
					    "m,", "mffffffffffffffff,ffff", "M1000,ffffffff:00", "M10",
					    "G00", "H", "Hg", "Hgffffffffffff", "T", "qXfer:features:read:target.xml:1,1",
					    "q", "Z2,1001,4", "Z3,1000,4", "Z1,1000,1", "z1,1000,1"};
	struct session s = session();

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		check(ask(&s, words[i]) != NULL);
	check_str(ask(&s, "m1000,2"), "4389");
	end(&s);
}
