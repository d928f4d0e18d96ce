/* Options to keys: what bhyve(8) and bhyve_config(5) promise. */
#include <stdio.h>

#include "base/file.h"
#include "base/str.h"
#include "base/test.h"
#include "vmm/config.h"
#include "vmm/options.h"

static char *
dump(struct config *c)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	config_dump(c, f);
	fclose(f);
	return text;
}

/* Parses a command line of words; what comes out is the dump, or "error: message". */
static char *
parse(const char *line)
{
	cleanup_config struct config *c = config_new();
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv argv = STRV_INIT;

	strv_words(&argv, line, " ");
	if (options_parse((int)argv.n, argv.v, c, &err) < 0)
		return str_printf("error: %s", error_message(&err));
	return dump(c);
}

static const struct {
	const char *line, *result;
} cases[] = {
	{"bhyve vm0", "name=vm0\n"},
	{"bhyve -c 2 -m 512 vm0", "cpus=2\nmemory.size=512M\nname=vm0\n"},
	{"bhyve -c cpus=4,sockets=2,cores=2 -m 2g vm0",
	 "cpus=4\nsockets=2\ncores=2\nmemory.size=2g\nname=vm0\n"},
	/* A later option wins, in the place of the first. */
	{"bhyve -m 1g -o memory.size=2g vm0", "memory.size=2g\nname=vm0\n"},
	{"bhyve -HPS -u -w vm0", "x86.vmexit_on_hlt=true\nx86.vmexit_on_pause=true\n"
				 "x86.strictmsr=false\nmemory.wired=true\n"
				 "rtc.use_localtime=false\nname=vm0\n"},
	{"bhyve -s 0,hostbridge,model=i440fx -s 31,lpc vm0",
	 "pci.0.0.0.device=hostbridge\npci.0.0.0.model=i440fx\npci.0.31.0.device=lpc\nname=vm0\n"},
	{"bhyve -l com1,socket,/tmp/vm.ttya -l bootrom,/c.fd,/v.fd vm0",
	 "lpc.com1.path=socket,/tmp/vm.ttya\nlpc.bootrom=/c.fd\nlpc.bootvars=/v.fd\nname=vm0\n"},
	{"bhyve -B 1,manufacturer=Joyent,serial=x,sku=001 vm0",
	 "system.manufacturer=Joyent\nsystem.serial_number=x\nsystem.sku=001\nname=vm0\n"},
	{"bhyve -o root=/zones/%(name) -o at=100%% vm0", "root=/zones/vm0\nat=100%\nname=vm0\n"},
	{"bhyve -f opt/a/b,string=c -f opt/d,file=/e vm0",
	 "fwcfg.0.name=opt/a/b\nfwcfg.0.string=c\nfwcfg.1.name=opt/d\nfwcfg.1.file=/e\nname=vm0\n"},
	{"bhyve -G w127.0.0.1:1234 vm0",
	 "gdb.wait=true\ngdb.address=127.0.0.1\ngdb.port=1234\nname=vm0\n"},
	{"bhyve -G wunix=/run/gdb vm0", "gdb.wait=true\ngdb.port=unix=/run/gdb\nname=vm0\n"},
	{"bhyve -p 0:3 vm0", "vcpu.0.cpuset=3\nname=vm0\n"},
	{"bhyve -s 0,amd_hostbridge vm0", "pci.0.0.0.device=amd_hostbridge\nname=vm0\n"},
	{"bhyve -s 4,nvme,/d,maxq=2,qsz=64,ioslots=8,sectsz=4096,eui64=0x1122,dsm=auto vm0",
	 "pci.0.4.0.device=nvme\npci.0.4.0.path=/d\npci.0.4.0.maxq=2\npci.0.4.0.qsz=64\n"
	 "pci.0.4.0.ioslots=8\npci.0.4.0.sectsz=4096\npci.0.4.0.eui64=0x1122\npci.0.4.0.dsm=auto\n"
	 "name=vm0\n"},

	{"bhyve", "error: expected the machine's name (-h lists the options)"},
	{"bhyve ../x", "error: name: \"../x\": expected one without a slash"},
	{"bhyve -o name= -m 512", "error: name: \"\": expected one without a slash"},
	{"bhyve -o name=-r", "error: name: \"-r\": expected one without a slash"},
	{"bhyve a b", "error: expected one name, not \"b\" too"},
	{"bhyve -m lots vm0", "error: -m lots: expected a size such as 512, 512M or 4G"},
	{"bhyve -c 0 vm0",
	 "error: -c 0: expected [cpus=]N[,sockets=N][,cores=N][,threads=N]"},
	{"bhyve -q vm0", "error: unknown option -q (-h lists them)"},
	{"bhyve -m", "error: -m: expected SIZE"},
	{"bhyve -o cpus vm0", "error: -o cpus: \"cpus\": expected key=value"},
	{"bhyve -o a.b=1 -o a.b.c=2 vm0",
	 "error: -o a.b.c=2: a.b.c cannot be set: a.b is a value, not a group"},
	{"bhyve -o a=%(b) vm0", "error: a: %(b) names a key that is not set"},
	{"bhyve -o a=%(a) vm0", "error: a: \"%(a)\" expands to itself"},
	{"bhyve -s 3,lpc -s 3,lpc vm0", "error: -s 3,lpc: 3 is taken by lpc"},
	{"bhyve -s 32,lpc vm0",
	 "error: -s 32,lpc: expected [bus:]slot[:function],device[,options]"},
	{"bhyve -s 0,hostbridge,modell=q35 vm0",
	 "error: -s 0,hostbridge,modell=q35: hostbridge has no option \"modell\"; expected model, "
	 "vendor, devid"},
	{"bhyve -s 0,hostbridge,model vm0", "error: -s 0,hostbridge,model: hostbridge: option model "
					    "needs a value: model=q35|i440fx|amd|netapp"},
	{"bhyve -U nonsense vm0", "error: -U nonsense: expected a UUID"},
};

