/* Names, paths, and the names of states. */
#include <ctype.h>

#include "base/str.h"
#include "zone/model.h"

static char *root_dir;

void
zone_set_root(const char *root)
{
	free(root_dir);
	root_dir = str_empty(root) || str_eq(root, "/") ? NULL : xstrdup(root);
}

const char *
zone_root(void)
{
	return root_dir ? root_dir : "";
}

static const char *const state_names[ZONE_N_STATES] = {
	[ZONE_CONFIGURED] = "configured", [ZONE_INCOMPLETE] = "incomplete",
	[ZONE_INSTALLED] = "installed",   [ZONE_READY] = "ready",
	[ZONE_MOUNTED] = "mounted",       [ZONE_RUNNING] = "running",
	[ZONE_SHUTTING_DOWN] = "shutting_down", [ZONE_DOWN] = "down",
	[ZONE_ABSENT] = "absent",
};

const char *
zone_state_name(enum zone_state s)
{
	return s >= 0 && s < ZONE_N_STATES ? state_names[s] : "unknown";
}

int
zone_state_parse(const char *s, enum zone_state *ret)
{
	for (int i = 0; i < ZONE_N_STATES; i++)
		if (str_eq(s, state_names[i])) {
			*ret = i;
			return 0;
		}
	return -EINVAL;
}

int
zone_name_check(const char *name, struct error *err)
{
	if (str_empty(name))
		return error_set(err, EINVAL, "a zone needs a name");
	if (strlen(name) > ZONE_NAME_MAX)
		return error_set(err, EINVAL, "zone name %.20s... is longer than %d characters",
				 name, ZONE_NAME_MAX);
	if (!isalnum((unsigned char)name[0]))
		return error_set(err, EINVAL, "zone name %s must start with a letter or digit",
				 name);
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
			return error_set(err, EINVAL,
					 "zone name may hold letters, digits and . _ - only");
	if (str_eq(name, "global") || str_after(name, "SUNW"))
		return error_set(err, EINVAL, "zone name %s is reserved", name);
	return 0;
}

char *
zone_path_index(void)
{
	return str_printf("%s/etc/zones/index", zone_root());
}

char *
zone_path_xml(const char *name)
{
	return str_printf("%s/etc/zones/%s.xml", zone_root(), name);
}

char *
zone_path_run(const char *name, const char *file)
{
	return str_printf("%s/run/zones/%s%s%s", zone_root(), name, file ? "/" : "",
			  file ? file : "");
}

char *
zone_path_control(const char *name)
{
	return str_printf("%s/var/zonecontrol/%s", zone_root(), name);
}

char *
zone_cgroup_path(const char *name)
{
	return str_printf("zones/%s", name);
}
