#include "vmm/fixture_test.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "base/test.h"
#include "vmm/isa/isa.h"

static struct machine
configured(const char *keys)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv lines = STRV_INIT;
	struct machine m = {.config = config_new()};

	strv_words(&lines, keys, "\n");
	for (size_t i = 0; i < lines.n; i++)
		check_ok(config_parse(m.config, lines.v[i], &err), &err);
	check_ok(event_new(&m.loop, &err), &err);
	return m;
}

struct machine
machine(const char *keys)
{
	cleanup_error struct error err = ERROR_INIT;
	struct machine m = configured(keys);

	check_ok(vm_new_fake(m.config, 8 << 20, &m.vm, &err), &err);
	require(m.vm);
	m.vm->loop = m.loop;
	check_ok(isa_create_all(m.vm, &err), &err);
	check_ok(pci_create_all(m.vm, &err), &err);
	return m;
}

struct machine
machine_kvm(const char *keys)
{
	cleanup_error struct error err = ERROR_INIT;
	struct machine m;

	if (access("/dev/kvm", R_OK | W_OK) != 0)
		test_skip("no usable /dev/kvm here");
	m = configured(keys);
	check_ok(vm_new(m.config, m.loop, &m.vm, &err), &err);
	require(m.vm);
	return m;
}

void
drop(struct machine *m)
{
	vm_free(m->vm);
	event_free(m->loop);
	config_free(m->config);
}

char *
free_address(void)
{
	cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);

	require(bind(fd, (struct sockaddr *)&sa, len) == 0);
	require(getsockname(fd, (struct sockaddr *)&sa, &len) == 0);
	return str_printf("127.0.0.1:%u", ntohs(sa.sin_port));
}