TEST(options_become_keys)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_free char *got = parse(cases[i].line);

		check_str(got, cases[i].result);
	}
}

TEST(unknown_devices_are_named_with_what_there_is)
{
	cleanup_free char *got = parse("bhyve -s 4,floppy vm0");

	check_has(got, "no device \"floppy\"; there are hostbridge, amd_hostbridge, lpc");
}

/* Devices of other bhyves that are not here say what stands in their place. */
TEST(absent_devices_say_so)
{
	cleanup_free char *uart = parse("bhyve -s 4,uart,stdio vm0");
	cleanup_free char *hda = parse("bhyve -s 4,hda vm0");

	check_has(uart, "no device \"uart\": serial ports are com1 to com4");
	check_has(hda, "no device \"hda\": there is no sound");
}

TEST(files_of_keys)
{
	cleanup_config struct config *c = config_new();
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *path = str_printf("%s/vm.conf", test_tmpdir());
	static const char text[] = "# a guest\n\n  cpus=2\nmemory.size=1G\n";

	check_ok(file_write_atomic(path, text, sizeof(text) - 1, 0600, &err), &err);
	check_ok(config_load(c, path, &err), &err);

	cleanup_free char *got = dump(c);

	check_str(got, "cpus=2\nmemory.size=1G\n");
	check_ok(file_write_atomic(path, "cpus\n", 5, 0600, &err), &err);
	check_int(config_load(c, path, &err), ==, -EINVAL);
	check_has(error_message(&err), "vm.conf:1: \"cpus\": expected key=value");
}

TEST(values_are_checked_where_they_are_read)
{
	cleanup_config struct config *c = config_new();
	cleanup_error struct error err = ERROR_INIT;
	static const char *const words[] = {"on", "off", "io", NULL};
	uint64_t n = 7;
	unsigned word = 9;
	bool b;

	check_ok(config_parse(c, "a.n=12", &err), &err);
	check_ok(config_parse(c, "a.word=maybe", &err), &err);
	check_ok(config_u64(c, "a.n", 1, 20, 3, &n, &err), &err);
	check_int(n, ==, 12);
	check_ok(config_u64(c, "a.none", 1, 20, 3, &n, &err), &err);
	check_int(n, ==, 3);
	check_int(config_u64(config_find(c, "a"), "n", 1, 11, 3, &n, &err), ==, -EINVAL);
	check_str(error_message(&err), "a.n: \"12\" is not a number from 1 to 11");
	check_int(n, ==, 3);
	check_int(config_enum(c, "a.word", words, 0, &word, &err), ==, -EINVAL);
	check_str(error_message(&err), "a.word: \"maybe\" is not on, off or io");
	check_int(config_bool(c, "a.word", false, &b, &err), ==, -EINVAL);
	check_str(error_message(&err), "a.word: \"maybe\" is not true or false");
}
