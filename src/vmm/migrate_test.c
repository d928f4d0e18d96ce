/*
 * Tiny guests on the host's /dev/kvm go into files and over TCP, and come out
 * with every page they wrote.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/sock.h"
#include "base/str.h"
#include "base/test.h"
#include "vmm/dirty.h"
#include "vmm/fixture_test.h"
#include "vmm/migrate.h"
#include "vmm/snapshot.h"

#define PAGES 64
#define AT 0x100000

/* l: inc ebx; esi = (ebx & 63) << 12; mov [esi + AT], ebx; jmp l */
static const uint8_t code[] = {0x43, 0x89, 0xde, 0x83, 0xe6, 0x3f, 0xc1, 0xe6, 0x0c,
			       0x89, 0x9e, 0,	 0,    0x10, 0,	   0xeb, 0xef};

static uint32_t
page(struct vm *vm, unsigned i)
{
	return __atomic_load_n((uint32_t *)mem_ptr(&vm->mem, AT + i * 4096, 4), __ATOMIC_RELAXED);
}

static void
start(struct vm *vm)
{
	cleanup_error struct error err = ERROR_INIT;

	require(mem_write(&vm->mem, 0x1000, code, sizeof(code)));
	check_ok(vcpu_set_entry(&vm->vcpu[0],
				&(struct vcpu_entry){.mode = ENTRY_FLAT32, .rip = 0x1000}, &err),
		 &err);
	check_ok(vm_start(vm, &err), &err);
	while (page(vm, 1) < 10 * PAGES)
		sched_yield();
}

/* The guest wrote every page in turn: no page may be older than a turn. */
static void
check_pages(struct vm *vm, uint32_t at_least)
{
	uint32_t max = 0, min = UINT32_MAX;

	for (unsigned i = 0; i < PAGES; i++) {
		uint32_t v = page(vm, i);

		check_int(v % PAGES, ==, i);
		max = v > max ? v : max;
		min = v < min ? v : min;
	}
	check_int(max - min, <, PAGES);
	check_int(max, >=, at_least);
}

/* Runs a machine that was taken over until it has gone on for a while. */
static void
go_on(struct vm *vm, uint32_t from)
{
	cleanup_error struct error err = ERROR_INIT;

	check_pages(vm, from);
	check_ok(vm_start(vm, &err), &err);
	vm_resume(vm);
	while (page(vm, 1) < from + 10 * PAGES && !vm_ended(vm))
		sched_yield();
	vm_pause(vm);
	check_pages(vm, from + 5 * PAGES);
	vm_end(vm, VM_END_POWEROFF, NULL);
	check_int(vm_wait(vm), ==, VM_END_POWEROFF);
}

TEST(a_snapshot_holds_the_guest)
{
	cleanup_free char *path = str_printf("%s/snapshot", test_tmpdir());
	cleanup_error struct error err = ERROR_INIT;
	struct machine a = machine_kvm("name=guest\nmemory.size=4M"), b = machine_kvm("name=guest\nmemory.size=4M");
	struct stat st;
	uint64_t bytes = 0;
	uint32_t at;

	start(a.vm);
	vm_pause(a.vm);
	at = page(a.vm, 1);
	check_ok(snapshot_save(a.vm, path, &bytes, &err), &err);
	/* What the guest touched, and no more. */
	check(bytes >= PAGES * 4096UL && bytes < (2UL << 20));
	check(stat(path, &st) == 0 && (uint64_t)st.st_blocks * 512 < (3UL << 20));
	/* The guest here goes on and changes nothing in the file. */
	vm_resume(a.vm);
	while (page(a.vm, 1) < at + 10 * PAGES)
		sched_yield();
	drop(&a);
	vm_pause(b.vm);
	check_ok(snapshot_load(b.vm, path, &err), &err);
	check_int(page(b.vm, 1), ==, at);
	go_on(b.vm, at - PAGES);
	drop(&b);
}

