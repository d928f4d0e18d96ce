/* The TPM's registers, with swtpm behind them where it is installed and a server of our own. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "base/test.h"
#include "vmm/isa/isa.h"
#include "vmm/vm.h"

#define TPM 0xfed40000ULL

static struct config *config;
static struct vm *vm;

static uint32_t
get(unsigned at)
{
	uint64_t v = 0;

	require(bus_read(&vm->mmio, TPM + at, 4, &v));
	return (uint32_t)v;
}

static void
set(unsigned at, uint32_t v)
{
	require(bus_write(&vm->mmio, TPM + at, 4, v));
}

/* The machine, or a negative errno: swtpm may not listen yet. */
static int
attach(const char *path)
{
	cleanup_error struct error err = ERROR_INIT;
	int r;

	config = config_new();
	check_ok(config_set(config, "lpc.tpm.type", "swtpm", &err), &err);
	check_ok(config_set(config, "lpc.tpm.path", path, &err), &err);
	check_ok(vm_new_fake(config, 8 << 20, &vm, &err), &err);
	r = isa_create_all(vm, &err);
	if (r < 0) {
		vm_free(vm);
		config_free(config);
	}
	return r;
}

static void
detach(void)
{
	vm_free(vm);
	config_free(config);
}

/* Runs a command as a driver does; the answer's code, its bytes in answer. */
static uint32_t
command(const uint8_t *cmd, size_t len, uint8_t answer[64])
{
	time_t end = time(NULL) + 20;

	set(0x08, 1);
	check_int(get(0x0c), ==, 1);
	set(0x40, 1);
	check_int(get(0x44) & 2, ==, 0);
	for (size_t i = 0; i < len; i++)
		bus_write(&vm->mmio, TPM + 0x80 + i, 1, cmd[i]);
	set(0x4c, 1);
	while (get(0x4c) && time(NULL) <= end)
		sched_yield();
	check_int(get(0x4c), ==, 0);
	for (unsigned i = 0; i < 64; i++) {
		uint64_t v;

		bus_read(&vm->mmio, TPM + 0x80 + i, 1, &v);
		answer[i] = (uint8_t)v;
	}
	set(0x40, 2);
	return (uint32_t)answer[6] << 24 | (uint32_t)answer[7] << 16 | (uint32_t)answer[8] << 8 |
	       answer[9];
}

static const uint8_t get_random[] = {0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 8};

TEST(a_software_tpm_answers)
{
	cleanup_free char *path = str_printf("%s/sock", test_tmpdir());
	cleanup_free char *server = str_printf("type=unixio,path=%s", path);
	cleanup_free char *state = str_printf("dir=%s", test_tmpdir());
	char *argv[] = {(char *)"swtpm", (char *)"socket", (char *)"--tpm2", (char *)"--tpmstate",
			state, (char *)"--server", server, (char *)"--flags",
			(char *)"not-need-init,startup-clear", NULL};
	char *env[] = {(char *)"PATH=/usr/bin:/bin", NULL};
	time_t end = time(NULL) + 20;
	uint8_t a[64];
	pid_t pid;
	int r;

	if (access("/usr/bin/swtpm", X_OK) < 0)
		test_skip("swtpm is not installed");
	require(posix_spawn(&pid, "/usr/bin/swtpm", NULL, NULL, argv, env) == 0);
	while ((r = attach(path)) < 0 && time(NULL) <= end)
		sched_yield();
	require(r == 0);
	check_int(get(0x30) & 0xf, ==, 1);
	check_int(command(get_random, sizeof(get_random), a), ==, 0);
	check_int(a[5], ==, 20);
	check_int(a[11], ==, 8);
	/* A command it does not know. */
	check_int(command((const uint8_t[]){0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0}, 10, a), ==, 0x143);
	detach();
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
}

static void *
liar(void *arg)
{
	int fd = accept(*(int *)arg, NULL, NULL);
	uint8_t b[64];

	/* First an answer in two parts, then one that claims to be longer than any. */
	if (read(fd, b, sizeof(b)) > 0 && write(fd, "\x80\1\0\0\0\x0c\0", 7) == 7 &&
	    write(fd, "\0\0\0ok", 5) == 5 && read(fd, b, sizeof(b)) > 0 &&
	    write(fd, "\x80\1\xff\xff\xff\xff\0\0\0\0", 10) == 10)
		while (read(fd, b, sizeof(b)) > 0)
			;
	close(fd);
	return NULL;
}

TEST(a_lying_back_end_is_an_error)
{
	cleanup_free char *path = str_printf("%s/liar", test_tmpdir());
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	pthread_t thread;
	uint8_t a[64];

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	require(bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 && listen(fd, 1) == 0);
	require(pthread_create(&thread, NULL, liar, &fd) == 0);
	require(attach(path) == 0);
	check_int(command(get_random, sizeof(get_random), a), ==, 0);
	check(memcmp(a + 10, "ok", 2) == 0);
	check_int(command(get_random, sizeof(get_random), a), ==, 0x101);
	check_int(get(0x44) & 1, ==, 1);
	/* A command longer than the buffer never leaves. */
	check_int(command((const uint8_t[]){0x80, 1, 0xff, 0, 0, 0}, 6, a), ==, 0x101);
	vm_pause(vm);
	vm_resume(vm);
	detach();
	pthread_join(thread, NULL);
	close(fd);
}
