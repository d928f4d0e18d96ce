/*
 * The commands as an operator types them, in a global zone of their own: what
 * they print, word for word, and their exit status.
 */
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"
#include "os/run.h"

static void
setup(void)
{
	struct error err = ERROR_INIT;

	if (geteuid() != 0)
		test_skip("needs root: BPF, network namespaces");
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		test_skip("no network namespaces here");
	require(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	require(mount("test", "/run", "tmpfs", 0, NULL) == 0);
	check_ok(file_mkdir_p("/run/atoll", 0755, &err), &err);
}

/* Runs "dladm show-vnic -p ..." of the build tree; want_status and, if not NULL, its output. */
static void
expect(int line, const char *command, int want_status, const char *want)
{
	cleanup_strv struct strv argv = STRV_INIT;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *out = NULL, *program = NULL;
	int status = -1;

	strv_words(&argv, command, " ");
	program = str_printf("src/net/%s", argv.v[0]);
	free(argv.v[0]);
	argv.v[0] = xstrdup(test_built(program));
	check_ok(run_capture((const char *const *)argv.v, &out, &status, &err), &err);
	if (status != want_status)
		test_fail(__FILE__, line, "%s: exit status %d, not %d", command, status, want_status);
	if (want && !str_eq(out, want))
		test_fail(__FILE__, line, "%s: printed\n%s", command, out ? out : "");
}
#define EXPECT(command, status, want) expect(__LINE__, command, status, want)

TEST(dladm_life_of_a_vnic)
{
	setup();
	EXPECT("dladm create-etherstub -t stub0", 0, "");
	EXPECT("dladm create-etherstub stub0", 1, "");
	EXPECT("dladm create-vnic -t -l stub0 -m 2:8:20:a:b:c -v 5 -p mtu=1400,maxbw=100M v0", 0, "");
	EXPECT("dladm create-vnic -l stub0 v0", 1, "");
	EXPECT("dladm create-vnic -l nic9 v1", 1, "");
	EXPECT("dladm create-vnic -l stub0 -m zz v1", 1, "");
	EXPECT("dladm create-vnic -l stub0 -v 4095 v1", 1, "");
	EXPECT("dladm create-vnic v1", 2, "");
	EXPECT("dladm show-vnic", 0,
	       "LINK         OVER         SPEED MACADDRESS        MACADDRTYPE VID  ZONE\n"
	       "v0           stub0        0     2:8:20:a:b:c      fixed       5    --\n");
	EXPECT("dladm show-vnic -p -o link,macaddress,vid", 0, "v0:2\\:8\\:20\\:a\\:b\\:c:5\n");
	EXPECT("dladm show-vnic -po macaddress v0", 0, "2:8:20:a:b:c\n");
	EXPECT("dladm show-vnic -p", 1, "");
	EXPECT("dladm show-vnic -o nothing", 2, "");
	EXPECT("dladm show-vnic v7", 1, "");
	EXPECT("dladm show-link", 0,
	       "LINK         CLASS     MTU    STATE    BRIDGE     OVER\n"
	       "stub0        etherstub 9000   unknown  --         --\n"
	       "v0           vnic      1400   up       --         stub0\n");
	EXPECT("dladm set-linkprop -t -p protection=ip-nospoof,restricted,allowed-ips=10.0.0.1,10.1.0.0/16 v0",
	       0, "");
	EXPECT("dladm show-linkprop -c -o property,value -p mtu,maxbw,protection,allowed-ips v0", 0,
	       "mtu:1400\nmaxbw:100\nprotection:restricted,ip-nospoof\n"
	       "allowed-ips:10.0.0.1,10.1.0.0/16\n");
	EXPECT("dladm set-linkprop -p frob=1 v0", 1, "");
	EXPECT("dladm set-linkprop -p speed=1 v0", 1, "");
	EXPECT("dladm set-linkprop -p mtu=9001 v0", 1, "");
	EXPECT("dladm set-linkprop -p maxbw=1K v0", 1, "");
	EXPECT("dladm reset-linkprop -p protection,maxbw v0", 0, "");
	EXPECT("dladm show-linkprop -c -o value -p protection,maxbw v0", 0, "\n\n");
	EXPECT("dladm delete-etherstub stub0", 1, "");
	EXPECT("dladm rename-link v0 w0", 0, "");
	EXPECT("dladm delete-vnic v0", 1, "");
	EXPECT("dladm delete-vnic -t w0", 0, "");
	EXPECT("dladm delete-etherstub stub0", 0, "");
	EXPECT("dladm show-etherstub", 0, "LINK\n");
	EXPECT("dladm frob", 2, "");
}

TEST(ipadm_and_route)
{
	setup();
	EXPECT("dladm create-etherstub stub0", 0, "");
	EXPECT("dladm create-vnic -l stub0 v0", 0, "");
	EXPECT("ipadm create-addr -t -T static -a 10.0.0.5/24 v0/v4", 0, "");
	EXPECT("ipadm create-addr -a local=10.0.1.5 v0/other", 0, "");
	EXPECT("ipadm create-addr -a 10.0.0.5/24 v0/v4", 1, "");
	EXPECT("ipadm create-addr -a 10.0.0.500/24 v0/v5", 1, "");
	EXPECT("ipadm create-addr -a 10.0.0.7/24 ../v5", 1, "");
	EXPECT("ipadm create-addr -T magic v0/v5", 1, "");
	EXPECT("ipadm create-addr", 2, "");
	EXPECT("ipadm show-addr -p -o addrobj,type,state,addr v0/v4", 0,
	       "v0/v4:static:ok:10.0.0.5/24\n");
	EXPECT("ipadm show-addr -po addr v0/other", 0, "10.0.1.5/8\n");
	EXPECT("ipadm down-addr v0/other", 0, "");
	EXPECT("ipadm show-addr -po state v0/other", 0, "down\n");
	EXPECT("ipadm delete-addr v0/other", 0, "");
	EXPECT("ipadm delete-addr v0/other", 1, "");
	EXPECT("route add default 10.0.0.1", 0, "add net default: gateway 10.0.0.1\n");
	EXPECT("route add default 10.0.0.1", 1, "");
	EXPECT("route -p add -net 10.2.0.0/16 10.0.0.2", 0, "add net 10.2.0.0/16: gateway 10.0.0.2\n");
	EXPECT("route delete 10.9.0.0/16", 1, "");
	EXPECT("route add 10.2.0.0/16", 2, "");
	EXPECT("route flush", 0,
	       "delete net default: gateway 10.0.0.1\ndelete net 10.2.0.0/16: gateway 10.0.0.2\n");
	EXPECT("ipadm delete-if v0", 0, "");
	EXPECT("ipadm show-addr v0/v4", 1, "");
}