TEST(a_snapshot_knows_its_configuration)
{
	cleanup_free char *path = str_printf("%s/snapshot", test_tmpdir());
	cleanup_error struct error err = ERROR_INIT;
	cleanup_config struct config *c = config_new();
	struct machine a = machine_kvm("name=guest\nmemory.size=4M"), b = machine_kvm("name=guest\nmemory.size=6M");
	uint64_t bytes;

	vm_pause(a.vm);
	check_ok(snapshot_save(a.vm, path, &bytes, &err), &err);
	check_ok(config_set(c, "name", "other", &err), &err);
	check_ok(snapshot_config(path, c, &err), &err);
	check_str(config_get(c, "memory.size", NULL), "4M");
	check_str(config_get(c, "name", NULL), "other");
	vm_pause(b.vm);
	check_int(snapshot_load(b.vm, path, &err), ==, -EINVAL);
	check_has(error_message(&err), "a machine of 4M; this one has 6M");
	drop(&a);
	drop(&b);
}

TEST(a_damaged_snapshot_is_refused)
{
	cleanup_free char *path = str_printf("%s/snapshot", test_tmpdir());
	cleanup_config struct config *c = config_new();
	static const struct {
		long at, value; /* value -1: the file is cut here */
		const char *message;
	} rows[] = {
		{0, 'x', "not a snapshot"},   {8, 9, "a snapshot of version 9; this reads 1"},
		{20, 0xff, "is damaged"},     {24, 1, "is damaged"},
		{39, 0xff, "is damaged"},     {100, -1, "is damaged"},
		{20, -1, "not a snapshot"},
	};
	struct machine a = machine_kvm("name=guest\nmemory.size=4M");
	uint64_t bytes;

	vm_pause(a.vm);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_error struct error err = ERROR_INIT;
		uint8_t byte = (uint8_t)rows[i].value;

		check_ok(snapshot_save(a.vm, path, &bytes, &err), &err);

		cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);

		if (rows[i].value < 0)
			check(ftruncate(fd, rows[i].at) == 0);
		else
			check(pwrite(fd, &byte, 1, rows[i].at) == 1);
		check(snapshot_config(path, c, &err) < 0);
		check_has(error_message(&err), rows[i].message);
	}
	drop(&a);
}

static int
count_pages(void *arg, uint64_t gpa, const uint8_t *hva, uint64_t len, struct error *err)
{
	*(uint64_t *)arg += len / 4096;
	return 0;
}

/* Whoever writes: here it is this process, as a device would. */
TEST(written_pages_are_found_once)
{
	cleanup_config struct config *c = config_new();
	cleanup_error struct error err = ERROR_INIT;
	struct dirty d = DIRTY_INIT;
	struct vm *vm = NULL;
	uint64_t n = 0;
	int r;

	check_ok(config_set(c, "memory.thp", "false", &err), &err);
	check_ok(vm_new_fake(c, 4 << 20, &vm, &err), &err);
	require(mem_write(&vm->mem, 0x3000, "x", 1));
	r = dirty_open(&d, &vm->mem, true, &err);
	if (r < 0)
		test_skip("%s", error_message(&err));
	check_ok(dirty_walk(&d, count_pages, &n, &err), &err);
	check_int(n, ==, 1);
	n = 0;
	check_ok(dirty_walk(&d, count_pages, &n, &err), &err);
	check_int(n, ==, 0);
	require(mem_write(&vm->mem, 0x3000, "y", 1));
	require(mem_write(&vm->mem, 0x200fff, "yz", 2));
	check_ok(dirty_walk(&d, count_pages, &n, &err), &err);
	check_int(n, ==, 3);
	dirty_close(&d);
	vm_free(vm);
}

/* ---- migration ---- */

struct receiver {
	struct vm *vm;
	char *address;
	int result;
	struct error err;
	pthread_t thread;
};

static void *
receive(void *arg)
{
	struct receiver *r = arg;

	vm_pause(r->vm);
	r->result = migrate_receive(r->vm, r->address, &r->err);
	return NULL;
}

static void
on_done(void *arg, const struct migrate_status *status)
{
	*(struct migrate_status *)arg = *status;
}

/* The receiver may not listen yet. */
static int
send_to(struct vm *vm, const char *address, struct migrate_status *done, struct error *err)
{
	for (;;) {
		int r = migrate_start(vm, address, 1000, on_done, done, err);

		if (r != -ECONNREFUSED)
			return r;
		error_done(err);
		usleep(1000);
	}
}

static void
wait_done(struct machine *m, const struct migrate_status *done)
{
	while (done->state == MIGRATE_COPYING)
		event_step(m->loop, 100);
}

