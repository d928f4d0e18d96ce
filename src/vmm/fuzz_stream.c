/*
 * libFuzzer target: hostile peers at the machine's sockets.  The first byte chooses: a node that
 * sends a machine (migrate.c; bit 1 begins the stream as it should be), a VNC client (bit 0), or a
 * debugger (bit 2).
 * fuzz_stream_test.c runs it with made-up input.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/event.h"
#include "base/file.h"
#include "base/sock.h"
#include "base/str.h"
#include "vmm/gdb.h"
#include "vmm/isa/isa.h"
#include "vmm/migrate.h"
#include "vmm/pci.h"
#include "vmm/vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM (2ULL << 20)

static char place[] = "/tmp/fuzz_stream.XXXXXX";

static void
leave_place(void)
{
	file_remove_tree(place, NULL);
}

struct peer {
	char *path;
	const uint8_t *data;
	size_t size;
	bool polite;
};

/* What it may read of the answer it does not; the socket takes all of what is small. */
static int
speak(const struct peer *p)
{
	static const uint64_t hello[3] = {1, 0x3147494d4c4f5441, RAM};
	int fd = -1;

	while (sock_unix_connect(p->path, SOCK_STREAM, &fd, NULL) < 0)
		usleep(100);
	if (p->polite)
		(void)!send(fd, hello, sizeof(hello), MSG_NOSIGNAL);
	(void)!send(fd, p->data, p->size, MSG_NOSIGNAL);
	return fd;
}

static void *
peer_thread(void *arg)
{
	close(speak(arg));
	return NULL;
}

static void
receive(struct vm *vm, struct peer *p)
{
	cleanup_free char *address = str_printf("unix=%s", p->path);
	pthread_t t;

	if (pthread_create(&t, NULL, peer_thread, p) != 0)
		abort();
	vm_pause(vm);
	(void)migrate_receive(vm, address, NULL);
	pthread_join(t, NULL);
}

static void
look(struct event_loop *loop, const struct peer *p)
{
	int fd = speak(p);
	char answer[4096];

	shutdown(fd, SHUT_WR);
	for (unsigned i = 0; i < 200 && event_step(loop, 0) >= 0; i++)
		if (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) == 0)
			break;
	close(fd);
	event_step(loop, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct event_loop *loop;
	struct config *c = config_new();
	struct vm *vm = NULL;
	uint8_t what = size ? *data : 0;
	struct peer p = {.data = data + (size > 0), .size = size - (size > 0), .polite = what & 2};
	bool gdb = what & 4, vnc = !gdb && (what & 1);

	/* The last of the letters that are chosen may be an X, too. */
	if (str_after(place, "/tmp/fuzz_stream.XXXXXX")) {
		if (!mkdtemp(place))
			abort();
		atexit(leave_place);
	}
	p.path = str_printf("%s/%s", place, gdb ? "gdb" : vnc ? "vnc" : "move");

	cleanup_free char *unix_key = str_printf("pci.0.3.0.unix=%s", vnc ? p.path : "");
	const char *keys[] = {"name=fuzz", "lpc.com1.path=file,/dev/null", "pci.0.2.0.device=virtio-rnd",
			      vnc ? "pci.0.3.0.device=fbuf" : NULL, unix_key, "pci.0.3.0.w=640",
			      "pci.0.3.0.h=480"};

	for (size_t i = 0; i < ARRAY_SIZE(keys) && keys[i]; i++)
		if (config_parse(c, keys[i], NULL) < 0)
			abort();
	if (p.size > 65536 || event_new(&loop, NULL) < 0 || vm_new_fake(c, RAM, &vm, NULL) < 0)
		abort();
	vm->loop = loop;
	if (isa_create_all(vm, NULL) < 0 || pci_create_all(vm, NULL) < 0 ||
	    pci_assign(vm, true, NULL) < 0)
		abort();
	if (gdb) {
		cleanup_free char *address = str_printf("unix=%s", p.path);

		/* A processor that answers nothing. */
		vm->vcpu = xcalloc(1, sizeof(*vm->vcpu));
		*vm->vcpu = (struct vcpu){.vm = vm, .fd = -1};
		if (gdb_start(vm, address, false, NULL) < 0)
			abort();
	}
	if (vnc || gdb) {
		p.polite = false;
		look(loop, &p);
	} else {
		receive(vm, &p);
	}
	vm_free(vm);
	event_free(loop);
	config_free(c);
	free(p.path);
	return 0;
}
