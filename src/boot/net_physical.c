/* Method of svc:/network/physical and svc:/network/loopback. */
#include <unistd.h>

#include "base/file.h"
#include "boot/boot_params.h"
#include "boot/method.h"
#include "boot/net_apply.h"
#include "boot/net_plan.h"
#include "boot/system_pool.h"

static int
start(void)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_net_plan struct net_plan plan = NET_PLAN_INIT;
	cleanup_strv struct strv problems = STRV_INIT;
	cleanup_conf struct conf *config = NULL;
	cleanup_map struct map *params = NULL;
	cleanup_free struct net_link *links = NULL;
	const char *hostname = NULL;
	size_t n_links;

	if (boot_params_read(&params, &err) < 0 || net_links(&links, &n_links, &err) < 0)
		return method_fail(&err, "network");
	if (file_exists(USBKEY_CONFIG) &&
	    conf_read_file(USBKEY_CONFIG, &config, &problems, &err) < 0)
		return method_fail(&err, "network");
	for (size_t i = 0; i < problems.n; i++)
		method_say("%s", problems.v[i]);
	if (config)
		hostname = conf_get(config, "hostname");
	net_plan_make(config, params, links, n_links, &plan);
	net_apply(&plan, hostname, method_say);
	return SMF_EXIT_OK;
}

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	const char *verb = argc > 1 ? argv[1] : "start";

	if (str_eq(verb, "loopback")) {
		method_init("network/loopback");
		return net_loopback_up(&err) < 0 ? method_fail(&err, "lo") : SMF_EXIT_OK;
	}
	method_init("network/physical");
	if (str_eq(verb, "stop")) {
		/* Addresses stay: an operator who came over the network wants to go on. */
		net_dhcp_stop();
		return SMF_EXIT_OK;
	}
	return start();
}
