/*
 * Start method of svc:/network/ssh.  Host keys are the node's: made once, kept
 * in /usbkey/ssh, and copied to /etc/ssh at each boot.  Without a pool they
 * live as long as this boot.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "boot/method.h"
#include "boot/system_pool.h"
#include "os/run.h"

static const struct {
	const char *type, *file;
} keys[] = {
	{"ed25519", "ssh_host_ed25519_key"},
	{"ecdsa", "ssh_host_ecdsa_key"},
	{"rsa", "ssh_host_rsa_key"},
};

static int
copy(const char *from_dir, const char *name, mode_t mode, struct error *err)
{
	cleanup_free char *from = str_printf("%s/%s", from_dir, name);
	cleanup_free char *to = str_printf("/etc/ssh/%s", name);
	cleanup_free char *text = NULL;
	size_t len;
	int r = file_read(from, 1 << 20, &text, &len, err);

	return r < 0 ? r : file_write_atomic(to, text, len, mode, err);
}

/* Made under another name first: a key is whole or it is not there. */
static int
make_key(const char *dir, const char *type, const char *file, struct error *err)
{
	cleanup_free char *key = str_printf("%s/%s", dir, file);
	cleanup_free char *pub = str_printf("%s.pub", key);
	cleanup_free char *new_key = str_printf("%s.new", key);
	cleanup_free char *new_pub = str_printf("%s.pub", new_key);
	int r;

	if (file_exists(key) && file_exists(pub))
		return 0;
	unlink(new_key);
	unlink(new_pub);
	method_log("making a host key: %s", key);
	r = RUN(err, "ssh-keygen", "-q", "-t", type, "-N", "", "-C", "", "-f", new_key);
	if (r < 0)
		return r;
	if (rename(new_pub, pub) < 0 || rename(new_key, key) < 0)
		return error_set_errno(err, errno, "%s", key);
	return 0;
}

static int
host_keys(struct error *err)
{
	const char *dir = is_mountpoint(USBKEY) ? USBKEY "/ssh" : "/run/atoll/ssh";
	cleanup_free char *config = str_printf("%s/sshd_config", dir);
	int r = file_mkdir_p(dir, 0700, err);

	if (r == 0)
		r = file_mkdir_p("/etc/ssh", 0755, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(keys); i++) {
		cleanup_free char *pub = str_printf("%s.pub", keys[i].file);

		r = make_key(dir, keys[i].type, keys[i].file, err);
		if (r == 0)
			r = copy(dir, keys[i].file, 0600, err);
		if (r == 0)
			r = copy(dir, pub, 0644, err);
	}
	/* The node's own configuration takes the place of the image's. */
	if (r == 0 && file_exists(config))
		r = copy(dir, "sshd_config", 0644, err);
	return r;
}

/*
 * The password of the image's root is known to everybody: with it nobody comes
 * in by ssh (sshd_config).  The node's own is as good as on SmartOS, unless the
 * node's own sshd_config says what it wants.
 */
static bool
has_own_password(void)
{
	return file_exists(USBKEY "/shadow") && !file_exists(USBKEY "/ssh/sshd_config");
}

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;

	method_init("network/ssh");
	if (host_keys(&err) < 0)
		return method_fail(&err, "host keys");
	if (file_mkdir_p("/run/sshd", 0755, &err) < 0)
		return method_fail(&err, "sshd");
	if (RUN(&err, "/usr/sbin/sshd", "-t") < 0) {
		method_fail(&err, "sshd_config");
		return SMF_EXIT_ERR_CONFIG;
	}
	execl("/usr/sbin/sshd", "/usr/sbin/sshd", has_own_password() ? "-oPermitRootLogin=yes" : NULL,
	      (char *)NULL);
	error_set_errno(&err, errno, "/usr/sbin/sshd");
	return method_fail(&err, "sshd");
}