TEST(a_stream_to_other_nodes_is_said_to_be_one)
{
	static const struct {
		const char *address, *plain;
		bool refused;
	} rows[] = {{"192.0.2.1:9", "false", true}, {"tcp=[2001:db8::1]:9", "false", true},
		    {"127.0.0.1:1", "false", false}, {"tcp=[::1]:1", "false", false},
		    {"unix=/nowhere/x", "false", false}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_error struct error err = ERROR_INIT;
		struct machine m = machine("name=guest");

		check(migrate_start(m.vm, rows[i].address, 100, NULL, NULL, &err) < 0);
		check_int(strstr(error_message(&err), "ssh") != NULL, ==, rows[i].refused);
		drop(&m);
	}
}

TEST(a_disk_of_this_node_stays)
{
	cleanup_free char *path = str_printf("%s/disk", test_tmpdir());
	static const char *const options[] = {"", "pci.0.4.0.ro=true", "pci.0.4.0.shared=true"};

	static const char zeros[4096];

	require(file_write_atomic(path, zeros, sizeof(zeros), 0600, NULL) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		cleanup_error struct error err = ERROR_INIT;
		cleanup_strbuf struct strbuf state = STRBUF_INIT;
		cleanup_free char *keys = str_printf("pci.0.4.0.device=nvme\npci.0.4.0.path=%s\n%s",
						     path, options[i]);
		struct machine m = machine(keys);

		vm_pause(m.vm);
		check_int(state_save_moving(m.vm, &state, &err), ==, i == 0 ? -ENOTSUP : 0);
		if (i == 0)
			check_has(error_message(&err), "shared");
		drop(&m);
	}
}

/* As with bhyvectl migrate NAME -- ssh -W PATH NODE: somebody else made the connection. */
TEST(a_guest_migrates_over_a_descriptor)
{
	cleanup_error struct error err = ERROR_INIT;
	struct machine a = machine_kvm("name=guest\nmemory.size=4M"), b = machine_kvm("name=guest\nmemory.size=4M");
	cleanup_free char *path = str_printf("%s/move", test_tmpdir());
	struct receiver to = {.vm = b.vm, .address = str_printf("unix=%s", path)};
	struct migrate_status done = {.state = MIGRATE_COPYING};
	cleanup_close int fd = -1;

	start(a.vm);
	require(pthread_create(&to.thread, NULL, receive, &to) == 0);
	while (sock_unix_connect(path, SOCK_STREAM, &fd, NULL) < 0)
		usleep(1000);
	check_ok(migrate_start_fd(a.vm, fd, 1000, on_done, &done, &err), &err);
	cleanup_closep(&fd);
	wait_done(&a, &done);
	check_str(done.message, "");
	require(pthread_join(to.thread, NULL) == 0);
	check_ok(to.result, &to.err);
	check(access(path, F_OK) < 0);
	free(to.address);
	drop(&a);
	drop(&b);
}

TEST(a_guest_migrates_while_it_runs)
{
	cleanup_error struct error err = ERROR_INIT;
	struct machine a = machine_kvm("name=guest\nmemory.size=4M"), b = machine_kvm("name=guest\nmemory.size=4M");
	struct receiver to = {.vm = b.vm, .address = free_address()};
	struct migrate_status done = {.state = MIGRATE_COPYING};
	uint32_t at;

	start(a.vm);
	at = page(a.vm, 1);
	require(pthread_create(&to.thread, NULL, receive, &to) == 0);
	check_ok(send_to(a.vm, to.address, &done, &err), &err);
	wait_done(&a, &done);
	pthread_join(to.thread, NULL);
	check_ok(to.result, &to.err);
	check_int(done.state, ==, MIGRATE_DONE);
	check(done.round >= 3);
	printf("# %u rounds, %llu bytes, down for %llu us\n", done.round,
	       (unsigned long long)done.bytes, (unsigned long long)done.downtime_us);
	/* It ended here and has not moved since. */
	check_int(vm_wait(a.vm), ==, VM_END_POWEROFF);
	for (unsigned i = 0; i < PAGES; i++)
		check_int(page(a.vm, i), ==, page(b.vm, i));
	go_on(b.vm, at);
	drop(&a);
	drop(&b);
	free(to.address);
}

/* The guest stays here and runs on, and can be sent again. */
static void
check_stays(struct machine *a, const struct migrate_status *done, const char *message)
{
	uint32_t at;

	check_int(done->state, ==, MIGRATE_FAILED);
	check_has(done->message, message);
	check(!a->vm->paused && !vm_ended(a->vm));
	at = page(a->vm, 1);
	while (page(a->vm, 1) < at + 10 * PAGES)
		sched_yield();
	vm_pause(a->vm);
	check_pages(a->vm, at);
	vm_resume(a->vm);
}

TEST(a_machine_that_does_not_fit_is_refused)
{
	cleanup_error struct error err = ERROR_INIT;
	struct machine a = machine_kvm("name=guest\nmemory.size=4M"), b = machine_kvm("name=guest\nmemory.size=6M");
	struct receiver to = {.vm = b.vm, .address = free_address()};
	struct migrate_status done = {.state = MIGRATE_COPYING};

	start(a.vm);
	require(pthread_create(&to.thread, NULL, receive, &to) == 0);
	check_ok(send_to(a.vm, to.address, &done, &err), &err);
	wait_done(&a, &done);
	pthread_join(to.thread, NULL);
	check_int(to.result, ==, -EINVAL);
	check_has(error_message(&to.err), "a machine of 4M; this one has 6M");
	check_stays(&a, &done, "peer");
	drop(&a);
	drop(&b);
	free(to.address);
	error_done(&to.err);
}

/* A peer that takes so many bytes and hangs up. */
struct dying {
	char *address;
	size_t takes;
	pthread_t thread;
};

static void *
take_and_die(void *arg)
{
	struct dying *d = arg;
	cleanup_close int listening = -1;
	char buf[4096];

	require(sock_tcp_listen(d->address, 0, &listening, NULL) == 0);

	cleanup_close int fd = accept(listening, NULL, NULL);

	for (size_t n = 0; n < d->takes;) {
		ssize_t got = read(fd, buf, sizeof(buf) < d->takes - n ? sizeof(buf) : d->takes - n);

		if (got <= 0)
			break;
		n += (size_t)got;
	}
	return NULL;
}

TEST(when_the_peer_dies_the_guest_stays)
{
	/* In the greeting, in the first round, and waiting for READY or thereabouts. */
	static const size_t takes[] = {1, 100000, 400000, 700000};
	struct machine a = machine_kvm("name=guest\nmemory.size=4M");

	start(a.vm);
	for (size_t i = 0; i < ARRAY_SIZE(takes); i++) {
		cleanup_error struct error err = ERROR_INIT;
		struct dying d = {.address = free_address(), .takes = takes[i]};
		struct migrate_status done = {.state = MIGRATE_COPYING};

		require(pthread_create(&d.thread, NULL, take_and_die, &d) == 0);
		check_ok(send_to(a.vm, d.address, &done, &err), &err);
		wait_done(&a, &done);
		pthread_join(d.thread, NULL);
		check_stays(&a, &done, "peer");
		free(d.address);
	}
	drop(&a);
}

TEST(a_migration_can_be_cancelled)
{
	cleanup_error struct error err = ERROR_INIT;
	struct machine a = machine_kvm("name=guest\nmemory.size=4M");
	cleanup_free char *address = free_address();
	cleanup_close int listening = -1;
	struct migrate_status done = {.state = MIGRATE_COPYING}, now;

	start(a.vm);
	check_int(migrate_cancel(a.vm, &err), ==, -ENOENT);
	error_done(&err);
	check_int(migrate_status(a.vm, &now, &err), ==, -ENOENT);
	error_done(&err);
	/* Nobody ever reads: the sender fills the socket's buffers, or waits for READY. */
	check_ok(sock_tcp_listen(address, 0, &listening, &err), &err);
	check_ok(send_to(a.vm, address, &done, &err), &err);
	check_int(migrate_start(a.vm, address, 1000, on_done, &done, &err), ==, -EBUSY);
	error_done(&err);
	check_ok(migrate_cancel(a.vm, &err), &err);
	wait_done(&a, &done);
	check_int(done.state, ==, MIGRATE_FAILED);
	check(!a.vm->paused);
	drop(&a);
}
